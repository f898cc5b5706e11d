"""What `trialrun check` finds of the versions that are run, as notices beside the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trialrun.plan.calendar import Plan
from trialrun.plan.planned import check_planned, describe_open_step, find_open_step, plan_doses
from trialrun.protocol.check import check_cases, check_version
from trialrun.protocol.version import Protocol


def describe_errors(arms: Sequence[tuple[Protocol, Plan]]) -> Iterator[str]:
    """One sentence for each version in which a quick check finds errors: it is run as it stands all the same."""
    for protocol, plan in arms:
        version = plan.version
        problems = [*check_version(protocol, version, quick=True), *check_cases(protocol, version)]
        errors = sum(problem.severity == "error" for problem in problems)
        if errors:
            warnings = sum(problem.severity == "warning" for problem in (*problems, *check_planned(plan)))
            found = (
                f"{_count(errors, 'error')} and {_count(warnings, 'warning')}" if warnings else _count(errors, "error")
            )
            yield (
                f"A quick check of version {version.name} finds {found}; it is run as it stands. To see them: "
                f"trialrun check {protocol.file}"
            )


def describe_open_steps(arms: Sequence[tuple[Protocol, Plan]], cycles: int) -> Iterator[str]:
    """One sentence for each version whose planned doses are nobody's, because steps depend on findings."""
    for _, plan in arms:
        step = find_open_step(plan_doses(plan, cycles))
        if step is not None:
            yield (
                f"Version {plan.version.name} plans no doses: {describe_open_step(step)}. Dose intensity, of the dose planned, "
                "is not assessable."
            )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

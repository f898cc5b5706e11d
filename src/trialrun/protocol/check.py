"""All static checks of a protocol that could be read, and its cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trialrun.protocol.cases import Case, CaseResult, cases_file, read_cases, run_cases
from trialrun.protocol.check_content import check_content, check_unused
from trialrun.protocol.check_levels import check_levels
from trialrun.protocol.check_samples import check_samples
from trialrun.protocol.check_schedule import check_schedule
from trialrun.protocol.coverage import check_coverage
from trialrun.protocol.diff import idle_changes
from trialrun.protocol.version import Protocol, Version
from trialrun.vocab.problems import Location, Problem, TrialrunError


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, in order of the lines; `cases` counts those run for each version, `failed` those that failed."""

    problems: tuple[Problem, ...]
    cases: dict[str, int]
    failed: dict[str, int]


def check_protocol(protocol: Protocol) -> Checked:
    """Check every version and run the cases beside the file.

    Errors are contradictions and what would make a rule never or wrongly decide, warnings are what is probably not
    meant, notes are worth a look.
    """
    problems = check_static(protocol)
    cases, found = _cases(protocol)
    problems += found
    results = run_cases(protocol, cases)
    problems += _failures(results)
    if cases:
        problems += check_coverage(protocol, results)
    names = list(protocol.versions)
    return Checked(
        tuple(_in_order(problems)),
        {name: sum(result.case.version == name for result in results) for name in names},
        {name: sum(result.case.version == name and result.problem is not None for result in results) for name in names},
    )


def check_static(protocol: Protocol) -> list[Problem]:
    """All checks but the cases."""
    problems: list[Problem] = []
    for version in protocol.versions.values():
        problems += check_version(protocol, version)
    return _in_order([*problems, *check_unused(protocol)])


def check_version(protocol: Protocol, version: Version, quick: bool = False) -> list[Problem]:
    """All checks of one version but its cases; `quick` leaves tables out that tell very many situations apart."""
    return [
        *check_content(version, quick),
        *check_schedule(version),
        *check_samples(version),
        *check_levels(version),
        *_check_amendment(protocol, version),
    ]


def check_cases(protocol: Protocol, version: Version) -> list[Problem]:
    """What is wrong with the cases of one version: there are none, they cannot be read, or they fail."""
    cases, problems = _cases(protocol)
    return [*problems, *_failures(run_cases(protocol, [case for case in cases if case.version == version.name]))]


def _check_amendment(protocol: Protocol, version: Version) -> list[Problem]:
    problems = idle_changes(protocol, version)
    if version.amendment is not None:
        base = protocol.version(version.amendment.amends)
        if version.date <= base.date:
            problems.append(
                Problem(
                    "date-order",
                    f"the amendment is not later than {base.name}, which it amends",
                    version.date.isoformat(),
                    f"a date after {base.date.isoformat()}",
                    version.source.location(("date",)),
                )
            )
    return problems


def _cases(protocol: Protocol) -> tuple[list[Case], list[Problem]]:
    if not cases_file(protocol).exists():
        location = protocol.source.location(("versions",))
        message = "there are no cases beside the protocol, so no rule has been tried"
        return [], [Problem("no-cases", message, None, str(cases_file(protocol)), location, "warning")]
    try:
        return read_cases(protocol)
    except TrialrunError as error:
        return [], list(error.problems)


def _failures(results: Sequence[CaseResult]) -> list[Problem]:
    """One problem a failing case; it names the versions where it does not fail in all that it was tried in."""
    tried: dict[Location, list[str]] = {}
    failed: dict[Problem, list[str]] = {}
    for result in results:
        tried.setdefault(result.case.location, []).append(result.case.version)
        if result.problem is not None:
            failed.setdefault(result.problem, []).append(result.case.version)
    return [
        problem
        if names == tried[problem.location]
        else replace(problem, message=f"in version {', '.join(names)} {problem.message}")
        for problem, names in failed.items()
    ]


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each once (an amendment inherits what it does not change), by file and line."""
    once: dict[tuple[object, ...], Problem] = {}
    for problem in problems:
        place = (problem.location.file, problem.location.line, problem.location.column)
        once.setdefault((problem.code, problem.message, problem.found, place), problem)
    return sorted(once.values(), key=lambda item: (item.location.file or "", item.location.line or 0))

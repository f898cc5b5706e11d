"""What the analysis must know of a version, taken from the protocol itself."""

from __future__ import annotations

from trialrun.analysis.plan_file import PlanFile, plan_of
from trialrun.analysis.run import CTCAE, VersionInfo
from trialrun.plan.calendar import Plan
from trialrun.plan.planned import find_open_step, plan_as_json, plan_doses
from trialrun.vocab.problems import Location, Problem, TrialrunError


def derive_plan_file(plan: Plan, cycles: int) -> PlanFile:
    """The plan of the first `cycles` cycles, as a run keeps it."""
    return plan_of(plan_as_json(plan, cycles))


def derive_version_info(plan: Plan, cycles: int) -> VersionInfo:
    """The version of a plan, with the doses of its first `cycles` cycles where they do not depend on what is found in the
    subject; a unit other than mg is an error."""
    if plan.unit != "mg":
        location = Location(path=plan.version.name)
        raise TrialrunError(Problem("unknown-unit", "doses are analysed in mg", plan.unit, "mg", location))
    doses = list(plan_doses(plan, cycles))
    graded_by = plan.version.part.criteria.get("toxicity")
    return VersionInfo(
        version=plan.version.name,
        folder=plan.version.name,
        hash=plan.version.hash,
        levels_mg=tuple(float(level) for level in plan.levels),
        target_mg=float(plan.levels[plan.target]),
        days_on=plan.give[1] + 1,
        cycle_days=plan.cycle_days,
        # none at all rather than the first ones: their intensity would be that of those who left before a step was due
        planned_mg=() if find_open_step(doses) is not None else tuple(day.dose for day in doses),
        examines_marrow="marrow_lymphocytes" in plan.tests,
        ctcae=CTCAE if graded_by is None else graded_by.standard.upper().removeprefix("CTCAE-"),
    )

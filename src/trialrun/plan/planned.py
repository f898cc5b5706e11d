"""The doses of one version day by day if all goes as planned, and the schedule of activities as a grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from trialrun.plan.calendar import Plan, planned_visits
from trialrun.plan.dosing import Dosing
from trialrun.plan.states import clock_states
from trialrun.protocol.document import Amount
from trialrun.protocol.prose import Grid, Paragraph, Section
from trialrun.protocol.version import Version
from trialrun.protocol.vocabulary import RESPONSES
from trialrun.rules import History, evaluate_table
from trialrun.vocab.days import study_day
from trialrun.vocab.problems import Problem

_ROW = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class PlannedDose:
    """The dose of one day: `study_day` (there is no day 0), `cycle` and `cycle_day` from 1, `dose` a day in `unit`.

    `waits_for` names what the step rule asks and no plan can know (a result, a response), where that left a step
    undecided that is otherwise possible, so that the level stays.
    """

    study_day: int
    cycle: int
    cycle_day: int
    dose: float
    unit: str
    waits_for: tuple[str, ...] = ()


def plan_doses(plan: Plan, cycles: int) -> Iterator[PlannedDose]:
    """The doses of the first `cycles` cycles for one subject who comes on the planned days and takes every dose.

    Nothing is held or lowered, no event happens, the response is not assessed and no choice is exercised: the step-up
    table runs through the dosing clock as it does for every subject.
    """
    version = plan.version
    rules = [row.when for row in version.step_up.table.rows if row.when is not None]
    history = History(sorted({item for rule in rules for item in rule.inputs}, key=str), 1)
    for name, term in version.vocabulary.items():
        if term.source == "state" and term.kind == "truth":
            history.set_state(name, _ROW, np.array([1.0 if name == "consented" else 0.0]))
    history.set_state("cycles_since_cr", _ROW, np.zeros(1))
    history.set_state("response", _ROW, np.array([float(RESPONSES.index("not assessed"))]))
    dosing = Dosing.fresh(1)
    caps = [np.inf if cap is None else cap.value for cap in version.step_up.caps]
    steps = [row.then.verb == "step_up" for row in version.step_up.table.rows]
    highest = max((cap for cap, step in zip(caps, steps, strict=True) if step), default=0.0) * (1 + 1e-9)
    for day in range(cycles * plan.cycle_days):
        cycle, cycle_day = (int(column[0]) for column in dosing.clock(plan, day))
        level = float(dosing.ordered[0]) or float(plan.levels[plan.start])
        waits_for: tuple[str, ...] = ()
        if day == 0:
            history.start_treatment(_ROW, 0)
        if cycle_day == 0:
            history.start_cycle(_ROW, day)
        if day > 0 and _steps_on(plan, cycle, cycle_day):
            history.reviewed(_ROW, day)
            for name, column in clock_states(dosing, plan, day, _ROW).items():
                history.set_state(name, _ROW, column)
            columns = history.columns(day, _ROW)
            result = evaluate_table(version.step_up.table, columns)
            row = int(result.row[0])
            higher = plan.levels[plan.levels > level * (1 + 1e-9)]
            if result.undetermined[0]:
                if higher.size and higher[0] <= highest:
                    waits_for = version.step_up.waits_for(columns, 0)
            elif row >= 0 and steps[row] and higher.size and higher[0] <= caps[row] * (1 + 1e-9):
                level = float(higher[0])
        given = bool(dosing.on_dosing_day(plan, np.array([cycle_day]))[0])
        dosing.ordered[:] = level
        dosing.take(plan, day, _ROW, np.array([level if given else 0.0]))
        yield PlannedDose(study_day(day), cycle, cycle_day + 1, level if given else 0.0, plan.unit, waits_for)


def find_open_step(days: Iterable[PlannedDose]) -> PlannedDose | None:
    """The first day on which a step depends on what is found in the subject: from there on the planned doses are not
    those of anybody, only the level that no step has left. None where every step can be decided."""
    return next((day for day in days if day.waits_for), None)


def describe_open_step(day: PlannedDose) -> str:
    """Why no dose is planned from this day on."""
    return f"from study day {day.study_day} on the dose depends on what is found in the subject: {', '.join(day.waits_for)}"


def _steps_on(plan: Plan, cycle: int, cycle_day: int) -> bool:
    """Whether the step table is looked at on this day of the plan."""
    if plan.step_at_cycle_start:
        return cycle_day == 0
    number = np.array([cycle])
    return any(
        visit.decides_dose and visit.when is None and visit.day == cycle_day and bool(visit.in_cycle(number)[0])
        for visit in plan.visits
    )


@dataclass(frozen=True, slots=True)
class DoseSpan:
    """Days on end with the same planned dose, in study days."""

    cycle: int
    first: int
    last: int
    first_cycle_day: int
    last_cycle_day: int
    dose: Amount


def dose_spans(plan: Plan, cycles: int) -> list[DoseSpan]:
    """The planned doses with equal days of a cycle put together; 0 is the rest."""
    spans = []
    for (cycle, dose), days in groupby(plan_doses(plan, cycles), key=lambda item: (item.cycle, item.dose)):
        listed = list(days)
        first, last = listed[0], listed[-1]
        spans.append(
            DoseSpan(cycle, first.study_day, last.study_day, first.cycle_day, last.cycle_day, Amount(dose, plan.unit))
        )
    return spans


def planned_doses_section(plan: Plan, cycles: int = 4) -> Section:
    """The planned doses of the first cycles as a section of a version's prose."""
    rows = tuple(
        (
            f"Cycle {span.cycle}",
            f"{span.first_cycle_day} to {span.last_cycle_day}",
            f"{span.first} to {span.last}",
            str(span.dose) if span.dose.value else "rest",
        )
        for span in dose_spans(plan, cycles)
    )
    said = "If every visit and dose is on its day, nothing is held and no level is kept on purpose."
    step = find_open_step(plan_doses(plan, cycles))
    if step is not None:
        said += f" Steps that no plan can decide are left out: {describe_open_step(step)}."
    text = Paragraph(said)
    grid = Grid("Planned dose a day", ("Cycle", "Days of the cycle", "Study days", "Dose a day"), rows)
    return Section("planned_doses", "Planned doses", (text, grid))


def plan_as_json(plan: Plan, cycles: int) -> dict[str, Any]:
    """The schedule as plain values: `activities` (name and label, in order), `visits` (each with study day, window and
    the activities it does), `doses` (spans of days with the same dose) and `open_step` (the day from which on doses depend on
    what is found in the subject, and on what; None where they do not)."""
    version = plan.version
    step = find_open_step(plan_doses(plan, cycles))
    return {
        "version": version.name,
        "hash": version.hash,
        "drug": plan.drug,
        "unit": plan.unit,
        "cycle_days": plan.cycle_days,
        "activities": [{"name": name, "label": part.label} for name, part in version.activities.items()],
        "visits": [asdict(visit) for visit in planned_visits(plan, cycles)],
        "visits_on_condition": [dict(row) for row in conditional_visits(version)],
        "doses": [{**asdict(span), "dose": span.dose.value, "unit": span.dose.unit}
                  for span in dose_spans(plan, cycles)],
        "open_step": None if step is None else {"study_day": step.study_day, "waits_for": list(step.waits_for)},
    }  # fmt: skip


def conditional_visits(version: Version) -> list[Mapping[str, str | int | list[str] | None]]:
    """The visits that are on no day of the calendar: while held, after the end of treatment."""
    return [
        {"visit": name, "when": visit.when, "every_days": visit.every, "after_days": visit.after, "does": visit.does}
        for name, visit in version.visits.items()
        if visit.when is not None
    ]


def check_planned(plan: Plan, cycles: int = 13) -> list[Problem]:
    """What the planned doses show of a version: a target that is not reached, a step that no plan can decide.

    13 cycles are a year of 28 days each: a target that takes longer is worth a warning.
    """
    version = plan.version
    days = list(plan_doses(plan, cycles))
    problems = []
    if max(day.dose for day in days) < plan.levels[plan.target] * (1 - 1e-9):
        problems.append(
            Problem(
                "target-not-reached",
                f"version {version.name}: the planned doses do not reach the target in {cycles} cycles",
                f"at most {Amount(max(day.dose for day in days), plan.unit)}",
                str(version.treatment.target),
                version.source.location(("treatment", "target")),
                "warning",
            )
        )
    above = [day for day in days if day.dose > plan.levels[plan.target] * (1 + 1e-9)]
    if above:
        problems.append(
            Problem(
                "target-passed",
                f"version {version.name}: the planned dose passes the target",
                f"{Amount(above[0].dose, plan.unit)} on study day {above[0].study_day}",
                f"at most {version.treatment.target}",
                version.source.location(("treatment", "target")),
                "warning",
            )
        )
    waiting = find_open_step(days)
    if waiting is not None:
        problems.append(
            Problem(
                "planned-step-open",
                f"version {version.name}: the planned doses leave out steps that depend on what no plan can know",
                ", ".join(waiting.waits_for),
                None,
                version.source.location(("step_up",)),
                "note",
            )
        )
    return problems

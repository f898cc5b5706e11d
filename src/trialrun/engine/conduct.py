"""The one loop: observe, apply, decide, apply. The same for virtual subjects and for real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trialrun.engine.decide import Act, Decisions, apply_decisions, decide
from trialrun.engine.respond import update_response
from trialrun.engine.source import BoolArray, IntArray, Moment, Observed, Orders, Source
from trialrun.engine.subjects import Subjects, apply_observed, set_states
from trialrun.plan.calendar import Plan, Visit
from trialrun.plan.dosing import NEVER
from trialrun.rules import TRUE, evaluate


@dataclass(slots=True)
class Log:
    """Everything that was observed and decided, moment by moment, in order."""

    observed: list[tuple[int, Observed]] = field(default_factory=list)
    decided: list[Decisions] = field(default_factory=list)
    visits: list[tuple[int, str, IntArray]] = field(default_factory=list)
    treatments: list[tuple[int, str, IntArray, BoolArray]] = field(default_factory=list)
    deviations: list[tuple[int, IntArray]] = field(default_factory=list)


def conduct(
    plans: Sequence[Plan],
    which: IntArray,
    source: Source,
    subjects: Subjects,
    days: Iterable[int],
    log: Log,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Conduct the trial on these days (offsets, ascending): `which` (n,) says which plan holds for whom.

    `subjects` and `log` are added to in place, so a trial can go on from where it stands.
    """
    orders = Orders(np.zeros(subjects.n), {}, subjects.followed)
    for day in days:
        due, visits = _due(plans, which, subjects, day)
        observed = source.observe(Moment(day, due), orders)
        against = apply_observed(subjects, plans, which, day, observed)
        if against.size:
            log.deviations.append((day, against))
        log.observed.append((day, observed))
        asked = due.get("adverse_events")
        if asked is not None and asked.any():
            subjects.history.reviewed(np.flatnonzero(asked & subjects.followed), day)
        for index, visit, rows in visits:
            rows = rows[subjects.followed[rows]]
            log.visits.append((day, visit.name, rows))
            if visit.assesses_response and rows.size:
                update_response(subjects, plans[index], day, rows)
        for index, plan in enumerate(plans):
            mine = (which == index) & subjects.followed
            deciding = np.zeros(subjects.n, dtype=np.bool_)
            for number, visit, rows in visits:
                if number == index and visit.decides_dose:
                    deciding[rows] = True
            rows = np.flatnonzero(deciding & mine & subjects.dosing.active)
            if rows.size:
                log.decided.append(decide_and_apply(subjects, plan, day, rows))
            treated = np.flatnonzero(mine & _treatments_due(plan, subjects, day, deciding))
            if treated.size:
                _order_treatments(subjects, plan, day, treated, orders, log)
        orders.on_study = subjects.followed
        orders.dose = _doses(plans, which, subjects, day)
        if progress is not None:
            progress(day)


def decide_and_apply(subjects: Subjects, plan: Plan, day: int, rows: IntArray, early: int = 0) -> Decisions:
    """Decide for these rows and write the decisions into their state."""
    set_states(subjects, plan, day, rows, early)
    decisions = decide(plan, subjects.history.columns(day, rows), subjects.dosing, day, rows, early)
    apply_decisions(subjects.dosing, decisions)
    cycle, _ = subjects.dosing.clock(plan, day, early)
    gives = np.isin(decisions.act, (Act.REDUCE, Act.RESUME, Act.STAY, Act.STEP_UP, Act.DOSE))
    subjects.cleared[rows[gives]] = cycle[rows[gives]]
    return decisions


def _due(
    plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int
) -> tuple[dict[str, BoolArray], list[tuple[int, Visit, IntArray]]]:
    """Which tests are due for whom today, and the visits that ask for them."""
    due: dict[str, BoolArray] = {}
    visits: list[tuple[int, Visit, IntArray]] = []
    dosing = subjects.dosing
    for index, plan in enumerate(plans):
        mine = (which == index) & subjects.followed
        cycle, cycle_day = dosing.clock(plan, day)
        for visit in plan.visits:
            if visit.when == "held":
                since = day - dosing.held_since
                today = mine & dosing.active & dosing.held & (since > 0) & (since % (visit.every or 1) == 0)
            elif visit.when == "treatment ended":
                today = mine & (dosing.ended != NEVER) & (day - dosing.ended == (visit.after_end or 0))
            elif visit.cycles is None:
                today = mine & (day == visit.day)
            else:
                done = subjects.visits_done.setdefault(visit.name, np.zeros(subjects.n, dtype=np.int64))
                today = mine & dosing.active & visit.in_cycle(cycle) & (cycle_day == visit.day) & (done != cycle)
                today &= day >= 0
                done[today] = cycle[today]
            if not today.any():
                continue
            visits.append((index, visit, np.flatnonzero(today)))
            for test in (*visit.tests, *(("adverse_events",) if visit.asks_for_events else ())):
                due[test] = due[test] | today if test in due else today.copy()
    return due, visits


def _treatments_due(plan: Plan, subjects: Subjects, day: int, deciding: BoolArray) -> BoolArray:
    """Co-medication is looked at on every day before the first dose, on deciding days, and on the days a cycle starts
    or its dosing ends, so that a rule on the day or the cycle takes effect without a visit."""
    if day <= 0:
        return np.ones(subjects.n, dtype=np.bool_)
    _, cycle_day = subjects.dosing.clock(plan, day)
    return deciding | (cycle_day == 0) | (cycle_day == plan.give[1] + 1) | (day % 7 == 0)


def _order_treatments(subjects: Subjects, plan: Plan, day: int, rows: IntArray, orders: Orders, log: Log) -> None:
    """Start or stop co-medication where its rule answers; where it cannot tell, what was ordered stands."""
    set_states(subjects, plan, day, rows)
    columns = subjects.history.columns(day, rows)
    treatments = dict(orders.treatments)
    for criterion in plan.version.concomitant:
        verdict = evaluate(criterion.rule, columns)
        ordered = treatments.get(criterion.name, np.zeros(subjects.n, dtype=np.bool_)).copy()
        wanted = np.where(verdict == -1, ordered[rows], verdict == TRUE)
        changed = wanted != ordered[rows]
        if changed.any():
            ordered[rows] = wanted
            log.treatments.append((day, criterion.name, rows[changed], wanted[changed]))
        treatments[criterion.name] = ordered
    orders.treatments = treatments


def _doses(plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int) -> np.ndarray:
    """The dose ordered for today (n,): the decided level on a dosing day of a cycle that was cleared, else 0."""
    dosing = subjects.dosing
    dose = np.zeros(subjects.n)
    if day < 0:
        return dose
    for index, plan in enumerate(plans):
        cycle, cycle_day = dosing.clock(plan, day)
        gives = (which == index) & subjects.followed & dosing.active & ~dosing.held
        gives &= dosing.on_dosing_day(plan, cycle_day) & (cycle <= subjects.cleared)
        dose[gives] = dosing.ordered[gives]
    return dose

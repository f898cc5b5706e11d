"""The one loop: observe, apply, decide, apply. The same for virtual subjects and for real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from trialrun.engine.decide import Decisions, apply_decisions, decide, gives_drug
from trialrun.engine.respond import lacks_marrow, update_response
from trialrun.engine.source import BoolArray, FloatArray, IntArray, Moment, Observed, Orders, Source
from trialrun.engine.subjects import (
    Subjects,
    apply_exposures,
    apply_observed,
    dose_inputs,
    set_states,
    treatment_inputs,
)
from trialrun.plan.calendar import Plan, Visit
from trialrun.rules import TRUE, Columns, Input, evaluate


@dataclass(slots=True)
class Log:
    """Everything that was observed and decided, moment by moment, in order.

    `columns` holds for each element of `decided` what its rules were evaluated on, where `keep_columns` asks for it
    (for certificates: one subject; a crowd would fill the memory).
    """

    keep_columns: bool = False
    observed: list[tuple[int, Observed]] = field(default_factory=list)
    decided: list[Decisions] = field(default_factory=list)
    columns: list[Columns] = field(default_factory=list)
    visits: list[tuple[int, str, IntArray]] = field(default_factory=list)
    treatments: list[tuple[int, str, IntArray, BoolArray]] = field(default_factory=list)
    deviations: list[tuple[int, IntArray]] = field(default_factory=list)
    held: list[tuple[int, IntArray]] = field(default_factory=list)


VisitOf = tuple[int, Visit, IntArray]  # index of the plan, the visit, the subjects (m,) who have it


class Calendar(Protocol):
    """Says which visits take place on a day: those that fall due, or those that were really held."""

    def visits(self, plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int) -> list[VisitOf]:
        """The visits of this day, each with its subjects (m,)."""
        ...

    def early(self, plans: Sequence[Plan], which: IntArray, day: int) -> int:
        """How many days before its planned day a cycle may start today (real visits have windows)."""
        ...


def conduct(
    plans: Sequence[Plan],
    which: Callable[[int], IntArray],
    source: Source,
    calendar: Calendar,
    subjects: Subjects,
    days: Iterable[int],
    log: Log,
) -> None:
    """Conduct the trial on these days (offsets, ascending).

    `which(day)` (n,) says which plan holds for whom. `subjects` and `log` are added to in place, so a trial goes on
    from where it stands.
    """
    orders = Orders(np.zeros(subjects.n), {}, subjects.followed)
    asked = [(dose_inputs(plan.version), treatment_inputs(plan.version)) for plan in plans]
    for day in days:
        holds = which(day)
        taken = source.live(day, orders)
        against = apply_exposures(subjects, plans, which, taken)
        if against.size:
            log.deviations.append((day, against))
        visits = calendar.visits(plans, holds, subjects, day)
        observed = source.observe(Moment(day, _due(visits, subjects, day)))
        apply_observed(subjects, day, observed)
        log.observed.append((day, replace(observed, exposures=taken)))
        deciding = np.zeros(subjects.n, dtype=np.bool_)
        for index, visit, rows in visits:
            there = rows[subjects.followed[rows]]
            log.visits.append((day, visit.name, there))
            if visit.asks_for_events and there.size:
                subjects.history.reviewed(there, day)
            if visit.assesses_response and there.size:
                update_response(subjects, plans[index], day, there)
            deciding[there] |= visit.decides_dose
        early = calendar.early(plans, holds, day)
        for index, plan in enumerate(plans):
            mine = (holds == index) & subjects.followed
            rows = np.flatnonzero(deciding & mine & subjects.dosing.active)
            if rows.size:
                _decide_and_apply(subjects, plan, asked[index][0], day, rows, early, log)
            treated = np.flatnonzero(mine & _treatments_due(plan, subjects, day, deciding))
            if treated.size:
                _order_treatments(subjects, plan, asked[index][1], day, treated, orders, log)
        orders.on_study = subjects.followed
        orders.dose, orders.held = _doses(plans, holds, subjects, day)
        if orders.held.any():
            log.held.append((day, np.flatnonzero(orders.held)))


def _decide_and_apply(
    subjects: Subjects, plan: Plan, inputs: Sequence[Input], day: int, rows: IntArray, early: int, log: Log
) -> None:
    set_states(subjects, plan, day, rows, inputs, early)
    columns = subjects.history.columns(day, rows, inputs)
    decisions = decide(plan, columns, subjects.dosing, day, rows, early)
    cycle, _ = subjects.dosing.clock(plan, day, early)
    gives = gives_drug(decisions.act)
    subjects.cleared[rows[gives]] = cycle[rows[gives]]
    apply_decisions(subjects.dosing, decisions)
    log.decided.append(decisions)
    if log.keep_columns:
        log.columns.append(columns)


def _due(visits: Iterable[VisitOf], subjects: Subjects, day: int) -> dict[str, BoolArray]:
    """For each test, and for `adverse_events`, which of the n subjects are due for it at these visits. Tests of the same
    visits share one array."""
    groups: list[IntArray] = []
    at: dict[str, tuple[int, ...]] = {}

    def ask(tests: Iterable[str], rows: IntArray) -> None:
        groups.append(rows)
        for test in tests:
            at[test] = (*at.get(test, ()), len(groups) - 1)

    for _, visit, rows in visits:
        ask((*visit.tests, *(("adverse_events",) if visit.asks_for_events else ())), rows)
        for item in visit.confirmations:
            some = rows[lacks_marrow(subjects, day, rows, item.complete_for, item.again_after)]
            if some.size:
                ask(item.tests, some)
    who = {numbers: np.zeros(subjects.n, dtype=np.bool_) for numbers in at.values()}
    for numbers, due in who.items():
        for number in numbers:
            due[groups[number]] = True
    return {test: who[numbers] for test, numbers in at.items()}


class PlannedCalendar:
    """Visits take place on the day they fall due: what virtual subjects do."""

    def early(self, plans: Sequence[Plan], which: IntArray, day: int) -> int:
        """Never: a cycle starts on its day."""
        return 0

    def visits(self, plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int) -> list[VisitOf]:
        """The visits that fall due today; each visit of a cycle is held once in it, however long the cycle waits."""
        found: list[VisitOf] = []
        dosing = subjects.dosing
        for index, plan in enumerate(plans):
            mine = (which == index) & subjects.followed
            treated = mine & dosing.active
            held = np.flatnonzero(treated & dosing.held)
            since = day - dosing.held_since[held]
            cycle, cycle_day = dosing.clock(plan, day)
            days = set(np.flatnonzero(np.bincount(cycle_day[treated])).tolist())
            for visit in plan.visits:
                if visit.when == "held":
                    rows = held[(since > 0) & (since % (visit.every or 1) == 0)]
                elif visit.when == "treatment ended":
                    rows = np.flatnonzero(mine & ~dosing.active & (day - dosing.ended == (visit.after_end or 0)))
                elif visit.cycles is None:
                    rows = np.flatnonzero(mine) if day == visit.day else held[:0]
                elif day >= 0 and visit.day in days:
                    done = subjects.visits_done.setdefault(visit.name, np.zeros(subjects.n, dtype=np.int64))
                    rows = np.flatnonzero(treated & (cycle_day == visit.day))
                    now = cycle[rows]
                    first = visit.in_cycle(now) & (done[rows] != now)
                    rows = rows[first]
                    done[rows] = now[first]
                else:
                    continue
                if rows.size:
                    found.append((index, visit, rows))
        return found


def _treatments_due(plan: Plan, subjects: Subjects, day: int, deciding: BoolArray) -> BoolArray:
    """Co-medication is looked at on every day before the first dose, on deciding days, and on the days a cycle starts
    or its dosing ends, so that a rule on the day or the cycle takes effect without a visit."""
    if day <= 0:
        return np.ones(subjects.n, dtype=np.bool_)
    _, cycle_day = subjects.dosing.clock(plan, day)
    due = deciding | (cycle_day == 0) | (cycle_day == plan.give[1] + 1) | (day % 7 == 0)
    return np.asarray(due, dtype=np.bool_)


def _order_treatments(
    subjects: Subjects, plan: Plan, inputs: Sequence[Input], day: int, rows: IntArray, orders: Orders, log: Log
) -> None:
    """Start or stop co-medication where its rule answers; where it cannot tell, what was ordered stands."""
    set_states(subjects, plan, day, rows, inputs)
    columns = subjects.history.columns(day, rows, inputs)
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


def _doses(plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int) -> tuple[FloatArray, BoolArray]:
    """The dose ordered for today (n,), and whether one is held today (n,).

    Ordered is the decided level on a dosing day of a cycle that was cleared, else 0; on a dosing day of the calendar
    alone it is held.
    """
    dosing = subjects.dosing
    dose = np.zeros(subjects.n)
    held = np.zeros(subjects.n, dtype=np.bool_)
    if day < 0:
        return dose, held
    for index, plan in enumerate(plans):
        cycle, cycle_day = dosing.clock(plan, day)
        here = (which == index) & subjects.followed & dosing.active & dosing.on_dosing_day(plan, cycle_day)
        gives = here & ~dosing.held & (cycle <= subjects.cleared)
        dose[gives] = dosing.ordered[gives]
        held |= here & ~gives
    return dose, held

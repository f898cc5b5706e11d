"""A source that says what a table of results says: for tests of the engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trialrun.engine.conduct import Log, PlannedCalendar, conduct
from trialrun.engine.source import Events, Exposures, Findings, Moment, Observed, Orders
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan

NORMAL = {"neutrophils": 3.0, "platelets": 200.0, "hemoglobin": 120.0, "lymphocytes": 80.0}


class Scripted:
    """`results[day, test]` (n,) overrides the normal value (NaN = not measured); `events[day]` are (term, row, grade);
    `missed[day]` the rows that do not take that day's dose. Doses are taken as ordered otherwise."""

    def __init__(
        self,
        n: int,
        results: Mapping[tuple[int, str], np.ndarray] | None = None,
        events: Mapping[int, list[tuple[str, int, float]]] | None = None,
        missed: Mapping[int, list[int]] | None = None,
    ) -> None:
        self.n = n
        self.results = results or {}
        self.events = events or {}
        self.missed = missed or {}
        self._last: int | None = None

    def live(self, day: int, orders: Orders) -> tuple[Exposures, ...]:
        last, self._last = self._last, day
        if last is None or last < 0:
            return ()
        rows = np.flatnonzero((orders.dose > 0) | orders.held)
        dose = orders.dose[rows].copy()
        dose[np.isin(rows, self.missed.get(last, []))] = 0.0
        return (Exposures(last, rows, dose),) if rows.size else ()

    def observe(self, moment: Moment) -> Observed:
        findings = []
        for test, due in moment.due.items():
            if test == "adverse_events":
                continue
            rows = np.flatnonzero(due)
            values = np.full(self.n, NORMAL.get(test, 1.0))
            values = self.results.get((moment.day, test), values)[rows]
            nothing = np.full(rows.size, np.nan)
            findings.append(Findings(test, rows, values, nothing, nothing))
        events = [
            Events(term, np.array([row]), np.array([grade]), np.array([float(moment.day)]))
            for term, row, grade in self.events.get(moment.day, [])
        ]
        return Observed(tuple(findings), tuple(events))


def run(plan: Plan, source: Scripted, days: int) -> tuple[Subjects, Log]:
    """Conduct the plan on the scripted subjects for so many days."""
    subjects = Subjects.fresh([plan], source.n)
    subjects.age[:] = 60.0
    subjects.consented[:] = 1
    log = Log()
    which = np.zeros(source.n, dtype=np.int64)
    conduct([plan], lambda day: which, source, PlannedCalendar(), subjects, range(plan.first_day, days), log)
    return subjects, log


def doses(log: Log, n: int, days: int) -> np.ndarray:
    """Doses taken, shape (n, days); 0 where none was."""
    taken = np.zeros((n, days))
    for _, observed in log.observed:
        for item in observed.exposures:
            taken[item.rows, item.day] = item.dose
    return taken


def acts(log: Log, row: int) -> list[tuple[int, str]]:
    """(day, action) of one subject's decisions."""
    from trialrun.engine.decide import Act

    found = []
    for decisions in log.decided:
        at = np.flatnonzero(decisions.rows == row)
        if at.size:
            found.append((decisions.day, Act(int(decisions.act[at[0]])).label))
    return found

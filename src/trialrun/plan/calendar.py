"""The schedule of activities of one version: visits with their windows, what each measures, planned doses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialrun.protocol.version import Version
from trialrun.vocab.days import offset_of, study_day

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Tests that are due only once all else of a complete response has held for `complete_for` days, and not again for
    `again_after` days: the marrow."""

    tests: tuple[str, ...]
    complete_for: int
    again_after: int


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of the plan. `tests` are due in everyone, `confirmations` in some.

    `day` is the offset within its cycle (0 = first day) or, before treatment, from the first dose; `before` and
    `after` are the window in days; `cycles` the first and last cycle (None = onwards) it belongs to.
    `when` visits repeat `every` so many days while a hold lasts, or come once `after` days after treatment ended.
    """

    name: str
    activities: tuple[str, ...]
    tests: tuple[str, ...]
    asks_for_events: bool
    assesses_response: bool
    decides_dose: bool
    day: int
    before: int
    after: int
    cycles: tuple[int, int | None] | None
    when: Literal["held", "treatment ended"] | None
    every: int | None
    after_end: int | None
    confirmations: tuple[Confirmation, ...] = ()

    def in_cycle(self, cycle: IntArray) -> BoolArray:
        """Which of the cycles (n,) this visit belongs to."""
        if self.cycles is None:
            return np.zeros(cycle.shape, dtype=np.bool_)
        first, last = self.cycles
        inside = cycle >= first
        if last is not None:
            inside &= cycle <= last
        return np.asarray(inside, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Plan:
    """One version unrolled: `levels` are doses (L,) in `unit`, ascending; `give` the first and last dosing day of a
    cycle as offsets (0 = first day); `start` and `target` index `levels`."""

    version: Version
    drug: str
    unit: str
    levels: NDArray[np.float64]
    start: int
    target: int
    cycle_days: int
    give: tuple[int, int]
    step_at_cycle_start: bool
    visits: tuple[Visit, ...]

    @property
    def tests(self) -> frozenset[str]:
        """Everything that some visit measures, at least in some."""
        sometimes = (tests for visit in self.visits for tests in (visit.tests, *(c.tests for c in visit.confirmations)))
        return frozenset(test for tests in sometimes for test in tests)

    @property
    def first_day(self) -> int:
        """The offset of the earliest planned visit."""
        return min((visit.day for visit in self.visits if visit.when is None and visit.cycles is None), default=0)

    def level_of(self, dose: float) -> int | None:
        """The index of the level that equals this dose (in the plan's unit), or None."""
        near = np.flatnonzero(np.abs(self.levels - dose) <= 1e-9 * self.levels)
        return int(near[0]) if near.size else None


def plan_version(version: Version) -> Plan:
    """The plan of one version. The protocol was checked at reading, so every name in it exists."""
    treatment = version.treatment
    visits = []
    for name, part in version.visits.items():
        activities = [version.activities[activity] for activity in part.does]
        always = [activity for activity in activities if activity.when_complete_for is None]
        tests = tuple(dict.fromkeys(test for activity in always for test in activity.tests))
        confirmations = tuple(
            Confirmation(tuple(activity.tests), activity.when_complete_for, activity.again_after)
            for activity in activities
            if activity.when_complete_for is not None and activity.again_after is not None
        )
        visits.append(
            Visit(
                name=name,
                activities=tuple(part.does),
                tests=tests,
                asks_for_events=any(activity.asks_for_events for activity in activities),
                assesses_response=any(activity.assesses_response for activity in activities),
                decides_dose=part.decides_dose,
                day=offset_of(part.day) if part.day is not None else 0,
                before=part.window[0] if part.window else 0,
                after=part.window[1] if part.window else 0,
                cycles=part.cycles,
                when=part.when,
                every=part.every,
                after_end=part.after,
                confirmations=confirmations,
            )
        )
    doses = [level.value for level in treatment.levels]
    return Plan(
        version=version,
        drug=treatment.drug,
        unit=treatment.levels[0].unit,
        levels=np.array(doses),
        start=doses.index(treatment.start.value),
        target=doses.index(treatment.target.value),
        cycle_days=treatment.cycle,
        give=(treatment.give[0] - 1, treatment.give[1] - 1),
        step_at_cycle_start=version.part.step_up.at == "cycle start",
        visits=tuple(visits),
    )


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One line of the schedule of activities, in study days (there is no day 0)."""

    visit: str
    cycle: int
    study_day: int
    earliest: int
    latest: int
    activities: tuple[str, ...]
    tests: tuple[str, ...]
    decides_dose: bool


def planned_visits(plan: Plan, cycles: int) -> Iterator[PlannedVisit]:
    """The visits of screening and of the first `cycles` cycles, in order of day, were no cycle delayed."""
    lines = []
    for visit in plan.visits:
        if visit.when is not None:
            continue
        if visit.cycles is None:
            lines.append((visit.day, 0, visit))
            continue
        first, last = visit.cycles
        for cycle in range(first, min(cycles, last if last is not None else cycles) + 1):
            lines.append(((cycle - 1) * plan.cycle_days + visit.day, cycle, visit))
    for day, cycle, visit in sorted(lines, key=lambda line: line[0]):
        yield PlannedVisit(
            visit=visit.name,
            cycle=cycle,
            study_day=study_day(day),
            earliest=study_day(day - visit.before),
            latest=study_day(day + visit.after),
            activities=visit.activities,
            tests=visit.tests,
            decides_dose=visit.decides_dose,
        )

"""The dosing clock of 1 to n subjects as columns: cycle, level, days taken, hold, reductions.

One meaning of time everywhere. Days are offsets from the first dose. A missed or held dose is not made up; the dosing
days of a cycle run on through a hold; a delayed cycle starts on the day its first dose is really given; steps count the
days on which the drug was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trialrun.plan.calendar import Plan
from trialrun.vocab.problems import Problem, TrialrunError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NEVER = -(10**6)  # a day that did not come


@dataclass(slots=True)
class Dosing:
    """State of the dosing clock; every column has shape (n,).

    `level_dose` is the level last taken (0 before the first dose), `ordered` the level last decided (a dose taken
    against it becomes the order); `taken` counts the days on which `level_dose` was taken;
    `cycles_at_level` cycles begun at it; `off_unplanned` planned dosing days without drug since the last dose;
    `hold_row` is the row of the dose-modification table that holds the dose (-1 none, -2 an undetermined decision);
    `ended` the day treatment was stopped (NEVER = it was not).
    """

    started: BoolArray
    cycle: IntArray
    cycle_start: IntArray
    level_dose: FloatArray
    ordered: FloatArray
    taken: IntArray
    cycles_at_level: IntArray
    reductions: IntArray
    off_unplanned: IntArray
    last_dose: FloatArray
    hold_row: IntArray
    held_since: IntArray
    ended: IntArray
    _clocks: dict[tuple[int, int], tuple[IntArray, IntArray]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def fresh(cls, n: int) -> Dosing:
        """Nobody has had a dose."""

        def whole(value: int) -> IntArray:
            return np.full(n, value, dtype=np.int64)

        return cls(
            started=np.zeros(n, dtype=np.bool_),
            cycle=whole(0),
            cycle_start=whole(NEVER),
            level_dose=np.zeros(n),
            ordered=np.zeros(n),
            taken=whole(0),
            cycles_at_level=whole(0),
            reductions=whole(0),
            off_unplanned=whole(0),
            last_dose=np.zeros(n),
            hold_row=whole(-1),
            held_since=whole(NEVER),
            ended=whole(NEVER),
        )

    @property
    def held(self) -> BoolArray:
        """Whose dose is held or withheld."""
        return np.asarray(self.hold_row != -1, dtype=np.bool_)

    @property
    def active(self) -> BoolArray:
        """Whose treatment has not ended."""
        return np.asarray(self.ended == NEVER, dtype=np.bool_)

    def clock(self, plan: Plan, day: int, early: int = 0) -> tuple[IntArray, IntArray]:
        """Cycle and day of the cycle (0 = first day) as a decision on this day sees them.

        From `early` days before the planned end of a cycle's rest on, a subject stands at the start of the next
        cycle: (cycle + 1, 0). Before the first dose everybody stands at the start of cycle 1. Not to be written to: it is
        asked for many times a day, so the answer is kept until a dose is taken or another day asked for.
        """
        length = plan.cycle_days - early
        found = self._clocks.get((day, length))
        if found is None:
            if any(asked != day for asked, _ in self._clocks):
                self._clocks.clear()
            since = day - self.cycle_start
            next_cycle = self.started & (since >= length)
            cycle = np.where(self.started, self.cycle + next_cycle, 1)
            found = self._clocks[day, length] = cycle, np.where(self.started & ~next_cycle, since, 0)
            for column in found:
                column.flags.writeable = False
        return found

    def on_dosing_day(self, plan: Plan, cycle_day: IntArray) -> BoolArray:
        """Whether the day of the cycle (0 = first) is one on which the drug is to be taken."""
        return (cycle_day >= plan.give[0]) & (cycle_day <= plan.give[1])

    def may_dose(self, plan: Plan, day: int, rows: IntArray) -> BoolArray:
        """Whether the drug may have been taken by these rows on a day of which nothing is known: on treatment, on a
        dosing day of the cycle or when the next cycle is due."""
        since = day - self.cycle_start[rows]
        on_treatment = self.started[rows] & (self.ended[rows] == NEVER)
        return np.asarray(on_treatment & (self.on_dosing_day(plan, since) | (since >= plan.cycle_days)), dtype=np.bool_)

    def take(self, plan: Plan, day: int, rows: IntArray, dose: FloatArray) -> None:
        """Book the doses (m,) really taken on `day` by these rows; 0 is a dose held or missed.

        A dose after the last dosing day of a cycle starts the next cycle. A dose that is no level of the plan is a
        TrialrunError: the clock cannot say where such a subject stands.
        """
        given = dose > 0
        if given.any():
            self._take_given(plan, day, rows[given], dose[given])
        missed = rows[~given]
        missed = missed[self.started[missed] & (self.ended[missed] == NEVER)]
        if missed.size:
            planned = self.on_dosing_day(plan, day - self.cycle_start[missed])
            # a delayed cycle start is an unplanned day without drug as well
            late = day - self.cycle_start[missed] >= plan.cycle_days
            self.off_unplanned[missed] += planned | late
        self.last_dose[rows] = dose

    def _take_given(self, plan: Plan, day: int, rows: IntArray, dose: FloatArray) -> None:
        nearest = plan.levels[np.minimum(np.searchsorted(plan.levels, dose), plan.levels.size - 1)]
        if (nearest != dose).any():  # mostly doses are levels to the last bit
            nearest = plan.levels[np.abs(plan.levels[:, None] - dose).argmin(axis=0)]
        off_list = np.abs(nearest - dose) > 1e-9 * nearest
        if off_list.any():
            found = ", ".join(f"{value:g} {plan.unit}" for value in np.unique(dose[off_list]))
            levels = ", ".join(f"{value:g}" for value in plan.levels)
            raise TrialrunError(
                Problem("dose-off-levels", "a dose taken is not one of the levels", found, f"{levels} {plan.unit}")
            )
        self.ordered[rows] = nearest
        new_level = nearest != self.level_dose[rows]
        changed = rows[new_level]
        self.level_dose[changed] = nearest[new_level]
        self.taken[changed] = 0
        self.cycles_at_level[changed] = 0
        self._clocks.clear()
        first = ~self.started[rows]
        after_rest = self.started[rows] & (day - self.cycle_start[rows] > plan.give[1])
        begins = rows[first | after_rest]
        self.started[rows] = True
        self.cycle[begins] += 1
        self.cycle_start[begins] = day
        self.cycles_at_level[begins] += 1
        self.taken[rows] += 1
        self.off_unplanned[rows] = 0

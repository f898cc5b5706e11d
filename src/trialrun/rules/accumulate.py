"""The accumulators of findings and states: each a few columns of n subjects that remember what one question needs."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.columns import Column, FloatArray, IntArray
from trialrun.rules.truth import FALSE, TRUE, UNKNOWN, Truth

BoolArray = NDArray[np.bool_]
Rows = IntArray | None  # None: all subjects, in order


def pick(column: FloatArray, rows: Rows) -> FloatArray:
    """The values of these rows, never a view: what rules are evaluated on must not change under them."""
    return column.copy() if rows is None else column[rows]


def nothing(n: int) -> FloatArray:
    """A column of n unknowns."""
    return np.full(n, np.nan)


class Accumulator:
    """Remembers one thing of one term; takes every kind of news and ignores what does not concern it."""

    def __init__(self, n: int) -> None:
        self.value = nothing(n)
        self.day = nothing(n)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        """Results (m,) of one day, none of them NaN, each row once."""

    def set_state(self, rows: IntArray, values: FloatArray) -> None:
        """A state as it is now."""

    def set_baseline(self, rows: IntArray) -> None:
        """What came before the first dose is complete."""

    def start(self, rows: IntArray, day: float, what: Literal["cycle", "treatment"]) -> None:
        """A cycle or the treatment began on this day."""

    def column(self, rows: Rows, day: float) -> Column:
        """The answer for these rows as of a day."""
        return Column(pick(self.value, rows), pick(self.day, rows))


class Latest(Accumulator):
    """The latest result with its reference range.

    `kept` says for how many days it stays current (None: for ever). Of several results of one day the worse counts;
    where neither direction is worse, differing results leave the day's value unknown. Where equal results come with
    different ranges, the narrower limits count.
    """

    def __init__(self, n: int, worst: str | None, kept: float | None) -> None:
        super().__init__(n)
        self.low = nothing(n)
        self.high = nothing(n)
        self._worst = worst
        self._kept = kept

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        same = self.day[rows] == day
        if same.any():
            again = rows[same]
            old = self.value[again]
            values, low, high = values.copy(), low.copy(), high.copy()
            new = values[same]
            equal = old == new
            if self._worst is None:
                value, kept = np.where(equal, new, np.nan), ~equal
            else:
                kept = ~equal & (old < new if self._worst == "low" else old > new)
                value = np.where(kept, old, new)
            values[same] = value
            for column, mine, narrow in ((self.low, low, np.fmax), (self.high, high, np.fmin)):
                other = np.nan if self._worst is None else column[again]
                mine[same] = np.where(equal, narrow(column[again], mine[same]), np.where(kept, other, mine[same]))
        self.value[rows] = values
        self.low[rows] = low
        self.high[rows] = high
        self.day[rows] = day

    def column(self, rows: Rows, day: float) -> Column:
        value, when = pick(self.value, rows), pick(self.day, rows)
        if self._kept is not None:
            value[~(day - when <= self._kept)] = np.nan
        return Column(value, when, pick(self.low, rows), pick(self.high, rows))


class First(Latest):
    """The result of the first day that has one."""

    def __init__(self, n: int, worst: str | None) -> None:
        super().__init__(n, worst, None)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        new = np.isnan(self.day[rows]) | (self.day[rows] == day)
        if new.any():
            super().observe(rows[new], day, values[new], low[new], high[new])


class Baseline(Latest):
    """The last result before the first dose; unknown until the first dose is given."""

    def __init__(self, n: int, worst: str | None) -> None:
        super().__init__(n, worst, None)
        self._fixed = np.zeros(n, dtype=np.bool_)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        free = ~self._fixed[rows]
        if free.any():
            super().observe(rows[free], day, values[free], low[free], high[free])

    def set_baseline(self, rows: IntArray) -> None:
        self._fixed[rows] = True

    def column(self, rows: Rows, day: float) -> Column:
        column = super().column(rows, day)
        column.value[~(self._fixed if rows is None else self._fixed[rows])] = np.nan
        return column


class _Extreme:
    """Columns of a lowest or highest result with its day and range; the later of equal results counts."""

    def __init__(self, n: int, lowest: bool) -> None:
        self.lowest = lowest
        self.value, self.day, self.low, self.high = (nothing(n) for _ in range(4))

    def meet(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        old = self.value[rows]
        better = ~(values > old) if self.lowest else ~(values < old)
        if not better.all():
            rows, values, old, low, high = rows[better], values[better], old[better], low[better], high[better]
        tie = (old == values) & (self.day[rows] == day)
        self.low[rows] = np.where(tie, np.fmax(self.low[rows], low), low)
        self.high[rows] = np.where(tie, np.fmin(self.high[rows], high), high)
        self.value[rows] = values
        self.day[rows] = day

    def clear(self, rows: IntArray) -> None:
        for column in (self.value, self.day, self.low, self.high):
            column[rows] = np.nan

    def copy(self, rows: IntArray, other: _Extreme) -> None:
        for mine, its in ((self.value, other.value), (self.day, other.day), (self.low, other.low)):
            mine[rows] = its[rows]
        self.high[rows] = other.high[rows]


class Extreme(Accumulator):
    """The lowest or highest result since the window began, the day it began included.

    The extreme of the latest day is kept beside it: a cycle is known to have begun only after that day's results.
    """

    def __init__(self, n: int, lowest: bool, window: str) -> None:
        super().__init__(n)
        self._kept = _Extreme(n, lowest)
        self._window = window
        if window != "ever":
            self._open = np.zeros(n, dtype=np.bool_)
            self._today = _Extreme(n, lowest)
            self._last = nothing(n)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        if self._window == "ever":
            self._kept.meet(rows, day, values, low, high)
            return
        self._today.clear(rows[self._last[rows] != day])
        self._last[rows] = day
        self._today.meet(rows, day, values, low, high)
        open_ = self._open[rows]
        if open_.any():
            self._kept.meet(rows[open_], day, values[open_], low[open_], high[open_])

    def start(self, rows: IntArray, day: float, what: Literal["cycle", "treatment"]) -> None:
        if what != self._window:
            return
        self._open[rows] = True
        seen = self._last[rows] == day
        self._kept.clear(rows[~seen])
        self._kept.copy(rows[seen], self._today)

    def column(self, rows: Rows, day: float) -> Column:
        kept = self._kept
        return Column(pick(kept.value, rows), pick(kept.day, rows), pick(kept.low, rows), pick(kept.high, rows))


class SlidingExtreme(Accumulator):
    """The lowest or highest result of the last so many days.

    A result that a later one surpasses can never be the answer again, so what is kept of each subject is a few results,
    each less extreme than the ones before it; there are as many slots as the subject with the most needs, at most one
    a day. The order of the slots means nothing.
    """

    def __init__(self, n: int, lowest: bool, days: float) -> None:
        super().__init__(n)
        self._lowest = lowest
        self._days = days
        self._slots: list[tuple[FloatArray, FloatArray, FloatArray, FloatArray]] = []  # value, day, low, high
        self._n = n

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        waiting = np.ones(rows.size, dtype=np.bool_)
        free = []
        for held, when, its_low, its_high in self._slots:
            old, old_day = held[rows], when[rows]
            today = old_day == day
            if today.any():
                tie = today & (old == values)
                low = np.where(tie, np.fmax(low, its_low[rows]), low)
                high = np.where(tie, np.fmin(high, its_high[rows]), high)
            keeps = (old < values if self._lowest else old > values) & (old_day >= day - self._days)
            waiting &= ~(keeps & today)  # a worse result of the same day is never the answer
            free.append(~keeps)
        for (held, when, its_low, its_high), open_ in zip(self._slots, free, strict=True):
            put = open_ & waiting
            when[rows[open_]] = np.nan
            at = rows[put]
            held[at], when[at], its_low[at], its_high[at] = values[put], day, low[put], high[put]
            waiting &= ~put
        if waiting.any():
            held, when, its_low, its_high = slot = (
                nothing(self._n),
                nothing(self._n),
                nothing(self._n),
                nothing(self._n),
            )
            at = rows[waiting]
            held[at], when[at], its_low[at], its_high[at] = values[waiting], day, low[waiting], high[waiting]
            self._slots.append(slot)

    def column(self, rows: Rows, day: float) -> Column:
        m = self._n if rows is None else rows.size
        value, when, low, high = nothing(m), nothing(m), nothing(m), nothing(m)
        for held, its_day, its_low, its_high in self._slots:
            old = held if rows is None else held[rows]
            old_day = its_day if rows is None else its_day[rows]
            better = (old_day >= day - self._days) & ~(value <= old if self._lowest else value >= old)
            np.copyto(value, old, where=better)
            np.copyto(when, old_day, where=better)
            np.copyto(low, its_low if rows is None else its_low[rows], where=better)
            np.copyto(high, its_high if rows is None else its_high[rows], where=better)
        return Column(value, when, low, high)


class State(Accumulator):
    """What the system keeps of a subject and sets anew before it asks; it has no day."""

    def set_state(self, rows: IntArray, values: FloatArray) -> None:
        self.value[rows] = values


class Lasting(Accumulator):
    """For how long a predicate has been true at every day with an observation.

    Two runs are kept: of days on which it was true, and of days on which it was not false. When a day gets a further
    result, that day is judged again from where the runs stood before it.
    """

    def __init__(self, n: int, days: float) -> None:
        super().__init__(n)
        self._days = days
        self._runs = (nothing(n), nothing(n))
        self._before = (nothing(n), nothing(n))

    def judge(self, rows: IntArray, day: float, verdict: Truth) -> None:
        """The verdict (m,) of the predicate on a day that has an observation."""
        new_day = rows[self.day[rows] != day]
        for run, before, goes_on in zip(self._runs, self._before, (verdict == TRUE, verdict != FALSE), strict=True):
            before[new_day] = run[new_day]
            begun = before[rows]
            run[rows] = np.where(goes_on, np.where(np.isnan(begun), day, begun), np.nan)
        self.day[rows] = day

    def column(self, rows: Rows, day: float) -> Column:
        when = pick(self.day, rows)
        sure, possible = (when - pick(run, rows) for run in self._runs)
        truth = np.where(sure >= self._days, TRUE, np.where(possible >= self._days, UNKNOWN, FALSE)).astype(np.int8)
        truth[np.isnan(when)] = UNKNOWN
        return Column(sure, when, truth=truth)

"""The accumulators: each a few columns of n subjects that remember just what one question needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.terms import Input
from trialrun.rules.truth import FALSE, TRUE, UNKNOWN, Truth

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Column:
    """One accumulator's answer for m subjects: `value` (NaN = unknown), the `day` it is from, the reference range of
    that observation, and for truths (events, lasting predicates) `truth`."""

    value: FloatArray
    day: FloatArray
    low: FloatArray
    high: FloatArray
    truth: Truth


@dataclass(frozen=True, slots=True)
class Columns:
    """What rules are evaluated on: a column of m subjects for each accumulator, as of `day` (offset from first dose)."""

    day: float
    size: int
    values: Mapping[Input, Column] = field(default_factory=dict)

    def __getitem__(self, item: Input) -> Column:
        return self.values[item]


def _nan(n: int) -> FloatArray:
    return np.full(n, np.nan)


def _as_truth(value: FloatArray) -> Truth:
    return np.where(np.isnan(value), UNKNOWN, np.where(value > 0, TRUE, FALSE)).astype(np.int8)


class Accumulator:
    """Base: takes every kind of news and ignores what does not concern it."""

    def __init__(self, n: int) -> None:
        self.value = _nan(n)
        self.day = _nan(n)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        """Results of one test on one day."""

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        """Events of one term."""

    def reviewed(self, rows: IntArray, day: float) -> None:
        """Events were asked for."""

    def set(self, rows: IntArray, values: FloatArray) -> None:
        """A state changed."""

    def set_baseline(self, rows: IntArray) -> None:
        """The first dose follows."""

    def start(self, rows: IntArray, what: str) -> None:
        """A cycle or the treatment began."""

    def column(self, rows: IntArray, day: float) -> Column:
        """The answer for these rows as of a day."""
        value, nothing = self.value[rows], _nan(rows.size)
        return Column(value, self.day[rows], nothing, nothing, _as_truth(value))


class Current(Accumulator):
    """The latest result with its range; `kept` says for how many days it stays current (None: for ever)."""

    def __init__(self, n: int, worst: str | None, kept: float | None) -> None:
        super().__init__(n)
        self.low = _nan(n)
        self.high = _nan(n)
        self._worst = worst
        self._kept = kept

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        same = self.day[rows] == day
        old = self.value[rows]
        if self._worst is None:
            # neither direction is worse: two different results of one day cannot both be the value
            taken = np.where(same & (old != values), np.nan, values)
            newer = np.ones(rows.shape, dtype=np.bool_)
        else:
            worse = values < old if self._worst == "low" else values > old
            newer = ~same | worse
            taken = values
        at = rows[newer]
        self.value[at] = taken[newer]
        self.low[at] = low[newer]
        self.high[at] = high[newer]
        self.day[rows] = day

    def column(self, rows: IntArray, day: float) -> Column:
        value, when = self.value[rows], self.day[rows]
        if self._kept is not None:
            value = np.where(day - when <= self._kept, value, np.nan)
        return Column(value, when, self.low[rows], self.high[rows], _as_truth(value))


class First(Current):
    """The first day's result."""

    def __init__(self, n: int, worst: str | None) -> None:
        super().__init__(n, worst, None)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        new = np.isnan(self.day[rows]) | (self.day[rows] == day)
        if new.any():
            super().observe(rows[new], day, values[new], low[new], high[new])


class Baseline(Current):
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

    def column(self, rows: IntArray, day: float) -> Column:
        column = super().column(rows, day)
        value = np.where(self._fixed[rows], column.value, np.nan)
        return Column(value, column.day, column.low, column.high, _as_truth(value))


class Extreme(Accumulator):
    """The lowest or highest result since the window began."""

    def __init__(self, n: int, lowest: bool, window: str) -> None:
        super().__init__(n)
        self._lowest = lowest
        self._window = window
        self._open = np.full(n, window == "ever", dtype=np.bool_)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        old = self.value[rows]
        better = np.isnan(old) | (values < old if self._lowest else values > old)
        at = rows[better & self._open[rows]]
        self.value[at] = values[better & self._open[rows]]
        self.day[at] = day

    def start(self, rows: IntArray, what: str) -> None:
        if what == self._window:
            self._open[rows] = True
            self.value[rows] = np.nan
            self.day[rows] = np.nan


class SlidingExtreme(Accumulator):
    """The lowest or highest result of the last so many days: a ring with one column a day."""

    def __init__(self, n: int, lowest: bool, days: float) -> None:
        super().__init__(n)
        self._reduce = np.fmin if lowest else np.fmax
        self._days = days
        slots = int(np.floor(days)) + 1
        self._ring = np.full((slots, n), np.nan)
        self._stamp = np.full((slots, n), -np.inf)

    def observe(self, rows: IntArray, day: float, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        slot = int(np.floor(day)) % self._ring.shape[0]
        same = self._stamp[slot, rows] == day
        self._ring[slot, rows] = np.where(same, self._reduce(self._ring[slot, rows], values), values)
        self._stamp[slot, rows] = day

    def column(self, rows: IntArray, day: float) -> Column:
        stamps, ring = self._stamp[:, rows], self._ring[:, rows]
        inside = np.where((stamps >= day - self._days) & (stamps <= day), ring, np.nan)
        value = self._reduce.reduce(inside, axis=0)
        when = np.where(inside == value, stamps, -np.inf).max(axis=0)
        when = np.where(np.isfinite(when), when, np.nan)
        nothing = _nan(rows.size)
        return Column(value, when, nothing, nothing, _as_truth(value))


class State(Accumulator):
    """What the system keeps and sets."""

    def set(self, rows: IntArray, values: FloatArray) -> None:
        self.value[rows] = values


class EventState(Accumulator):
    """Whether an event is in progress and its grade: `value` is the grade (0 = absent) of the event that ends last."""

    def __init__(self, n: int, kept: float | None) -> None:
        super().__init__(n)
        self.end = np.full(n, -np.inf)
        self.review = np.full(n, -np.inf)
        self._kept = kept or 0.0

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        until = np.where(np.isnan(end), np.inf, end)
        order = np.lexsort((np.nan_to_num(grade, nan=-1.0), until))
        rows, start, grade, until = rows[order], start[order], grade[order], until[order]
        # of several events of one subject the one that ends last counts, of equal ends the worst grade
        later = until > self.end[rows]
        equal = (until == self.end[rows]) & ~(self.value[rows] >= grade)
        at = later | equal
        self.value[rows[at]] = grade[at]
        self.day[rows[at]] = start[at]
        self.end[rows[at]] = until[at]

    def reviewed(self, rows: IntArray, day: float) -> None:
        self.review[rows] = np.maximum(self.review[rows], day)

    def column(self, rows: IntArray, day: float) -> Column:
        going = (self.day[rows] <= day) & (self.end[rows] >= day)
        absent = ~going & (day - self.review[rows] <= self._kept)
        truth = np.where(going, TRUE, np.where(absent, FALSE, UNKNOWN)).astype(np.int8)
        grade = np.where(going, self.value[rows], np.where(absent, 0.0, np.nan))
        review = self.review[rows]
        when = np.where(going, self.day[rows], np.where(np.isfinite(review), review, np.nan))
        nothing = _nan(rows.size)
        return Column(grade, when, nothing, nothing, truth)


class EventWindow(Accumulator):
    """How many events began, or the worst grade of those that began, since the window opened.

    Unknown until events have been asked for within the window; a count may still be too low after the last review, so
    the number known is a lower bound and is unknown when the last review is not of the day asked.
    """

    def __init__(self, n: int, window: str, days: float, count: bool) -> None:
        super().__init__(n)
        self._count = count
        self._window = window
        self._days = days
        self.review = np.full(n, -np.inf)
        self._seen: list[tuple[IntArray, FloatArray, FloatArray]] = []
        self._from = np.full(n, -np.inf if window in ("ever", "last") else np.inf)

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        self._seen.append((rows, start.copy(), grade.copy()))

    def reviewed(self, rows: IntArray, day: float) -> None:
        self.review[rows] = np.maximum(self.review[rows], day)

    def start(self, rows: IntArray, what: str) -> None:
        if what == self._window:
            self._from[rows] = np.maximum(self.review[rows], 0.0) if what == "cycle" else 0.0

    def column(self, rows: IntArray, day: float) -> Column:
        lower = self._from.copy()
        if self._window == "last":
            lower = np.full(lower.shape, day - self._days)
        total, latest = np.zeros(lower.size), _nan(lower.size)
        for at, start, grade in self._seen:
            inside = (start >= lower[at]) & (start <= day)
            if self._count:
                np.add.at(total, at[inside], 1.0)
            else:
                np.fmax.at(total, at[inside], grade[inside])
            np.fmax.at(latest, at[inside], start[inside])
        fresh = self.review[rows] >= day
        value = np.where(fresh & np.isfinite(lower[rows]), total[rows], np.nan)
        nothing = _nan(rows.size)
        return Column(value, latest[rows], nothing, nothing, _as_truth(value))


class Since(Accumulator):
    """Days since an event last began."""

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        np.fmax.at(self.day, rows, start)

    def column(self, rows: IntArray, day: float) -> Column:
        value, nothing = day - self.day[rows], _nan(rows.size)
        return Column(value, self.day[rows], nothing, nothing, _as_truth(value))


class Lasting(Accumulator):
    """How long a predicate has been true at every observation: from the first true one of the run to the latest."""

    def __init__(self, n: int, days: float, kept: float) -> None:
        super().__init__(n)
        self._days = days
        self._kept = kept
        self.since = _nan(n)
        self.latest = np.full(n, UNKNOWN, dtype=np.int8)
        self.touched = np.zeros(n, dtype=np.bool_)
        self._before = _nan(n)

    def update(self, rows: IntArray, day: float, verdict: Truth) -> None:
        """The verdict (m,) of the predicate on a day that is complete, or complete so far."""
        again = self.day[rows] == day
        since = np.where(again, self._before[rows], self.since[rows])
        self._before[rows] = since
        self.since[rows] = np.where(verdict == TRUE, np.where(np.isnan(since), day, since), np.nan)
        self.latest[rows] = verdict
        self.day[rows] = day

    def column(self, rows: IntArray, day: float) -> Column:
        when, since, latest = self.day[rows], self.since[rows], self.latest[rows]
        length = when - since
        fresh = day - when <= self._kept
        truth = np.where(latest == TRUE, np.where(length >= self._days, TRUE, FALSE), latest)
        truth = np.where(fresh, truth, UNKNOWN).astype(np.int8)
        nothing = _nan(rows.size)
        return Column(length, when, nothing, nothing, truth)


def make_accumulator(item: Input, n: int) -> Accumulator:
    """The accumulator that remembers what this input asks."""
    window = item.window
    match item.remember:
        case "current":
            return Current(n, item.worst, item.current_for if item.current_for is not None else 0.0)
        case "state":
            return State(n)
        case "first":
            return First(n, item.worst)
        case "last":
            return Current(n, item.worst, None)
        case "baseline":
            return Baseline(n, item.worst)
        case "event":
            return EventState(n, item.current_for)
        case "since":
            return Since(n)
        case "lasting":
            return Lasting(n, item.days, item.current_for or 0.0)
    assert window is not None
    if item.remember in ("count", "worst grade"):
        return EventWindow(n, window.kind, window.days, item.remember == "count")
    if window.kind == "last":
        return SlidingExtreme(n, item.remember == "lowest", window.days)
    return Extreme(n, item.remember == "lowest", window.kind)

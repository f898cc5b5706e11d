"""The accumulators of events, and what is known of them when they may have gone unreported."""

from __future__ import annotations

import numpy as np

from trialrun.rules.accumulate import Accumulator, Rows, nothing, pick
from trialrun.rules.columns import Column, FloatArray, IntArray
from trialrun.rules.terms import Window

_GRADES = 6  # 0 stands for an event that was not graded, 1 to 5
_WORST = 5.0


class Clock:
    """What all event accumulators of n subjects share: when events were last asked for, when windows began."""

    def __init__(self, n: int) -> None:
        self.reviewed = np.full(n, -np.inf)
        self.started = {"cycle": nothing(n), "treatment": nothing(n)}

    def opens(self, window: Window, rows: Rows, day: float, n: int) -> FloatArray:
        """The first day (m,) of a window as of a day; NaN where it has not begun."""
        if window.kind in self.started:
            return pick(self.started[window.kind], rows)
        return np.full(n, -np.inf if window.kind == "ever" else day - window.days)

    def asked(
        self, rows: Rows, day: float, kept: float
    ) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], FloatArray]:
        """Whether events were asked for lately enough that unreported ones did not happen, and when that was."""
        review = pick(self.reviewed, rows)
        asked = day - review <= kept
        review[np.isinf(review)] = np.nan
        return asked, review


class Course:
    """All that is kept of the events of one term: by grade, when the last one ended and began; the latest beginning."""

    def __init__(self, n: int) -> None:
        self.end = np.full((_GRADES, n), -np.inf)
        self.began = np.full((_GRADES, n), np.nan)
        self.latest = nothing(n)
        # how many go on, and what the last one that ended had been when the first of them began: both to take one back
        self._going_on = np.zeros((_GRADES, n), dtype=np.int16)
        self._end_before = np.full((_GRADES, n), -np.inf)
        self._began_before = np.full((_GRADES, n), np.nan)
        self.seen = np.zeros(_GRADES, dtype=np.bool_)

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        """Events (m,), each row once; NaN grade: not graded, NaN end: going on."""
        level = np.where(np.isnan(grade), 0.0, grade).astype(np.int64)
        until = np.where(np.isnan(end), np.inf, end)
        self.seen[level] = True
        old = self.end[level, rows]
        later = (until > old) | ((until == old) & ~(start <= self.began[level, rows]))
        open_ = np.isinf(until)
        self._going_on[level[open_], rows[open_]] += 1
        first = open_ & ~np.isposinf(old)
        self._keep(rows[first], level[first], old[first], self.began[level[first], rows[first]])
        behind = ~open_ & np.isposinf(old)
        behind[behind] = until[behind] > self._end_before[level[behind], rows[behind]]
        self._keep(rows[behind], level[behind], until[behind], start[behind])
        at, to = rows[later], level[later]
        self.end[to, at] = until[later]
        self.began[to, at] = start[later]
        self.latest[rows] = np.fmax(self.latest[rows], start)

    def withdraw(self, rows: IntArray, grade: FloatArray) -> None:
        """Take back that an event of each row (m,), each row once, goes on with this grade (0: not graded)."""
        level = grade.astype(np.int64)
        if (self._going_on[level, rows] < 1).any():
            raise ValueError("only an event that goes on can be told anew")
        self._going_on[level, rows] -= 1
        last = self._going_on[level, rows] == 0
        at, of = rows[last], level[last]
        self.end[of, at], self.began[of, at] = self._end_before[of, at], self._began_before[of, at]

    def _keep(self, rows: IntArray, level: IntArray, end: FloatArray, began: FloatArray) -> None:
        self._end_before[level, rows], self._began_before[level, rows] = end, began

    def worst_since(self, rows: Rows, first: FloatArray, last: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of the events that went on at some day from `first` (m,) to `last`: the lower and upper bound of the worst
        grade (0 = no event) and when the worst began."""
        m = first.size
        least, most, day = np.zeros(m), np.zeros(m), nothing(m)
        for grade in np.flatnonzero(self.seen).tolist():
            end, began = (each[grade] if rows is None else each[grade, rows] for each in (self.end, self.began))
            on = (end >= first) & (began <= last)
            np.copyto(least, max(grade, 1), where=on)
            np.copyto(most, grade or _WORST, where=on if grade == 0 else on & (most < grade))
            np.copyto(day, began, where=on)
        return least, most, day


class EventAccumulator(Accumulator):
    """Base of what answers about events; `kept` is for how many days after a review their absence holds."""

    def __init__(self, n: int, clock: Clock, kept: float) -> None:
        self._n = n
        self._clock = clock
        self._kept = kept

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        """Events (m,) of the term, each row once."""

    def size(self, rows: Rows) -> int:
        return self._n if rows is None else rows.size


def _bounded(least: FloatArray, most: FloatArray, day: FloatArray) -> Column:
    value = np.where(least == most, least, np.nan)
    return Column(value, day, least=least, most=most)


class InProgress(EventAccumulator):
    """The worst grade of what is going on: 0 = nothing, known only after a review."""

    def __init__(self, n: int, clock: Clock, kept: float, course: Course) -> None:
        super().__init__(n, clock, kept)
        self._course = course

    def column(self, rows: Rows, day: float) -> Column:
        least, most, began = self._course.worst_since(rows, np.full(self.size(rows), day), day)
        asked, review = self._clock.asked(rows, day, self._kept)
        on = least > 0
        most[~on & ~asked] = _WORST
        return _bounded(least, most, np.where(on, began, review))


class WorstGrade(EventAccumulator):
    """The worst grade of the events that went on in a window."""

    def __init__(self, n: int, clock: Clock, kept: float, course: Course, window: Window) -> None:
        super().__init__(n, clock, kept)
        self._course = course
        self._window = window

    def column(self, rows: Rows, day: float) -> Column:
        first = self._clock.opens(self._window, rows, day, self.size(rows))
        least, most, began = self._course.worst_since(rows, first, day)
        asked, review = self._clock.asked(rows, day, self._kept)
        most[~asked | np.isnan(first)] = _WORST
        return _bounded(least, most, np.where(least > 0, began, review))


class Since(EventAccumulator):
    """Days since the latest beginning of an event: infinite where a review found none."""

    def __init__(self, n: int, clock: Clock, kept: float, course: Course) -> None:
        super().__init__(n, clock, kept)
        self._course = course

    def column(self, rows: Rows, day: float) -> Column:
        latest = pick(self._course.latest, rows)
        asked, review = self._clock.asked(rows, day, self._kept)
        most = np.where(np.isnan(latest), np.inf, day - latest)
        least = np.where(asked, most, 0.0)
        return _bounded(least, most, np.where(np.isnan(latest), review, latest))


class Count(EventAccumulator):
    """How many events began in a window that opens with a cycle, the treatment, or never closed."""

    def __init__(self, n: int, clock: Clock, kept: float, window: Window) -> None:
        super().__init__(n, clock, kept)
        self._window = window
        self._count = np.zeros(n)
        self._latest = nothing(n)  # latest beginning, and how many began on that day: a window may open on it later
        self._on_latest = np.zeros(n)

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        if self._window.kind == "ever":
            self._count[rows] += 1
        else:
            self._count[rows] += start >= self._clock.started[self._window.kind][rows]
        latest = self._latest[rows]
        later = ~(start <= latest)
        self._on_latest[rows] = np.where(later, 1, self._on_latest[rows] + (start == latest))
        self._latest[rows] = np.where(later, start, latest)

    def start(self, rows: IntArray, day: float, what: str) -> None:
        if what == self._window.kind:
            self._count[rows] = np.where(self._latest[rows] == day, self._on_latest[rows], 0)

    def column(self, rows: Rows, day: float) -> Column:
        first = self._clock.opens(self._window, rows, day, self.size(rows))
        least = pick(self._count, rows)
        least[np.isnan(first)] = 0
        return self._answer(rows, day, least, pick(self._latest, rows), np.isnan(first))

    def _answer(self, rows: Rows, day: float, least: FloatArray, latest: FloatArray, closed: np.ndarray) -> Column:
        asked, review = self._clock.asked(rows, day, self._kept)
        most = np.where(asked & ~closed, least, np.inf)
        return _bounded(least, most, np.where(least > 0, latest, review))


class SlidingCount(Count):
    """How many events began in the last so many days: the beginnings that are still within it, in a few columns."""

    def __init__(self, n: int, clock: Clock, kept: float, window: Window) -> None:
        super().__init__(n, clock, kept, window)
        self._starts = np.full((1, n), np.nan)

    def event(self, rows: IntArray, start: FloatArray, grade: FloatArray, end: FloatArray) -> None:
        held = self._starts[:, rows]
        now = np.fmax(np.fmax.reduce(held, axis=0), start)
        held[held < now - self._window.days] = np.nan
        free = np.isnan(held)
        full = ~free.any(axis=0)
        if full.any():
            self._starts = np.concatenate([self._starts, np.full((1, self._starts.shape[1]), np.nan)])
            held = np.concatenate([held, np.full((1, rows.size), np.nan)])
            free = np.isnan(held)
        held[free.argmax(axis=0), np.arange(rows.size)] = start
        self._starts[:, rows] = held

    def column(self, rows: Rows, day: float) -> Column:
        held = self._starts if rows is None else self._starts[:, rows]
        inside = (held >= day - self._window.days) & (held <= day)
        least = inside.sum(axis=0).astype(np.float64)
        latest = np.fmax.reduce(np.where(inside, held, np.nan), axis=0)
        return self._answer(rows, day, least, latest, np.zeros(least.shape, dtype=np.bool_))

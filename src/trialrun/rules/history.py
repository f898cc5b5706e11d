"""What rules remember: one accumulator a question, updated as observations arrive, never a scan of the past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from trialrun.rules.accumulate import Accumulator, Baseline, Extreme, First, Lasting, Latest, SlidingExtreme, State
from trialrun.rules.columns import Columns, FloatArray, IntArray
from trialrun.rules.evaluate import truth_of
from trialrun.rules.event_accumulate import (
    Clock,
    Count,
    Course,
    EventAccumulator,
    InProgress,
    Since,
    SlidingCount,
    WorstGrade,
)
from trialrun.rules.nodes import inputs_of
from trialrun.rules.terms import Input


class History:
    """The accumulators of n subjects for a set of rules.

    Results are given in order of their day (a result of an earlier day than the last one of that test is a ValueError);
    those of one day may come in any order, and so may a cycle that starts on that day. Events are given once each, when
    they become known. All arrays have one element for each element of `rows`, which are positions from 0 to n - 1.
    """

    def __init__(self, inputs: Iterable[Input], n: int) -> None:
        self.n = n
        self._clock = Clock(n)
        self._courses: dict[str, Course] = {}
        self._of: dict[Input, Accumulator] = {}
        self._by_term: dict[str, list[Accumulator]] = {}
        self._events: dict[str, list[EventAccumulator]] = {}
        self._lasting: dict[str, list[tuple[Input, Lasting]]] = {}
        self._last_day: dict[str, FloatArray] = {}
        for item in inputs:
            self._add(item)

    def _add(self, item: Input) -> None:
        if item in self._of:
            return
        accumulator = self._make(item)
        self._of[item] = accumulator
        if isinstance(accumulator, Lasting):
            assert item.predicate is not None  # the reader gives every `lasting` its predicate
            parts = inputs_of(item.predicate)
            for part in parts:
                self._add(part)
            for term in {part.term for part in parts}:
                self._lasting.setdefault(term, []).append((item, accumulator))
        elif isinstance(accumulator, EventAccumulator):
            self._events.setdefault(item.term, []).append(accumulator)
        else:
            self._by_term.setdefault(item.term, []).append(accumulator)

    def _make(self, item: Input) -> Accumulator:
        """The accumulator that remembers what this input asks."""
        n, window, kept = self.n, item.window, item.current_for or 0.0
        match item.remember:
            case "current":
                return Latest(n, item.worst, kept)
            case "last":
                return Latest(n, item.worst, None)
            case "first":
                return First(n, item.worst)
            case "baseline":
                return Baseline(n, item.worst)
            case "state":
                return State(n)
            case "lasting":
                return Lasting(n, item.days)
            case "event":
                return InProgress(n, self._clock, kept, self._course(item.term))
            case "since":
                return Since(n, self._clock, kept, self._course(item.term))
        assert window is not None  # the reader gives each of the others its window
        match item.remember:
            case "worst grade":
                return WorstGrade(n, self._clock, kept, self._course(item.term), window)
            case "count":
                return (SlidingCount if window.kind == "last" else Count)(n, self._clock, kept, window)
        if window.kind == "last":
            return SlidingExtreme(n, item.remember == "lowest", window.days)
        return Extreme(n, item.remember == "lowest", window.kind)

    @property
    def judged(self) -> frozenset[str]:
        """The terms of the predicates that may last: these are judged with each observation of one of them."""
        return frozenset(self._lasting)

    def _course(self, term: str) -> Course:
        return self._courses.setdefault(term, Course(self.n))

    def observe(
        self,
        term: str,
        rows: IntArray,
        day: float,
        values: FloatArray,
        low: FloatArray | None = None,
        high: FloatArray | None = None,
    ) -> None:
        """Results (m,) of a test on one day, in the test's canonical unit (truths 0/1), with the limits of their range.

        NaN is no result and changes nothing: what was known before stays, for as long as it is current.
        """
        values = np.asarray(values, dtype=np.float64)
        known = ~np.isnan(values)
        if not known.all():
            rows, values = rows[known], values[known]
            low = low[known] if low is not None else None
            high = high[known] if high is not None else None
        accumulators, lasting = self._by_term.get(term, ()), self._lasting.get(term, ())
        if rows.size == 0 or not accumulators:
            return
        if term not in self._last_day:
            self._last_day[term] = np.full(self.n, -np.inf)
        last = self._last_day[term]
        if (last[rows] > day).any():
            raise ValueError(f"{term} of day {day:g} comes after a result of a later day of the same subject")
        low = np.broadcast_to(np.nan, rows.shape) if low is None else np.asarray(low, dtype=np.float64)
        high = np.broadcast_to(np.nan, rows.shape) if high is None else np.asarray(high, dtype=np.float64)
        for at in _rounds(rows):
            here = rows[at]
            last[here] = day
            for accumulator in accumulators:
                accumulator.observe(here, day, values[at], low[at], high[at])
        for item, run in lasting:
            self._judge(item, run, rows if _increasing(rows) else np.unique(rows), day)

    def _judge(self, item: Input, run: Lasting, rows: IntArray, day: float) -> None:
        """Judge a predicate that may last, on a day that has a result (of each row once)."""
        assert item.predicate is not None  # the reader gives every `lasting` its predicate
        parts = {part: self._of[part].column(rows, day) for part in inputs_of(item.predicate)}
        run.judge(rows, day, truth_of(item.predicate, Columns(day, rows.size, parts)))

    def event(
        self,
        term: str,
        rows: IntArray,
        day: FloatArray | float,
        grade: FloatArray,
        end_day: FloatArray | None = None,
    ) -> None:
        """Events (m,) of one term: the day they began, their grade (1 to 5; NaN: not graded), the last day they went on
        (NaN or None: going on)."""
        start = np.broadcast_to(np.asarray(day, dtype=np.float64), rows.shape)
        grade = np.asarray(grade, dtype=np.float64)
        end = np.full(rows.shape, np.nan) if end_day is None else np.asarray(end_day, dtype=np.float64)
        _check_grades(term, grade)
        for at in _rounds(rows):
            if term in self._courses:
                self._courses[term].event(rows[at], start[at], grade[at], end[at])
            for accumulator in self._events.get(term, ()):
                accumulator.event(rows[at], start[at], grade[at], end[at])

    def update_event(
        self, term: str, rows: IntArray, day: FloatArray, before: FloatArray, grade: FloatArray, end_day: FloatArray
    ) -> None:
        """Events (m,) that were given as going on with the grade `before` (0: not graded), as they are known by now.

        They are the same events, begun on the same day: they are not counted again. A ValueError where none was going on.
        """
        _check_grades(term, grade)
        course = self._courses.get(term)
        if course is None:  # no rule asks for grade or duration
            return
        for at in _rounds(rows):
            course.withdraw(rows[at], before[at])
            course.event(rows[at], day[at], grade[at], end_day[at])

    def reviewed(self, rows: IntArray, day: float) -> None:
        """A visit that asked for events was completed: what was not reported is absent up to this day."""
        self._clock.reviewed[rows] = np.maximum(self._clock.reviewed[rows], day)

    def set_state(self, term: str, rows: IntArray, values: FloatArray) -> None:
        """States (m,) as they are now: numbers in the term's unit, truths 0/1, categories as index; NaN = unknown."""
        for accumulator in self._by_term.get(term, ()):
            accumulator.set_state(rows, values)

    def set_baseline(self, rows: IntArray) -> None:
        """The last value given so far becomes baseline: the first dose follows."""
        for accumulators in self._by_term.values():
            for accumulator in accumulators:
                accumulator.set_baseline(rows)

    def start_treatment(self, rows: IntArray, day: float) -> None:
        """The first dose was given on this day: `since first dose` counts from it on, its results included.

        `set_baseline` comes before it.
        """
        self._start(rows, day, "treatment")
        for item, run in {item: run for runs in self._lasting.values() for item, run in runs}.items():
            # that day's results were judged before there was a baseline
            today = rows[run.day[rows] == day]
            if today.size:
                self._judge(item, run, today, day)

    def start_cycle(self, rows: IntArray, day: float) -> None:
        """A cycle's first dose was given on this day: `this cycle` counts from it on, its results included."""
        self._start(rows, day, "cycle")

    def _start(self, rows: IntArray, day: float, what: Literal["cycle", "treatment"]) -> None:
        self._clock.started[what][rows] = day
        for accumulator in self._of.values():
            accumulator.start(rows, day, what)

    def columns(self, day: float, rows: IntArray, wanted: Iterable[Input] | None = None) -> Columns:
        """The columns of these rows (m,) as of a day; they stay as they are when the history goes on.

        `wanted` names the inputs of the rules that are to be evaluated (None: all that the history keeps).
        """
        everyone = (
            rows.size == self.n and rows.size > 0 and rows[0] == 0 and rows[-1] == self.n - 1 and _increasing(rows)
        )
        which = None if everyone else rows
        items = self._of if wanted is None else wanted
        return Columns(day, rows.size, {item: self._of[item].column(which, day) for item in items})


def _check_grades(term: str, grade: FloatArray) -> None:
    graded = grade[~np.isnan(grade)]
    if ((graded < 1) | (graded > 5) | (graded != np.floor(graded))).any():
        raise ValueError(f"a grade of {term} is not one of 1 to 5")


def _increasing(rows: IntArray) -> bool:
    return rows.size < 2 or bool((rows[1:] > rows[:-1]).all())


def _rounds(rows: IntArray) -> Iterator[slice | IntArray]:
    """Positions of `rows` in rounds that have each subject at most once."""
    if _increasing(rows):
        yield slice(None)
        return
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(rows.size), 0))
    turn = np.arange(rows.size) - start
    for number in range(int(turn.max()) + 1):
        yield order[turn == number]

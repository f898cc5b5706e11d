"""What rules remember: one accumulator a question, updated as observations arrive, never a scan of the past."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.accumulate import Accumulator, Columns, EventState, Lasting, make_accumulator
from trialrun.rules.evaluate import truth_of
from trialrun.rules.nodes import inputs_of
from trialrun.rules.terms import Input

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class History:
    """The accumulators of n subjects for a set of rules.

    Observations are given in order of their day; those of one day may come in any order: of two results of the same
    test on one day the worse counts where one direction is worse, else differing results make the day's value unknown.
    """

    def __init__(self, inputs: Iterable[Input], n: int) -> None:
        self.n = n
        self._of: dict[Input, Accumulator] = {}
        for item in inputs:
            self._add(item)
        self._by_term: dict[str, list[Accumulator]] = {}
        self._lasting: list[tuple[Input, Lasting]] = []
        for item, accumulator in self._of.items():
            if isinstance(accumulator, Lasting):
                self._lasting.append((item, accumulator))
            else:
                self._by_term.setdefault(item.term, []).append(accumulator)
        self._pending: set[float] = set()
        self._started = np.zeros(n, dtype=np.bool_)

    def _add(self, item: Input) -> None:
        if item in self._of:
            return
        if item.remember == "lasting":
            assert item.predicate is not None
            for part in inputs_of(item.predicate):
                self._add(part)
        self._of[item] = make_accumulator(item, self.n)

    def observe(
        self,
        term: str,
        rows: IntArray,
        day: float,
        values: FloatArray,
        low: FloatArray | None = None,
        high: FloatArray | None = None,
    ) -> None:
        """Results (m,) of a test for these rows on one day, in the test's canonical unit; NaN is no result."""
        known = ~np.isnan(values)
        if not known.all():
            rows, values = rows[known], values[known]
            low = low[known] if low is not None else None
            high = high[known] if high is not None else None
        if rows.size == 0:
            return
        self._flush_before(day)
        nothing = np.full(rows.shape, np.nan)
        for accumulator in self._by_term.get(term, ()):
            accumulator.observe(rows, day, values, nothing if low is None else low, nothing if high is None else high)
        self._note(term, rows, day)

    def event(
        self, term: str, rows: IntArray, day: FloatArray | float, grade: FloatArray, end_day: FloatArray | None = None
    ) -> None:
        """Events (m,) with their start, grade (NaN = not graded) and end (NaN = going on)."""
        start = np.broadcast_to(np.asarray(day, dtype=np.float64), rows.shape)
        end = np.full(rows.shape, np.nan) if end_day is None else end_day
        for accumulator in self._by_term.get(term, ()):
            accumulator.event(rows, start, grade, end)
        if rows.size:
            self._note(term, rows, float(start.max()))

    def reviewed(self, rows: IntArray, day: float) -> None:
        """A visit that asked for events was completed: what was not reported is absent up to this day."""
        for accumulators in self._by_term.values():
            for accumulator in accumulators:
                accumulator.reviewed(rows, day)
        for item, lasting in self._lasting:
            if any(isinstance(self._of[part], EventState) for part in self._parts(item)):
                lasting.touched[rows] = True
                self._pending.add(day)

    def set_state(self, term: str, rows: IntArray, values: FloatArray) -> None:
        """States (m,) as they are now: numbers in the term's unit, truths 0/1, categories as index; NaN = unknown."""
        for accumulator in self._by_term.get(term, ()):
            accumulator.set(rows, values)

    def set_baseline(self, rows: IntArray) -> None:
        """The last value before the first dose becomes baseline."""
        for accumulators in self._by_term.values():
            for accumulator in accumulators:
                accumulator.set_baseline(rows)

    def start_treatment(self, rows: IntArray, day: float) -> None:
        """The first dose was given: `since first dose` counts from here on."""
        self._flush_before(np.inf)
        for accumulators in self._by_term.values():
            for accumulator in accumulators:
                accumulator.start(rows, "treatment")

    def start_cycle(self, rows: IntArray, day: float) -> None:
        """A cycle's first dose was given: `this cycle` counts from here on."""
        for accumulators in self._by_term.values():
            for accumulator in accumulators:
                accumulator.start(rows, "cycle")

    def columns(self, day: float, rows: IntArray) -> Columns:
        """The columns of these rows (m,) as of a day."""
        self._flush_before(np.inf)
        return Columns(day, rows.size, {item: self._of[item].column(rows, day) for item in self._of})

    def _parts(self, item: Input) -> list[Input]:
        assert item.predicate is not None
        return inputs_of(item.predicate)

    def _note(self, term: str, rows: IntArray, day: float) -> None:
        for item, lasting in self._lasting:
            if any(part.term == term for part in self._parts(item)):
                lasting.touched[rows] = True
                self._pending.add(day)

    def _flush_before(self, day: float) -> None:
        """Evaluate lasting predicates for the days that are complete: a day is complete when a later one begins."""
        if not self._lasting or not self._pending or min(self._pending) >= day:
            return
        when = max(item for item in self._pending if item < day)
        for item, lasting in self._lasting:
            rows = np.flatnonzero(lasting.touched)
            if rows.size and item.predicate is not None:
                parts = {part: self._of[part].column(rows, when) for part in self._parts(item)}
                lasting.update(rows, when, truth_of(item.predicate, Columns(when, rows.size, parts)))
                lasting.touched[rows] = False
        self._pending = {item for item in self._pending if item >= day}

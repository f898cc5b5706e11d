"""What rules are evaluated on: a column for each accumulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.terms import Input
from trialrun.rules.truth import Truth

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK = 32_768


@dataclass(frozen=True, slots=True)
class Column:
    """One accumulator's answer for m subjects.

    `value` (m,) is NaN where it is not exactly known (truths are 1 and 0, categories their index, events the grade
    with 0 = absent); `day` (m,) is the day offset of the observation it comes from (NaN: none); `low` and `high` (m,)
    are the limits of the reference range of that observation (NaN: none; None: it has no range). `least` and `most`
    (m,) bound a value that is not exactly known, where events may have gone unreported (None: no bounds beyond
    `value`). `truth` goes with persistence alone.
    """

    value: FloatArray
    day: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None
    least: FloatArray | None = None
    most: FloatArray | None = None
    truth: Truth | None = None

    def take(self, rows: IntArray | slice) -> Column:
        """The same for some of the subjects."""
        return Column(
            self.value[rows],
            self.day[rows],
            None if self.low is None else self.low[rows],
            None if self.high is None else self.high[rows],
            None if self.least is None else self.least[rows],
            None if self.most is None else self.most[rows],
            None if self.truth is None else self.truth[rows],
        )


@dataclass(frozen=True, slots=True)
class Columns:
    """A column of m subjects for each accumulator, as of a day (offset, first dose = 0)."""

    day: float
    size: int
    values: Mapping[Input, Column] = field(default_factory=dict)

    def __getitem__(self, item: Input) -> Column:
        return self.values[item]

    def take(self, rows: IntArray) -> Columns:
        """The same for some of the subjects, by their position."""
        return Columns(self.day, rows.size, {item: column.take(rows) for item, column in self.values.items()})

    def blocks(self) -> Iterator[tuple[slice, Columns]]:
        """The subjects in blocks that a processor's cache holds, each with its place; one block where they are few."""
        if self.size <= _BLOCK:
            yield slice(0, self.size), self
            return
        for start in range(0, self.size, _BLOCK):
            place = slice(start, min(start + _BLOCK, self.size))
            part = {item: column.take(place) for item, column in self.values.items()}
            yield place, Columns(self.day, place.stop - start, part)

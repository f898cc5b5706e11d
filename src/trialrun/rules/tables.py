"""First-row tables: the first row that holds applies; an unknown row stops those below it if they do otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.actions import Action
from trialrun.rules.columns import Columns
from trialrun.rules.evaluate import evaluate
from trialrun.rules.explain import explain
from trialrun.rules.rule import Rule
from trialrun.rules.truth import TRUE, UNKNOWN
from trialrun.vocab.problems import Location


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `when` None is `otherwise`. `up_to` is what else tells its action apart, such as a highest dose."""

    when: Rule | None
    then: Action
    location: Location
    up_to: str | None = None

    def does_same_as(self, other: Row) -> bool:
        """Whether both rows do the same thing when they hold."""
        return self.up_to == other.up_to and self.then.does_same_as(other.then)


@dataclass(frozen=True)
class Table:
    """A table of rows with its section and its sentence."""

    name: str
    section: str
    says: str
    rows: tuple[Row, ...]

    @cached_property
    def kinds(self) -> tuple[int, ...]:
        """A number for each row, the same for rows that do the same."""
        return tuple(
            next(other for other, above in enumerate(self.rows) if above.does_same_as(item)) for item in self.rows
        )


@dataclass(frozen=True, slots=True)
class TableResult:
    """`row` (m,) the index of the row that applies, or the first unknown row where undetermined, -1 where none holds;
    `undetermined` (m,) whether an unknown row could change the answer; `table` and `columns` are what was evaluated."""

    row: NDArray[np.int64]
    undetermined: NDArray[np.bool_]
    table: Table
    columns: Columns

    def waits_for(self, row: int) -> tuple[str, ...]:
        """What an undetermined answer for the subject at position `row` waits for: the unknown inputs of the rows
        that could still decide otherwise than the first row that holds for certain."""
        if not self.undetermined[row]:
            return ()
        one = self.columns.take(np.array([row]))
        unknown: list[tuple[Row, tuple[str, ...]]] = []
        certain: Row | None = None
        for item in self.table.rows:
            if item.when is None:
                certain = item
                break
            explanation = explain(item.when, one, 0)
            if explanation.verdict == "true":
                certain = item
                break
            if explanation.verdict == "unknown":
                unknown.append((item, explanation.waits_for))
        # rows that do the same as the certain one matter only while one below them could do otherwise
        while unknown and certain is not None and unknown[-1][0].does_same_as(certain):
            unknown.pop()
        return tuple(dict.fromkeys(name for _, names in unknown for name in names))


def evaluate_table(table: Table, columns: Columns) -> TableResult:
    """Evaluate a table for the m subjects of `columns`.

    While an earlier row is unknown a later one applies only if it does the same.
    """
    row = np.empty(columns.size, dtype=np.int64)
    undetermined = np.empty(columns.size, dtype=np.bool_)
    for place, block in columns.blocks():
        row[place], undetermined[place] = _decide(table, block)
    return TableResult(row, undetermined, table, columns)


def _decide(table: Table, columns: Columns) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """`row` and `undetermined` of a block of subjects."""
    # sums and products of masks instead of assignments where they are true: no branch to mispredict
    m = columns.size
    row = np.full(m, -1, dtype=np.int16)
    first_unknown = np.full(m, -1, dtype=np.int16)
    waiting = np.full(
        m, -1, dtype=np.int16
    )  # the kind of the first unknown row, and whether others are of another kind
    several = np.zeros(m, dtype=np.bool_)
    undetermined = np.zeros(m, dtype=np.bool_)
    open_ = np.ones(m, dtype=np.bool_)
    for number, (item, kind) in enumerate(zip(table.rows, table.kinds, strict=True)):
        verdict = np.full(m, TRUE, dtype=np.int8) if item.when is None else evaluate(item.when, columns)
        if not verdict.any():  # false for everybody, as most rows are on most days
            continue
        holds = open_ & (verdict == TRUE)
        waits = waiting >= 0
        differs = waits & (waiting != kind)
        row += holds * np.int16(number + 1)
        undetermined |= holds & (several | differs)
        open_ &= ~holds
        unsure = open_ & (verdict == UNKNOWN)
        new = unsure & ~waits
        several |= unsure & differs
        first_unknown += new * np.int16(number + 1)
        waiting += new * np.int16(kind + 1)
    # no row holds for certain: an unknown one might
    undetermined |= open_ & (waiting >= 0)
    return np.where(undetermined, first_unknown, row), undetermined

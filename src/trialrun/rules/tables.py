"""First-row tables: the first row that holds applies; an unknown row stops those below it if they do otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.accumulate import Columns
from trialrun.rules.actions import Action
from trialrun.rules.evaluate import evaluate
from trialrun.rules.rule import Rule
from trialrun.rules.truth import TRUE, UNKNOWN
from trialrun.vocab.problems import Location


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `when` None is `otherwise`."""

    when: Rule | None
    then: Action
    location: Location


@dataclass(frozen=True, slots=True)
class Table:
    """A table of rows with its section and its sentence."""

    name: str
    section: str
    says: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class TableResult:
    """`row` (m,) the index of the row that applies, or the first unknown row where undetermined, -1 where none holds;
    `undetermined` (m,) whether an unknown row could change the answer."""

    row: NDArray[np.int64]
    undetermined: NDArray[np.bool_]


def evaluate_table(table: Table, columns: Columns) -> TableResult:
    """Evaluate a table for the m subjects of `columns`.

    While an earlier row is unknown a later one applies only if it does the same.
    """
    m = columns.size
    row = np.full(m, -1, dtype=np.int64)
    first_unknown = np.full(m, -1, dtype=np.int64)
    open_ = np.ones(m, dtype=np.bool_)
    undetermined = np.zeros(m, dtype=np.bool_)
    actions = list(dict.fromkeys(item.then.text for item in table.rows))
    unknown_actions = np.zeros((len(actions), m), dtype=np.bool_)
    for number, item in enumerate(table.rows):
        action = actions.index(item.then.text)
        verdict = np.full(m, TRUE, dtype=np.int8) if item.when is None else evaluate(item.when, columns)
        holds = open_ & (verdict == TRUE)
        others = np.delete(unknown_actions, action, axis=0).any(axis=0)
        row[holds & ~others] = number
        undetermined |= holds & others
        open_ &= ~holds
        unsure = open_ & (verdict == UNKNOWN)
        unknown_actions[action, unsure] = True
        first_unknown[unsure & (first_unknown == -1)] = number
    # no row holds for certain: an unknown one might
    undetermined |= open_ & (first_unknown >= 0)
    row[undetermined] = first_unknown[undetermined]
    return TableResult(row, undetermined)

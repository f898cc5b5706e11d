"""Several arrays of one subject and level made one: the mean of log2 values, the sum of counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trialrun.analysis.expression.fit import compute_row_means
from trialrun.analysis.expression.matrix import ExpressionMatrix


def merge_duplicates(
    matrix: ExpressionMatrix, position: dict[int, int], rows: list[int], keys: list[tuple[str, str]]
) -> tuple[ExpressionMatrix, list[int]]:
    """One sample a key, under the name and sheet row of the first; `rows` are sheet rows, `position` their columns."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, key in zip(rows, keys, strict=True):
        groups.setdefault(key, []).append(row)
    values = matrix.values.copy()
    for group in groups.values():
        if len(group) > 1:
            columns = [position[row] for row in group]
            block = matrix.values[:, columns]
            values[:, columns[0]] = block.sum(axis=1) if matrix.scale == "counts" else compute_row_means(block)
    return replace(matrix, values=np.ascontiguousarray(values)), [group[0] for group in groups.values()]

"""The order of a record's lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.engine.entries import order_by_row

BATCH = st.lists(st.integers(0, 20), unique=True, max_size=21)


@given(st.lists(BATCH, max_size=12))
def test_lines_stand_by_row_and_in_a_row_as_they_came(batches: list[list[int]]) -> None:
    arrays = [np.array(rows, dtype=np.int64) for rows in batches]
    order = order_by_row(arrays)
    came = [(row, number) for number, rows in enumerate(batches) for row in rows]
    assert [came[at] for at in order] == sorted(came)


@pytest.mark.parametrize("batches", [[], [np.zeros(0, dtype=np.int64)]])
def test_no_lines_have_an_order(batches: list[np.ndarray]) -> None:
    assert order_by_row(batches).tolist() == []

"""Kleene's connectives against their meaning: the verdict is known where every completion agrees."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from trialrun.rules.truth import FALSE, TRUE, UNKNOWN, all_of, any_of, at_least, each_measured, from_known, negate

VALUES = (FALSE, TRUE, UNKNOWN)
THREE = list(product(VALUES, repeat=3))


def columns(rows: list[tuple[int, ...]]) -> list[np.ndarray]:
    return [np.array(column, dtype=np.int8) for column in zip(*rows, strict=True)]


def completed(row: tuple[int, ...], meaning: Callable[[list[bool]], bool]) -> int:
    open_ = [(False, True) if value == UNKNOWN else (bool(value),) for value in row]
    answers = {meaning(list(choice)) for choice in product(*open_)}
    return UNKNOWN if len(answers) > 1 else int(answers.pop())


@pytest.mark.parametrize(
    ("connective", "meaning"),
    [
        (all_of, all),
        (any_of, any),
        (lambda verdicts: at_least(1, verdicts), any),
        (lambda verdicts: at_least(2, verdicts), lambda values: sum(values) >= 2),
        (lambda verdicts: at_least(3, verdicts), all),
        (lambda verdicts: negate(verdicts[0]), lambda values: not values[0]),
    ],
)
def test_a_verdict_is_known_where_every_completion_agrees(connective, meaning) -> None:  # type: ignore[no-untyped-def]
    found = connective(columns(THREE))
    assert found.dtype == np.int8
    assert found.tolist() == [completed(row, meaning) for row in THREE]


def test_each_measured_passes_over_what_is_unknown() -> None:
    found = each_measured(columns(THREE)).tolist()
    for row, verdict in zip(THREE, found, strict=True):
        known = [value for value in row if value != UNKNOWN]
        assert verdict == (UNKNOWN if not known else int(all(known)))


def test_from_known() -> None:
    known, value = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert from_known(known, value).tolist() == [TRUE, FALSE, UNKNOWN, UNKNOWN]


def test_verdicts_that_are_joined_stay_as_they_are() -> None:
    first = np.array([TRUE, UNKNOWN], dtype=np.int8)
    for connective in (all_of, any_of):
        joined = connective([first, np.array([FALSE, FALSE], dtype=np.int8)])
        joined[:] = 5
        assert first.tolist() == [TRUE, UNKNOWN]

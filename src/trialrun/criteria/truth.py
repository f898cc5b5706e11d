"""Three values over whole columns: TRUE, FALSE, UNKNOWN, as int8 arrays; and comparisons that survive binary rounding.

The codes are those of the rule language (1, 0, -1). A number that is not known is NaN and compares as UNKNOWN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialrun.vocab.problems import Problem, TrialrunError

Numbers = NDArray[np.float64]
Truths = NDArray[np.int8]
Operator = Literal["<", "<=", ">", ">="]

FALSE = np.int8(0)
TRUE = np.int8(1)
UNKNOWN = np.int8(-1)
_NOT = np.array([1, 0, -1], dtype=np.int8)  # by code: of false, of true and, from the end, of unknown
_HOLDS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}

# Two numbers closer than this, relative to the bound, are the same number: products, sums and ratios of printed
# decimals carry a few units in the last of 16 binary digits (12 significant digits are far more than any laboratory).
SAME = 5e-13


def as_numbers(values: ArrayLike) -> Numbers:
    """Any numbers as a float64 array; None and NaN are unknown. Text is a TrialrunError."""
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        problem = Problem("not-a-number", "numbers are needed", repr(values)[:60], "numbers, or NaN where unknown")
        raise TrialrunError(problem) from None


def as_truths(values: ArrayLike) -> Truths:
    """Booleans, None (unknown) or the codes 1, 0, -1 as an int8 array."""
    array = np.atleast_1d(np.asarray(values))
    if array.dtype == np.bool_:
        return array.astype(np.int8)
    if array.dtype == object:
        array = np.array([-1 if value is None else value for value in array.tolist()])
    codes = array.astype(np.int8)
    if not ((codes >= -1) & (codes <= 1) & (codes == array)).all():
        raise TrialrunError(Problem("not-a-truth", "not a truth value", repr(values)[:60], "true, false or unknown"))
    return codes


def compare(values: Numbers, operator: Operator, bound: float | Numbers) -> Truths:
    """Whether each value stands so to its bound (same unit); UNKNOWN where either is NaN. Shapes broadcast."""
    if isinstance(bound, float | int) and math.isfinite(bound):
        # a finite bound: the comparison with the bound moved by its room says the same in one step
        moved = bound - SAME * abs(bound) if operator in (">=", "<") else bound + SAME * abs(bound)
        found: Truths = _HOLDS[operator](values, moved).view(np.int8)
        found[np.isnan(values)] = UNKNOWN
        return found
    limit = np.asarray(bound, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        distance = values - limit
        room = SAME * np.abs(limit)
        if operator == ">=":
            holds = distance >= -room
        elif operator == ">":
            holds = distance > room
        elif operator == "<=":
            holds = distance <= room
        else:
            holds = distance < -room
        equal = values == limit  # both infinite: the distance is NaN
    holds = np.where(equal, operator in (">=", "<="), holds)
    return cast(Truths, np.where(np.isnan(values) | np.isnan(limit), UNKNOWN, holds.astype(np.int8)))


def negate(truth: Truths) -> Truths:
    """Not: unknown stays unknown."""
    return _NOT[truth]


def both(left: Truths, right: Truths) -> Truths:
    """And: false when one is false, true when both are, unknown otherwise."""
    return cast(Truths, np.minimum(left, right) * np.abs(left * right))


def either(left: Truths, right: Truths) -> Truths:
    """Or: true when one is true, false when both are, unknown otherwise."""
    most = np.maximum(left, right)
    return cast(Truths, most + np.minimum(left, right) * (most == FALSE))


def every(truths: Iterable[Truths]) -> Truths:
    """And of several columns (at least one)."""
    return reduce(both, truths)


def some(truths: Iterable[Truths]) -> Truths:
    """Or of several columns (at least one)."""
    return reduce(either, truths)


def sure(truth: Truths) -> NDArray[np.bool_]:
    """Where it is known to be true."""
    return np.equal(truth, TRUE)

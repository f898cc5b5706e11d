"""Three values over whole columns: TRUE, FALSE, UNKNOWN, as int8 arrays; and comparisons that survive binary rounding.

The codes are those of the rule language (1, 0, -1). A number that is not known is NaN and compares as UNKNOWN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
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
# Columns that are the same for everybody, as one value each. They broadcast, and what follows from them costs little.
NO_NUMBER = np.array([np.nan])
YES, NO, NO_TRUTH = (np.array([code]) for code in (TRUE, FALSE, UNKNOWN))
for _column in (NO_NUMBER, YES, NO, NO_TRUTH):
    _column.flags.writeable = False
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
        if values is NO_NUMBER:
            return NO_TRUTH
        # a finite bound: the comparison with the bound moved by its room says the same in one step
        moved = bound - SAME * abs(bound) if operator in (">=", "<") else bound + SAME * abs(bound)
        found: Truths = _HOLDS[operator](values, moved).view(np.int8)
        found -= np.isnan(values).view(np.int8)  # NaN does not hold (0), which becomes UNKNOWN
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
    holds = holds | equal if operator in (">=", "<=") else holds & ~equal
    return cast(Truths, holds.view(np.int8) - (np.isnan(values) | np.isnan(limit)).view(np.int8))


def negate(truth: Truths) -> Truths:
    """Not: unknown stays unknown."""
    if truth is NO_TRUTH:
        return NO_TRUTH
    if truth is NO or truth is YES:
        return YES if truth is NO else NO
    return cast(Truths, np.maximum(truth ^ 1, UNKNOWN))


def both(left: Truths, right: Truths) -> Truths:
    """And: false when one is false, true when both are, unknown otherwise."""
    if left is YES or right is NO:
        return right
    if right is YES or left is NO:
        return left
    if left is NO_TRUTH or right is NO_TRUTH:
        other = right if left is NO_TRUTH else left
        return other if other is NO_TRUTH else cast(Truths, -np.abs(other))
    return cast(Truths, np.minimum(left, right) * np.abs(left * right))


def either(left: Truths, right: Truths) -> Truths:
    """Or: true when one is true, false when both are, unknown otherwise."""
    if left is NO or right is YES:
        return right
    if right is NO or left is YES:
        return left
    if left is NO_TRUTH or right is NO_TRUTH:
        other = right if left is NO_TRUTH else left
        return other if other is NO_TRUTH else cast(Truths, (other == TRUE) * np.int8(2) + UNKNOWN)
    most = np.maximum(left, right)
    return cast(Truths, most + np.minimum(left, right) * (most == FALSE))


def assume(truth: Truths, otherwise: np.int8) -> Truths:
    """The truth, and `otherwise` (TRUE or FALSE) where it is not known."""
    if truth is NO_TRUTH:
        return YES if otherwise == TRUE else NO
    return cast(Truths, np.abs(truth) if otherwise == TRUE else np.maximum(truth, FALSE))


def prefer(first: Truths, second: Truths) -> Truths:
    """The first where it is known, else the second."""
    if first is NO_TRUTH or second is NO_TRUTH:
        return second if first is NO_TRUTH else first
    return np.where(first != UNKNOWN, first, second).astype(np.int8)


def every(truths: Iterable[Truths]) -> Truths:
    """And of several columns (at least one)."""
    return _fold(truths, both, lambda all_of: all_of.min(axis=0) * np.abs(all_of).min(axis=0))


def some(truths: Iterable[Truths]) -> Truths:
    """Or of several columns (at least one)."""
    return _fold(truths, either, _any_of)


def _any_of(columns: Truths) -> Truths:
    most = columns.max(axis=0)
    return cast(Truths, most + columns.min(axis=0) * (most == FALSE))


def _fold(
    truths: Iterable[Truths], pair: Callable[[Truths, Truths], Truths], many: Callable[[Truths], Truths]
) -> Truths:
    """Columns joined: those of one shape at once, where they are many."""
    given = list(truths)
    wide = [truth for truth in given if truth.size > 1]
    if len(wide) < 3 or len({truth.shape for truth in wide}) > 1:
        return reduce(pair, given)
    return reduce(pair, (truth for truth in given if truth.size == 1), many(np.array(wide)))


def sure(truth: Truths) -> NDArray[np.bool_]:
    """Where it is known to be true."""
    return np.equal(truth, TRUE)

"""Three-valued truth as int8 columns: FALSE 0, TRUE 1, UNKNOWN -1, with Kleene's strong connectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.int8]

FALSE = 0
TRUE = 1
UNKNOWN = -1

NAMES = {FALSE: "false", TRUE: "true", UNKNOWN: "unknown"}


def from_known(known: NDArray[np.bool_], value: NDArray[np.bool_]) -> Truth:
    """`value` where it is known, else UNKNOWN; shapes (n,)."""
    return np.where(known, value.astype(np.int8), np.int8(UNKNOWN))


def negate(verdict: Truth) -> Truth:
    """Not: unknown stays unknown."""
    return np.where(verdict == UNKNOWN, verdict, 1 - verdict).astype(np.int8)


def all_of(verdicts: Sequence[Truth]) -> Truth:
    """And: false if any is false, else unknown if any is unknown, else true."""
    stack = np.stack(verdicts)
    some_false = (stack == FALSE).any(axis=0)
    some_unknown = (stack == UNKNOWN).any(axis=0)
    return np.where(some_false, FALSE, np.where(some_unknown, UNKNOWN, TRUE)).astype(np.int8)


def any_of(verdicts: Sequence[Truth]) -> Truth:
    """Or: true if any is true, else unknown if any is unknown, else false."""
    stack = np.stack(verdicts)
    some_true = (stack == TRUE).any(axis=0)
    some_unknown = (stack == UNKNOWN).any(axis=0)
    return np.where(some_true, TRUE, np.where(some_unknown, UNKNOWN, FALSE)).astype(np.int8)


def at_least(count: int, verdicts: Sequence[Truth]) -> Truth:
    """True if at least `count` are true, false if no completion of the unknown ones could reach it, else unknown."""
    stack = np.stack(verdicts)
    true = (stack == TRUE).sum(axis=0)
    possible = true + (stack == UNKNOWN).sum(axis=0)
    return np.where(true >= count, TRUE, np.where(possible < count, FALSE, UNKNOWN)).astype(np.int8)


def each_measured(verdicts: Sequence[Truth]) -> Truth:
    """False if any known one is false, true if all known ones are true and at least one is known, else unknown."""
    stack = np.stack(verdicts)
    some_false = (stack == FALSE).any(axis=0)
    some_true = (stack == TRUE).any(axis=0)
    return np.where(some_false, FALSE, np.where(some_true, TRUE, UNKNOWN)).astype(np.int8)

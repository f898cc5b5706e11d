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
    return np.asarray(np.int8(1) - verdict - np.int8(3) * (verdict == UNKNOWN).view(np.int8))


def all_of(verdicts: Sequence[Truth]) -> Truth:
    """And: false if any is false, else unknown if any is unknown, else true."""
    lowest, none_false = verdicts[0], verdicts[0] != FALSE
    for verdict in verdicts[1:]:
        lowest = np.minimum(lowest, verdict)
        none_false = none_false & (verdict != FALSE)
    return np.asarray(lowest * none_false.view(np.int8))


def any_of(verdicts: Sequence[Truth]) -> Truth:
    """Or: true if any is true, else unknown if any is unknown, else false."""
    lowest = highest = verdicts[0]
    for verdict in verdicts[1:]:
        lowest = np.minimum(lowest, verdict)
        highest = np.maximum(highest, verdict)
    some_true = (highest == TRUE).view(np.int8)
    return np.asarray(some_true + lowest * (np.int8(1) - some_true))


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

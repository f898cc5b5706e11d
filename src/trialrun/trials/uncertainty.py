"""How much of the spread between trials is that of the parameter sets: variance components of one random effect."""

from __future__ import annotations

import numpy as np

from trialrun.analysis.distributions import beta_quantile, normal_quantile
from trialrun.analysis.estimates import LEVEL
from trialrun.engine.source import FloatArray, IntArray

_TAIL = (1 - LEVEL) / 2


def variance_between_sets(values: FloatArray, sets: IntArray) -> float | None:
    """The variance of the expected value (of one number a trial, (trials,)) between parameter sets.

    Analysis of variance with one random effect and unequal groups (Searle SR, Casella G, McCulloch CE, Variance
    Components, 1992, chapter 3); an estimate below 0 is 0. None where no two trials share a set or there is one set.
    """
    _, group, size = np.unique(sets, return_inverse=True, return_counts=True)
    groups, n = size.size, values.size
    if groups < 2 or n == groups:
        return None
    means = np.bincount(group, weights=values) / size
    within = float(((values - means[group]) ** 2).sum()) / (n - groups)
    between = float((size * (means - values.mean()) ** 2).sum()) / (groups - 1)
    typical = (n - float((size**2).sum()) / n) / (groups - 1)
    return max(0.0, (between - within) / typical)


def interval_of_sets(values: FloatArray, sets: IntArray, share: bool) -> tuple[float, float] | None:
    """The middle 95 % of the expected value over parameter sets: a beta distribution of that mean and variance for a
    `share`, else a normal one. None where the variance cannot be told."""
    variance = variance_between_sets(values, sets)
    if variance is None:
        return None
    mean = float(values.mean())
    if variance == 0.0 or (share and not 0.0 < mean < 1.0):
        return mean, mean
    if not share:
        half = normal_quantile(1 - _TAIL) * float(np.sqrt(variance))
        return mean - half, mean + half
    # a beta distribution has less variance than one that is 0 or 1
    size = max(mean * (1.0 - mean) / variance - 1.0, 1e-6)
    low, high = (beta_quantile(share, mean * size, (1.0 - mean) * size) for share in (_TAIL, 1 - _TAIL))
    return low, high

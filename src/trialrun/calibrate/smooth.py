"""Importance weights whose largest ones are not left to chance: Pareto smoothing.

Vehtari A, Simpson D, Gelman A, Yao Y, Gabry J. Pareto smoothed importance sampling. J Mach Learn Res 2024;25(72):1-58.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import genpareto

FloatArray = NDArray[np.float64]
FEWEST = 5  # large weights to fit a distribution to (Vehtari 2024, section 3)


def smooth_weights(weights: FloatArray) -> tuple[FloatArray, float]:
    """Weights (n,) that sum to 1, their largest ones replaced by what is expected of the generalized Pareto distribution fitted
    to them, none above the largest that there was; and its shape, NaN where they are too few or all the same.

    The largest are a fifth of all, at most 3 sqrt(n). Their order stays.
    """
    n = weights.size
    many = int(min(0.2 * n, 3.0 * np.sqrt(n)))
    order = np.argsort(weights, kind="stable")
    tail = order[n - many :]
    cut = weights[order[n - many - 1]] if many < n else 0.0
    if many < FEWEST or weights[tail[0]] <= cut or weights[tail[-1]] <= weights[tail[0]]:
        return weights / weights.sum(), float("nan")
    shape, _, scale = genpareto.fit(weights[tail] - cut, floc=0.0)
    expected = cut + genpareto.ppf((np.arange(many) + 0.5) / many, shape, 0.0, scale)
    smoothed = weights.copy()
    smoothed[tail] = np.minimum(expected, weights.max())
    return smoothed / smoothed.sum(), float(shape)


def largest_trusted(n: int) -> float:
    """The shape above which `n` smoothed weights are not to be trusted: min(1 - 1 / log10(n), 0.7) (Vehtari 2024)."""
    return min(1.0 - 1.0 / float(np.log10(n)), 0.7)

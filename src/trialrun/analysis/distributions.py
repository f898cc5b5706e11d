"""Quantiles and intervals from scipy.special alone: scipy.stats has them too, but takes most of a second to load."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrik, betaincinv, betaln, gammaincinv, ndtri

FloatArray = NDArray[np.float64]


def normal_quantile(share: float) -> float:
    """The number below which `share` of a standard normal distribution lies."""
    return float(ndtri(share))


def beta_quantile(share: float, a: float, b: float) -> float:
    return float(betaincinv(a, b, share))


def gamma_quantile(share: float, shape: float) -> float:
    """Of a gamma distribution of scale 1."""
    return float(gammaincinv(shape, share))


def binomial_quantile(share: float, n: int, p: float) -> int:
    """The smallest count k with P(X <= k) of at least `share`, X of n with probability p each."""
    above = ceil(float(bdtrik(share, n, p)))
    below = max(above - 1, 0)  # the inverse is of a continuous function, so that rounding may lead one too far
    return below if float(bdtr(below, n, p)) >= share else above


def betabinomial_quantiles(shares: tuple[float, ...], n: int, a: float, b: float) -> tuple[int, ...]:
    """For each share the smallest count k with P(X <= k) of at least as much, X of n with probability beta(a, b)."""
    k = np.arange(n + 1)
    weight = np.exp(-np.log(n + 1) - betaln(n - k + 1, k + 1) + betaln(k + a, n - k + b) - betaln(a, b))
    found = np.searchsorted(np.cumsum(weight), shares, side="left")
    return tuple(min(int(place), n) for place in found)


def wilson_interval(events: int, n: int, level: float) -> tuple[float, float]:
    """Of a share (Wilson 1927), as Newcombe 1998 writes it (method 3)."""
    z = normal_quantile(0.5 + 0.5 * level)
    share = events / n
    width = 2 * (n + z**2)
    center, half = (2 * n * share + z**2) / width, z / width * sqrt(4 * n * share * (1 - share) + z**2)
    return 0.0 if events == 0 else center - half, 1.0 if events == n else center + half


def kaplan_meier(
    time: FloatArray, happened: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """The different times in order, how many were at risk just before each, and how many had the event then."""
    times, of_time, counts = np.unique(time, return_inverse=True, return_counts=True)
    at_risk = len(time) - np.cumsum(counts) + counts
    events = np.bincount(of_time, weights=happened, minlength=len(times))
    return times.astype(np.float64), at_risk, events.astype(np.int64)


def log_log_interval(
    survival: FloatArray, at_risk: NDArray[np.int64], events: NDArray[np.int64], level: float
) -> tuple[FloatArray, FloatArray]:
    """The exponential Greenwood interval of a Kaplan-Meier curve; NaN where the curve is 0 or 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = 1 / np.log(survival) ** 2 * np.cumsum(events / (at_risk * (at_risk - events)))
        reach = normal_quantile(0.5 + level / 2) * np.sqrt(variance)
        middle = np.log(-np.log(survival))
        low, high = np.exp(-np.exp(middle + reach)), np.exp(-np.exp(middle - reach))
    return np.clip(low, 0, 1), np.clip(high, 0, 1)

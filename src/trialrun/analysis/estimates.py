"""Estimates with their intervals: proportions, medians, time to an event, and paired differences.

Intervals of proportions and medians over virtual subjects say how far the number would move if other virtual subjects
were drawn from the same assumed population. They know nothing of wrong parameters or of the spread between trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from trialrun.analysis.distributions import (
    binomial_quantile,
    kaplan_meier,
    log_log_interval,
    normal_quantile,
    wilson_interval,
)

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

LEVEL = 0.95
MONTE_CARLO_ONLY = "Monte Carlo only: not parameter, not between-trial uncertainty"
BOOTSTRAP_SAMPLES = 2000
BOOTSTRAP_LARGEST = 1_000  # beyond it the normal interval is nearer the truth than 2,000 resamples are
BOOTSTRAP_SEED = 20060901


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % interval; NaN where there is none; `n` is the number of subjects it rests on."""

    value: float
    low: float
    high: float
    n: int
    method: str


def estimate_proportion(events: int, n: int) -> Interval:
    """The share `events / n` with its exact interval (Clopper-Pearson 1934); NaN throughout when n is 0."""
    method = "exact (Clopper-Pearson)"
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, 0, method)
    low = betaincinv(events, n - events + 1, (1 - LEVEL) / 2) if events > 0 else 0.0
    high = betaincinv(events + 1, n - events, (1 + LEVEL) / 2) if events < n else 1.0
    return Interval(events / n, float(low), float(high), n, method)


def estimate_median(values: FloatArray) -> Interval:
    """The median of `values` (any unit, no NaN) with the interval of order statistics (binomial, distribution-free).

    With too few values for 95 % coverage (five or fewer) a bound is NaN: there is none.
    """
    method = "median, order statistics (binomial)"
    n = len(values)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, 0, method)
    # The k-th smallest and k-th largest values enclose the median with probability 1 - 2 P(Binomial(n, 1/2) < k).
    k = binomial_quantile((1 - LEVEL) / 2, n, 0.5)
    median = float(np.median(values))
    if k == 0:
        return Interval(median, np.nan, np.nan, n, method)
    ordered = np.partition(values, (k - 1, n - k))
    return Interval(median, float(ordered[k - 1]), float(ordered[n - k]), n, method)


def estimate_quartiles(values: FloatArray) -> tuple[float, float]:
    """The 25th and 75th percentile of `values` (any unit, no NaN); NaN when there are none."""
    if len(values) == 0:
        return np.nan, np.nan
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Curve:
    """A Kaplan-Meier curve: at each `time` (days) the share still without the event, its interval, and how many were
    at risk just before; `n` subjects, `events` of them with the event."""

    time: FloatArray
    survival: FloatArray
    low: FloatArray
    high: FloatArray
    at_risk: FloatArray
    n: int
    events: int


def estimate_survival(time: FloatArray, happened: BoolArray) -> Curve:
    """The Kaplan-Meier curve of `time` (days), `happened` False where the time is censored; log-log interval."""
    times, at_risk, events = kaplan_meier(time, happened)
    survival = np.cumprod((at_risk - events) / at_risk).astype(np.float64)
    low, high = log_log_interval(survival, at_risk, events, LEVEL)
    return Curve(times, survival, low, high, at_risk.astype(np.float64), len(time), int(happened.sum()))


def estimate_median_time(time: FloatArray, happened: BoolArray) -> Interval:
    """Median time to the event (days) of the Kaplan-Meier curve; NaN where the curve does not fall to one half.

    The interval holds the times at which the log-log interval of the curve contains one half (Brookmeyer and
    Crowley 1982); an upper bound of NaN means that it was not reached.
    """
    method = "Kaplan-Meier median, Brookmeyer-Crowley (log-log)"
    if len(time) == 0:
        return Interval(np.nan, np.nan, np.nan, 0, method)
    if not happened.any():
        return Interval(np.nan, np.nan, np.nan, len(time), method)
    curve = estimate_survival(time, happened)

    def first(reached: BoolArray) -> float:
        return float(curve.time[reached.argmax()]) if reached.any() else np.nan

    # Once the curve is at zero its interval is undefined; everybody has had the event, so the bound is that time.
    low = first((curve.low <= 0.5) | (curve.survival == 0.0))
    high = first((curve.high <= 0.5) | (curve.survival == 0.0))
    return Interval(first(curve.survival <= 0.5), low, high, len(time), method)


def estimate_paired_difference(reference: BoolArray, other: BoolArray) -> Interval:
    """Share with the event in `other` minus that in `reference`, the same subjects in the same order in both.

    Interval: Newcombe RG. Stat Med 1998;17:2635-50, method 10 (Wilson intervals of the two shares, squared and added,
    with the correlation of the pairs). It stays inside -1 to 1 and has width where no pair is discordant.
    """
    method = f"paired difference, Newcombe 1998 method 10; {MONTE_CARLO_ONLY}"
    n = len(reference)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, 0, method)
    both = int((other & reference).sum())
    only_other = int((other & ~reference).sum())
    only_reference = int((~other & reference).sum())
    neither = n - both - only_other - only_reference
    low, high = newcombe_paired(both, only_other, only_reference, neither)
    return Interval((only_other - only_reference) / n, low, high, n, method)


def newcombe_paired(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    """The 95 % interval of (share of the first) - (share of the second) from the four counts of pairs."""
    n = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    difference = (only_first - only_second) / n
    spans = [wilson_interval(count, n, LEVEL) for count in (first, second)]
    below = first / n - spans[0][0], second / n - spans[1][0]
    above = spans[0][1] - first / n, spans[1][1] - second / n
    margins = first * (n - first) * second * (n - second)
    agreement = both * neither - only_first * only_second
    if margins == 0:
        correlation = 0.0
    elif agreement > n / 2:  # continuity correction of the paper; a negative correlation is left as it is
        correlation = (agreement - n / 2) / sqrt(margins)
    elif agreement >= 0:
        correlation = 0.0
    else:
        correlation = agreement / sqrt(margins)
    low = difference - sqrt(max(0.0, below[0] ** 2 - 2 * correlation * below[0] * above[1] + above[1] ** 2))
    high = difference + sqrt(max(0.0, below[1] ** 2 - 2 * correlation * below[1] * above[0] + above[0] ** 2))
    return float(low), float(high)


def estimate_mean_difference(reference: FloatArray, other: FloatArray) -> Interval:
    """Mean of `other - reference` over the same subjects (any one unit, no NaN).

    Interval: percentile bootstrap of the subjects with a fixed seed up to 1,000 of them, the normal one beyond.
    """
    differences = other - reference
    n = len(differences)
    if n < 2:
        mean = float(differences.mean()) if n else np.nan
        return Interval(mean, np.nan, np.nan, n, f"mean paired difference; {MONTE_CARLO_ONLY}")
    mean = float(differences.mean())
    if n > BOOTSTRAP_LARGEST:
        half = normal_quantile(0.5 + LEVEL / 2) * differences.std(ddof=1) / sqrt(n)
        method = f"mean paired difference, normal; {MONTE_CARLO_ONLY}"
        return Interval(mean, float(mean - half), float(mean + half), n, method)
    luck = np.random.default_rng(BOOTSTRAP_SEED)
    means = np.empty(BOOTSTRAP_SAMPLES)
    for sample in range(BOOTSTRAP_SAMPLES):  # one resample at a time: all at once would be n x 2,000 numbers
        means[sample] = differences[luck.integers(0, n, n)].mean()
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    method = f"mean paired difference, bootstrap of {BOOTSTRAP_SAMPLES} samples; {MONTE_CARLO_ONLY}"
    return Interval(mean, float(low), float(high), n, method)


def estimate_between_trials(per_trial: FloatArray) -> Interval:
    """Mean of one number per trial with the middle 95 % of the trials (2.5th to 97.5th percentile): their spread."""
    method = "mean and 2.5th to 97.5th percentile of the trials: between-trial spread"
    present = per_trial[~np.isnan(per_trial)]
    if len(present) == 0:
        return Interval(np.nan, np.nan, np.nan, 0, method)
    low, high = np.quantile(present, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(present.mean()), float(low), float(high), len(present), method)

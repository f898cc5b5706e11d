"""How likely the published counts are, given simulated ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import betaln, expit, gammaln, logsumexp

from trialrun.calibrate.file import Fact

FloatArray = NDArray[np.float64]
_LEAST = 1e-3  # log-odds: a rate is never known better
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(11)
_CHANCE = _WEIGHTS / _WEIGHTS.sum()


def log_likelihood(fact: Fact, rate: FloatArray, size: FloatArray | float, overdispersion: float) -> FloatArray:
    """Log-likelihood of one published count for rates (n,), each known as if from `size` subjects.

    A beta-binomial (episodes: negative binomial): the true rate of the published trial varies about the model's by what
    differs between trials (`overdispersion`, the intraclass correlation, or the fact's own) and by how well the model's
    rate is known. With infinite size and no overdispersion it is the binomial (Poisson) likelihood. Of a median the half of
    the subjects on either side of it are counted, which need not be a whole number. Of an upper bound it is the probability of
    so many or fewer.
    """
    x = fact.seen
    if fact.count == "episodes":
        shape, mean = _gamma(fact, rate, size, overdispersion)
        return np.asarray(
            gammaln(x + shape)
            - gammaln(shape)
            - gammaln(x + 1.0)
            + shape * np.log(shape / (shape + mean))
            + x * np.log(mean / (shape + mean))
        )
    a, b = _beta(fact, rate, size, overdispersion)
    if fact.at_most:
        counts = np.arange(x + 1.0)[:, None]
        return np.asarray(logsumexp(_log_chance(counts, fact.of, a, b), axis=0))
    return _log_chance(x, fact.of, a, b)


def _log_chance(x: FloatArray | float, of: int, a: FloatArray, b: FloatArray) -> FloatArray:
    choose = gammaln(of + 1.0) - gammaln(x + 1.0) - gammaln(of - x + 1.0)
    return np.asarray(choose + betaln(x + a, of - x + b) - betaln(a, b))


def law_of(fact: Fact, rate: FloatArray, size: FloatArray | float, overdispersion: float) -> Any:
    """The distribution of the count whose likelihood that is, a discrete one of SciPy for each rate (n,)."""
    if fact.count == "episodes":
        shape, mean = _gamma(fact, rate, size, overdispersion)
        return stats.nbinom(shape, shape / (shape + mean))
    return stats.betabinom(fact.of, *_beta(fact, rate, size, overdispersion))


def _spread(fact: Fact, size: FloatArray | float, overdispersion: float) -> FloatArray:
    own = overdispersion if fact.overdispersion is None else fact.overdispersion
    return np.asarray(1.0 / (1.0 + np.asarray(size)) + own)


def _gamma(
    fact: Fact, rate: FloatArray, size: FloatArray | float, overdispersion: float
) -> tuple[FloatArray, FloatArray]:
    """Shape and mean of the count's mean: its coefficient of variation is twice the root of the spread."""
    shape = 1.0 / np.maximum(4.0 * _spread(fact, size, overdispersion), 1e-9)
    return shape, np.maximum(rate, 1e-6) * fact.of


def _beta(
    fact: Fact, rate: FloatArray, size: FloatArray | float, overdispersion: float
) -> tuple[FloatArray, FloatArray]:
    total = np.maximum(1.0 / np.minimum(_spread(fact, size, overdispersion), 0.5) - 1.0, 1.0)
    share = np.clip(rate, 1e-5, 1.0 - 1e-5)
    return share * total, (1.0 - share) * total


def to_odds(fact: Fact, rate: FloatArray) -> FloatArray:
    """Log-odds of a rate; the logarithm for episodes a subject."""
    return np.asarray(np.log(rate) if fact.count == "episodes" else np.log(rate / (1.0 - rate)))


def rate_of(fact: Fact, odds: FloatArray, sd: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """The mean of a rate whose log-odds (logarithm for episodes) are normal about `odds` (n,), and from how many subjects
    `log_likelihood` takes it for as well known, (n,) each."""
    spread = np.maximum(np.asarray(sd, dtype=float), _LEAST)
    if fact.count == "episodes":
        rate = np.exp(np.clip(odds, -20.0, 5.0) + 0.5 * np.minimum(spread, 3.0) ** 2)
        return np.asarray(rate), np.broadcast_to(4.0 / np.expm1(np.minimum(spread, 3.0) ** 2) - 1.0, rate.shape)
    at = expit(odds[:, None] + np.broadcast_to(spread, odds.shape)[:, None] * _POINTS)
    rate = at @ _CHANCE
    return np.asarray(rate), size_of(fact, rate, (at - rate[:, None]) ** 2 @ _CHANCE)


def size_of(fact: Fact, rate: FloatArray, variance: FloatArray) -> FloatArray:
    """From how many subjects `log_likelihood` takes a rate (n,) for known that has this variance (n,)."""
    kept = np.maximum(variance, 1e-300)
    return np.asarray(4.0 * rate**2 / kept - 1.0 if fact.count == "episodes" else rate * (1.0 - rate) / kept - 1.0)

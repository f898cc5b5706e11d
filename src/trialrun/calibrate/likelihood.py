"""How likely the published counts are, given simulated ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, gammaln

from trialrun.calibrate.plan import Fact

FloatArray = NDArray[np.float64]


def log_likelihood(fact: Fact, rate: FloatArray, size: FloatArray | float, overdispersion: float) -> FloatArray:
    """Log-likelihood of one published count for rates (n,), each known as if from `size` subjects.

    A beta-binomial (episodes: negative binomial): the true rate of the published trial varies about the model's by what
    differs between trials (`overdispersion`, the intraclass correlation, or the fact's own) and by how well the model's
    rate is known. With infinite size and no overdispersion it is the binomial (Poisson) likelihood.
    """
    spread = 1.0 / (1.0 + np.asarray(size)) + (overdispersion if fact.overdispersion is None else fact.overdispersion)
    if fact.count == "episodes":
        mean = np.maximum(rate, 1e-6) * fact.of
        shape = 1.0 / np.maximum(spread * 4.0, 1e-9)  # a coefficient of variation of twice the spread's root
        x = fact.events
        return np.asarray(
            gammaln(x + shape)
            - gammaln(shape)
            - gammaln(x + 1.0)
            + shape * np.log(shape / (shape + mean))
            + x * np.log(mean / (shape + mean))
        )
    total = np.maximum(1.0 / np.minimum(spread, 0.5) - 1.0, 1.0)
    share = np.clip(rate, 1e-5, 1.0 - 1e-5)
    a, b = share * total, (1.0 - share) * total
    choose = gammaln(fact.of + 1.0) - gammaln(fact.events + 1.0) - gammaln(fact.of - fact.events + 1.0)
    return np.asarray(choose + betaln(fact.events + a, fact.of - fact.events + b) - betaln(a, b))


def to_odds(fact: Fact, rate: FloatArray) -> FloatArray:
    """Log-odds of a rate; the logarithm for episodes a subject."""
    return np.asarray(np.log(rate) if fact.count == "episodes" else np.log(rate / (1.0 - rate)))


def from_odds(fact: Fact, odds: FloatArray) -> FloatArray:
    """The rate of log-odds (of a logarithm for episodes)."""
    return np.asarray(np.exp(np.clip(odds, -20, 5)) if fact.count == "episodes" else expit(odds))


def odds_variance(fact: Fact, rate: FloatArray, assessed: FloatArray) -> FloatArray:
    """Sampling variance of the log-odds (delta method) of a rate from so many subjects."""
    varies = rate if fact.count == "episodes" else rate * (1.0 - rate)
    slope = 1.0 / rate if fact.count == "episodes" else 1.0 / (rate * (1.0 - rate))
    return np.asarray(slope**2 * varies / np.maximum(assessed, 1.0))

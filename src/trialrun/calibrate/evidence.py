"""How well a structure with its priors predicts the facts: the logarithm of the marginal likelihood.

The marginal likelihood is the likelihood averaged over the prior. The ratio of those of two structures says how far the facts
speak for one of them (Bayes factor; Kass RE, Raftery AE. J Am Stat Assoc 1995;90:773-95).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import multivariate_t

FloatArray = NDArray[np.float64]
DRAWS = 20_000
_FREEDOM = 10  # degrees of freedom: tails heavier than those of a posterior that is nearly normal
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """`log` marginal likelihood (natural logarithm) and its standard error, from `worth` effective draws."""

    log: float
    error: float
    worth: float


def estimate_evidence(
    log_posterior: Callable[[FloatArray], FloatArray], near: FloatArray, luck: np.random.Generator
) -> Evidence:
    """Of a posterior that is not normalised, by importance sampling.

    `log_posterior` gives log(prior x likelihood) of scores (n, P), the prior being normalised; `near` (m, P) are draws from the
    posterior, to whose mean and covariance a multivariate t distribution is fitted that draws are taken from.
    """
    covariance = np.cov(near, rowvar=False) * (_FREEDOM - 2) / _FREEDOM * 1.1
    proposal = multivariate_t(near.mean(axis=0), covariance, df=_FREEDOM, seed=luck)
    drawn = np.asarray(proposal.rvs(DRAWS)).reshape(DRAWS, -1)
    parts = [drawn[first : first + _AT_ONCE] for first in range(0, DRAWS, _AT_ONCE)]
    logs = np.concatenate([log_posterior(part) for part in parts]) - proposal.logpdf(drawn)
    return average_likelihood(logs)


def average_likelihood(logs: FloatArray) -> Evidence:
    """The mean of exp(`logs`) (n,), as its logarithm, with the standard error by the delta method."""
    total = float(logsumexp(logs))
    share = np.exp(logs - total)
    worth = float(1.0 / np.sum(share**2))
    # of the mean of n weights the relative variance is (n sum(share^2) - 1) / n
    return Evidence(total - float(np.log(logs.size)), float(np.sqrt(max(1.0 / worth - 1.0 / logs.size, 0.0))), worth)

"""How probable it is that fewer subjects are met by an event under the first of two schedules, over the parameter sets.

Of the subjects of a set who differ between the schedules (the discordant ones of McNemar's test) a share has the event under the
first alone. The first schedule has the lower rate in that set where the share is below one half. The share is taken as beta over
the sets, so the count of a set is beta-binomial: noise of few subjects is no spread, skewed differences are followed, and a
difference that has one sign in all sets is given nearly 1. What few sets and subjects leave open of the two numbers of the beta
is averaged over, from a uniform prior of its mean and of its intraclass correlation 1 / (a + b + 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln

FloatArray = NDArray[np.float64]
_FAR = 9.0  # logits: means from 1 in 8,000 on
_STEPS = 21
_NEGLIGIBLE = 1e-5  # of the largest posterior density on the grid: what is below is not looked at more closely


def believe_lower(
    first: FloatArray, second: FloatArray, weight: FloatArray, level: float
) -> tuple[float, float, float]:
    """The probability that the first schedule has the lower rate in a set, and its interval of `level`.

    `first` and `second` (sets,) count the subjects of each set with the event under that schedule alone; the sets count in
    proportion to `weight` (sets,). At least one subject must differ.

    Unequal weights tell less than as many equal ones: the log-likelihood, the weighted mean of that of the sets, is scaled to the
    information that it has (sum of w I over that of w^2 I, by which a weighted estimate has the variance that it should). What a
    set tells, I, is that of its m subjects, m / (1 + (m - 1) correlation), by the correlation first found without it.
    """
    size = first + second
    told = size > 0
    size, weight = size[told], weight[told]
    pairs, place = np.unique(np.column_stack([first, second])[told], axis=0, return_inverse=True)
    information = np.ones(size.size)
    for _ in range(2):
        scale = (weight @ information) / (weight**2 @ information)
        counts = scale * np.bincount(place.ravel(), weights=weight)
        means, spreads, share = _find_posterior(pairs, counts)
        correlation = float(share.sum(axis=0) @ (1.0 / (1.0 + np.exp(-spreads))))
        information = size / (1.0 + (size - 1.0) * correlation)
    a, b = _shapes(means, spreads)
    chance, share = betainc(a, b, 0.5).ravel(), share.ravel()
    order = np.argsort(chance, kind="stable")
    below = np.cumsum(share[order])
    low, high = np.interp(((1 - level) / 2, (1 + level) / 2), below - 0.5 * share[order], chance[order])
    return float(share @ chance), float(low), float(high)


def _find_posterior(pairs: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Grids of the logits of mean and correlation, and how probable each is (means, spreads)."""
    means, spreads = np.linspace(-_FAR, _FAR, _STEPS), np.linspace(-_FAR, _FAR, _STEPS)
    for _ in range(3):  # each time nearer to where the posterior is
        density = np.exp(_log_posterior(pairs, counts, means, spreads))
        there = density > _NEGLIGIBLE * density.max()
        means, spreads = _closer(means, there.any(axis=1)), _closer(spreads, there.any(axis=0))
    density = np.exp(_log_posterior(pairs, counts, means, spreads))
    return means, spreads, density / density.sum()


def _closer(grid: FloatArray, there: NDArray[np.bool_]) -> FloatArray:
    """A grid over the part of this one that counts, and a step around it."""
    at, step = np.flatnonzero(there), grid[1] - grid[0]
    return np.linspace(max(-_FAR, grid[at[0]] - step), min(_FAR, grid[at[-1]] + step), _STEPS)


def _shapes(means: FloatArray, spreads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """a and b of the beta for each mean and intraclass correlation, both given as logits."""
    total = np.exp(-spreads)[None, :]  # a + b = 1 / correlation - 1
    return total / (1.0 + np.exp(-means))[:, None], total / (1.0 + np.exp(means))[:, None]


def _log_posterior(pairs: FloatArray, counts: FloatArray, means: FloatArray, spreads: FloatArray) -> FloatArray:
    """Up to a constant, (means, spreads): the beta-binomial likelihood of all sets times the prior of the logits."""
    a, b = _shapes(means, spreads)
    total = np.zeros(a.shape)
    for numbers, shape, sign in ((pairs[:, 0], a, 1.0), (pairs[:, 1], b, 1.0), (pairs.sum(axis=1), a + b, -1.0)):
        known, place = np.unique(numbers, return_inverse=True)
        often = np.bincount(place.ravel(), weights=counts)
        for number, times in zip(known, often, strict=True):
            total += sign * times * (gammaln(number + shape) - gammaln(shape))
    for axis, grid in enumerate((means, spreads)):  # uniform in the number itself
        prior = -np.logaddexp(0.0, grid) - np.logaddexp(0.0, -grid)
        total += prior[:, None] if axis == 0 else prior[None, :]
    return np.asarray(total - total.max())

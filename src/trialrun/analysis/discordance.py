"""How probable it is that fewer subjects are met by an event under the first of two schedules, over the parameter sets.

Of the subjects of a set who differ between the schedules (the discordant ones of McNemar's test) a share has the event under the
first alone. The first schedule has the lower rate in that set where the share is below one half. The share is taken as beta over
the sets, so the count of a set is beta-binomial: noise of few subjects is no spread, skewed differences are followed, and a
difference that has one sign in all sets is given nearly 1. What few sets and subjects leave open of the two numbers of the beta
is averaged over, from a uniform prior of its mean and of its intraclass correlation 1 / (a + b + 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln

from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
_MEANS = (-14.0, 14.0)  # logits looked at: shares from one in a million on
_CORRELATIONS = (-22.0, 9.0)  # likewise: from 3e-10
_STEPS = 25  # of the grid on which the posterior is summed
_TRIES = 60  # of fitting the grid to the posterior
_NEGLIGIBLE = 1e-5  # of the largest posterior density: what is below is left out of the grid


def believe_lower(
    first: FloatArray, second: FloatArray, weight: FloatArray, level: float, effects: Sequence[float] = (1.0,)
) -> tuple[float, float, float]:
    """The probability that the first schedule has the lower rate in a set, and its interval of `level`.

    `first` and `second` (sets,) count the subjects of each set with the event under that schedule alone; the sets count in
    proportion to `weight` (sets,). At least one subject must differ. `effects` are design effects, each as likely as the others:
    by so much the subjects of a set are worth fewer, because the trials that they are in differ beyond chance.

    Unequal weights tell less than as many equal ones: the log-likelihood, the weighted mean of that of the sets, is scaled to the
    information that it has (sum of w I over that of w^2 I, by which a weighted estimate has the variance that it should). What a
    set tells, I, is that of its m subjects, m / (1 + (m - 1) correlation), by the correlation first found without it.
    """
    size = first + second
    told = size > 0
    size, weight = size[told], weight[told]
    pairs, place = np.unique(np.column_stack([first, second])[told], axis=0, return_inverse=True)
    information, chances, shares = np.ones(size.size), [], []
    near = _Near(np.array([np.log((first.sum() + 0.5) / (second.sum() + 0.5)), -2.0]))
    for effect in (effects[0], *effects):  # the first time for what the sets tell
        scale = (weight @ information) / (weight**2 @ information)
        posterior = _Posterior(pairs / effect, scale * np.bincount(place.ravel(), weights=weight))
        means, spreads, share = posterior.grid(near)
        correlation = float(share.sum(axis=0) @ (1.0 / (1.0 + np.exp(-spreads))))
        information = size / effect / (1.0 + np.maximum(size / effect - 1.0, 0.0) * correlation)
        a, b = _shapes(means, spreads)
        chances.append(betainc(a, b, 0.5).ravel())
        shares.append(share.ravel() / len(effects))
    chance, share = np.concatenate(chances[1:]), np.concatenate(shares[1:])
    order = np.argsort(chance, kind="stable")
    below = np.cumsum(share[order])
    low, high = np.interp(((1 - level) / 2, (1 + level) / 2), below - 0.5 * share[order], chance[order])
    return float(share @ chance), float(low), float(high)


def _shapes(means: FloatArray, spreads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """a and b of the beta for each mean and intraclass correlation, both given as logits."""
    total = np.exp(-spreads)[None, :]  # a + b = 1 / correlation - 1
    return total / (1.0 + np.exp(-means))[:, None], total / (1.0 + np.exp(means))[:, None]


class _Near:
    """Where a posterior is looked for, and in the end was found: its `mode`, the `step` to search it with, and how far down and
    up from it the grid is to `reach` (2, 2)."""

    def __init__(self, mode: FloatArray) -> None:
        self.mode, self.step = mode, np.array([1.0, 4.0])
        self.reach = np.array([[-0.5, 0.5], [-0.5, 0.5]])


class _Posterior:
    """Of the logits of mean and correlation: the beta-binomial likelihood of sets with these `pairs` (k, 2) of counts, each
    so many times as `counts` (k,) says, and a uniform prior of both numbers."""

    def __init__(self, pairs: FloatArray, counts: FloatArray) -> None:
        self._numbers = []
        for numbers in (pairs[:, 0], pairs[:, 1], pairs.sum(axis=1)):
            known, place = np.unique(numbers, return_inverse=True)
            self._numbers.append((known, np.bincount(place.ravel(), weights=counts)))

    def log(self, means: FloatArray, spreads: FloatArray) -> FloatArray:
        """Up to a constant, (means, spreads)."""
        a, b = _shapes(means, spreads)
        found = np.zeros(a.shape)
        for (known, often), shape, sign in zip(self._numbers, (a, b, a + b), (1.0, 1.0, -1.0), strict=True):
            rising = gammaln(known[:, None, None] + shape) - gammaln(shape)
            found += sign * np.tensordot(often, rising, axes=1)
        for prior in (means[:, None], spreads[None, :]):  # uniform in the number itself
            found -= np.logaddexp(0.0, prior) + np.logaddexp(0.0, -prior)
        return found

    def grid(self, near: _Near) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A grid around the mode that reaches to where the density is negligible, and how probable each of its points is.
        TrialrunError where none is found."""
        center, reach = self._find_mode(near), near.reach
        bounds = np.array([_MEANS, _CORRELATIONS])
        for _ in range(_TRIES):
            edges = np.clip(center[:, None] + reach, bounds[:, :1], bounds[:, 1:])
            means, spreads = (np.linspace(edge[0], edge[1], _STEPS) for edge in edges)
            logs = self.log(means, spreads)
            density = np.exp(logs - logs.max())
            along = density.max(axis=1), density.max(axis=0)
            done = True
            for axis, profile in enumerate(along):
                inside = np.flatnonzero(profile > _NEGLIGIBLE)
                for side, at in enumerate((inside[0], inside[-1])):
                    last = (0, _STEPS - 1)[side]
                    if at == last and edges[axis, side] != bounds[axis, side]:
                        reach[axis, side] *= 2.0  # it goes on beyond the edge
                        done = False
                    elif abs(at - last) > _STEPS // 4:  # the grid reaches too far, and so is too coarse
                        reach[axis, side] *= 0.6
                        done = False
            if done:
                return means, spreads, density / density.sum()
        found = f"after {_TRIES} grids it still reaches beyond the last one, or is a small part of it"
        raise TrialrunError(Problem("no-order", "the probability of the order cannot be summed", found))

    def _find_mode(self, near: _Near) -> FloatArray:
        """The two logits at which the density is largest, to a hundredth of what it falls by."""
        at, step = near.mode, near.step
        bounds = np.array([_MEANS, _CORRELATIONS])
        for _ in range(80):
            tried = [np.clip(at[i] + step[i] * np.array([-1.0, 0.0, 1.0]), *bounds[i]) for i in (0, 1)]
            logs = self.log(*tried)
            best = divmod(int(np.argmax(logs)), 3)
            if best == (1, 1):
                if logs.max() - logs.min() < 0.01:
                    break
                step = step / 2.0
            at = np.array([tried[i][best[i]] for i in (0, 1)])
        near.mode, near.step = at, 4.0 * step  # the next one is not far
        return at

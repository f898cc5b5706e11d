"""How far a number of whole trials differs between parameter sets, with chance taken out, and intervals of means."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
import polars as pl

from trialrun.analysis.distributions import beta_quantile, gamma_quantile
from trialrun.analysis.estimates import LEVEL
from trialrun.analysis.uncertainty import (
    DRAWS,
    SEED,
    SET_SIZES,
    SETS,
    SUBJECTS,
    TOTAL,
    TRIAL_SIZES,
    TRIALS,
    draw_components,
    group_trials,
    sum_by_set,
)

_TAIL = (1 - LEVEL) / 2
# The draws take mean squares to be those of normal values; rarer events than that are too far from it: by simulation the
# interval then holds clearly less than 95 % of the sets.
LEAST_UNLIKE = 20
# Variances are drawn as a mean square over chi-square; with no more degrees of freedom the draws have no variance of
# their own, so that their mean is a matter of luck.
_LEAST_FREE = 4


def interval_of_sets(values: pl.Series, trials: pl.Series, sets: pl.Series, most: float) -> tuple[float, float] | None:
    """The middle 95 % over parameter sets of the expected value of a number from 0 to `most`, whose mean it holds.

    One value a trial or one a participant (null: not assessed), with its trial and the set of that. The variance
    between sets is the expectation of what could stand behind these trials (`draw_components`), so that an estimate
    of zero is no proof that sets agree; the squared error of the mean by simulation is added. The distribution with
    this mean and variance is that of `middle`. None where these trials tell nothing of sets: fewer than LEAST_UNLIKE
    values other than the commonest, too few sets, too few trials of one set, or a variance so badly known that nothing
    is excluded.
    """
    known = values.drop_nulls()
    if not known.len() or known.len() - known.eq(known.mode()[0]).sum() < LEAST_UNLIKE:
        return None
    totals = sum_by_set(values, group_trials(trials, sets)).sum(axis=0)
    number, groups, n = totals[TRIALS], totals[SETS], totals[SUBJECTS]
    if n**2 / totals[SET_SIZES] - 1 <= _LEAST_FREE or number - groups <= _LEAST_FREE:
        return None
    of_sets, of_trials, within = draw_components(totals, np.random.default_rng(SEED), DRAWS)
    between, trial = (float(np.maximum(drawn, 0.0).mean()) for drawn in (of_sets, of_trials))
    error = (between * totals[SET_SIZES] + trial * totals[TRIAL_SIZES]) / n**2 + within / n
    return middle(float(totals[TOTAL] / n), between + error, most)


def middle(mean: float, variance: float, most: float = inf) -> tuple[float, float] | None:
    """The middle 95 % of the distribution on 0 to `most` with this mean and variance: a beta distribution, or a gamma
    one where `most` is infinite. None where that does not hold the mean, or where there is no variance.

    Both keep to what is possible and are nearly normal where the limits are far.
    """
    quantile: Callable[[float], float]
    if variance <= 0.0 or not 0.0 < mean < most:
        return None
    if most == inf:
        shape, scale = mean**2 / variance, variance / mean

        def quantile(share: float) -> float:
            return scale * gamma_quantile(share, shape)
    else:
        size = mean * (most - mean) / variance - 1.0
        if size <= 0.0:
            return None
        a, b = mean / most * size, (1.0 - mean / most) * size

        def quantile(share: float) -> float:
            return most * beta_quantile(share, a, b)

    low, high = quantile(_TAIL), quantile(1 - _TAIL)
    return (low, high) if low <= mean <= high else None

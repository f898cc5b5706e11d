"""How probable it is that one schedule is better than another, over the parameter sets.

In each parameter set the schedules are compared on the same subjects. Which of them has the lower rate in a set is known only as
well as its subjects allow; counting the sets in which the simulated difference points one way would mix that noise into the
answer and draw every probability towards one half. So the share of discordant subjects who are met under the first alone is taken
as beta over the sets (`discordance`), which follows skewed differences of rare events as well. What trials of one set differ by
beyond chance is noise too: subjects count as many fewer. The plain share of sets stands beside it (`counted`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.discordance import believe_lower
from trialrun.analysis.estimates import LEVEL
from trialrun.analysis.uncertainty import (
    DRAWS,
    SEED,
    SET_SIZES,
    SETS,
    SQUARES,
    SUBJECTS,
    TOTAL,
    TRIAL_SIZES,
    TRIALS,
    Grouping,
    draw_components,
    solve_components,
    sum_by_set,
)

FloatArray = NDArray[np.float64]
_SMALLEST_EFFECT = 0.5  # design effect that chance may make of none (assumed)
_FEW, _LEAST = 6, 0.01  # up to so many versions every order is looked at; the weight of one that was not drawn
_ROUNDS = 200  # of fitting orders to pairs: more change nothing that is shown
FEWEST_SETS = 10  # below it neither the spread between sets nor its error can be told (assumed)


@dataclass(frozen=True, slots=True)
class Pair:
    """`probability` that `first` has the lower rate than `second` (NaN where no subject ever differed), and its 95 %
    interval by simulation. `mean` is the mean difference (first minus second), `spread` its standard deviation between
    sets, `counted` the share of sets that point this way as simulated, noise and all (ties by half); `n` subjects were
    assessed under both.
    """

    first: str
    second: str
    probability: float
    low: float
    high: float
    mean: float
    spread: float
    counted: float
    sets: int
    n: int


@dataclass(frozen=True, slots=True)
class Order:
    """All pairs of the versions, and with three or more the probability of each complete order, lowest rate first."""

    pairs: tuple[Pair, ...]
    orders: tuple[tuple[tuple[str, ...], float], ...]
    sets: int


def estimate_order(values: Mapping[str, pl.Series], groups: Grouping) -> Order | None:
    """The order of the versions by their rates; None with fewer than 10 parameter sets.

    `values` tells of each subject under each version whether the event happened (null: not assessed), the same subjects in the
    same order, of whom `groups` tells the trials and parameter sets.
    """
    if groups.of_trial.max(initial=-1) + 1 < FEWEST_SETS:
        return None
    numbers = {name: value.cast(pl.Float64) for name, value in values.items()}
    sums = {
        (first, second): sum_by_set(numbers[first] - numbers[second], groups)
        for first, second in combinations(values, 2)
    }
    if any(len(found) < FEWEST_SETS for found in sums.values()) or not any(
        found[:, SQUARES].any() for found in sums.values()
    ):
        return None
    pairs = tuple(_pair(first, second, found) for (first, second), found in sums.items())
    sets = min(pair.sets for pair in pairs)
    return Order(pairs, _orders(tuple(values), pairs, sums, values, groups), sets)


def _pair(first: str, second: str, sums: FloatArray) -> Pair:
    totals = sums.sum(axis=0)
    if totals[SQUARES] == 0:
        return Pair(first, second, np.nan, np.nan, np.nan, 0.0, 0.0, np.nan, len(sums), int(totals[SUBJECTS]))
    mean, spread = _moments(totals)
    differences = sums[:, TOTAL]
    only_first, only_second = ((sums[:, SQUARES] + sign * differences) / 2 for sign in (1, -1))
    probability, low, high = believe_lower(only_first, only_second, sums[:, TRIALS], LEVEL, _trial_effects(totals))
    return Pair(
        first,
        second,
        probability,
        low,
        high,
        float(mean),
        float(spread),
        float(((differences < 0) + 0.5 * (differences == 0)) @ sums[:, SUBJECTS] / totals[SUBJECTS]),
        len(sums),
        int(totals[SUBJECTS]),
    )


def _trial_effects(totals: FloatArray) -> tuple[float, ...]:
    """By how much trials of one set that differ beyond chance make the variance of their differences larger (the design effect):
    three values as likely as each other of what could stand behind the run. 1 where sets and trials cannot be held apart."""
    if totals[TRIALS] == totals[SETS] or totals[SETS] == 1:
        return (1.0,)
    _, trial, within = draw_components(totals, np.random.default_rng(SEED), DRAWS // 2)
    if not within > 0:
        return (1.0,)
    # below 1 as well where chance made trials alike: cut off there, it would on average be too large
    effects = 1.0 + trial * totals[TRIAL_SIZES] / totals[SUBJECTS] / within
    return tuple(float(effect) for effect in np.maximum(np.quantile(effects, (1 / 6, 1 / 2, 5 / 6)), _SMALLEST_EFFECT))


def _again(totals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations between sets that could stand behind these totals."""
    luck, half = np.random.default_rng(SEED), DRAWS // 2
    n = totals[SUBJECTS]
    spread, trial, within = draw_components(totals, luck, half)
    spread, trial = np.maximum(spread, 0.0), np.maximum(trial, 0.0)
    error = spread * totals[SET_SIZES] / n**2 + trial * totals[TRIAL_SIZES] / n**2 + within / n
    away = np.sqrt(error) * luck.standard_normal(half)
    # every draw with its mirror image, so that versions named the other way round give exactly the complement
    mean = totals[TOTAL] / n + np.concatenate([away, -away])
    return mean, np.sqrt(np.concatenate([spread, spread]))


def _doubt(means: FloatArray, spreads: FloatArray) -> float:
    """The standard deviation of what a set may show, over what could stand behind the run."""
    return float(np.sqrt(np.var(means) + np.mean(spreads**2)))


def _moments(totals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mean difference and its standard deviation between sets (with one trial a set: between sets and trials)."""
    return totals[..., TOTAL] / totals[..., SUBJECTS], np.sqrt(solve_components(totals)[0])


def _orders(
    names: Sequence[str],
    pairs: Sequence[Pair],
    sums: Mapping[tuple[str, str], FloatArray],
    values: Mapping[str, pl.Series],
    groups: Grouping,
) -> tuple[tuple[tuple[str, ...], float], ...]:
    """Probabilities of the complete orders.

    Rates of the sets are drawn from a normal distribution whose variances hold the error by simulation. Covariances
    follow from the variances of the rates and of their differences, as the estimators are quadratic; a matrix that chance
    has made impossible is moved to the nearest possible one (negative eigenvalues to zero). The orders that come out are then
    given the weights nearest to those of the drawing with which they agree with the probabilities of the pairs (iterative
    proportional fitting), so an order is no surer than its pairs. Empty where two versions never differ: they have no order.
    """
    if len(names) < 3 or any(np.isnan(pair.probability) for pair in pairs):
        return ()
    place = {name: number for number, name in enumerate(names)}
    means, covariance = np.zeros(len(names)), np.zeros((len(names), len(names)))
    for name, number in place.items():
        totals = sum_by_set(values[name], groups).sum(axis=0)
        means[number] = totals[TOTAL] / totals[SUBJECTS]
        covariance[number, number] = _doubt(*_again(totals)) ** 2
    for pair in pairs:
        one, two = place[pair.first], place[pair.second]
        doubt = _doubt(*_again(sums[pair.first, pair.second].sum(axis=0)))
        shared = (covariance[one, one] + covariance[two, two] - doubt**2) / 2
        covariance[one, two] = covariance[two, one] = shared
    size, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(np.maximum(size, 0.0))
    drawn = means + np.random.default_rng(SEED).standard_normal((DRAWS, len(names))) @ root.T
    # every order has some weight, so that no probability of a pair is out of reach
    ranks = np.argsort(drawn, axis=1, kind="stable")
    few = len(names) <= _FEW
    ranked = np.array(list(permutations(range(len(names))))) if few else np.unique(ranks, axis=0)
    code = len(names) ** np.arange(len(names))
    seen, counts = np.unique(ranks @ code, return_counts=True)
    share = np.full(len(ranked), _LEAST)
    by_code = np.argsort(ranked @ code)
    share[by_code[np.searchsorted(ranked @ code, seen, sorter=by_code)]] += counts
    share /= share.sum()
    rank = np.argsort(ranked, axis=1)  # of each version in each order
    for _ in range(_ROUNDS):
        for pair in pairs:
            before = rank[:, place[pair.first]] < rank[:, place[pair.second]]
            drawn_so = share @ before
            if 0 < drawn_so < 1:
                share = share * np.where(before, pair.probability / drawn_so, (1 - pair.probability) / (1 - drawn_so))
    share /= share.sum()
    found = [(tuple(names[number] for number in order), float(part)) for order, part in zip(ranked, share, strict=True)]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))

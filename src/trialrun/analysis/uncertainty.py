"""How sure a simulated share is: parameters, trials and participants held apart.

A run over an ensemble has trials, each made with one parameter set; several trials may share a set. A share then
varies for three reasons: between parameter sets, between trials of one set (beyond chance), and by chance of who is in
the trial. The three variances are those of the nested random model

    y(set, trial, subject) = mean + set effect + trial effect + chance

by the analysis of variance for unequal numbers (Henderson 1953, Biometrics 9:226-52, method 1; Searle, Casella and
McCulloch 1992, Variance Components, section 5.3): sums of squares are set equal to their expectations. That needs no
distribution, and chance within a trial never counts as spread between trials, however few subjects a trial has. Sets
count by their trials: who draws trials from a weighted ensemble gives heavy sets more trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.distributions import beta_quantile, betabinomial_quantiles
from trialrun.analysis.estimates import LEVEL

FloatArray = NDArray[np.float64]
NESTED = (
    "nested random effects by moments (Henderson method 1); a component estimated below zero is set to zero and the "
    "others are estimated without it"
)
_TAIL = (1 - LEVEL) / 2
DRAWS = 20_000
SEED = 20060901
# Trials beyond the first of each set, below which what differs between sets and between trials is not held apart: from fewer the
# spread between trials of a set is hardly known, and its mean over what could stand behind the run is that of a tail (assumed).
# That makes trials of one set count as independent, and so it is done only where the trials have nearly as many sets.
FEWEST_REPEATED = 10
NEARLY_ALL = 0.8

# The sums that the estimators need, one column each; all of them add up over parameter sets.
SETS, TRIALS, SUBJECTS, TOTAL, OF_SETS, OF_TRIALS, SQUARES, SHARED, TRIAL_SIZES, SET_SIZES = range(10)


@dataclass(frozen=True, slots=True)
class Grouping:
    """The trial of each subject, and the parameter set of each trial, both counted from 0."""

    of_subject: NDArray[np.intp]
    of_trial: NDArray[np.intp]


def group_trials(trial: pl.Series, parameter_set: pl.Series) -> Grouping:
    """From the trial and the set of each subject. Trials without a set (null) count as one set of their own."""
    which, trials = _ranks(parameter_set), _ranks(trial)
    width = int(trials.max(initial=0)) + 1
    per_trial, of_subject = np.unique(which * width + trials, return_inverse=True)
    _, of_trial = np.unique(per_trial // width, return_inverse=True)
    return Grouping(of_subject, of_trial)


def sum_by_set(values: pl.Series, groups: Grouping) -> FloatArray:
    """The sums of each parameter set, (sets, 10), from one number a subject; a null value is not assessed.

    Where hardly any trial shares its set with another (`FEWEST_REPEATED`, `NEARLY_ALL`), each counts as a set of its own.
    """
    known = values.is_not_null().to_numpy()
    y = values.cast(pl.Float64).to_numpy()[known]
    of_subject = groups.of_subject[known]

    def add(where: NDArray[np.intp], numbers: FloatArray | None, least: int = 0) -> FloatArray:
        return np.bincount(where, weights=numbers, minlength=least).astype(np.float64)

    size = add(of_subject, None, groups.of_trial.size)
    there = size > 0  # trials in which anybody was assessed
    total, squares = (add(of_subject, part, there.size)[there] for part in (y, y**2))
    size = size[there]
    _, of_trial = np.unique(groups.of_trial[there], return_inverse=True)
    per_set = np.bincount(of_trial)
    worth = size.size**2 / (per_set**2).sum() if size.size else 0.0
    if 0 < size.size - per_set.size < FEWEST_REPEATED and worth >= NEARLY_ALL * size.size:
        of_trial = np.arange(size.size)  # as if each had a set of its own
    n, sums = add(of_trial, size), add(of_trial, total)
    columns = (
        np.ones(n.size),
        add(of_trial, None),
        n,
        sums,
        sums**2 / n,
        add(of_trial, total**2 / size),
        add(of_trial, squares),
        add(of_trial, size**2) / n,
        add(of_trial, size**2),
        n**2,
    )
    return np.column_stack(columns)


def _ranks(names: pl.Series) -> NDArray[np.int64]:
    """0, 1, 2, ... by ascending name, those without one last."""
    ranked = names.rank("dense").cast(pl.Int64) - 1
    return ranked.fill_null(ranked.n_unique()).to_numpy()


@dataclass(frozen=True, slots=True)
class Components:
    """The mean of a number and the variances that it has, each None where the run cannot tell it.

    `parameter`: between parameter sets. `trial`: between trials of one set. `within`: between subjects of one trial.
    `between`: parameter and trial together, which one trial a set cannot hold apart. `mean_error` is the standard
    error of the mean by simulation: what other sets, trials and subjects as many would change.
    """

    mean: float
    parameter: float | None
    trial: float | None
    between: float | None
    within: float | None
    mean_error: float | None
    sets: int
    trials: int
    n: int


def split_variance(sums: FloatArray) -> Components:
    """The components from the sums of `sum_by_set`. Without any subject the mean is NaN."""
    totals = sums.sum(axis=0)
    sets, trials, n = (int(totals[place]) for place in (SETS, TRIALS, SUBJECTS))
    if n == 0:
        return Components(np.nan, None, None, None, None, None, sets, trials, 0)
    parameter, trial, within = (float(part) for part in solve_components(totals))
    between = np.nansum([parameter, trial]) if trials > 1 and not np.isnan(within) else None
    error = None
    if not np.isnan(within):
        shares = totals[SET_SIZES] / n**2, totals[TRIAL_SIZES] / n**2
        if sets == trials:  # the combined component stands in `parameter` here
            error = sqrt((between or 0.0) * shares[1] + within / n)
        else:
            error = sqrt(np.nan_to_num(parameter) * shares[0] + np.nan_to_num(trial) * shares[1] + within / n)
    apart = sets > 1 and trials > sets and not np.isnan(within)
    return Components(
        mean=float(totals[TOTAL] / n),
        parameter=parameter if apart else None,
        trial=trial if apart or (sets == 1 and trials > 1 and not np.isnan(trial)) else None,
        between=None if between is None else float(between),
        within=None if np.isnan(within) else within,
        mean_error=error,
        sets=sets,
        trials=trials,
        n=n,
    )


def solve_components(totals: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Variances (between sets, between trials of a set, within trials) from totals (..., 10), none below zero.

    With one set the first is NaN. With one trial a set the first holds both and the second is NaN. NaN throughout where
    every trial has one subject.
    """
    part = np.moveaxis(np.asarray(totals, dtype=np.float64), -1, 0)
    sets, trials, n = part[SETS], part[TRIALS], part[SUBJECTS]
    grand = part[TOTAL] ** 2 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        within = (part[SQUARES] - part[OF_TRIALS]) / (n - trials)
        trial = (part[OF_TRIALS] - part[OF_SETS] - (trials - sets) * within) / (n - part[SHARED])
        spread = n - part[SET_SIZES] / n
        both = part[SHARED] - part[TRIAL_SIZES] / n
        parameter = (part[OF_SETS] - grand - (sets - 1) * within - both * trial) / spread
        # without the component between trials: they are pooled with their subjects
        pooled = (part[SQUARES] - part[OF_SETS]) / (n - sets)
        alone = (part[OF_SETS] - grand - (sets - 1) * pooled) / spread
        # without the component between sets, or with one trial a set: all trials side by side
        flat = (part[OF_TRIALS] - grand - (trials - 1) * within) / (n - part[TRIAL_SIZES] / n)
    nested = (sets > 1) & (trials > sets)
    no_trial, no_set = nested & (trial < 0), nested & (trial >= 0) & (parameter < 0)
    parameter = np.where(no_trial, alone, np.where(no_set, 0.0, parameter))
    trial = np.where(no_trial, 0.0, np.where(no_set, flat, trial))
    within = np.where(no_trial, pooled, within)
    single, one_each = sets == 1, (sets > 1) & (trials == sets)
    parameter = np.where(single, np.nan, np.where(one_each, flat, parameter))
    trial = np.where(one_each, np.nan, np.where(single, np.where(trials > 1, flat, np.nan), trial))
    return np.maximum(parameter, 0.0), np.maximum(trial, 0.0), np.maximum(within, 0.0)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A share as it is predicted. `large`: the true rate of a large trial. `low` and `high`: how many of `of`
    subjects of a trial. Both hold 95 %. `error_parameter`, `error_trial`: standard errors, by simulation, of the
    standard deviations between sets and between trials (jackknife over the sets)."""

    components: Components
    large: tuple[float, float]
    low: int
    high: int
    of: int
    error_parameter: float | None
    error_trial: float | None


def predict_share(sums: FloatArray, of: int) -> Prediction | None:
    """The prediction for a large trial and for one of `of` subjects; None where nobody could be assessed.

    The true rate has a beta distribution with the mean and the variance between sets and trials; the squared error of
    the mean by simulation is added to that variance. Few trials know the variance itself badly, and an estimate of zero
    is no proof that trials agree: the mean of what could stand behind the run is taken (`draw_components`). The count
    in a trial is beta-binomial: its interval is exact.
    """
    found = split_variance(sums)
    if found.n == 0:
        return None
    mean, variance = found.mean, _expected_between(sums, found) + (found.mean_error or 0.0) ** 2
    if mean * (1 - mean) <= variance and 0 < mean < 1:  # every trial all or none: nothing narrower can be said
        rate, counts = (0.0, 1.0), (0, of)
    else:
        if variance == 0.0 or mean in (0.0, 1.0):
            # no event in any subject, or in all: what so many subjects leave open (Jeffreys)
            events = round(mean * found.n)
            shape = events + 0.5, found.n - events + 0.5
        else:
            precision = mean * (1 - mean) / variance - 1
            shape = mean * precision, (1 - mean) * precision
        rate = beta_quantile(_TAIL, *shape), beta_quantile(1 - _TAIL, *shape)
        low, high = betabinomial_quantiles((_TAIL, 1 - _TAIL), of, *shape)
        counts = low, high
    errors = _errors(sums) if found.parameter is not None else (None, None)
    return Prediction(found, rate, *counts, of, *errors)


def draw_components(totals: FloatArray, luck: np.random.Generator, draws: int) -> tuple[FloatArray, FloatArray, float]:
    """Variances between sets and between trials of a set that could stand behind these totals (10,), (draws,) each,
    not yet set to zero where negative, and the variance within trials (generalized intervals, Weerahandi 1995).

    The mean squares between sets and between trials are divided by chi-square draws over their degrees of freedom. Sets
    of unequal size count as the n^2 / sum(n_set^2) equal sets that they are worth. With one trial a set, the first holds
    both; with one set, the second does. Two trials or more.
    """
    sets, trials, n = totals[SETS], totals[TRIALS], totals[SUBJECTS]
    within = max(0.0, (totals[SQUARES] - totals[OF_TRIALS]) / (n - trials)) if n > trials else 0.0
    spread, trial = np.zeros(draws), np.zeros(draws)
    between = spread
    if sets > 1:
        worth = n**2 / totals[SET_SIZES]
        square = (totals[OF_SETS] - totals[TOTAL] ** 2 / n) / (sets - 1)
        between = square * (worth - 1) / luck.chisquare(worth - 1, draws)
    if trials > sets:
        free = trials - sets
        nested = (totals[OF_TRIALS] - totals[OF_SETS]) / luck.chisquare(free, draws)
        trial = (nested - within) * free / (n - totals[SHARED])
    if sets > 1:
        both = totals[SHARED] - totals[TRIAL_SIZES] / n
        spread = ((sets - 1) * (between - within) - both * trial) / (n - totals[SET_SIZES] / n)
    return spread, trial, within


def _expected_between(sums: FloatArray, found: Components) -> float:
    """The variance between sets and trials together, expected over what could stand behind the run."""
    if found.between is None:
        return 0.0
    spread, trial, _ = draw_components(sums.sum(axis=0), np.random.default_rng(SEED), DRAWS)
    return float(np.maximum(spread + trial, 0.0).mean())


def _errors(sums: FloatArray) -> tuple[float | None, float | None]:
    """Standard errors of the two standard deviations between sets and between trials: leave out one set at a time."""
    if len(sums) < 3:
        return None, None
    parameter, trial, _ = solve_components(sums.sum(axis=0) - sums)
    return _jackknife(np.sqrt(parameter)), _jackknife(np.sqrt(trial))


def _jackknife(without: FloatArray) -> float | None:
    if np.isnan(without).any():
        return None
    n = len(without)
    return float(sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))

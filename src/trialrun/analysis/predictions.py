"""Rows of a summary that rest on an ensemble of parameter sets: predictions, their parts, and orders of schedules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from trialrun.analysis.definitions import Outcome
from trialrun.analysis.estimates import Interval
from trialrun.analysis.order import Pair, estimate_order
from trialrun.analysis.people import Matches, Treated
from trialrun.analysis.published import Published
from trialrun.analysis.rows import Row, make_row
from trialrun.analysis.run import Run
from trialrun.analysis.uncertainty import NESTED, Prediction, predict_share, split_variance, sum_by_set

LARGE = "true rate of a large trial: parameters and trials, beta distribution of that mean and variance"
TRIAL = "a trial of n: parameters, trials and sampling, beta-binomial"
ORDER = "probability over parameter sets, discordant pairs, beta over the sets; interval: Monte Carlo"
_ONE_EACH = "; one trial a set: between parameter sets and between trials are one number"


def predict_outcome(
    outcome: Outcome, version: str, happened: pl.Series, treated: Treated, run: Run, published: Published | None
) -> Iterator[Row]:
    """The prediction of a share under one version, with its three uncertainties, from whether it `happened` to each treated
    subject; nothing without an ensemble, and nothing from one trial, which cannot tell how far trials and sets lie apart.

    Statistics: `large_trial`; `trial_of_n` for the size of the run's trials and for that of each published count;
    `sd_parameter`, `sd_trial`, `sd_sampling` (of the run's trial size), or `sd_between` where parameters and trials
    cannot be held apart.
    """
    if not treated.has_sets:
        return
    sums = sum_by_set(happened, treated.groups)
    if split_variance(sums).trials < 2:
        return
    missing = happened.null_count()
    sizes = {run.subjects} | {
        fact.of
        for fact in (() if published is None else published.counts)
        if (fact.outcome, fact.version, fact.category) == (outcome.name, version, None)
    }
    for size in sorted(size for size in sizes if size):
        found = predict_share(sums, size)
        if found is None:
            return
        mean, n = found.components.mean, found.components.n
        if size == run.subjects:
            large = Interval(mean, *found.large, n, f"{LARGE}; {_method(found)}")
            error = found.components.mean_error
            yield make_row(outcome, version, "large_trial", large, None, n_not_assessable=missing, error=error)
            yield from _parts(outcome, version, found)
        trial = Interval(mean, found.low / size, found.high / size, size, f"{TRIAL}; {_method(found)}")
        yield make_row(outcome, version, "trial_of_n", trial, None)


def _method(found: Prediction) -> str:
    return NESTED + ("" if found.components.parameter is not None else _ONE_EACH)


def _parts(outcome: Outcome, version: str, found: Prediction) -> Iterator[Row]:
    parts = found.components
    variances: list[tuple[str, float | None, float | None]] = [
        ("sd_parameter", parts.parameter, found.error_parameter),
        ("sd_trial", parts.trial, found.error_trial),
        ("sd_between", parts.between if parts.parameter is None else None, None),
    ]
    for name, variance, error in variances:
        if variance is not None:
            value = Interval(math.sqrt(variance), math.nan, math.nan, parts.n, _method(found))
            yield make_row(outcome, version, name, value, None, error=error)
    if parts.within is not None:
        chance = math.sqrt(parts.within / found.of)
        value = Interval(chance, math.nan, math.nan, found.of, "chance in a trial of n subjects")
        yield make_row(outcome, version, "sd_sampling", value, None)


def order_versions(outcome: Outcome, happened: Mapping[str, pl.Series], matches: Matches) -> Iterator[Row]:
    """Which version does better, over the parameter sets; nothing without an ensemble or a good direction.

    `probability_better`: that `version` is better than `reference`, for every pair. With three versions or more `order`
    gives the probability of each complete order, best first, in `category`; its `version` is the best one.
    """
    names = tuple(happened)
    if len(names) < 2 or outcome.better is None or not matches.has_sets:
        return
    order = estimate_order(matches.take(names, happened), matches.groups(names))
    if order is None:
        return
    for pair in order.pairs:
        found, note = _better(outcome, pair)
        yield make_row(
            outcome,
            pair.second,
            "probability_better",
            found,
            None,
            reference=pair.first,
            note=note,
            n_not_assessable=None,
        )
    for versions, probability in order.orders:
        ranked = versions if outcome.better == "low" else versions[::-1]
        found = Interval(
            probability,
            math.nan,
            math.nan,
            order.sets,
            "drawn from the normal distribution of the sets, weighted to agree with the pairs",
        )
        yield make_row(outcome, ranked[0], "order", found, None, category=", then ".join(ranked))


def _better(outcome: Outcome, pair: Pair) -> tuple[Interval, str]:
    """The probability that the second of the pair is better. A pair says how probable it is that the first is lower."""
    if math.isnan(pair.probability):
        return Interval(math.nan, math.nan, math.nan, pair.n, ORDER), "no participant differed"
    lower = outcome.better == "low"
    value = 1 - pair.probability if lower else pair.probability
    low, high = (1 - pair.high, 1 - pair.low) if lower else (pair.low, pair.high)
    counted = 1 - pair.counted if lower else pair.counted
    said = (
        f"mean difference {-100 * pair.mean:+.1f} points, {100 * pair.spread:.1f} between {pair.sets} parameter sets; "
        f"as simulated, noise and all, {100 * counted:.0f} % of the sets"
    )
    return Interval(value, low, high, pair.n, ORDER), said


def judge_published(rows: Sequence[Row], run: Run) -> list[Row]:
    """The rows with `inside` and `in_sample` of each published count, where there is an ensemble to judge by, and the people are
    those of whom it was published."""
    if run.ensemble is None or run.other_people:
        return list(rows)
    bounds = {(row.outcome, row.version, row.n): row for row in rows if row.statistic == "trial_of_n"}
    judged = []
    for row in rows:
        if row.statistic != "published" or row.events is None:
            judged.append(row)
            continue
        trial = bounds.get((row.outcome, row.version, row.n)) if row.category is None else None
        inside = None
        if trial is not None and trial.ci_low is not None and trial.ci_high is not None:
            inside = round(trial.ci_low * row.n) <= row.events <= round(trial.ci_high * row.n)
        fitted = (row.outcome, row.events, row.n) in run.ensemble.fitted
        judged.append(replace(row, inside=inside, in_sample=fitted))
    return judged

"""Spread between parameter sets told from chance: known variances come back, and nothing impossible is said."""

from __future__ import annotations

from math import inf

import numpy as np
import polars as pl
import pytest
from scipy import stats

from trialrun.engine.source import FloatArray, IntArray
from trialrun.trials.uncertainty import interval_of_sets, middle


def _interval(values: FloatArray, sets: IntArray, most: float) -> tuple[float, float] | None:
    """One value a trial."""
    return interval_of_sets(pl.Series(values), pl.Series(np.arange(values.size)), pl.Series(sets), most)


def test_without_two_trials_of_a_set_nothing_can_be_told() -> None:
    luck = np.random.default_rng(1)
    assert _interval(luck.random(50), np.arange(50), 1.0) is None
    assert _interval(luck.random(50), np.zeros(50, dtype=np.int64), 1.0) is None


@pytest.mark.parametrize("sets", [2, 5])
def test_few_sets_tell_nothing(sets: int) -> None:
    values = np.random.default_rng(2).random(200)
    assert _interval(values, np.arange(200) % sets, 1.0) is None
    assert _interval(values, np.arange(200) % 6, 1.0) is not None


@pytest.mark.parametrize("events", [0, 1, 19, 300 - 19, 299, 300])
def test_few_trials_with_or_without_the_event_tell_nothing(events: int) -> None:
    values = (np.arange(300) < events).astype(float)
    assert _interval(np.random.default_rng(3).permutation(values), np.arange(300) % 100, 1.0) is None


def test_no_estimated_spread_is_no_proof_that_sets_agree() -> None:
    """Every set has one trial with and one without: less spread than chance makes, so that the estimate is zero."""
    values, sets = np.tile([0.0, 1.0], 50), np.repeat(np.arange(50), 2)
    low, high = _interval(values, sets, 1.0) or (0.5, 0.5)
    assert 0.2 < low < 0.45
    assert 0.55 < high < 0.8


def test_known_variance_of_means_comes_back() -> None:
    luck = np.random.default_rng(20061001)
    sets = np.repeat(np.arange(400), 10)
    values = 15.0 + 2.0 * luck.normal(size=400)[sets] + 3.0 * luck.normal(size=4000)
    low, high = _interval(values, sets, inf) or (0.0, 0.0)
    gamma = stats.gamma(15**2 / 4, scale=4 / 15)
    assert low == pytest.approx(gamma.ppf(0.025), abs=0.6)
    assert high == pytest.approx(gamma.ppf(0.975), abs=0.6)


def test_known_distribution_of_probabilities_comes_back() -> None:
    luck = np.random.default_rng(20070301)
    sets = np.repeat(np.arange(2000), 10)
    truth = luck.beta(2.0, 6.0, size=2000)
    values = (luck.random(20_000) < truth[sets]).astype(float)
    low, high = _interval(values, sets, 1.0) or (0.0, 0.0)
    assert low == pytest.approx(np.quantile(truth, 0.025), abs=0.03)
    assert high == pytest.approx(np.quantile(truth, 0.975), abs=0.03)


@pytest.mark.parametrize("spread", [0.05, 0.1, 0.2])
def test_the_interval_holds_most_sets(spread: float) -> None:
    """Two trials a set, as a run of 300 trials has them: over 40 runs, 95 % of sets are held but for a few in a hundred."""
    luck, mean, held = np.random.default_rng(4), 0.3, []
    size = mean * (1 - mean) / spread**2 - 1
    law = stats.beta(mean * size, (1 - mean) * size)
    for _ in range(40):
        truth = law.rvs(150, random_state=luck)
        sets = luck.integers(0, 150, 300)
        low, high = _interval((luck.random(300) < truth[sets]).astype(float), sets, 1.0) or (0.0, 1.0)
        held.append(law.cdf(high) - law.cdf(low))
    assert np.mean(held) > 0.88


def test_the_interval_of_a_share_holds_the_pooled_share_where_trials_differ_in_size() -> None:
    """Large trials have fewer events: the mean of the shares of trials is far from the share of all participants."""
    luck = np.random.default_rng(5)
    size = np.where(np.arange(300) % 2 == 0, 2, 30)
    trial = np.repeat(np.arange(300), size)
    happened = luck.random(trial.size) < np.where(size == 2, 0.4, 0.02)[trial]
    assert np.mean([happened[trial == k].mean() for k in range(300)]) > 2 * happened.mean()
    low, high = interval_of_sets(pl.Series(happened), pl.Series(trial), pl.Series(trial // 3), 1.0) or (0.0, 0.0)
    assert low < happened.mean() < high < 0.15


@pytest.mark.parametrize("most", [1.0, 27.0, inf])
@pytest.mark.parametrize("mean", [1e-6, 0.01, 0.5, 0.97])
@pytest.mark.parametrize("spread", [1e-4, 0.1, 1.0, 20.0])
def test_it_is_possible_and_holds_the_mean_or_there_is_none(most: float, mean: float, spread: float) -> None:
    centre = mean * min(most, 100.0)
    told = middle(centre, (spread * centre) ** 2, most)
    assert told is None or 0 <= told[0] <= centre <= told[1] <= most


def test_middle_is_nearly_normal_far_from_the_limits() -> None:
    for most in (1000.0, inf):
        low, high = middle(500.0, 4.0, most) or (0.0, 0.0)
        assert (low, high) == pytest.approx((500 - 1.96 * 2, 500 + 1.96 * 2), abs=0.02)
    assert middle(5.0, 0.0) is None
    assert middle(27.0, 1.0, 27.0) is None

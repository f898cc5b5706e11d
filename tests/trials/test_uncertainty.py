"""Spread between parameter sets told from chance: known variances come back."""

from __future__ import annotations

import numpy as np
import pytest

from trialrun.trials.uncertainty import interval_of_sets, variance_between_sets


def test_by_hand() -> None:
    # two sets of two trials: means 1 and 3, each with squares of deviations 2; between 4, within 2, n0 = 2
    assert variance_between_sets(np.array([0.0, 2.0, 2.0, 4.0]), np.array([7, 7, 9, 9])) == pytest.approx(1.0)


def test_less_spread_than_chance_is_none() -> None:
    assert variance_between_sets(np.array([0.0, 2.0, 2.0, 0.0]), np.array([0, 0, 1, 1])) == 0.0
    assert interval_of_sets(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 1]), True) == (0.5, 0.5)


def test_without_two_trials_of_a_set_nothing_can_be_told() -> None:
    assert variance_between_sets(np.array([0.0, 2.0]), np.array([0, 1])) is None
    assert interval_of_sets(np.array([0.0, 2.0]), np.array([0, 0]), False) is None


def test_known_variance_of_normal_means_comes_back() -> None:
    luck = np.random.default_rng(20061001)
    sets = np.repeat(np.arange(400), 10)
    values = 5.0 + 2.0 * luck.normal(size=400)[sets] + 3.0 * luck.normal(size=4000)
    # variance 4; its standard error is about (4 + 9/10) sqrt(2/399) = 0.35
    assert variance_between_sets(values, sets) == pytest.approx(4.0, abs=1.4)
    low, high = interval_of_sets(values, sets, share=False) or (0.0, 0.0)
    assert low == pytest.approx(5 - 1.96 * 2, abs=0.6)
    assert high == pytest.approx(5 + 1.96 * 2, abs=0.6)


def test_known_distribution_of_probabilities_comes_back() -> None:
    luck = np.random.default_rng(20070301)
    sets = np.repeat(np.arange(2000), 10)
    truth = luck.beta(2.0, 6.0, size=2000)
    values = (luck.random(20_000) < truth[sets]).astype(float)
    low, high = interval_of_sets(values, sets, share=True) or (0.0, 0.0)
    assert low == pytest.approx(np.quantile(truth, 0.025), abs=0.03)
    assert high == pytest.approx(np.quantile(truth, 0.975), abs=0.03)

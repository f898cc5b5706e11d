"""Pareto smoothing of importance weights."""

from __future__ import annotations

import numpy as np
import pytest

from trialrun.calibrate.smooth import largest_trusted, smooth_weights


def test_smoothing_tames_one_weight_and_leaves_the_others_in_order() -> None:
    luck = np.random.default_rng(1)
    weights = np.exp(luck.normal(0.0, 1.0, 640))
    weights[7] = 60 * weights.max()
    smoothed, shape = smooth_weights(weights)
    assert smoothed.sum() == pytest.approx(1.0)
    assert np.array_equal(np.argsort(smoothed, kind="stable"), np.argsort(weights, kind="stable"))
    raw = weights / weights.sum()
    assert 1 / np.sum(raw**2) < 5
    assert 1 / np.sum(smoothed**2) > 20
    small = np.argsort(weights)[:500]
    assert smoothed[small] / smoothed[small].sum() == pytest.approx(raw[small] / raw[small].sum())
    assert shape > 0


def test_a_mean_over_smoothed_weights_is_that_of_the_target() -> None:
    """Proposal N(0, 1), target N(0.7, 1): the weighted mean of many repetitions is near 0.7, with less spread than raw weights
    give, and the shape of an easy problem is low."""
    luck, found, raw, shapes = np.random.default_rng(2), [], [], []
    for _ in range(200):
        x = luck.standard_normal(640)
        weights = np.exp(0.7 * x - 0.245)
        smoothed, shape = smooth_weights(weights)
        found.append(smoothed @ x)
        raw.append((weights / weights.sum()) @ x)
        shapes.append(shape)
    assert np.mean(found) == pytest.approx(0.7, abs=0.02)
    assert np.std(found) < 1.1 * np.std(raw)
    assert np.median(shapes) < largest_trusted(640)


@pytest.mark.parametrize("weights", [np.ones(50), np.array([0.2, 0.3, 0.5])])
def test_where_there_is_no_tail_nothing_is_smoothed(weights: np.ndarray) -> None:
    smoothed, shape = smooth_weights(weights)
    assert smoothed == pytest.approx(weights / weights.sum())
    assert np.isnan(shape)


def test_fewer_weights_are_trusted_up_to_a_smaller_shape() -> None:
    assert [largest_trusted(n) for n in (100, 640, 10_000)] == pytest.approx([0.5, 0.6436, 0.7], abs=1e-4)

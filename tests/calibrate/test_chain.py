"""Draws from a posterior whose mean and spread are known."""

from __future__ import annotations

import numpy as np
import pytest

from trialrun.calibrate.chain import EVERY, sample_chain

emcee = pytest.importorskip("emcee")
CENTRE, SD = np.array([0.5, -1.0, 0.0]), np.array([0.2, 1.0, 2.0])


def _log(scores: np.ndarray) -> np.ndarray:
    return np.asarray(-0.5 * np.sum(((scores - CENTRE) / SD) ** 2, axis=1))


def test_a_chain_has_the_mean_and_spread_of_its_posterior_and_tells_its_length_in_steps() -> None:
    told: list[tuple[int, int]] = []
    chain = sample_chain(_log, 3, 1, 1500, 2000, lambda done, of: told.append((done, of)))
    assert chain.scores.shape == (12 * 2000 // EVERY, 3)
    assert (chain.scores.mean(axis=0) - CENTRE) / SD == pytest.approx([0, 0, 0], abs=0.1)
    assert chain.scores.std(axis=0) / SD == pytest.approx([1, 1, 1], abs=0.08)
    assert told[-1] == (3500, 3500)
    walks = chain.scores.reshape(-1, 12, 3)
    times = EVERY * emcee.autocorr.integrated_time(walks, tol=0)
    assert chain.mixing["autocorrelation_steps"] == [round(times.min()), round(times.max())]
    assert (chain.mixing["kept"], chain.mixing["walkers"]) == (2000, 12)


def test_two_chains_of_one_posterior_are_near_and_of_another_one_are_not() -> None:
    def moved(scores: np.ndarray) -> np.ndarray:
        return _log(scores - np.array([0.0, 1.0, 0.0]))

    def nothing(done: int, of: int) -> None:
        pass

    one, same, other = (
        sample_chain(log, 3, seed, 500, 1000, nothing) for log, seed in ((_log, 1), (_log, 2), (moved, 1))
    )
    assert one.distance(same) < 0.2
    assert one.distance(other) == pytest.approx(1.0, abs=0.2)
    assert np.array_equal(sample_chain(_log, 3, 1, 500, 1000, nothing).scores, one.scores), (
        "the same seed, the same chain"
    )

"""Draws from a posterior by an ensemble of walkers (emcee), each moved along the difference of two others (ter Braak CJF.
Stat Comput 2006;16:239-49): in so many numbers about twice as fast as stretch moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
EVERY = 5  # of these steps one is remembered: the others are nearly the same


@dataclass(frozen=True, slots=True)
class Chain:
    """Scores (remembered steps x walkers, P), and its `mixing`: its lengths in steps, the part of moves that were accepted,
    shortest and longest autocorrelation time. `luck` goes on from where the walkers started."""

    scores: FloatArray
    mixing: dict[str, Any]
    luck: np.random.Generator

    def choose(self, sets: int) -> FloatArray:
        """So many of the scores, each once."""
        return np.asarray(self.scores[np.sort(self.luck.choice(len(self.scores), sets, replace=False))])

    def distance(self, other: Chain) -> float:
        """How far the means of two chains are apart, of the number in which it is most, in standard deviations."""
        apart = np.abs(self.scores.mean(axis=0) - other.scores.mean(axis=0)) / self.scores.std(axis=0)
        return round(float(apart.max()), 3)


def sample_chain(
    log_posterior: Callable[[FloatArray], FloatArray],
    size: int,
    seed: int,
    burn: int,
    keep: int,
    progress: Callable[[int, int], None],
) -> Chain:
    """A chain of scores (n, `size`) whose `log_posterior` (n,) is known up to a constant; four walkers a number,
    `keep` steps of each after `burn` that are left out."""
    import emcee  # an extra: only who calibrates needs it

    walkers = 4 * size
    luck = np.random.default_rng(seed)
    sampler = emcee.EnsembleSampler(walkers, size, log_posterior, vectorize=True, moves=emcee.moves.DEMove())
    sampler.random_state = np.random.RandomState(seed).get_state()
    start = 0.3 * luck.standard_normal((walkers, size))
    for step, _ in enumerate(sampler.sample(start, iterations=(burn + keep) // EVERY, thin_by=EVERY), start=1):
        if step % 20 == 0:
            progress(step * EVERY, burn + keep)
    scores = sampler.get_chain(discard=burn // EVERY, flat=True)
    if not np.isfinite(scores).all():
        raise TrialrunError(Problem("no-posterior", "the posterior could not be sampled", None, "wider priors"))
    times = EVERY * sampler.get_autocorr_time(discard=burn // EVERY, tol=0)
    mixing = {
        "walkers": walkers,
        "left_out": burn,
        "kept": keep,
        "accepted": round(float(np.mean(sampler.acceptance_fraction)), 3),
        "autocorrelation_steps": [round(float(times.min())), round(float(times.max()))],
    }
    return Chain(scores, mixing, luck)

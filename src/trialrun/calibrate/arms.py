"""The trials of a calibration, simulated for many parameter sets side by side."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.calibrate.count import counted
from trialrun.calibrate.plan import Arm, Calibration
from trialrun.rehearse import derive_subject_outcomes
from trialrun.simulate.ensemble import Ensemble, numbers_for

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def count_events(
    calibration: Calibration, scores: FloatArray, subjects: int, seed: int
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """For every fact, how many of so many subjects had its outcome under each of the sets `scores` (K, P): events (K,) and
    subjects assessed (K,). Facts seen in several trials take them in equal parts.

    All sets meet the same subjects with the same luck, each subject in a trial of its own, so that what differs between
    trials is averaged over.
    """
    sets = len(scores)
    ensemble = Ensemble(
        tuple(calibration.priors),
        np.column_stack(list(calibration.values(scores).values())),
        np.full(sets, 1 / sets),
        {},
    )
    events = {name: np.zeros(sets) for name in calibration.facts}
    assessed = {name: np.zeros(sets) for name in calibration.facts}
    for arm in calibration.arms:
        mine = {name: fact for name, fact in calibration.facts.items() if arm.name in fact.seen_in}
        if not mine:
            continue
        outcomes = _simulate(arm, ensemble, subjects, seed)
        for name, fact in mine.items():
            found = outcomes.select(counted(fact).alias("it"))["it"].to_numpy().reshape(sets, subjects)
            known = ~np.isnan(found)
            part = 1.0 / len(fact.seen_in)
            events[name] += part * np.where(known, found, 0.0).sum(axis=1)
            assessed[name] += part * known.sum(axis=1)
    return events, assessed


def _simulate(arm: Arm, ensemble: Ensemble, subjects: int, seed: int) -> pl.DataFrame:
    """Outcomes of all sets x subjects, one row each, set by set."""
    sets = np.repeat(np.arange(ensemble.sets), subjects)
    index = np.tile(np.arange(subjects), ensemble.sets)
    numbers = numbers_for(arm.population, ensemble, seed, index, sets)
    return derive_subject_outcomes(arm.population, arm.plan, arm.cycles, seed, index, numbers)

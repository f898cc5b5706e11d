"""Published trials left out in turn: what the others alone predict of each.

The sets are not simulated again: those that the left-out facts spoke for lose the weight that these gave them (importance
sampling with smoothed weights, as in leave-one-out cross-validation: Vehtari A, Gelman A, Gabry J. Stat Comput
2017;27:1413-32). Where few sets are left that way, the effective size and the shape of the largest weights say so; then another
calibration, without that trial, can predict it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trialrun.calibrate.file import Fact
from trialrun.calibrate.likelihood import law_of, log_likelihood
from trialrun.calibrate.plan import Calibration
from trialrun.calibrate.smooth import smooth_weights

FloatArray = NDArray[np.float64]


def leave_out(
    calibration: Calibration, logs: FloatArray, rate: Mapping[str, FloatArray], size: Mapping[str, FloatArray]
) -> dict[str, Any]:
    """For each published trial: its facts as the other trials predict them, and what the sets are worth without them.

    `logs` (K,) of the weights of the sets before they are smoothed, `rate` and `size` (K,) of each fact as simulated. Of each
    fact the mean `rate`, the 95 % interval `low` to `high` of the count in a trial as large as the published one, and `tail`:
    how probable a count is that is as far out as the published one or further, on its side, twice (of an upper bound: a
    count that keeps it).
    """
    reports: dict[str, list[str]] = {}
    for name, fact in calibration.facts.items():
        reports.setdefault(fact.report or name, []).append(name)
    found: dict[str, Any] = {}
    for report, names in reports.items():
        others = logs
        for name in names:
            others = others - log_likelihood(
                calibration.facts[name], rate[name], size[name], calibration.overdispersion
            )
        left, shape = smooth_weights(np.exp(others - others.max()))
        told = None if np.isnan(shape) else round(shape, 2)
        found[report] = _tell(calibration, names, left, told, rate, size, "weights")
    return found


def predict_without(
    calibration: Calibration,
    weights: FloatArray,
    shape: float | None,
    rate: Mapping[str, FloatArray],
    size: Mapping[str, FloatArray],
) -> dict[str, Any]:
    """The facts that this calibration left out, as the sets that it found predict them: as one trial of `leave_out`."""
    return _tell(calibration, calibration.left_out, weights, shape, rate, size, "refit")


def _tell(
    calibration: Calibration,
    names: Collection[str],
    weights: FloatArray,
    shape: float | None,
    rate: Mapping[str, FloatArray],
    size: Mapping[str, FloatArray],
    by: str,
) -> dict[str, Any]:
    """`by` says how they were left out: by `weights`, or by a `refit`."""
    return {
        "by": by,
        "effective_sample_size": float(1.0 / np.sum(weights**2)),
        "pareto_shape": shape,
        "facts": {
            name: said for name, said in predict_facts(calibration, weights, rate, size).items() if name in names
        },
    }


def find_misfits(
    calibration: Calibration, weights: FloatArray, rate: Mapping[str, FloatArray], size: Mapping[str, FloatArray]
) -> list[str]:
    """The facts that the sets fitted to all of them do not fit: what was published lies outside of the 95 % interval of the count
    in a trial as large (of an upper bound: below it)."""
    found = []
    for name, said in predict_facts(calibration, weights, rate, size).items():
        fact = calibration.facts[name]
        if fact.seen < said["low"] or (fact.seen > said["high"] and not fact.at_most):
            found.append(f"{name} ({fact.told})")
    return found


def predict_facts(
    calibration: Calibration, weights: FloatArray, rate: Mapping[str, FloatArray], size: Mapping[str, FloatArray]
) -> dict[str, dict[str, float]]:
    """Each fact as weighted sets predict it in a report as large, as the likelihood has it: with what differs between reports
    (`overdispersion`), which virtual trials of one protocol do not have. See `leave_out`."""
    return {
        name: _predict(fact, weights, rate[name], size[name], calibration.overdispersion)
        for name, fact in calibration.facts.items()
    }


def _predict(
    fact: Fact, weights: FloatArray, rate: FloatArray, size: FloatArray, overdispersion: float
) -> dict[str, float]:
    most = fact.of
    if fact.count == "episodes":
        most = max(int(stats.poisson.ppf(0.9999, 4.0 * fact.of * rate.max())) + 20, int(fact.seen))
    counts = np.arange(most + 1)
    chance = weights @ law_of(fact, rate, size, overdispersion).pmf(counts[:, None]).T
    below = np.cumsum(chance)
    up_to, from_on = below[int(np.floor(fact.seen))], 1.0 - below[int(np.ceil(fact.seen)) - 1] if fact.seen > 0 else 1.0
    return {
        "seen": fact.seen,
        "rate": float(weights @ rate),
        "low": float(np.searchsorted(below, 0.025)),
        "high": float(np.searchsorted(below, 0.975)),
        "tail": float(up_to if fact.at_most else min(1.0, 2.0 * min(up_to, from_on))),
    }

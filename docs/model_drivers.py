"""Which fitted numbers the difference of two schedules hangs on, over the parameter sets of a run; for docs/model.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.uncertainty import group_trials, split_variance, sum_by_set
from trialrun.calibrate.plan import Calibration
from trialrun.simulate.ensemble import Ensemble


@dataclass(frozen=True, slots=True)
class Driver:
    """The `share` of what differs between sets in a difference of rates that goes with one number, and its standard error."""

    number: str
    share: float
    error: float


def score_sets(calibration: Calibration, ensemble: Ensemble) -> np.ndarray:
    """Every number of every set on the scale of its prior (logarithm or logit), (sets, numbers)."""
    columns = zip(ensemble.values.T, calibration.priors.values(), strict=True)
    return np.column_stack([np.log(x / (1 - x)) if prior.scale == "logit" else np.log(x) for x, prior in columns])


def find_drivers(
    first: Path, second: Path, outcome: str, names: tuple[str, ...], scores: np.ndarray, shown: int = 3
) -> list[Driver]:
    """The numbers that the difference between two arms goes with most, from their tables of outcomes: by one linear regression
    for each number, of the variance between sets from which chance is removed. Only shares of at least two standard errors."""
    happened = all_outcomes()[outcome].happened().cast(pl.Float64).alias("y")
    one, other = (
        pl.read_parquet(file).sort("subject").select("subject", "trial", "set", happened) for file in (first, second)
    )
    both = one.with_columns(difference=one["y"] - other["y"]).drop_nulls("difference")
    if not one["subject"].equals(other["subject"]):
        raise ValueError("the arms have other subjects")
    between = split_variance(sum_by_set(both["difference"], group_trials(both["trial"], both["set"]))).parameter
    if not between:
        return []
    table = both.group_by("set").agg(pl.len().alias("n"), pl.col("difference").mean()).sort("set")
    n, y, x = table["n"].to_numpy(), table["difference"].to_numpy(), scores[table["set"].to_numpy()]
    x, y = x - np.average(x, axis=0, weights=n), y - np.average(y, weights=n)
    spread = np.average(x**2, axis=0, weights=n)
    slope = np.average(x * y[:, None], axis=0, weights=n) / spread
    left = y[:, None] - x * slope
    error = np.sqrt(((n[:, None] * x * left) ** 2).sum(axis=0)) / (
        n.sum() * spread
    )  # of unequal variances (White 1980)
    share, doubt = (slope**2 - error**2) * spread / between, 2 * np.abs(slope) * error * spread / between
    largest = [i for i in np.argsort(-share) if share[i] > 2 * doubt[i]][:shown]
    return [Driver(names[i], float(share[i]), float(doubt[i])) for i in largest]

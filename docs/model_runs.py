"""The simulations behind docs/model.md: every trial of the calibration again, with the ensemble, other people and other luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from trialrun.analysis.uncertainty import group_trials, predict_share, split_variance, sum_by_set
from trialrun.calibrate.count import counted
from trialrun.calibrate.file import Fact
from trialrun.calibrate.plan import Arm, Calibration
from trialrun.rehearse import derive_subject_outcomes
from trialrun.simulate.ensemble import Ensemble, assign_sets, numbers_for

TRIALS, SUBJECTS, SEED = 640, 25, 2  # the calibration had seed 1
AT_ONCE = 4000  # subjects: they must fit the memory


@dataclass(frozen=True, slots=True)
class Predicted:
    """One published fact and what the ensemble predicts of it. Rates are shares, or episodes a subject; `low` and `high` count
    events in a trial as large as the published one. The parts are standard deviations of the rate."""

    fact: Fact
    mean: float
    large: tuple[float, float]
    low: int
    high: int
    parameter: float | None
    trial: float | None
    together: float
    sampling: float

    @property
    def inside(self) -> bool:
        """Whether a trial of that size may well show the published count; of an upper bound, one that keeps it."""
        return self.low <= self.fact.seen and (self.fact.at_most or self.fact.seen <= self.high)


def predict_facts(calibration: Calibration, ensemble: Ensemble) -> dict[str, Predicted]:
    """Each fact of the calibration, from new trials of `SUBJECTS` subjects on the people of the trial that it was seen in."""
    outcomes = {arm.name: simulate_arm(arm, ensemble) for arm in calibration.arms}
    return {name: _predict(fact, outcomes) for name, fact in calibration.facts.items()}


def simulate_arm(arm: Arm, ensemble: Ensemble) -> pl.DataFrame:
    """Outcomes of `TRIALS` trials, one row a subject, with columns trial and set."""
    draws, found = TRIALS // 2, []  # every draw of a set serves two trials, so that sets and trials can be told apart
    of_trial = assign_sets(ensemble, draws)[np.arange(TRIALS) % draws]
    for index in np.array_split(np.arange(TRIALS * SUBJECTS), -(-TRIALS * SUBJECTS // AT_ONCE)):
        trial = index // SUBJECTS
        sets = of_trial[trial]
        numbers = numbers_for(arm.population, ensemble, SEED, trial, sets)
        outcomes = derive_subject_outcomes(arm.population, arm.plan, arm.cycles, SEED, index, numbers)
        found.append(outcomes.with_columns(pl.Series("trial", trial), pl.Series("set", sets)))
    return pl.concat(found)


def _predict(fact: Fact, outcomes: Mapping[str, pl.DataFrame]) -> Predicted:
    """Arms of one published trial are pooled in equal parts: the same trial, the same parameter set."""
    value = counted(fact).alias("y")
    table = pl.concat([outcomes[arm].select("trial", "set", value) for arm in fact.seen_in]).drop_nulls("y")
    sums = sum_by_set(table["y"], group_trials(table["trial"], table["set"]))
    parts = split_variance(sums)
    if parts.between is None or parts.within is None or parts.mean_error is None:
        raise ValueError(f"too few trials to tell the spread of {fact.outcome}")
    spread = float(np.sqrt(parts.between + parts.mean_error**2))
    if fact.count == "episodes":
        # counted episodes: a gamma rate, so that the count of a trial is negative binomial; chance as it was simulated
        large = tuple(
            float(x) for x in stats.gamma((parts.mean / spread) ** 2, scale=spread**2 / parts.mean).ppf((0.025, 0.975))
        )
        mean, variance = parts.mean * fact.of, (spread * fact.of) ** 2 + parts.within * fact.of
        if variance <= mean:
            raise ValueError(f"{fact.outcome}: counts that vary less than a Poisson variable are no gamma mixture")
        law = stats.nbinom(mean**2 / (variance - mean), mean / variance)
        low, high = (int(x) for x in law.ppf((0.025, 0.975)))
    else:
        found = predict_share(sums, fact.of)
        assert found is not None
        large, low, high = found.large, found.low, found.high
    return Predicted(
        fact,
        parts.mean,
        (large[0], large[1]),
        low,
        high,
        None if parts.parameter is None else float(np.sqrt(parts.parameter)),
        None if parts.trial is None else float(np.sqrt(parts.trial)),
        float(np.sqrt(parts.between)),
        float(np.sqrt(parts.within / fact.of)),
    )

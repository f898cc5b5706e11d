"""Operating characteristics: what whole trials come to, with Monte Carlo intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import inf

import numpy as np
import polars as pl

from trialrun.analysis.distributions import normal_quantile
from trialrun.analysis.estimates import LEVEL, estimate_proportion
from trialrun.engine.source import FloatArray
from trialrun.trials.uncertainty import interval_of_sets, middle

_Z = normal_quantile((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One number: `value` with its 95 % Monte Carlo interval; `q05`, `q50`, `q95` are percentiles of the trials.

    `kind` is probability (share of trials), mean (of one number a trial) or rate (share of subjects). `of` says of
    which trials or subjects, `n` how many trials. A value of null: there was no such trial. `sets_low` and `sets_high`
    hold the middle 95 % of the expected value over the parameter sets of an ensemble (null without one).
    """

    name: str
    label: str
    of: str
    kind: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    q05: float | None = None
    q50: float | None = None
    q95: float | None = None
    sets_low: float | None = None
    sets_high: float | None = None

    def as_dict(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)


def percent(share: float) -> str:
    """A share in percent with one decimal, small ones with two digits; never as a power of ten, and never all of nearly all."""
    if 0.9995 <= share < 1:
        return "over 99.9 %"
    if 0 < share < 0.00001:
        return "under 0.001 %"
    return f"{100 * share:.2g} %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


_PROBABILITIES = (
    ("paused", "enrolment paused or the study was stopped by a rule"),
    ("paused_while_enrolling", "the same while participants were still to be enrolled"),
    ("paused_by_two", "the same when no more than two participants had been treated"),
    ("amended", "amended"),
    ("stopped", "stopped by a rule"),
    ("first_two_harmed", "both of the first two participants harmed before any amendment"),
    ("first_two_lysis_and_death", "of the first two, one with clinical lysis and the other dead of toxicity"),
)
_COUNTS = (
    ("pauses", "pauses", "1"),
    ("treated", "participants treated", "1"),
    ("treated_on_start", "participants treated who consented to the first version", "1"),
    ("treated_on_amended", "participants treated who consented to an amended version", "1"),
    ("changed_version", "participants who changed to an amended version on treatment", "1"),
    ("harmed", "participants harmed", "1"),
    ("harmed_on_start", "participants harmed under the first version", "1"),
    ("harmed_on_amended", "participants harmed under an amended version", "1"),
    ("enrolment_days", "days to the last participant's consent", "d"),
    ("closed_days", "days on which enrolment was closed for a while", "d"),
    ("duration_days", "days to the end of follow-up of the last participant", "d"),
)
_OF_PAUSED = (
    ("pause_day", "day of the first pause", "d"),
    ("treated_by_pause", "participants treated when the rule became true", "1"),
    ("harmed_before_pause", "participants harmed before enrolment was closed", "1"),
)
_OF_AMENDED = (
    ("amended_day", "day the amended version was active", "d"),
    ("treated_on_start", "participants treated who consented to the first version", "1"),
    ("harmed_before_end_of_start", "participants harmed before the amended version was active", "1"),
    ("harmed_on_start", "participants harmed under the first version", "1"),
)


def summarize_trials(trials: pl.DataFrame, subjects: pl.DataFrame) -> list[Characteristic]:
    """The operating characteristics of the tables of `trialrun.trials.tables`."""
    found = [_probability(trials, name, label, "all trials") for name, label in _PROBABILITIES]
    people = subjects.height / max(trials.height, 1)
    groups = (
        (trials, _COUNTS, "all trials"),
        (trials.filter("paused"), _OF_PAUSED, "trials with a pause"),
        (trials.filter("amended"), _OF_AMENDED, "amended trials"),
    )
    for part, wanted, of in groups:
        for name, label, unit in wanted:
            most = inf if unit == "d" or name == "pauses" else people
            found.append(_mean(part, name, label, unit, of, most))
    return [*found, *_rates(subjects)]


def _probability(trials: pl.DataFrame, name: str, label: str, of: str) -> Characteristic:
    share = estimate_proportion(int(trials[name].sum()), trials.height)
    sets = _sets(trials, trials[name], 1.0)
    return Characteristic(
        name, label, of, "probability", "1", share.value, share.low, share.high, trials.height, None, None, None, *sets
    )


def _sets(rows: pl.DataFrame, values: pl.Series, most: float) -> tuple[float | None, float | None]:
    """Over the parameter sets, from one value a row; the rows have their trial and its set."""
    if rows["set"].null_count() or not rows.height:
        return None, None
    return interval_of_sets(values.cast(pl.Float64), rows["trial"], rows["set"], most) or (None, None)


def _mean(trials: pl.DataFrame, name: str, label: str, unit: str, of: str, most: float) -> Characteristic:
    """The mean of a number that is at least 0 and at most `most`; of trials that are all alike it has no interval."""
    trials = trials.filter(pl.col(name).is_not_null())
    values = trials[name].to_numpy().astype(np.float64)
    n = values.size
    if n == 0:
        return Characteristic(name, label, of, "mean", unit, None, None, None, 0)
    mean = float(values.mean())
    error = float(values.var(ddof=1)) / n if n > 1 else 0.0
    low, high = middle(mean, error, most) or (None, None)
    sets = _sets(trials, trials[name], most)
    low_q, middle_q, high_q = (float(q) for q in np.quantile(values, (0.05, 0.5, 0.95)))
    return Characteristic(name, label, of, "mean", unit, mean, low, high, n, low_q, middle_q, high_q, *sets)


def _rates(subjects: pl.DataFrame) -> Iterator[Characteristic]:
    """Outcomes of treated participants, by the version of their consent; subjects of one trial are not independent."""
    treated = subjects.filter(pl.col("first_dose_day").is_not_null())
    events = [name.removesuffix("_known_day") for name in subjects.columns if name.endswith("_known_day")]
    wanted = {f"{name}_day": name.replace("_", " ") for name in events}
    wanted |= {"toxic_death_day": "death of toxicity", "death_day": "death of any cause", "withdrawn_day": "withdrawal"}
    groups = [("all treated", treated)]
    groups += [
        (f"treated, consented to {name}", part)
        for (name,), part in treated.group_by(["version_at_consent"], maintain_order=True)
    ]
    for of, part in groups:
        for column, label in wanted.items():
            yield _rate(part, column, label, of)


def _rate(part: pl.DataFrame, column: str, label: str, of: str) -> Characteristic:
    """Share of subjects with the event: ratio of the sums over trials, its variance linearised over trials."""
    by = part.group_by("trial", maintain_order=True).agg(
        pl.col(column).is_not_null().sum().alias("x"), pl.len().alias("n")
    )
    name, trials = column.removesuffix("_day"), by.height
    if trials == 0:
        return Characteristic(name, label, of, "rate", "1", None, None, None, 0)
    x, n = (by[what].to_numpy().astype(np.float64) for what in ("x", "n"))
    share = float(x.sum() / n.sum())
    low, high = _ratio_interval(x, n, share)
    sets = _sets(part, part[column].is_not_null(), 1.0)
    return Characteristic(name, label, of, "rate", "1", share, low, high, trials, None, None, None, *sets)


def _ratio_interval(x: FloatArray, n: FloatArray, share: float) -> tuple[float | None, float | None]:
    """95 % interval of a share over clusters: Wilson's with the number of subjects that the clustering leaves."""
    trials, subjects = x.size, float(n.sum())
    if trials < 2:
        return None, None
    variance = trials / (trials - 1) * float(((x - share * n) ** 2).sum()) / subjects**2
    independent = share * (1.0 - share) / subjects
    effective = subjects * min(independent / variance, 1.0) if variance > 0 and independent > 0 else subjects
    centre = (share + _Z**2 / (2 * effective)) / (1 + _Z**2 / effective)
    half = _Z / (1 + _Z**2 / effective) * np.sqrt(share * (1 - share) / effective + _Z**2 / (4 * effective**2))
    # exact where it is exact: rounding would leave a lower bound just above 0 of no event
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return 0.0 if share == 0.0 else float(low), 1.0 if share == 1.0 else float(high)

"""Progression-free and overall survival: Kaplan-Meier from the first dose, as far as the participants were followed.

From the table of outcomes, so that a run made earlier has them too. Overall survival ends with death from any cause.
Progression-free survival ends with progression by the response criteria, treatment stopped for progressive disease, or
death, whichever is first. Who has had neither is censored on the last day that anything is known of (assumed; a trial
may censor on the day of the last examination). Real and virtual participants who leave are watched no longer: where
leaving goes with a bad course, both curves are too high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from trialrun.analysis.definitions import Outcome
from trialrun.analysis.estimates import Curve, Interval, estimate_median_time, estimate_survival
from trialrun.analysis.rows import Row, make_row

PROGRESSIVE = "progressive disease"  # CDISC, Completion/Reason for Non-Completion
HORIZONS = (168, 336, 730)  # days: 6 and 12 cycles of 28 days, two years
METHOD = "Kaplan-Meier, log-log interval"
COLUMNS = (  # of the outcomes table
    *("subject", "treated", "death", "death_day", "progression_day", "discontinuation_day", "discontinuation_reason"),
    "end_day",
)


def _outcome(name: str, column: str, short: str, label: str) -> Outcome:
    return Outcome(name, "Survival", "time", column, None, f"{column}_event", "d", "high", False, short, label)


PFS = _outcome("progression_free_survival", "pfs", "progression-free", "Progression-free survival")
OS = _outcome("overall_survival", "os", "overall", "Overall survival")


@dataclass(frozen=True, slots=True)
class Survival:
    """One curve of one version. `followed` is the last day that anybody was watched; `unknown` counts the treated of
    whom no day after the first dose is known."""

    outcome: Outcome
    curve: Curve
    median: Interval
    followed: int
    unknown: int

    def at(self, day: int) -> Interval | None:
        """The share without the event on a day, None beyond the follow-up; without an event before it, no interval."""
        if day > self.followed:
            return None
        place = int(np.searchsorted(self.curve.time, day, side="right")) - 1
        if place < 0:
            return Interval(1.0, np.nan, np.nan, self.curve.n, METHOD)
        share, low, high = (float(part[place]) for part in (self.curve.survival, self.curve.low, self.curve.high))
        return Interval(share, low, high, self.curve.n, METHOD)

    def at_risk(self, day: int) -> int:
        """How many were still watched and without the event on a day."""
        later = self.curve.time >= day
        return int(self.curve.at_risk[later][0]) if later.any() else 0


def derive_survival(outcomes: pl.DataFrame) -> pl.DataFrame:
    """One row a treated subject: subject, pfs, pfs_event, os, os_event; days from the first dose, null: not known."""
    stopped = pl.when(pl.col("discontinuation_reason") == PROGRESSIVE).then(pl.col("discontinuation_day"))
    died = pl.when("death").then(pl.col("death_day")).cast(pl.Float64)
    worse = pl.min_horizontal(pl.col("progression_day").cast(pl.Float64), stopped.cast(pl.Float64), died)
    end = pl.col("end_day").cast(pl.Float64)
    return outcomes.filter("treated").select(
        "subject",
        pl.coalesce(worse, end).alias("pfs"),
        worse.is_not_null().alias("pfs_event"),
        pl.coalesce(died, end).alias("os"),
        died.is_not_null().alias("os_event"),
    )


def estimate_both(outcomes: pl.DataFrame) -> Iterator[Survival]:
    """Progression-free and overall survival of one version; nothing where nobody was treated."""
    table = derive_survival(outcomes)
    for outcome in (PFS, OS):
        known = table.select(pl.col(outcome.column).alias("time"), pl.col(f"{outcome.column}_event").alias("event"))
        known = known.filter(pl.col("time").is_not_null())
        if known.height:
            time, event = known["time"].to_numpy(), known["event"].to_numpy()
            yield Survival(
                outcome,
                estimate_survival(time, event),
                estimate_median_time(time, event),
                int(time.max()),
                table.height - known.height,
            )


def survival_rows(version: str, outcomes: pl.DataFrame, only: str | None) -> Iterator[Row]:
    """Statistics `median` (days) and `survival` at each day of `HORIZONS` within the follow-up, which `category` names.

    `only` says what intervals leave out (virtual subjects), None where nothing.
    """
    for found in estimate_both(outcomes):
        note = f"followed up to day {found.followed}"
        more = {"events": found.curve.events, "n_not_assessable": found.unknown, "note": note}
        yield make_row(found.outcome, version, "median", _said(found.median, only), "d", **more)
        for day in HORIZONS:
            share = found.at(day)
            if share is not None:
                yield make_row(
                    found.outcome, version, "survival", _said(share, only), None, category=f"day {day}", **more
                )


def _said(found: Interval, only: str | None) -> Interval:
    method = found.method if only is None else f"{found.method}; {only}"
    return Interval(found.value, found.low, found.high, found.n, method)

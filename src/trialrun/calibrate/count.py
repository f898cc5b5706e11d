"""What a fact counts in a table of outcomes, one number a subject."""

from __future__ import annotations

import polars as pl

from trialrun.analysis.definitions import Outcome, all_outcomes
from trialrun.calibrate.file import Fact


def counted(fact: Fact) -> pl.Expr:
    """1 where a subject has what the fact counts, 0 where not, null where it is not known or the subject is not among those
    it was counted in; of a median: whether the value is up to it (1/2 where it is the median), of episodes their number."""
    outcome = all_outcomes()[fact.outcome]
    if fact.count == "episodes":
        found = pl.col(outcome.column).cast(pl.Float64)
    elif fact.median is not None:
        found = _up_to(outcome, fact.median)
    else:
        found = outcome.happened().cast(pl.Float64)
    if fact.among is None:
        return found
    return pl.when(all_outcomes()[fact.among].happened()).then(found)


def _up_to(outcome: Outcome, median: float) -> pl.Expr:
    value = pl.col(outcome.column).cast(pl.Float64)
    side = pl.when(value < median).then(1.0).when(value > median).then(0.0).when(value == median).then(0.5)
    if outcome.event_column is None:
        return side
    # a time that was cut short by the end of the observation may be any later one
    return pl.when(pl.col(outcome.event_column) | (value > median)).then(side)

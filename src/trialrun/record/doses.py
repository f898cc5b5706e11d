"""Days and doses: offsets from the first dose, and exposures as one row a day."""

from __future__ import annotations

import polars as pl

from trialrun.vocab.problems import Problem, TrialrunError

DAILY = ("subject", "date", "day", "drug", "dose", "unit", "reason", "entry")


def derive_first_doses(exposures: pl.DataFrame) -> pl.DataFrame:
    """`subject` and `first_dose`: the first date with a dose above 0."""
    given = exposures.filter(pl.col("dose") > 0)
    return given.group_by("subject").agg(pl.col("date").min().alias("first_dose")).sort("subject")


def derive_days(table: pl.DataFrame, first_doses: pl.DataFrame) -> pl.DataFrame:
    """A table with `day` and, where it has an end, `end_day`: days from the first dose (0), null without one."""
    named = table.join(first_doses, on="subject", how="left", maintain_order="left")
    ends = {"date": "day", "end_date": "end_day"}
    offsets = [
        (pl.col(column) - pl.col("first_dose")).dt.total_days().alias(name)
        for column, name in ends.items()
        if column in table.columns
    ]
    return named.with_columns(offsets).drop("first_dose")


def derive_daily_doses(exposures: pl.DataFrame, first_doses: pl.DataFrame) -> pl.DataFrame:
    """Exposures, whose intervals include both ends, as one row a subject, drug and day, in that order."""
    last = pl.coalesce("end_date", "date")
    forward = exposures.filter(last >= pl.col("date"))
    daily = forward.with_columns(date=pl.date_ranges("date", last)).explode("date", empty_as_null=False)
    daily = derive_days(daily, first_doses).select(DAILY).sort("subject", "drug", "date")
    twice = daily.filter(pl.struct("subject", "drug", "date").is_duplicated())
    if twice.height:
        row = twice.row(0, named=True)
        message = f"two exposures of {row['subject']} to {row['drug']} cover {row['date']}"
        found = ", ".join(twice.filter(pl.col("date") == row["date"])["entry"].head(2))
        raise TrialrunError(Problem("exposures-overlap", message, found, "exposures that do not overlap"))
    return daily

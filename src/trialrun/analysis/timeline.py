"""When things happened to each subject, counted in days from that subject's first dose (day 0).

Dates alone order a day: what was measured on the day of a dose was measured before that dose, as visits are planned.
So a finding of day 0 is a baseline finding, and treatment-emergent means day 1 or later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from trialrun.analysis.run import VersionInfo

Tables = Mapping[str, pl.DataFrame]

AFTER_LAST_DOSE = 28  # days after the last dose in which toxicity still counts as on treatment (assumed: one cycle)
_END_OF_STUDY = ("study discontinued", "death", "completed")


@dataclass(frozen=True, slots=True)
class Timeline:
    """The days of all subjects.

    `subjects`: one row a subject, columns subject, first_dose (date; null: no dose taken), last_dose_day, end_day (the
    last day that anything is known of), toxicity_end_day (the last day on which toxicity counts as on treatment).
    `doses`: one row a subject and day on which the drug was taken, columns subject, day, dose (mg), cycle; in order.
    `cycles`: one row a subject and cycle begun, columns subject, cycle, start_day, last_dose_day.
    """

    subjects: pl.DataFrame
    doses: pl.DataFrame
    cycles: pl.DataFrame

    def add_day(self, table: pl.DataFrame, date: str = "date", name: str = "day") -> pl.DataFrame:
        """`table` with the day offset of its column `date`; lines of subjects without a dose are left out."""
        first = self.subjects.select("subject", "first_dose").drop_nulls()
        return (
            table.join(first, on="subject", how="inner", maintain_order="left")
            .with_columns((pl.col(date) - pl.col("first_dose")).dt.total_days().alias(name))
            .drop("first_dose")
        )


def derive_timeline(tables: Tables, info: VersionInfo) -> Timeline:
    """Doses day by day, cycles as they really began, and the ends, from a record's tables."""
    daily = _daily_doses(tables["exposures"])
    first = daily.group_by("subject").agg(pl.col("date").min().alias("first_dose"))
    subjects = tables["subjects"].select("subject").unique(maintain_order=True).join(first, on="subject", how="left")
    doses = (
        daily.join(first, on="subject")
        .select("subject", (pl.col("date") - pl.col("first_dose")).dt.total_days().alias("day"), "dose")
        .sort("subject", "day")
    )
    cycles = _cycles(doses, info)
    doses = (
        doses.join_asof(
            cycles.select("subject", pl.col("start_day").alias("day"), "cycle").sort("subject", "day"),
            on="day",
            by="subject",
            check_sortedness=False,
        )
        if cycles.height
        else doses.with_columns(pl.lit(None, dtype=pl.Int64).alias("cycle"))
    )
    return Timeline(_ends(subjects, doses, tables), doses, cycles)


def _daily_doses(exposures: pl.DataFrame) -> pl.DataFrame:
    """One row a subject and day on which the drug was taken (dose above 0), whatever runs of days the lines span."""
    taken = exposures.filter(pl.col("dose") > 0)
    return (
        taken.select(
            "subject",
            pl.date_ranges("date", pl.col("end_date").fill_null(pl.col("date"))).alias("date"),
            "dose",
        )
        .explode("date", empty_as_null=True)
        .group_by("subject", "date", maintain_order=True)
        .agg(pl.col("dose").sum())
    )


def _cycles(doses: pl.DataFrame, info: VersionInfo) -> pl.DataFrame:
    """Cycle 1 begins with the first dose, the next with the first dose after the last dosing day of the one before."""
    whole = dict.fromkeys(("cycle", "start_day", "last_dose_day"), pl.Int64())
    columns = {"subject": doses["subject"].dtype, **whole}
    if info.days_on is None:
        return pl.DataFrame(schema=columns)
    found: list[pl.DataFrame] = []
    left, number = doses.select("subject", "day"), 0
    while left.height:
        number += 1
        start = left.group_by("subject").agg(pl.col("day").min().alias("start_day"))
        left = left.join(start, on="subject")
        within = pl.col("day") < pl.col("start_day") + info.days_on
        found.append(
            left.filter(within)
            .group_by("subject")
            .agg(pl.lit(number, dtype=pl.Int64).alias("cycle"), pl.col("start_day").first(), pl.col("day").max())
            .rename({"day": "last_dose_day"})
        )
        left = left.filter(~within).drop("start_day")
    return pl.concat(found).sort("subject", "cycle") if found else pl.DataFrame(schema=columns)


def _ends(subjects: pl.DataFrame, doses: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    last_dose = doses.group_by("subject").agg(pl.col("day").max().alias("last_dose_day"))
    known = pl.concat(
        [
            *(tables[table].select("subject", "date") for table in ("visits", "findings", "adverse_events")),
            tables["exposures"].select("subject", pl.col("end_date").fill_null(pl.col("date")).alias("date")),
            tables["dispositions"].select("subject", "date"),
        ]
    )
    last = known.group_by("subject").agg(pl.col("date").max().alias("last_known"))
    ended = (
        tables["dispositions"]
        .filter(pl.col("event").is_in(_END_OF_STUDY))
        .group_by("subject")
        .agg(pl.col("date").min().alias("ended"))
    )
    return (
        subjects.join(last_dose, on="subject", how="left", maintain_order="left")
        .join(last, on="subject", how="left", maintain_order="left")
        .join(ended, on="subject", how="left", maintain_order="left")
        .with_columns(
            (pl.coalesce("ended", "last_known") - pl.col("first_dose")).dt.total_days().alias("end_day"),
            (pl.col("last_dose_day") + AFTER_LAST_DOSE).alias("toxicity_end_day"),
        )
        .drop("last_known", "ended")
    )

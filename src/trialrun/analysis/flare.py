"""The course of tumour flare: how long the first one lasted, and whether there were later ones.

A record has a line for each time that flare was told; lines that follow each other without a day between are one flare.
"""

from __future__ import annotations

import polars as pl

from trialrun.analysis.run import VersionInfo
from trialrun.analysis.safety import on_treatment
from trialrun.analysis.timeline import Tables, Timeline

TERM = "tumor_flare"
_GOES_ON = 10**6  # a day beyond every trial


def derive_flare_course(tables: Tables, timeline: Timeline, info: VersionInfo, reviewed: pl.DataFrame) -> pl.DataFrame:
    """Columns subject, flare_length, flare_over, flare_later; flares on treatment, of any grade.

    `flare_length`: days of the first flare, from its first day to its last, both counted; where its end is not known
    (`flare_over` false) up to the last day that anything is known of; null where there was none. `flare_later`: a flare
    began `cycle_days` or more days after the first dose (null: not known whether there was flare, or no such cycles).
    """
    lines = timeline.add_day(tables["adverse_events"].filter(pl.col("term") == TERM))
    lines = on_treatment(timeline.add_day(lines, "end_date", "end"), timeline, first_day=0)
    flares = (
        lines.with_columns(pl.col("end").fill_null(_GOES_ON))
        .sort("subject", "day", "end")
        .with_columns(pl.col("end").cum_max().over("subject").shift(1).over("subject").alias("before"))
        .with_columns((pl.col("day") > pl.col("before") + 1).fill_null(True).alias("begins"))
        .with_columns(pl.col("begins").cum_sum().over("subject").alias("number"))
    )
    first = pl.col("number") == 1
    unknown = pl.lit(None, dtype=pl.Boolean)
    late = unknown if info.cycle_days is None else (pl.col("begins") & (pl.col("day") >= info.cycle_days)).any()
    course = flares.group_by("subject").agg(
        pl.col("day").min().alias("from"), pl.col("end").filter(first).max().alias("to"), late.alias("later")
    )
    none = unknown if info.cycle_days is None else pl.lit(False)
    last = pl.min_horizontal("to", "end_day")
    return (
        timeline.subjects.select("subject", "end_day")
        .join(course, on="subject", how="left", maintain_order="left")
        .join(
            reviewed.select("subject", pl.lit(True).alias("reviewed")),
            on="subject",
            how="left",
            maintain_order="left",
        )
        .select(
            "subject",
            (last - pl.col("from") + 1).alias("flare_length"),
            (pl.col("to") < _GOES_ON).alias("flare_over"),
            pl.when(pl.col("from").is_not_null())
            .then(pl.col("later"))
            .when(pl.col("reviewed"))
            .then(none)
            .alias("flare_later"),
        )
    )

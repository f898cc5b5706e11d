"""Lymphocytes on the drug and in the week off, cycle by cycle: the fall and the rebound."""

from __future__ import annotations

import numpy as np
import polars as pl

from trialrun.analysis.run import VersionInfo
from trialrun.analysis.safety import derive_baseline, on_treatment
from trialrun.analysis.series import ORIGIN, SPAN, derive_series
from trialrun.analysis.timeline import Timeline

# A count belongs to the end of the on-period when it was taken within these days of the last planned dose (assumed).
ON_BEFORE, ON_AFTER = 1, 2
MIN_DAYS_OFF = 4  # days without drug before a count can show the week off (assumed: more than half of it)
CYCLES_IN_OUTCOMES = 3
NORMAL = (
    4.0  # 10^9/L: the bound of the response criteria (Cheson 1996, Blood 87:4990-7; Hallek 2008, Blood 111:5446-56)
)


def derive_lymphocytes_by_cycle(findings: pl.DataFrame, timeline: Timeline, info: VersionInfo) -> pl.DataFrame:
    """One row a subject and cycle: columns subject, cycle, baseline, on, off (10^9/L; null where not measured).

    `on` is the count nearest to the day after the last dose of the on-period, `off` the last one in the week off, up
    to and on the day of the next cycle's first dose (measured before it). A cycle in which the drug was not taken
    within the last days of its on-period (held, stopped) has neither: there would be no fall to rebound from.
    """
    counted = ("baseline", "on", "off")
    empty = {"subject": timeline.subjects["subject"].dtype, "cycle": pl.Int64(), **dict.fromkeys(counted, pl.Float64())}
    if info.days_on is None or info.cycle_days is None or info.days_on >= info.cycle_days:
        return pl.DataFrame(schema=empty)
    counts = derive_series(findings.drop("text", strict=False), timeline, ["lymphocytes"])["lymphocytes"]
    cycles = timeline.cycles.with_columns(
        (pl.col("start_day") + info.days_on).alias("off_start"),
        pl.col("start_day").shift(-1).over("subject").alias("next_start"),
    ).filter(pl.col("last_dose_day") >= pl.col("off_start") - 1 - ON_BEFORE)
    window_end = pl.min_horizontal("next_start", pl.col("start_day") + info.cycle_days + ON_AFTER)
    day_0 = timeline.rows(cycles["subject"]).cast(pl.Int64).to_numpy() * SPAN + ORIGIN
    start, off_start, last_dose, end = (
        cycles.select("start_day", "off_start", "last_dose_day", window_end.alias("end")).to_numpy().T
    )
    on = np.full(day_0.size, np.nan)
    for offset in sorted(range(-ON_BEFORE, ON_AFTER + 1), key=lambda days: (abs(days), days)):
        there = np.isnan(on) & (off_start + offset > start)
        on = np.where(there, counts.first_on(day_0 + off_start + offset), on)
    off = counts.last(day_0 + end, end - (last_dose + 1 + MIN_DAYS_OFF))
    return (
        cycles.select("subject", "cycle")
        .join(derive_baseline(findings, "lymphocytes"), on="subject", how="left", maintain_order="left")
        .with_columns(pl.Series("on", on).fill_nan(None), pl.Series("off", off).fill_nan(None))
        .select(*empty)
    )


def derive_lymphocyte_outcomes(by_cycle: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """One row a subject for cycles 1 to 3: `alc_on_cN`, `alc_off_cN` (share of baseline) and `alc_rebound_cN`
    (count at the end of the week off over the count at the end of the on-period; above 1 = a rise)."""
    outcomes = timeline.subjects.select("subject")
    for cycle in range(1, CYCLES_IN_OUTCOMES + 1):
        ratios = by_cycle.filter(pl.col("cycle") == cycle).select(
            "subject",
            _ratio("on", "baseline").alias(f"alc_on_c{cycle}"),
            _ratio("off", "baseline").alias(f"alc_off_c{cycle}"),
            _ratio("off", "on").alias(f"alc_rebound_c{cycle}"),
        )
        outcomes = outcomes.join(ratios, on="subject", how="left", maintain_order="left")
    return outcomes


def derive_normal_lymphocytes(findings: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """Columns subject, alc_normal, alc_normal_day: whether lymphocytes came to `NORMAL` or less on treatment, and when first;
    where they did not, the day of the last count (censored). Null where they were normal before, or were not counted."""
    counts = on_treatment(
        findings.filter((pl.col("test") == "lymphocytes") & pl.col("value").is_not_null()), timeline, first_day=1
    )
    normal = pl.col("value") <= NORMAL
    found = counts.group_by("subject").agg(
        normal.any().alias("alc_normal"),
        pl.col("day").filter(normal).min().alias("first"),
        pl.col("day").max().alias("last"),
    )
    high = derive_baseline(findings, "lymphocytes").filter(pl.col("baseline") > NORMAL).select("subject")
    return timeline.subjects.select("subject").join(
        found.join(high, on="subject").select(
            "subject", "alc_normal", pl.coalesce("first", "last").alias("alc_normal_day")
        ),
        on="subject",
        how="left",
        maintain_order="left",
    )


def _ratio(part: str, whole: str) -> pl.Expr:
    """A ratio of counts; null where the denominator is zero, of which no multiple can be said."""
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))

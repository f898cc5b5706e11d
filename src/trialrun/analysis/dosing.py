"""Dose outcomes: time to the target dose, dose intensity, discontinuation."""

from __future__ import annotations

import polars as pl

from trialrun.analysis.run import VersionInfo
from trialrun.analysis.timeline import Tables, Timeline

STOPPED = "treatment discontinued"
_NEAR = 1e-9  # doses are decimal numbers of milligrams; equal means equal up to floating point


def derive_dose_outcomes(tables: Tables, timeline: Timeline, info: VersionInfo) -> pl.DataFrame:
    """One row a subject:

    - treated: whether a dose was taken. All below is null for a subject without one.
    - target_day, target_reached: day of the first dose at or above the target; where it was never reached, the day at
      which that was last known (end of treatment, or of follow-up where treatment goes on) and False.
    - treatment_days: days of treatment, from the first dose to the day before the one on which it was stopped.
    - dose_total: mg taken.
    - dose_intensity: mg taken over mg planned, as a share, for the days from the first dose to the end of treatment;
      null where the plan is not known or its steps depend on what is found in the subject. Planned is the schedule without
      any modification.
    - dose_intensity_target: mg taken over what the target dose on every planned day would have been, same days.
    - discontinued, discontinuation_reason, discontinuation_day: null reason where the record gives none.
    """
    stopped = _discontinuation(tables, timeline)
    subjects = timeline.subjects.join(stopped, on="subject", how="left", maintain_order="left").with_columns(
        pl.col("last_dose_day").is_not_null().alias("treated")
    )
    # Treatment lasts to the day it was stopped, or to the last day that is known of. That day's dose does not belong
    # to it unless it was taken: decisions precede doses.
    end = pl.coalesce("discontinuation_day", "end_day")
    subjects = subjects.with_columns(
        end.alias("treatment_end"), pl.max_horizontal(end, pl.col("last_dose_day") + 1).alias("treatment_days")
    )
    total = timeline.doses.group_by("subject").agg(pl.col("dose").sum().alias("dose_total"))
    target = _target(timeline, info)
    return (
        subjects.join(total, on="subject", how="left", maintain_order="left")
        .join(target, on="subject", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("treated") & pl.lit(info.target_mg is not None))
            .then(pl.col("first_target_day").is_not_null())
            .alias("target_reached"),
            pl.when(pl.lit(info.target_mg is not None))
            .then(pl.coalesce("first_target_day", "treatment_end"))
            .alias("target_day"),
            *_intensity(info),
        )
        .select(
            "subject",
            "treated",
            "target_reached",
            "target_day",
            "treatment_days",
            "dose_total",
            "dose_intensity",
            "dose_intensity_target",
            pl.when("treated").then(pl.col("discontinued")).alias("discontinued"),
            "discontinuation_reason",
            "discontinuation_day",
        )
    )


def _target(timeline: Timeline, info: VersionInfo) -> pl.DataFrame:
    target = float("inf") if info.target_mg is None else info.target_mg * (1 - _NEAR)
    return (
        timeline.doses.filter(pl.col("dose") >= target)
        .group_by("subject")
        .agg(pl.col("day").min().alias("first_target_day"))
    )


def _discontinuation(tables: Tables, timeline: Timeline) -> pl.DataFrame:
    """The first line that says treatment was discontinued; a death or leaving the study ends treatment too.

    What happened after treatment was completed as planned ends nothing.
    """
    lines = timeline.add_day(tables["dispositions"])
    completed = lines.filter(pl.col("event") == "completed").group_by("subject").agg(pl.col("day").min().alias("done"))
    said = lines.join(completed, on="subject", how="left").filter(
        pl.col("event").is_in([STOPPED, "death", "study discontinued"])
        & (pl.col("done").is_null() | (pl.col("day") <= pl.col("done")))
    )
    # Where a line names the end of treatment itself it decides; a death or a withdrawal only where there is none.
    ranked = said.with_columns((pl.col("event") != STOPPED).alias("indirect")).sort("subject", "indirect", "day")
    first = ranked.group_by("subject", maintain_order=True).first()
    reason = (
        pl.when(pl.col("reason").is_not_null() & (pl.col("reason") != ""))
        .then("reason")
        .when(pl.col("event") == "death")
        .then(pl.lit("death"))
    )
    found = first.select(
        "subject",
        pl.lit(True).alias("discontinued"),
        reason.alias("discontinuation_reason"),
        pl.col("day").alias("discontinuation_day"),
    )
    # Of whom nothing is known after the first dose, it is not known either whether treatment went on.
    followed = timeline.subjects.filter(pl.col("end_day") > 0).select("subject")
    return (
        followed.join(found, on="subject", how="full", coalesce=True)
        .with_columns(pl.col("discontinued").fill_null(False))
        .select("subject", "discontinued", "discontinuation_reason", "discontinuation_day")
    )


def _intensity(info: VersionInfo) -> list[pl.Expr]:
    """Planned mg up to the end of treatment, by looking up the running total of the plan."""
    unknown = pl.lit(None, dtype=pl.Float64)
    intensity, of_target = unknown, unknown
    if info.planned_mg:
        totals = pl.Series(info.planned_mg, dtype=pl.Float64).cum_sum()
        planned = _running(totals, pl.col("treatment_days") - 1)
        intensity = pl.col("dose_total") / planned
    if info.target_mg is not None and info.days_on is not None and info.cycle_days is not None:
        whole, rest = pl.col("treatment_days") // info.cycle_days, pl.col("treatment_days") % info.cycle_days
        days = whole * info.days_on + pl.min_horizontal(rest, pl.lit(info.days_on))
        of_target = pl.col("dose_total") / (days * info.target_mg)
    return [intensity.alias("dose_intensity"), of_target.alias("dose_intensity_target")]


def _running(totals: pl.Series, day: pl.Expr) -> pl.Expr:
    """The plan's running total at `day`; null beyond the end of the plan, where no dose is known to be planned."""
    lookup = dict(enumerate(totals.to_list()))
    return day.replace_strict(lookup, default=None, return_dtype=pl.Float64)

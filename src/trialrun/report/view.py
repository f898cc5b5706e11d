"""What the page needs of one version, counted from its record: small tables, whatever the number of subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from trialrun.analysis.estimates import Curve, estimate_survival
from trialrun.analysis.lymphocytes import derive_lymphocytes_by_cycle
from trialrun.analysis.plan_file import PlanFile
from trialrun.analysis.profiles import (
    derive_change_from_baseline,
    derive_course,
    derive_dose_by_week,
    derive_flow,
    derive_grades,
)
from trialrun.analysis.run import VersionInfo
from trialrun.analysis.timeline import derive_timeline

LAB_DAYS = 84  # three cycles of 28 days: where lysis laboratory values are planned
ALC_DAYS = 86  # the same, with the first day of the fourth cycle
LABS = ("urate", "phosphate", "potassium", "calcium")
GRADED = (
    "flare_grade",
    "neutropenia_grade",
    "thrombocytopenia_grade",
    "febrile_neutropenia_grade",
    "infection_grade",
    "ctls_reported_grade",
)


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version, aggregated. `labs` are courses by test (creatinine as the change from baseline, umol/L); `alc` is
    the course of lymphocytes as a multiple of baseline; `by_cycle` the medians at the end of each on-period and week
    off; `plan` is empty where the run keeps none."""

    info: VersionInfo
    outcomes: pl.DataFrame
    weeks: int
    doses: pl.DataFrame
    labs: Mapping[str, pl.DataFrame]
    alc: pl.DataFrame
    by_cycle: pl.DataFrame
    grades: pl.DataFrame
    flow: pl.DataFrame
    target: Curve | None
    plan: PlanFile


def derive_view(
    tables: Mapping[str, pl.DataFrame], outcomes: pl.DataFrame, info: VersionInfo, plan: PlanFile
) -> VersionView:
    """Aggregate the record of one version. `outcomes` are those of `derive_outcomes` on the same tables."""
    timeline = derive_timeline(tables, info)
    wanted = [*LABS, "creatinine", "lymphocytes"]
    findings = timeline.add_day(
        tables["findings"].select("subject", "date", "test", "value").filter(pl.col("test").is_in(wanted))
    )
    days = outcomes["treatment_days"].drop_nulls().to_list()
    weeks = max(1, -(-max(days, default=0) // 7))
    labs = {test: derive_course(findings, test, LAB_DAYS) for test in LABS}
    labs["creatinine"] = derive_course(
        derive_change_from_baseline(findings, "creatinine").with_columns(pl.lit("creatinine").alias("test")),
        "creatinine",
        LAB_DAYS,
    )
    cycles = derive_lymphocytes_by_cycle(findings, timeline, info)
    return VersionView(
        info=info,
        outcomes=outcomes,
        weeks=weeks,
        doses=derive_dose_by_week(timeline, outcomes, info, weeks),
        labs=labs,
        alc=derive_course(findings, "lymphocytes", ALC_DAYS, relative=True),
        by_cycle=_medians_by_cycle(cycles),
        grades=derive_grades(outcomes, GRADED),
        flow=derive_flow(outcomes),
        target=_target_curve(outcomes),
        plan=plan,
    )


def _medians_by_cycle(cycles: pl.DataFrame) -> pl.DataFrame:
    """Medians over the subjects that have the baseline and both counts of a cycle, so that a rise is theirs."""
    both = cycles.drop_nulls().filter(pl.col("baseline") > 0)
    return (
        both.group_by("cycle")
        .agg(
            (pl.col("on") / pl.col("baseline")).median().alias("on"),
            (pl.col("off") / pl.col("baseline")).median().alias("off"),
            (pl.col("off") > pl.col("on")).mean().alias("rising"),
            pl.len().cast(pl.Int64).alias("n"),
        )
        .sort("cycle")
    )


def _target_curve(outcomes: pl.DataFrame) -> Curve | None:
    known = outcomes.filter("treated").select("target_day", "target_reached").drop_nulls()
    if known.height == 0 or not known["target_reached"].any():
        return None
    return estimate_survival(known["target_day"].cast(pl.Float64).to_numpy(), known["target_reached"].to_numpy())

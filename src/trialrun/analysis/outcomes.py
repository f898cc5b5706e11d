"""Outcomes of a trial's record: one row a subject."""

from __future__ import annotations

from functools import reduce

import polars as pl

from trialrun.analysis.dosing import derive_dose_outcomes
from trialrun.analysis.lymphocytes import derive_lymphocyte_outcomes, derive_lymphocytes_by_cycle
from trialrun.analysis.run import Run, VersionInfo, read_tables
from trialrun.analysis.safety import (
    derive_creatinine,
    derive_deaths,
    derive_reviewed,
    derive_worst_event,
)
from trialrun.analysis.timeline import Tables, derive_timeline

EVENTS = {
    "tumor_lysis_syndrome": "ctls_reported",
    "tumor_flare": "flare",
    "febrile_neutropenia": "febrile_neutropenia",
    "infection": "infection",
}


def derive_outcomes(tables: Tables, info: VersionInfo) -> pl.DataFrame:
    """One row a subject, in the order of the subjects table; every column is described in docs/outcomes.md.

    `tables` are those of `record.tables` with tests by their canonical names and values in canonical units. Null means
    not known or not assessable, never no. Days are counted from the first dose (day 0).
    """
    timeline = derive_timeline(tables, info)
    findings = timeline.add_day(tables["findings"].select("subject", "date", "test", "value", "low", "high"))
    reviewed = derive_reviewed(tables, timeline)
    parts = [
        derive_dose_outcomes(tables, timeline, info),
        *(derive_worst_event(tables, timeline, term, name, reviewed) for term, name in EVENTS.items()),
        derive_deaths(tables, timeline),
        derive_creatinine(findings, timeline),
        derive_lymphocyte_outcomes(derive_lymphocytes_by_cycle(findings, timeline, info), timeline),
    ]
    start = timeline.subjects.select("subject", "first_dose", "end_day")
    outcomes = reduce(
        lambda left, right: left.join(right, on="subject", how="left", maintain_order="left"), parts, start
    )
    return (
        outcomes.with_columns(
            pl.lit(None, dtype=pl.Boolean).alias(c)
            for c in [
                "ltls_cairo_bishop_published",
                "ltls_cairo_bishop_step_up",
                "ltls_howard_published",
                "ltls_howard_step_up",
                "ctls_cairo_bishop_published",
                "ctls_cairo_bishop_step_up",
                "ctls_howard_published",
                "ctls_howard_step_up",
                "response",
            ]
        )
        .with_columns(pl.lit(None, dtype=pl.Int64).alias(c) for c in ["neutropenia_grade", "thrombocytopenia_grade"])
        .with_columns(best_response=pl.lit(None, dtype=pl.String))
    )


def write_outcomes(run: Run, info: VersionInfo) -> pl.DataFrame:
    """Derive the outcomes of one version and keep them as outcomes.parquet in its folder; returns them.

    `trial` numbers the trials of the run from 1: the subjects of each follow those of the one before.
    """
    tables = read_tables(run, info)
    outcomes = derive_outcomes(tables, info)
    per_trial = run.subjects or max(outcomes.height, 1)
    outcomes = outcomes.with_columns(((pl.int_range(pl.len()) // per_trial) + 1).alias("trial"))
    outcomes.write_parquet(run.directory / info.folder / "outcomes.parquet")
    return outcomes

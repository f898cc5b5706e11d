"""Tumour lysis of each subject by both definitions, in the published window and in the step-up windows."""

from __future__ import annotations

import polars as pl

from trialrun.analysis.timeline import Tables, Timeline
from trialrun.criteria.lysis_clinical import EVENTS
from trialrun.criteria.lysis_windows import plan_lysis_windows
from trialrun.criteria.tumor_lysis import CAIRO_BISHOP, HOWARD, derive_tumor_lysis

NAMES = {CAIRO_BISHOP: "cairo_bishop", HOWARD: "howard"}
TESTS = ("urate", "potassium", "phosphate", "calcium", "calcium_corrected", "calcium_ionized", "albumin", "creatinine")


def derive_lysis_outcomes(
    tables: Tables, findings: pl.DataFrame, timeline: Timeline, reviewed: pl.DataFrame
) -> pl.DataFrame:
    """One row a subject: for each definition `ltls_D_published`, `ltls_D_step_up` (laboratory), `ctls_D_published`,
    `ctls_D_step_up` (clinical) and `ltls_D_day`, the day on which laboratory lysis was first met in any window.

    The published window is the one around the first dose; the step-up windows are that one and those around every
    first higher dose and every long restart. Over several windows: true if true in one, else null if null in one, else
    false. Clinical lysis of a subject who was not seen again rests on creatinine alone: it can be true, not false.
    """
    starts = plan_lysis_windows(_doses_by_line(tables, timeline))
    subjects = timeline.subjects.select("subject")
    if starts.height == 0:
        return subjects.with_columns(pl.lit(None, dtype=kind).alias(name) for name, kind in _columns().items())
    labs = findings.filter(pl.col("test").is_in(TESTS)).select("subject", "day", "test", "value", "high")
    found = derive_tumor_lysis(labs, starts, events=_events(tables, timeline)).join(
        reviewed.with_columns(pl.lit(True).alias("reviewed")), on="subject", how="left"
    )
    not_asked = pl.col("reviewed").is_null() & pl.col("ltls").fill_null(True) & (pl.col("ctls") == False)  # noqa: E712
    found = found.with_columns(pl.when(not_asked).then(None).otherwise(pl.col("ctls")).alias("ctls"))
    outcomes = subjects
    for definition, name in NAMES.items():
        of_definition = found.filter(pl.col("definition") == definition)
        published = of_definition.filter(pl.col("kind") == "start")
        for windows, suffix in ((published, "published"), (of_definition, "step_up")):
            judged = windows.group_by("subject").agg(
                # True wins, then unknown, then false: `ignore_nulls=False` is exactly that
                pl.col("ltls").any(ignore_nulls=False).alias(f"ltls_{name}_{suffix}"),
                pl.col("ctls").any(ignore_nulls=False).alias(f"ctls_{name}_{suffix}"),
            )
            outcomes = outcomes.join(judged, on="subject", how="left", maintain_order="left")
        first = of_definition.group_by("subject").agg(pl.col("ltls_day").min().alias(f"ltls_{name}_day"))
        outcomes = outcomes.join(first, on="subject", how="left", maintain_order="left")
    return outcomes.select("subject", *_columns())


def _columns() -> dict[str, pl.DataType]:
    columns: dict[str, pl.DataType] = {}
    for name in NAMES.values():
        for what in ("ltls", "ctls"):
            columns |= {f"{what}_{name}_{suffix}": pl.Boolean() for suffix in ("published", "step_up")}
        columns[f"ltls_{name}_day"] = pl.Float64()
    return columns


def _doses_by_line(tables: Tables, timeline: Timeline) -> pl.DataFrame:
    """The lines of exposure with days, held and missed days (dose 0) included: they make a restart."""
    with_day = timeline.add_day(tables["exposures"])
    return timeline.add_day(with_day, "end_date", "end_day").select("subject", "day", "end_day", "dose")


def _events(tables: Tables, timeline: Timeline) -> pl.DataFrame:
    """Adverse events that are clinical criteria. Whether a drug caused one is known to be no only where it was called
    unrelated: an event called related may be the drug's own doing or that of the lysis it set off."""
    terms = [term for term in EVENTS if term != "creatinine_x_uln"]
    lines = timeline.add_day(tables["adverse_events"].filter(pl.col("term").is_in(terms)))
    return lines.select(
        "subject",
        "day",
        pl.col("term").alias("event"),
        "grade",
        pl.when(pl.col("related") == "N").then(False).alias("attributable"),
    )

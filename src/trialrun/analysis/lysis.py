"""Tumour lysis of each subject by both definitions, in the published window and in the step-up windows."""

from __future__ import annotations

import polars as pl

from trialrun.analysis.timeline import Tables, Timeline
from trialrun.criteria.lysis_clinical import EVENTS
from trialrun.criteria.lysis_windows import plan_lysis_windows
from trialrun.criteria.tumor_lysis import CAIRO_BISHOP, HOWARD, scan_tumor_lysis

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
    labs = (
        findings.lazy().filter(pl.col("test").is_in(TESTS)).select("subject", "day", "test", "value", "high").collect()
    )
    asked = reviewed.lazy().with_columns(pl.lit(True).alias("reviewed"))
    not_asked = pl.col("reviewed").is_null() & pl.col("ltls").fill_null(True) & (pl.col("ctls") == False)  # noqa: E712
    found = (
        scan_tumor_lysis(labs, starts, events=_events(tables, timeline))
        .select("subject", "kind", "definition", "ltls", "ltls_day", "ctls")
        .join(asked, on="subject", how="left")
        .with_columns(pl.when(not_asked).then(None).otherwise(pl.col("ctls")).alias("ctls"))
    )
    judged: list[pl.Expr] = []
    for definition, name in NAMES.items():
        here, start = pl.col("definition") == definition, pl.col("kind") == "start"
        for chosen, suffix in ((here & start, "published"), (here, "step_up")):
            for what in ("ltls", "ctls"):
                # True wins, then unknown, then false: `ignore_nulls=False` is exactly that
                verdict = pl.col(what).filter(chosen).any(ignore_nulls=False)
                judged.append(pl.when(chosen.any()).then(verdict).alias(f"{what}_{name}_{suffix}"))
        judged.append(pl.col("ltls_day").filter(here).min().alias(f"ltls_{name}_day"))
    by_subject = found.group_by("subject").agg(judged).collect()
    return subjects.join(by_subject, on="subject", how="left", maintain_order="left").select("subject", *_columns())


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

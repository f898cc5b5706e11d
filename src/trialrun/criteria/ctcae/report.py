"""A graded table as summaries and under ADaM's names."""

from __future__ import annotations

import polars as pl

from trialrun.criteria.ctcae.columns import match_columns
from trialrun.criteria.ctcae.labs import GradedLabs, keep_given

ADAM = ("ATOXGRL", "ATOXGRH", "ATOXGR", "ATOXDSCL", "ATOXDSCH")

Row = dict[str, str | int | float | bool | None]


def add_adam(frame: pl.DataFrame) -> pl.DataFrame:
    """The graded table with ADaM's variables: ATOXGRL and ATOXGRH (each direction), ATOXGR (both together, low with a
    minus sign), ATOXDSCL and ATOXDSCH (the terms). Grades are texts, empty where not gradable, as in ADaM."""
    text = pl.col("grade").cast(pl.String)
    signed = pl.when(pl.col("direction") == "low").then(pl.lit("-") + text).otherwise(text)
    return keep_given(frame, ADAM).with_columns(
        pl.col("grade_low").cast(pl.String).alias("ATOXGRL"),
        pl.col("grade_high").cast(pl.String).alias("ATOXGRH"),
        signed.alias("ATOXGR"),
        pl.col("term_low").alias("ATOXDSCL"),
        pl.col("term_high").alias("ATOXDSCH"),
    )


def _test_column(graded: GradedLabs) -> pl.Expr:
    return pl.col(match_columns(graded.frame.columns)["test"]).cast(pl.String).fill_null("(none)").alias("the_test")


def summary_rows(graded: GradedLabs) -> list[Row]:
    """Counts of rows by test and grade, tests in the order they occur."""
    counted = (
        graded.frame.lazy()
        .with_columns(_test_column(graded))
        .group_by("the_test", maintain_order=True)
        .agg(
            pl.len().alias("rows"),
            *((pl.col("grade") == g).sum().alias(str(g)) for g in range(5)),
            ((pl.col("grade") >= 3) & (pl.col("direction") == "low")).sum().alias("low 3-4"),
            ((pl.col("grade") >= 3) & (pl.col("direction") == "high")).sum().alias("high 3-4"),
            pl.col("grade").is_null().sum().alias("not gradable"),
        )
        .rename({"the_test": "test"})
        .collect()
    )
    return counted.to_dicts()


def reason_rows(graded: GradedLabs) -> list[Row]:
    """How many rows of which test are not gradable for which reason, most frequent first."""
    counted = (
        graded.frame.lazy()
        .with_columns(_test_column(graded))
        .filter(pl.col("grade").is_null())
        .group_by("the_test", "reason")
        .agg(pl.len().alias("rows"))
        .sort(["rows", "the_test"], descending=[True, False])
        .rename({"the_test": "test"})
        .collect()
    )
    return counted.to_dicts()

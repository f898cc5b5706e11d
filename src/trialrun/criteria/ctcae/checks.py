"""Checks of a table of results beyond single cells: limits, repeated rows, units that change within a subject."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae.engine import Floats
from trialrun.criteria.ctcae.findings import Findings
from trialrun.criteria.ctcae.wording import Texts

Codes = NDArray[np.int32]


def check_limits(numbers: dict[str, Floats], findings: Findings) -> None:
    """Tell reversed and impossible limits and take them as missing; fixed cut points still decide."""
    for low, high, whose in (
        ("low", "high", "the limits"),
        ("baseline_low", "baseline_high", "the limits of the baseline"),
    ):
        wrong = numbers[low] > numbers[high]
        findings.add(np.flatnonzero(wrong), "reversed-limits", f"{whose} are reversed: not used", numbers[low][wrong])
        numbers[low][wrong] = np.nan
        numbers[high][wrong] = np.nan
    for name, lowest, text in (
        ("high", 0.0, "an upper limit that is not above 0 is no limit: not used"),
        ("baseline", 0.0, "a baseline that is not above 0 is no baseline: not used"),
    ):
        wrong = numbers[name] <= lowest
        findings.add(np.flatnonzero(wrong), "impossible-value", text, numbers[name][wrong])
        numbers[name][wrong] = np.nan
    wrong = numbers["low"] < 0
    findings.add(
        np.flatnonzero(wrong), "impossible-value", "a lower limit below 0 is no limit: not used", numbers["low"][wrong]
    )
    numbers["low"][wrong] = np.nan


def check_rows(table: pl.DataFrame, tests: Codes, units: Codes, findings: Findings) -> None:
    """Rows that are repeated, rows that contradict each other, and units that change within one subject and test."""
    if table["subject"].null_count() == table.height:
        return
    known = (
        table.lazy()
        .select("subject", "date", "value", "specimen")
        .with_columns(pl.Series("test", tests), pl.Series("unit", units), row=pl.int_range(pl.len(), dtype=pl.UInt32))
        .filter(pl.col("test") >= 0)
    )
    if table["date"].null_count() < table.height:
        key = ["subject", "date", "test", "specimen"]
        repeated = (
            known.filter(pl.col("date").is_not_null() & pl.col("subject").is_not_null())
            .filter(pl.len().over(key) > 1)
            .with_columns(same=pl.struct("value", "unit").n_unique().over(key) == 1)
            .select("row", "same")
            .collect()
        )
        for same, code, text in (
            (True, "duplicate-row", "the same result of the same subject, time and test stands there more than once"),
            (False, "contradicting-rows", "different results of the same subject, time and test"),
        ):
            findings.add(repeated.filter(pl.col("same") == same)["row"].to_numpy().astype(np.intp), code, text)
    mixed = (
        known.filter(pl.col("unit") >= 0)
        .filter(pl.col("unit").n_unique().over("subject", "test") > 1)
        .select("row")
        .collect()["row"]
    )
    findings.add(
        mixed.to_numpy().astype(np.intp),
        "mixed-units",
        "the unit of this test changes within the subject: each result is graded in its own unit",
    )
    nobody = np.flatnonzero(table["subject"].is_null().to_numpy())
    findings.add(nobody, "missing-subject", "no subject is named: the result is graded without a baseline")


def reason_of_bad_cells(
    reason: Codes, grade: NDArray[np.int8], cells: pl.DataFrame, texts: Texts, value: Floats
) -> None:
    """The reason of rows whose value is a text."""
    rows = cells["row"].to_numpy() - 1
    for row, found in zip(rows, cells["found"], strict=True):
        if grade[row] < 0 and np.isnan(value[row]):
            reason[row] = texts.code(f"the value is not a number: {found!r}")

"""Checks of a table of results beyond single cells: limits, repeated rows, units that change within a subject."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae.engine import Bools, Floats
from trialrun.criteria.ctcae.findings import Findings
from trialrun.criteria.ctcae.groups import Group
from trialrun.criteria.ctcae.values import implausible
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


def _perhaps_repeated(table: pl.DataFrame, tests: Codes) -> NDArray[np.intp]:
    """Rows whose subject, time and test occur again, found by a hash: a few others may be among them."""
    key = table["subject"].hash().to_numpy() * np.uint64(3) + table["date"].hash().to_numpy() * np.uint64(7)
    key = key + tests.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    order = np.argsort(key)
    same = key[order][1:] == key[order][:-1]
    again = np.zeros(len(key), bool)
    again[order[1:][same]] = True
    again[order[:-1][same]] = True
    usable = table["subject"].is_not_null().to_numpy() & table["date"].is_not_null().to_numpy() & (tests >= 0)
    return np.flatnonzero(again & usable)


def _check_repeated(table: pl.DataFrame, tests: Codes, units: Codes, findings: Findings) -> None:
    rows = _perhaps_repeated(table, tests)
    key = ["subject", "date", "test", "specimen"]
    repeated = (
        table[rows]
        .select("subject", "date", "value", "specimen")
        .with_columns(pl.Series("test", tests[rows]), pl.Series("unit", units[rows]), pl.Series("row", rows))
        .filter(pl.len().over(key) > 1)
        .with_columns(same=pl.struct("value", "unit").n_unique().over(key) == 1)
    )
    for same, code, text in (
        (True, "duplicate-row", "the same result of the same subject, time and test stands there more than once"),
        (False, "contradicting-rows", "different results of the same subject, time and test"),
    ):
        findings.add(repeated.filter(pl.col("same") == same)["row"].to_numpy().astype(np.intp), code, text)


def _check_units(table: pl.DataFrame, tests: Codes, units: Codes, findings: Findings) -> None:
    known = np.flatnonzero((units >= 0) & (tests >= 0))
    kinds = np.unique(tests[known].astype(np.int64) * 65536 + units[known])
    several = [test for test, n in zip(*np.unique(kinds // 65536, return_counts=True), strict=True) if n > 1]
    rows = known[np.isin(tests[known], several)]
    mixed = (
        table[rows]
        .select("subject")
        .with_columns(pl.Series("test", tests[rows]), pl.Series("unit", units[rows]), pl.Series("row", rows))
        .filter(pl.col("subject").is_not_null() & (pl.col("unit").n_unique().over("subject", "test") > 1))["row"]
    )
    findings.add(
        mixed.to_numpy().astype(np.intp),
        "mixed-units",
        "the unit of this test changes within the subject: each result is graded in its own unit",
    )


def check_rows(table: pl.DataFrame, tests: Codes, units: Codes, findings: Findings) -> None:
    """Rows that are repeated, rows that contradict each other, and units that change within one subject and test."""
    if table["subject"].null_count() == table.height:
        return
    _check_repeated(table, tests, units, findings)
    _check_units(table, tests, units, findings)
    nobody = np.flatnonzero(table["subject"].is_null().to_numpy())
    findings.add(nobody, "missing-subject", "no subject is named: the result is graded without a baseline")


def reason_of_bad_cells(
    reason: Codes, grade: NDArray[np.int8], cells: pl.DataFrame, texts: Texts, value: Floats
) -> None:
    """The reason of rows whose value is a text."""
    for found, rows in cells.group_by("found", maintain_order=True).agg(pl.col("row") - 1).iter_rows():
        where = np.asarray(rows, dtype=np.intp)
        where = where[(grade[where] < 0) & np.isnan(value[where])]
        reason[where] = texts.code(f"the value is not a number: {found!r}")


def take_out_impossible(groups: list[Group], numbers: dict[str, Floats], findings: Findings) -> Bools:
    """Tell impossible values and take them out, before a baseline or an albumin is taken from them; returns which."""
    impossible = np.zeros(len(numbers["value"]), bool)
    for group in groups:
        if group.problem is None:
            value = numbers["value"][group.rows]
            wrong = implausible(group.test, group.unit, value)
            findings.add(group.rows[wrong], "impossible-value", f"impossible value for {group.test}", value[wrong])
            impossible[group.rows[wrong]] = True
    numbers["value"][impossible] = np.nan
    return impossible

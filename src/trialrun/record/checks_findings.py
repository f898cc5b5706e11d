"""Findings: test names and units made canonical, and what a result must be."""

from __future__ import annotations

import numpy as np
import polars as pl

from trialrun.record.marks import Marks, literal
from trialrun.vocab.codes import NO, YES
from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.tests import Test, find_test, nearest
from trialrun.vocab.units import convert, find_unit

_NUMBERS = ("value", "low", "high")


def check_findings(frame: pl.DataFrame, file: str, marks: Marks, extra_tests: frozenset[str]) -> pl.DataFrame:
    """Test names and units made canonical, truths made 1 and 0; what cannot be used is marked. By test and unit."""
    frame = frame.with_columns(
        value_as_recorded=pl.coalesce("value_as_recorded", "value"),
        unit_as_recorded=pl.coalesce("unit_as_recorded", "unit"),
    )
    if not frame.height:
        return frame
    groups = frame.with_row_index("_at").partition_by("test", "unit", maintain_order=True)
    done = pl.concat([_check_group(group, file, marks, extra_tests) for group in groups])
    done = done.sort("_at").drop("_at")
    _check_contradictions(done, file, marks)
    return done


def _check_group(group: pl.DataFrame, file: str, marks: Marks, extra_tests: frozenset[str]) -> pl.DataFrame:
    name, unit = group["test"][0], group["unit"][0]
    if name is None:
        return group
    if name in extra_tests:
        return _check_truth(group, file, marks, name)
    test = find_test(name)
    if test is None:
        marks.add("findings", file, group, "unknown-test", "unknown test", "{test!r}", literal(nearest(name)))
        return group
    group = group.with_columns(test=pl.lit(test.name))
    if test.kind == "truth":
        return _check_truth(group, file, marks, test.name)
    if test.kind == "category":
        empty = group.filter(pl.col("text").is_null())
        marks.add("findings", file, empty, "missing-value", f"{test.name} has no text", None, "a category in text")
        return group
    return _check_number(group, unit, test, file, marks)


def _check_number(group: pl.DataFrame, unit: str | None, test: Test, file: str, marks: Marks) -> pl.DataFrame:
    nothing = group.filter(pl.col("value").is_null() & pl.col("text").is_null())
    if nothing.height:
        nothing, _ = marks.split("findings", nothing)  # a value that did not read is told already
    right = "a number, or no line; the result counts as unknown"
    message = f"{test.name} has no value"
    marks.add("findings", file, nothing, "missing-value", message, None, right, "warning")
    texts = group.filter(pl.col("text").is_not_null() & pl.col("value").is_null())
    message, right = f"{test.name} has text where a number belongs", "a number in value"
    marks.add("findings", file, texts, "not-a-number", message, "{text!r}", right)
    expected = literal(" or ".join(dict.fromkeys(filter(None, (test.unit, test.us_unit)))))
    if unit is None and test.unit != "1":
        marks.add("findings", file, group, "missing-unit", f"{test.name} has no unit", None, expected)
        return group
    code = "1" if unit is None else find_unit(unit)
    if code is None:
        marks.add("findings", file, group, "unknown-unit", f"unknown unit of {test.name}", "{unit!r}", expected)
        return group
    try:
        group = group.with_columns([_converted(group[column], code, test) for column in _NUMBERS])
    except TrialrunError as error:
        message = error.problems[0].message
        marks.add("findings", file, group, "unit-mismatch", message, "{unit!r}", expected)
        return group
    group = group.with_columns(unit=pl.lit(test.unit, dtype=pl.String))
    _check_values(group, test, file, marks)
    return group


def _converted(values: pl.Series, code: str, test: Test) -> pl.Series:
    unit = test.unit or "1"
    if code == unit:
        return values.fill_nan(None)
    numbers = np.asarray(values.cast(pl.Float64).to_numpy(), dtype=np.float64)
    return pl.Series(values.name, convert(numbers, code, unit, test.name)).fill_nan(None)


def _check_truth(group: pl.DataFrame, file: str, marks: Marks, name: str) -> pl.DataFrame:
    said = pl.col("text").str.to_lowercase().str.strip_chars()
    truth = pl.when(said.is_in(YES)).then(1.0).when(said.is_in(NO)).then(0.0)
    number = pl.when(said.is_null() & pl.col("value").is_in([0.0, 1.0])).then(pl.col("value"))
    group = group.with_columns(_truth=truth.otherwise(number), _said=pl.coalesce(pl.col("text"), pl.col("value")))
    wrong = group.filter(pl.col("_truth").is_null())
    message, right = f"{name} is neither yes nor no", "yes or no in text"
    marks.add("findings", file, wrong, "not-yes-or-no", message, "{_said!r}", right)
    contrary = group.filter((pl.col("_truth") != pl.col("value")) & pl.col("text").is_not_null())
    message = f"{name} says one thing in text and another in value"
    marks.add("findings", file, contrary, "contradiction", message, "{text}, {value:g}", right)
    return group.with_columns(value=pl.col("_truth")).drop("_truth", "_said")


def _check_values(group: pl.DataFrame, test: Test, file: str, marks: Marks) -> None:
    low = -np.inf if test.low is None else test.low
    high = np.inf if test.high is None else test.high
    entered = "{value_as_recorded:g} {unit_as_recorded}"
    if low >= 0:
        negative = group.filter(pl.col("value") < 0)
        message = f"{test.name} cannot be negative"
        marks.add("findings", file, negative, "negative-value", message, entered, "a value of 0 or more")
    outside = (pl.col("value") < low) | (pl.col("value") > high)
    far = group.filter(outside & ~((pl.col("value") < 0) & (low >= 0)))
    right = literal(f"{low:g} to {high:g} {test.unit}; check unit and decimal point")
    message = f"{test.name} is outside what is possible"
    marks.add("findings", file, far, "implausible-value", message, entered, right)
    reversed_ = group.filter(pl.col("low") > pl.col("high"))
    message = "the lower limit is above the upper limit"
    marks.add("findings", file, reversed_, "limits-reversed", message, "{low:g} to {high:g} {unit}", "low below high")
    strange = group.filter((pl.col("low") < 0) | (pl.col("high") > high) | (pl.col("high") <= 0))
    if low >= 0:
        message = f"a limit of {test.name} is outside what is possible"
        found = "{low} to {high} {unit}"
        marks.add("findings", file, strange, "implausible-limit", message, found, right, "warning")


def _check_contradictions(frame: pl.DataFrame, file: str, marks: Marks) -> None:
    """Two results of one test at one moment that no correction parts: doubtful, and said."""
    moment = ["subject", "test", "date", "time"]
    keys = frame.select(moment)
    if keys.hash_rows().n_unique() == frame.height:
        return
    replaced = frame["corrects"].drop_nulls().implode()
    rival = pl.col("corrects").is_not_null() & ~pl.col("corrects").is_first_distinct()  # told with the corrections
    left = frame.filter(~pl.col("entry").is_in(replaced).fill_null(False) & ~rival)
    twice = left.filter(pl.struct(moment).is_duplicated())
    different = pl.struct("value", "text").n_unique().over(moment) > 1
    first = pl.struct(moment).is_first_distinct()
    later = twice.with_columns(_first=pl.col("entry").first().over(moment)).filter(different & ~first)
    message = "another result of the same test at the same moment; the later line counts"
    right = "a time for each, or a correction that names entry {_first}"
    marks.add(
        "findings", file, later, "same-moment", message, "{value_as_recorded} {unit_as_recorded}", right, "warning"
    )

"""A table of laboratory results in any of the usual namings, brought to one set of columns; nothing is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from trialrun.vocab.problems import Problem, TrialrunError

# Our column: the names it goes by (SDTM LB, ADaM, plain), first match counts; case does not matter.
NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "subject": ("subject", "USUBJID", "SUBJID", "subject_id"),
        "date": ("date", "LBDTC", "ADT", "ADTM", "day", "LBDY"),
        "test": ("test", "LBTESTCD", "PARAMCD", "LBTEST", "analyte"),
        "value": ("value", "LBSTRESN", "AVAL", "result"),
        "unit": ("unit", "LBSTRESU", "AVALU", "units"),
        "low": ("low", "LBSTNRLO", "ANRLO", "lln", "lower_limit"),
        "high": ("high", "LBSTNRHI", "ANRHI", "uln", "upper_limit"),
        "baseline": ("baseline", "BASE"),
        "baseline_low": ("baseline_low",),
        "baseline_high": ("baseline_high",),
        "baseline_flag": ("baseline_flag", "LBBLFL", "ABLFL"),
        "specimen": ("specimen", "LBSPEC"),
        "category": ("category", "LBCAT", "PARCAT1"),
        "fasting": ("fasting", "LBFAST"),
    }
)
_NUMBERS = ("value", "low", "high", "baseline", "baseline_low", "baseline_high")
_NEEDED = ("test", "value")
_ABSENT = ("", "na", "n/a", "nan", "null", "none", ".")


def match_columns(present: list[str]) -> dict[str, str]:
    """Which of the given columns plays which part; missing `test` or `value` is a TrialrunError."""
    folded = {name.strip().casefold(): name for name in reversed(present)}
    matched = {}
    for ours, names in NAMES.items():
        found = next((folded[name.casefold()] for name in names if name.casefold() in folded), None)
        if found is not None:
            matched[ours] = found
    problems = [
        Problem(
            "missing-column",
            f"the table has no column for the {ours}",
            ", ".join(present) or "no columns",
            " or ".join(NAMES[ours]),
        )
        for ours in _NEEDED
        if ours not in matched
    ]
    if problems:
        raise TrialrunError(problems)
    return matched


def _as_text(column: pl.Expr) -> pl.Expr:
    text = column.cast(pl.String).str.strip_chars()
    return pl.when(text == "").then(None).otherwise(text)


def _as_number(column: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """A column as numbers, and the cells (row from 1, text) that are none. Only cells that are no plain number are
    looked at one by one: blanks around a number are taken off, words for nothing are missing."""
    number = column.cast(pl.Float64, strict=False)
    plain = number.is_finite() | column.is_null()
    if column.dtype.is_numeric():
        return number.fill_nan(None), pl.DataFrame(schema={"row": pl.Int64, "found": pl.String})
    rows = (~plain.fill_null(False)).arg_true()
    text = column.gather(rows).cast(pl.String).str.strip_chars()
    absent = text.str.to_lowercase().is_in(_ABSENT).fill_null(True)
    second = text.cast(pl.Float64, strict=False).fill_nan(None)
    second = second.set(~second.is_finite().fill_null(False), None)
    wrong = second.is_null() & ~absent
    cells = pl.DataFrame({"row": rows.cast(pl.Int64) + 1, "found": text}).filter(wrong)
    return number.scatter(rows, second) if len(rows) else number, cells


def standardise(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table under our names with numbers as numbers, and the cells that should be numbers and are not.

    The first has one row for each row given, in the same order. The second has `row` (counted from 1), `column` and
    `found`. NaN and the usual words for nothing (`NA`, `.`) become missing.
    """
    matched = match_columns(frame.columns)
    objects = [name for name in matched.values() if frame.schema[name] == pl.Object]
    if objects:
        raise TrialrunError(
            Problem("not-a-table", f"the column {objects[0]} holds Python objects", None, "numbers or texts")
        )
    columns: list[pl.Series] = []
    bad = [pl.DataFrame(schema={"row": pl.Int64, "column": pl.String, "found": pl.String})]
    for ours in NAMES:
        name = matched.get(ours)
        if name is None:
            kind = pl.Float64 if ours in _NUMBERS else pl.String
            columns.append(pl.Series(ours, [None], dtype=kind).new_from_index(0, frame.height))
        elif ours in _NUMBERS:
            numbers, cells = _as_number(frame[name])
            columns.append(numbers.alias(ours))
            bad.append(cells.select("row", pl.lit(name).alias("column"), "found"))
        else:
            columns.append(frame.select(_as_text(pl.col(name)).alias(ours)).to_series())
    return pl.DataFrame(columns), pl.concat(bad)

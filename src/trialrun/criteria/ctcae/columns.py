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
_TEXTS = ("subject", "date", "test", "unit", "baseline_flag", "specimen", "category", "fasting")
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


def standardise(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table under our names with numbers as numbers, and the cells that should be numbers and are not.

    The first has one row for each row given, in the same order. The second has `row` (counted from 1), `column` and
    `found`. NaN and the usual words for nothing (`NA`, `.`) become missing.
    """
    matched = match_columns(frame.columns)
    for name in matched.values():
        if frame.schema[name] == pl.Object:
            raise TrialrunError(
                Problem("not-a-table", f"the column {name} holds Python objects", None, "numbers or texts")
            )
    columns = []
    bad = []
    for ours in NAMES:
        name = matched.get(ours)
        if name is None:
            kind = pl.Float64 if ours in _NUMBERS else pl.String
            columns.append(pl.lit(None, dtype=kind).alias(ours))
        elif ours in _NUMBERS:
            if frame.schema[name].is_numeric():
                columns.append(pl.col(name).cast(pl.Float64).fill_nan(None).alias(ours))
                continue
            text = _as_text(pl.col(name))
            absent = text.str.to_lowercase().is_in(_ABSENT).fill_null(True)
            number = text.cast(pl.Float64, strict=False).fill_nan(None)
            columns.append(pl.when(absent).then(None).otherwise(number).alias(ours))
            bad.append(
                frame.lazy()
                .select(
                    row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
                    column=pl.lit(name),
                    found=text,
                    wrong=(number.is_null() | number.is_infinite()) & ~absent,
                )
                .filter("wrong")
                .drop("wrong")
                .collect()
            )
        else:
            columns.append(_as_text(pl.col(name)).alias(ours))
    table = frame.select(columns) if frame.width else frame
    empty = pl.DataFrame(schema={"row": pl.Int64, "column": pl.String, "found": pl.String})
    return table, pl.concat([empty, *bad])

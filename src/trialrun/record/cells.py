"""Cells of text to dates, times, numbers and codes; what does not read is told by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from trialrun.record.marks import LINE, Marks
from trialrun.vocab.codes import spellings

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_COMMA_NUMBER = r"^[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2}([.,]\d{3})+$"
_OTHER_DATE = r"^\d{1,2}[./ -](\d{1,2}|[A-Za-z]{3})[./ -]\d{2,4}$|^\d{6,8}$"  # 03/04/2007: day or month first?
_DATE = r"^\d{4}-\d{2}-\d{2}$"


@dataclass(frozen=True, slots=True)
class Place:
    """Where cells stand: their table, their file, and whether numbers of the file are written with a decimal comma."""

    table: str
    file: str
    decimal_comma: bool = False


_FOUND = "{_found!r}"


def _found(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The rows with what stands in a column: a header such as `creatinine [mg/dL]` is no name for a template."""
    return rows.with_columns(_found=pl.col(column))


def read_dates(rows: pl.DataFrame, column: str, place: Place, marks: Marks) -> pl.Series:
    """A column of text as dates; only whole ISO 8601 dates are dates."""
    text = rows[column]
    whole = text.str.contains(_DATE).fill_null(False)
    dates = text.set(~whole, None).str.to_date("%Y-%m-%d", strict=False)
    failed = rows.filter(text.is_not_null() & dates.is_null())
    if failed.height:
        cell = pl.col(column)
        kinds = (
            (cell.str.contains(r"^\d{4}(-\d{2})?$"), "partial-date", f"{column} is not a whole date"),
            (cell.str.contains(_DATE), "no-such-date", f"{column} is a day that does not exist"),
            (cell.str.contains(_OTHER_DATE), "not-a-date", f"{column} is not written year-month-day"),
            (pl.lit(True), "not-a-date", f"{column} is not a date"),
        )
        for holds, code, message in kinds:
            of_kind = failed.filter(holds)
            found, right = _FOUND, "a date such as 2007-03-01"
            marks.add(place.table, place.file, _found(of_kind, column), code, message, found, right)
            failed = failed.join(of_kind.select(LINE), on=LINE, how="anti", maintain_order="left")
    return dates


def read_times(rows: pl.DataFrame, column: str, place: Place, marks: Marks) -> pl.Series:
    """A column of text as times of day: 14:30 or 14:30:00."""
    text = rows[column]
    whole = text.str.replace(r"^(\d{2}:\d{2})$", "$1:00")
    exact = whole.str.contains(r"^\d{2}:\d{2}:\d{2}(\.\d+)?$").fill_null(False)
    times = whole.set(~exact, None).str.to_time("%H:%M:%S%.f", strict=False)
    failed = rows.filter(text.is_not_null() & times.is_null())
    marks.add(place.table, place.file, _found(failed, column), "not-a-time", f"{column} is not a time", _FOUND, "14:30")
    return times


def read_numbers(rows: pl.DataFrame, column: str, place: Place, marks: Marks) -> pl.Series:
    """A column of text as numbers.

    Where the file may write a decimal comma, a cell such as 1,234 (or 1.234 beside cells with a comma) can mean a
    thousand or a decimal: that is told and not guessed.
    """
    text = rows[column]
    plain = text.str.contains(_NUMBER).fill_null(False)
    ambiguous = pl.repeat(False, rows.height, dtype=pl.Boolean, eager=True)
    if place.decimal_comma:
        comma = text.str.contains(_COMMA_NUMBER).fill_null(False)
        grouped = text.str.contains(_THOUSANDS).fill_null(False)
        ambiguous = grouped & (text.str.contains(",", literal=True).fill_null(False) | bool(comma.any()))
        text = text.str.replace(",", ".", literal=True)
        plain = (plain | comma) & ~ambiguous
        right = "a number without a sign between thousands, such as 1234 or 1,2340"
        marks.add(place.table, place.file, _found(rows.filter(ambiguous), column), "ambiguous-number",
                  f"{column} can be read as thousands or as a decimal", _FOUND, right)  # fmt: skip
    numbers = text.set(~plain, None).cast(pl.Float64, strict=False)
    endless = numbers.is_infinite().fill_null(False)  # 1e999
    numbers = numbers.set(endless, None)
    failed = rows.filter(text.is_not_null() & numbers.is_null() & ~ambiguous)
    code, message = "not-a-number", f"{column} is not a number"
    right = "a number; an empty cell where it is not known"
    marks.add(place.table, place.file, _found(failed, column), code, message, _FOUND, right)
    return numbers


def read_codes(
    rows: pl.DataFrame, column: str, codes: Mapping[str, tuple[str, ...]], place: Place, marks: Marks
) -> pl.Series:
    """A column of text as codes of a list, usual spellings understood."""
    found = rows[column].str.to_lowercase().replace_strict(spellings(codes), default=None, return_dtype=pl.String)
    failed = rows.filter(rows[column].is_not_null() & found.is_null())
    message, right = f"{column} is not one of its codes", ", ".join(codes)
    marks.add(place.table, place.file, _found(failed, column), "unknown-value", message, _FOUND, right)
    return found


def has_decimal_comma(rows: pl.DataFrame, columns: list[str]) -> bool:
    """Whether a number among these columns of text is written with a comma."""
    return any(rows[column].str.contains(_COMMA_NUMBER).fill_null(False).any() for column in columns)

"""Candidates for a trial as one wide table: one row a person, tests as columns with their unit in the header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.record.cells import Place, has_decimal_comma, read_codes, read_dates, read_numbers
from trialrun.record.files import read_sheet
from trialrun.record.marks import LINE, RAW, Marks, Rejected, literal, rejected_rows
from trialrun.vocab.codes import SEX, YES_NO
from trialrun.vocab.problems import Location, Problem, TrialrunError, has_errors
from trialrun.vocab.tests import Test, find_test, nearest
from trialrun.vocab.units import convert, find_unit

FloatArray = NDArray[np.float64]

_HEADER = re.compile(r"(?P<name>.*?)(?:\s+(?P<limit>ULN|LLN))?(?:\s*\[(?P<unit>[^\]]*)\])?")
_PERSON = ("subject", "sex", "birth_date", "date", "consented")
_AGE = re.compile(r"age(?:\s*\[(?P<unit>[^\]]*)\])?")
_OLDEST = 125.0  # years; assumed bound for slips of the pen


@dataclass(frozen=True, slots=True)
class Screening:
    """Candidates: `subjects` (m,) and for each test a column (m,) in its canonical unit, NaN = not there.

    `low` and `high` are reference limits; `age` is in years; `consented` is 1, 0 or NaN.
    """

    subjects: tuple[str, ...]
    values: Mapping[str, FloatArray]
    low: Mapping[str, FloatArray]
    high: Mapping[str, FloatArray]
    age: FloatArray
    consented: FloatArray
    problems: tuple[Problem, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    header: str
    test: Test
    limit: str | None
    unit: str | None


def read_screening(path: Path | str, today: date | None = None) -> Screening:
    """Read a wide CSV of candidates.

    Columns: `subject`; `age [a]`, or `birth_date` and `date`; `consented`; and for each test its name (or code or
    synonym) with the unit in brackets, `hemoglobin [g/dL]`, limits as `alt ULN [U/L]`, `alt LLN [U/L]`; findings of yes
    or no without a unit. An unknown column or unit is a TrialrunError; a cell that does not read is a problem, and that
    person is set aside in `rejected`; an empty cell is unknown.
    """
    file = Path(path)
    if not file.is_file():
        raise TrialrunError(Problem("no-file", "no such file", str(path), "a CSV file with one row a person"))
    sheet = read_sheet(file, "screening", None, ["subject"])
    if not sheet.usable:
        raise TrialrunError([item for item in sheet.problems if item.severity != "note"])
    rows, marks = sheet.rows, Marks()
    columns, problems = _columns([name for name in rows.columns if name not in (LINE, RAW)], str(file))
    if has_errors(problems):
        raise TrialrunError(problems)
    place = Place("screening", str(file), sheet.delimiter != ",")
    numeric = [column.header for column in columns if column.test.kind == "number"]
    if place.decimal_comma and has_decimal_comma(rows, numeric):
        problems.append(Problem("decimal-comma", "read with decimal comma", None, None, Location(str(file)), "note"))
    twice = rows.filter(pl.col("subject").is_null() | ~pl.col("subject").is_first_distinct())
    message = "the subject is missing or stands twice"
    marks.add("screening", place.file, twice, "subject-twice", message, "{subject}", "one row each")
    values: dict[str, FloatArray] = {}
    limits: dict[str, dict[str, FloatArray]] = {"LLN": {}, "ULN": {}}
    for column in columns:
        read = _read_column(rows, column, place, marks)
        if column.limit is None:
            values[column.test.name] = read
        else:
            limits[column.limit][column.test.name] = read
    _check_limits(rows, limits, place, marks)
    age = _age(rows, place, marks, today or date.today())
    consented = _truth(rows, "consented", place, marks) if "consented" in rows.columns else np.full(rows.height, np.nan)
    if "sex" in rows.columns:
        read_codes(rows, "sex", SEX, place, marks)
    kept, gone = marks.split("screening", rows)
    keep = rows[LINE].is_in(kept[LINE].implode()).to_numpy()
    rejected = sorted([*sheet.rejected, *rejected_rows("screening", gone)], key=lambda item: item.line)
    return Screening(
        subjects=tuple(kept["subject"].to_list()),
        values={key: column[keep] for key, column in values.items()},
        low={key: column[keep] for key, column in limits["LLN"].items()},
        high={key: column[keep] for key, column in limits["ULN"].items()},
        age=age[keep],
        consented=consented[keep],
        problems=(*sheet.problems, *problems, *marks.problems),
        rejected=tuple(rejected),
    )


def _columns(header: list[str], file: str) -> tuple[list[_Column], list[Problem]]:
    found: list[_Column] = []
    problems: list[Problem] = []
    where = Location(file, 1)
    for text in header:
        match = _HEADER.fullmatch(text)
        age = _AGE.fullmatch(text)
        if age is not None and age["unit"] not in (None, "a", "years", "year", "y", "yr"):
            told = "age in a unit that is not understood"
            problems.append(Problem("unknown-unit", told, repr(text), "age [a], in years", where))
        if text in _PERSON or match is None or age is not None:
            continue
        test = find_test(match["name"])
        if test is None:
            problems.append(Problem("unknown-column", "unknown column", repr(text), nearest(match["name"]), where))
            continue
        unit = match["unit"]
        if test.kind == "number" and test.unit not in (None, "1"):
            expected = f"{match['name']} [{test.unit}]"
            code = find_unit(unit) if unit else None
            if code is None:
                message = "a column without its unit" if not unit else "unknown unit of a column"
                problems.append(
                    Problem("missing-unit" if not unit else "unknown-unit", message, repr(text), expected, where)
                )
                continue
            try:
                convert(1.0, code, test.unit, test.name)
            except TrialrunError as error:
                problems.append(Problem("unit-mismatch", error.problems[0].message, repr(text), expected, where))
                continue
            unit = code
        found.append(_Column(text, test, match["limit"], unit))
    named = [(column.test.name, column.limit) for column in found]
    problems += [
        Problem("column-twice", "a test has two columns", repr(column.header), "one column a test", where)
        for at, column in enumerate(found)
        if named[at] in named[:at]
    ]
    return found, problems


def _numbers(rows: pl.DataFrame, column: str, place: Place, marks: Marks) -> FloatArray:
    numbers = read_numbers(rows, column, place, marks)
    return np.array(numbers.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _truth(rows: pl.DataFrame, column: str, place: Place, marks: Marks) -> FloatArray:
    said = read_codes(rows, column, YES_NO, place, marks)
    truth = said.replace_strict({"Y": 1.0, "N": 0.0}, default=float("nan"), return_dtype=pl.Float64)
    return np.array(truth.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _read_column(rows: pl.DataFrame, column: _Column, place: Place, marks: Marks) -> FloatArray:
    test = column.test
    if test.kind != "number":
        return _truth(rows, column.header, place, marks)
    numbers = _numbers(rows, column.header, place, marks)
    values = convert(numbers, column.unit, test.unit or "1", test.name) if column.unit else numbers
    low = -np.inf if test.low is None else test.low
    high = np.inf if test.high is None else test.high
    with np.errstate(invalid="ignore"):
        far = (values < low) | (values > high)
    outside = rows.select(LINE, _found=column.header).filter(pl.Series(far))
    expected = literal(f"{low:g} to {high:g} {test.unit}; check unit and decimal point")
    message = f"{column.header} is outside what is possible"
    marks.add(place.table, place.file, outside, "implausible-value", message, "{_found}", expected)
    return values


def _check_limits(
    rows: pl.DataFrame, limits: Mapping[str, Mapping[str, FloatArray]], place: Place, marks: Marks
) -> None:
    for name, low in limits["LLN"].items():
        high = limits["ULN"].get(name)
        if high is not None:
            with np.errstate(invalid="ignore"):
                reversed_ = rows.filter(pl.Series(low > high))
            message = f"the lower limit of {name} is above the upper"
            marks.add(place.table, place.file, reversed_, "limits-reversed", message, None, "LLN below ULN")


def _age(rows: pl.DataFrame, place: Place, marks: Marks, today: date) -> FloatArray:
    """Age in years: stated, or from the date of birth on the day of screening (`date`, else `today`)."""
    every = pl.repeat(None, rows.height, dtype=pl.Date, eager=True)
    born = read_dates(rows, "birth_date", place, marks) if "birth_date" in rows.columns else every
    seen = read_dates(rows, "date", place, marks) if "date" in rows.columns else every.fill_null(today)
    late = rows.filter(
        (seen > today).fill_null(False) | (born > today).fill_null(False) | (born > seen).fill_null(False)
    )
    message, right = "a date is before birth or after today", f"birth, then screening, up to {today}"
    marks.add(place.table, place.file, late, "date-order", message, None, right)
    birthday = (seen.dt.month() > born.dt.month()) | (
        (seen.dt.month() == born.dt.month()) & (seen.dt.day() >= born.dt.day())
    )
    years = seen.dt.year() - born.dt.year() - (~birthday).cast(pl.Int32)
    reckoned = np.array(years.cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)
    header = next((column for column in rows.columns if _AGE.fullmatch(column)), None)
    age = reckoned if header is None else _numbers(rows, header, place, marks)
    with np.errstate(invalid="ignore"):
        far, apart = (age < 0) | (age > _OLDEST), np.abs(age - reckoned) >= 1.0
    message, right = "age is outside what is possible", f"0 to {_OLDEST:g} years"
    marks.add(place.table, place.file, rows.filter(pl.Series(far)), "implausible-value", message, None, right)
    if header is not None:
        strange = rows.filter(pl.Series(apart)).with_columns(_age=pl.col(header))
        message, right = "the age is not that of the date of birth", "one of them, or both alike"
        marks.add(place.table, place.file, strange, "contradiction", message, "{_age}, born {birth_date}", right)
        age = np.where(np.isnan(age), reckoned, age)
    return age

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

from trialrun.record.files import LINE, RAW, Rejected, read_sheet
from trialrun.record.marks import Marks
from trialrun.vocab.problems import Location, Problem, TrialrunError, has_errors
from trialrun.vocab.tests import Test, find_test, nearest
from trialrun.vocab.units import convert, find_unit

FloatArray = NDArray[np.float64]

_HEADER = re.compile(r"(?P<name>.*?)(?:\s+(?P<limit>ULN|LLN))?(?:\s*\[(?P<unit>[^\]]*)\])?")
_PERSON = ("subject", "sex", "birth_date", "date", "consented")
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


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
    if not sheet.rows.width:
        raise TrialrunError([item for item in sheet.problems if item.severity == "error"] or list(sheet.problems))
    rows, marks = sheet.rows, Marks()
    columns, problems = _columns([name for name in rows.columns if name not in (LINE, RAW)], str(file))
    if has_errors(problems):
        raise TrialrunError(problems)
    name = str(file)
    twice = rows.filter(pl.col("subject").is_null() | ~pl.col("subject").is_first_distinct())
    marks.add(
        "screening", name, twice[LINE], "subject-twice", "the subject is missing or stands twice", None, "one row each"
    )
    values: dict[str, FloatArray] = {}
    limits: dict[str, dict[str, FloatArray]] = {"LLN": {}, "ULN": {}}
    for column in columns:
        read = _read_column(rows, column, name, marks, sheet.decimal_comma)
        if column.limit is None:
            values[column.test.name] = read
        else:
            limits[column.limit][column.test.name] = read
    _check_limits(rows, limits, name, marks)
    age = _age(rows, name, marks, today or date.today(), sheet.decimal_comma)
    consented = _truth(rows, "consented", name, marks) if "consented" in rows.columns else np.full(rows.height, np.nan)
    bad = marks.rows("screening")
    keep = ~rows[LINE].is_in(list(bad)).to_numpy()
    gone = [
        Rejected("screening", line, raw, "; ".join(bad[line]))
        for line, raw in rows.select(LINE, RAW).iter_rows()
        if line in bad
    ]
    return Screening(
        subjects=tuple(rows.filter(pl.Series(keep))["subject"].to_list()),
        values={key: column[keep] for key, column in values.items()},
        low={key: column[keep] for key, column in limits["LLN"].items()},
        high={key: column[keep] for key, column in limits["ULN"].items()},
        age=age[keep],
        consented=consented[keep],
        problems=(*sheet.problems, *problems, *marks.problems),
        rejected=(*sheet.rejected, *gone),
    )


def _columns(header: list[str], file: str) -> tuple[list[_Column], list[Problem]]:
    found: list[_Column] = []
    problems: list[Problem] = []
    where = Location(file, 1)
    for text in header:
        match = _HEADER.fullmatch(text)
        if text in _PERSON or match is None or match["name"] == "age":
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


def _numbers(rows: pl.DataFrame, column: str, file: str, marks: Marks, decimal_comma: bool) -> FloatArray:
    text = rows[column].str.replace(",", ".", literal=True) if decimal_comma else rows[column]
    number = text.str.contains(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$").fill_null(False)
    for line, found in rows.filter(text.is_not_null() & ~number).select(LINE, column).iter_rows():
        marks.add(
            "screening", file, [line], "not-a-number", f"{column} is not a number", repr(found), "a number or nothing"
        )
    values = text.set(~number, None).cast(pl.Float64)
    return np.array(values.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _truth(rows: pl.DataFrame, column: str, file: str, marks: Marks) -> FloatArray:
    said = rows[column].str.to_lowercase()
    known = said.is_in([*_YES, *_NO]).fill_null(False)
    for line, found in rows.filter(said.is_not_null() & ~known).select(LINE, column).iter_rows():
        marks.add(
            "screening",
            file,
            [line],
            "not-yes-or-no",
            f"{column} is neither yes nor no",
            repr(found),
            "yes, no or nothing",
        )
    truth = said.is_in(list(_YES)).fill_null(False).to_numpy().astype(np.float64)
    return np.where(known.to_numpy(), truth, np.nan)


def _read_column(rows: pl.DataFrame, column: _Column, file: str, marks: Marks, decimal_comma: bool) -> FloatArray:
    test = column.test
    if test.kind != "number":
        return _truth(rows, column.header, file, marks)
    numbers = _numbers(rows, column.header, file, marks, decimal_comma)
    values = convert(numbers, column.unit or "1", test.unit or "1", test.name) if column.unit else numbers
    low = -np.inf if test.low is None else test.low
    high = np.inf if test.high is None else test.high
    with np.errstate(invalid="ignore"):
        far = (values < low) | (values > high)
    for line, found in rows.filter(pl.Series(far)).select(LINE, column.header).iter_rows():
        expected = f"{low:g} to {high:g} {test.unit}; check unit and decimal point"
        marks.add(
            "screening",
            file,
            [line],
            "implausible-value",
            f"{column.header} is outside what is possible",
            found,
            expected,
        )
    return values


def _check_limits(rows: pl.DataFrame, limits: Mapping[str, Mapping[str, FloatArray]], file: str, marks: Marks) -> None:
    for name, low in limits["LLN"].items():
        high = limits["ULN"].get(name)
        if high is not None:
            lines = rows.filter(pl.Series(low > high))[LINE]
            marks.add(
                "screening",
                file,
                lines,
                "limits-reversed",
                f"the lower limit of {name} is above the upper",
                None,
                "LLN below ULN",
            )


def _age(rows: pl.DataFrame, file: str, marks: Marks, today: date, decimal_comma: bool) -> FloatArray:
    """Age in years: stated, or from the date of birth on the day of screening (`date`, else `today`)."""
    stated = next((column for column in rows.columns if column.split("[")[0].strip() == "age"), None)
    if stated is not None:
        age = _numbers(rows, stated, file, marks, decimal_comma)
        with np.errstate(invalid="ignore"):
            far = (age < 0) | (age > 130)
        lines = rows.filter(pl.Series(far))[LINE]
        marks.add(
            "screening", file, lines, "implausible-value", "age is outside what is possible", None, "0 to 130 years"
        )
        return age
    if "birth_date" not in rows.columns:
        return np.full(rows.height, np.nan)
    born = _dates(rows, "birth_date", file, marks)
    seen = (
        _dates(rows, "date", file, marks)
        if "date" in rows.columns
        else pl.repeat(today, rows.height, dtype=pl.Date, eager=True)
    )
    late = rows.filter(
        (seen > today).fill_null(False) | (born > today).fill_null(False) | (born > seen).fill_null(False)
    )
    marks.add(
        "screening",
        file,
        late[LINE],
        "date-order",
        "a date is before birth or after today",
        None,
        "birth, then screening, then today",
    )
    birthday = (seen.dt.month() > born.dt.month()) | (
        (seen.dt.month() == born.dt.month()) & (seen.dt.day() >= born.dt.day())
    )
    years = seen.dt.year() - born.dt.year() - (~birthday).cast(pl.Int32)
    return np.array(years.cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _dates(rows: pl.DataFrame, column: str, file: str, marks: Marks) -> pl.Series:
    text = rows[column]
    full = text.str.contains(r"^\d{4}-\d{2}-\d{2}$").fill_null(False)
    dates = text.set(~full, None).str.to_date("%Y-%m-%d", strict=False)
    for line, found in rows.filter(text.is_not_null() & dates.is_null()).select(LINE, column).iter_rows():
        marks.add(
            "screening", file, [line], "not-a-date", f"{column} is not a date", repr(found), "a date such as 2007-03-01"
        )
    return dates

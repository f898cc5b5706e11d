"""Read a record directory: every line typed, checked against the others, accepted or set aside with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

import polars as pl

from trialrun.record.checks import check_across, check_findings
from trialrun.record.files import LINE, RAW, Rejected, Sheet, read_sheet
from trialrun.record.marks import Marks
from trialrun.record.record import Record
from trialrun.record.tables import TABLES, Column, schema
from trialrun.vocab.problems import Location, Problem, TrialrunError

EXTRA_FINDING_COLUMNS = {"value_as_recorded": pl.Float64(), "unit_as_recorded": pl.String()}


def read_record(directory: Path | str, today: date | None = None, extra_tests: Iterable[str] = ()) -> Record:
    """The record in a directory of CSV or Parquet files named after the tables (docs/reference/record.md).

    A line that cannot be used is set aside in `Record.rejected` with a problem that says why; the rest is read. Dates
    after `today` (default: the machine's date) are errors. `extra_tests` are truth tests that a protocol adds, such as
    choices of the investigator. A directory that is missing or has no `subjects` is a TrialrunError.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise TrialrunError(
            Problem("no-directory", "no such record directory", str(folder), "a folder with subjects.csv")
        )
    if not any((folder / f"subjects{ending}").exists() for ending in (".csv", ".parquet")):
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "an empty folder"
        raise TrialrunError(
            Problem("no-subjects", "the record has no subjects table", found, "subjects.csv", Location(str(folder)))
        )
    _check_names(folder)
    marks = Marks()
    frames: dict[str, pl.DataFrame] = {}
    files: dict[str, str] = {}
    problems: list[Problem] = []
    rejected: list[Rejected] = []
    for name, columns in TABLES.items():
        csv_path, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
        if csv_path.exists() and parquet.exists():
            raise TrialrunError(
                Problem(
                    "table-twice",
                    f"the table {name} is there twice",
                    f"{name}.csv and {name}.parquet",
                    "one of them",
                    Location(str(folder)),
                )
            )
        files[name] = str(parquet if parquet.exists() else csv_path)
        if parquet.exists():
            frames[name] = _read_parquet(parquet, name, columns)
        elif csv_path.exists():
            required = [column.name for column in columns if column.required]
            sheet = read_sheet(csv_path, name, [column.name for column in columns], required)
            problems += sheet.problems
            rejected += sheet.rejected
            frames[name] = _type_columns(sheet, name, columns, str(csv_path), marks)
        else:
            problems.append(
                Problem(
                    "no-table",
                    f"there is no table {name}; it is read as empty",
                    None,
                    None,
                    Location(str(folder)),
                    "note",
                )
            )
            frames[name] = _empty(name)
    today = today or date.today()
    frames["findings"] = check_findings(frames["findings"], files["findings"], marks, frozenset(extra_tests))
    check_across(frames, files, marks, today)
    tables: dict[str, pl.DataFrame] = {}
    for name, frame in frames.items():
        bad = marks.rows(name)
        gone = frame.filter(pl.col(LINE).is_in(list(bad)))
        rejected += _rejected(gone, name, bad)
        keep = [*schema(name), *(EXTRA_FINDING_COLUMNS if name == "findings" else ())]
        tables[name] = frame.filter(~pl.col(LINE).is_in(list(bad))).select(keep)
    problems += marks.problems
    order = {str(folder / f"{name}.csv"): at for at, name in enumerate(TABLES)}
    problems.sort(key=lambda item: (order.get(item.location.file or "", 99), item.location.line or 0))
    return Record(MappingProxyType(tables), tuple(problems), tuple(rejected))


def _check_names(folder: Path) -> None:
    """A table under another name would be read as empty: its events would count as absent."""
    there = {path.stem for path in folder.iterdir() if path.suffix.casefold() in (".csv", ".parquet")}
    problems = []
    for stem in sorted(there - set(TABLES)):
        meant = get_close_matches(stem.casefold().replace("-", "_").replace(" ", "_"), TABLES, n=1, cutoff=0.75)
        right = meant[0] if meant else "one of " + ", ".join(TABLES)
        message = "a file that is no table of a record"
        problems.append(Problem("unknown-table", message, stem, right, Location(str(folder))))
    if problems:
        raise TrialrunError(problems)


def _rejected(gone: pl.DataFrame, name: str, bad: Mapping[int, list[str]]) -> list[Rejected]:
    if "subject" not in gone.columns:
        gone = gone.with_columns(subject=pl.lit(None, dtype=pl.String))
    return [
        Rejected(name, line, raw or "", "; ".join(bad[line]), subject)
        for line, raw, subject in gone.select(LINE, RAW, "subject").iter_rows()
    ]


def _empty(name: str) -> pl.DataFrame:
    return pl.DataFrame(schema={**schema(name), LINE: pl.Int64(), RAW: pl.String()})


def _read_parquet(path: Path, name: str, columns: Sequence[Column]) -> pl.DataFrame:
    """A typed table; its "line" is the row number counted from 1."""
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TrialrunError(
            Problem("unreadable-table", "not a Parquet file", str(error)[:80], None, Location(str(path)))
        ) from None
    known = [column.name for column in columns]
    unknown = [column for column in frame.columns if column not in (*known, *EXTRA_FINDING_COLUMNS)]
    missing = [column.name for column in columns if column.required and column.name not in frame.columns]
    if unknown or missing:
        message = f"unknown columns {unknown}" if unknown else f"missing columns {missing}"
        raise TrialrunError(
            Problem("columns", message, ", ".join(frame.columns), ", ".join(known), Location(str(path)))
        )
    try:
        typed = frame.select(
            [
                pl.col(column.name).cast(column.dtype) if column.name in frame.columns
                else pl.lit(None, dtype=column.dtype).alias(column.name)
                for column in columns
            ]
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        raise TrialrunError(
            Problem("column-type", "a column has the wrong type", str(error)[:120], None, Location(str(path)))
        ) from None
    return typed.with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(LINE), pl.lit(None, dtype=pl.String).alias(RAW)
    )


def _type_columns(sheet: Sheet, name: str, columns: Sequence[Column], file: str, marks: Marks) -> pl.DataFrame:
    """Strings to the types of the table; what does not read is marked with its line."""
    if not sheet.rows.width:
        return _empty(name)
    rows = sheet.rows
    typed: list[pl.Expr | pl.Series] = []
    for column in columns:
        if column.name not in rows.columns:
            typed.append(pl.lit(None, dtype=column.dtype).alias(column.name))
            continue
        text = rows[column.name]
        if column.required:
            marks.add(
                name,
                file,
                rows.filter(text.is_null())[LINE],
                "missing-value",
                f"{column.name} is empty",
                None,
                column.meaning,
            )
        values = _convert(text, column, sheet.decimal_comma)
        failed = text.is_not_null() & values.is_null()
        expected = {pl.Date(): "a date such as 2007-03-01", pl.Float64(): "a number", pl.Time(): "a time such as 14:30"}
        for line, found in rows.filter(failed).select(LINE, column.name).iter_rows():
            what = "date" if column.dtype == pl.Date else "time" if column.dtype == pl.Time else "number"
            message = f"{column.name} is not a {what}"
            marks.add(name, file, [line], f"not-a-{what}", message, repr(found), expected.get(column.dtype))
        typed.append(values.alias(column.name))
    return rows.select([*typed, pl.col(LINE), pl.col(RAW)])


def _convert(text: pl.Series, column: Column, decimal_comma: bool) -> pl.Series:
    if column.dtype == pl.Date:
        full = text.str.contains(r"^\d{4}-\d{2}-\d{2}$").fill_null(False)
        return text.set(~full, None).str.to_date("%Y-%m-%d", strict=False)
    if column.dtype == pl.Time:
        padded = text.str.replace(r"^(\d{2}:\d{2})$", "$1:00")
        return padded.str.to_time("%H:%M:%S", strict=False)
    if column.dtype == pl.Float64:
        plain = text.str.replace(",", ".", literal=True) if decimal_comma else text
        number = plain.str.contains(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$").fill_null(False)
        return plain.set(~number, None).cast(pl.Float64, strict=False)
    return text

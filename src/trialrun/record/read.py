"""Read a record directory: every line typed, checked against the others, accepted or set aside with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

import polars as pl

from trialrun.record.cells import Place, has_decimal_comma, read_codes, read_dates, read_numbers, read_times
from trialrun.record.checks import check_across
from trialrun.record.checks_findings import check_findings
from trialrun.record.corrections import links_of
from trialrun.record.files import Sheet, read_sheet
from trialrun.record.ledger import LEDGER, check_sealed
from trialrun.record.marks import LINE, RAW, Marks, Rejected, rejected_rows
from trialrun.record.record import Record
from trialrun.record.tables import KEPT, TABLES, Column, schema
from trialrun.vocab.problems import Location, Problem, TrialrunError

REJECTED = "rejected"  # the file to which write_record puts lines that were set aside; it is no table


@dataclass(frozen=True, slots=True)
class Loaded:
    """The files of a record directory as typed tables with line numbers, before anything is compared."""

    folder: Path
    frames: Mapping[str, pl.DataFrame]
    files: Mapping[str, str]
    problems: tuple[Problem, ...]
    rejected: tuple[Rejected, ...]


def read_record(directory: Path | str, today: date | None = None, extra_tests: Iterable[str] = ()) -> Record:
    """The record in a directory of CSV or Parquet files named after the tables (docs/reference/record.md).

    A line that cannot be used is set aside in `Record.rejected` with a problem that says why; the rest is read. Dates
    after `today` (default: the machine's date) are errors. `extra_tests` are truth tests that a protocol adds, such as
    choices of the investigator. Where the record is sealed, the seal is verified. A directory that is missing or has no
    usable `subjects` is a TrialrunError.
    """
    marks = Marks()
    loaded = load_tables(Path(directory), marks)
    return check_record(loaded, marks, today or date.today(), frozenset(extra_tests))


def load_tables(folder: Path, marks: Marks) -> Loaded:
    """The tables of a directory, typed; what does not read is marked."""
    _check_folder(folder)
    frames: dict[str, pl.DataFrame] = {}
    files: dict[str, str] = {}
    problems: list[Problem] = []
    rejected: list[Rejected] = []
    for name in TABLES:
        csv_path, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
        files[name] = str(parquet if parquet.exists() else csv_path)
        columns = (*TABLES[name], *KEPT.get(name, ()))
        if parquet.exists():
            frames[name] = _read_parquet(parquet, name, columns, marks)
        elif csv_path.exists():
            required = [column.name for column in columns if column.required]
            sheet = read_sheet(csv_path, name, [column.name for column in columns], required)
            problems += sheet.problems
            rejected += sheet.rejected
            if name == "subjects" and not sheet.usable:
                raise TrialrunError([problem for problem in sheet.problems if problem.severity != "note"])
            frames[name], notes = _type_columns(sheet, name, columns, str(csv_path), marks)
            problems += notes
        else:
            told = f"there is no table {name}; it is read as empty"
            problems.append(Problem("no-table", told, None, None, Location(str(folder)), "note"))
            frames[name] = _empty(columns)
    return Loaded(folder, MappingProxyType(frames), MappingProxyType(files), tuple(problems), tuple(rejected))


def check_record(loaded: Loaded, marks: Marks, today: date, extra_tests: frozenset[str]) -> Record:
    """The tables compared with each other; marked lines are set aside."""
    frames = dict(loaded.frames)
    frames["findings"] = check_findings(frames["findings"], loaded.files["findings"], marks, extra_tests)
    check_across(frames, loaded.files, marks, today)
    problems, rejected = list(loaded.problems), list(loaded.rejected)
    problems += check_sealed(loaded.folder, loaded.files, marks)
    tables: dict[str, pl.DataFrame] = {}
    links: dict[str, pl.DataFrame] = {}
    for name, frame in frames.items():
        kept, gone = marks.split(name, frame)
        rejected += rejected_rows(name, _with_text(gone))
        tables[name] = kept.select(*schema(name), *(column.name for column in KEPT.get(name, ())))
        disputed = links_of(gone)
        if disputed.height:
            links[name] = disputed
    problems += marks.problems
    order = {file: at for at, file in enumerate(loaded.files.values())}
    problems.sort(key=lambda item: (order.get(item.location.file or "", -1), item.location.line or 0))
    rejected.sort(key=lambda item: (order[loaded.files[item.table]], item.line))
    return Record(
        MappingProxyType(tables), tuple(problems), tuple(rejected), unusable_corrections=MappingProxyType(links)
    )


def _check_folder(folder: Path) -> None:
    """A table under another name would be read as empty: its events would count as absent."""
    right = "a folder with subjects.csv"
    if not folder.is_dir():
        raise TrialrunError(Problem("no-directory", "no such record directory", str(folder), right))
    there = {path.name for path in folder.iterdir() if path.suffix.casefold() in (".csv", ".parquet")}
    allowed = {f"{name}{ending}" for name in TABLES for ending in (".csv", ".parquet")}
    problems = []
    for name in sorted(there - allowed - {LEDGER, f"{REJECTED}.csv"}):
        stem = Path(name).stem.casefold().replace("-", "_").replace(" ", "_")
        meant = get_close_matches(stem, TABLES, n=1, cutoff=0.75)
        expected = f"{meant[0]}{Path(name).suffix.casefold()}" if meant else "one of " + ", ".join(TABLES)
        message = "a file that is no table of a record"
        problems.append(Problem("unknown-table", message, name, expected, Location(str(folder))))
    for name in TABLES:
        if {f"{name}.csv", f"{name}.parquet"} <= there:
            message, found = f"the table {name} is there twice", f"{name}.csv and {name}.parquet"
            problems.append(Problem("table-twice", message, found, "one of them", Location(str(folder))))
    if not {"subjects.csv", "subjects.parquet"} & there:
        found = ", ".join(sorted(there)[:10]) or "no table"
        message = "the record has no subjects table"
        problems.append(Problem("no-subjects", message, found, "subjects.csv", Location(str(folder))))
    if problems:
        raise TrialrunError(problems)


def _empty(columns: Sequence[Column]) -> pl.DataFrame:
    return pl.DataFrame(
        schema={**{column.name: column.dtype for column in columns}, LINE: pl.Int64(), RAW: pl.String()}
    )


def _with_text(gone: pl.DataFrame) -> pl.DataFrame:
    """Rows of a Parquet table that are set aside have no line of text: their cells as JSON stand for it."""
    if not gone.height or not gone[RAW].is_null().any():
        return gone
    cells = [column for column in gone.columns if column not in (LINE, RAW, "why")]
    as_json = pl.struct(pl.col(cells).cast(pl.String)).struct.json_encode()
    return gone.with_columns(pl.coalesce(pl.col(RAW), as_json).alias(RAW))


def _read_parquet(path: Path, name: str, columns: Sequence[Column], marks: Marks) -> pl.DataFrame:
    """A typed table; its "line" is the row number counted from 1."""
    where = Location(str(path))
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        told = "not a Parquet file, or cut"
        raise TrialrunError(Problem("unreadable-table", told, str(error)[:80], None, where)) from None
    known = [column.name for column in columns]
    unknown = [column for column in frame.columns if column not in known]
    missing = [column.name for column in columns if column.required and column.name not in frame.columns]
    if unknown or missing:
        message = f"unknown columns {unknown}" if unknown else f"missing columns {missing}"
        raise TrialrunError(Problem("columns", message, ", ".join(frame.columns), ", ".join(known), where))
    try:
        typed = frame.select(
            pl.col(column.name).cast(column.dtype) if column.name in frame.columns
            else pl.lit(None, dtype=column.dtype).alias(column.name)
            for column in columns
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        told = "a column has the wrong type"
        raise TrialrunError(Problem("column-type", told, str(error)[:120], None, where)) from None
    typed = typed.with_columns(pl.col(pl.Float64).fill_nan(None)).with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(LINE), pl.lit(None, dtype=pl.String).alias(RAW)
    )
    place = Place(name, str(path))
    for column in columns:
        if column.required:
            _check_filled(typed, column, place, marks)
        if column.dtype == pl.Float64:
            endless = typed.filter(pl.col(column.name).is_infinite())
            marks.add(name, str(path), endless, "not-a-number", f"{column.name} is infinite", None, "a number")
        if column.codes is not None:
            typed = typed.with_columns(read_codes(typed, column.name, column.codes, place, marks).alias(column.name))
    return typed


def _type_columns(
    sheet: Sheet, name: str, columns: Sequence[Column], file: str, marks: Marks
) -> tuple[pl.DataFrame, list[Problem]]:
    """Strings to the types of the table; what does not read is marked with its line."""
    if not sheet.rows.width:
        return _empty(columns), []
    rows = sheet.rows
    notes = []
    numeric = [column.name for column in columns if column.dtype == pl.Float64 and column.name in rows.columns]
    place = Place(name, file, sheet.delimiter != ",")
    if place.decimal_comma and has_decimal_comma(rows, numeric):
        notes.append(Problem("decimal-comma", "read with decimal comma", None, None, Location(file), "note"))
    typed: list[pl.Series] = []
    for column in columns:
        if column.name not in rows.columns:
            typed.append(pl.repeat(None, rows.height, dtype=column.dtype, eager=True).alias(column.name))
            continue
        if column.required:
            _check_filled(rows, column, place, marks)
        typed.append(_convert(rows, column, place, marks).alias(column.name))
    return pl.DataFrame([*typed, rows[LINE], rows[RAW]]), notes


def _check_filled(rows: pl.DataFrame, column: Column, place: Place, marks: Marks) -> None:
    empty = rows.filter(pl.col(column.name).is_null())
    marks.add(place.table, place.file, empty, "missing-value", f"{column.name} is empty", None, column.meaning)


def _convert(rows: pl.DataFrame, column: Column, place: Place, marks: Marks) -> pl.Series:
    if column.dtype == pl.Date:
        return read_dates(rows, column.name, place, marks)
    if column.dtype == pl.Time:
        return read_times(rows, column.name, place, marks)
    if column.dtype == pl.Float64:
        return read_numbers(rows, column.name, place, marks)
    if column.codes is not None:
        return read_codes(rows, column.name, column.codes, place, marks)
    return rows[column.name]

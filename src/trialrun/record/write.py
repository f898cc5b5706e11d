"""Write a record, and add entries to one without touching what stands there."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Literal

import polars as pl

from trialrun.record.files import read_text
from trialrun.record.ledger import LEDGER, extend_ledger, seal, verify_ledger
from trialrun.record.marks import LINE, RAW, Marks
from trialrun.record.read import REJECTED, check_record, load_tables
from trialrun.record.record import Record
from trialrun.record.tables import KEPT, TABLES, schema
from trialrun.vocab.problems import Location, Problem, TrialrunError

Cell = str | float | date | time | None


def write_record(
    record: Record,
    directory: Path | str,
    format: Literal["csv", "parquet"] = "csv",  # noqa: A002
    sealed: bool = False,
) -> None:
    """Write a record's tables to a directory, CSV or Parquet; `sealed` adds the ledger.

    Findings are written in the units of their tests with what was entered beside. Superseded entries of a view are
    written too; lines that had been set aside go to rejected.csv. A directory that holds a record already is a
    TrialrunError: nothing is overwritten.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    there = [path.name for path in folder.iterdir() if path.stem in TABLES or path.name in (LEDGER, f"{REJECTED}.csv")]
    if there:
        found, right = ", ".join(sorted(there)), "an empty directory"
        raise TrialrunError(Problem("not-empty", "there is a record already", found, right, Location(str(folder))))
    for name in TABLES:
        table = record.tables[name]
        if name in record.superseded and record.superseded[name].height:
            table = pl.concat([record.superseded[name], table])
        if format == "parquet":
            table.write_parquet(folder / f"{name}.parquet")
        else:
            table.write_csv(folder / f"{name}.csv", time_format="%H:%M:%S%.f")
    if record.rejected:
        lines = [(item.table, item.line, item.text, item.why) for item in record.rejected]
        frame = pl.DataFrame(lines, schema=["table", "line", "text", "why"], orient="row")
        frame.write_csv(folder / f"{REJECTED}.csv")
    if sealed:
        seal(folder)


def append_entries(
    directory: Path | str,
    table: str,
    rows: Sequence[Mapping[str, Cell]],
    today: date | None = None,
    extra_tests: frozenset[str] = frozenset(),
) -> None:
    """Add lines to the end of a table of a record; bytes that stand there stay.

    `rows` are cells by column name. They are checked as at reading, against the record that is there: where one cannot
    be used, nothing is written and the TrialrunError says why. A ledger is verified first and extended. CSV in UTF-8
    with comma only; a new table starts with all its columns.
    """
    folder = Path(directory)
    if table not in TABLES:
        raise TrialrunError(Problem("unknown-table", "no table of a record", repr(table), ", ".join(TABLES)))
    path = folder / f"{table}.csv"
    known = [*schema(table), *(column.name for column in KEPT.get(table, ()))]
    header = _header_of(path, list(schema(table)))
    _check_cells(rows, header, known, path)
    if (folder / LEDGER).exists():
        altered = [problem for problem in verify_ledger(folder) if problem.severity == "error"]
        if altered:
            raise TrialrunError(altered)
    first = _check_rows(folder, table, rows, today or date.today(), extra_tests)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    new = not path.exists() or path.stat().st_size == 0
    if new:
        writer.writerow(header)
    elif not path.read_bytes().endswith(b"\n"):
        text.write("\n")
    writer.writerows([_written(row.get(column)) for column in header] for row in rows)
    with path.open("ab") as file:
        file.write(text.getvalue().encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    extend_ledger(folder, path.name, 1 if new else first)


def _header_of(path: Path, otherwise: list[str]) -> list[str]:
    where = Location(str(path), 1)
    if path.with_suffix(".parquet").exists():
        raise TrialrunError(Problem("append-format", "a Parquet table cannot be added to", None, "CSV", where))
    if not path.exists() or path.stat().st_size == 0:
        return otherwise
    text = read_text(path)
    header = next(csv.reader([text.lines[0]]), [])
    if text.problems or "entry" not in header:
        told, right = "a file that cannot be added to", "CSV in UTF-8 with comma as delimiter and a header in line 1"
        raise TrialrunError(Problem("append-format", told, text.lines[0][:60], right, where))
    return header


def _check_cells(rows: Sequence[Mapping[str, Cell]], header: list[str], known: list[str], path: Path) -> None:
    used = dict.fromkeys(column for row in rows for column in row if row[column] is not None)
    for column in used:
        where = Location(str(path), 1)
        if column not in known:
            raise TrialrunError(Problem("unknown-column", "unknown column", repr(column), ", ".join(known), where))
        if column not in header:
            told = "the file has no such column, and lines that stand are not rewritten"
            right = "a table that starts with all columns, as write_record writes it"
            raise TrialrunError(Problem("missing-column", told, repr(column), right, where))


def _check_rows(
    folder: Path, table: str, rows: Sequence[Mapping[str, Cell]], today: date, extra_tests: frozenset[str]
) -> int:
    """Read the record with the new rows at its end; errors in them are raised. The number of the first new line."""
    marks = Marks()
    loaded = load_tables(folder, marks)
    frame = loaded.frames[table]
    path = folder / f"{table}.csv"
    first = len(read_text(path).lines) + 1 if path.exists() else 2
    added = {
        name: [_typed(row.get(name), dtype, name, Location(loaded.files[table], first + at))
               for at, row in enumerate(rows)]
        for name, dtype in frame.schema.items()
        if name not in (LINE, RAW)
    }  # fmt: skip
    numbered = {**added, LINE: list(range(first, first + len(rows))), RAW: [""] * len(rows)}
    grown = pl.concat([frame, pl.DataFrame(numbered, schema=frame.schema)])
    required = [column for column in TABLES[table] if column.required]
    for column in required:
        empty = grown.filter((pl.col(LINE) >= first) & pl.col(column.name).is_null())
        marks.add(table, loaded.files[table], empty, "missing-value", f"{column.name} is empty", None, column.meaning)
    for column in TABLES[table]:
        if column.codes is not None:
            strange = grown.filter((pl.col(LINE) >= first) & ~pl.col(column.name).is_in(list(column.codes)))
            message, right = f"{column.name} is not one of its codes", ", ".join(column.codes)
            marks.add(table, loaded.files[table], strange, "unknown-value", message, f"{{{column.name}!r}}", right)
    frames = {**loaded.frames, table: grown}
    record = check_record(
        type(loaded)(folder, frames, loaded.files, loaded.problems, loaded.rejected), marks, today, extra_tests
    )
    wrong = [
        problem for problem in record.problems
        if problem.severity == "error"
        and problem.location.file == loaded.files[table]
        and (problem.location.line or 0) >= first
    ]  # fmt: skip
    if wrong:
        raise TrialrunError(wrong)
    return first


def _typed(value: Cell, dtype: pl.DataType, name: str, where: Location) -> Cell:
    kinds: dict[pl.DataType, tuple[type, ...]] = {
        pl.String(): (str,), pl.Date(): (date,), pl.Time(): (time,), pl.Float64(): (int, float)
    }  # fmt: skip
    if value is None or value == "":
        return None
    if not isinstance(value, kinds[dtype]) or isinstance(value, bool):
        right = {pl.String(): "text", pl.Date(): "a date", pl.Time(): "a time", pl.Float64(): "a number"}[dtype]
        raise TrialrunError(Problem("wrong-type", f"{name} is of the wrong type", repr(value), right, where))
    return float(value) if isinstance(value, int | float) else value


def _written(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)

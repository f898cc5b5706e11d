"""Tables as they come: CSV or TSV (gzip or not, with R's short header), Parquet; nothing guessed without being said."""

from __future__ import annotations

import bz2
import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trialrun.vocab.problems import Location, Problem, Severity, TrialrunError

# What stands for a missing value in tables that people and programs write.
MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", ".")
_SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table read from `path`: text columns for text files, typed columns for Parquet.

    `first_line` is the line of the first row of data (counted from 1; None for Parquet), `separator` the character
    between columns, `notes` what was recognised.
    """

    path: Path
    frame: pl.DataFrame
    first_line: int | None
    separator: str | None
    notes: tuple[Problem, ...] = ()

    def locate(self, row: int | None = None) -> Location:
        """The place of a row (counted from 0)."""
        line = None if row is None or self.first_line is None else self.first_line + row
        return Location(file=str(self.path), line=line)


def read_table_file(path: Path) -> TableFile:
    """Read a table by its suffix; a text table's separator is recognised from its first lines."""
    if not path.is_file():
        raise TrialrunError(
            Problem("no-such-file", "there is no such file", found=str(path), location=Location(file=str(path)))
        )
    name = path.name.lower()
    for packed in (".gz", ".bz2"):
        name = name.removesuffix(packed)
    if not name.endswith(_SUFFIXES):
        raise TrialrunError(
            Problem(
                "unknown-file-type",
                "the kind of table is not known from the file's name",
                found=path.name,
                expected="a name that ends in " + ", ".join((*_SUFFIXES, ".h5ad")) + ", text also with .gz or .bz2",
                location=Location(file=str(path)),
            )
        )
    if name.endswith((".parquet", ".pq")):
        try:
            return TableFile(path, pl.read_parquet(path), None, None)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _unreadable(path, str(error).splitlines()[0]) from None
    return _read_text(path, _read_bytes(path))


def _read_bytes(path: Path) -> str:
    raw = path.read_bytes()
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        elif raw[:3] == b"BZh":
            raw = bz2.decompress(raw)
    except (OSError, EOFError) as error:
        raise _unreadable(path, f"damaged compression ({error})") from None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
    raise _unreadable(path, "not text in UTF-8, UTF-16 or Windows-1252")


def _unreadable(path: Path, why: str) -> TrialrunError:
    return TrialrunError(
        Problem("unreadable-table", "the table cannot be read", found=why, location=Location(file=str(path)))
    )


def _read_text(path: Path, text: str) -> TableFile:
    start = 0
    lines = text.split("\n", 400)
    while start < len(lines) and (lines[start].startswith(("#", "!")) or not lines[start].strip()):
        start += 1
    if start >= len(lines) or not any(line.strip() for line in lines[start + 1 :]):
        raise _unreadable(path, "no header with rows below it")
    header_line = lines[start]
    separator = max("\t,;", key=lambda mark: (header_line.count(mark), mark == "\t"))
    if header_line.count(separator) == 0:
        raise TrialrunError(
            Problem(
                "one-column",
                "the table has one column only",
                found=header_line[:80],
                expected="columns separated by commas, tabs or semicolons",
                location=Location(file=str(path), line=start + 1),
            )
        )
    notes: list[Problem] = []
    header = _fields(header_line, separator)
    width = len(_fields(lines[start + 1], separator))
    if width == len(header) + 1:
        header = ["row_name", *header]
        notes.append(
            note(path, "short-header", "the header lacks the name of the first column (row names)", line=start + 1)
        )
    header = [name if name else ("row_name" if i == 0 else f"column_{i + 1}") for i, name in enumerate(header)]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise TrialrunError(
            Problem(
                "duplicate-column",
                "column names occur more than once",
                found=", ".join(twice[:10]),
                expected="one column a name",
                location=Location(file=str(path), line=start + 1),
            )
        )
    body = "\n".join(lines[start + 1 :])
    if body.rstrip("\n").count(separator) != (len(header) - 1) * (body.rstrip("\n").count("\n") + 1):
        # Quoted separators and empty lines are no fault; a line that is too short or too long is.
        found = _ragged(body, separator, len(header), start)
        if found is not None:
            raise _unreadable(path, found)
    try:
        frame = pl.read_csv(
            io.BytesIO(body.encode()),
            separator=separator,
            has_header=False,
            new_columns=header,
            infer_schema=False,
            null_values=list(MISSING),
            truncate_ragged_lines=False,
            schema_overrides={f"column_{i + 1}": pl.String for i in range(len(header))},
        )
    except pl.exceptions.PolarsError as error:
        raise _unreadable(
            path, f"{_ragged(body, separator, len(header), start) or str(error).splitlines()[0]}"
        ) from None
    if frame.width != len(header):
        raise _unreadable(
            path, _ragged(body, separator, len(header), start) or f"{frame.width} columns, not {len(header)}"
        )
    if start:
        notes.append(
            note(path, "comment-lines", f"{start} leading lines (comments or empty) were passed over", line=start)
        )
    return TableFile(path, frame, start + 2, separator, tuple(notes))


def _fields(line: str, separator: str) -> list[str]:
    import csv

    return [field.strip() for field in next(csv.reader([line], delimiter=separator))]


def _ragged(body: str, separator: str, width: int, start: int) -> str | None:
    for number, line in enumerate(body.split("\n")):
        if line.strip() and len(_fields(line, separator)) != width:
            return f"line {start + 2 + number} has {len(_fields(line, separator))} fields, the header {width}"
    return None


def note(
    path: Path, code: str, message: str, found: str | None = None, severity: Severity = "note", line: int | None = None
) -> Problem:
    """Something recognised in a file, or doubtful about it."""
    return Problem(code, message, found=found, location=Location(file=str(path), line=line), severity=severity)


def parse_numbers(table: TableFile, columns: list[str]) -> pl.DataFrame:
    """The columns as float64 (null = missing); the first cell that is not a number is an error with its line."""
    chosen = table.frame.select(columns)
    text = [name for name, kind in chosen.schema.items() if kind == pl.String]
    ready = chosen.with_columns(pl.col(text).str.strip_chars())
    if table.separator == ";" and text:
        ready = ready.with_columns(pl.col(text).str.replace(",", ".", literal=True))
    odd = [name for name, kind in chosen.schema.items() if not (kind.is_numeric() or kind in (pl.String, pl.Boolean))]
    if odd:
        raise TrialrunError(
            Problem(
                "not-a-number",
                "columns of samples must hold numbers",
                found=f"{odd[0]} ({chosen.schema[odd[0]]})",
                expected="numbers",
                location=table.locate(),
            )
        )
    numbers = ready.select(pl.all().cast(pl.Float64, strict=False))
    for name in text:
        lost = (numbers[name].is_null() & ready[name].is_not_null()).arg_true()
        if len(lost):
            raise TrialrunError(
                Problem(
                    "not-a-number",
                    f"column {name} holds something that is not a number",
                    found=repr(ready[name][int(lost[0])]),
                    expected="a number, or an empty cell for a missing one",
                    location=table.locate(int(lost[0])),
                )
            )
    return numbers

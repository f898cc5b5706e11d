"""Text files as rows of strings: encoding and delimiter recognised and said, every line accounted for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import polars as pl

from trialrun.vocab.problems import Location, Problem, TrialrunError

LINE = "_line"
RAW = "_raw"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that could not be used, word for word, why, and whom it is about (None where the line does not tell)."""

    table: str
    line: int
    text: str
    why: str
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's lines as strings (empty = null), with line number and raw text; `decimal_comma` where it may have it."""

    rows: pl.DataFrame
    rejected: tuple[Rejected, ...]
    problems: tuple[Problem, ...]
    decimal_comma: bool = False


def _decode(raw: bytes, name: str) -> tuple[str, list[Problem]]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), [_note("encoding", "read as UTF-16", name)]
        except UnicodeDecodeError:
            return raw.decode("utf-16", errors="replace"), [
                Problem("encoding", "the file is cut inside a character", "UTF-16", "the whole file", Location(name))
            ]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        text = raw.decode("cp1252", errors="replace")
        line = raw[: error.start].count(b"\n") + 1
        return text, [
            Problem("encoding", "not UTF-8; read as Windows-1252", f"byte {raw[error.start]:#04x}", "a file in UTF-8",
                    Location(name, line), "warning")
        ]  # fmt: skip


def _note(code: str, message: str, name: str) -> Problem:
    return Problem(code, message, None, None, Location(name), "note")


def read_sheet(path: Path, table: str, columns: Sequence[str] | None, required: Sequence[str]) -> Sheet:
    """Read one delimited file. `columns` None takes any header; otherwise an unknown column is an error.

    Nothing is lost: a line is a row or stands in `rejected` with its text.
    """
    name = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        said = error.strerror or str(error)
        raise TrialrunError(
            Problem("unreadable-file", "the file cannot be read", said, "a readable CSV file", Location(name))
        ) from None
    text, problems = _decode(raw, name)
    rejected: list[Rejected] = []
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        problems.append(
            Problem("not-text", "a NUL byte: this is not a text file", None, "CSV text", Location(name, line))
        )
        rejected += [Rejected(table, i, part, "not a text file") for i, part in enumerate(text.splitlines(), 1) if part]
        return Sheet(pl.DataFrame(), tuple(rejected), tuple(problems))
    lines = text.splitlines()
    if not any(part.strip() for part in lines):
        problems.append(
            Problem("empty-file", "the file is empty", None, "a header line and data lines", Location(name))
        )
        return Sheet(pl.DataFrame(), (Rejected(table, 1, "", "the file is empty"),), tuple(problems))
    head_at = next(index for index, part in enumerate(lines) if part.strip())
    delimiter = max(",;\t|", key=lines[head_at].count) if any(sign in lines[head_at] for sign in ",;\t|") else ","
    if delimiter != ",":
        shown = {"\t": "tab", ";": "semicolon", "|": "bar"}[delimiter]
        problems.append(_note("delimiter", f"read with {shown} as delimiter", name))
    header = [part.strip() for part in next(csv.reader([lines[head_at]], delimiter=delimiter))]
    bad_header = _check_header(header, columns, required, name, head_at + 1)
    problems += bad_header
    if any(problem.severity == "error" for problem in bad_header):
        rejected += [Rejected(table, i + 1, part, "the header of the file is not usable")
                     for i, part in enumerate(lines) if i > head_at and part.strip()]  # fmt: skip
        return Sheet(pl.DataFrame(), tuple(rejected), tuple(problems))
    cells: list[list[str]] = []
    numbers: list[int] = []
    raws: list[str] = []
    ended = text.endswith(("\n", "\r"))
    for index, part in enumerate(lines[head_at + 1 :], head_at + 2):
        if not part.strip():
            continue
        why = None
        fields: list[str] = []
        if part.count('"') % 2:
            why = "a quotation mark is not closed"
        else:
            fields = next(csv.reader([part], delimiter=delimiter))
            if len(fields) != len(header):
                cut = index == len(lines) and len(fields) < len(header) and not ended
                why = (
                    "the file ends inside this line"
                    if cut
                    else f"{len(fields)} fields where the header has {len(header)}"
                )
        if why is not None:
            code = "truncated" if "ends inside" in why else "ragged-line"
            problems.append(Problem(code, why, repr(part[:80]), f"{len(header)} fields", Location(name, index)))
            rejected.append(Rejected(table, index, part, why))
            continue
        cells.append([field.strip() for field in fields])
        numbers.append(index)
        raws.append(part)
    if not cells and not rejected:
        problems.append(
            Problem("no-rows", "the file has a header and no lines", None, "data lines", Location(name), "warning")
        )
    data = {column: [row[at] or None for row in cells] for at, column in enumerate(header)}
    frame = pl.DataFrame(data, schema=dict.fromkeys(header, pl.String)).with_columns(
        pl.Series(LINE, numbers, dtype=pl.Int64), pl.Series(RAW, raws, dtype=pl.String)
    )
    return Sheet(frame, tuple(rejected), tuple(problems), delimiter == ";")


def _check_header(
    header: Sequence[str], columns: Sequence[str] | None, required: Sequence[str], name: str, line: int
) -> list[Problem]:
    where = Location(name, line)
    problems = [
        Problem("column-twice", "a column stands twice in the header", repr(column), "each column once", where)
        for column in sorted({column for column in header if header.count(column) > 1})
    ]
    if any(not column for column in header):
        problems.append(
            Problem("column-unnamed", "a column has no name", repr(list(header)), "a name for each column", where)
        )
    if columns is not None:
        for column in header:
            if column and column not in columns:
                close = get_close_matches(column, columns, n=1)
                expected = repr(close[0]) if close else "one of " + ", ".join(columns)
                problems.append(Problem("unknown-column", "unknown column", repr(column), expected, where))
    missing = [column for column in required if column not in header]
    if missing:
        found = ", ".join(header)
        problems.append(Problem("missing-column", "a required column is missing", found, ", ".join(missing), where))
    return problems

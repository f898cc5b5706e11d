"""How commands answer: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from trialrun.vocab.problems import Location, Problem, TrialrunError

Cell = str | int | float | bool | date | None


class Format(StrEnum):
    """What a command prints: `text` for people, `json` or `csv` for programs."""

    text = "text"
    json = "json"
    csv = "csv"


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def json_text(value: object) -> str:
    """One JSON document as text; dates as ISO 8601; NaN is not JSON and is an error."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain, allow_nan=False) + "\n"


def print_json(value: object, file: TextIO | None = None) -> None:
    """One JSON document, as json_text has it."""
    print(json_text(value), end="", file=file or sys.stdout)


_ASCII = str.maketrans({"–": "-", "−": "-", "µ": "u", "×": "x"})


def print_text(text: str) -> None:
    """Text for people; signs that the terminal does not know are replaced, and never stop the answer."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    print(text)


def print_rows(rows: Sequence[Mapping[str, Cell]], columns: Sequence[str], form: Format, title: str = "") -> None:
    """The same rows as a table for people, as a JSON list, or as CSV (empty cell = missing)."""
    if form is Format.json:
        print_json([{column: row.get(column) for column in columns} for row in rows])
    elif form is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([["" if row.get(column) is None else row[column] for column in columns] for row in rows])
    else:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
        # not a terminal: a fixed width, so that a log or a pipe shows whole words
        console = Console()
        (console if console.is_terminal else Console(width=120)).print(table)


def make_folder(path: Path) -> None:
    """Make a folder and those above it; a place that cannot be written is a TrialrunError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrialrunError(
            Problem("cannot-write", "the folder cannot be made", error.strerror, None, Location(str(path)))
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8; a place that cannot be written is a TrialrunError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrialrunError(
            Problem("cannot-write", "the file cannot be written", error.strerror, None, Location(str(path)))
        ) from None

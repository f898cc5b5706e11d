"""A small record made for a test: tables of rows, written as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from trialrun.record import Record, read_record

TODAY = date(2010, 1, 1)
PEOPLE = [
    {"entry": f"S{n}", "subject": f"EX-{n}", "site": "01", "sex": "F", "birth_date": "1950-01-01"} for n in (1, 2)
]


def write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def made_record(folder: Path, **tables: Sequence[Mapping[str, str]]) -> Record:
    """Subjects EX-1 and EX-2 of site 01, and these tables."""
    folder.mkdir(exist_ok=True)
    for name, rows in {"subjects": PEOPLE, **tables}.items():
        write_rows(folder / f"{name}.csv", rows)
    return read_record(folder, TODAY)


def finding(entry: str, value: str, corrects: str = "", known: str = "", **others: str) -> dict[str, str]:
    line = {
        "entry": entry,
        "subject": "EX-1",
        "date": "2009-03-02",
        "test": "platelets",
        "value": value,
        "unit": "10*9/L",
    }
    return {**line, "known": known, "corrects": corrects, "why_corrected": "misread" if corrects else "", **others}


def codes(record: Record) -> list[tuple[str, int | None]]:
    return [(item.code, item.location.line) for item in record.problems if item.severity != "note"]

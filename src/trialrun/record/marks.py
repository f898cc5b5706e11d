"""Lines that cannot be used or are doubtful, gathered while a record is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from trialrun.vocab.problems import Location, Problem, Severity

LINE = "_line"
RAW = "_raw"
COPY = "the same line stands twice"
SHOWN = 100  # so many lines with the same problem are listed one by one, the others are counted


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that could not be used: word for word, why, of which subject and known since when where that can be read.

    `line` counts from 1 in the file (a row of a Parquet table counts from 1 too). A `copy` says what another line says.
    """

    table: str
    line: int
    text: str
    why: str
    subject: str | None = None
    known: date | None = None
    copy: bool = False


class Marks:
    """Problems found, and for each table which lines they set aside and why."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._rows: dict[str, list[pl.DataFrame]] = {}

    def add(
        self,
        table: str,
        file: str,
        rows: pl.DataFrame,
        code: str,
        message: str,
        found: str | None = None,
        expected: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """The same problem on these rows (with their line number); an error sets them aside, a warning keeps them.

        `found` and `expected` are templates in the style of `str.format` with the columns of the row: `{value:g} mg`.
        """
        if not rows.height:
            return
        for row in rows.head(SHOWN).iter_rows(named=True):
            where = Location(file, int(row[LINE]))
            self.problems.append(Problem(code, message, _fill(found, row), _fill(expected, row), where, severity))
        more = rows.height - SHOWN
        if more > 0:
            first, last = rows[LINE][SHOWN], rows[LINE][-1]
            told = f"{message}: {more} more such lines"
            where = Location(file, int(first))
            self.problems.append(Problem(code, told, f"lines {first} to {last}", _fill(expected, {}), where, severity))
        if severity == "error":
            self.set_aside(table, rows, message)

    def set_aside(self, table: str, rows: pl.DataFrame, why: str) -> None:
        """Rows that are not used, without a problem of their own."""
        self._rows.setdefault(table, []).append(rows.select(pl.col(LINE).cast(pl.Int64), why=pl.lit(why)))

    def rows(self, table: str) -> pl.DataFrame:
        """The lines of a table that are set aside, `why` with all reasons."""
        empty = pl.DataFrame(schema={LINE: pl.Int64, "why": pl.String})
        marked = pl.concat([empty, *self._rows.get(table, [])])
        return marked.group_by(LINE, maintain_order=True).agg(pl.col("why").unique(maintain_order=True).str.join("; "))

    def split(self, table: str, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A frame's rows that are kept, and those set aside with a column `why`."""
        bad = self.rows(table)
        if not bad.height:
            return frame, frame.head(0).with_columns(why=pl.lit(None, dtype=pl.String))
        gone = frame.join(bad, on=LINE, how="inner", maintain_order="left")
        return frame.join(bad, on=LINE, how="anti", maintain_order="left"), gone


def rejected_rows(table: str, rows: pl.DataFrame) -> Iterable[Rejected]:
    """Rows set aside (`_line`, `_raw`, `why`, and what the table has of subject and dates) as a record keeps them."""
    there = [column for column in ("subject", "known", "date") if column in rows.columns]
    for row in rows.select(LINE, RAW, "why", *there).iter_rows(named=True):
        known = row.get("known") or row.get("date")
        copy = COPY in row["why"].split("; ")
        yield Rejected(table, row[LINE], row[RAW] or "", row["why"], row.get("subject"), known, copy)


def literal(text: str) -> str:
    """A text as a template that says just that: units such as `mL/min/{1.73_m2}` hold braces."""
    return text.replace("{", "{{").replace("}", "}}")


def _fill(template: str | None, row: dict[str, Any]) -> str | None:
    if template is None:
        return None
    if not row:  # the summary of many lines: only what is the same for all of them
        return template.replace("{{", "\0").replace("}}", "\1").replace("\0", "{").replace("\1", "}")
    return template.format_map({key: "" if value is None else value for key, value in row.items()}).strip()

"""The sample sheet, and which of its columns names the samples, the groups and the subjects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trialrun.analysis.expression.table_file import MISSING, TableFile, read_table_file
from trialrun.vocab.problems import Location, Problem, TrialrunError


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """One row a sample, every column as text (null = missing); `first_line` as in `TableFile`."""

    path: Path
    frame: pl.DataFrame
    table: TableFile

    def locate(self, row: int | None = None) -> Location:
        """The place of a row (counted from 0)."""
        return self.table.locate(row)


def read_sample_sheet(path: Path) -> SampleSheet:
    """Read the sheet; cells are stripped, missing markers become null."""
    table = read_table_file(path)
    frame = table.frame.select(pl.all().cast(pl.String).str.strip_chars())
    frame = frame.with_columns(
        pl.when(pl.col(c).is_in(MISSING)).then(None).otherwise(pl.col(c)).alias(c) for c in frame.columns
    )
    if table.first_line is None:
        frame = frame.with_columns(pl.col(frame.columns).str.replace(r"^(-?\d+)\.0$", "$1"))
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.any():
        frame, table = frame.filter(~empty), table
    if frame.height < 2:
        raise TrialrunError(
            Problem("too-few-samples", "the sample sheet has fewer than two samples", location=table.locate())
        )
    return SampleSheet(path, frame, table)


def find_column(sheet: SampleSheet, name: str, purpose: str) -> str:
    """The column of that name; upper and lower case do not matter where only one column fits."""
    if name in sheet.frame.columns:
        return name
    close = [column for column in sheet.frame.columns if column.casefold() == name.casefold()]
    if len(close) == 1:
        return close[0]
    raise TrialrunError(
        Problem(
            "no-such-column",
            f"the sample sheet has no column for the {purpose}",
            found=name,
            expected="one of " + ", ".join(sheet.frame.columns[:30]),
            location=sheet.locate(),
        )
    )


def normalize_name(name: str) -> str:
    """A sample name without what programs add: folders, .bam, R's leading X, and with dots for other characters."""
    name = re.split(r"[\\/]", name)[-1]
    name = re.sub(
        r"(\.(sorted|markdup|dedup|out|Aligned|sortedByCoord|bam|sam|cram|counts?|txt|tsv|gz|CEL|cel))+$", "", name
    )
    name = re.sub(r"[^A-Za-z0-9]+", ".", name).strip(".")
    return re.sub(r"^X(?=\d)", "", name).casefold()


@dataclass(frozen=True, slots=True)
class NameMatch:
    """How sheet rows (counted from 0) and names in the expression table go together; rows without a name there."""

    column: str
    rows: tuple[int, ...]
    names: tuple[str, ...]
    only_in_sheet: tuple[int, ...]
    exact: bool


def match_names(sheet: SampleSheet, names: list[str], column: str | None) -> NameMatch | None:
    """The sheet column whose values best match `names`; None when none does.

    Exact matches come first; only when there is none are names compared without what programs add to them.
    """
    columns = [column] if column is not None else sheet.frame.columns
    for exact in (True, False):
        key = str if exact else normalize_name
        known: dict[str, str] = {}
        clashes: set[str] = set()
        for name in names:
            if key(name) in known:
                clashes.add(key(name))
            known[key(name)] = name
        best: NameMatch | None = None
        for candidate in columns:
            values = sheet.frame[candidate].to_list()
            rows = [i for i, v in enumerate(values) if v is not None and key(v) in known and key(v) not in clashes]
            matched = tuple(known[key(values[i])] for i in rows)
            # A column that gives several rows one name (subject, group) does not name samples.
            quality = len(set(matched)) if len(set(matched)) * 2 > len(matched) else 0
            if quality and (best is None or quality > len(set(best.names))):
                rest = tuple(sorted(set(range(len(values))) - set(rows)))
                best = NameMatch(candidate, tuple(rows), matched, rest, exact)
        if best is not None:
            return best
    return None


def check_unique_samples(sheet: SampleSheet, match: NameMatch) -> None:
    """Raise when a sample has more than one row."""
    seen: dict[str, int] = {}
    problems = []
    for row, name in zip(match.rows, match.names, strict=True):
        if name in seen:
            problems.append(
                Problem(
                    "duplicate-sample",
                    f"sample {name} stands in the sheet more than once",
                    found=f"rows {seen[name] + 1} and {row + 1}",
                    expected="one row a sample",
                    location=sheet.locate(row),
                )
            )
        seen.setdefault(name, row)
    if problems:
        raise TrialrunError(problems)

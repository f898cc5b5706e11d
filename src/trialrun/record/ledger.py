"""The seal of a record directory: a chain of hashes over its lines that tells what was changed, removed or inserted.

`ledger.csv` has one row a line of the record, headers included, in the order in which they were sealed: `sequence` from
1, `file`, `entry`, `content` (SHA-256 of file name and line) and `chain` (SHA-256 of the chain before and the content).
Whoever can write the directory can seal it anew: keep the last chain, `ledger_head`, in another place and hand it to
`verify_ledger`.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trialrun.record.files import read_text
from trialrun.record.marks import LINE, Marks
from trialrun.record.tables import TABLES
from trialrun.vocab.problems import Location, Problem, TrialrunError, has_errors

LEDGER = "ledger.csv"
HEADER = "(header)"
_COLUMNS = ["sequence", "file", "entry", "content", "chain"]
_START = "0" * 64


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the record: its file, number, entry (empty where it has none) and the hash of its content."""

    file: str
    number: int
    entry: str
    content: str


@dataclass(frozen=True, slots=True)
class _Row:
    sequence: int
    file: str
    entry: str
    content: str
    chain: str


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def seal(directory: Path | str) -> str:
    """Seal every line of the record that is not sealed yet; returns the head of the chain.

    Lines sealed before must stand as they were: otherwise nothing is written and the TrialrunError says what changed.
    """
    folder = Path(directory)
    rows = _read_ledger(folder) if (folder / LEDGER).exists() else []
    problems = [problem for problem in verify_ledger(folder) if problem.code != "not-sealed"] if rows else []
    if has_errors(problems):
        raise TrialrunError(problems)
    sealed = _counted((row.file, row.entry, row.content) for row in rows)
    new = []
    for line in _lines(folder):
        key = (line.file, line.entry, line.content)
        if sealed.get(key, 0):
            sealed[key] -= 1
        else:
            new.append(line)
    return _extend(folder, rows, new)


def ledger_head(directory: Path | str) -> str:
    """The last chain of the ledger: it stands for every line sealed so far."""
    rows = _read_ledger(Path(directory))
    return rows[-1].chain if rows else _START


def verify_ledger(directory: Path | str, head: str | None = None) -> list[Problem]:
    """What differs between a record and its ledger: lines changed, removed or inserted, and a ledger that was altered.

    Lines below all sealed ones are `not-sealed`, a warning. `head` is a chain noted elsewhere; the ledger must hold it.
    """
    folder = Path(directory)
    rows = _read_ledger(folder)
    lines = list(_lines(folder))
    problems = _check_chain(rows, str(folder / LEDGER))
    if head is not None and head not in {row.chain for row in rows} | {_START}:
        right, where = "a ledger that holds this chain", Location(str(folder / LEDGER))
        problems.append(Problem("ledger-altered", "the chain noted elsewhere is not in the ledger", head, right, where))
    files = dict.fromkeys([row.file for row in rows] + [line.file for line in lines])
    for file in files:
        problems += _compare(folder / file, [row for row in rows if row.file == file],
                             [line for line in lines if line.file == file])  # fmt: skip
    return problems


def check_sealed(folder: Path, files: Mapping[str, str], marks: Marks) -> list[Problem]:
    """Verify the seal where there is one; lines that are not as they were sealed are set aside."""
    if not (folder / LEDGER).exists():
        return []
    problems = verify_ledger(folder)
    for table, file in files.items():
        of_file = [item for item in problems if item.location.file == file and item.severity == "error"]
        lines = [
            item.location.line for item in of_file if item.location.line is not None and item.code != "line-removed"
        ]
        marks.set_aside(table, pl.DataFrame({LINE: lines}, schema={LINE: pl.Int64}), "not as it was sealed")
    return problems


def extend_ledger(directory: Path, file: str, first: int) -> None:
    """Seal the lines of a file from number `first` on, which were just added; nothing where there is no ledger."""
    if (directory / LEDGER).exists():
        new = [line for line in _lines(directory) if line.file == file and line.number >= first]
        _extend(directory, _read_ledger(directory), new)


def _compare(path: Path, rows: list[_Row], lines: list[_Line]) -> list[Problem]:
    """Sealed rows beside the lines of one file, paired by entry and its count."""
    problems: list[Problem] = []
    file = str(path)
    by_key = dict(zip(_keys(line.entry for line in lines), lines, strict=True))
    sealed = dict(zip(_keys(row.entry for row in rows), rows, strict=True))
    last_sealed = max((line.number for key, line in by_key.items() if key in sealed), default=0)
    reached = 0
    for key, row in sealed.items():
        line = by_key.get(key)
        if line is None:
            told = f"a sealed line was removed: entry {row.entry or 'without identifier'}"
            where = Location(file, None, path=f"ledger sequence {row.sequence}")
            problems.append(Problem("line-removed", told, None, "the line as it was sealed", where))
            continue
        if line.content != row.content:
            told = f"a line was changed after it was sealed: entry {row.entry or 'without identifier'}"
            right = f"the line as it was sealed (ledger sequence {row.sequence})"
            problems.append(Problem("line-changed", told, line.content[:16], right, Location(file, line.number)))
        if line.number < reached:
            told = f"a sealed line was moved: entry {row.entry or 'without identifier'}"
            problems.append(Problem("line-moved", told, None, "the order in which lines were sealed",
                                    Location(file, line.number), "warning"))  # fmt: skip
        reached = max(reached, line.number)
    for key, line in by_key.items():
        if key in sealed:
            continue
        name = line.entry or "without identifier"
        where = Location(file, line.number)
        if line.number > last_sealed:
            told, right = f"a line is not sealed: entry {name}", "trialrun.record.seal, once it is checked"
            problems.append(Problem("not-sealed", told, None, right, where, "warning"))
        else:
            told = f"a line was inserted among sealed ones: entry {name}"
            problems.append(Problem("line-inserted", told, None, "new lines at the end of the file", where))
    return problems


def _check_chain(rows: list[_Row], file: str) -> list[Problem]:
    problems = []
    before = _START
    for at, row in enumerate(rows, 1):
        where = Location(file, at + 1)
        if row.sequence != at:
            told, right = "the ledger lacks a row or has one too many", f"sequence {at}"
            problems.append(Problem("ledger-altered", told, f"sequence {row.sequence}", right, where))
            return problems
        if _hash(before, row.content) != row.chain:
            told, right = "the chain of the ledger is broken", "a row as it was written"
            problems.append(Problem("ledger-altered", told, f"sequence {row.sequence}", right, where))
        before = row.chain
    return problems


def _counted(keys: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], int]:
    counts: dict[tuple[str, str, str], int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return counts


def _keys(entries: Iterable[str]) -> Iterator[tuple[str, int]]:
    seen: dict[str, int] = {}
    for entry in entries:
        seen[entry] = seen.get(entry, 0) + 1
        yield entry, seen[entry]


def _extend(folder: Path, rows: list[_Row], new: list[_Line]) -> str:
    chain = rows[-1].chain if rows else _START
    path = folder / LEDGER
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(_COLUMNS)
        for number, line in enumerate(new, len(rows) + 1):
            chain = _hash(chain, line.content)
            writer.writerow([number, line.file, line.entry, line.content, chain])
        file.flush()
        os.fsync(file.fileno())
    return chain


def _read_ledger(folder: Path) -> list[_Row]:
    path = folder / LEDGER
    where = Location(str(path))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *found = list(csv.reader(file, strict=True)) or [[]]
    except OSError:
        raise TrialrunError(Problem("no-ledger", "the record is not sealed", None, LEDGER, where)) from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise TrialrunError(Problem("ledger-altered", "the ledger cannot be read", str(error), None, where)) from None
    if header != _COLUMNS:
        right = ", ".join(_COLUMNS)
        raise TrialrunError(Problem("ledger-altered", "the header of the ledger", ", ".join(header), right, where))
    rows = []
    for at, cells in enumerate(found, 2):
        if len(cells) != len(_COLUMNS) or not cells[0].isdecimal():
            here = Location(str(path), at)
            raise TrialrunError(Problem("ledger-altered", "no row of a ledger", repr(cells)[:80], None, here))
        rows.append(_Row(int(cells[0]), *cells[1:]))
    return rows


def _lines(folder: Path) -> Iterator[_Line]:
    """Every line of every table, in the order of the tables; lines that hold nothing are none."""
    for name in TABLES:
        text, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
        if text.exists():
            yield from _text_lines(text)
        elif parquet.exists():
            yield from _parquet_lines(parquet)


def _text_lines(path: Path) -> Iterator[_Line]:
    at_entry: int | None = None
    delimiter = ","
    for number, line in enumerate(read_text(path).lines, 1):
        if not line.strip():
            continue
        entry = ""
        if at_entry is None:
            delimiter = max(",;\t|", key=line.count)
            header = [cell.strip().strip('"') for cell in line.split(delimiter)]
            at_entry = header.index("entry") if "entry" in header else -1
            entry = HEADER
        elif at_entry == 0:
            entry = line.split(delimiter, 1)[0].strip().strip('"')
        elif at_entry > 0:
            cells = line.split(delimiter)
            entry = cells[at_entry].strip().strip('"') if len(cells) > at_entry else ""
        yield _Line(path.name, number, entry, _hash(path.name, line))


def _parquet_lines(path: Path) -> Iterator[_Line]:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        where = Location(str(path))
        raise TrialrunError(Problem("unreadable-table", "not a Parquet file", str(error)[:80], None, where)) from None
    yield _Line(path.name, 0, HEADER, _hash(path.name, ",".join(frame.columns)))
    cells = pl.concat_str(pl.all().cast(pl.String).fill_null(""), separator="\x1f")
    entry = pl.col("entry").cast(pl.String).fill_null("") if "entry" in frame.columns else pl.lit("")
    for number, (name, line) in enumerate(frame.select(entry.alias("e"), cells.alias("c")).iter_rows(), 1):
        yield _Line(path.name, number, name, _hash(path.name, line))

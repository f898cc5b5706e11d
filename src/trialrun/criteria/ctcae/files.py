"""Laboratory tables from files: CSV in whatever encoding and with whatever delimiter, or Parquet; both are said."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl

from trialrun.vocab.problems import Location, Problem, TrialrunError

_DELIMITERS = ",;\t|"
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True)
class LabFile:
    """A table as it stands in a file (all columns text for CSV), how it was read, and what was wrong with lines.

    `lines` is the line of each row in the file (CSV), for messages.
    """

    frame: pl.DataFrame
    read_as: str
    problems: tuple[Problem, ...]


def _decode(raw: bytes, path: Path) -> tuple[str, str, tuple[Problem, ...]]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), "UTF-16", ()
        except UnicodeDecodeError as error:
            raise TrialrunError(
                Problem("bad-encoding", f"cannot read the file: {error.reason}", None, "UTF-8")
            ) from error
    try:
        return raw.decode("utf-8-sig"), "UTF-8", ()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        note = Problem(
            "other-encoding",
            "the file is not UTF-8: read as Windows-1252",
            repr(raw[error.start : error.start + 4]),
            "UTF-8",
            Location(str(path), line),
            "warning",
        )
        try:
            return raw.decode("cp1252"), "Windows-1252", (note,)
        except UnicodeDecodeError:
            return raw.decode("latin-1"), "Latin-1", (note,)


def _delimiter(first: str) -> str:
    return max(_DELIMITERS, key=lambda mark: (len(next(csv.reader([first], delimiter=mark))), mark == ","))


def read_csv(path: Path) -> LabFile:
    """A CSV file with a header line. A line with too few or too many fields is kept as far as it goes and told."""
    raw = path.read_bytes()
    if not raw.strip():
        raise TrialrunError(
            Problem("empty-file", "the file is empty", None, "a header line and rows", Location(str(path)))
        )
    if b"\x00" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TrialrunError(
            Problem("not-a-table", "the file is not text", repr(raw[:4]), "CSV or Parquet", Location(str(path)))
        )
    text, encoding, problems = _decode(raw, path)
    found = list(problems)
    delimiter = _delimiter(text.splitlines()[0])
    quick = _read_whole(raw, delimiter) if encoding == "UTF-8" else None
    if quick is not None:
        _check_header(quick.columns, path)
        return LabFile(quick, f"CSV, {encoding}, {_NAMES[delimiter]} separated", tuple(found))
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    try:
        for fields in reader:
            if not header:
                header = [name.strip() for name in fields]
                _check_header(header, path)
                continue
            if not fields:
                continue
            if len(fields) != len(header):
                found.append(
                    Problem(
                        "ragged-line",
                        "the line has another number of fields than the header"
                        + (": is the file cut off?" if len(fields) < len(header) else ""),
                        str(len(fields)),
                        str(len(header)),
                        Location(str(path), reader.line_num),
                    )
                )
                fields = (fields + [""] * len(header))[: len(header)]
            rows.append(fields)
    except csv.Error as error:
        found.append(
            Problem(
                "broken-line",
                f"the file cannot be read beyond this line ({error}): is it cut off?",
                None,
                "closed quotation marks",
                Location(str(path), reader.line_num),
            )
        )
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in header]
    frame = pl.DataFrame({name: pl.Series(cells, dtype=pl.String) for name, cells in zip(header, columns, strict=True)})
    frame = frame.with_columns(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())
    return LabFile(frame, f"CSV, {encoding}, {_NAMES[delimiter]} separated", tuple(found))


def _read_whole(raw: bytes, delimiter: str) -> pl.DataFrame | None:
    """The whole table at once where every line has as many fields as the header and nothing is quoted, else None."""
    content = raw.removeprefix(b"\xef\xbb\xbf")
    if b'"' in content or b"\r" in content.replace(b"\r\n", b"\n"):
        return None
    if not content.endswith(b"\n"):
        content += b"\n"
    letters = np.frombuffer(content, np.uint8)
    marks = np.flatnonzero(letters == ord(delimiter))
    fields = np.diff(np.searchsorted(marks, np.flatnonzero(letters == ord("\n"))), prepend=0)
    if len(fields) < 2 or (fields != fields[0]).any() or fields[0] == 0:
        return None
    names = [name.strip() for name in content[: content.index(b"\n")].decode("utf-8").split(delimiter)]
    if len(set(names)) < len(names):
        return None
    return pl.read_csv(
        content,
        separator=delimiter,
        infer_schema=False,
        has_header=False,
        skip_rows=1,
        new_columns=names,
        quote_char=None,
    )


def _check_header(header: list[str], path: Path) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise TrialrunError(
            Problem(
                "duplicate-column",
                "a column name stands twice in the header",
                ", ".join(twice),
                "names that differ",
                Location(str(path), 1),
            )
        )


def read_labs(path: Path) -> LabFile:
    """A laboratory table from a CSV or a Parquet file; a file that cannot be used is a TrialrunError."""
    if not path.is_file():
        raise TrialrunError(
            Problem("no-such-file", "there is no such file", str(path), "a CSV or Parquet file", Location(str(path)))
        )
    with path.open("rb") as stream:
        start = stream.read(4)
    if start != b"PAR1" and path.suffix.casefold() != ".parquet":
        return read_csv(path)
    try:
        return LabFile(pl.read_parquet(path), "Parquet", ())
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise TrialrunError(
            Problem(
                "bad-parquet",
                f"the Parquet file cannot be read ({reason}): is it cut off?",
                None,
                "a whole file",
                Location(str(path)),
            )
        ) from error

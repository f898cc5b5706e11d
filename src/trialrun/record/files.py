"""Text files as rows of strings: encoding and delimiter recognised and said, every line accounted for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import polars as pl

from trialrun.record.marks import LINE, RAW, Rejected
from trialrun.vocab.problems import Location, Problem, Severity, TrialrunError

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_CONTROL = r"[\x00-\x08\x0e-\x1f]"
_LONGEST = 50  # a quoted text may run over so many lines


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's lines as strings (empty = null), with line number and raw text.

    `usable` is False where the file as a whole could not be read; `delimiter` is what parts its cells.
    """

    rows: pl.DataFrame
    rejected: tuple[Rejected, ...]
    problems: tuple[Problem, ...]
    delimiter: str = ","
    usable: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """A file as lines of text without their ends; `ended` says whether the last line has one."""

    lines: list[str]
    ended: bool
    problems: tuple[Problem, ...]


def read_text(path: Path) -> Text:
    """The lines of a file; whatever its bytes, they become text and how they were read is said."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        said, where = error.strerror or str(error), Location(str(path))
        raise TrialrunError(Problem("unreadable-file", "the file cannot be read", said, "a file", where)) from None
    text, problems = _decode(raw, str(path))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")  # not splitlines, which parts a cell at U+2028 and its like
    ended = lines[-1] == ""
    return Text(lines[:-1] if ended else lines, ended, tuple(problems))


def _decode(raw: bytes, name: str) -> tuple[str, list[Problem]]:
    wide = _wide_encoding(raw)
    if wide is not None:
        try:
            return raw.decode(wide).removeprefix("\ufeff"), [_note("encoding", "read as UTF-16", name)]
        except UnicodeDecodeError:
            cut = Problem("encoding", "the file is cut inside a character", "UTF-16", "the whole file", Location(name))
            return raw.decode(wide, errors="replace").removeprefix("\ufeff"), [cut]
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
        notes = [_note("encoding", "read as UTF-8 with a byte order mark", name)]
    else:
        notes = []
    try:
        return raw.decode("utf-8"), notes
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        found = f"byte {raw[error.start]:#04x}"
    # bytes that are UTF-8 beside bytes that are not: the file is damaged rather than written in another encoding
    damaged = any(ord(sign) > 127 and sign != "\ufffd" for sign in raw.decode("utf-8", errors="replace"))
    severity: Severity = "warning" if damaged or notes else "note"
    try:
        text, encoding = raw.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, encoding, severity = raw.decode("latin-1"), "Latin-1", "warning"
    where = Location(name, line)
    return text, [Problem("encoding", f"not UTF-8; read as {encoding}", found, "a file in UTF-8", where, severity)]


def _wide_encoding(raw: bytes) -> str | None:
    if raw.startswith(b"\xff\xfe"):
        return "utf-16-le"
    if raw.startswith(b"\xfe\xff"):
        return "utf-16-be"
    start = raw[:2000]
    if len(start) >= 4 and start[1::2].count(0) > 0.4 * len(start):
        return "utf-16-le"
    if len(start) >= 4 and start[::2].count(0) > 0.4 * len(start):
        return "utf-16-be"
    return None


def _note(code: str, message: str, name: str, line: int | None = None) -> Problem:
    return Problem(code, message, None, None, Location(name, line), "note")


def read_sheet(path: Path, table: str, columns: Sequence[str] | None, required: Sequence[str]) -> Sheet:
    """Read one delimited file. `columns` None takes any header; otherwise an unknown column is an error.

    Nothing is lost: a line is a row or stands in `rejected` with its text.
    """
    name = str(path)
    text = read_text(path)
    lines, problems = text.lines, list(text.problems)
    filled = [index for index, part in enumerate(lines) if part.strip()]
    if not filled:
        told = Problem("empty-file", "the file is empty", None, "a header line and data lines", Location(name))
        whole = Rejected(table, 1, "", "the file is empty")
        return Sheet(pl.DataFrame(), (whole,), (*problems, told), usable=False)
    head, delimiter = filled[0], None
    if lines[head].lower().startswith("sep=") and len(lines[head].rstrip(",;")) <= 5 and len(filled) > 1:
        delimiter, head = lines[head][4:5] or None, filled[1]
    header_line = lines[head]
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=header_line.count) if any(map(header_line.count, _DELIMITERS)) else ","
    if delimiter != ",":
        problems.append(_note("delimiter", f"read with {_DELIMITERS.get(delimiter, delimiter)} as delimiter", name))
    header, wrong = _read_header(header_line, delimiter, columns, required, name, head + 1)
    problems += wrong
    if wrong:
        why = "the header of the file is not usable"
        rejected = [Rejected(table, at + 1, lines[at], why) for at in filled if at >= head]
        return Sheet(pl.DataFrame(), tuple(rejected), tuple(problems), delimiter, usable=False)
    rows, gone = _read_lines(lines[head + 1 :], head + 2, header, delimiter, text.ended)
    if not rows.height and not gone:
        message = "the file has a header and no lines"
        problems.append(Problem("no-rows", message, None, "data lines", Location(name), "warning"))
    elif not text.ended:
        problems.append(_note("no-last-newline", "the last line has no end: it may be cut", name, len(lines)))
    for line, part, code, why in gone:
        right = "text: no control characters" if code == "not-text" else f"{len(header)} cells"
        problems.append(Problem(code, why, repr(part[:80]), right, Location(name, line)))
    rejected = [Rejected(table, line, part, why) for line, part, _, why in gone]
    return Sheet(rows, tuple(rejected), tuple(problems), delimiter)


def _read_header(
    text: str, delimiter: str, columns: Sequence[str] | None, required: Sequence[str], name: str, line: int
) -> tuple[list[str], list[Problem]]:
    where = Location(name, line)
    if pl.Series([text]).str.contains(_CONTROL)[0]:
        return [], [Problem("not-text", "this is not a text file", repr(text[:20]), "CSV text", where)]
    try:
        header = [part.strip() for part in next(csv.reader([text], delimiter=delimiter))]
    except csv.Error as error:
        return [], [Problem("unreadable-header", "the header cannot be read", str(error), "column names", where)]
    problems = [
        Problem("column-twice", "a column stands twice in the header", repr(column), "each column once", where)
        for column in sorted({column for column in header if column and header.count(column) > 1})
    ]
    if any(not column for column in header):
        found = "column " + ", ".join(str(at + 1) for at, column in enumerate(header) if not column)
        problems.append(Problem("column-unnamed", "a column has no name", found, "a name for each column", where))
    if columns is not None:
        for column in filter(None, header):
            if column not in columns:
                close = get_close_matches(column.lower(), columns, n=1)
                expected = repr(close[0]) if close else "one of " + ", ".join(columns)
                problems.append(Problem("unknown-column", "unknown column", repr(column), expected, where))
    problems += [Problem("unknown-column", "a name that is kept for inner use", repr(column), None, where)
                 for column in header if columns is None and column in (LINE, RAW)]  # fmt: skip
    missing = [column for column in required if column not in header]
    if missing:
        found = ", ".join(header)
        problems.append(Problem("missing-column", "a required column is missing", found, ", ".join(missing), where))
    return header, problems


Gone = tuple[int, str, str, str]  # line, text, code, why


def _read_lines(
    lines: list[str], first: int, header: list[str], delimiter: str, ended: bool
) -> tuple[pl.DataFrame, list[Gone]]:
    """Lines to cells: plain lines as whole columns, those with quotation marks one by one."""
    width = len(header)
    frame = pl.DataFrame({RAW: lines}, schema={RAW: pl.String}).with_row_index(LINE, first)
    frame = frame.with_columns(pl.col(LINE).cast(pl.Int64))
    quoted: list[tuple[int, str, list[str]]] = []
    gone: list[Gone] = []
    covered: set[int] = set()
    if frame[RAW].str.contains('"', literal=True).any():
        quoted, gone, covered = _read_quoted(lines, first, width, delimiter)
    # a line of delimiters alone holds nothing: spreadsheets leave them behind the last row
    rest = frame.filter(pl.col(RAW).str.strip_chars(delimiter + " \t") != "")
    rest = rest.filter(~pl.col(LINE).is_in(sorted(covered))) if covered else rest
    control = pl.col(RAW).str.contains(_CONTROL)
    gone += [(line, part, "not-text", "control characters in the line")
             for line, part in rest.filter(control).select(LINE, RAW).iter_rows()]  # fmt: skip
    rest = rest.filter(~control)
    cells = pl.col(RAW).str.count_matches(delimiter, literal=True) + 1
    last = first + len(lines) - 1
    for line, part, count in rest.filter(cells != width).select(LINE, RAW, cells.alias("n")).iter_rows():
        cut = line == last and count < width and not ended
        why = "the file ends inside this line" if cut else f"{count} cells where the header has {width}"
        gone.append((line, part, "truncated" if cut else "ragged-line", why))
    plain = rest.filter(cells == width)
    parts = plain[RAW].str.split_exact(delimiter, width - 1).struct.rename_fields(header)
    rows = plain.with_columns(parts.struct.unnest()) if plain.height else _no_rows(header)
    if quoted:
        data = {column: [cells_[at] for _, _, cells_ in quoted] for at, column in enumerate(header)}
        more = {LINE: [line for line, _, _ in quoted], RAW: [part for _, part, _ in quoted], **data}
        rows = pl.concat([rows, pl.DataFrame(more, schema=rows.schema)]).sort(LINE)
    trimmed = pl.col(header).str.strip_chars()
    rows = rows.select(pl.when(trimmed != "").then(trimmed), LINE, RAW)
    return rows, sorted(gone)


def _no_rows(header: list[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={RAW: pl.String, LINE: pl.Int64, **dict.fromkeys(header, pl.String)}).select(
        LINE, RAW, *header
    )


def _read_quoted(
    lines: list[str], first: int, width: int, delimiter: str
) -> tuple[list[tuple[int, str, list[str]]], list[Gone], set[int]]:
    """Lines with quotation marks: (line, text, cells) of each, what could not be read, and all lines they cover."""
    read: list[tuple[int, str, list[str]]] = []
    gone: list[Gone] = []
    covered: set[int] = set()
    for at, part in enumerate(lines):
        if '"' not in part or first + at in covered:
            continue
        cells = None
        for count in _lengths(lines, at, width, delimiter):
            joined = "\n".join(lines[at : at + count])
            cells = _split(joined, delimiter)
            if cells is not None:
                break
        covered.update(range(first + at, first + at + (count if cells is not None else 1)))
        if cells is None:
            gone.append((first + at, part, "unclosed-quote", "a quotation mark is not closed or stands inside a cell"))
        elif pl.Series([joined]).str.contains(_CONTROL)[0]:
            gone.append((first + at, joined, "not-text", "control characters in the line"))
        elif len(cells) != width:
            gone.append((first + at, joined, "ragged-line", f"{len(cells)} cells where the header has {width}"))
        else:
            read.append((first + at, joined, cells))
    return read, gone, covered


def _lengths(lines: list[str], at: int, width: int, delimiter: str) -> Iterator[int]:
    """Over how many lines a quoted text that starts here may run: not over a line that is a whole row by itself."""
    yield 1
    if lines[at].count('"') % 2 == 0:
        return
    for count in range(2, _LONGEST + 1):
        if at + count > len(lines):
            return
        part = lines[at + count - 1]
        if part.count('"') % 2:
            yield count
            return
        if part.count(delimiter) == width - 1:
            return


def _split(text: str, delimiter: str) -> list[str] | None:
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None

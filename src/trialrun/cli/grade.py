"""`trialrun grade`: CTCAE grades of a table of laboratory results."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Format, print_json, print_rows

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 20  # findings written out in text output; the count of the rest is said


class End(StrEnum):
    """Which end of the range of grades counts where clinical facts decide."""

    best = "best"
    worst = "worst"


def grade(
    labs: Annotated[Path, typer.Argument(help="Laboratory results, one row a result: CSV or Parquet.")],
    criteria: Annotated[str, typer.Option(help="ctcae-3.0, ctcae-4.03, ctcae-5.0 or ctcae-6.0.")] = "ctcae-5.0",
    limits: Annotated[
        Path | None, typer.Option(help="CSV with test, unit, low, high: limits for results without own ones.")
    ] = None,
    assume: Annotated[
        End | None, typer.Option(help="Where clinical facts decide: grade as if they were the best or the worst.")
    ] = None,
    uncorrected_calcium: Annotated[
        bool, typer.Option("--uncorrected-calcium", help="Grade total calcium as it is where albumin is missing.")
    ] = False,
    adam: Annotated[bool, typer.Option("--adam", help="Add ATOXGRL, ATOXGRH, ATOXGR, ATOXDSCL and ATOXDSCH.")] = False,
    form: Annotated[Format, typer.Option("--format", help="text: summary; csv, json: every row.")] = Format.text,
    out: Annotated[Path | None, typer.Option(help="Write every row there as well (.csv or .parquet).")] = None,
) -> None:
    """Grade laboratory results by CTCAE, low and high, every unit in its own printed cut points.

    LABS is a long table: subject, date, test, value, unit, low, high (reference limits), baseline or a baseline flag;
    SDTM LB names (USUBJID, LBDTC, LBTESTCD, LBSTRESN, LBSTRESU, LBSTNRLO, LBSTNRHI, LBBLFL) and ADaM names do as well.
    Only test and value are needed. Encoding and delimiter are recognised and said.

    Every row comes back with grade (0 to 4; empty = not gradable), direction, term, rule, reason, grade_low_end and
    grade_high_end (what the grade can be when a limit, the baseline or a clinical fact is not known) and note.
    Missing is never grade 0. Total calcium is corrected with the albumin of the same subject and day.

    Example: trialrun grade examples/labs/small.csv --criteria ctcae-5.0

    Exit code 1 when rows have findings (unknown test or unit, impossible value, reversed limits, repeated rows, ...).
    """
    from trialrun.criteria.ctcae.files import read_labs
    from trialrun.criteria.ctcae.labs import grade_table
    from trialrun.criteria.ctcae.report import add_adam, reason_rows, summary_rows

    file = read_labs(labs)
    own = read_labs(limits) if limits is not None else None
    graded = grade_table(
        file.frame,
        criteria,
        assume=None if assume is None else assume.value,
        limits=None if own is None else own.frame,
        uncorrected_calcium=uncorrected_calcium,
    )
    frame = add_adam(graded.frame) if adam else graded.frame
    if out is not None:
        _write(frame, out)
    for problem in file.problems:
        print(f"{problem.severity}: {problem}", file=sys.stderr)
    if form is Format.json:
        print_json(
            {
                "criteria": f"CTCAE {graded.version}",
                "read_as": file.read_as,
                "problems": [problem.as_dict() for problem in file.problems],
                "findings": graded.findings.to_dicts(),
                "rows": frame.with_columns(_plain(frame)).to_dicts(),
            }
        )
    elif form is Format.csv:
        sys.stdout.write(frame.write_csv())
        _tell(graded.findings, sys.stderr.write)
    else:
        print(f"{labs.name}: {file.read_as}, {frame.height} rows, graded by CTCAE {graded.version}")
        columns = ("test", "rows", "0", "1", "2", "3", "4", "low 3-4", "high 3-4", "not gradable")
        print_rows(summary_rows(graded), columns, Format.text, "Grades by test")
        reasons = reason_rows(graded)
        if reasons:
            print_rows(reasons, ("rows", "test", "reason"), Format.text, "Why rows are not gradable")
        _tell(graded.findings, sys.stdout.write)
        if out is not None:
            print(f"every row: {out}")
    if graded.findings.height or file.problems:
        raise typer.Exit(1)


def _plain(frame: pl.DataFrame) -> list[pl.Expr]:
    """NaN is not JSON: it is missing."""
    import polars as pl

    return [pl.col(name).fill_nan(None) for name, kind in frame.schema.items() if kind.is_float()]


def _write(frame: pl.DataFrame, out: Path) -> None:
    from trialrun.vocab.problems import Location, Problem, TrialrunError

    if out.suffix.casefold() not in (".csv", ".parquet"):
        raise TrialrunError(
            Problem(
                "unknown-format",
                "cannot tell the format of the output",
                out.name,
                ".csv or .parquet",
                Location(str(out)),
            )
        )
    try:
        if out.suffix.casefold() == ".parquet":
            frame.write_parquet(out)
        else:
            frame.write_csv(out)
    except OSError as error:
        raise TrialrunError(
            Problem("cannot-write", f"cannot write the file: {error.strerror or error}", str(out))
        ) from error


def _tell(findings: pl.DataFrame, write: object) -> None:
    """The first findings one by one, grouped by what they say."""
    import polars as pl

    assert callable(write)
    if not findings.height:
        return
    grouped = (
        findings.group_by("code", "message", maintain_order=True)
        .agg(pl.col("row").first(), pl.col("found").first(), pl.len().alias("rows"))
        .sort("row", maintain_order=True)
    )
    write(f"findings: {findings.height}\n")
    for row in grouped.head(_SHOWN).iter_rows(named=True):
        found = "" if row["found"] is None else f"; found {row['found']}"
        more = f" (and {row['rows'] - 1} more rows)" if row["rows"] > 1 else ""
        write(f"  row {row['row']}: {row['message']}{found}{more}\n")
    if grouped.height > _SHOWN:
        write(f"  and {grouped.height - _SHOWN} other kinds of findings\n")

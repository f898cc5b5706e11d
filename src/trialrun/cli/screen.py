"""`trialrun screen`: who is eligible?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trialrun.cli.output import Cell, Format, print_json, print_rows


def screen(
    protocol: Annotated[Path, typer.Argument(help="Protocol file or study folder.")],
    subjects: Annotated[Path, typer.Argument(help="CSV, one row a candidate; units in the header: hemoglobin [g/dL].")],
    version: Annotated[str | None, typer.Option(help="Protocol version; else the last.")] = None,
    why: Annotated[bool, typer.Option("--why", help="Explain each criterion of each candidate.")] = False,
    format: Annotated[Format, typer.Option(help="text for people, json or csv for programs.")] = Format.text,  # noqa: A002
) -> None:
    """Say for each candidate: eligible, not eligible, or undetermined and what is missing.

    Columns: `subject`; `age [a]`, or `birth_date` and `date`; `consented`; each test with its unit in brackets
    (`neutrophils [x10^9/L]`, `creatinine [mg/dL]`), limits as `alt ULN [U/L]`; yes or no for findings such as
    `b_cell_cll`.
    An empty cell is unknown, never normal.

    Exit code 1 when a candidate is undetermined or a row has findings, else 0.

    Example: `trialrun screen studies/lenalidomide-cll examples/screening/candidates.csv`
    """
    from trialrun.engine.screen import screen as screen_all
    from trialrun.protocol import read_protocol
    from trialrun.record.screening import read_screening

    chosen = read_protocol(protocol).version(version)
    screening = read_screening(subjects)
    found = screen_all(chosen, screening)
    names = [criterion.name for criterion in chosen.eligibility]
    problems = [problem for problem in screening.problems if problem.severity != "note"]
    if format is Format.json:
        print_json(
            {
                "version": chosen.name,
                "version_hash": chosen.hash,
                "candidates": [
                    {
                        "subject": item.subject,
                        "verdict": item.verdict,
                        "criteria": dict(item.criteria),
                        "failed": list(item.failed),
                        "missing": list(item.missing),
                        "why": {name: item.explanations[name].as_dict() for name in names} if why else None,
                    }
                    for item in found
                ],
                "findings": [problem.as_dict() for problem in problems],
            }
        )
    else:
        rows: list[dict[str, Cell]] = [
            {
                "subject": item.subject,
                "verdict": item.verdict,
                "not met": ", ".join(item.failed) or None,
                "missing": ", ".join(item.missing) or None,
                **(dict(item.criteria) if format is Format.csv else {}),
            }
            for item in found
        ]
        columns = ["subject", "verdict", "not met", "missing", *(names if format is Format.csv else [])]
        print_rows(rows, columns, format, f"Eligibility, {chosen.name} (sha256 {chosen.hash[:16]})")
        if why and format is Format.text:
            for item in found:
                typer.echo(f"\n{item.subject}: {item.verdict}")
                for name in names:
                    typer.echo(item.explanations[name].as_text(f"  {name}: "))
        for problem in problems:
            typer.echo(f"{problem.severity}: {problem}", err=True)
    if problems or any(item.verdict == "undetermined" for item in found):
        raise typer.Exit(1)

"""`trialrun decide`: what dose today, and why."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from trialrun.cli.output import Cell, Format, json_text, make_folder, print_json, print_rows, write_text

_COLUMNS = (
    *("subject", "date", "action", "dose", "unit", "cycle", "cycle_day", "version", "rule"),
    *("reason", "waits_for"),
)


def decide(
    protocol: Annotated[Path, typer.Argument(help="Protocol file or study folder.")],
    record: Annotated[
        Path, typer.Argument(help="Record directory: CSV or Parquet files, see docs/reference/record.md.")
    ],
    on: Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="The day asked about.")],
    subject: Annotated[list[str] | None, typer.Option(help="Only this subject; may be given again.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Write one JSON certificate a subject to this folder.")
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Print the whole certificate of each subject.")] = False,
    format: Annotated[Format, typer.Option(help="text for people, json or csv for programs.")] = Format.text,  # noqa: A002
) -> None:
    """Say for each subject what the protocol decides on a day: dose, hold, reduce, step up, stop, or undetermined.

    Only what was known on that day counts. The version is the latest that the site has activated and the subject has
    consented to. Every decision carries a certificate: rule, section, sentence, the data used with their dates, the
    version and its content hash, and what was missing. The rules for the study as a whole (pausing enrolment) are
    answered for the same day.

    Exit code 1 when a decision is undetermined or the record has findings, else 0.

    Example: `trialrun decide studies/lenalidomide-cll examples/records/lenalidomide-cll --on 2007-09-17 --why`
    """
    from trialrun.engine.certificate import format_certificate
    from trialrun.engine.study import check_study
    from trialrun.engine.subjects import choice_names
    from trialrun.engine.today import decide_on
    from trialrun.protocol import read_protocol
    from trialrun.record import read_record
    from trialrun.vocab.problems import Problem, TrialrunError

    day = on.date()
    if day > date.today():
        message, right = "--on: the day has not come, so nobody knows what will be known on it", "today or a day before"
        raise TrialrunError(Problem("day-to-come", message, str(day), right))
    study = read_protocol(protocol)
    entries = read_record(record, extra_tests=choice_names(study))
    known = entries.as_known_on(day)
    subjects = subject or known.tables["subjects"]["subject"].sort().to_list()
    certificates = [decide_on(study, known, name, day) for name in subjects]
    findings = [problem for problem in entries.problems if problem.severity != "note"]
    states = check_study(study, known, day)
    if certificate is not None:
        make_folder(certificate)
        for item in certificates:
            # an identifier may hold signs that a file name may not
            name = quote(f"{item.subject}-{day}.json", safe=" ")
            write_text(certificate / name, json_text(item.as_dict()))
    if format is Format.json:
        print_json(
            {
                "decisions": [item.as_dict() for item in certificates],
                "study": [item.as_dict() for item in states],
                "findings": [item.as_dict() for item in findings],
            }
        )
    elif format is Format.csv:
        plain: list[dict[str, Cell]] = [
            {
                "subject": item.subject,
                "date": item.on,
                "action": item.action,
                "dose": item.dose,
                "unit": item.unit,
                "cycle": item.cycle,
                "cycle_day": item.cycle_day,
                "version": item.version,
                "rule": item.rule,
                "reason": item.reason,
                "waits_for": "; ".join(item.waits_for) or None,
            }
            for item in certificates
        ]
        print_rows(plain, _COLUMNS, format)
    else:
        rows: list[dict[str, Cell]] = [
            {
                "subject": item.subject,
                "decision": item.action,
                "dose": None if item.dose is None else f"{item.dose:g} {item.unit}" if item.dose else "none",
                "cycle.day": None if item.cycle is None else f"{item.cycle}.{item.cycle_day}",
                "version": item.version,
                "why": item.reason if item.rule is None else f"{item.rule.replace('.', ' ')}: {item.reason}",
                "waits for": "; ".join(item.waits_for) or None,
            }
            for item in certificates
        ]
        print_rows(rows, list(rows[0]) if rows else ["subject"], format, f"{study.study.id} on {day}")
        for state in states:
            typer.echo(f"study: {state}")
        if why:
            for item in certificates:
                typer.echo("\n" + format_certificate(item))
    if format is not Format.json:
        for problem in findings:
            typer.echo(f"{problem.severity}: {problem}", err=True)
    if findings or any(item.action == "undetermined" for item in certificates):
        raise typer.Exit(1)

"""`trialrun replay`: which past decisions would another version have changed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trialrun.cli.output import Cell, Format, print_rows

_COLUMNS = (
    *("subject", "date", "recorded", "version", "action", "dose"),
    *("other_version", "other_action", "other_dose", "unit", "changed", "reason"),
)


def replay(
    protocol: Annotated[Path, typer.Argument(help="Protocol file or study folder.")],
    record: Annotated[Path, typer.Argument(help="Record directory.")],
    under: Annotated[str, typer.Option("--under", help="The version to decide by.")],
    all_decisions: Annotated[bool, typer.Option("--all", help="List unchanged decisions too.")] = False,
    format: Annotated[Format, typer.Option(help="text for people, json or csv for programs.")] = Format.text,  # noqa: A002
) -> None:
    """List the past decisions of a record that another version of the protocol would have changed.

    Each past decision is taken again under the version named, from the data as known on its day and the doses really
    given until then. A subject without recorded decisions is decided at its visits by the version in force.

    Exit code 1 when a decision would have changed or the record has findings, else 0.

    Example: `trialrun replay studies/lenalidomide-cll examples/records/lenalidomide-cll --under amendment-1`
    """
    from trialrun.engine.replay import replay as replay_record
    from trialrun.engine.subjects import choice_names
    from trialrun.protocol import read_protocol
    from trialrun.record import read_record

    def shown(dose: float | None, unit: str | None) -> str:
        return "none" if not dose else f"{dose:g} {unit or 'mg'}"

    study = read_protocol(protocol)
    study.version(under)
    entries = read_record(record, extra_tests=choice_names(study))
    found = list(replay_record(study, entries, under))
    findings = [problem for problem in entries.problems if problem.severity != "note"]
    changed = [item for item in found if item.changed]
    plain: list[dict[str, Cell]] = [
        {
            "subject": item.subject,
            "date": item.on,
            "recorded": item.recorded,
            "version": item.version,
            "action": item.action,
            "dose": item.dose,
            "other_version": under,
            "other_action": item.other.action,
            "other_dose": item.other.dose,
            "unit": item.other.unit,
            "changed": item.changed,
            "reason": item.other.reason,
        }
        for item in (found if all_decisions else changed)
    ]
    rows: list[dict[str, Cell]] = [
        {
            "subject": item.subject,
            "date": item.on,
            "made by": item.version,
            "decision": item.action,
            "dose": shown(item.dose, item.other.unit),
            "from record": "yes" if item.recorded else "no",
            f"under {under}": item.other.action,
            "dose there": shown(item.other.dose, item.other.unit),
            "changed": "yes" if item.changed else "no",
            "why": item.other.reason,
        }
        for item in (found if all_decisions else changed)
    ]
    columns = [
        "subject",
        "date",
        "made by",
        "decision",
        "dose",
        "from record",
        f"under {under}",
        "dose there",
        "changed",
        "why",
    ]
    if format is Format.text:
        print_rows(rows, columns, format, f"{len(changed)} of {len(found)} decisions would change under {under}")
    else:
        print_rows(plain, _COLUMNS, format)
    for problem in findings:
        typer.echo(f"{problem.severity}: {problem}", err=True)
    if changed or findings:
        raise typer.Exit(1)

"""`trialrun diff`: an amendment in words, rule by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Format

if TYPE_CHECKING:
    from trialrun.protocol.diff import Difference


def diff(
    protocol: Annotated[str, typer.Argument(help="The protocol file, or the folder that holds `protocol.yaml`.")],
    before: Annotated[str, typer.Argument(metavar="V1", help="The version to start from.")],
    after: Annotated[str, typer.Argument(metavar="V2", help="The version to compare it with.")],
    form: Annotated[Format, typer.Option("--format", help="text, json or csv.")] = Format.text,
) -> None:
    """Say what differs between two versions, rule by rule: what, from, to, why and for whom.

    The contents are compared, not the announcements: a stated change that changes nothing is said to be one (exit
    code 1), and any two versions can be compared in either direction.

    Example: `trialrun diff studies/lenalidomide-cll original amendment-1`
    """
    from trialrun.cli.output import print_json, print_rows
    from trialrun.protocol.diff import compare_versions
    from trialrun.protocol.read import read_protocol

    difference = compare_versions(read_protocol(protocol), before, after)
    if form is Format.json:
        print_json(difference.as_dict())
    elif form is Format.csv:
        columns = ("path", "kind", "field", "from", "to", "because", "line")
        rows = [
            {
                "path": change.path,
                "kind": change.kind,
                "field": detail.field,
                "from": detail.before,
                "to": detail.after,
                "because": change.because,
                "line": change.line,
            }
            for change in difference.changes
            for detail in change.details
        ]
        print_rows(rows, columns, form)
    else:
        _print_text(difference)
    if difference.idle:
        raise typer.Exit(1)


def _print_text(difference: Difference) -> None:
    from itertools import groupby

    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)

    def say(indent: int, *parts: str | tuple[str, str]) -> None:
        console.print(Padding(Text.assemble(*parts), (0, 0, 0, indent), expand=False))

    say(0, (f"{difference.before.name} to {difference.after.name}", "bold"))
    if difference.before is difference.after:
        say(0, "The same version: nothing differs.")
        return
    for version in difference.amendments:
        if version.amendment is not None:
            say(0, f"{version.name}, {version.date.isoformat()}: ", " ".join(version.amendment.reason.split()))
            say(0, ("For whom: ", "dim"), " ".join(version.amendment.applies_to.split()))
    if not difference.amendments:
        say(0, "No amendment leads from the first to the second, so no reasons are stated.")
    for heading, group in groupby(difference.changes, key=lambda change: change.heading):
        console.print()
        say(0, (heading.upper(), "bold"))
        told = None
        for change in group:
            line = "" if change.line is None else f"  (line {change.line})"
            say(2, (change.name, "bold"), f", {change.kind}", (line, "dim"))
            for detail in change.details:
                before, after = detail.before, detail.after
                if change.kind in ("added", "removed"):
                    say(4, (f"{detail.field}: ", "dim"), (after or before or "", "green" if after else "red"))
                else:
                    parts = (before or "nothing", "red"), " → ", (after or "nothing", "green")
                    say(4, (f"{detail.field}: ", "dim"), *parts)
            if change.because is not None and change.because != told:
                say(4, ("because: ", "dim"), change.because)
            told = change.because
    if not difference.changes:
        say(0, "Nothing differs.")
    for problem in difference.idle:
        console.print()
        say(0, (f"{problem.severity}: ", "yellow"), str(problem))

"""`trialrun show`: the protocol as prose and tables that a clinician can review."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ShowFormat(StrEnum):
    """How a protocol is shown."""

    text = "text"
    html = "html"
    json = "json"


def show(
    protocol: Annotated[str, typer.Argument(help="The protocol file, or the folder that holds `protocol.yaml`.")],
    version: Annotated[str | None, typer.Option(help="Which version; the latest when not given.")] = None,
    form: Annotated[ShowFormat, typer.Option("--format", help="text, html (one page) or json.")] = ShowFormat.text,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
) -> None:
    """Show one version of a protocol as prose and tables for review.

    Every rule with its section, its sentence, the expression that decides, its source, and whether it is published or
    only **assumed**; the dose tables; the schedule of activities; the doses planned day by day.

    Example: `trialrun show studies/lenalidomide-cll --version original --format html --out original.html`
    """
    from io import StringIO

    from trialrun.cli.output import print_json, write_text
    from trialrun.plan.calendar import plan_version
    from trialrun.plan.planned import planned_doses_section
    from trialrun.protocol.prose import describe_version
    from trialrun.protocol.read import read_protocol
    from trialrun.protocol.render_html import render_html
    from trialrun.protocol.render_text import print_prose

    study = read_protocol(protocol)
    chosen = study.version(version)
    prose = describe_version(study, chosen, [planned_doses_section(plan_version(chosen))])
    if form is ShowFormat.text and out is None:
        print_prose(prose)
        return
    text = StringIO()
    if form is ShowFormat.html:
        text.write(render_html(prose))
    elif form is ShowFormat.json:
        print_json(prose.as_dict(), text)
    else:
        print_prose(prose, text, width=120)
    if out is None:
        print(text.getvalue(), end="")
    else:
        write_text(out, text.getvalue())
        typer.echo(f"wrote {out}", err=True)

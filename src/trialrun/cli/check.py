"""`trialrun check`: everything that can be known to be wrong before anyone is treated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trialrun.protocol.check import Checked
    from trialrun.protocol.version import Protocol
    from trialrun.vocab.problems import Problem

_COLUMNS = ("severity", "code", "message", "found", "expected", "file", "line", "column", "path")


def check(
    protocol: Annotated[
        str | None, typer.Argument(help="The protocol file, or the folder that holds `protocol.yaml`.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="text, json or csv.")] = Format.text,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of protocol files, for editors, and stop.")
    ] = False,
) -> None:
    """Check a protocol and run its cases.

    Finds unknown words and units, doses off the level list, table rows that can never fire, gaps and contradictions,
    dose levels that nothing leads to, rules that need what no visit measures, visits that could never decide,
    implausible thresholds, statements without a source, changes that change nothing, cases that fail or are missing
    (`cases.yaml` beside the protocol); a population beside the protocol that cannot be read, or that has no model of its
    drug. Everything is told in one go, each with file and line.

    Exit code 0: fine (notes do not count); 1: errors or warnings; 2: the file cannot be read as a protocol.

    Example: `trialrun check studies/lenalidomide-cll`
    """
    from trialrun.cli.output import print_json, print_rows
    from trialrun.plan.calendar import plan_version
    from trialrun.plan.planned import check_planned
    from trialrun.protocol.check import check_protocol
    from trialrun.protocol.read import read_protocol
    from trialrun.protocol.schema import protocol_schema
    from trialrun.simulate.domain import check_people
    from trialrun.vocab.problems import TrialrunError

    if schema:
        print_json(protocol_schema())
        return
    if protocol is None:
        raise typer.BadParameter("which protocol? give its file or folder", param_hint="PROTOCOL")
    try:
        study = read_protocol(protocol)
    except TrialrunError as error:
        if form is Format.text:
            raise
        print_rows([problem.as_dict() for problem in error.problems], _COLUMNS, form)
        raise typer.Exit(2) from None
    checked = check_protocol(study)
    problems = list(checked.problems)
    for version in study.versions.values():
        problems += check_planned(plan_version(version))
    problems += check_people(study)
    if form is Format.text:
        _print_text(study, checked, problems)
    else:
        print_rows([problem.as_dict() for problem in problems], _COLUMNS, form)
    if any(problem.severity != "note" for problem in problems):
        raise typer.Exit(1)


def _print_text(study: Protocol, checked: Checked, problems: Sequence[Problem]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    style = {"error": "bold red", "warning": "yellow", "note": "dim"}
    file = None
    for problem in problems:
        where = problem.location
        if where.file != file:
            file = where.file
            console.print(Text(str(file), style="bold"))
        line = Text(f"  {file}:{where.line}: ")
        line.append(problem.severity, style=style[problem.severity])
        line.append(f": {problem.message}" + (f" ({where.path})" if where.path else ""))
        if problem.found is not None:
            line.append(f"\n      found: {problem.found}")
        if problem.expected is not None:
            line.append(f"\n      right: {problem.expected}")
        console.print(line)
    if problems:
        console.print()
    for name, version in study.versions.items():
        rows = sum(len(table.table.rows) for table in version.tables)
        passed = checked.cases[name] - checked.failed[name]
        console.print(
            f"{name}: {len(version.eligibility)} criteria, {rows} rows in {len(version.tables)} tables, "
            f"{len(version.concomitant)} other treatments, {len(version.visits)} visits; "
            f"{passed} of {checked.cases[name]} cases pass"
        )
    count = {level: sum(problem.severity == level for problem in problems) for level in style}
    console.print(", ".join(f"{number} {level}{'' if number == 1 else 's'}" for level, number in count.items()))

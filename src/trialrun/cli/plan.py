"""`trialrun plan`: schedule of activities and planned doses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Cell, Format

if TYPE_CHECKING:
    from trialrun.plan.calendar import Plan


def plan(
    protocol: Annotated[str, typer.Argument(help="The protocol file, or the folder that holds `protocol.yaml`.")],
    version: Annotated[str | None, typer.Option(help="Which version; the latest when not given.")] = None,
    cycles: Annotated[int, typer.Option(min=1, max=100, help="How many cycles to unroll.")] = 4,
    form: Annotated[Format, typer.Option("--format", help="text, json or csv.")] = Format.text,
) -> None:
    """Unroll one version: which visit is due when, with its window, what is done there, and the dose of each day.

    Days are study days: day 1 is the day of the first dose and there is no day 0. The doses are those of a subject
    who comes on the planned days, takes every dose and has nothing held; where a step depends on a finding it is left out and
    a note says so. CSV has one line a visit.

    Example: `trialrun plan studies/lenalidomide-cll --version amendment-1 --cycles 3`
    """
    from trialrun.cli.output import print_json, print_rows
    from trialrun.plan.calendar import plan_version, planned_visits
    from trialrun.plan.planned import plan_as_json
    from trialrun.protocol.read import read_protocol

    unrolled = plan_version(read_protocol(protocol).version(version))
    if form is Format.json:
        print_json(plan_as_json(unrolled, cycles))
    elif form is Format.csv:
        names = tuple(unrolled.version.activities)
        rows: list[dict[str, Cell]] = [
            {
                "visit": visit.visit,
                "cycle": visit.cycle,
                "study_day": visit.study_day,
                "earliest": visit.earliest,
                "latest": visit.latest,
                "decides_dose": visit.decides_dose,
                **{name: int(name in visit.activities) for name in names},
            }
            for visit in planned_visits(unrolled, cycles)
        ]
        print_rows(rows, ("visit", "cycle", "study_day", "earliest", "latest", "decides_dose", *names), form)
    else:
        _print_text(unrolled, cycles)


def _print_text(plan: Plan, cycles: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trialrun.plan.calendar import planned_visits
    from trialrun.plan.planned import conditional_visits, describe_open_step, dose_spans, find_open_step, plan_doses

    console = Console(highlight=False)
    activities = plan.version.activities
    console.print(Text(f"{plan.drug}, version {plan.version.name}: schedule of activities", style="bold"))
    legend = {name: chr(ord("A") + number) if number < 26 else str(number) for number, name in enumerate(activities)}
    table = Table("Visit", "Cycle", box=box.SIMPLE_HEAD, padding=0)  # names of visits need the room, also of 80 columns
    for heading in ("Day", "Window"):
        table.add_column(heading, justify="right", no_wrap=True)
    for letter in (*legend.values(), "Dose"):
        table.add_column(letter, justify="center", no_wrap=True)
    for visit in planned_visits(plan, cycles):
        marks = ["×" if name in visit.activities else "" for name in activities]
        cycle = str(visit.cycle) if visit.cycle else ""
        window = f"{visit.earliest} to {visit.latest}"
        decides = "×" if visit.decides_dose else ""
        table.add_row(visit.visit.replace("_", " "), cycle, str(visit.study_day), window, *marks, decides)
    console.print(table)
    for name, part in activities.items():
        tests = f": {', '.join(part.tests)}" if part.tests else ""
        console.print(Text(f"  {legend[name]}  {part.label}{tests}", style="dim"))
    console.print(Text("  Dose  the dose is decided at this visit", style="dim"))
    for item in conditional_visits(plan.version):
        often = f"every {item['every_days']} days" if item["every_days"] else f"{item['after_days']} days after"
        does = ", ".join(legend[name] for name in plan.version.visits[str(item["visit"])].does)
        console.print(f"  {str(item['visit']).replace('_', ' ')}: {often}, {item['when']}: {does}")
    console.print()
    console.print(Text("Planned doses", style="bold"))
    doses = Table("Cycle", "Days of the cycle", "Study days", "Dose a day", box=box.SIMPLE_HEAD)
    for span in dose_spans(plan, cycles):
        doses.add_row(
            str(span.cycle),
            f"{span.first_cycle_day} to {span.last_cycle_day}",
            f"{span.first} to {span.last}",
            str(span.dose) if span.dose.value else "rest",
        )
    console.print(doses)
    step = find_open_step(plan_doses(plan, cycles))
    if step is not None:
        console.print(f"NOTE: steps are left out of these doses: {describe_open_step(step)}.")

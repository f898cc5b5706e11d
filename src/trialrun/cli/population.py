"""`trialrun population`: who the virtual subjects of a population are, beside those who were published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Cell, Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trialrun.simulate.baseline import BaselineRow


def population(
    study: Annotated[str, typer.Argument(help="Population file, or the study folder that holds it.")],
    subjects: Annotated[int, typer.Option(min=1, max=100000, help="How many are drawn.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the subjects.")] = 1,
    form: Annotated[Format, typer.Option("--format", help="text, json or csv.")] = Format.text,
) -> None:
    """Show who takes part: the realised people of a population before treatment, and how its numbers came about.

    A population file states distributions, which are then cut off (low, high) and selected (enrolled): the people that come
    out have another median than the file states. Here are median, 5th to 95th percentile and range of age, weight, kidney,
    lymphocytes, nodes, spleen and blood counts, as in the baseline table of a paper; beside them what was published, where
    baseline.yaml stands in the same folder; which bound of `enrolled` refuses how many; and, of a population that extends
    others, every shift in order. Where a median is off, move the centre in `shift` and look again.

    True values before the first dose, without error of measurement; the file's own numbers, no parameter set.

    Example: `trialrun population studies/lenalidomide-25mg --subjects 500`
    """
    from pathlib import Path

    from trialrun.cli.output import print_json, print_rows
    from trialrun.simulate.baseline import baseline_rows, read_published_baseline, shift_rows
    from trialrun.simulate.lineage import population_file
    from trialrun.simulate.luck import check_seed
    from trialrun.simulate.people import realise_people
    from trialrun.simulate.population import read_population

    check_seed(seed)
    file = population_file(Path(study))
    read = read_population(file)
    people = realise_people(read, subjects, seed)
    rows = baseline_rows(people, read_published_baseline(file))
    shifts = list(shift_rows(read))
    if form is Format.json:
        print_json(
            {
                "population": read.population.id,
                "title": read.population.title,
                "line_of_therapy": read.line_of_therapy,
                "file": str(file),
                "hash": read.content_hash,
                "subjects": subjects,
                "seed": seed,
                "baseline": [row.as_dict() for row in rows],
                "refused_percent": {bound: round(100 * part, 2) for bound, part in people.refused.items()},
                "shifts": shifts,
            }
        )
        return
    if form is Format.csv:
        print_rows([row.as_dict() for row in rows], tuple(rows[0].as_dict()), form)
        return
    typer.echo(f"{read.population.title} ({read.line_of_therapy}), {file}")
    typer.echo(f"{subjects} virtual subjects before treatment; seed {seed}; population {read.content_hash[:12]}")
    _print_people(rows)
    if people.refused:
        typer.echo("Of those drawn are refused, and drawn again (`enrolled`):")
        for bound, part in people.refused.items():
            typer.echo(f"  {100 * part:5.1f} %  {bound}")
    if shifts:
        told = [
            {
                "number": shift["number"],
                "population": shift["population"],
                "shift": _replaced(shift),
                "before": _number(shift["before"]),
                "after": _number(shift["after"]),
                "status": shift["status"],
            }
            for shift in shifts
        ]
        print_rows(
            told, tuple(told[0]), form, title="Shifts, in the order of extension (source and note: --format json)"
        )


def _print_people(rows: Sequence[BaselineRow]) -> None:
    from trialrun.cli.output import print_rows

    shown: list[dict[str, Cell]] = [
        {
            "characteristic": row.label,
            "unit": row.unit,
            "median or %": _number(row.median if row.percent is None else row.percent),
            "5th to 95th": "" if row.p5 is None else f"{_number(row.p5)} to {_number(row.p95)}",
            "range": "" if row.low is None else f"{_number(row.low)} to {_number(row.high)}",
            "published": row.published,
        }
        for row in rows
    ]
    print_rows(shown, tuple(shown[0]), Format.text)
    for source in dict.fromkeys(row.source for row in rows if row.source is not None):
        typer.echo(f"published: {source}")


def _replaced(shift: dict[str, str | float | None]) -> str:
    by = shift["replaced_by"]
    return f"{shift['shift']}" + ("" if by is None else f", replaced by {by}")


def _number(value: Cell) -> str:
    """Three figures, whole numbers whole."""
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

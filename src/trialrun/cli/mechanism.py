"""`trialrun mechanism`: where each part of the drug's mechanism stands in the model, and which way it goes."""

from __future__ import annotations

from typing import Annotated

import typer

from trialrun.cli.output import Cell, Format

DAYS = (1, 3, 7, 14, 21, 28)


def mechanism(
    population: Annotated[str, typer.Argument(help="Population file, or the study folder that holds it.")],
    dose: Annotated[float, typer.Option(min=0.0, help="Daily dose for the course of the observables, mg.")] = 10.0,
    subjects: Annotated[int, typer.Option(min=1, max=10000, help="How many virtual subjects.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the subjects.")] = 1,
    form: Annotated[Format, typer.Option("--format", help="text, json or csv.")] = Format.text,
) -> None:
    """Show what stands for each part of the published mechanism, and its median course under a daily dose.

    A part is a state of the model, an observable computed from states, or lumped into a state. Observables are relative to
    before treatment; only their direction has a source. Where sources disagree (interleukin-6, TNF-alpha) both are shown.

    Example: `trialrun mechanism studies/lenalidomide-cll --dose 10`
    """
    import numpy as np

    from trialrun.cli.output import print_json, print_rows
    from trialrun.simulate.biology import Biology
    from trialrun.simulate.mechanism import OBSERVABLES, PARTS, SOURCES, observe_mechanism
    from trialrun.simulate.population import read_population
    from trialrun.simulate.subjects import draw_subjects
    from trialrun.vocab.problems import Problem, TrialrunError

    people = read_population(population)
    biology = Biology(draw_subjects(people, seed, np.arange(subjects)))
    if not observe_mechanism(biology):
        message, right = "the model has no immune activation to show", "a population of a model that has it"
        raise TrialrunError(Problem("no-mechanism", message, people.model, right))
    course: dict[int, dict[str, float]] = {}
    for day in range(1, max(DAYS) + 1):
        biology.advance_day(np.full(subjects, dose), {})
        if day in DAYS:
            course[day] = {name: float(np.median(value)) for name, value in observe_mechanism(biology).items()}
    rows: list[dict[str, Cell]] = [
        {
            "part": part.what,
            "on the drug": part.goes,
            "in the model": part.place,
            "states": ", ".join(part.states),
            "observable": part.observable,
            "source": ", ".join(part.sources),
            **{
                f"day {day}": None if part.observable is None else round(course[day][part.observable], 3)
                for day in DAYS
            },
            "formula": None if part.observable is None else OBSERVABLES[part.observable].formula,
            "note": part.note,
        }
        for part in PARTS
    ]
    names = tuple(rows[0])
    if form is Format.json:
        print_json({"dose_mg": dose, "subjects": subjects, "seed": seed, "sources": dict(SOURCES), "parts": rows})
    elif form is Format.csv:
        print_rows(rows, names, form)
    else:
        print_rows(rows, names[:4] + names[5:6], form, title="The mechanism in the model")
        shown = [{**row, "part": row["part"]} for row in rows if row["observable"]]
        title = f"Median of {subjects} subjects at {dose:g} mg a day, relative to before treatment"
        print_rows(shown, ("part", *(f"day {day}" for day in DAYS)), form, title=title)

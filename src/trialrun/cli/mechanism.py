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

    A part is a state of the model, an observable computed from states, or lumped into a state. Observables are folds
    of the value before treatment; only their direction has a source. Where sources disagree
    (interleukin 6, TNF-alpha) both are shown. More: docs/mechanism.md.

    Example: `trialrun mechanism studies/lenalidomide-cll --dose 10`
    """
    import numpy as np

    from trialrun.cli.output import print_json, print_rows
    from trialrun.simulate.biology import Biology
    from trialrun.simulate.luck import check_seed
    from trialrun.simulate.mechanism import PARTS, SOURCES, observe_mechanism
    from trialrun.simulate.population import read_population
    from trialrun.simulate.subjects import draw_subjects
    from trialrun.vocab.problems import Problem, TrialrunError

    people = read_population(population)
    check_seed(seed)
    drawn = draw_subjects(people, seed, np.arange(subjects))
    states = drawn.model.states
    lacking = sorted({state for part in PARTS for state in part.where} - set(states))
    if lacking:
        message, right = "the model has not the states of this mechanism", "a population of lenalidomide-cll"
        raise TrialrunError(Problem("no-mechanism", message, f"{people.model} without {', '.join(lacking)}", right))
    biology, course = Biology(drawn), {}
    for day in range(1, max(DAYS) + 1):
        biology.advance_day(np.full(subjects, dose), {})
        if day in DAYS:
            seen = observe_mechanism({name: biology.state(name) for name in states})
            course[day] = {name: round(float(np.median(value)), 3) for name, value in seen.items()}
    rows: list[dict[str, Cell]] = [
        {
            "part": part.label,
            "on the drug": part.direction,
            "in the model": part.kind,
            "states": ", ".join(part.where),
            "source": ", ".join(part.sources),
            **{f"day {day}": course[day].get(part.name) for day in DAYS},
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
        print_rows(rows, names[:5], form, title="The mechanism in the model")
        shown = [row for row in rows if row[f"day {DAYS[0]}"] is not None]
        title = (
            f"Median of {subjects} subjects at {dose:g} mg a day, folds of the value before treatment (size assumed)"
        )
        print_rows(shown, ("part", *(f"day {day}" for day in DAYS)), form, title=title)

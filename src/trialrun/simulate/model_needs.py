"""Whether a population has what its model asks for, and the clinic gives what it takes: told before anybody is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trialrun.simulate.biology import CO_TREATMENTS
from trialrun.simulate.limits import limits
from trialrun.simulate.lineage import read_source
from trialrun.simulate.model.library import find_model
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import Location, Problem, TrialrunError


def check_model(population: Population, file: Path) -> None:
    """A TrialrunError at the line of `model` (or `options`) in the population file where the model cannot be found, asks for
    numbers that the population does not have, or for an input that the clinic never gives: it would be 0 on every day, without a
    word."""
    where = read_source(file).location(("model",))
    try:
        model = find_model(population.model, population.options)
    except TrialrunError as error:
        chosen = read_source(file).location(("options",))
        of_options = ("unknown-option", "no-alternative")
        raise TrialrunError(
            [_placed(problem, chosen if problem.code in of_options else where) for problem in error.problems]
        ) from None
    given = {"dose", *CO_TREATMENTS, *(f"{name}_given" for name in CO_TREATMENTS)}
    idle = [name for name in model.inputs if name not in given]
    if idle:
        message = f"model {population.model} takes what no protocol can give"
        raise TrialrunError(Problem("unknown-input", message, ", ".join(idle), ", ".join(sorted(given)), where))
    try:
        draw_subjects(population, 0, np.arange(1))
    except TrialrunError as error:
        if any(problem.code != "unknown-number" for problem in error.problems):
            return  # nobody can be enrolled: said with numbers, of those who are asked for
        lacks = [name for name in model.constants if name not in _stated(population)]
        sections = sorted({key.split(".")[0] for key in limits() if key.split(".")[1] in lacks})
        lacking = [section for section in sections if not getattr(population, section)]
        expected = f"its section{'s' * (len(lacking) > 1)} {', '.join(lacking)}" if lacking else None
        problems = [_placed(problem, where, expected) for problem in error.problems]
        raise TrialrunError(problems) from None


def _stated(population: Population) -> set[str]:
    return {name.partition(".")[2] for name in population.numbers()}


def _placed(problem: Problem, where: Location, expected: str | None = None) -> Problem:
    return replace(problem, expected=expected or problem.expected, location=where)

"""Which shifts of a population change nothing, because its model does not use the number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.measure import TRAITS_SEEN
from trialrun.simulate.model.library import find_model
from trialrun.simulate.population import HAPPENING, Population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects
from trialrun.vocab.problems import TrialrunError

FloatArray = NDArray[np.float64]

DRAWN = 200  # subjects: a share that is halved changes some of them
_LESS = (0.95, 0.5)  # of the number; the second for shares, of which a little less may change nobody


def find_idle_shifts(population: Population) -> tuple[str, ...]:
    """Numbers that the file of the population shifts and on which neither its equations nor its people nor what is measured
    depends: with less of such a number the subjects are the same."""
    here = population.population.id
    own = [name for name, shifts in population.shift.items() if any(step.of == here for step in shifts.steps)]
    shifted = [name for name in own if name.split(".", 1)[0] not in HAPPENING]
    found = [name for name in own if name.startswith("flare.") and not inflames(population)]
    if not shifted:
        return tuple(found)
    index = np.arange(DRAWN)
    usual = draw_subjects(population, 1, index)
    known = population.numbers()
    for name in shifted:
        value = known[name].value
        others = (np.full(DRAWN, value * less if value else less) for less in _LESS)
        if all(_changes_nothing(population, usual, name, other) for other in others):
            found.append(name)
    return tuple(found)


def _changes_nothing(population: Population, usual: VirtualSubjects, name: str, value: FloatArray) -> bool:
    try:
        return _same(usual, draw_subjects(population, 1, usual.index, {name: value}))
    except TrialrunError:  # with it nobody could be enrolled
        return False


def inflames(population: Population) -> bool:
    """Whether anything in the equations drives inflammation, without which there is no flare."""
    return find_model(population.model, population.options).equations.get("inflammation", "0").strip() != "0"


def _same(one: VirtualSubjects, other: VirtualSubjects) -> bool:
    pairs = [(one.constants, other.constants), (one.states, other.states), (one.age, other.age), (one.male, other.male)]
    pairs += [(one.traits[name], other.traits[name]) for name in TRAITS_SEEN if name in one.traits]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)

"""Where the people and the co-medication of a request lie outside of those that the numbers were fitted to, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from trialrun.protocol.document import ConcomitantPart
from trialrun.protocol.version import Version
from trialrun.simulate.biology import CO_TREATMENTS
from trialrun.simulate.fitted import Fitted, same_people
from trialrun.simulate.people import QUANTITIES, People, realise_people
from trialrun.simulate.population import Number, Population

DRAWN = 400  # subjects of each population: 5th and 95th percentiles to about two points of a hundred
# A tenth of the fitted people lie outside of their own 5th to 95th percentiles, by chance up to about 14 %.
MUCH_OUTSIDE = 0.25
MUCH_REFUSED = 0.20  # of those drawn, by one bound; 17 % is the most in a study that ships
MUCH_CUT = 0.25  # of a distribution that a shift moved; 12 % in a study that ships
COMPARED = ("age", "crcl", "lymphocytes", "node_longest", "tissue_cells")


def compare_people(population: Population, file: Path, fitted: Fitted) -> Iterator[str]:
    """One sentence for each way in which the realised people of a population, read from `file`, lie outside of those that its
    numbers were fitted to, or are not those that the file states. Nothing of people that were fitted to."""
    if file.resolve() in fitted.people:
        return
    known = fitted.populations()
    for other, people in known.items():
        if same_people(population, people):
            if population.line_of_therapy != people.line_of_therapy:
                said = f"The population says {population.line_of_therapy}, but its people are those of {_short(other)}"
                yield f"{said} ({people.line_of_therapy}): `line_of_therapy` shifts no number."
            return
    alike = [people for people in known.values() if people.line_of_therapy == population.line_of_therapy]
    here = realise_people(population, DRAWN)
    yield from _compare(here, [realise_people(people, DRAWN) for people in alike or known.values()])
    yield from _selected(population, here)


def _short(file: Path) -> str:
    return "/".join(file.parent.parts[-2:])


def _compare(here: People, fitted: list[People]) -> Iterator[str]:
    """Each quantity beside the fitted people whom it is nearest to."""
    labels = {quantity.name: quantity for quantity in QUANTITIES}
    told = set()
    for name in COMPARED:
        if name == "tissue_cells" and "node_longest" in told:
            continue  # nodes are made of them: one sentence is enough
        own, nearest = here.values[name], None
        for people in fitted:
            low, middle, high = np.quantile(people.values[name], (0.05, 0.5, 0.95))
            outside = float(np.mean((own < low) | (own > high)))
            if nearest is None or outside < nearest[0]:
                nearest = outside, low, middle, high
        if nearest is not None and nearest[0] > MUCH_OUTSIDE:
            outside, low, middle, high = nearest
            bottom, median, top = np.quantile(own, (0.05, 0.5, 0.95))
            label = labels[name].label
            told.add(name)
            yield (
                f"{label[0].upper()}{label[1:]}: median {median:.3g} {labels[name].unit} (5th to 95th percentile {bottom:.3g} to "
                f"{top:.3g}), of the fitted people {middle:.3g} ({low:.3g} to {high:.3g}). {100 * outside:.0f} % lie outside: "
                "extrapolation."
            )


def _selected(population: Population, here: People) -> Iterator[str]:
    for bound, part in here.refused.items():
        if part >= MUCH_REFUSED:
            yield (
                f"{bound} refuses {100 * part:.0f} % of those drawn (`enrolled`): the people who take part are not those that "
                "the distributions state."
            )
    for name in population.shift:
        number = population.numbers()[name]
        part = cut_part(number)
        if part >= MUCH_CUT and number.variability is not None:
            edges = f"{_edge(number.variability.low)} to {_edge(number.variability.high)}"
            yield (
                f"{100 * part:.0f} % of the distribution of {name} lie beyond its cuts ({edges}): its median is not the "
                f"{number.value:g} that is stated."
            )


def cut_part(number: Number) -> float:
    """The part of a distribution between subjects that its cuts take away."""
    varies = number.variability
    if varies is None:
        return 0.0
    scores: list[float | None] = []
    for cut in (varies.low, varies.high):
        if cut is None:
            scores.append(None)
        elif varies.distribution == "lognormal":
            scores.append(np.log(cut / number.value) / varies.spread)
        else:
            scores.append((cut - number.value) / varies.spread)
    low, high = scores
    return float((0.0 if low is None else ndtr(low)) + (0.0 if high is None else ndtr(-high)))


def _edge(cut: float | None) -> str:
    return "no cut" if cut is None else f"{cut:g}"


def compare_treatments(version: Version, fitted: Fitted) -> Iterator[str]:
    """One sentence for each co-medication of a version that acts on the model and that no trial gave which the numbers were
    fitted to. Nothing of the versions that were fitted to."""
    if fitted.holds(version):
        return
    given = {item.name: item for item in version.concomitant if item.name in CO_TREATMENTS}
    known = fitted.treatments()
    new = [name for name in given if name not in known]
    if new:
        said = ", ".join(new)
        yield f"No trial that the numbers were fitted to gave {said}: its effect rests on what the population states alone."
    if "steroid" in given:
        part, here = given["steroid"].part, given["steroid"].rule.text
        ways = {(item.rule.text, _dose(item.part)) for item in known.get("steroid", [])}
        if (here, _dose(part)) not in ways:
            dose = _dose(part)
            yield (
                "The steroid is given otherwise than in the trials that the numbers were fitted to. A steroid is on or off: its "
                f"dose{'' if dose is None else f' ({dose})'} is ignored."
            )


def _dose(part: object) -> str | None:
    dose = part.dose if isinstance(part, ConcomitantPart) else None
    return None if dose is None else str(dose)

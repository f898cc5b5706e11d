"""What the virtual subjects were fitted to, and when a request lies beyond it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trialrun.plan.calendar import Plan
from trialrun.protocol.version import Protocol, Version
from trialrun.simulate.biology import CO_TREATMENTS
from trialrun.simulate.ensemble import (
    SHIFT,
    SPREAD,
    WORTH_USING,
    Ensemble,
    compare_structure,
    states_spread,
)
from trialrun.simulate.extrapolation import DRAWN, compare_people, compare_treatments
from trialrun.simulate.fitted import find_fitted
from trialrun.simulate.idle import find_idle_shifts, inflames
from trialrun.simulate.lineage import read_source
from trialrun.simulate.model_needs import check_model
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.shift import Shifts
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import Problem, TrialrunError

# Co-medication that the model takes without effect, because nothing that is simulated depends on it.
WITHOUT_EFFECT = ("aspirin",)
# What is known to be wrong of a drug in people whose kidneys do little.
_KIDNEY = {
    "lenalidomide": (
        "Exposure to lenalidomide is too low in them: published is an AUC larger by 185 to 420 % from moderate impairment to"
        " dialysis, in the model it is by 45 % at 50 mL/min, 64 % at 40 and 102 % at 25. So is all harm that follows from it."
    )
}
MUCH_KIDNEY = 0.10  # of the people outside of the kidney function that was fitted to; 1 % in a study that ships


def check_domain(
    population: Population, drug: str, doses: Sequence[float], treatments: Sequence[str]
) -> tuple[str, ...]:
    """One sentence for each way in which a protocol lies outside of what the numbers of a population were fitted to: drug,
    doses (mg a day), line of therapy, kidney function, co-medication that the model does not know."""
    domain = population.domain
    if domain is None:
        return (
            "It is not stated what the numbers of this population were fitted to: every prediction is extrapolation.",
        )
    found = []
    if drug.casefold() != domain.drug.casefold():
        found.append(f"The numbers were fitted to {domain.drug}, not to {drug}.")
    low, high = domain.dose_mg
    beyond = sorted({dose for dose in doses if not low <= dose <= high})
    if beyond:
        said = ", ".join(f"{dose:g}" for dose in beyond)
        found.append(f"Doses of {said} mg lie outside of the {low:g} to {high:g} mg that the numbers were fitted to.")
    if population.line_of_therapy not in domain.line_of_therapy:
        fitted = ", ".join(domain.line_of_therapy)
        found.append(f"The people are {population.line_of_therapy}; the numbers were fitted to {fitted}.")
    crcl = draw_subjects(population, 1, np.arange(DRAWN)).traits["crcl"]
    outside = float(np.mean((crcl < domain.crcl[0]) | (crcl > domain.crcl[1])))
    if outside > MUCH_KIDNEY:
        found.append(
            f"{100 * outside:.0f} % of the people have a creatinine clearance outside of the {domain.crcl[0]:g} to "
            f"{domain.crcl[1]:g} mL/min that the numbers were fitted to (median {np.median(crcl):.3g})."
        )
        if np.mean(crcl < domain.crcl[0]) > MUCH_KIDNEY and domain.drug in _KIDNEY:
            found.append(_KIDNEY[domain.drug])
    unknown = [name for name in treatments if name not in CO_TREATMENTS and name not in WITHOUT_EFFECT]
    if unknown:
        found.append(f"Not in the model, taken without effect: {', '.join(unknown)}.")
    return tuple(found)


def _other_drug(population: Population, file: Path, version: Version, label: str) -> Problem | None:
    """What is wrong where a version is of another drug than its people have a model of; a model of one's own says in its own
    way what it is of."""
    if population.domain is None or ":" in population.model:
        return None
    drug = version.treatment.drug
    if drug.casefold() == population.domain.drug.casefold():
        return None
    said = read_source(file).location(("domain", "drug"))
    message = f"the people of {said} react to {population.domain.drug}, not to the drug of {label}"
    expected = f"a population with a model of {drug} (--population)"
    return Problem("wrong-drug", message, drug, expected, version.source.location(("treatment", "drug")))


def check_people(protocol: Protocol) -> list[Problem]:
    """What is wrong with the population beside a protocol: what keeps it from being read, and a warning for each version whose
    drug it has no model of. Nothing where there is none."""
    file = Path(protocol.file).parent / "population.yaml"
    if not file.exists():
        return []
    try:
        population = read_population(file)
        check_model(population, file)
    except TrialrunError as error:
        return list(error.problems)
    found: dict[Problem, None] = {}  # an amendment that keeps the drug has it from the version that it amends
    for version in protocol.versions.values():
        problem = _other_drug(population, file, version, version.name)
        if problem is not None:
            found[replace(problem, severity="warning")] = None
    return list(found)


def refuse_other_drug(population: Population, file: Path, plan: Plan, label: str) -> None:
    """A TrialrunError at the line of the protocol where the drug of the arm `label` is not the one that the population, read
    from `file`, has a model of. A model of one's own says in its own way what it is of."""
    problem = _other_drug(population, file, plan.version, label)
    if problem is not None:
        raise TrialrunError(problem)


def find_notices(
    population: Population,
    file: Path,
    arms: Sequence[tuple[Protocol, Plan]],
    ensemble: Ensemble | None,
    ensemble_file: Path | None,
) -> list[str]:
    """What must be said beside every result: where an arm lies outside of what the population (read from `file`) was fitted
    to, whose people it is conducted on, and which numbers of the file the parameter sets replace or no longer fit."""
    found: dict[str, None] = {}
    fitted = find_fitted(file)
    if fitted is not None:
        found |= dict.fromkeys(compare_people(population, file, fitted))
    idle = find_idle_shifts(population)
    if idle:
        found[f"{file} shifts what model {population.model} does not use, without effect: {', '.join(idle)}."] = None
    if not inflames(population):
        said = "tumour flare never happens in it, and a rate of 0 is no prediction"
        found[f"Nothing drives inflammation in model {population.model}: {said}."] = None
    for protocol, plan in arms:
        treatments = tuple(item.name for item in plan.version.concomitant)
        doses = tuple(float(level) for level in plan.levels)
        found |= dict.fromkeys(check_domain(population, plan.version.treatment.drug, doses, treatments))
        if fitted is not None:
            found |= dict.fromkeys(compare_treatments(plan.version, fitted))
        own = Path(protocol.file).parent / "population.yaml"
        if own.exists() and own.resolve() != file.resolve():
            found[f"{protocol.study.id} is conducted on the people of {file}, not on its own"] = None
    if ensemble is not None and ensemble_file is not None:
        found |= dict.fromkeys(_of_sets(population, file, ensemble))
        fitted_hash, beside = ensemble.about.get("population_hash"), ensemble_file.parent / "population.yaml"
        if fitted_hash is not None and beside.exists() and _hash_of(beside, population, file) != fitted_hash:
            found[f"{beside} has changed since the parameter sets were fitted to it; calibrate again."] = None
    return list(found)


def _of_sets(population: Population, file: Path, ensemble: Ensemble) -> Iterator[str]:
    """What parameter sets and population take from each other."""
    other = compare_structure(population, ensemble)
    if other:
        said = "; ".join(other)
        yield f"The parameter sets were fitted to other equations: {said}; they do not fit the published facts here."
    if ensemble.effective_size < WORTH_USING:
        yield (
            f"The parameter sets are worth {ensemble.effective_size:.0f} equal ones, fewer than {WORTH_USING}: what they"
            " predict, and how sure it is, is a rough guess."
        )
    misfits = ensemble.about.get("misfits")
    if misfits:
        yield (
            f"The parameter sets do not fit everything they were fitted to: {', '.join(misfits)}. What is predicted of it, and"
            " of what hangs on it, is wrong."
        )
    shifts = population.shift
    shifted = [name for name, steps in shifts.items() if steps.fitted and name + SHIFT in ensemble.names]
    if shifted:
        told = ", ".join(f"{name} ({_sizes(shifts[name], name, ensemble)})" for name in shifted)
        yield f"How far these people are shifted is taken from the parameter sets, not from {file}: {told}."
    stated = [name for name, steps in shifts.items() if steps.states_value and name in ensemble.names]
    spread = [name for name in shifts if states_spread(population, name) and name + SPREAD in ensemble.names]
    for what, names in (("These numbers are", stated), ("The spread between subjects of these numbers is", spread)):
        if names:
            yield f"{what} stated by the population, not by the parameter sets: {', '.join(names)}."


def _sizes(shifts: Shifts, name: str, ensemble: Ensemble) -> str:
    """What the files say of a fitted shift, and what the parameter sets have instead."""
    said = [step.shift.factor or step.shift.odds for step in shifts.steps if step.shift.fitted]
    files = " and ".join(f"{size:g}" for size in said if size is not None)
    mean = float(ensemble.weights @ ensemble.values[:, ensemble.names.index(name + SHIFT)])
    return f"{files} there, {mean:.3g} on average in the sets"


def _hash_of(wanted: Path, population: Population, file: Path) -> str:
    """The hash of a population file; that of `file` has been read already."""
    return population.content_hash if wanted.resolve() == file.resolve() else read_population(wanted).content_hash

"""What the virtual subjects were fitted to, and when a request lies beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trialrun.plan.calendar import Plan
from trialrun.protocol.version import Protocol
from trialrun.simulate.biology import CO_TREATMENTS
from trialrun.simulate.ensemble import SHIFT, Ensemble
from trialrun.simulate.population import Population, read_population
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import read_yaml

# Co-medication that the model takes without effect, because nothing that is simulated depends on it.
WITHOUT_EFFECT = ("aspirin",)


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
    crcl = population.numbers()["baseline.crcl"]
    if not domain.crcl[0] <= crcl.value <= domain.crcl[1]:
        found.append(
            f"A typical creatinine clearance of {crcl.value:g} mL/min lies outside of {domain.crcl[0]:g} to {domain.crcl[1]:g}."
        )
    unknown = [name for name in treatments if name not in CO_TREATMENTS and name not in WITHOUT_EFFECT]
    if unknown:
        found.append(f"Not in the model, taken without effect: {', '.join(unknown)}.")
    return tuple(found)


def refuse_other_drug(population: Population, file: Path, plan: Plan, label: str) -> None:
    """A TrialrunError at the line of the protocol where the drug of the arm `label` is not the one that the population, read
    from `file`, has a model of. A model of one's own says in its own way what it is of."""
    if population.domain is None or ":" in population.model:
        return
    drug = plan.version.treatment.drug
    if drug.casefold() != population.domain.drug.casefold():
        said = read_yaml(file).location(("domain", "drug"))
        message = f"the people of {said} react to {population.domain.drug}, not to the drug of {label}"
        expected = f"a population with a model of {drug} (--population)"
        at = plan.version.source.location(("treatment", "drug"))
        raise TrialrunError(Problem("wrong-drug", message, drug, expected, at))


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
    for protocol, plan in arms:
        treatments = tuple(item.name for item in plan.version.concomitant)
        doses = tuple(float(level) for level in plan.levels)
        found |= dict.fromkeys(check_domain(population, plan.version.treatment.drug, doses, treatments))
        own = Path(protocol.file).parent / "population.yaml"
        if own.exists() and own.resolve() != file.resolve():
            found[f"{protocol.study.id} is conducted on the people of {file}, not on its own"] = None
    if ensemble is not None and ensemble_file is not None:
        shifted = [name for name, shift in population.shift.items() if shift.fitted and name + SHIFT in ensemble.names]
        if shifted:
            said = ", ".join(shifted)
            found[f"How far these people are shifted is taken from the parameter sets, not from {file}: {said}."] = None
        fitted, beside = ensemble.about.get("population_hash"), ensemble_file.parent / "population.yaml"
        if fitted is not None and beside.exists() and _hash_of(beside, population, file) != fitted:
            found[f"{beside} has changed since the parameter sets were fitted to it; calibrate again."] = None
    return list(found)


def _hash_of(wanted: Path, population: Population, file: Path) -> str:
    """The hash of a population file; that of `file` has been read already."""
    return population.content_hash if wanted.resolve() == file.resolve() else read_population(wanted).content_hash

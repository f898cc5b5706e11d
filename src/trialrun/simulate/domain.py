"""What the virtual subjects were fitted to, and when a request lies beyond it."""

from __future__ import annotations

from collections.abc import Sequence

from trialrun.simulate.biology import CO_TREATMENTS
from trialrun.simulate.population import Population

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

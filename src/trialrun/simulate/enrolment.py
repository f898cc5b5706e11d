"""Who of those drawn could have been enrolled, and which bound refuses how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.population import Population

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Sections of `enrolled` that hold of everyone, and those of which one (or a symptom) is enough.
ALWAYS = (
    *("neutrophils", "platelets", "hemoglobin", "creatinine_x_uln", "alt_x_uln", "ast_x_uln", "bilirubin_x_uln"),
    "phosphate_tm",
)
ENOUGH = (
    ("doubling_time", "doubling_time"),  # a missing doubling time is below nothing
    ("hemoglobin", "hemoglobin_needing_treatment"),
    ("platelets", "platelets_needing_treatment"),
)
NEED = "need for treatment (symptoms, doubling time, haemoglobin or platelets)"


def refuse(population: Population, v: Mapping[str, FloatArray]) -> dict[str, BoolArray]:
    """Whom each bound of `enrolled` refuses, (n,) by the bound in words; `v` holds traits (n,) by name."""
    found: dict[str, BoolArray] = {}
    for name in ALWAYS:
        bound = population.enrolled[name]
        if bound.low is not None:
            found[_words(name, ">", bound.low, bound.unit)] = ~(v[name] > bound.low)
        if bound.high is not None:
            found[_words(name, "<", bound.high, bound.unit)] = ~(v[name] < bound.high)
    need = (v["symptomatic_nodes_or_organs"] == 1.0) | (v["constitutional_symptoms"] == 1.0)
    for quantity, name in ENOUGH:
        high = population.enrolled[name].high
        if high is not None:
            need |= v[quantity] < high
    found[NEED] = ~need
    return found


def could_enrol(population: Population, v: Mapping[str, FloatArray]) -> BoolArray:
    """Who is refused by no bound, (n,)."""
    return np.asarray(~np.any(list(refuse(population, v).values()), axis=0))


def _words(name: str, sign: str, value: float, unit: str) -> str:
    if name.endswith("_x_uln"):
        return f"{name.removesuffix('_x_uln')} {sign} {value:g} x ULN"
    return f"{name} {sign} {value:g} {unit.replace('10*9', 'x10^9')}"


def shares(refused: Sequence[Mapping[str, BoolArray]]) -> dict[str, float]:
    """The part of those drawn (in one or more draws) that each bound refuses, most first; those that refuse nobody left out."""
    found = {name: float(np.mean(np.concatenate([part[name] for part in refused]))) for name in refused[0]}
    return dict(sorted(((name, part) for name, part in found.items() if part > 0), key=lambda item: -item[1]))

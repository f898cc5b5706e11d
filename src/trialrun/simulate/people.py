"""The people of a population as they are when realised: what a paper's table of baseline characteristics holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.biology import Biology
from trialrun.simulate.enrolment import refuse, shares
from trialrun.simulate.measure import Laboratory
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects, draw_unselected

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Characteristic:
    """What is told of people at baseline: a quantity in `unit` by its median and range, or a share (unit ""), of whom
    something is true."""

    name: str
    label: str
    unit: str = ""


QUANTITIES = (
    Characteristic("age", "age", "years"),
    Characteristic("weight", "weight", "kg"),
    Characteristic("crcl", "creatinine clearance", "mL/min"),
    Characteristic("creatinine", "creatinine", "umol/L"),
    Characteristic("lymphocytes", "lymphocytes", "x10^9/L"),
    Characteristic("node_longest", "longest node", "cm"),
    Characteristic("spleen", "spleen below costal margin", "cm"),
    Characteristic("tissue_cells", "CLL cells in nodes and spleen", "x10^9"),
    Characteristic("hemoglobin", "haemoglobin", "g/L"),
    Characteristic("platelets", "platelets", "x10^9/L"),
    Characteristic("neutrophils", "neutrophils", "x10^9/L"),
    Characteristic("urate", "urate", "umol/L"),
)
SHARES = (
    Characteristic("male", "men"),
    Characteristic("bulky", "longest node of 5 cm or more"),
    Characteristic("organomegaly", "spleen or liver felt"),
    Characteristic("rai_3_4", "haemoglobin < 110 g/L or platelets < 100 x10^9/L"),
    Characteristic("ecog_0", "ECOG 0"),
)


class _AtRest:
    """States before the first dose, for a laboratory that asks a biology for nothing else: no kernel is compiled."""

    def __init__(self, subjects: VirtualSubjects) -> None:
        self._states = dict(zip(subjects.model.states, subjects.states, strict=True))
        self._none = np.zeros(subjects.index.size)

    def state(self, name: str) -> FloatArray:
        # a model without inflammation has none before the first dose either
        return self._none if name == "inflammation" else self._states[name]


@dataclass(frozen=True, slots=True)
class People:
    """`n` subjects before treatment, true values without error of measurement: `values` (n,) of each quantity, `true` (n,) of
    each share, by name; `refused` is the part of those drawn that each bound of `enrolled` refuses, by the bound in words."""

    n: int
    values: Mapping[str, FloatArray]
    true: Mapping[str, BoolArray]
    refused: Mapping[str, float]


def realise_people(population: Population, n: int, seed: int = 1) -> People:
    """Draw n subjects of the population with the numbers that the file states (no parameter set)."""
    index = np.arange(n)
    subjects = draw_subjects(population, seed, index)
    laboratory = Laboratory(population, seed, subjects, cast(Biology, _AtRest(subjects)), np.zeros(n))
    v: dict[str, FloatArray] = {name: subjects.traits[name] for name in ("age", "weight", "crcl", "tissue_cells")}
    for name in ("creatinine", "lymphocytes", "node_longest", "hemoglobin", "platelets", "neutrophils", "urate"):
        v[name] = laboratory.truth(name, index)
    v["spleen"] = laboratory.truth("spleen_below_costal_margin", index)
    true = {
        "male": subjects.male,
        "bulky": v["node_longest"] >= 5.0,
        "organomegaly": (v["spleen"] > 0.0) | (laboratory.truth("liver_below_costal_margin", index) > 0.0),
        "rai_3_4": (v["hemoglobin"] < 110.0) | (v["platelets"] < 100.0),
        "ecog_0": subjects.traits["ecog"] == 0.0,
    }
    refused = shares([refuse(population, draw_unselected(population, seed, index))])
    return People(n, MappingProxyType(v), MappingProxyType(true), MappingProxyType(refused))


def have_same_people(one: Population, other: Population) -> bool:
    """Whether two populations describe the same people, whatever they and their numbers are called, cite and note, and whatever
    their equations are."""
    return _of_people(one) == _of_people(other)


_WORDS = {"label", "symbol", "note", "source", "status"}


def _of_people(population: Population) -> object:
    said = population.model_dump()
    for name in ("population", "sources", "options", "content_hash"):
        said.pop(name, None)

    def bare(part: object) -> object:
        if isinstance(part, dict):
            return {name: bare(value) for name, value in part.items() if name not in _WORDS}
        return part

    return bare(said)

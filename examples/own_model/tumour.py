"""An own drug on an own disease: a daily tablet against a solid tumour, in under 100 lines.

`python examples/own_model/tumour.py [subjects]` gives 0, 50 and 100 mg to the same virtual people for 24 weeks and
prints how their tumours go. The drug and all numbers of population.yaml are made up; docs/modules.md walks through it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from trialrun.simulate.biology import Biology
from trialrun.simulate.model.module import Drug, Model, Module
from trialrun.simulate.population import Number
from trialrun.simulate.subjects import VirtualSubjects, draw_number
from trialrun.vocab.yaml_source import read_yaml, validate

FloatArray = NDArray[np.float64]
HERE = Path(__file__).parent
WEEKS = 24

TABLET = Module(
    "tablet",
    "gut and one compartment; exact between doses",
    constants=("absorption", "clearance", "volume", "ec50"),
    inputs=("dose",),
    daily={"elimination": "clearance / volume"},
    jumps={"depot": "depot + dose"},
    drug=Drug(
        absorption="absorption",
        elimination="elimination",
        effect="absorption",
        scale="1 / volume",  # mg/L
        fast={"drive": "concentration / (ec50 + concentration)"},
    ),
)
TUMOUR = Module(
    "tumour",
    "sensitive and resistant cells under one capacity, dying cells, and a marker in blood; mL",
    constants=("effect_rate", "growth", "capacity", "kill", "clearing", "marker_out", "marker_made"),
    states={
        "effector": "effect_rate * drive",
        "sensitive": "growth * sensitive * room - killed",
        "resistant": "growth * resistant * room",
        "dying": "killed - clearing * dying",
        "marker": "marker_made * (sensitive + resistant) - marker_out * marker",
    },
    terms={"room": "1 - (sensitive + resistant) / capacity", "killed": "kill * effector * sensitive"},
    decay={"effector": "effect_rate"},
)
MODEL = Model("tablet and tumour", (TABLET, TUMOUR), grid=(0.25, 0.25, 0.25, 0.25))


class Population(BaseModel):
    """The population file: every number with unit, status and source."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: str
    sources: dict[str, str]
    numbers: dict[str, Number]


def draw(n: int, seed: int, file: Path = HERE / "population.yaml") -> VirtualSubjects:
    """n virtual people; the same seed and index give the same person."""
    source = read_yaml(file)
    index = np.arange(n)
    numbers = validate(source, Population).numbers
    v = {name: draw_number(number, name, seed, index, 0) for name, number in numbers.items()}
    v["sensitive"] = v["volume_at_start"] * (1 - v["resistant_part"])
    v["resistant"] = v["volume_at_start"] * v["resistant_part"]
    v["marker"] = v["marker_made"] * v["volume_at_start"] / v["marker_out"]  # as if the tumour had stood still
    constants = np.array([v[name] for name in MODEL.constants])
    states = np.array([v.get(name, np.zeros(n)) for name in MODEL.states])  # no drug and no effect at the start
    return VirtualSubjects(index, v["age"], v["male"] > 0.5, v["weight"], MappingProxyType(v), constants, states, MODEL)


def run(subjects: VirtualSubjects, dose: float, weeks: int = WEEKS) -> FloatArray:
    """Tumour in mL (with dying cells) at the start and the end of each week, (weeks + 1, n)."""
    biology, seen = Biology(subjects), []
    for day in range(7 * weeks + 1):
        if day % 7 == 0:
            seen.append(sum(biology.state(name) for name in ("sensitive", "resistant", "dying")))
        biology.advance_day(np.full(subjects.index.size, dose), {})
    return np.array(seen)


if __name__ == "__main__":
    people = draw(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, seed=1)
    for mg in (0.0, 50.0, 100.0):
        size = run(people, mg)
        change, best = np.cbrt(size[-1] / size[0]) - 1, np.cbrt(size.min(axis=0) / size[0]) - 1  # diameter
        print(f"{mg:3.0f} mg: diameter {np.median(change):+4.0%}, response (-30 %) in {np.mean(best <= -0.3):3.0%}")

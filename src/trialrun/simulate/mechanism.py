"""The mechanism that is written of lenalidomide in CLL, and where each part of it stands in the model.

A part is a state, an observable that is computed from states and moves nothing, or lumped into a state. Observables are
relative to before treatment (1); no source gives their size in this disease, so only the direction says something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.biology import Biology

FloatArray = NDArray[np.float64]

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "chen2011": "Chen CI et al. J Clin Oncol 2011;29:1175-81",
        "ferrajoli2008": "Ferrajoli A et al. Blood 2008;111:5291 (abstract; 20 patients, day 7)",
        "ACE": "Acebes-Huerta 2014, PMC4182694",
        "AUE": "Aue, PMC2738719",
        "CHA11B": "Chanan-Khan 2011, pubmed 22010965",
        "MAF": "Maffei 2013, Blood 121:2503",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the mechanism.

    `place` says what it is in the model, `states` which states carry it; `goes` is the direction on the drug that `sources`
    give; `observable` names the quantity of `OBSERVABLES` that shows it, if any.
    """

    what: str
    place: Literal["state", "observable", "lumped"]
    states: tuple[str, ...]
    goes: Literal["up", "down"]
    sources: tuple[str, ...]
    note: str
    observable: str | None = None


@dataclass(frozen=True, slots=True)
class Observable:
    """A quantity relative to before treatment, from states of the model."""

    formula: str
    states: tuple[str, ...]
    compute: Callable[..., FloatArray]


def _rising(state: FloatArray) -> FloatArray:
    return np.asarray(1.0 + state)


def _falling(state: FloatArray) -> FloatArray:
    return np.asarray(1.0 - state)


OBSERVABLES: Mapping[str, Observable] = MappingProxyType(
    {
        "t_cell_activation": Observable("1 + activation", ("activation",), _rising),
        "nk_cells": Observable("1 + effector_2", ("effector_2",), _rising),
        "interleukin_2": Observable("1 + activation", ("activation",), _rising),
        "cd40_cd86": Observable("1 + activation", ("activation",), _rising),
        "interleukin_6_support": Observable("1 - effector_2", ("effector_2",), _falling),
        "interleukin_6_serum": Observable("1 + inflammation", ("inflammation",), _rising),
        "tnf_support": Observable("1 - effector_2", ("effector_2",), _falling),
        "tnf_released": Observable("1 + inflammation", ("inflammation",), _rising),
    }
)

PARTS: tuple[Part, ...] = (
    Part("stimulation of T cells", "state", ("activation",), "up", ("chen2011", "AUE"), "", "t_cell_activation"),
    Part(
        *("stimulation and growth of NK cells", "state", ("effector_1", "effector_2"), "up", ("chen2011", "ACE")),
        *("two stages of delay stand for a rise over 1 to 3 weeks", "nk_cells"),
    ),
    Part(
        *("interleukin-2 of T cells, which drives NK cells", "observable", ("activation",), "up"),
        *(("chen2011", "ferrajoli2008", "ACE"), "the step from activation to effectors", "interleukin_2"),
    ),
    Part(
        *("interferon-gamma", "lumped", ("activation", "effector_1"), "up", ("chen2011",)),
        *("no time course found; a part of the step from activation to effectors",),
    ),
    Part(
        *("less support of the clone by interleukin-6", "observable", ("effector_2",), "down", ("chen2011",)),
        *("its loss is a part of the kill by effectors", "interleukin_6_support"),
    ),
    Part(
        *("interleukin-6 measured in serum on day 7", "observable", ("inflammation",), "up", ("ferrajoli2008",)),
        *("disagrees with the line above; both are shown, neither is fitted", "interleukin_6_serum"),
    ),
    Part(
        *("less support of the clone by TNF-alpha", "observable", ("effector_2",), "down", ("chen2011",)),
        *("its loss is a part of the kill by effectors", "tnf_support"),
    ),
    Part(
        *("TNF-alpha released with activation", "observable", ("inflammation",), "up", ("ACE", "CHA11B", "AUE")),
        *("disagrees with the line above; both are shown, neither is fitted", "tnf_released"),
    ),
    Part(
        *("CD40 and CD86 of the clone up", "observable", ("activation",), "up", ("chen2011", "AUE")),
        *("rapid, with activation; makes the clone visible to T cells", "cd40_cd86"),
    ),
    Part(
        *("loss of stromal protection", "lumped", ("effector_2",), "up", ("chen2011",)),
        *("acts with effectors, in tissue and marrow as in blood; altered homing (MAF) is homing_signal, in blood",),
    ),
    Part(
        *("Akt signalling", "lumped", ("effector_2",), "down", ("chen2011",)),
        *("no time course and no size found; less survival of cells is a part of the kill by effectors",),
    ),
    Part(
        *("immune synapses repaired", "lumped", ("effector_1", "effector_2"), "up", ("chen2011",)),
        *("what makes effectors kill; how well in one subject is `response`",),
    ),
)


def observe_mechanism(biology: Biology) -> Mapping[str, FloatArray]:
    """Every observable that the model's states allow, (n,) by name; a drug without immune activation has none."""
    known = set(biology.names)
    return MappingProxyType(
        {
            name: item.compute(*(biology.state(state) for state in item.states))
            for name, item in OBSERVABLES.items()
            if known.issuperset(("activation", *item.states))
        }
    )

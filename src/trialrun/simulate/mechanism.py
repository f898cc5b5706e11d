"""The mechanism of lenalidomide in CLL as Chen 2011 and the laboratory papers name it: where each part is in the model.

A part is a state of the model, an observable that follows from states, or is lumped into a state because nothing that was
published tells the two apart. Observables are folds of the value before treatment (1 = unchanged). Their direction and
their time course come from their states; how large they are is *assumed*, because no source gives a dose and a size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
States = Mapping[str, FloatArray]

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "chen2011": "Chen CI et al. J Clin Oncol 2011;29:1175-81",
        "ferrajoli2008": "Ferrajoli A et al. Blood 2008;111:5291-7 (day 7 of 10 mg, 20 patients; abstract)",
        "acebes2014": "Acebes-Huerta A et al. 2014, PMC4182694 (NK cells; IL-2 of CD4 T cells)",
        "aue2009": "Aue G et al., lenalidomide in CLL: CD80 on leukaemia cells, T-cell activation and cytokines within days",
        "chanan2011": "Chanan-Khan A et al. Cancer 2011;117:2127-35 (flare: CD80, CD83, CD86 and TNF-alpha up)",
        "maffei2013": "Maffei R et al. Blood 2013;121 (motility and homing of CLL cells)",
        "assumed": "no public number found",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the mechanism.

    `kind`: a state, an observable, or lumped. `where` names the states (an observable's are those it follows from);
    `value` computes an observable, fold of baseline (n,), from states by name (n,) each. `direction` is what the source
    says of it under the drug: up, down, or that it is repaired or lost.
    """

    name: str
    label: str
    kind: Literal["state", "observable", "lumped"]
    direction: str
    where: tuple[str, ...]
    sources: tuple[str, ...]
    note: str
    value: Callable[[States], FloatArray] | None = None


def _rises(state: str, most: float) -> Callable[[States], FloatArray]:
    """1 without drug; `most` more for one unit of the state."""
    return lambda states: 1.0 + most * states[state]


def _falls(state: str, most: float) -> Callable[[States], FloatArray]:
    """1 without drug; down by the share `most` where the state is large, by half of it where the state is 1."""
    return lambda states: 1.0 - most * states[state] / (1.0 + states[state])


PARTS: tuple[Part, ...] = (
    Part("t_cells", "T cells stimulated", "state", "up", ("activation",), ("chen2011", "aue2009"),
         "within days; `tolerance` follows it, so that a constant dose provokes less and less"),
    Part("il_2", "interleukin 2", "observable", "up", ("activation",), ("chen2011", "acebes2014", "ferrajoli2008"),
         "made by CD4 T cells; up on day 7 in 20 patients. Size assumed: 3-fold at full activation", _rises("activation", 2.0)),
    Part("interferon_gamma", "interferon gamma", "observable", "up", ("effector_1",), ("chen2011", "aue2009"),
         "follows the activation of T cells by days. Size assumed: 4-fold", _rises("effector_1", 3.0)),
    Part("nk_cells", "NK cells", "observable", "up", ("effector_2",), ("chen2011", "acebes2014"),
         "their number rises over weeks and tracks response. Size assumed: 2-fold", _rises("effector_2", 1.0)),
    Part("effectors", "killing by NK and T cells", "state", "up", ("effector_1", "effector_2"), ("chen2011", "acebes2014"),
         "kills cells in blood, nodes and marrow"),
    Part("il_6_support", "interleukin 6 of the stroma", "observable", "down", ("effect",), ("chen2011",),
         "Chen 2011 names lower IL-6 as a loss of support. Size assumed: down by half where the effect site is high",
         lambda states: 1.0 - 0.5 * states["effect"] / (80.0 + states["effect"])),
    Part("il_6_serum", "interleukin 6 in serum", "observable", "up", ("inflammation",), ("ferrajoli2008",),
         "measured up on day 7, against the row above: with the inflammation of flare. Size assumed: +1 fold for each unit",
         _rises("inflammation", 1.0)),
    Part("tnf_support", "TNF-alpha of the stroma", "observable", "down", ("effect",), ("chen2011",),
         "Chen 2011 names lower TNF-alpha as a loss of support. Size assumed, as for IL-6",
         lambda states: 1.0 - 0.5 * states["effect"] / (80.0 + states["effect"])),
    Part("tnf_serum", "TNF-alpha in serum", "observable", "up", ("inflammation",), ("chanan2011", "ferrajoli2008"),
         "up with flare (its receptor TNFR1 on day 7), against the row above. Size assumed", _rises("inflammation", 1.0)),
    Part("cd40_cd86", "CD40, CD80 and CD86 on leukaemia cells", "observable", "up", ("activation", "tolerance"),
         ("chen2011", "aue2009", "chanan2011"),
         "rapid, strongest at the first doses and at each higher dose, as flare is. Size assumed: 5-fold",
         lambda states: 1.0 + 4.0 * np.maximum(states["activation"] - states["tolerance"], 0.0)),
    Part("flare", "inflammation of nodes", "state", "up", ("inflammation",), ("chanan2011",),
         "drives flare, swelling and acute kill"),
    Part("motility", "motility, cytoskeleton and homing", "state", "changed", ("effect", "blood", "tissue"),
         ("maffei2013", "chen2011"),
         "homing gain and egress block by the effect site: blood counts fall within days and rebound in the week off"),
    Part("stroma", "protection by the stroma", "lumped", "lost", ("effector_2", "inflammation"), ("chen2011", "assumed"),
         "no measurement tells it from killing: it is in effector_kill and inflammation_kill"),
    Part("akt", "Akt signalling", "lumped", "down", ("effector_2",), ("chen2011", "assumed"),
         "survival of the cell under attack: it is in effector_kill and its spread between subjects; growth is left as it is "
         "(no effect on proliferation was seen)"),
    Part("synapses", "immune synapses", "lumped", "repaired", ("effector_1", "effector_2"), ("chen2011", "assumed"),
         "what an effector cell achieves: it is in effector_kill, with the delay of the two effector states"),
)  # fmt: skip


def observe_mechanism(states: States) -> Mapping[str, FloatArray]:
    """The observables by name, folds of the value before treatment, (n,) each.

    `states` holds the states of lenalidomide-cll by name, (n,) each, as `VirtualClinic.truth` does.
    """
    return MappingProxyType({part.name: part.value(states) for part in PARTS if part.value is not None})


def mechanism_table() -> str:
    """The table of docs/mechanism.md, and its sources, as Markdown."""
    lines = ["| part | under the drug | in the model | states | what is known | source |", "|---|---|---|---|---|---|"]
    for part in PARTS:
        where = ", ".join(f"`{state}`" for state in part.where)
        kind = f"{part.kind} `{part.name}`" if part.kind == "observable" else part.kind
        lines.append(
            f"| {part.label} | {part.direction} | {kind} | {where} | {part.note} | {', '.join(part.sources)} |"
        )
    lines += ["", *(f"- {key}: {text}" for key, text in SOURCES.items())]
    return "\n".join(lines)

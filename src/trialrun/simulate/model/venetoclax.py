"""A drug that kills leukaemia cells by itself, in the same disease, marrow and kidney: venetoclax.

No inflammation, no immune activation and no change of homing; a part of the clone is not killed. In some people a part of
the cells in nodes, spleen and marrow is sheltered: it neither leaves nor is killed, so that blood clears and nodes do not.
Values after the dose within the day are not seen: the protocol's chemistry at 6 to 8 hours is read at the next morning.
"""

from __future__ import annotations

from trialrun.simulate.model.module import Drug, Module

DIRECT = Module(
    "pharmacokinetics",
    "the drug in gut, blood and at its site of effect",
    constants=(
        *("absorption_rate", "clearance", "volume", "effect_rate"),
        *("kill_ec50", "kill_neutrophils"),
    ),
    inputs=("dose",),
    daily={"elimination": "clearance / volume"},
    jumps={"depot": "depot + dose"},
    drug=Drug(
        absorption="absorption_rate",
        elimination="elimination",
        effect="effect_rate",
        scale="1000 / volume",
        fast={
            "kill_signal": "effect_site / (kill_ec50 + effect_site)",
            "neutrophils_let": "1 - kill_neutrophils * effect_site / (kill_ec50 + effect_site)",
        },
    ),
)

QUIET = Module(
    "quiet",
    "what this drug leaves alone: inflammation and platelets",
    signals={"activated": "0", "platelets_let": "1"},
    states={"inflammation": "0"},
)

TRAFFICKING_DIRECT = Module(
    "leukemia",
    "leukaemia cells in blood, in nodes and spleen, and in marrow; growth, homing, egress, direct kill and lysis",
    constants=(
        *("kill_max", "kill_resistant", "sheltered", "blood_cells", "tissue_cells", "marrow_cells"),
        *("lysis_rate", "birth_rate", "death_rate_tissue", "death_rate_blood"),
        *("homing_rate", "egress_rate", "tissue_share", "marrow_capacity"),
    ),
    daily={
        "net_growth": "birth_rate - death_rate_tissue",
        "per_capacity": "1 / marrow_capacity",
        "spared": "max(kill_resistant, sheltered)",
    },
    signals={"kill": "kill_max * kill_signal"},
    terms={
        "returned": "homing_rate * blood",
        "leaving_tissue": "egress_rate * max(tissue - sheltered * tissue_cells, 0)",
        "leaving_marrow": "egress_rate * max(marrow - sheltered * marrow_cells, 0)",
        "growth_marrow": "net_growth * marrow * (1 - marrow * per_capacity)",
        "killed_blood": "kill * max(blood - kill_resistant * blood_cells, 0)",
        "killed_tissue": "kill * max(tissue - spared * tissue_cells, 0)",
        "killed_marrow": "kill * max(marrow - spared * marrow_cells, 0)",
    },
    states={
        "blood": "leaving_tissue + leaving_marrow - returned - death_rate_blood * blood - killed_blood",
        "tissue": "net_growth * tissue - leaving_tissue + tissue_share * returned - killed_tissue",
        "marrow": "growth_marrow - leaving_marrow + (1 - tissue_share) * returned - killed_marrow",
        "dying": "killed_blood + killed_tissue + killed_marrow - lysis_rate * dying",
    },
    parts=2,
    balances={
        "cells_born": "net_growth * tissue + growth_marrow - death_rate_blood * blood",
        "cells_lysed": "lysis_rate * dying",
    },
)

"""Names and places of everything that the kernel works on."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

LANES = 16  # subjects in a block

# What is kept of each subject. Units: mg (depot, central), ng/mL (effect), 1 (activation to effector_2, filtration,
# oxypurinol, rasburicase), 10^9 cells (blood, tissue, marrow, dying), 10^9/L (neutrophil and platelet chains), g/L
# (hemoglobin), mmol/L (urate to creatinine). The rest are running totals since the start, in mmol, 10^9 cells or
# mg d/L (exposure), (precipitated: mmol/L; calcium_exchanged: mmol/L), kept for the balances.
STATES = (
    *("depot", "central", "effect", "activation", "tolerance", "inflammation", "effector_1", "effector_2"),
    *("blood", "tissue", "marrow", "dying"),
    *("neutrophil_precursors", "neutrophil_transit_1", "neutrophil_transit_2", "neutrophil_transit_3", "neutrophils"),
    *("platelet_precursors", "platelet_transit_1", "platelet_transit_2", "platelet_transit_3", "platelets"),
    *("hemoglobin", "urate", "phosphate", "potassium", "calcium", "creatinine", "filtration"),
    *("oxypurinol", "rasburicase"),
    *("neutrophil_drive", "platelet_drive", "phosphate_threshold", "potassium_drive"),
    *("cells_born", "cells_lysed", "urate_made", "urate_excreted", "urate_oxidised", "phosphate_excreted"),
    *("precipitated", "potassium_excreted", "calcium_exchanged", "exposure"),
)
# Per subject, constant. Names and units as in the population file (see parameters.py); rates per day.
CONSTANTS = (
    *("absorption_rate", "clearance", "renal_fraction", "relative_crcl", "volume", "effect_rate"),
    *("activation_ec50", "activation_rate", "tolerance_rate", "inflammation_rate", "inflammation_gain"),
    *("inflammation_power", "effector_rate", "steroid_effect"),
    *("effector_kill", "inflammation_kill", "lysis_rate", "birth_rate", "death_rate_tissue", "death_rate_blood"),
    *("homing_rate", "homing_gain", "egress_block", "homing_ec50", "egress_rate", "tissue_share", "marrow_capacity"),
    *("crowding", "crowding_half", "neutrophil_setpoint", "neutrophil_rate", "neutrophil_feedback"),
    *("neutrophil_emax", "neutrophil_ec50", "platelet_setpoint", "platelet_rate", "platelet_feedback"),
    *("platelet_emax", "platelet_ec50", "gcsf_gain", "gcsf_speed"),
    *("hemoglobin_setpoint", "hemoglobin_rate", "hemoglobin_crowding", "hemoglobin_effect"),
    *("gfr", "urate_production", "urate_volume", "urate_gut_clearance", "urate_excretion", "allopurinol_block"),
    *("allopurinol_rate", "urate_yield", "rasburicase_kill", "rasburicase_decay", "urine_flow", "urine_flow_hydrated"),
    *("urate_threshold", "phosphate_intake", "phosphate_yield", "phosphate_volume", "phosphate_tm"),
    *("phosphate_baseline", "phosphate_power", "potassium_intake", "potassium_yield", "potassium_volume"),
    *("potassium_baseline", "potassium_power", "potassium_gfr_power", "calcium_rate", "calcium_baseline"),
    *("precipitation_rate", "precipitation_limit", "creatinine_production", "creatinine_volume"),
    *("crystal_injury", "precipitate_injury", "recovery_rate", "inflammatory_gfr_loss", "inflammatory_gfr_half"),
)
# What is taken today: mg of the study drug; the others 0 or 1 (rasburicase: one standard dose today).
INPUTS = ("dose", "allopurinol", "hydration", "rasburicase", "steroid", "gcsf")

# What is prepared so that the inner loop divides seldom: effects of the drug as of now (the last two: what is left of
# production), and one over constants of the day.
PREPARED = (
    *("activated", "homing_signal", "neutrophils_let", "platelets_let"),
    *("marrow_capacity", "urate_volume", "phosphate_volume", "potassium_volume", "creatinine_volume"),
    "urate_tolerated",
)

N_STATES, N_CONSTANTS, N_INPUTS = len(STATES), len(CONSTANTS), len(INPUTS)


def _rows(name: str, fields: tuple[str, ...], first: int) -> Any:
    """Where each row begins in the working array of a block, by name; compiled code reads these as constants."""
    offsets: list[Any] = [LANES * (first + i) for i in range(len(fields))]
    return namedtuple(name, fields)(*offsets)


# The working array of a block: rows of LANES numbers.
Y = _rows("Now", STATES, 0)  # the states now
T = _rows("Trial", STATES, N_STATES)  # the states at which slopes are taken
C = _rows("Constants", CONSTANTS, 5 * N_STATES)
I = _rows("Inputs", INPUTS, 5 * N_STATES + N_CONSTANTS)
P = _rows("Prepared", PREPARED, 5 * N_STATES + N_CONSTANTS + N_INPUTS)
STATE_SPAN = N_STATES * LANES
NOW, TRIAL, SLOPES, OLD, SUM = (i * STATE_SPAN for i in range(5))
AT_CONSTANTS = 5 * STATE_SPAN
AT_INPUTS = AT_CONSTANTS + N_CONSTANTS * LANES
AT_PREPARED = AT_INPUTS + N_INPUTS * LANES
SIZE = AT_PREPARED + len(PREPARED) * LANES
SET = 8 * LANES  # the drug over half a step: 8 coefficients; there are 3 sets for 3 sizes of step
# States before FED are exact, from there they feed back, from ADDED they only add up, from EXACT exact again.
FED, ADDED, EXACT = (LANES * STATES.index(name) for name in ("activation", "cells_born", "exposure"))

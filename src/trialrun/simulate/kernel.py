"""The biology, one day at a time: pharmacokinetics, immune activation, leukaemia, marrow, lysis products and kidney.

The equations are those of docs/simulate.md. Subjects stand in blocks of `LANES`, and every loop over the lanes of a
block is innermost and straight-line, so that the compiler can work on several subjects in one instruction. A block
is always full (its last subject is repeated), and how finely a subject's day is cut depends on that subject alone;
so a subject's numbers are the same bits alone and in any company, order, chunk or thread.

Within a day: the drug in gut, blood and effect site is exact (sums of exponentials; clearance follows the kidney
from day to day and is held constant within the day); the rest goes by the classical Runge-Kutta method of order 4 on
a grid that is finer after the dose. The difference of each step's last slope and the slope found there anew
estimates the error (an embedded method of order 3); a subject above `TOLERANCE` repeats the day with halved steps.

Everything that the compiled code reads stands in this file, because Numba's cache on disk looks at no other.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LANES = 16
TOLERANCE = 2e-4  # of the estimated error of a step, relative; the tests measure what it means for daily outputs
MOST_HALVINGS = 9

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

N_STATES, N_CONSTANTS, N_INPUTS = len(STATES), len(CONSTANTS), len(INPUTS)


def _rows(name: str, fields: tuple[str, ...], first: int) -> Any:
    """Where each row begins in the working array of a block, by name; compiled code reads these as constants."""
    offsets: list[Any] = [LANES * (first + i) for i in range(len(fields))]
    return namedtuple(name, fields)(*offsets)


# The working array of a block: rows of LANES numbers.
_Y = _rows("Now", STATES, 0)  # the states now
_T = _rows("Trial", STATES, N_STATES)  # the states at which slopes are taken
_K = _rows("Slopes", STATES, 2 * N_STATES)
_C = _rows("Constants", CONSTANTS, 6 * N_STATES)
_I = _rows("Inputs", INPUTS, 6 * N_STATES + N_CONSTANTS)
_STATE_SPAN = N_STATES * LANES
_NOW, _TRIAL, _SLOPES, _OLD, _SUM, _START = (i * _STATE_SPAN for i in range(6))
_CONSTANTS = 6 * _STATE_SPAN
_INPUTS = _CONSTANTS + N_CONSTANTS * LANES
_DRUG = _INPUTS + N_INPUTS * LANES  # the drug over half a step: 8 coefficients for each of 3 sizes of step
_SET = 8 * LANES
_ERROR = _DRUG + 3 * _SET
_SIZE = _ERROR + LANES
# States before _FED are exact, from there they feed back, from _ADDED they only add up, from _EXACT exact again.
_FED, _ADDED, _EXACT = (LANES * STATES.index(name) for name in ("activation", "cells_born", "exposure"))

# One day: the sizes of its steps (halved as often as a subject needs), and which of the three sets of coefficients.
_STEP = np.array([1 / 32, 1 / 32, 1 / 16, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8])
_STEP_SET = np.array([0, 0, 1, 2, 2, 2, 2, 2, 2, 2])
_WEIGHT = np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6])
_AHEAD = np.array([0.5, 0.5, 1.0, 0.0])


@njit(cache=True, error_model="numpy", inline="always")
def _log(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a normal positive number, to 2 units in the last place, in plain arithmetic.

    Written out because a call of the C library would keep the compiler from working on several lanes at once (and
    differs between libraries). x = m 2^e with m from 0.71 to 1.41; log m = 2 artanh((m - 1)/(m + 1)) by its series.
    """
    bits = np.float64(x).view(np.uint64) + np.uint64(0x95F619980C433)
    exponent = np.uint64((bits >> np.uint64(52)) | np.uint64(0x4330000000000000)).view(np.float64) - 4503599627371519.0
    m = np.uint64((bits & np.uint64(0xFFFFFFFFFFFFF)) + np.uint64(0x3FE6A09E667F3BCD)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = (((2.0 / 21 * z + 2.0 / 19) * z + 2.0 / 17) * z + 2.0 / 15) * z + 2.0 / 13
    p = ((((p * z + 2.0 / 11) * z + 2.0 / 9) * z + 2.0 / 7) * z + 2.0 / 5) * z + 2.0 / 3
    return exponent * 0.693147180369123816490 + (exponent * 1.90821492927058770002e-10 + (2.0 * s + s * z * p))


@njit(cache=True, error_model="numpy", inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """Exponential of -700 < x < 700, to 2 units in the last place, in plain arithmetic: 2^n e^r, e^r by its series."""
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    n = shifted - 6755399441055744.0
    r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    p = ((1.0 / 479001600 * r + 1.0 / 39916800) * r + 1.0 / 3628800) * r + 1.0 / 362880
    p = (((p * r + 1.0 / 40320) * r + 1.0 / 5040) * r + 1.0 / 720) * r + 1.0 / 120
    p = (((p * r + 1.0 / 24) * r + 1.0 / 6) * r + 0.5) * r + 1.0
    bits = np.float64(p * r + 1.0).view(np.uint64) + (np.float64(shifted).view(np.uint64) << np.uint64(52))
    return np.uint64(bits).view(np.float64)


@njit(cache=True, error_model="numpy")
def _slopes(w):  # type: ignore[no-untyped-def]
    """Slopes of all states that are not exact, for every lane of the block, per day."""
    for l in range(LANES):
        effect = w[_T.effect + l]
        # activation, tolerance, inflammation, delayed effectors
        activated = effect / (w[_C.activation_ec50 + l] + effect)
        activation, tolerance = w[_T.activation + l], w[_T.tolerance + l]
        inflammation = w[_T.inflammation + l]
        effector_1, effector_2 = w[_T.effector_1 + l], w[_T.effector_2 + l]
        excess = activation - tolerance
        drive = _exp(w[_C.inflammation_power + l] * _log(max(excess, 1e-30)))
        drive = drive if excess > 0.0 else 0.0
        drive = drive * w[_C.inflammation_gain + l] * (1.0 - w[_C.steroid_effect + l] * w[_I.steroid + l])
        w[_K.activation + l] = w[_C.activation_rate + l] * (activated - activation)
        w[_K.tolerance + l] = w[_C.tolerance_rate + l] * excess
        w[_K.inflammation + l] = w[_C.inflammation_rate + l] * (drive - inflammation)
        w[_K.effector_1 + l] = w[_C.effector_rate + l] * (activated - effector_1)
        w[_K.effector_2 + l] = w[_C.effector_rate + l] * (effector_1 - effector_2)

        # leukaemia
        blood, tissue, marrow, dying = w[_T.blood + l], w[_T.tissue + l], w[_T.marrow + l], w[_T.dying + l]
        homing_signal = effect / (w[_C.homing_ec50 + l] + effect)
        square = inflammation * inflammation
        acute = w[_C.inflammation_kill + l] * square / (1.0 + inflammation)
        late = w[_C.effector_kill + l] * effector_2
        kill_tissue, kill_blood = late + acute, late + 0.5 * acute
        egress = w[_C.egress_rate + l] * (1.0 - w[_C.egress_block + l] * homing_signal)
        homing = w[_C.homing_rate + l] * (1.0 + w[_C.homing_gain + l] * homing_signal) * blood
        share = w[_C.tissue_share + l]
        growth = w[_C.birth_rate + l] - w[_C.death_rate_tissue + l]
        growth_tissue = growth * tissue
        growth_marrow = growth * marrow * (1.0 - marrow / w[_C.marrow_capacity + l])
        death_blood = w[_C.death_rate_blood + l] * blood
        killed_blood = kill_blood * blood
        lysed = w[_C.lysis_rate + l] * dying
        w[_K.blood + l] = egress * (tissue + marrow) - homing - death_blood - killed_blood
        w[_K.tissue + l] = growth_tissue - egress * tissue + share * homing - kill_tissue * tissue
        marrow_change = growth_marrow - egress * marrow + (1.0 - share) * homing - kill_tissue * marrow
        w[_K.marrow + l] = marrow_change
        w[_K.dying + l] = kill_tissue * (tissue + marrow) + killed_blood - lysed
        w[_K.cells_born + l] = growth_tissue + growth_marrow - death_blood
        w[_K.cells_lysed + l] = lysed

        # marrow: crowding, two chains of precursors with feedback, hemoglobin
        per_marrow = 1.0 / (marrow + w[_C.crowding_half + l])
        crowd = marrow * per_marrow
        room = 1.0 - w[_C.crowding + l] * crowd
        room_change = -w[_C.crowding + l] * w[_C.crowding_half + l] * marrow_change * per_marrow * per_marrow / room
        more = 1.0 + (w[_C.gcsf_gain + l] - 1.0) * w[_I.gcsf + l]
        faster = 1.0 + (w[_C.gcsf_speed + l] - 1.0) * w[_I.gcsf + l]
        first, second = w[_T.neutrophil_precursors + l], w[_T.neutrophil_transit_1 + l]
        third, fourth = w[_T.neutrophil_transit_2 + l], w[_T.neutrophil_transit_3 + l]
        count = w[_T.neutrophils + l]
        rate = w[_C.neutrophil_rate + l] * faster
        blocked = 1.0 - w[_C.neutrophil_emax + l] * effect / (w[_C.neutrophil_ec50 + l] + effect)
        feedback = w[_T.neutrophil_drive + l]
        w[_K.neutrophil_precursors + l] = rate * first * (blocked * feedback * more - 1.0)
        w[_K.neutrophil_transit_1 + l] = rate * (first - second)
        w[_K.neutrophil_transit_2 + l] = rate * (second - third)
        w[_K.neutrophil_transit_3 + l] = rate * (third - fourth)
        change = rate * (fourth - count)
        w[_K.neutrophils + l] = change
        w[_K.neutrophil_drive + l] = w[_C.neutrophil_feedback + l] * feedback * (room_change - change / count)
        first, second = w[_T.platelet_precursors + l], w[_T.platelet_transit_1 + l]
        third, fourth = w[_T.platelet_transit_2 + l], w[_T.platelet_transit_3 + l]
        count = w[_T.platelets + l]
        rate = w[_C.platelet_rate + l]
        blocked = 1.0 - w[_C.platelet_emax + l] * effect / (w[_C.platelet_ec50 + l] + effect)
        feedback = w[_T.platelet_drive + l]
        w[_K.platelet_precursors + l] = rate * first * (blocked * feedback - 1.0)
        w[_K.platelet_transit_1 + l] = rate * (first - second)
        w[_K.platelet_transit_2 + l] = rate * (second - third)
        w[_K.platelet_transit_3 + l] = rate * (third - fourth)
        change = rate * (fourth - count)
        w[_K.platelets + l] = change
        w[_K.platelet_drive + l] = w[_C.platelet_feedback + l] * feedback * (room_change - change / count)
        hemoglobin_goal = 1.0 - w[_C.hemoglobin_crowding + l] * crowd
        hemoglobin_goal = hemoglobin_goal * (1.0 - w[_C.hemoglobin_effect + l] * activated)
        hemoglobin_goal = hemoglobin_goal * w[_C.hemoglobin_setpoint + l]
        w[_K.hemoglobin + l] = w[_C.hemoglobin_rate + l] * (hemoglobin_goal - w[_T.hemoglobin + l])

        # what lysed cells set free, and the kidney
        relative = w[_T.filtration + l]
        gfr = relative * w[_C.gfr + l]
        urate, phosphate, calcium = w[_T.urate + l], w[_T.phosphate + l], w[_T.calcium + l]
        oxypurinol, rasburicase = w[_T.oxypurinol + l], w[_T.rasburicase + l]
        made = w[_C.urate_production + l] + w[_C.urate_yield + l] * lysed
        made = made * (1.0 - w[_C.allopurinol_block + l] * oxypurinol)
        excreted = w[_C.urate_excretion + l] * gfr * urate
        left = w[_C.urate_gut_clearance + l] * urate + excreted
        oxidised = w[_C.rasburicase_kill + l] * rasburicase * urate * w[_C.urate_volume + l]
        w[_K.urate + l] = (made - left - oxidised) / w[_C.urate_volume + l]
        w[_K.urate_made + l] = made
        w[_K.urate_excreted + l] = left
        w[_K.urate_oxidised + l] = oxidised
        w[_K.oxypurinol + l] = w[_C.allopurinol_rate + l] * (w[_I.allopurinol + l] - oxypurinol)
        w[_K.rasburicase + l] = -w[_C.rasburicase_decay + l] * rasburicase

        precipitating = w[_C.precipitation_rate + l] * max(calcium * phosphate - w[_C.precipitation_limit + l], 0.0)
        tm = w[_T.phosphate_threshold + l]
        phosphate_out = gfr * max(phosphate - tm, 0.0)
        phosphate_in = w[_C.phosphate_intake + l] + w[_C.phosphate_yield + l] * lysed
        change = (phosphate_in - phosphate_out) / w[_C.phosphate_volume + l] - precipitating
        w[_K.phosphate + l] = change
        w[_K.phosphate_threshold + l] = -w[_C.phosphate_power + l] * tm * change / phosphate
        w[_K.phosphate_excreted + l] = phosphate_out
        w[_K.precipitated + l] = precipitating
        calcium_exchange = w[_C.calcium_rate + l] * (w[_C.calcium_baseline + l] - calcium)
        w[_K.calcium + l] = calcium_exchange - precipitating
        w[_K.calcium_exchanged + l] = calcium_exchange

        drive = w[_T.potassium_drive + l]
        potassium_out = w[_C.potassium_intake + l] * drive
        potassium_in = w[_C.potassium_intake + l] + w[_C.potassium_yield + l] * lysed
        potassium_change = (potassium_in - potassium_out) / w[_C.potassium_volume + l]
        w[_K.potassium + l] = potassium_change
        w[_K.potassium_excreted + l] = potassium_out

        creatinine_out = gfr * w[_T.creatinine + l]
        w[_K.creatinine + l] = (w[_C.creatinine_production + l] - creatinine_out) / w[_C.creatinine_volume + l]
        flow = w[_C.urine_flow + l] + (w[_C.urine_flow_hydrated + l] - w[_C.urine_flow + l]) * w[_I.hydration + l]
        crystals = max(excreted / (flow * w[_C.urate_threshold + l]) - 1.0, 0.0)
        injury = w[_C.crystal_injury + l] * crystals + w[_C.precipitate_injury + l] * precipitating
        goal = 1.0 - w[_C.inflammatory_gfr_loss + l] * square / (square + w[_C.inflammatory_gfr_half + l])
        change = w[_C.recovery_rate + l] * (goal - relative) - relative * injury
        w[_K.filtration + l] = change
        change = w[_C.potassium_gfr_power + l] * change / relative
        change = change + w[_C.potassium_power + l] * potassium_change / w[_T.potassium + l]
        w[_K.potassium_drive + l] = drive * change


@njit(cache=True, error_model="numpy")
def _drug_over(t, gut, out, site):  # type: ignore[no-untyped-def]
    """The six exact coefficients of drug in gut, blood and site after time t (days), and two of its exposure.

    e2(x, y) = (exp(-y t) - exp(-x t))/(x - y) is kept exact where two rates are equal; `gut` must differ from `site`.
    """
    gut_out, out_site, out_zero = _pair(t, gut, out), _pair(t, out, site), _pair(t, out, 0.0)
    gut_site_blood = (out_site - gut_out) / (gut - site)
    gut_zero_blood = (out_zero - gut_out) / gut
    return (
        *(np.exp(-gut * t), np.exp(-out * t), np.exp(-site * t)),
        *(gut * gut_out, site * out_site, site * gut * gut_site_blood),
        *(out_zero, gut * gut_zero_blood),
    )


@njit(cache=True, error_model="numpy")
def _pair(t, x, y):  # type: ignore[no-untyped-def]
    """(exp(-y t) - exp(-x t))/(x - y), or its limit where x = y."""
    z = (x - y) * t
    if abs(z) < 1e-5:
        return np.exp(-y * t) * t * (1.0 - z / 2.0 + z * z / 6.0)
    return -np.exp(-y * t) * np.expm1(-z) / (x - y)


@njit(cache=True, error_model="numpy")
def _move_drug(w, base):  # type: ignore[no-untyped-def]
    """The drug of every lane over half a step, exact; `base` is where the eight coefficients begin."""
    for l in range(LANES):
        depot, central = w[_Y.depot + l], w[_Y.central + l]
        per_volume = 1000.0 / w[_C.volume + l]
        effect = w[base + 2 * LANES + l] * w[_Y.effect + l]
        effect = effect + per_volume * (w[base + 4 * LANES + l] * central + w[base + 5 * LANES + l] * depot)
        exposure = w[base + 6 * LANES + l] * central + w[base + 7 * LANES + l] * depot
        w[_Y.exposure + l] = w[_Y.exposure + l] + exposure / w[_C.volume + l]
        w[_Y.effect + l] = effect
        w[_T.effect + l] = effect
        w[_Y.central + l] = w[base + LANES + l] * central + w[base + 3 * LANES + l] * depot
        w[_Y.depot + l] = w[base + l] * depot


@njit(cache=True, error_model="numpy", inline="always")
def _carry_powers(w, l):  # type: ignore[no-untyped-def]
    """Four powers of states, exact at the start of the day; within it they are carried as states of their own.

    With v = x^p, dv/dt = p v (dx/dt)/x: no power is then taken in the inner loop.
    """
    marrow = w[_Y.marrow + l]
    room = 1.0 - w[_C.crowding + l] * marrow / (marrow + w[_C.crowding_half + l])
    goal = _log(w[_C.neutrophil_setpoint + l] * room / w[_Y.neutrophils + l])
    w[_Y.neutrophil_drive + l] = _exp(w[_C.neutrophil_feedback + l] * goal)
    goal = _log(w[_C.platelet_setpoint + l] * room / w[_Y.platelets + l])
    w[_Y.platelet_drive + l] = _exp(w[_C.platelet_feedback + l] * goal)
    fall = w[_C.phosphate_power + l] * _log(w[_C.phosphate_baseline + l] / w[_Y.phosphate + l])
    w[_Y.phosphate_threshold + l] = w[_C.phosphate_tm + l] * _exp(fall)
    rise = w[_C.potassium_power + l] * _log(w[_Y.potassium + l] / w[_C.potassium_baseline + l])
    w[_Y.potassium_drive + l] = _exp(rise + w[_C.potassium_gfr_power + l] * _log(w[_Y.filtration + l]))


@njit(cache=True, error_model="numpy")
def _day(w, halvings):  # type: ignore[no-untyped-def]
    """One day of the block in place, each step of the grid halved so often; fills the row of estimated errors."""
    for l in range(LANES):
        gut, site = w[_C.absorption_rate + l], w[_C.effect_rate + l]
        renal = w[_C.renal_fraction + l] * w[_C.relative_crcl + l] * w[_Y.filtration + l]
        out = w[_C.clearance + l] * (1.0 - w[_C.renal_fraction + l] + renal) / w[_C.volume + l]
        for size in range(3):
            over = _drug_over(0.015625 * 2.0 ** (size - halvings), gut, out, site)
            for i in range(8):
                w[_DRUG + size * _SET + i * LANES + l] = over[i]
        w[_Y.depot + l] = w[_Y.depot + l] + w[_I.dose + l]
        w[_Y.rasburicase + l] = w[_Y.rasburicase + l] + w[_I.rasburicase + l]
        w[_ERROR + l] = -1.0
        _carry_powers(w, l)
    w[_TRIAL:_SLOPES] = w[_NOW:_TRIAL]
    _slopes(w)
    for step in range(_STEP.size):
        length = _STEP[step] * 0.5**halvings
        base = _DRUG + _STEP_SET[step] * _SET
        for _ in range(1 << halvings):
            w[_SUM:_START] = 0.0
            for stage in range(4):
                if stage > 0:
                    _slopes(w)
                weight, ahead = _WEIGHT[stage] * length, _AHEAD[stage] * length
                if stage == 3:
                    w[_OLD + _FED : _OLD + _ADDED] = w[_SLOPES + _FED : _SLOPES + _ADDED]
                for i in range(_FED, _EXACT):
                    w[_SUM + i] = w[_SUM + i] + weight * w[_SLOPES + i]
                if stage < 3:
                    for i in range(_FED, _ADDED):
                        w[_TRIAL + i] = w[_NOW + i] + ahead * w[_SLOPES + i]
                if stage == 0 or stage == 2:
                    _move_drug(w, base)
            for i in range(_FED, _EXACT):
                w[_NOW + i] = w[_NOW + i] + w[_SUM + i]
            w[_TRIAL + _FED : _TRIAL + _ADDED] = w[_NOW + _FED : _NOW + _ADDED]
            _slopes(w)  # the first slopes of the next step
            for row in range(_FED, _ADDED, LANES):
                for l in range(LANES):
                    gap = abs(w[_SLOPES + row + l] - w[_OLD + row + l]) * (length / 6.0)
                    error = gap - TOLERANCE * (abs(w[_NOW + row + l]) + 1e-3)
                    # not max(): an error that is not a number must not be lost
                    w[_ERROR + l] = w[_ERROR + l] if error <= w[_ERROR + l] else error


@njit(cache=True, error_model="numpy", nogil=True)
def advance(states, constants, inputs, days):  # type: ignore[no-untyped-def]
    """Advance blocks of subjects by whole days with the same inputs each day, in place.

    `states` (blocks, N_STATES, LANES), `constants` (blocks, N_CONSTANTS, LANES), `inputs` (blocks, N_INPUTS, LANES):
    see STATES, CONSTANTS, INPUTS. Returns how often a day was halved most, or -b - 1 where a day of block b cannot be
    solved (its states then hold what was reached). Memory: one working array, whatever the number of blocks.
    """
    w = np.empty(_SIZE)
    most = 0
    done = np.empty(LANES, dtype=np.bool_)
    for block in range(states.shape[0]):
        w[_CONSTANTS:_INPUTS] = constants[block].ravel()
        w[_INPUTS:_DRUG] = inputs[block].ravel()
        w[_NOW:_TRIAL] = states[block].ravel()
        for _ in range(days):
            w[_START:_CONSTANTS] = w[_NOW:_TRIAL]
            left = LANES
            done[:] = False
            for halvings in range(MOST_HALVINGS + 1):
                _day(w, halvings)
                for l in range(LANES):
                    if not done[l] and w[_ERROR + l] <= 0.0:
                        done[l] = True
                        left -= 1
                        for i in range(N_STATES):
                            states[block, i, l] = w[_NOW + i * LANES + l]
                most = max(most, halvings)
                if left == 0:
                    break
                w[_NOW:_TRIAL] = w[_START:_CONSTANTS]
            if left > 0:
                return -block - 1
            w[_NOW:_TRIAL] = states[block].ravel()
    return most

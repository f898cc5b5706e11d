"""The biology, one day at a time: pharmacokinetics, immune activation, leukaemia, marrow, lysis products and kidney.

The equations are those of docs/simulate.md. Subjects stand in blocks of `LANES`, and every loop over the lanes of a
block is innermost and straight-line, so that the compiler can work on several subjects in one instruction. A block
is always full (its last subject is repeated), and how finely a subject's day is cut depends on that subject alone;
so a subject's numbers are the same bits alone and in any company, order, chunk or thread.

Within a day: the drug in gut, blood and effect site is exact (sums of exponentials; clearance follows the kidney
from day to day and is held constant within the day); the rest goes by the classical Runge-Kutta method of order 4 on
a grid that is finer after the dose. The difference of each step's last slope and the slope found there anew
estimates the error (an embedded method of order 3); a subject above `TOLERANCE` repeats the day with halved steps.
"""

from __future__ import annotations

from hashlib import blake2b
from importlib.resources import files
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trialrun.simulate.arithmetic import drug_over, exp, log
from trialrun.simulate.layout import (
    ADDED,
    AT_CONSTANTS,
    AT_INPUTS,
    AT_PREPARED,
    EXACT,
    FED,
    LANES,
    N_STATES,
    NOW,
    OLD,
    SET,
    SIZE,
    SLOPES,
    STATE_SPAN,
    SUM,
    TRIAL,
    C,
    I,
    P,
    T,
    Y,
)

FloatArray = NDArray[np.float64]

TOLERANCE = 5e-4  # of the estimated error of a step, relative; the tests measure what it means for daily outputs
MOST_HALVINGS = 9

# One day: the sizes of its steps (halved as often as a subject needs), and which of the sets of coefficients.
_STEP = np.array([1 / 32, 1 / 32, 1 / 16, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 0.0])
_STEP_SET = np.array([0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 3])
_WEIGHT = np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6])
_AHEAD = np.array([0.5, 0.5, 1.0, 0.0])


@njit(error_model="numpy")
def _add(w, at, slope, weight):  # type: ignore[no-untyped-def]
    """Book the slope of a state that feeds nothing; `at` is its place among the states now."""
    w[SUM + at] = w[SUM + at] + weight * slope


@njit(error_model="numpy")
def _put(w, at, slope, weight, ahead):  # type: ignore[no-untyped-def]
    """Book the slope of a state that feeds back. Its trial value must have been read before."""
    w[SLOPES + at] = slope
    w[SUM + at] = w[SUM + at] + weight * slope
    w[TRIAL + at] = w[NOW + at] + ahead * slope


@njit(error_model="numpy")
def _stage(w, weight, ahead):  # type: ignore[no-untyped-def]
    """One stage of Runge-Kutta: slopes (per day) at the trial states of every lane; add them to the sum with this
    weight, and go ahead from where the step began to the next trial states."""
    for l in range(LANES):
        # activation, tolerance, inflammation, delayed effectors
        activated = w[P.activated + l]
        activation, tolerance = w[T.activation + l], w[T.tolerance + l]
        inflammation = w[T.inflammation + l]
        effector_1, effector_2 = w[T.effector_1 + l], w[T.effector_2 + l]
        excess = activation - tolerance
        drive = exp(w[C.inflammation_power + l] * log(max(excess, 1e-30)))
        drive = drive if excess > 0.0 else 0.0
        drive = drive * w[C.inflammation_gain + l] * (1.0 - w[C.steroid_effect + l] * w[I.steroid + l])
        _put(w, Y.activation + l, w[C.activation_rate + l] * (activated - activation), weight, ahead)
        _put(w, Y.tolerance + l, w[C.tolerance_rate + l] * excess, weight, ahead)
        _put(w, Y.inflammation + l, w[C.inflammation_rate + l] * (drive - inflammation), weight, ahead)
        _put(w, Y.effector_1 + l, w[C.effector_rate + l] * (activated - effector_1), weight, ahead)
        _put(w, Y.effector_2 + l, w[C.effector_rate + l] * (effector_1 - effector_2), weight, ahead)

        # leukaemia
        blood, tissue, marrow, dying = w[T.blood + l], w[T.tissue + l], w[T.marrow + l], w[T.dying + l]
        homing_signal = w[P.homing_signal + l]
        square = inflammation * inflammation
        acute = w[C.inflammation_kill + l] * square / (1.0 + inflammation)
        late = w[C.effector_kill + l] * effector_2
        kill_tissue, kill_blood = late + acute, late + 0.5 * acute
        egress = w[C.egress_rate + l] * (1.0 - w[C.egress_block + l] * homing_signal)
        homing = w[C.homing_rate + l] * (1.0 + w[C.homing_gain + l] * homing_signal) * blood
        share = w[C.tissue_share + l]
        growth = w[C.birth_rate + l] - w[C.death_rate_tissue + l]
        growth_tissue = growth * tissue
        growth_marrow = growth * marrow * (1.0 - marrow * w[P.marrow_capacity + l])
        death_blood = w[C.death_rate_blood + l] * blood
        killed_blood = kill_blood * blood
        lysed = w[C.lysis_rate + l] * dying
        _put(w, Y.blood + l, egress * (tissue + marrow) - homing - death_blood - killed_blood, weight, ahead)
        _put(w, Y.tissue + l, growth_tissue - egress * tissue + share * homing - kill_tissue * tissue, weight, ahead)
        marrow_change = growth_marrow - egress * marrow + (1.0 - share) * homing - kill_tissue * marrow
        _put(w, Y.marrow + l, marrow_change, weight, ahead)
        _put(w, Y.dying + l, kill_tissue * (tissue + marrow) + killed_blood - lysed, weight, ahead)
        _add(w, Y.cells_born + l, growth_tissue + growth_marrow - death_blood, weight)
        _add(w, Y.cells_lysed + l, lysed, weight)

        # marrow: crowding, two chains of precursors with feedback, hemoglobin
        per_marrow = 1.0 / (marrow + w[C.crowding_half + l])
        crowd = marrow * per_marrow
        room = 1.0 - w[C.crowding + l] * crowd
        room_change = -w[C.crowding + l] * w[C.crowding_half + l] * marrow_change * per_marrow * per_marrow / room
        more = 1.0 + (w[C.gcsf_gain + l] - 1.0) * w[I.gcsf + l]
        faster = 1.0 + (w[C.gcsf_speed + l] - 1.0) * w[I.gcsf + l]
        first, second = w[T.neutrophil_precursors + l], w[T.neutrophil_transit_1 + l]
        third, fourth = w[T.neutrophil_transit_2 + l], w[T.neutrophil_transit_3 + l]
        count = w[T.neutrophils + l]
        rate = w[C.neutrophil_rate + l] * faster
        let = w[P.neutrophils_let + l]
        feedback = w[T.neutrophil_drive + l]
        _put(w, Y.neutrophil_precursors + l, rate * first * (let * feedback * more - 1.0), weight, ahead)
        _put(w, Y.neutrophil_transit_1 + l, rate * (first - second), weight, ahead)
        _put(w, Y.neutrophil_transit_2 + l, rate * (second - third), weight, ahead)
        _put(w, Y.neutrophil_transit_3 + l, rate * (third - fourth), weight, ahead)
        change = rate * (fourth - count)
        _put(w, Y.neutrophils + l, change, weight, ahead)
        _put(
            w,
            Y.neutrophil_drive + l,
            w[C.neutrophil_feedback + l] * feedback * (room_change - change / count),
            weight,
            ahead,
        )
        first, second = w[T.platelet_precursors + l], w[T.platelet_transit_1 + l]
        third, fourth = w[T.platelet_transit_2 + l], w[T.platelet_transit_3 + l]
        count = w[T.platelets + l]
        rate = w[C.platelet_rate + l]
        let = w[P.platelets_let + l]
        feedback = w[T.platelet_drive + l]
        _put(w, Y.platelet_precursors + l, rate * first * (let * feedback - 1.0), weight, ahead)
        _put(w, Y.platelet_transit_1 + l, rate * (first - second), weight, ahead)
        _put(w, Y.platelet_transit_2 + l, rate * (second - third), weight, ahead)
        _put(w, Y.platelet_transit_3 + l, rate * (third - fourth), weight, ahead)
        change = rate * (fourth - count)
        _put(w, Y.platelets + l, change, weight, ahead)
        _put(
            w,
            Y.platelet_drive + l,
            w[C.platelet_feedback + l] * feedback * (room_change - change / count),
            weight,
            ahead,
        )
        hemoglobin_goal = 1.0 - w[C.hemoglobin_crowding + l] * crowd
        hemoglobin_goal = hemoglobin_goal * (1.0 - w[C.hemoglobin_effect + l] * activated)
        hemoglobin_goal = hemoglobin_goal * w[C.hemoglobin_setpoint + l]
        _put(w, Y.hemoglobin + l, w[C.hemoglobin_rate + l] * (hemoglobin_goal - w[T.hemoglobin + l]), weight, ahead)

        # what lysed cells set free, and the kidney
        relative = w[T.filtration + l]
        gfr = relative * w[C.gfr + l]
        urate, phosphate, calcium = w[T.urate + l], w[T.phosphate + l], w[T.calcium + l]
        oxypurinol, rasburicase = w[T.oxypurinol + l], w[T.rasburicase + l]
        made = w[C.urate_production + l] + w[C.urate_yield + l] * lysed
        made = made * (1.0 - w[C.allopurinol_block + l] * oxypurinol)
        excreted = w[C.urate_excretion + l] * gfr * urate
        left = w[C.urate_gut_clearance + l] * urate + excreted
        oxidised = w[C.rasburicase_kill + l] * rasburicase * urate * w[C.urate_volume + l]
        _put(w, Y.urate + l, (made - left - oxidised) * w[P.urate_volume + l], weight, ahead)
        _add(w, Y.urate_made + l, made, weight)
        _add(w, Y.urate_excreted + l, left, weight)
        _add(w, Y.urate_oxidised + l, oxidised, weight)
        _put(w, Y.oxypurinol + l, w[C.allopurinol_rate + l] * (w[I.allopurinol + l] - oxypurinol), weight, ahead)
        _put(w, Y.rasburicase + l, -w[C.rasburicase_decay + l] * rasburicase, weight, ahead)

        precipitating = w[C.precipitation_rate + l] * max(calcium * phosphate - w[C.precipitation_limit + l], 0.0)
        tm = w[T.phosphate_threshold + l]
        phosphate_out = gfr * max(phosphate - tm, 0.0)
        phosphate_in = w[C.phosphate_intake + l] + w[C.phosphate_yield + l] * lysed
        change = (phosphate_in - phosphate_out) * w[P.phosphate_volume + l] - precipitating
        _put(w, Y.phosphate + l, change, weight, ahead)
        _put(w, Y.phosphate_threshold + l, -w[C.phosphate_power + l] * tm * change / phosphate, weight, ahead)
        _add(w, Y.phosphate_excreted + l, phosphate_out, weight)
        _add(w, Y.precipitated + l, precipitating, weight)
        calcium_exchange = w[C.calcium_rate + l] * (w[C.calcium_baseline + l] - calcium)
        _put(w, Y.calcium + l, calcium_exchange - precipitating, weight, ahead)
        _add(w, Y.calcium_exchanged + l, calcium_exchange, weight)

        drive, potassium = w[T.potassium_drive + l], w[T.potassium + l]
        potassium_out = w[C.potassium_intake + l] * drive
        potassium_in = w[C.potassium_intake + l] + w[C.potassium_yield + l] * lysed
        potassium_change = (potassium_in - potassium_out) * w[P.potassium_volume + l]
        _put(w, Y.potassium + l, potassium_change, weight, ahead)
        _add(w, Y.potassium_excreted + l, potassium_out, weight)

        creatinine_out = gfr * w[T.creatinine + l]
        _put(
            w,
            Y.creatinine + l,
            (w[C.creatinine_production + l] - creatinine_out) * w[P.creatinine_volume + l],
            weight,
            ahead,
        )
        crystals = max(excreted * w[P.urate_tolerated + l] - 1.0, 0.0)
        injury = w[C.crystal_injury + l] * crystals + w[C.precipitate_injury + l] * precipitating
        goal = 1.0 - w[C.inflammatory_gfr_loss + l] * square / (square + w[C.inflammatory_gfr_half + l])
        change = w[C.recovery_rate + l] * (goal - relative) - relative * injury
        _put(w, Y.filtration + l, change, weight, ahead)
        change = w[C.potassium_gfr_power + l] * change / relative
        change = change + w[C.potassium_power + l] * potassium_change / potassium
        _put(w, Y.potassium_drive + l, drive * change, weight, ahead)


@njit(error_model="numpy")
def _move_drug(w, over):  # type: ignore[no-untyped-def]
    """The drug of every lane over half a step, exact; `over` (8 x LANES,) are the coefficients of `drug_over`."""
    for l in range(LANES):
        depot, central = w[Y.depot + l], w[Y.central + l]
        per_volume = 1000.0 / w[C.volume + l]
        effect = over[2 * LANES + l] * w[Y.effect + l]
        effect = effect + per_volume * (over[4 * LANES + l] * central + over[5 * LANES + l] * depot)
        exposure = over[6 * LANES + l] * central + over[7 * LANES + l] * depot
        w[Y.exposure + l] = w[Y.exposure + l] + exposure / w[C.volume + l]
        w[Y.effect + l] = effect
        w[Y.central + l] = over[LANES + l] * central + over[3 * LANES + l] * depot
        w[Y.depot + l] = over[l] * depot
    _signal(w)


@njit(error_model="numpy")
def _signal(w):  # type: ignore[no-untyped-def]
    """What the concentration at the effect site does now, in every lane."""
    for l in range(LANES):
        effect = w[Y.effect + l]
        w[P.activated + l] = effect / (w[C.activation_ec50 + l] + effect)
        w[P.homing_signal + l] = effect / (w[C.homing_ec50 + l] + effect)
        w[P.neutrophils_let + l] = 1.0 - w[C.neutrophil_emax + l] * effect / (w[C.neutrophil_ec50 + l] + effect)
        w[P.platelets_let + l] = 1.0 - w[C.platelet_emax + l] * effect / (w[C.platelet_ec50 + l] + effect)


@njit(error_model="numpy")
def _prepare(w, l):  # type: ignore[no-untyped-def]
    """One over what is constant for a day."""
    w[P.marrow_capacity + l] = 1.0 / w[C.marrow_capacity + l]
    w[P.urate_volume + l] = 1.0 / w[C.urate_volume + l]
    w[P.phosphate_volume + l] = 1.0 / w[C.phosphate_volume + l]
    w[P.potassium_volume + l] = 1.0 / w[C.potassium_volume + l]
    w[P.creatinine_volume + l] = 1.0 / w[C.creatinine_volume + l]
    flow = w[C.urine_flow + l] + (w[C.urine_flow_hydrated + l] - w[C.urine_flow + l]) * w[I.hydration + l]
    w[P.urate_tolerated + l] = 1.0 / (flow * w[C.urate_threshold + l])


@njit(error_model="numpy")
def _carry_powers(w, l):  # type: ignore[no-untyped-def]
    """Four powers of states, exact at the start of the day; within it they are carried as states of their own.

    With v = x^p, dv/dt = p v (dx/dt)/x: no power is then taken in the inner loop.
    """
    marrow = w[Y.marrow + l]
    room = 1.0 - w[C.crowding + l] * marrow / (marrow + w[C.crowding_half + l])
    goal = log(w[C.neutrophil_setpoint + l] * room / w[Y.neutrophils + l])
    w[Y.neutrophil_drive + l] = exp(w[C.neutrophil_feedback + l] * goal)
    goal = log(w[C.platelet_setpoint + l] * room / w[Y.platelets + l])
    w[Y.platelet_drive + l] = exp(w[C.platelet_feedback + l] * goal)
    fall = w[C.phosphate_power + l] * log(w[C.phosphate_baseline + l] / w[Y.phosphate + l])
    w[Y.phosphate_threshold + l] = w[C.phosphate_tm + l] * exp(fall)
    rise = w[C.potassium_power + l] * log(w[Y.potassium + l] / w[C.potassium_baseline + l])
    w[Y.potassium_drive + l] = exp(rise + w[C.potassium_gfr_power + l] * log(w[Y.filtration + l]))


@njit(error_model="numpy")
def _day(w, drug, errors, halvings):  # type: ignore[no-untyped-def]
    """One day of the block in place, each step halved so often; `errors` (LANES,) end above 0 where too coarse.

    `drug` (4, 8 x LANES) is room for the coefficients of the drug.
    """
    for l in range(LANES):
        gut, site = w[C.absorption_rate + l], w[C.effect_rate + l]
        renal = w[C.renal_fraction + l] * w[C.relative_crcl + l] * w[Y.filtration + l]
        out = w[C.clearance + l] * (1.0 - w[C.renal_fraction + l] + renal) / w[C.volume + l]
        for size in range(4):
            half_step = 0.015625 * 2.0 ** (size - halvings) if size < 3 else 0.0
            over = drug_over(half_step, gut, out, site)
            for i in range(8):
                drug[size, i * LANES + l] = over[i]
        w[Y.depot + l] = w[Y.depot + l] + w[I.dose + l]
        w[Y.rasburicase + l] = w[Y.rasburicase + l] + w[I.rasburicase + l]
        errors[l] = -1.0
        _carry_powers(w, l)
        _prepare(w, l)
    w[TRIAL:SLOPES] = w[NOW:TRIAL]
    w[SUM:AT_CONSTANTS] = 0.0
    _signal(w)
    before = 0.0
    # after the last step one more of no length, of which only the first slopes are taken; and one call of each
    # function, because the compiler would optimise a copy of it for every call
    for step in range(_STEP.size):
        length = _STEP[step] * 0.5**halvings
        for _ in range(1 << halvings if length > 0.0 else 1):
            for stage in range(4 if length > 0.0 else 1):
                _stage(w, _WEIGHT[stage] * length, _AHEAD[stage] * length)
                if stage == 0:
                    _judge(w, errors, before)
                if stage % 2 == 0:
                    _move_drug(w, drug[_STEP_SET[step]])
            before = length / 6.0
            _end_step(w)


@njit(error_model="numpy")
def _end_step(w):  # type: ignore[no-untyped-def]
    """Take the step: sums of slopes into the states; keep the last slopes for the judgement."""
    for i in range(FED, ADDED):
        new = w[NOW + i] + w[SUM + i]
        w[OLD + i] = w[SLOPES + i]
        w[NOW + i] = new
        w[TRIAL + i] = new
        w[SUM + i] = 0.0
    for i in range(ADDED, EXACT):
        w[NOW + i] = w[NOW + i] + w[SUM + i]
        w[SUM + i] = 0.0


@njit(error_model="numpy")
def _judge(w, errors, before):  # type: ignore[no-untyped-def]
    """Compare the slopes with those at the end of the step before, which was 6 x `before` long (0: there was none)."""
    for i in range(FED, ADDED):
        gap = abs(w[SLOPES + i] - w[OLD + i]) * before
        w[OLD + i] = gap - TOLERANCE * (abs(w[NOW + i]) + 1e-3)
    for row in range(FED, ADDED, LANES):
        for l in range(LANES):
            # not max(): an error that is not a number must not be lost
            error = w[OLD + row + l]
            errors[l] = errors[l] if error <= errors[l] else error


def _compile(source: str) -> Any:
    """The compiled `advance`. Its cache on disk sees this file and what it closes over: so it closes over `source`."""

    @njit(cache=True, error_model="numpy", nogil=True)
    def advance(states, constants, inputs, days):  # type: ignore[no-untyped-def]
        """Advance blocks of subjects by whole days with the same inputs each day, in place.

        `states` (blocks, N_STATES, LANES), `constants` (blocks, N_CONSTANTS, LANES), `inputs` (blocks, N_INPUTS,
        LANES): see layout.py. Returns how often a day was halved most, or -b - 1 where a day of block b cannot be
        solved (its states then hold what was reached). Memory: one working array, whatever the number of blocks.
        """
        _ = source
        w = np.empty(SIZE)
        most = 0
        start = np.empty(STATE_SPAN)
        drug = np.empty((4, SET))
        errors = np.empty(LANES)
        done = np.empty(LANES, dtype=np.bool_)
        for block in range(states.shape[0]):
            w[AT_CONSTANTS:AT_INPUTS] = constants[block].ravel()
            w[AT_INPUTS:AT_PREPARED] = inputs[block].ravel()
            w[NOW:TRIAL] = states[block].ravel()
            for _ in range(days):
                start[:] = w[NOW:TRIAL]
                left = LANES
                done[:] = False
                for halvings in range(MOST_HALVINGS + 1):
                    _day(w, drug, errors, halvings)
                    for l in range(LANES):
                        if not done[l] and errors[l] <= 0.0:
                            done[l] = True
                            left -= 1
                            for i in range(N_STATES):
                                states[block, i, l] = w[NOW + i * LANES + l]
                    most = max(most, halvings)
                    if left == 0:
                        break
                    w[NOW:TRIAL] = start
                if left > 0:
                    return -block - 1
                w[NOW:TRIAL] = states[block].ravel()
        return most

    return advance


def _sources() -> str:
    room = files("trialrun.simulate")
    texts = [room.joinpath(f"{name}.py").read_bytes() for name in ("layout", "arithmetic", "kernel")]
    return blake2b(b"".join(texts), digest_size=16).hexdigest()


advance = _compile(_sources())

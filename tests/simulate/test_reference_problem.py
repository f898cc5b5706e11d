"""The reference problem of kernels: five steps a day with step control stay within 1e-4 of DOP853 at rtol 1e-10."""

from __future__ import annotations

import re

import numpy as np
import pytest

from simulate.reference_problem import (
    DAYS,
    FILE,
    KEPT,
    MODEL,
    PATIENTS,
    SEEDS,
    SPANS,
    arrays_of,
    draw_patients,
    error_of,
    one_of,
    outputs_of,
    run_days,
    run_spans,
    solve,
)
from trialrun.simulate.model.compiled import compile_model
from trialrun.simulate.model.generate import LANES, generate
from trialrun.simulate.model.library import find_model
from trialrun.simulate.model.module import Model
from trialrun.simulate.model.native import write_ir


@pytest.mark.parametrize("seed", SEEDS)
def test_every_output_of_every_kept_day_is_within_1e_4(seed: int) -> None:
    advance = compile_model(MODEL)
    found = run_days(advance, draw_patients(PATIENTS, seed))
    assert found.shape == (PATIENTS, DAYS, 5)
    with np.load(FILE) as file:
        answers = file[f"seed_{seed}"]
    assert error_of(found[:, KEPT, :], answers).max() <= 1e-4


def test_the_recorded_answers_are_those_of_the_right_hand_side() -> None:
    patients = draw_patients(PATIENTS, 1)
    with np.load(FILE) as file:
        answers = file["seed_1"]
    days = [day for day in KEPT if day < 14]
    again = solve(one_of(patients, 3), "Radau", 1e-8, 14)  # another method than the one that made the file
    kept = answers[3][[KEPT.index(day) for day in days]]
    assert error_of(again[days][None], kept[None]).max() <= 1e-5


def test_a_marrow_that_is_ablated_is_solved_by_smaller_steps() -> None:
    """At 40 mg a fixed step of 4.8 h gives no number for some; the day is taken again with half the step."""
    patients = draw_patients(64, 2)
    found = run_days(compile_model(MODEL), patients, dose=40.0)
    assert np.isfinite(found).all()
    assert (found[:, :, 1] > 0).all()
    assert found[:, :, 1].min() < 0.05


def test_days_one_by_one_and_whole_spans_end_in_the_same_bits() -> None:
    patients = draw_patients(21, 3)
    kernel = compile_model(MODEL)
    states, constants, inputs = arrays_of(patients)
    numbers, kept = kernel.prepare(constants), []
    for dose, days in SPANS:
        inputs[:] = dose
        for _ in range(days):
            assert kernel.advance(states, numbers, inputs, 1) >= 0
            kept.append(states.copy())
    assert run_spans(kernel, patients).tobytes() == states.tobytes()
    circ = np.array(kept)[:, :, MODEL.states.index("circ")].reshape(DAYS, -1)[:, :21].T
    assert run_days(kernel, patients)[:, :, 1].tobytes() == circ.tobytes()


@pytest.mark.parametrize("model", [MODEL, find_model("lenalidomide-cll", {}), find_model("venetoclax-cll", {})])
def test_every_statement_works_on_vectors_and_calls_no_library(model: Model) -> None:
    """One scalar call of a power would cost many times its own time without a word."""
    text = write_ir(generate(model), 4)
    statements, calls = text.split('@"prepare"')
    assert len(re.findall(r"fmul contract nsz <(4 x double|8 x float)>", statements)) > 200
    assert not re.search(r"f(add|sub|mul|div) (contract |nsz )*(double|float)", statements)
    assert not re.search(r"\bcall\b", statements)
    assert re.findall(r"call void @\"?(\w+)", calls)
    assert set(re.findall(r"call \w+ @\"?(\w+)", calls)) <= set(generate(model).functions)


def test_room_for_the_ends_of_days_must_fit() -> None:
    states, constants, inputs = arrays_of(draw_patients(3, 3))
    kernel = compile_model(MODEL)
    with pytest.raises(ValueError, match="C-contiguous"):
        kernel.advance(states, kernel.prepare(constants), inputs, 7, np.empty((1, 6, len(MODEL.states), LANES)))


@pytest.mark.parametrize("rtol", [1e-6])
def test_outputs_are_named_in_the_order_of_the_states(rtol: float) -> None:
    one = one_of(draw_patients(1, 4), 0)
    y = np.arange(12.0)
    assert outputs_of(one, y) == [1 / one["v"], 6.0, 7.0, 17.0, 11.0]
    assert solve(one, "LSODA", rtol, 2).shape == (2, 5)

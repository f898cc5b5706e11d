"""Steps worked out in single precision: near those in double precision, and never a wrong number in silence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulate.plain import FLOORS, planned_days, seen_by_rules
from trialrun.simulate.biology import Biology
from trialrun.simulate.model.compiled import compile_model
from trialrun.simulate.model.generate import LANES, generate
from trialrun.simulate.model.library import find_model
from trialrun.simulate.model.module import Model, Module
from trialrun.simulate.model.native import write_ir
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import draw_subjects

FloatArray = NDArray[np.float64]
STUDIES = Path(__file__).parents[2] / "studies"


def run(model: Model, start: float, constants: FloatArray, days: int = 1) -> tuple[int, FloatArray]:
    """What the kernel returns and the one state of one block at the end, (LANES,)."""
    kernel, states = compile_model(model), np.full((1, 1, LANES), start)
    numbers = kernel.prepare(np.ascontiguousarray(constants.reshape(1, -1, LANES)))
    return kernel.advance(states, numbers, np.zeros((1, 1, LANES)), days), states[0, 0]


@pytest.mark.parametrize("study", ["lenalidomide-25mg", "venetoclax-rampup"])
def test_what_rules_see_is_that_of_double_precision(study: str) -> None:
    n = 320
    subjects = draw_subjects(read_population(STUDIES / study), 11, np.arange(n))
    assert subjects.model.single
    double = replace(subjects, model=replace(subjects.model, single=False))
    both = [(Biology(one), one) for one in (subjects, double)]
    for day in planned_days(STUDIES / study, 168):
        found = []
        for biology, one in both:
            given = {name: np.full(n, value) for name, value in day.items() if name != "dose"}
            biology.advance_day(np.full(n, day["dose"]), given)
            found.append(seen_by_rules(one, np.array([[biology.state(name) for name in one.model.states]])))
        for name, values in found[0].items():
            error = np.abs(values - found[1][name]) / (np.abs(found[1][name]) + FLOORS.get(name, 0.0))
            # activation less tolerance is a small difference of large numbers; no rule sees inflammation itself
            most, usual = (2e-4, 1e-5) if name == "inflammation" else (1e-4, 2e-6)
            assert error.max() < most, (name, error.max())
            assert np.median(error) < usual, name


@pytest.mark.parametrize(("function", "range_"), [("log", (-80.0, 80.0)), ("exp", (-65.0, 80.0))])
def test_own_functions_are_those_of_the_c_library(function: str, range_: tuple[float, float]) -> None:
    drawn = np.random.default_rng(3).uniform(*range_, 40 * LANES)
    x = (np.exp(drawn) if function == "log" else drawn).astype(np.float32).astype(np.float64)
    model = Model("one", (Module("one", "", ("x",), states={"y": f"{function}(x)"}),), single=True, grid=(1.0,))
    for block in x.reshape(-1, LANES):
        failed, y = run(model, 0.0, block)
        assert failed == 0
        np.testing.assert_allclose(y, getattr(np, function)(block), rtol=6e-7)


@pytest.mark.parametrize(("single", "x"), [(True, 89.0), (False, 710.0)])
def test_a_power_of_e_beyond_all_numbers_is_no_solution(single: bool, x: float) -> None:
    model = Model("one", (Module("one", "", ("x",), states={"y": "exp(x)"}),), single=single)
    assert run(model, 0.0, np.full(LANES, x))[0] == -1
    assert run(model, 0.0, np.full(LANES, x - 40.0))[0] >= 0


def test_what_fades_away_ends_at_zero() -> None:
    model = Model("one", (Module("one", "", ("rate",), states={"y": "-rate * y"}),), single=True)
    failed, y = run(model, 1.0, np.full(LANES, 2.0), days=34)
    assert failed == 0
    np.testing.assert_allclose(y, np.exp(-68.0), rtol=1e-2)
    assert (run(model, 1.0, np.full(LANES, 2.0), days=60)[1] == 0.0).all()


def test_slow_growth_is_not_lost_in_rounding() -> None:
    model = Model("one", (Module("one", "", ("rate",), states={"y": "rate * y"}),), single=True)
    rates = np.linspace(1e-5, 1e-3, LANES)
    failed, y = run(model, 1.0, rates, days=336)
    assert failed == 0
    np.testing.assert_allclose(y, np.exp(336 * rates), rtol=5e-5)


@pytest.mark.parametrize("name", ["lenalidomide-cll", "venetoclax-cll"])
def test_steps_work_on_vectors_of_single_numbers(name: str) -> None:
    model = find_model(name, {})
    text = write_ir(generate(model), 4)
    steps = [part for part in text.split("define ") if re.match(r"internal void @\"?step_", part)]
    assert len(steps) > 5
    for step in steps:
        assert "<8 x float>" in step
        assert "double>" not in step
        assert not re.search(r"f(add|sub|mul|div) (contract |nsz )*(float|double)", step)

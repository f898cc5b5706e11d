"""States that are driven from above, signals that are averaged, steps in parts: against formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from trialrun.simulate.model.compiled import compile_model
from trialrun.simulate.model.driven import AVERAGED, between
from trialrun.simulate.model.generate import LANES, generate
from trialrun.simulate.model.module import Drug, Model, Module, driven_states

FloatArray = NDArray[np.float64]
RATES = np.concatenate([np.geomspace(1e-6, 200.0, LANES - 2), [3.0, 3.5]])  # 0.5 a step of a sixth is among them


def live(
    model: Model, start: dict[str, float], constants: FloatArray, days: int, dose: float = 0.0
) -> dict[str, FloatArray]:
    """States of one block after so many days, (LANES,) by name; `constants` (constants, LANES)."""
    kernel = compile_model(model)
    states = np.array([[np.full(LANES, start.get(name, 0.0)) for name in model.states]])
    inputs = np.full((1, len(model.inputs), LANES), dose)
    assert kernel.advance(states, kernel.prepare(np.ascontiguousarray(constants[None])), inputs, days) >= 0
    return dict(zip(model.states, states[0], strict=True))


CLOCK = Module("clock", "runs", states={"time": "1"})
TABLET = Module(
    "drug",
    "tablet",
    constants=("ka", "ke"),
    jumps={"depot": "depot + dose"},
    drug=Drug("ka", "ke", "ka", "1", {"c": "concentration"}),
)


@pytest.mark.parametrize(
    ("drive", "solution"),
    [
        ("2", lambda r, t: 3 * np.exp(-r * t) + 2 * -np.expm1(-r * t) / r),
        # y' = t - r y: t / r - 1 / r^2 and what is left of the start
        ("time", lambda r, t: (3 + 1 / r**2) * np.exp(-r * t) + t / r - 1 / r**2),
    ],
)
def test_a_driven_state_is_exact_for_any_rate(drive: str, solution) -> None:  # type: ignore[no-untyped-def]
    pool = Module("pool", "is driven", constants=("rate",), states={"pool": drive}, decay={"pool": "rate"})
    assert driven_states(pool) == ("pool",)
    model = Model("driven", (CLOCK, pool), grid=(1 / 6,) * 6)
    rates = np.where(RATES < 1e-3, 1e-3 + RATES, RATES) if drive == "time" else RATES  # the formula cancels below
    found = live(model, {"pool": 3.0}, rates[None], 2)["pool"]
    np.testing.assert_allclose(found, solution(rates, 2.0), rtol=1e-9)


def test_one_driven_state_drives_the_next() -> None:
    line = Module(
        "line",
        "first and second",
        constants=("rate",),
        states={"first": "rate", "second": "rate * first"},
        decay={"first": "rate", "second": "rate"},
    )
    assert driven_states(line) == ("first", "second")
    assert driven_states(replace(line, states={"first": "rate * second", "second": "rate"})) == ("second",)
    rate = np.full(LANES, 0.7)
    found = live(Model("line", (line,), grid=(1 / 6,) * 6), {}, rate[None], 3)["second"]
    np.testing.assert_allclose(found, 1 - np.exp(-2.1) * (1 + 2.1), rtol=2e-6)


def test_nodes_of_averaged_signals_keep_their_moments() -> None:
    points, shares = AVERAGED
    for power in range(3):
        nodes = [sum(s * x**power for s, x in zip(share, points, strict=True)) for share in shares]
        assert nodes == pytest.approx([x**power for x in (0.0, 0.5, 1.0)], abs=1e-14)  # a quadratic is kept itself
        texts = [str(node) for node in nodes]
        assert eval(between(texts, 0.25)) == pytest.approx(0.25**power, abs=1e-14)


@pytest.mark.parametrize("times", [1.0, 2.5])
def test_what_rests_on_the_drug_keeps_its_mean(times: float) -> None:
    """The drug's nodes jump from step to step: a signal that rests on them must not take its start from the step before."""
    below = Module("below", "adds up", signals={"more": f"{times} * c"}, states={"sum": "more"})
    constants = np.array([RATES.clip(0.5, 20.0), np.full(LANES, 2.0)])
    found = live(Model("sums", (TABLET, below), grid=(1 / 6,) * 6), {}, constants, 3, dose=10.0)
    np.testing.assert_allclose(found["sum"], times * found["exposure"], rtol=5e-6)


def test_steps_in_parts_are_nearer() -> None:
    """Cells that go to and fro between two places, up to 8 times a day."""
    swap = Module(
        "swap",
        "to and fro",
        constants=("out", "back"),
        states={"here": "back * there - out * here", "there": "out * here - back * there"},
    )
    out, back = np.linspace(0.5, 8.0, LANES), np.full(LANES, 1.0)
    right = back / (out + back) + out / (out + back) * np.exp(-(out + back))
    errors = []
    for parts in (1, 2, 4):
        model = Model("swap", (replace(swap, parts=parts),), tolerance=1e9, grid=(1 / 6,) * 6)
        found = live(model, {"here": 1.0}, np.array([out, back]), 1)
        np.testing.assert_allclose(found["here"] + found["there"], 1.0, rtol=1e-13)
        errors.append(np.abs(found["here"] - right).max())
    assert errors[0] > 8 * errors[1] > 64 * errors[2] > 0


def test_a_bend_within_a_step_is_found_and_the_day_cut_finer() -> None:
    """y' = max(t - a, 0)^1.3: (1 - a)^2.3 / 2.3 after a day."""
    bend = Module(
        "bend",
        "begins within the day",
        constants=("begins",),
        signals={"risen": "where(time - begins > 0, exp(1.3 * log(max(time - begins, 1e-30))), 0)"},
        averaged={"risen": "pool"},
        states={"pool": "risen"},
        decay={"pool": "0"},
    )
    begins = np.linspace(0.05, 0.95, LANES)
    right = (1 - begins) ** 2.3 / 2.3
    model = Model("bend", (CLOCK, bend), grid=(1 / 6,) * 6, floors={"pool": 0.02})
    found = live(model, {}, begins[None], 1)["pool"]
    assert (np.abs(found - right) / (right + 0.02)).max() < 1e-4
    kernel, states = compile_model(model), np.zeros((1, 2, LANES))
    assert kernel.advance(states, kernel.prepare(begins[None, None]), np.zeros((1, 1, LANES)), 1) >= 1
    smooth = np.zeros((1, 2, LANES))
    never = np.full((1, 1, LANES), 2.0)
    assert kernel.advance(smooth, kernel.prepare(never), np.zeros((1, 1, LANES)), 1) == 0
    assert (smooth[0, 1] == 0.0).all()


def test_the_step_after_the_dose_is_a_size_of_its_own() -> None:
    program = generate(Model("even", (TABLET,), grid=(0.25,) * 4))
    assert [names for _, names in program.steps] == [("drug_0_0",), *[("drug_0_1",)] * 3]
    assert len(program.functions["drug_0_0"]) > len(program.functions["drug_0_1"])


def test_a_kink_in_a_term_is_found_and_the_day_cut_finer() -> None:
    """y' = max(t - a, 0) - y / 100: (t - a)^2 / 2 nearly."""
    bend = Module(
        "bend",
        "begins within the day",
        constants=("begins",),
        terms={"risen": "max(time - begins, 0)"},
        states={"pool": "risen - 0.01 * pool"},
        bends={"risen": "pool"},
    )
    begins = np.linspace(0.05, 0.95, LANES)
    late = 1 - begins
    right = 100 * late - 1e4 * -np.expm1(-0.01 * late)  # of y' = t - y / 100 from 0
    errors = []
    for module in (bend, replace(bend, bends={})):
        model = Model("bend", (CLOCK, module), grid=(1 / 6,) * 6, floors={"pool": 0.02})
        found = live(model, {}, begins[None], 1)["pool"]
        errors.append((np.abs(found - right) / (right + 0.02)).max())
    assert errors[0] < 1e-4 < errors[1]


@pytest.mark.parametrize("single", [True, False])
def test_a_rate_too_fast_for_its_steps_is_cut_finer_or_refused(single: bool) -> None:
    pool = Module("pool", "follows", constants=("rate",), states={"pool": "rate * time"}, decay={"pool": "rate"})
    model = Model("fast", (CLOCK, pool), grid=(1 / 6,) * 6, single=single)
    rates = np.geomspace(10.0, 2000.0, LANES)
    found = live(model, {"time": 1.0, "pool": 1.0}, rates[None], 2)["pool"]
    right = 3 - 1 / rates + np.exp(-2 * rates) / rates
    np.testing.assert_allclose(found, right, rtol=2e-5 if single else 1e-6)
    kernel, states = compile_model(model), np.ones((1, 2, LANES))
    fast = np.full((1, 1, LANES), 1e6 if single else 1e8)
    assert kernel.advance(states, kernel.prepare(fast), np.zeros((1, 1, LANES)), 1) < 0


def test_a_driven_state_may_grow() -> None:
    pool = Module("pool", "grows", constants=("rate",), states={"pool": "1"}, decay={"pool": "rate"})
    rates = -np.geomspace(1e-3, 40.0, LANES)
    found = live(Model("grows", (pool,), grid=(1 / 6,) * 6), {"pool": 1.0}, rates[None], 1)["pool"]
    np.testing.assert_allclose(found, np.exp(-rates) + -np.expm1(-rates) / rates, rtol=1e-9)


def test_a_loss_may_follow_a_state_of_above() -> None:
    """x' = -r t x: exp(-r t^2 / 2)."""
    pool = Module("pool", "is lost", constants=("rate",), states={"pool": "0"}, lost={"pool": "rate * time"})
    rates = np.linspace(0.0, 2.0, LANES)
    found = live(Model("lost", (CLOCK, pool), grid=(1 / 6,) * 6), {"pool": 1.0}, rates[None], 2)["pool"]
    np.testing.assert_allclose(found, np.exp(-2 * rates), rtol=1e-6)


def test_a_fall_of_rate_0_is_none() -> None:
    pool = Module(
        "pool", "hardly falls", constants=("rate",), states={"pool": "1 - 0.5 * pool"}, decay={"pool": "rate"}
    )
    below = Module("below", "adds up", states={"sum": "pool"})
    rates = np.linspace(0.0, 0.5, LANES)
    found = live(Model("slow", (pool, below), grid=(1 / 6,) * 6), {}, rates[None], 1)
    total = 0.5 + rates
    np.testing.assert_allclose(found["pool"], -np.expm1(-total) / total, rtol=1e-5)
    np.testing.assert_allclose(found["sum"], 1 / total + np.expm1(-total) / total**2, rtol=1e-5)


def test_an_averaged_signal_of_the_drug_begins_where_the_step_does() -> None:
    below = Module("below", "adds up", signals={"more": "3 * c"}, averaged={"more": "sum"}, states={"sum": "more"})
    constants = np.array([np.linspace(1.0, 10.0, LANES), np.full(LANES, 2.0)])
    found = live(Model("sums", (TABLET, below), grid=(1 / 6,) * 6), {}, constants, 3, dose=10.0)
    np.testing.assert_allclose(found["sum"], 3 * found["exposure"], rtol=5e-6)


@pytest.mark.parametrize(
    "name", ["sum_x", "first_x", "risen_x", "y_x", "k1_x", "x_1", "x_n0", "mean", "rate", "h", "end"]
)
def test_names_are_the_user_s_own(name: str) -> None:
    """Terms and states may be called as the generated code might call its own."""
    two = Module(
        "two",
        "to and fro",
        constants=("out",),
        terms={name: "out * x"},
        states={"x": f"-{name}", "other": name},
        parts=2,
    )
    below = Module("below", "adds up", states={"sum": "x"})
    out = np.linspace(0.1, 2.0, LANES)
    found = live(Model("names", (two, below), grid=(1 / 6,) * 6), {"x": 1.0}, out[None], 1)
    np.testing.assert_allclose(found["x"], np.exp(-out), rtol=2e-5)
    np.testing.assert_allclose(found["other"], -np.expm1(-out), rtol=1e-5)
    np.testing.assert_allclose(found["sum"], -np.expm1(-out) / out, rtol=1e-5)

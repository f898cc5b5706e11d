"""The compiled biology against SciPy's solution of the equations written a second time, balances, steady states."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trialrun.simulate.biology import Biology
from trialrun.simulate.model.compiled import compile_model
from trialrun.simulate.model.generate import LANES
from trialrun.simulate.model.library import find_model
from trialrun.simulate.model.module import Model, Module
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects

sys.path.insert(0, str(Path(__file__).parent))
from make_oracle import KERNEL_ORDER, planned_inputs
from reference import AT, ORDER, solve_days

FloatArray = NDArray[np.float64]
# With running totals of what comes and goes: the balances are those of the kernel that everyone runs, plus the totals.
MODEL = find_model("lenalidomide-cll", {}, balances=True)
STATES, CONSTANTS, INPUTS = MODEL.states, MODEL.constants, MODEL.inputs
N_INPUTS = len(INPUTS)
ROW = {name: i for i, name in enumerate(STATES)}
KERNEL = compile_model(MODEL)
# Below these a relative error means nothing: ng/mL at the effect site, inflammation of which a flare of grade 1 has
# about 0.2, potassium that is 0.03 mmol/L once back outside cells, and 10^7 leukaemic cells of the usual 10^12.
FLOOR = {"potassium_stored": 0.5, "effect": 1e-2, "inflammation": 1e-3, "blood": 1e-2, "tissue": 1e-2, "marrow": 1e-2}


def in_blocks(columns: FloatArray) -> FloatArray:
    """(rows, n) as (blocks, rows, LANES), the last subject repeated."""
    missing = -columns.shape[1] % LANES
    full = np.concatenate([columns, np.repeat(columns[:, -1:], missing, axis=1)], axis=1)
    return full.reshape(len(columns), -1, LANES).transpose(1, 0, 2).copy()


def out_of_blocks(blocks: FloatArray, n: int) -> FloatArray:
    return blocks.transpose(1, 0, 2).reshape(blocks.shape[1], -1)[:, :n]


def run_days(states: FloatArray, constants: FloatArray, inputs: list[dict[str, float]]) -> FloatArray:
    """States at the end of each day, (days, rows, n), everyone with the same inputs."""
    n = states.shape[1]
    blocks, numbers = in_blocks(states), KERNEL.prepare(in_blocks(constants))
    kept = []
    for today in inputs:
        given = np.zeros((len(blocks), N_INPUTS, LANES))
        for i, name in enumerate(INPUTS):
            given[:, i, :] = today[name.removesuffix("_given")]
        assert KERNEL.advance(blocks, numbers, given, 1) >= 0
        kept.append(out_of_blocks(blocks, n).copy())
    return np.array(kept)


def day(dose: float = 0.0, **taken: float) -> dict[str, float]:
    return {**dict.fromkeys((name.removesuffix("_given") for name in INPUTS), 0.0), "dose": dose, **taken}


@pytest.fixture(scope="module")
def some(population: Population) -> VirtualSubjects:
    drawn = draw_subjects(population, 77, np.arange(24))
    states = np.zeros((len(STATES), 24))  # and the running totals at 0
    states[: len(drawn.model.states)] = drawn.states
    return replace(drawn, model=MODEL, states=states)


@pytest.mark.oracle
@pytest.mark.parametrize("version", ["original", "amendment-1"])
def test_50_subjects_agree_with_the_recorded_solution_of_scipy(version: str) -> None:
    """DOP853 at rtol 1e-10, recorded by make_oracle.py: 14 outputs on 28 days of 84."""
    with np.load(Path(__file__).parent / "oracle.npz") as oracle:
        # recorded before cells took up potassium
        kept_out = {
            "potassium_buffer": np.zeros(oracle["constants"].shape[1]),
            "potassium_exchange": np.ones(oracle["constants"].shape[1]),
        }
        given = kept_out | dict(zip(oracle["constant_names"], oracle["constants"], strict=True))
        states = np.zeros((len(STATES), oracle["states"].shape[1]))
        for name, column in zip(oracle["state_names"], oracle["states"], strict=True):
            states[ROW[str(name)]] = column
        days, kept = oracle["days"], [str(name) for name in oracle["kept"]]
        wanted = oracle[version.replace("-", "_")]
        constants = np.array([given[name] for name in CONSTANTS])
    curves = run_days(states, constants, planned_inputs(version, int(days.max()) + 1))
    found = curves[days][:, [ROW[name] for name in kept], :].transpose(2, 0, 1)
    worst = {
        name: float((np.abs(a - b) / (np.abs(b) + SEEN_FLOOR.get(name, 0.0))).max())
        for (name, a), b in zip(_seen(found, kept).items(), _seen(wanted, kept).values(), strict=True)
    }
    assert max(worst.values()) < 1e-4, worst
    cells = [kept.index(name) for name in ("blood", "tissue", "marrow")]
    error = np.abs(found - wanted)[:, :, cells] / (np.abs(wanted)[:, :, cells] + 1.0)  # 10^9 cells of the usual 10^12
    assert error.max() < 1e-4, error.max(axis=(0, 1))


# Phosphate is solved with its fast fall taken out, and what is excreted is added up without: two rules of order 4.
PHOSPHATE_GAP = 1e-5
SEEN_FLOOR = {"inflammation": 0.02, "node_spd": 0.1}  # a tenth of what makes a flare of grade 1; cm2


def _seen(curves: FloatArray, kept: list[str]) -> dict[str, FloatArray]:
    """What rules see, (subjects, days) each: laboratory values, lymphocytes and nodes."""
    at = {name: curves[:, :, i] for i, name in enumerate(kept)}
    swollen = 1.0 + 0.55 * at["inflammation"] / (1.0 + 0.4 * at["inflammation"])
    nodes = 0.62 * (0.53 * at["tissue"] / 1.5 * swollen) ** (2.0 / 3.0)
    seen = {name: column for name, column in at.items() if name not in ("blood", "tissue", "marrow")}
    return {**seen, "lymphocytes": at["blood"] / 5.5 + 1.5, "node_spd": nodes}


def test_live_solutions_agree_with_every_co_treatment(some: VirtualSubjects) -> None:
    """Every state and every running total of two subjects over 16 days, solved afresh."""
    inputs = [day(25.0, allopurinol=1.0, hydration=float(d > 2), steroid=float(4 < d < 9)) for d in range(12)]
    inputs[3]["rasburicase"] = 1.0
    inputs += [day(0.0, gcsf=1.0), day(0.0, gcsf=1.0), day(5.0), day(5.0, gcsf=1.0)]
    rows = [ROW[name] for name in KERNEL_ORDER]
    assert len(rows) == len(ORDER)
    curves = run_days(some.states, some.constants, inputs)
    for i in (0, 5):
        constants = dict(zip(CONSTANTS, some.constants[:, i], strict=True))
        wanted = solve_days(some.states[rows, i], constants, inputs)
        found = curves[:, rows, i]
        scale = np.abs(wanted) + np.array([FLOOR.get(name, 1e-3) for name in KERNEL_ORDER])
        error = (np.abs(found - wanted) / scale).max(axis=0)
        assert error.max() < 3e-4, KERNEL_ORDER[int(error.argmax())]


def test_reference_methods_agree_among_themselves(some: VirtualSubjects) -> None:
    rows = [ROW[name] for name in KERNEL_ORDER]
    constants = dict(zip(CONSTANTS, some.constants[:, 2], strict=True))
    inputs = [day(25.0)] * 3
    explicit = solve_days(some.states[rows, 2], constants, inputs)
    implicit = solve_days(some.states[rows, 2], constants, inputs, method="LSODA")
    np.testing.assert_allclose(implicit, explicit, rtol=1e-6, atol=1e-8)


def test_without_drug_all_but_the_clone_and_its_marrow_stay(some: VirtualSubjects) -> None:
    curves = run_days(some.states, some.constants, [day()] * 60)
    moving = {"blood", "tissue", "marrow", "hemoglobin", "cells_born", "urate_made", "urate_excreted"}
    moving |= {"phosphate_excreted", "potassium_excreted", "neutrophil_drive", "platelet_drive"}
    moving |= {
        "phosphate_threshold",
        "potassium_drive",
        "neutrophil_per_count",
        "platelet_per_count",
    }  # set anew each day
    moving |= {name for name in STATES if name.startswith(("neutrophil", "platelet"))}
    still = [i for i, name in enumerate(STATES) if name not in moving]
    wanted = np.broadcast_to(some.states[still], curves[:, still].shape)
    np.testing.assert_allclose(curves[:, still], wanted, rtol=1e-12, atol=1e-10)


def test_without_drug_and_net_growth_nothing_moves_at_all(some: VirtualSubjects) -> None:
    constants = some.constants.copy()
    for rate in ("birth_rate", "death_rate_tissue", "death_rate_blood"):
        constants[CONSTANTS.index(rate)] = 0.0
    states, homing = some.states, constants[CONSTANTS.index("homing_rate")]
    outside = states[ROW["tissue"]] + states[ROW["marrow"]]
    constants[CONSTANTS.index("egress_rate")] = homing * states[ROW["blood"]] / outside
    curves = run_days(states, constants, [day()] * 100)
    upto = STATES.index("neutrophil_drive")
    np.testing.assert_allclose(curves[-1, :upto], states[:upto], rtol=1e-9, atol=1e-11)


def test_the_untreated_clone_follows_its_net_growth(some: VirtualSubjects) -> None:
    curves = run_days(some.states, some.constants, [day()] * 28)
    c = {name: some.constants[i] for i, name in enumerate(CONSTANTS)}
    blood, tissue, marrow = (some.states[ROW[name]] for name in ("blood", "tissue", "marrow"))
    slope = (c["birth_rate"] - c["death_rate_tissue"]) * (tissue + marrow * (1 - marrow / c["marrow_capacity"]))
    slope -= c["death_rate_blood"] * blood
    total = sum(curves[:, ROW[name]] for name in ("blood", "tissue", "marrow"))
    np.testing.assert_allclose(total[0] - (blood + tissue + marrow), slope, rtol=5e-3)
    crowded = curves[-1, ROW["neutrophils"]] < some.states[ROW["neutrophils"]]
    grown = curves[-1, ROW["marrow"]] > some.states[ROW["marrow"]] * 1.01
    assert crowded[grown].all()
    assert grown.any()


def test_cells_drug_and_ions_balance(some: VirtualSubjects) -> None:
    """To 1e-6 of what has gone through (phosphate to 1e-5), over 40 days at 25 mg with everything given."""
    inputs = [day(25.0, allopurinol=1.0, hydration=1.0, rasburicase=float(d == 6)) for d in range(40)]
    constants = some.constants.copy()
    constants[CONSTANTS.index("precipitation_limit")] = 2.5  # so that calcium phosphate precipitates at all
    end = run_days(some.states, constants, inputs)[-1]
    start = some.states
    c = {name: constants[i] for i, name in enumerate(CONSTANTS)}

    def change(name: str) -> FloatArray:
        return np.asarray(end[ROW[name]] - start[ROW[name]])

    through = end[ROW["cells_lysed"]] + np.abs(end[ROW["cells_born"]])
    cells = sum(change(name) for name in ("blood", "tissue", "marrow", "dying"))
    assert (np.abs(cells - (change("cells_born") - change("cells_lysed"))) < 1e-6 * through).all()

    urate = change("urate_made") - change("urate_excreted") - change("urate_oxidised")
    assert (np.abs(change("urate") * c["urate_volume"] - urate) < 1e-6 * end[ROW["urate_made"]]).all()

    phosphate_in = c["phosphate_intake"] * 40 + c["phosphate_yield"] * end[ROW["cells_lysed"]]
    phosphate_out = end[ROW["phosphate_excreted"]] + end[ROW["precipitated"]] * c["phosphate_volume"]
    assert (end[ROW["precipitated"]] > 0).any()
    gap = change("phosphate") * c["phosphate_volume"] - (phosphate_in - phosphate_out)
    assert (np.abs(gap) < PHOSPHATE_GAP * phosphate_in).all()

    potassium_in = c["potassium_intake"] * 40 + c["potassium_yield"] * end[ROW["cells_lysed"]]
    gap = change("potassium") * c["potassium_volume"] + change("potassium_stored")
    gap -= potassium_in - end[ROW["potassium_excreted"]]
    assert (np.abs(gap) < 1e-6 * potassium_in).all()
    gap = change("calcium") - (end[ROW["calcium_exchanged"]] - end[ROW["precipitated"]])
    assert (np.abs(gap) < 1e-6 * start[ROW["calcium"]]).all()


def test_drug_balances(some: VirtualSubjects) -> None:
    """Dose = what is left + clearance x exposure, where the kidney does not move."""
    constants = some.constants.copy()
    constants[CONSTANTS.index("inflammatory_gfr_loss")] = 0.0
    constants[CONSTANTS.index("crystal_injury")] = 0.0
    constants[CONSTANTS.index("precipitate_injury")] = 0.0
    end = run_days(some.states, constants, [day(25.0), day(15.0), day(0.0)])[-1]
    c = {name: constants[i] for i, name in enumerate(CONSTANTS)}
    clearance = c["clearance"] * (1 - c["renal_fraction"] + c["renal_fraction"] * c["relative_crcl"])
    left = end[ROW["depot"]] + end[ROW["central"]]
    np.testing.assert_allclose(left + clearance * end[ROW["exposure"]] / 1000.0, 40.0, rtol=1e-9)  # ng/mL to mg/L


def test_equal_rates_of_gut_blood_and_site_are_no_trouble(some: VirtualSubjects) -> None:
    """Where elimination equals absorption or the effect site's rate, the sums of exponentials have limits."""
    rows = [ROW[name] for name in KERNEL_ORDER]
    for equal in ("absorption_rate", "effect_rate"):
        constants = some.constants[:, :1].copy()
        constants[CONSTANTS.index("relative_crcl")] = 1.0
        rate = constants[CONSTANTS.index(equal), 0]
        constants[CONSTANTS.index("clearance")] = rate * constants[CONSTANTS.index("volume"), 0]
        found = run_days(some.states[:, :1], constants, [day(10.0)])[-1]
        wanted = solve_days(some.states[rows, 0], dict(zip(CONSTANTS, constants[:, 0], strict=True)), [day(10.0)])[-1]
        for name, other in (("depot", "Ad"), ("central", "Ac"), ("effect", "Ce"), ("exposure", "auc")):
            assert found[ROW[name], 0] == pytest.approx(wanted[AT[other]], rel=1e-7, abs=1e-9)


def test_more_drug_means_more_of_its_effects(some: VirtualSubjects) -> None:
    """Tissue is not among them: low doses fill it with cells that home from blood."""
    ends = [run_days(some.states, some.constants, [day(dose)] * 10)[-1] for dose in (0.0, 2.5, 5.0, 10.0, 25.0)]
    for name, sign in (
        ("effect", 1),
        ("inflammation", 1),
        ("effector_2", 1),
        ("neutrophils", -1),
        ("platelets", -1),
        ("blood", -1),
        ("cells_lysed", 1),
        ("filtration", -1),
    ):
        steps = np.diff(np.array([end[ROW[name]] for end in ends]), axis=0)
        assert (sign * steps > 0).all(), name


def test_a_subject_has_the_same_bits_alone_and_in_a_crowd(some: VirtualSubjects, population: Population) -> None:
    inputs = [day(25.0, allopurinol=1.0)] * 12
    crowd = run_days(some.states, some.constants, inputs)
    for i in (0, 7, 23):
        alone = run_days(some.states[:, [i]], some.constants[:, [i]], inputs)
        assert np.array_equal(alone[:, :, 0], crowd[:, :, i])
    order = np.random.default_rng(0).permutation(24)
    mixed = run_days(some.states[:, order], some.constants[:, order], inputs)
    assert np.array_equal(mixed, crowd[:, :, order])


def test_a_neighbour_who_needs_finer_steps_changes_nothing(some: VirtualSubjects) -> None:
    """The stiff neighbour makes its block repeat the day; the others' results stay those of the first pass."""
    constants = some.constants[:, :2].copy()
    constants[CONSTANTS.index("lysis_rate"), 1] = 60.0
    constants[CONSTANTS.index("inflammation_kill"), 1] = 20.0
    states = some.states[:, :2].copy()
    states[ROW["dying"], 1] = 500.0
    states[ROW["inflammation"], 1] = 5.0
    nothing = np.zeros((1, N_INPUTS, LANES))
    assert KERNEL.advance(in_blocks(states), KERNEL.prepare(in_blocks(constants)), nothing, 1) > 0
    calm = in_blocks(states[:, :1])
    assert KERNEL.advance(calm, KERNEL.prepare(in_blocks(constants[:, :1])), nothing, 1) == 0
    both = run_days(states, constants, [day()])
    assert np.array_equal(both[0, :, 0], out_of_blocks(calm, 1)[:, 0])


def test_those_who_need_finer_steps_have_the_same_bits_among_themselves(population: Population) -> None:
    """Day by day the subjects who need finer steps are put together; a block that keeps them gives the same."""
    n = 300
    drawn = draw_subjects(population, 5, np.arange(n))
    kernel = compile_model(drawn.model)
    states, numbers = in_blocks(drawn.states), kernel.prepare(in_blocks(drawn.constants))
    together, late = states.copy(), 0
    for today in planned_inputs("original", 42):
        given = np.zeros((len(states), len(drawn.model.inputs), LANES))
        for i, name in enumerate(drawn.model.inputs):
            given[:, i, :] = today[name.removesuffix("_given")]
        finer = kernel.advance(states, numbers, given, 1)
        assert kernel.advance_day(together, numbers, given) == finer
        assert np.array_equal(together, states)
        late += finer > 0
    assert 2 <= late < 42


def test_two_threads_give_the_bits_of_one(some: VirtualSubjects) -> None:
    one, two = Biology(some, threads=1), Biology(some, threads=2)
    for biology in (one, two):
        for _ in range(5):
            biology.advance_day(np.full(24, 15.0), {})
    for name in STATES:
        assert np.array_equal(one.state(name), two.state(name))


def test_what_cannot_be_solved_is_said_not_hidden(some: VirtualSubjects) -> None:
    from trialrun.vocab.problems import TrialrunError

    for threads, subject in ((1, 3), (1, 19), (2, 19), (1, 23)):
        biology = Biology(some, threads)
        biology._states[subject // LANES, ROW["blood"], subject % LANES] = np.nan
        with pytest.raises(TrialrunError, match=rf"cannot be solved.*found subject {some.index[subject]}\b"):
            biology.advance_day(np.full(24, 25.0), {})


def _apply(text: str, x: FloatArray) -> FloatArray:
    """The expression `text` of the constant x, computed by a kernel."""
    model = Model("arithmetic", (Module("one", "", constants=("x",), states={"y": "0"}, restart={"y": text}),))
    states, constants = np.zeros((-(-x.size // LANES), 1, LANES)), np.ones((-(-x.size // LANES), 1, LANES))
    constants.reshape(-1)[: x.size] = x
    kernel = compile_model(model)
    assert kernel.advance(states, kernel.prepare(constants), np.zeros((len(states), 1, LANES)), 1) >= 0
    return states.reshape(-1)[: x.size]


def test_own_logarithm_is_that_of_the_c_library() -> None:
    x = np.exp(np.random.default_rng(0).uniform(-570, 570, 4000))
    np.testing.assert_allclose(_apply("log(x)", x), np.log(x), rtol=1e-15, atol=1e-16)


def test_own_exponential_is_that_of_the_c_library() -> None:
    x = np.random.default_rng(0).uniform(-600, 600, 4000)
    np.testing.assert_allclose(_apply("exp(x)", x), np.exp(x), rtol=1e-15)

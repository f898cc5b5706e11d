"""Leukaemia cells, marrow chains and haemoglobin, each module by itself: rest, balance, order by effect, limits."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from alone import Alone, alone

from trialrun.simulate.model.leukemia import CROWDING, HEMOGLOBIN, LYSIS, TRAFFICKING, chain
from trialrun.simulate.model.module import Module
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects
from trialrun.vocab.problems import TrialrunError

QUIET = {"inflammation": 0.0, "effector_2": 0.0, "homing_signal": 0.0}
CELLS = ("blood", "tissue", "marrow")
CELLS_AND_LYSIS = (TRAFFICKING, LYSIS)


@pytest.fixture(scope="module")
def some(population: Population) -> VirtualSubjects:
    return draw_subjects(population, 43, np.arange(40))


def still(subjects: VirtualSubjects) -> dict[str, np.ndarray | float]:
    """Numbers without birth and death, cells leaving as many as return."""
    p = subjects.traits
    leaving = p["homing_rate"] * p["blood_cells"] / (p["tissue_cells"] + p["marrow_cells"])
    return {"birth_rate": 0.0, "death_rate_tissue": 0.0, "death_rate_blood": 0.0, "egress_rate": leaving}


def total(module: Alone) -> np.ndarray:
    return np.asarray(sum(module[name] for name in CELLS))


def test_without_drug_birth_and_death_no_cell_moves_on_balance(some: VirtualSubjects) -> None:
    module = alone(some, *CELLS_AND_LYSIS, above=QUIET, numbers=still(some))
    before = module.everything()
    np.testing.assert_allclose(module.live(365).everything(), before, rtol=1e-10, atol=1e-10)


def test_without_drug_the_clone_grows_by_what_is_born_less_what_dies(some: VirtualSubjects) -> None:
    module = alone(some, *CELLS_AND_LYSIS, above=QUIET)
    p, first = module.numbers, total(module)
    growth = p["birth_rate"] - p["death_rate_tissue"]
    born = growth * (module["tissue"] + module["marrow"] * (1 - module["marrow"] / p["marrow_capacity"]))
    net = born - p["death_rate_blood"] * module["blood"]
    module.live(1)
    np.testing.assert_allclose(total(module) - first, net, rtol=1e-2)
    growing = net > 0
    assert growing.sum() > 20
    seen = [total(module)]
    for _ in range(12):
        seen.append(total(module.live(30)))
    assert (np.diff(seen, axis=0)[:, growing] > 0).all()
    assert (module["cells_lysed"] == 0.0).all()


@pytest.mark.parametrize("effect", [QUIET, {"inflammation": 2.0, "effector_2": 0.4, "homing_signal": 0.7}])
def test_cells_balance(some: VirtualSubjects, effect: dict[str, float]) -> None:
    """What is there = what was + born - lysed, over 60 days; dying cells are still there."""
    module = alone(some, *CELLS_AND_LYSIS, above=effect)
    first = total(module)
    module.live(60)
    gap = total(module) + module["dying"] - first - (module["cells_born"] - module["cells_lysed"])
    through = first + module["cells_lysed"] + np.abs(module["cells_born"])
    assert (np.abs(gap) < 1e-6 * through).all()


def test_homing_moves_cells_from_blood_and_kills_none(some: VirtualSubjects) -> None:
    ends = [
        alone(some, *CELLS_AND_LYSIS, above={**QUIET, "homing_signal": signal}, numbers=still(some)).live(21)
        for signal in (0.0, 0.25, 0.5, 1.0)
    ]
    blood = np.array([end["blood"] for end in ends])
    assert (np.diff(blood, axis=0) < 0).all()
    np.testing.assert_allclose(total(ends[-1]), total(ends[0]), rtol=1e-7)
    assert (ends[-1]["cells_lysed"] == 0.0).all()
    back = ends[-1].live(120, homing_signal=0.0)["blood"]  # without the drug they come back: rebound
    np.testing.assert_allclose(back, blood[0], rtol=5e-3)


@pytest.mark.parametrize("what", ["inflammation", "effector_2"])
def test_more_effect_kills_more(some: VirtualSubjects, what: str) -> None:
    sensitive = {"effector_kill": np.maximum(some.traits["effector_kill"], 1e-4)}  # some do not respond to effectors
    ends = [
        alone(some, *CELLS_AND_LYSIS, above={**QUIET, what: size}, numbers=sensitive).live(14)
        for size in (0.0, 0.1, 0.5, 1.0, 3.0)
    ]
    assert (np.diff([end["cells_lysed"] for end in ends], axis=0) > 0).all()
    for name in CELLS:
        assert (np.diff([end[name] for end in ends], axis=0) < 0).all(), name


def test_a_nonresponder_is_not_killed_by_effectors(some: VirtualSubjects) -> None:
    deaf = some.traits["effector_kill"] == 0.0
    assert deaf.any()
    lysed = alone(some, *CELLS_AND_LYSIS, above={**QUIET, "effector_2": 1.0}).live(60)["cells_lysed"]
    assert (lysed[deaf] == 0.0).all()
    assert (lysed[~deaf] > 0.0).all()


def test_no_cells_stay_no_cells(some: VirtualSubjects) -> None:
    none = dict.fromkeys(CELLS, 0.0)
    effect = {"inflammation": 3.0, "effector_2": 1.0, "homing_signal": 1.0}
    assert (alone(some, *CELLS_AND_LYSIS, above=effect, start=none).live(60).everything() == 0.0).all()


def test_overwhelming_kill_lyses_everything_that_was_there(some: VirtualSubjects) -> None:
    module = alone(
        some, *CELLS_AND_LYSIS, above={**QUIET, "inflammation": 30.0}, numbers=still(some) | {"inflammation_kill": 0.5}
    )
    first = total(module)
    module.live(60)
    np.testing.assert_allclose(module["cells_lysed"], first, rtol=1e-6)
    assert (np.abs(total(module)) < 1e-6 * first).all()


CHAINS = {"neutrophil": "neutrophils", "platelet": "platelets"}


def marrow(subjects: VirtualSubjects, kind: str, effect: str, let: float, cells: float | None = None) -> Alone:
    """A chain of precursors with the room that leukaemia leaves; `let` is what the drug lets through."""
    crowd = subjects.traits["marrow_cells"] if cells is None else cells
    modules = (CROWDING, chain(kind, CHAINS[kind], effect, gcsf=kind == "neutrophil"))
    return alone(subjects, *modules, above={"marrow": crowd, f"{CHAINS[kind]}_let": let})


@pytest.mark.parametrize("effect", ["proliferation", "maturation"])
@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_rests_without_drug(some: VirtualSubjects, kind: str, effect: str) -> None:
    module = marrow(some, kind, effect, 1.0)
    before = module[CHAINS[kind]]
    for name in (CHAINS[kind], *(f"{kind}_{part}" for part in ("precursors", "transit_1", "transit_2", "transit_3"))):
        np.testing.assert_allclose(module.live(100)[name], before, rtol=1e-9)


@pytest.mark.parametrize("effect", ["proliferation", "maturation"])
@pytest.mark.parametrize("kind", CHAINS)
def test_counts_fall_with_the_effect_and_rise_again(some: VirtualSubjects, kind: str, effect: str) -> None:
    count = CHAINS[kind]
    lowest = []
    for let in (1.0, 0.9, 0.7, 0.5):
        module = marrow(some, kind, effect, let)
        before = module[count]
        lowest.append(np.min([module.live(1)[count] for _ in range(21)], axis=0))
        module.live(400, **{f"{count}_let": 1.0})
        np.testing.assert_allclose(module[count], before, rtol=2e-3)
    assert (np.diff(lowest, axis=0) < 0).all()


@pytest.mark.parametrize("kind", CHAINS)
def test_a_lasting_block_of_proliferation_lowers_the_count_and_one_of_maturation_is_made_up_for(
    some: VirtualSubjects, kind: str
) -> None:
    """At rest the feedback must make up for the block, or the blocked transit must fill: known from the equations."""
    let, count = 0.8, CHAINS[kind]
    first = some.traits[count]
    power = some.traits[f"{kind}_feedback"]
    blocked = marrow(some, kind, "proliferation", let).live(1500)
    np.testing.assert_allclose(blocked[count], first * let ** (1 / power), rtol=1e-3)
    held = marrow(some, kind, "maturation", let).live(1500)
    np.testing.assert_allclose(held[count], first, rtol=1e-3)
    np.testing.assert_allclose(held[f"{kind}_transit_2"], first / let, rtol=1e-3)  # cells wait where they are held


@pytest.mark.parametrize("effect", ["proliferation", "maturation"])
def test_a_chain_loses_no_cell_between_precursors_and_blood(some: VirtualSubjects, effect: str) -> None:
    """Transits and count change by what precursors give less what leaves the blood, to 1e-6 of what went through."""
    totals = Module(
        "totals",
        "what came in and went out",
        states={"came": "neutrophil_rate * neutrophil_precursors", "went": "neutrophil_rate * neutrophils"},
    )
    modules = (CROWDING, chain("neutrophil", "neutrophils", effect, gcsf=True), totals)
    above = {"marrow": some.traits["marrow_cells"], "neutrophils_let": 0.6}
    module = alone(some, *modules, above=above)
    kept = ("neutrophil_transit_1", "neutrophil_transit_2", "neutrophil_transit_3", "neutrophils")
    before = sum(module[name] for name in kept)
    module.live(28)
    gap = sum(module[name] for name in kept) - before - (module["came"] - module["went"])
    assert (np.abs(gap) < 1e-6 * module["came"]).all(), np.abs(gap / module["came"]).max()


@pytest.mark.parametrize("effect", ["proliferation", "maturation"])
def test_limits_of_a_chain(some: VirtualSubjects, effect: str) -> None:
    # 0.9 is the largest block that was published for the class (avadomide, on maturation)
    blocked = marrow(some, "neutrophil", effect, 0.1)
    first, lowest = blocked["neutrophils"], np.min([blocked.live(1)["neutrophils"] for _ in range(90)], axis=0)
    assert ((lowest > 0.0) & (lowest < 0.5 * first)).all()
    empty = marrow(some, "neutrophil", effect, 1.0, cells=0.0).live(800)["neutrophils"]
    np.testing.assert_allclose(empty, some.traits["neutrophil_setpoint"], rtol=1e-3)
    full = marrow(some, "neutrophil", effect, 1.0, cells=1e9).live(800)["neutrophils"]
    np.testing.assert_allclose(full, some.traits["neutrophil_setpoint"] * (1 - some.traits["crowding"]), rtol=1e-3)


def test_a_chain_that_lets_nothing_through_empties_or_says_that_it_cannot_be_solved(some: VirtualSubjects) -> None:
    empty = marrow(some, "neutrophil", "proliferation", 0.0).live(60)["neutrophils"]
    assert ((empty >= 0.0) & (empty < 0.01 * some.traits["neutrophils"])).all()
    with pytest.raises(TrialrunError, match="cannot be solved"):  # no count, no feedback
        marrow(some, "neutrophil", "maturation", 0.0).live(60)


@pytest.mark.parametrize("let", [1.0, 0.8])
def test_g_csf_raises_neutrophils_while_it_is_given(some: VirtualSubjects, let: float) -> None:
    treated, untreated = (marrow(some, "neutrophil", "proliferation", let).live(14) for _ in range(2))
    assert (treated.live(7, gcsf=1.0)["neutrophils"] > 1.1 * untreated.live(7)["neutrophils"]).all()
    treated.live(500), untreated.live(500)
    np.testing.assert_allclose(treated["neutrophils"], untreated["neutrophils"], rtol=1e-3)


def test_haemoglobin_goes_to_what_crowding_and_drug_leave_at_its_rate(some: VirtualSubjects) -> None:
    crowd = 0.4
    p = some.traits
    for activated in (0.0, 0.5, 1.0):
        module = alone(some, HEMOGLOBIN, above={"crowd": crowd, "activated": activated})
        first, days = module["hemoglobin"], 45
        goal = (
            p["hemoglobin_setpoint"] * (1 - p["hemoglobin_crowding"] * crowd) * (1 - p["hemoglobin_effect"] * activated)
        )
        wanted = goal + (first - goal) * np.exp(-p["hemoglobin_rate"] * days)
        np.testing.assert_allclose(module.live(days)["hemoglobin"], wanted, rtol=1e-8)

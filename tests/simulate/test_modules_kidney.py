"""Lysis products and the kidney by themselves: rest, balances, order by what is lysed, limits, what co-treatment does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from alone import NOTHING, Alone, Given, alone

from trialrun.simulate.model.leukemia import KIDNEY
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects

CHEMISTRY = ("urate", "phosphate", "potassium", "calcium", "creatinine", "filtration")
# A kidney that nothing hurts, so that a steady state is known from the equations.
UNHURT = {"crystal_injury": 0.0, "precipitation_rate": 0.0, "precipitate_injury": 0.0, "inflammatory_gfr_loss": 0.0}


@pytest.fixture(scope="module")
def some(population: Population) -> VirtualSubjects:
    return draw_subjects(population, 47, np.arange(40))


def kidney(
    subjects: VirtualSubjects,
    dying: float = 0.0,
    inflammation: float = 0.0,
    numbers: Given = NOTHING,
    filtration: float = 1.0,
) -> Alone:
    """`dying` 10^9 cells, of which a part `lysis_rate` (1 a day here) is set free each day; `filtration` at the start."""
    above = {"dying": dying, "lysis_rate": 1.0, "inflammation": inflammation}
    return alone(subjects, KIDNEY, above=above, numbers=numbers, start={"filtration": filtration})


def test_chemistry_rests_where_nothing_is_lysed(some: VirtualSubjects) -> None:
    module = kidney(some)
    before = {name: module[name] for name in CHEMISTRY}
    module.live(200)
    for name, value in before.items():
        np.testing.assert_allclose(module[name], value, rtol=1e-9)
    assert (module["potassium_stored"] == 0.0).all()
    assert (module["precipitated"] == 0.0).all()


@pytest.mark.parametrize("dying", [0.0, 20.0, 400.0])
def test_urate_phosphate_potassium_and_calcium_balance(some: VirtualSubjects, dying: float) -> None:
    """To 1e-6 of what went through in 30 days (phosphate to 1e-5), with allopurinol, hydration and one dose of rasburicase."""
    module, days = kidney(some, dying, inflammation=1.0), 30
    before = {name: module[name] for name in CHEMISTRY}
    module.live(5, allopurinol=1.0).live(1, allopurinol=1.0, rasburicase=1.0).live(days - 6, hydration=1.0)
    p = module.numbers
    change = {name: module[name] - before[name] for name in CHEMISTRY}

    urate = module["urate_made"] - module["urate_excreted"] - module["urate_oxidised"]
    assert (np.abs(change["urate"] * p["urate_volume"] - urate) < 1e-6 * module["urate_made"]).all()
    given = (p["phosphate_intake"] + p["phosphate_yield"] * dying) * days
    gone = module["phosphate_excreted"] + module["precipitated"] * p["phosphate_volume"]
    # phosphate is solved with its fast fall taken out, and what is excreted is added up without: two rules of order 4
    assert (np.abs(change["phosphate"] * p["phosphate_volume"] - (given - gone)) < 1e-5 * given).all()
    given = (p["potassium_intake"] + p["potassium_yield"] * dying) * days
    inside = change["potassium"] * p["potassium_volume"] + module["potassium_stored"]
    assert (np.abs(inside - (given - module["potassium_excreted"])) < 1e-6 * given).all()
    gap = change["calcium"] - (module["calcium_exchanged"] - module["precipitated"])
    assert (np.abs(gap) < 1e-6 * before["calcium"]).all()


def test_more_lysis_means_more_of_each_disorder(some: VirtualSubjects) -> None:
    """From a kidney that has nearly stopped: a sound one keeps phosphate too low for calcium to follow (docs/simulate.md)."""
    ends = [kidney(some, dying, filtration=0.1).live(3) for dying in (0.0, 20.0, 80.0, 200.0, 500.0)]
    for name in ("urate", "phosphate", "potassium"):
        assert (np.diff([end[name] for end in ends], axis=0) > 0).all(), name
    for name, sign in (("calcium", -1), ("filtration", -1), ("creatinine", 1)):
        steps = sign * np.diff([end[name] for end in ends], axis=0)
        assert (steps >= -1e-9).all(), name  # nothing moves them until crystals or precipitate form
        assert (steps[-1] > 0).all(), name


def test_a_steady_flow_ends_where_what_comes_equals_what_goes(some: VirtualSubjects) -> None:
    """Urate, phosphate and potassium of an unhurt kidney, from the equations."""
    dying = 60.0
    module = kidney(some, dying, numbers=UNHURT).live(400)
    p = module.numbers
    cleared = p["urate_gut_clearance"] + p["urate_excretion"] * p["gfr"]
    np.testing.assert_allclose(module["urate"], (p["urate_production"] + p["urate_yield"] * dying) / cleared, rtol=1e-6)
    threshold = p["phosphate_tm"] * (p["phosphate_baseline"] / module["phosphate"]) ** p["phosphate_power"]
    out = p["gfr"] * (module["phosphate"] - threshold)
    np.testing.assert_allclose(out, p["phosphate_intake"] + p["phosphate_yield"] * dying, rtol=1e-6)
    more = 1 + p["potassium_yield"] * dying / p["potassium_intake"]
    wanted = p["potassium_baseline"] * more ** (1 / p["potassium_power"])
    np.testing.assert_allclose(module["potassium"], wanted, rtol=1e-6)


def test_a_destroyed_leukaemia_of_10_000_billion_cells_in_a_day_is_survived_by_the_arithmetic(
    some: VirtualSubjects,
) -> None:
    module = kidney(some, 10_000.0).live(1, dying=10_000.0).live(30, dying=0.0)
    end = module.everything()
    assert np.isfinite(end).all()
    for name in CHEMISTRY:
        assert (module[name] > 0.0).all(), name
    assert (module["filtration"] <= 1.0 + 1e-9).all()


def test_allopurinol_lowers_urate_by_its_part(some: VirtualSubjects) -> None:
    module = kidney(some).live(200, allopurinol=1.0)
    np.testing.assert_allclose(
        module["urate"], some.traits["urate"] * (1 - some.traits["allopurinol_block"]), rtol=1e-6
    )
    np.testing.assert_allclose(module.live(200)["urate"], some.traits["urate"], rtol=1e-6)  # and back after it


def test_rasburicase_oxidises_urate_for_days_and_then_not(some: VirtualSubjects) -> None:
    module = kidney(some).live(1, rasburicase=1.0)
    left = module["urate"] / some.traits["urate"]  # 86 % less after 4 h in the source, less so at the end of the day
    assert np.median(left) < 0.2
    assert left.max() < 0.3
    np.testing.assert_allclose(module.live(60)["urate"], some.traits["urate"], rtol=1e-5)


def test_hydration_spares_and_dryness_costs_filtration(some: VirtualSubjects) -> None:
    lost = [1.0 - kidney(some, 300.0).live(4, hydration=water)["filtration"] for water in (1.0, 0.0, -0.4)]
    steps, hurt = np.diff(lost, axis=0), lost[2] > 1e-3
    assert hurt.any()
    assert (steps >= 0).all()
    assert (lost[2] > lost[0])[hurt].all()


def test_inflammation_takes_up_to_its_part_of_filtration(some: VirtualSubjects) -> None:
    levels = (0.0, 1.0, 3.0, 1e4)
    ends = np.array([kidney(some, inflammation=size).live(300)["filtration"] for size in levels])
    assert (np.diff(ends, axis=0) < 0).all()
    p = some.traits
    for size, found in zip(levels, ends, strict=True):
        part = size**2 / (size**2 + p["inflammatory_gfr_half"])
        np.testing.assert_allclose(found, 1 - p["inflammatory_gfr_loss"] * part, rtol=1e-6)


def worst_week(module: Alone) -> tuple[np.ndarray, np.ndarray]:
    """Highest potassium and lowest calcium of 7 mornings."""
    days = [(module.live(1)["potassium"], module["calcium"]) for _ in range(7)]
    return np.max([day[0] for day in days], axis=0), np.min([day[1] for day in days], axis=0)


def test_potassium_and_calcium_reach_the_limits_of_lysis_where_the_kidney_has_nearly_stopped(
    some: VirtualSubjects,
) -> None:
    """The first structure held both almost still: more people reach the definitions' limits now than with its numbers."""
    potassium, calcium = worst_week(kidney(some, 1000.0, inflammation=3.0, filtration=0.1))
    first = {"potassium_power": 4.0, "potassium_volume": 40.0, "potassium_buffer": 0.0, "calcium_rate": 1.5}
    damped = worst_week(kidney(some, 1000.0, inflammation=3.0, filtration=0.1, numbers=first))
    assert (potassium >= 6.0).sum() > (damped[0] >= 6.0).sum()
    assert (calcium <= 1.75).sum() > (damped[1] <= 1.75).sum()
    assert (damped[0] < potassium).all()
    assert (damped[1] > calcium).all()


def test_a_sound_kidney_keeps_calcium_whatever_is_lysed_by_treatment(some: VirtualSubjects) -> None:
    """A limit of the model, stated in docs/simulate.md: 5 x 10^11 cells a day leave calcium where it was."""
    module = kidney(some, 500.0, numbers=UNHURT | {"precipitation_rate": some.traits["precipitation_rate"]}).live(7)
    sound = some.traits["crcl"] > 80.0
    assert sound.any()
    np.testing.assert_allclose(module["calcium"][sound], some.traits["calcium"][sound], rtol=1e-6)

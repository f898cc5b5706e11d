"""Drug, activation and inflammation, each module by itself: rest, balance, order by dose, limits, alternatives."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from alone import alone

from trialrun.simulate.model.leukemia import IMMUNE, INFLAMMATION, pharmacokinetics
from trialrun.simulate.model.module import Module
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects

SIGNALS = ("activated", "homing_signal", "neutrophils_let", "platelets_let")
# Adds up the drug's signals, so that each day's mean can be seen.
PROBE = Module("probe", "the signals of the drug, added up", states={f"sum_{name}": name for name in SIGNALS})
DOSES = (0.0, 2.5, 5.0, 10.0, 25.0, 1e6)


@pytest.fixture(scope="module")
def some(population: Population) -> VirtualSubjects:
    return draw_subjects(population, 41, np.arange(40))


@pytest.mark.parametrize("way", ["additive", "power"])
def test_no_dose_leaves_no_drug_and_no_signal(some: VirtualSubjects, way: str) -> None:
    drug = alone(some, pharmacokinetics(way), PROBE, above={"filtration": 1.0}).live(30)
    for name in ("depot", "central", "effect", "exposure", "sum_activated", "sum_homing_signal"):
        assert (drug[name] == 0.0).all()
    np.testing.assert_allclose(drug["sum_neutrophils_let"], 30.0, rtol=1e-12)


@pytest.mark.parametrize("way", ["additive", "power"])
@pytest.mark.parametrize("filtration", [1.0, 0.4])
def test_what_was_taken_is_left_or_has_been_cleared(some: VirtualSubjects, way: str, filtration: float) -> None:
    drug = alone(some, pharmacokinetics(way), above={"filtration": filtration}).live(5, dose=25.0).live(1)
    p = drug.numbers
    if way == "additive":
        part = 1 - p["renal_fraction"] + p["renal_fraction"] * p["relative_crcl"] * filtration
    else:
        part = (p["relative_crcl"] * filtration) ** p["renal_power"]
    cleared = p["clearance"] * part * drug["exposure"] / 1000.0  # ng/mL to mg/L
    assert (np.abs(drug["depot"] + drug["central"] + cleared - 125.0) < 1e-6 * 125.0).all()


def test_the_drug_is_in_proportion_to_the_dose(some: VirtualSubjects) -> None:
    low, high = (alone(some, pharmacokinetics(), above={"filtration": 1.0}).live(7, dose=dose) for dose in (2.5, 25.0))
    for name in ("depot", "central", "effect", "exposure"):
        np.testing.assert_allclose(high[name], 10.0 * low[name], rtol=1e-10)


def test_signals_rise_with_the_dose_and_saturate(some: VirtualSubjects) -> None:
    seen = [alone(some, pharmacokinetics(), PROBE, above={"filtration": 1.0}).live(7, dose=dose) for dose in DOSES]
    for name, sign in zip(SIGNALS, (1, 1, -1, -1), strict=True):
        assert (sign * np.diff([drug[f"sum_{name}"] for drug in seen], axis=0) > 0).all(), name
    last = alone(some, pharmacokinetics(), PROBE, above={"filtration": 1.0}).live(20, dose=1e6)
    early = {name: last[f"sum_{name}"] for name in SIGNALS}
    last.live(1, dose=1e6)
    p = last.numbers
    limits = (1.0, 1.0, 1 - p["neutrophil_emax"], 1 - p["platelet_emax"])
    for name, limit in zip(SIGNALS, limits, strict=True):
        np.testing.assert_allclose(last[f"sum_{name}"] - early[name], limit, rtol=5e-3)


def test_a_failing_kidney_raises_exposure_as_each_alternative_says(some: VirtualSubjects) -> None:
    """One dose, followed until it is gone: exposure is dose / clearance."""

    def exposure(way: str, filtration: float) -> np.ndarray:
        drug = alone(some, pharmacokinetics(way), above={"filtration": filtration})
        return np.asarray(drug.live(1, dose=10.0).live(40)["exposure"])

    fr, crcl = some.traits["renal_fraction"], some.traits["relative_crcl"]
    additive = (1 - fr + fr * crcl) / (1 - fr + fr * crcl * 0.25)
    np.testing.assert_allclose(exposure("additive", 0.25) / exposure("additive", 1.0), additive, rtol=1e-6)
    power = exposure("power", 0.25) / exposure("power", 1.0)
    np.testing.assert_allclose(power, 4.0 ** some.traits["renal_power"], rtol=1e-6)
    assert (additive > power * 1.2).all()  # the power is too flat against the study in renal impairment


def test_activation_and_effectors_follow_their_signal(some: VirtualSubjects) -> None:
    """Chains of first order: the solution is known."""
    a, days = 0.6, 9
    immune = alone(some, IMMUNE, above={"activated": a}).live(days)
    kd, kt, ki = (immune.numbers[f"{name}_rate"] for name in ("activation", "tolerance", "effector"))
    np.testing.assert_allclose(immune["activation"], a * -np.expm1(-kd * days), rtol=1e-6)
    np.testing.assert_allclose(immune["effector_1"], a * -np.expm1(-ki * days), rtol=1e-6)
    second = a * (1 - np.exp(-ki * days) * (1 + ki * days))
    np.testing.assert_allclose(immune["effector_2"], second, rtol=1e-6)
    tolerance = a * (1 - (kd * np.exp(-kt * days) - kt * np.exp(-kd * days)) / (kd - kt))
    np.testing.assert_allclose(immune["tolerance"], tolerance, rtol=1e-5)


def test_activation_rests_without_drug_and_never_passes_its_signal(some: VirtualSubjects) -> None:
    assert (alone(some, IMMUNE, above={"activated": 0.0}).live(60).everything() == 0.0).all()
    ends = [alone(some, IMMUNE, above={"activated": a}).live(500) for a in (0.1, 0.5, 1.0)]
    for name in IMMUNE.states:
        assert (np.diff([end[name] for end in ends], axis=0) > 0).all(), name
        np.testing.assert_allclose(ends[-1][name], 1.0, rtol=1e-5)  # the most that there is
        assert (ends[-1][name] <= 1.0).all()


def inflamed(
    subjects: VirtualSubjects, above: float, tolerance: float = 0.0, days: int = 1, **taken: float
) -> np.ndarray:
    module = alone(subjects, INFLAMMATION, above={"activation": above, "tolerance": tolerance})
    return np.asarray(module.live(days, **taken)["inflammation"])


def test_inflammation_needs_activation_above_tolerance(some: VirtualSubjects) -> None:
    assert (inflamed(some, 0.0, 0.0, 60) == 0.0).all()
    assert (inflamed(some, 0.3, 0.3, 60) == 0.0).all()
    assert (inflamed(some, 0.3, 0.5, 60) == 0.0).all()  # below tolerance: none, not less than none
    rising = np.diff([inflamed(some, a, 0.1, 5) for a in (0.1, 0.2, 0.4, 0.8, 1.0)], axis=0)
    assert (rising > 0).all()


def test_inflammation_settles_at_its_gain_and_fades_at_its_rate(some: VirtualSubjects) -> None:
    p = some.traits
    rest = p["inflammation_gain"] * 0.5 ** p["inflammation_power"]
    np.testing.assert_allclose(inflamed(some, 0.7, 0.2, 200), rest, rtol=1e-8)
    module = alone(some, INFLAMMATION, above={"activation": 0.0, "tolerance": 0.0}, start={"inflammation": 3.0}).live(4)
    np.testing.assert_allclose(module["inflammation"], 3.0 * np.exp(-4 * p["inflammation_rate"]), rtol=1e-6)


def test_a_steroid_takes_its_part_of_inflammation_away(some: VirtualSubjects) -> None:
    with_it, without = inflamed(some, 0.7, 0.2, 6, steroid=1.0), inflamed(some, 0.7, 0.2, 6)
    np.testing.assert_allclose(with_it, without * (1 - some.traits["steroid_effect"]), rtol=1e-12)


def test_tolerance_on_ends_inflammation_under_the_same_drug_and_off_does_not(some: VirtualSubjects) -> None:
    on = alone(some, IMMUNE, INFLAMMATION, above={"activated": 0.5})
    off = alone(some, IMMUNE, INFLAMMATION, above={"activated": 0.5}, numbers={"tolerance_rate": 0.0})
    peak = np.max([on.live(1)["inflammation"] for _ in range(30)], axis=0)
    on.live(270)
    assert (on["inflammation"] < 0.01 * peak).all()
    off.live(300)
    assert (off["tolerance"] == 0.0).all()
    goal = some.traits["inflammation_gain"] * 0.5 ** some.traits["inflammation_power"]
    np.testing.assert_allclose(off["inflammation"], goal, rtol=1e-8)

"""The factor table against UCUM's own definitions, and molar masses against the atomic weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ucumvert import PintUcumRegistry

from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.tests import all_tests, find_test, get_test
from trialrun.vocab.units import _KNOWN, convert, dimension, factor, find_unit, get_unit, unit_spellings

# IUPAC standard atomic weights 2021 (abridged), https://ciaaw.org/abridged-atomic-weights.htm
WEIGHTS = {
    "C": 12.011,
    "H": 1.008,
    "N": 14.007,
    "O": 15.999,
    "K": 39.098,
    "P": 30.974,
    "Ca": 40.078,
    "Mg": 24.305,
    "Na": 22.990,
}
FORMULAS = {
    "creatinine": {"C": 4, "H": 7, "N": 3, "O": 1},
    "bilirubin": {"C": 33, "H": 36, "N": 4, "O": 6},
    "urate": {"C": 5, "H": 4, "N": 4, "O": 3},
    "potassium": {"K": 1},
    "phosphate": {"P": 1},
    "calcium": {"Ca": 1},
    "calcium_corrected": {"Ca": 1},
    "calcium_ionized": {"Ca": 1},
    "magnesium": {"Mg": 1},
    "sodium": {"Na": 1},
    "bicarbonate": {"H": 1, "C": 1, "O": 3},
    "glucose": {"C": 6, "H": 12, "O": 6},
    "glucose_fasting": {"C": 6, "H": 12, "O": 6},
    "glucose_random": {"C": 6, "H": 12, "O": 6},
    "cholesterol": {"C": 27, "H": 46, "O": 1},
    "hdl_cholesterol": {"C": 27, "H": 46, "O": 1},
    "ldl_cholesterol": {"C": 27, "H": 46, "O": 1},
    "triglycerides": {"C": 57, "H": 104, "O": 6},
}
# mg/dL (or g/dL) for one mmol/L, as laboratories print them (AMA Manual of Style, 11th ed., SI conversion table)
PRINTED = {
    "creatinine": ("umol/L", "mg/dL", 1 / 88.4),
    "urate": ("umol/L", "mg/dL", 1 / 59.485),
    "bilirubin": ("umol/L", "mg/dL", 1 / 17.104),
    "calcium": ("mg/dL", "mmol/L", 0.25),
    "glucose": ("mg/dL", "mmol/L", 0.0555),
    "cholesterol": ("mg/dL", "mmol/L", 0.0259),
    "triglycerides": ("mg/dL", "mmol/L", 0.0113),
    "magnesium": ("mg/dL", "mmol/L", 0.4114),
    "phosphate": ("mg/dL", "mmol/L", 0.323),
    "hemoglobin": ("g/dL", "mmol/L", 0.6206),
}


@pytest.fixture(scope="module")
def registry() -> PintUcumRegistry:
    return PintUcumRegistry()


def test_factors_are_those_of_ucum(registry: PintUcumRegistry) -> None:
    """Every unit of a dimension against the first one of it."""
    groups: dict[str, list[str]] = {}
    for unit, (kind, _) in _KNOWN.items():
        groups.setdefault(kind, []).append(unit)
    compared = 0
    for kind, units in groups.items():
        if len(units) == 1:
            continue
        first = registry.from_ucum(units[0])
        for unit in units[1:]:
            expected = float((registry.from_ucum(unit) / first).to("dimensionless").magnitude)
            assert math.isclose(factor(unit, units[0]), expected, rel_tol=1e-12), (kind, unit)
            compared += 1
    assert compared > 30


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_molar_mass_is_that_of_the_formula(name: str) -> None:
    computed = sum(WEIGHTS[atom] * n for atom, n in FORMULAS[name].items())
    mass = get_test(name).molar_mass
    assert mass is not None
    assert mass == pytest.approx(computed, rel=5e-5)


def test_every_molar_mass_has_a_formula_or_a_source() -> None:
    for test in all_tests().values():
        if test.molar_mass is not None:
            assert test.name in FORMULAS or "molar mass" in test.source, test.name


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_conversion_factors_agree_with_the_printed_ones(name: str) -> None:
    have, want, printed = PRINTED[name]
    assert factor(have, want, name) == pytest.approx(printed, rel=4e-3)


def test_every_number_has_a_source() -> None:
    for test in all_tests().values():
        if test.kind == "number":
            assert test.source, test.name


def test_each_test_is_carried_in_a_known_unit_and_has_a_sensible_range() -> None:
    for test in all_tests().values():
        if test.kind == "number":
            assert test.unit is not None
            assert find_unit(test.unit) == test.unit
            assert test.us_unit is not None
            factor(test.us_unit, test.unit, test.name)
            assert test.low is None or test.high is None or test.low < test.high


def test_no_test_goes_by_a_word_for_nothing() -> None:
    for nothing in ("NA", "na", "", ".", "null"):
        assert find_test(nothing) is None


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("10^9/L", "10*9/L"),
        ("GI/L", "10*9/L"),
        ("10^9/l", "10*9/L"),
        ("THOU/uL", "10*3/uL"),
        ("1/uL", "/uL"),
        ("mEq/L", "meq/L"),
        ("µmol/L", "umol/L"),
        ("MG/DL", "mg/dL"),
        ("ml/min/1.73m2", "mL/min/{1.73_m2}"),
        ("g/24h", "g/d"),
        ("IU/L", "U/L"),
    ],
)
def test_usual_spellings(spelling: str, code: str) -> None:
    assert get_unit(spelling) == code


def test_spellings_do_not_collide() -> None:
    codes = set(unit_spellings().values())
    for spelling, code in unit_spellings().items():
        assert spelling == code or spelling not in codes, spelling


def test_milliequivalents_follow_the_charge() -> None:
    assert factor("meq/L", "mmol/L", "calcium") == 0.5
    assert factor("mmol/L", "meq/L", "potassium") == 1.0
    assert dimension("mmol/L") == "substance/volume"
    with pytest.raises(TrialrunError, match="cannot be converted"):
        factor("meq/L", "mmol/L", "glucose")


def test_conversion_keeps_missing_and_goes_back() -> None:
    values = np.asarray([1.0, np.nan, 250.0])
    there = convert(values, "mg/dL", "mmol/L", "glucose")
    assert np.isnan(there[1])
    back = convert(there, "mmol/L", "mg/dL", "glucose")
    np.testing.assert_allclose(back[[0, 2]], values[[0, 2]], rtol=1e-14)


def test_grams_do_not_become_moles_without_a_molar_mass() -> None:
    with pytest.raises(TrialrunError, match="cannot be converted"):
        factor("g/L", "mmol/L", "albumin")
    with pytest.raises(TrialrunError):
        get_unit("furlongs")

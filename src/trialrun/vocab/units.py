"""Units: usual spellings to UCUM codes, and conversion, between molar and mass units too.

Common pairs go through a small table of SI factors; everything else goes through ucumvert and pint, which
take over a second to load and are therefore loaded only when needed. The tests compare the two.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.tests import Test, find_test

# Size of each common unit in the base unit of its dimension: (dimension, factor). Exact by definition (SI, UCUM);
# a month is a twelfth of a Julian year of 365.25 days and a year that year, as UCUM has them.
_KNOWN: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "10*9/L": ("number/volume", 1e9),
        "10*3/uL": ("number/volume", 1e9),
        "/uL": ("number/volume", 1e6),
        "10*12/L": ("number/volume", 1e12),
        "10*6/uL": ("number/volume", 1e12),
        "10*6/L": ("number/volume", 1e6),
        "10*3/mL": ("number/volume", 1e6),
        "10*6/mL": ("number/volume", 1e9),
        "g/L": ("mass/volume", 1.0),
        "g/dL": ("mass/volume", 10.0),
        "mg/dL": ("mass/volume", 0.01),
        "mg/L": ("mass/volume", 1e-3),
        "ug/L": ("mass/volume", 1e-6),
        "ug/dL": ("mass/volume", 1e-5),
        "ng/mL": ("mass/volume", 1e-6),
        "ug/mL": ("mass/volume", 1e-3),
        "mg/mL": ("mass/volume", 1.0),
        "mol/L": ("substance/volume", 1.0),
        "mmol/L": ("substance/volume", 1e-3),
        "umol/L": ("substance/volume", 1e-6),
        "nmol/L": ("substance/volume", 1e-9),
        "mmol/dL": ("substance/volume", 1e-2),
        "U/L": ("activity/volume", 1.0),
        "U/mL": ("activity/volume", 1e3),
        "ukat/L": ("activity/volume", 60.0),
        "nkat/L": ("activity/volume", 0.06),
        "mg": ("mass", 1e-3),
        "g": ("mass", 1.0),
        "ug": ("mass", 1e-6),
        "kg": ("mass", 1e3),
        "s": ("time", 1 / 86400),
        "min": ("time", 1 / 1440),
        "h": ("time", 1 / 24),
        "d": ("time", 1.0),
        "wk": ("time", 7.0),
        "mo": ("time", 30.4375),
        "a": ("time", 365.25),
        "mm": ("length", 1e-3),
        "cm": ("length", 1e-2),
        "m": ("length", 1.0),
        "mm2": ("area", 1e-6),
        "cm2": ("area", 1e-4),
        "mL/min": ("volume/time", 1.0),
        "L/min": ("volume/time", 1000.0),
        "mL/s": ("volume/time", 60.0),
        "mL/min/{1.73_m2}": ("volume/time/area", 1.0),
        "mL/s/{1.73_m2}": ("volume/time/area", 60.0),
        "g/d": ("mass/time", 1.0),
        "mg/d": ("mass/time", 1e-3),
        "g/g": ("fraction", 1.0),
        "mg/g": ("fraction", 1e-3),
        "[pH]": ("pH", 1.0),
        "%": ("fraction", 0.01),
        "1": ("fraction", 1.0),
    }
)

# Charge numbers for units of equivalents: one mmol of the ion carries this many meq.
_VALENCE: Mapping[str, int] = MappingProxyType(
    {"potassium": 1, "sodium": 1, "chloride": 1, "bicarbonate": 1, "calcium": 2, "magnesium": 2}
)


@cache
def _spellings() -> Mapping[str, str]:
    table = files("trialrun.vocab").joinpath("data/units.csv").read_text(encoding="utf-8")
    spellings: dict[str, str] = {}
    for row in csv.DictReader(table.splitlines()):
        for spelling in (row["ucum"], *filter(None, row["spellings"].split("|"))):
            spellings[spelling.replace(" ", "")] = row["ucum"]
    return MappingProxyType(spellings)


def unit_spellings() -> Mapping[str, str]:
    """Every spelling that is understood without ucumvert (blanks removed), with its UCUM code."""
    return _spellings()


def _error(message: str, found: str, expected: str, location: Location | None) -> TrialrunError:
    return TrialrunError(Problem("unknown-unit", message, found, expected, location or Location()))


@cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry  # takes over a second: only for units outside the common table

    return PintUcumRegistry()


def find_unit(spelling: str) -> str | None:
    """The UCUM code of a usual spelling of a unit, or None when it is not one. Upper and lower case differ."""
    text = spelling.strip().replace(" ", "")
    if not text:
        return None
    known = _spellings().get(text)
    if known is not None:
        return known
    folded = {key.casefold(): code for key, code in _spellings().items() if "/" in key or len(key) > 2}
    if text.casefold() in folded:
        return folded[text.casefold()]
    try:
        _registry().from_ucum(text)
    except Exception:  # ucumvert raises lark's and pint's own classes for what it cannot read
        return None
    return text


def get_unit(spelling: str, location: Location | None = None) -> str:
    """As `find_unit`, but an unknown unit is a TrialrunError."""
    code = find_unit(spelling)
    if code is None:
        raise _error("unknown unit", repr(spelling), "a UCUM unit such as 10*9/L, g/L or mg/dL", location)
    return code


def dimension(unit: str) -> str:
    """A name for what the unit measures; units convert into each other when they share it."""
    known = _KNOWN.get(unit)
    if known is not None:
        return known[0]
    return str(_registry().from_ucum(unit).dimensionality)


@cache
def factor(from_unit: str, to_unit: str, test_name: str | None = None) -> float:
    """What a value in `from_unit` is multiplied by to be in `to_unit` (both UCUM codes).

    `test_name` supplies the molar mass for conversion between amounts of substance and mass and the charge for
    milliequivalents. A pair that does not convert is a TrialrunError. Temperatures have an offset: see `convert`.
    """
    if from_unit == to_unit:
        return 1.0
    test = find_test(test_name) if test_name else None
    if "meq/L" in (from_unit, to_unit):
        return _equivalents(from_unit, to_unit, test)
    known_from, known_to = _KNOWN.get(from_unit), _KNOWN.get(to_unit)
    if known_from and known_to:
        (dim_from, size_from), (dim_to, size_to) = known_from, known_to
        if dim_from == dim_to:
            return size_from / size_to
        mass = test.molar_mass if test else None
        if mass is not None and (dim_from, dim_to) == ("substance/volume", "mass/volume"):
            return size_from * mass / size_to
        if mass is not None and (dim_from, dim_to) == ("mass/volume", "substance/volume"):
            return size_from / mass / size_to
        raise _no_way(from_unit, to_unit, test)
    try:
        registry = _registry()
        converted = registry.from_ucum(from_unit).to(registry.from_ucum(to_unit).units)
    except Exception as error:  # as above
        raise _no_way(from_unit, to_unit, test) from error
    return float(converted.magnitude / registry.from_ucum(to_unit).magnitude)


def _equivalents(from_unit: str, to_unit: str, test: Test | None) -> float:
    charge = _VALENCE.get(test.name) if test else None
    if charge is None:
        raise _no_way(from_unit, to_unit, test)
    name = test.name if test else None
    if from_unit == "meq/L":
        return factor("mmol/L", to_unit, name) / charge
    return factor(from_unit, "mmol/L", name) * charge


def _no_way(from_unit: str, to_unit: str, test: Test | None) -> TrialrunError:
    about = f" for {test.name}" if test else ""
    return TrialrunError(
        Problem(
            "unit-mismatch",
            f"a value in {from_unit} cannot be converted to {to_unit}{about}",
            from_unit,
            f"a unit of the same kind as {to_unit}",
        )
    )


@overload
def convert(values: float, from_unit: str, to_unit: str, test_name: str | None = None) -> float: ...
@overload
def convert(
    values: NDArray[np.float64], from_unit: str, to_unit: str, test_name: str | None = None
) -> NDArray[np.float64]: ...
def convert(
    values: float | NDArray[np.float64], from_unit: str, to_unit: str, test_name: str | None = None
) -> float | NDArray[np.float64]:
    """Values (any shape) in `from_unit` as values in `to_unit`; NaN stays NaN."""
    if from_unit == "[degF]" and to_unit == "Cel":
        return (values - 32.0) / 1.8
    if from_unit == "Cel" and to_unit == "[degF]":
        return values * 1.8 + 32.0
    return values * factor(from_unit, to_unit, test_name)

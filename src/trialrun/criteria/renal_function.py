"""Creatinine clearance (Cockcroft-Gault) and glomerular filtration rate (CKD-EPI 2009, 2021) over whole columns."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trialrun.criteria.tables import select
from trialrun.criteria.truth import TRUE, UNKNOWN, Numbers, Truths, as_numbers, as_truths
from trialrun.vocab.problems import Problem, TrialrunError

WeightKind = Literal["actual", "ideal", "adjusted"]

UMOL_PER_MG_DL = 88.4  # creatinine, umol/L for each mg/dL (as the equations' authors convert)
ADULT_AGE = 18.0
_CM_PER_INCH = 2.54


@cache
def _coefficients(version: str) -> dict[str, float]:
    return {row.item: row.bound or 0.0 for row in select("renal_function", version, "coefficient")}


def _inputs(age: ArrayLike, creatinine: ArrayLike, female: ArrayLike) -> tuple[Numbers, Numbers, Truths]:
    years, umol, sex = as_numbers(age), as_numbers(creatinine), as_truths(female)
    if (umol <= 0).any() or (years < 0).any():
        raise TrialrunError(
            Problem("impossible-value", "creatinine must be above zero and age not below", None, "umol/L and years")
        )
    return years, umol / UMOL_PER_MG_DL, sex


def _by_sex(female: Truths, if_female: float, if_male: float) -> Numbers:
    """One constant or the other; NaN where the sex is unknown."""
    return np.where(female == UNKNOWN, np.nan, np.where(female == TRUE, if_female, if_male))


def compute_cockcroft_gault(
    age: ArrayLike,
    weight: ArrayLike,
    creatinine: ArrayLike,
    female: ArrayLike,
    *,
    weight_kind: WeightKind,
    height: ArrayLike = np.nan,
) -> Numbers:
    """Creatinine clearance in mL/min (not per 1.73 m2), NaN where something needed is unknown.

    `age` in years, `weight` (actual) in kg, `creatinine` in umol/L, `female` truths, `height` in cm. `weight_kind` has
    no default because sources differ: the actual weight (as in 1976), the ideal one, or the adjusted one
    (ideal + 0.4 x (actual - ideal)); the last two need the height. Source: Cockcroft and Gault 1976.
    """
    years, serum, sex = _inputs(age, creatinine, female)
    k = _coefficients("Cockcroft-Gault-1976")
    kilograms = as_numbers(weight)
    if (kilograms <= 0).any():
        raise TrialrunError(Problem("impossible-value", "a weight must be above zero", None, "kg"))
    if weight_kind not in ("actual", "ideal", "adjusted"):
        raise TrialrunError(
            Problem("unknown-choice", "unknown kind of weight", str(weight_kind), "actual, ideal or adjusted")
        )
    if weight_kind != "actual":
        inches = as_numbers(height) / _CM_PER_INCH
        ideal = _by_sex(sex, k["ideal_female"], k["ideal_male"]) + k["ideal_per_inch"] * (inches - 60)
        kilograms = ideal if weight_kind == "ideal" else ideal + k["adjusted"] * (kilograms - ideal)
    return (k["age"] - years) * kilograms / (k["divisor"] * serum) * _by_sex(sex, k["female"], 1.0)


def compute_ckd_epi_2021(age: ArrayLike, creatinine: ArrayLike, female: ArrayLike) -> Numbers:
    """Estimated GFR in mL/min/1.73 m2; `age` in years (adults), `creatinine` in umol/L, `female` truths.

    NaN where something is unknown or the subject is under 18. Source: Inker 2021.
    """
    return _ckd_epi("CKD-EPI-2021", age, creatinine, female)


def compute_ckd_epi_2009(age: ArrayLike, creatinine: ArrayLike, female: ArrayLike, black: ArrayLike) -> Numbers:
    """Estimated GFR in mL/min/1.73 m2 by the equation of 2009, whose factor for `black` subjects was dropped in 2021.

    Units as for `compute_ckd_epi_2021`. Source: Levey 2009.
    """
    race = as_truths(black)
    factor = _coefficients("CKD-EPI-2009")["black"]
    return _ckd_epi("CKD-EPI-2009", age, creatinine, female) * np.where(
        race == UNKNOWN, np.nan, np.where(race == TRUE, factor, 1.0)
    )


def _ckd_epi(version: str, age: ArrayLike, creatinine: ArrayLike, female: ArrayLike) -> Numbers:
    years, serum, sex = _inputs(age, creatinine, female)
    k = _coefficients(version)
    ratio = serum / _by_sex(sex, k["k_female"], k["k_male"])
    low = np.minimum(ratio, 1.0) ** _by_sex(sex, k["a_female"], k["a_male"])
    rate = k["scale"] * low * np.maximum(ratio, 1.0) ** k["above"] * k["age"] ** years * _by_sex(sex, k["female"], 1.0)
    return np.where(years < ADULT_AGE, np.nan, rate)

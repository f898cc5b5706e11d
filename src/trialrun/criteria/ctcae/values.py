"""Grades of the values of one test, both directions put together, without any table around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialrun.criteria.ctcae.engine import (
    NOT_GRADED,
    Bools,
    Columns,
    Floats,
    Grades,
    TermGrades,
    grade_term,
    unit_fits,
)
from trialrun.criteria.ctcae.tables import End, read_version, terms_of
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import factor, find_unit, unit_spellings

Assume = Literal["best", "worst"]

_NO_UNIT_NEEDED = ("1", "[pH]")


@dataclass(frozen=True, slots=True)
class TestGrades:
    """Grades of a column of one test.

    `grade` is 0 to 4, -1 where it cannot be told; `direction` -1 for low, 1 for high, 0 for neither; `low_end` and
    `high_end` the range the grade can be in (-1 without any). `low` and `high` are the two terms by themselves, None
    where CTCAE has no term in that direction.
    """

    __test__ = False  # a grade of a laboratory test; pytest must not collect it

    grade: Grades
    direction: NDArray[np.int8]
    low_end: Grades
    high_end: Grades
    low: TermGrades | None
    high: TermGrades | None

    @property
    def signed(self) -> Grades:
        """The grade with a minus sign where it is a low one, as ADaM's ATOXGR; -128 where there is none."""
        signed = np.where(self.direction < 0, -self.grade, self.grade)
        return np.where(self.grade < 0, np.int8(-128), signed).astype(np.int8)


def combine(low: TermGrades | None, high: TermGrades | None, n: int) -> TestGrades:
    """Both directions of one test as one: a low grade above 0 first, then a high one, 0 only if every term that
    exists says 0, otherwise none."""
    none = np.full(n, NOT_GRADED)
    low_grade = none if low is None else low.grade
    high_grade = none if high is None else high.grade
    zero = np.full(n, low is not None or high is not None)
    for part in (low, high):
        if part is not None:
            zero &= part.grade == 0
    grade = np.where(low_grade > 0, low_grade, np.where(high_grade > 0, high_grade, np.where(zero, 0, NOT_GRADED)))
    direction = np.where(low_grade > 0, -1, np.where(high_grade > 0, 1, 0))
    low_end, high_end = none.copy(), none.copy()
    for part in (low, high):
        if part is not None:
            low_end, high_end = np.maximum(low_end, part.low_end), np.maximum(high_end, part.high_end)
    return TestGrades(grade.astype(np.int8), direction.astype(np.int8), low_end, high_end, low, high)


def find_usual_unit(spelling: str | None, test: str) -> str | None:
    """The UCUM code of a unit as laboratories write it for that test, None if it is not one.

    Only units of the package's own list are taken, so that a slip is not read as some rare UCUM unit. `G/L` is giga
    per litre for a count and gram per litre for a protein: where one reading does not fit the test the other counts.
    """
    if spelling is None:
        return None
    text = spelling.strip().replace(" ", "")
    known = unit_spellings()
    code = known.get(text)
    if code is not None and unit_fits(test, code):
        return code
    for other, folded in known.items():
        if other.casefold() == text.casefold() and unit_fits(test, folded):
            return folded
    return code


def check_unit(spelling: str | None, test: str) -> str | None:
    """As `find_usual_unit`, but a unit that is unknown or does not fit the test is a TrialrunError.

    None (not reported) stays None, except that tests without dimension need no unit.
    """
    carried = get_test(test).unit
    if spelling is None or not spelling.strip():
        return carried if carried in _NO_UNIT_NEEDED else None
    code = find_usual_unit(spelling, test)
    if code is None:
        near = find_unit(spelling)
        raise TrialrunError(
            Problem(
                "unknown-unit",
                f"unknown unit for {test}",
                repr(spelling),
                f"a usual unit of the test such as {carried}" + (f", not {near}" if near else ""),
            )
        )
    if not unit_fits(test, code):
        raise TrialrunError(
            Problem(
                "unit-mismatch", f"this unit does not fit {test}", repr(spelling), f"a unit of the kind of {carried}"
            )
        )
    return code


def implausible(test: str, unit: str | None, values: Floats) -> Bools:
    """Where a value in `unit` is outside what is physically plausible for the test; nowhere without a unit."""
    found = get_test(test)
    if unit is None:
        return np.asarray(values < 0)
    carried = values * factor(unit, found.unit, found.name) if found.unit else values
    low, high = found.low, found.high
    outside = np.zeros(np.shape(values), bool)
    if low is not None:
        outside |= carried < low * (1 - 1e-12)
    if high is not None:
        outside |= carried > high * (1 + 1e-12)
    return outside


def grade_columns(test: str, version: str, columns: Columns, unit: str | None, assume: End = "") -> TestGrades:
    """Grades of columns by the terms of one test (canonical name) in one version ("5.0"); unit as UCUM code."""
    low, high = terms_of(test, version)
    return combine(
        grade_term(low, columns, unit, test, assume) if low else None,
        grade_term(high, columns, unit, test, assume) if high else None,
        len(columns.value),
    )


def grade_values(
    test: str,
    values: Floats,
    unit: str | None = None,
    low: Floats | float | None = None,
    high: Floats | float | None = None,
    baseline: Floats | float | None = None,
    *,
    version: str,
    baseline_low: Floats | float | None = None,
    baseline_high: Floats | float | None = None,
    at_baseline: Bools | None = None,
    assume: Assume | None = None,
) -> TestGrades:
    """CTCAE grades of an array of values of one test.

    `values`, the reference limits `low` and `high` and `baseline` (arrays of one length, or one number for all) are in
    `unit` (any usual spelling; the canonical unit of the test by default); NaN or None = missing. `version` is "5.0",
    "ctcae-5.0" and the like. Limits are taken as given: reversed or impossible ones are found by `grade_labs`. Total
    calcium is named `calcium` and graded as `calcium_corrected` after `correct_calcium`. An unknown test, unit or
    version is a TrialrunError; a test without a term in the version has grade -1 throughout. Source: CTCAE, by version.
    """
    found = get_test(test)
    code = check_unit(unit if unit is not None else found.unit, found.name)
    columns = Columns.of(values, low, high, baseline, baseline_low, baseline_high, at_baseline)
    return grade_columns(found.name, read_version(version), columns, code, assume or "")


def correct_calcium(calcium: Floats, albumin: Floats, version: str, unit: str = "mmol/L") -> Floats:
    """Total calcium (`unit` mmol/L or mg/dL) corrected for albumin (g/L), in that unit; NaN where either is missing.

    mg/dL: calcium + 0.8 x (4 - albumin in g/dL), printed in CTCAE 3.0 (recalled), there for albumin below 4.0 g/dL
    only. mmol/L: calcium + 0.02 x (40 - albumin in g/L), the form in use with CTCAE 4.03. Versions 4.03 to 6.0 print
    no formula: the same one is applied at every albumin.
    """
    lacking = 40.0 - np.asarray(albumin, dtype=np.float64)
    if read_version(version) == "3.0":
        lacking = np.where(lacking < 0, 0.0, lacking)
    if unit not in ("mmol/L", "mg/dL"):
        raise TrialrunError(
            Problem("unit-mismatch", "calcium is corrected in mmol/L or mg/dL only", unit, "mmol/L or mg/dL")
        )
    return np.asarray(calcium, dtype=np.float64) + (0.08 if unit == "mg/dL" else 0.02) * lacking

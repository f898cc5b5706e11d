"""Rows put together by test and unit, so that each group is graded by one set of comparisons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae.findings import Findings
from trialrun.criteria.ctcae.tables import terms_of
from trialrun.criteria.ctcae.values import check_unit
from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.tests import Test, find_test, nearest

Codes = NDArray[np.int32]

_BLOOD = ("BLOOD", "SERUM", "PLASMA", "SERUM OR PLASMA", "SERUM/PLASMA")
_URINE_TESTS = ("urine_protein_24h", "urine_protein_creatinine", "creatinine_clearance")
_KEYS = ("test", "unit", "specimen", "category", "fasting")


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one test (canonical name) in one unit (UCUM code), or the reason why they cannot be graded."""

    rows: NDArray[np.intp]
    test: str
    unit: str | None
    problem: str | None = None


def _place(specimen: str | None, category: str | None) -> str | None:
    """`blood`, `urine`, another specimen, or None when nothing is said."""
    if specimen is not None:
        upper = specimen.upper()
        if "URINE" in upper:
            return "urine"
        return "blood" if any(word in upper for word in _BLOOD) else upper.lower()
    if category is not None and category.upper().startswith("URIN"):
        return "urine"
    return None


def _find_test(spelling: str | None, place: str | None, fasting: str | None) -> Test | str:
    if spelling is None:
        return "no test is named"
    test = find_test("blood_ph" if spelling.upper() == "PH" and place == "blood" else spelling)
    if test is None:
        return f"unknown test {spelling!r}" + (" in urine" if place == "urine" else "")
    if (place == "urine") != (test.name in _URINE_TESTS) and place is not None:
        return f"{test.name} in {place} has no term"
    if test.name == "glucose" and fasting is not None:
        known = {"Y": "glucose_fasting", "YES": "glucose_fasting", "N": "glucose_random", "NO": "glucose_random"}
        return find_test(known.get(fasting.upper(), "glucose")) or test
    return test


def _problem(test: Test | str, unit: str | None, version: str) -> tuple[str, str, str | None, str | None]:
    """Test name, UCUM unit, code of the finding and reason of a combination (both None when it can be graded)."""
    if isinstance(test, str):
        return "", "", "unknown-test" if test.startswith(("unknown", "no test")) else None, test
    graded = "calcium_corrected" if test.name == "calcium" else test.name
    if test.kind != "number" or terms_of(graded, version) == (None, None):
        return test.name, "", None, f"CTCAE {version} has no laboratory term for {test.name} here"
    try:
        return test.name, check_unit(unit, test.name) or "", None, None
    except TrialrunError as error:
        problem = error.problems[0]
        return test.name, "", problem.code, f"{problem.message}: {problem.found}"


def find_groups(table: pl.DataFrame, version: str, findings: Findings) -> tuple[list[Group], Codes, Codes]:
    """The groups of a standardised table, and for each row a code of its test and of its unit (-1 = none)."""
    combined = table.select(_KEYS).with_row_index("row").group_by(_KEYS, maintain_order=True).agg(pl.col("row"))
    ends = np.cumsum(combined["row"].list.len().to_numpy()) if combined.height else np.empty(0, np.intp)
    members = np.split(combined["row"].explode().to_numpy().astype(np.intp), ends[:-1]) if combined.height else []
    test_codes, unit_codes = np.full(table.height, -1, np.int32), np.full(table.height, -1, np.int32)
    names: dict[str, int] = {}
    units: dict[str, int] = {}
    merged: dict[tuple[str, str, str | None], list[NDArray[np.intp]]] = {}
    for rows, (spelling, unit, specimen, category, fasting) in zip(
        members, combined.select(_KEYS).iter_rows(), strict=True
    ):
        test = _find_test(spelling, _place(specimen, category), fasting)
        name, code, finding, reason = _problem(test, unit, version)
        if finding is not None and reason is not None:
            near = nearest(spelling) if finding == "unknown-test" and spelling and len(spelling) > 5 else ""
            hint = f"; right would be {near}" if near.startswith("one of") else ""
            findings.add(rows, finding, reason + hint, spelling if finding == "unknown-test" else unit)
        if name:
            test_codes[rows] = names.setdefault(name, len(names))
            unit_codes[rows] = units.setdefault(code or f"?{unit}", len(units))
        merged.setdefault((name, code, reason), []).append(rows)
    groups = [
        Group(np.sort(np.concatenate(parts)), name, code or None, reason)
        for (name, code, reason), parts in merged.items()
    ]
    return groups, test_codes, unit_codes

"""Grades of whole columns: one term, one unit, any number of values.

Every arm of a term is a comparison that is true, false or not known (a limit or the baseline is missing). The worst
grade whose arm is true is the lower end of what the grade can be, the worst whose arm is not false the upper end.
Where clinical facts take part, both ends are worked out for the mildest and for the worst facts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialrun.criteria.ctcae.tables import REFER, Arm, Bound, Comparison, End, Term
from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import dimension, factor

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Grades = NDArray[np.int8]

NOT_GRADED = np.int8(-1)
NO_ARM = np.int8(-1)

# Why a row has no grade, or only a least one: bits of `TermGrades.why`.
VALUE, UNIT, LLN, ULN, BASELINE, CLINICAL, GAP, ELSEWHERE, AT_LEAST = (1 << bit for bit in range(9))

_POWERS = 10.0 ** np.arange(-307, 309)


def round_significant(values: Floats) -> Floats:
    """Values rounded to 15 significant digits, so that products such as 3 x 0.1 meet the cut point they mean.

    What lies halfway between two such numbers in the 16th digit may go to either.
    """
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        magnitude = np.abs(values)
        ordinary = (magnitude > 1e-280) & (magnitude < 1e280)
        exponent = np.floor(np.log10(np.where(ordinary, magnitude, 1.0))).astype(np.int64)
        scale = _POWERS[14 - exponent + 307]
        rounded = np.rint(values * scale) / scale
    return np.where(ordinary, rounded, values)


def _compare(left: Floats, operator: str, right: Floats) -> Bools:
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def cut_in_unit(bound: Bound, unit: str | None, test: str) -> tuple[float, str] | None:
    """The cut point of a bound in `unit` with the unit it is printed in; None without a unit.

    A cut point that is printed in a unit of the same kind is taken as it is printed; only where none is, the first
    printed one is converted with the molar mass of the test.
    """
    if unit is None:
        return None
    kind = dimension(unit)
    for printed, number in bound.cuts:
        if dimension(printed) == kind:
            return number * factor(printed, unit, test), printed
    printed, number = bound.cuts[0]
    return number * factor(printed, unit, test), printed


def unit_fits(test: str, unit: str) -> bool:
    """Whether values of the test in that unit convert to the unit the test is carried in."""
    carried = get_test(test).unit
    if carried is None:
        return False
    try:
        factor(unit, carried, test)
    except TrialrunError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Columns:
    """Values of one test in one unit, with their limits and baseline in that unit (NaN = missing); equal lengths.

    `at_baseline` marks the baseline records: they are graded against the limits alone.
    """

    value: Floats
    low: Floats
    high: Floats
    baseline: Floats
    baseline_low: Floats
    baseline_high: Floats
    at_baseline: Bools

    @classmethod
    def of(
        cls,
        value: Floats,
        low: Floats | float | None = None,
        high: Floats | float | None = None,
        baseline: Floats | float | None = None,
        baseline_low: Floats | float | None = None,
        baseline_high: Floats | float | None = None,
        at_baseline: Bools | None = None,
    ) -> Columns:
        """Columns from what is there; a missing limit of the baseline is that of the record itself."""
        value = np.atleast_1d(np.asarray(value, dtype=np.float64))

        def column(given: Floats | float | None) -> Floats:
            if given is None:
                return np.full(value.shape, np.nan)
            return np.broadcast_to(np.asarray(given, dtype=np.float64), value.shape)

        low, high = column(low), column(high)
        own_low, own_high = column(baseline_low), column(baseline_high)
        return cls(
            value=value,
            low=low,
            high=high,
            baseline=column(baseline),
            baseline_low=np.where(np.isnan(own_low), low, own_low),
            baseline_high=np.where(np.isnan(own_high), high, own_high),
            at_baseline=np.zeros(value.shape, bool) if at_baseline is None else np.asarray(at_baseline, dtype=bool),
        )


@dataclass(frozen=True, slots=True)
class TermGrades:
    """Grades by one term in one unit: `grade` -1 where it cannot be told, the range it can be in, the arm that decided
    (index into `term.arms`, -1 for none) and why there is no grade (bits)."""

    term: Term
    unit: str | None
    grade: Grades
    low_end: Grades
    high_end: Grades
    arm: Grades
    why: NDArray[np.int16]


class _Frame:
    """The columns of one call with everything that several arms use computed once."""

    def __init__(self, term: Term, columns: Columns, unit: str | None, test: str) -> None:
        self.term, self.columns, self.unit, self.test = term, columns, unit, test
        self.value = round_significant(columns.value)
        self.no_baseline = np.isnan(columns.baseline)
        self._bounds: dict[Bound, Floats] = {}

    def bound(self, bound: Bound, baseline: Floats | None = None) -> Floats:
        """A bound for the value; `baseline` replaces the baseline column where another one is to be tried."""
        if baseline is None and bound in self._bounds:
            return self._bounds[bound]
        if bound.reference is None:
            cut = cut_in_unit(bound, self.unit, self.test)
            result = round_significant(np.asarray([np.nan if cut is None else cut[0]]))
        else:
            c = self.columns
            column = {"LLN": c.low, "ULN": c.high, "baseline": c.baseline if baseline is None else baseline}
            result = column[bound.reference] * bound.factor
            if bound.offset_unit is not None:
                step = np.nan if self.unit is None else factor(bound.offset_unit, self.unit, self.test)
                result = result + bound.offset * step
            result = round_significant(result)
        if baseline is None:
            self._bounds[bound] = result
        return result

    def condition(self, comparison: Comparison) -> tuple[Bools, Bools]:
        """Where a condition beside the near bound is true, and where it is not false."""
        c = self.columns
        if comparison.subject == "baseline":
            limit = c.baseline_low if comparison.bound.reference == "LLN" else c.baseline_high
            right = round_significant(limit * comparison.bound.factor)
            true = _compare(round_significant(c.baseline), comparison.operator, right)
            normal = np.asarray(comparison.operator == "<=")
            replaced = c.at_baseline
            if self.term.baseline_missing == "as_normal":
                replaced = replaced | self.no_baseline
            unknown = np.isnan(c.baseline) | np.isnan(right)
            return np.where(replaced, normal, true), np.where(replaced, normal, true | unknown)
        right = self.bound(comparison.bound)
        true = _compare(self.value, comparison.operator, right)
        if comparison.bound.reference == "baseline":
            true = true | c.at_baseline
        return true, true | np.isnan(right)

    def arm(self, arm: Arm) -> tuple[Bools, Bools]:
        """Where an arm is true, and where it is not false."""
        right = self.bound(arm.near.bound)
        true = _compare(self.value, arm.near.operator, right)
        missing = np.isnan(right)
        possible = true | missing
        if arm.near.bound.reference == "baseline":
            if arm.needs_high_baseline and missing.any():
                # an unknown baseline above ULN puts this bound above the same multiple of ULN
                least = self.bound(arm.near.bound, np.where(self.no_baseline, self.columns.baseline_high, np.nan))
                possible = true | (missing & ((self.value > least) | np.isnan(least)))
            true = true & ~self.columns.at_baseline
            possible = possible & ~self.columns.at_baseline
        for comparison in arm.when:
            holds, may_hold = self.condition(comparison)
            true, possible = true & holds, possible & may_hold
        return true, possible


def _scan(frame: _Frame, arms: list[tuple[int, Bools, Bools]], n: int) -> tuple[Grades, Grades, Grades, Grades]:
    """Lower and upper end with the arms that give them, over arms of rising grade."""
    low, high = np.zeros(n, np.int8), np.zeros(n, np.int8)
    low_arm, high_arm = np.full(n, NO_ARM), np.full(n, NO_ARM)
    for index, true, possible in arms:
        grade = frame.term.arms[index].grade
        better = true & (low < grade)
        low[better], low_arm[better] = grade, index
        better = possible & (high < grade)
        high[better], high_arm[better] = grade, index
    return low, high, low_arm, high_arm


def _missing(frame: _Frame, arms: list[tuple[int, Bools, Bools]], low: Grades) -> NDArray[np.int16]:
    """Which inputs are missing in arms that could still raise the grade."""
    why = np.zeros(low.shape, np.int16)
    c = frame.columns
    for index, true, possible in arms:
        arm = frame.term.arms[index]
        open_ = possible & ~true & (low < arm.grade)
        if not open_.any():
            continue
        used = {arm.near.bound.reference, *(x.bound.reference for x in arm.when)}
        used |= {"baseline" for x in arm.when if x.subject == "baseline"}
        if "LLN" in used:
            why |= np.where(open_ & np.isnan(c.low), np.int16(LLN), np.int16(0))
        if "ULN" in used:
            why |= np.where(open_ & np.isnan(c.high), np.int16(ULN), np.int16(0))
        if "baseline" in used:
            why |= np.where(open_ & frame.no_baseline, np.int16(BASELINE), np.int16(0))
    return why


def grade_term(term: Term, columns: Columns, unit: str | None, test: str | None = None, assume: End = "") -> TermGrades:
    """Grades of a column by one term.

    `unit` is the UCUM code the columns are in, None where none was reported: then only terms without fixed cut
    points can grade. `test` is one of `term.tests` (the first by default). `assume` picks the end of the range that
    clinical facts leave open; missing limits and baselines are never assumed.
    """
    test = test or term.tests[0]
    frame = _Frame(term, columns, unit, test)
    n = len(columns.value)
    verdicts = [(i, *frame.arm(arm)) for i, arm in enumerate(term.arms) if arm.grade != REFER]
    ends: tuple[End, ...] = ("best", "worst") if any(arm.end for arm in term.arms) else ("",)
    found = []
    for end in ends:
        arms = [verdict for verdict in verdicts if term.arms[verdict[0]].end in ("", end)]
        low, high, low_arm, high_arm = _scan(frame, arms, n)
        known = low == high
        stands = known | (low >= term.floor)
        grade = np.where(stands, low, NOT_GRADED)
        why = np.where(known, np.int16(0), _missing(frame, arms, low))
        why |= np.where(stands & ~known, np.int16(AT_LEAST), np.int16(0))
        found.append((grade, low, high, low_arm, high_arm, why))
    best, worst = found[0], found[-1]
    grade, arm, why = best[0].copy(), best[3].copy(), best[5].copy()
    if len(found) == 2:
        if assume == "worst":
            grade, arm, why = worst[0].copy(), worst[3].copy(), worst[5].copy()
        elif assume != "best":
            differ = (best[0] != worst[0]) | (best[1] != worst[1]) | (best[2] != worst[2])
            why |= worst[5]
            clinical = differ & ((best[1] != worst[1]) | (best[2] != worst[2]))
            grade = np.where(differ, NOT_GRADED, grade)
            gap = np.asarray([a.is_gap for a in term.arms] + [False])[worst[4]]
            why |= np.where(clinical & gap, np.int16(GAP), np.int16(0))
            why |= np.where(clinical & ~gap, np.int16(CLINICAL), np.int16(0))
            why &= np.where(grade < 0, ~np.int16(AT_LEAST), np.int16(-1))
            arm = np.where(clinical, worst[4], arm)
    low_end, high_end = best[1].copy(), worst[2].copy()
    if assume and len(found) == 2:
        chosen = worst if assume == "worst" else best
        low_end, high_end = chosen[1].copy(), chosen[2].copy()
    blocked = np.isnan(columns.value)
    why[blocked] = VALUE
    if unit is None and term.uses_fixed_cuts:
        blocked = np.ones(n, bool)
        why[~np.isnan(columns.value)] = UNIT
    for index, refer in enumerate(term.arms):
        if refer.grade == REFER:
            sent = frame.arm(refer)[0] & ~blocked
            grade[sent], low_end[sent], high_end[sent] = NOT_GRADED, NOT_GRADED, NOT_GRADED
            arm[sent], why[sent] = index, ELSEWHERE
    for column in (grade, low_end, high_end, arm):
        column[blocked] = NOT_GRADED
    return TermGrades(term, unit, grade.astype(np.int8), low_end, high_end, arm.astype(np.int8), why)

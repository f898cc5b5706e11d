"""Check of the rule tables as they are printed: gaps between grades, arms that can never decide, contradictions.

Every arm is read with both its bounds, the near one as printed and the far one inclusive, over every point and every
stretch between the numbers of a term, for baselines inside, below, above and far above their limits. The engine uses
the near bounds alone; where the printed ranges leave a gap it says so and gives a range of grades.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise, product

from trialrun.criteria.ctcae.engine import cut_in_unit
from trialrun.criteria.ctcae.listing import describe_arm
from trialrun.criteria.ctcae.tables import Arm, Bound, Comparison, Term, all_terms
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import factor


@dataclass(frozen=True, slots=True)
class TableFinding:
    """A gap, a stretch outside the limits without a grade (`ungraded`), a dead arm or a contradiction of one term."""

    kind: str
    term: Term
    text: str


@dataclass(frozen=True, slots=True)
class _Case:
    """One choice of limits and baseline, in `unit`, to walk along the values with."""

    unit: str | None
    low: float
    high: float
    baseline: float
    name: str

    def number(self, bound: Bound, test: str) -> float:
        if bound.reference is None:
            cut = cut_in_unit(bound, self.unit, test)
            assert cut is not None
            return round(cut[0], 9)
        of = {"LLN": self.low, "ULN": self.high, "baseline": self.baseline}[bound.reference]
        step = 0.0
        if bound.offset_unit is not None and self.unit is not None:
            step = bound.offset * factor(bound.offset_unit, self.unit, test)
        return round(of * bound.factor + step, 9)


def _true(left: float, operator: str, right: float) -> bool:
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def _holds(arm: Arm, value: float, case: _Case, test: str, with_far: bool) -> bool:
    def condition(comparison: Comparison) -> bool:
        left = value if comparison.subject == "value" else case.baseline
        return _true(left, comparison.operator, case.number(comparison.bound, test))

    if not (condition(arm.near) and all(condition(part) for part in arm.when)):
        return False
    if not with_far or arm.far is None:
        return True
    inclusive = "<" if arm.near.operator[0] == ">" else ">"
    if arm.far_inclusive:
        inclusive += "="
    return _true(value, inclusive, case.number(arm.far, test))


def _cases(term: Term) -> list[_Case]:
    test = term.tests[0]
    printed: list[str | None] = [unit for arm in term.arms for unit, _ in arm.near.bound.cuts]
    units = dict.fromkeys(printed or [get_test(test).unit])
    cases = []
    for unit in units:
        cuts = [
            cut[0]
            for arm in term.arms
            if arm.near.bound.cuts and (cut := cut_in_unit(arm.near.bound, unit, test)) is not None
        ]
        if term.direction == "low":
            limits = [(times * max(cuts, default=80.0), 2 * times * max(cuts, default=80.0)) for times in (1.25, 8.0)]
        else:
            limits = [(times * min(cuts, default=125.0) / 2, times * min(cuts, default=125.0)) for times in (0.8, 0.1)]
        for low, high in limits[: 2 if len({arm.near.bound.reference for arm in term.arms}) > 1 else 1]:
            baselines = {"": (low + high) / 2}
            if term.uses_baseline:
                baselines = {
                    "baseline inside its limits": (low + high) / 2,
                    "baseline below LLN": low / 2,
                    "baseline above ULN": high * 2,
                    "baseline above 5 x ULN": high * 8,
                }
            cases += [_Case(unit, low, high, baseline, name) for name, baseline in baselines.items()]
    return cases


def _points(term: Term, case: _Case) -> list[float]:
    test = term.tests[0]
    marks = {0.0, case.low, case.high}
    for arm in term.arms:
        marks.add(case.number(arm.near.bound, test))
        if arm.far is not None:
            marks.add(case.number(arm.far, test))
        marks.update(case.number(part.bound, test) for part in arm.when if part.subject == "value")
    ordered = [*sorted(marks), max(marks) * 2]
    points = []
    for here, there in pairwise(ordered):
        points += [here, (here + there) / 2]
    return [*points, ordered[-1]]


def check_term(term: Term) -> list[TableFinding]:
    """Gaps, ungraded stretches, dead arms and contradictions of one term."""
    test = term.tests[0]
    printed = [arm for arm in term.arms if not arm.is_gap]
    deciding: set[int] = set()
    found: dict[tuple[str, str], None] = {}
    for case, end in product(_cases(term), ("best", "worst")):
        arms = [arm for arm in printed if arm.end in ("", end)]
        points = _points(term, case)
        empty: list[tuple[float, str | None]] = []
        for value in points:
            holding = [arm for arm in arms if _holds(arm, value, case, test, with_far=True)]
            past = [arm for arm in arms if _holds(arm, value, case, test, with_far=False)]
            outside = value < case.low if term.direction == "low" else value > case.high
            if holding:
                worst = max(arm.grade for arm in holding)
                deciding.update(id(arm) for arm in holding if arm.grade == worst)
                for one, other in combinations(holding, 2):
                    alike = (one.near.bound.reference, one.when_text) == (other.near.bound.reference, other.when_text)
                    if alike and one.grade != other.grade and one.far is not None and other.far is not None:
                        found["contradiction", f"grades {one.grade}, {other.grade} hold together at {value:g}"] = None
            kind = None if holding else ("gap" if past else "ungraded" if outside else None)
            empty.append((value, kind))
        for kind, start, stop in _stretches(empty):
            where = f"between {start:g} and {stop:g} {case.unit or ''}".rstrip()
            if case.unit is None or not any(arm.near.bound.cuts for arm in term.arms):
                where = f"between {start / case.high:g} and {stop / case.high:g} x ULN"
                if term.direction == "low":
                    where = f"between {start / case.low:g} and {stop / case.low:g} x LLN"
                elif "above" in case.name:
                    where = f"between {start / case.baseline:g} and {stop / case.baseline:g} x baseline"
            found[kind, f"{where}{', ' + case.name if case.name else ''}"] = None
    for arm in printed:
        if id(arm) not in deciding:
            found["dead", f"grade {arm.grade}: {describe_arm(arm)}"] = None
    return [TableFinding(kind, term, text) for kind, text in found]


def _stretches(points: list[tuple[float, str | None]]) -> list[tuple[str, float, float]]:
    """Runs of points of one kind, as the open interval between the points around them."""
    runs = []
    index = 0
    while index < len(points):
        kind = points[index][1]
        last = index
        while last + 1 < len(points) and points[last + 1][1] == kind:
            last += 1
        if kind is not None:
            before = points[max(index - 1, 0)][0] if index % 2 else points[index][0]
            after = points[min(last + 1, len(points) - 1)][0] if last % 2 else points[last][0]
            runs.append((kind, before, after))
        index = last + 1
    return runs


def check_tables(version: str | None = None) -> list[TableFinding]:
    """The findings of every term of one version, or of all."""
    return [finding for term in all_terms().values() if version in (None, term.version) for finding in check_term(term)]


def gap_table() -> list[str]:
    """The gaps of the printed tables as lines of a Markdown table, for the documentation."""
    lines = ["| version | term | no grade is printed |", "| --- | --- | --- |"]
    for finding in check_tables():
        if finding.kind == "gap":
            lines.append(f"| {finding.term.version} | {finding.term.name} | {finding.text} |")
    return lines

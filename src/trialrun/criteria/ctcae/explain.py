"""Why one result has its grade: the rule, the numbers, what would change it and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trialrun.criteria.ctcae.engine import Columns, TermGrades, cut_in_unit
from trialrun.criteria.ctcae.listing import describe_arm
from trialrun.criteria.ctcae.tables import BASES, REFER, Arm, Bound, Term, read_version
from trialrun.criteria.ctcae.values import Assume, check_unit, grade_columns, implausible
from trialrun.criteria.ctcae.wording import reason_text
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import factor


@dataclass(frozen=True, slots=True)
class Explanation:
    """The grade of one result with everything it rests on.

    `grade` is None where it cannot be told; then `low_end` and `high_end` are the range it can be in (None without
    any). `rule` is what was tested, `printed` the words of the document for that grade, `values` the numbers used with
    their unit, `would_change` where other grades begin, `missing` what is not known.
    """

    test: str
    version: str
    grade: int | None
    low_end: int | None
    high_end: int | None
    direction: str | None
    term: str | None
    rule: str | None
    printed: str | None
    source: str | None
    basis: str | None
    values: tuple[str, ...]
    would_change: tuple[str, ...]
    missing: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The explanation as plain values, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def as_text(self) -> str:
        """The explanation as sentences, one a line."""
        if self.grade is None:
            can = "" if self.low_end is None else f" (can be {self.low_end} to {self.high_end})"
            head = f"{self.test}: not gradable by CTCAE {self.version}{can}"
        else:
            way = f", {self.term}" if self.term else ""
            head = f"{self.test}: CTCAE {self.version} grade {self.grade}{way}"
        lines = [head, "values: " + ", ".join(self.values)]
        if self.rule:
            lines.append(f"rule: {self.rule}")
        if self.printed and self.printed != "-":
            lines.append(f"printed: {self.printed}")
        if self.source:
            lines.append(f"source: {self.source} (basis {self.basis}: {BASES[self.basis or 'N']})")
        lines += [f"missing: {text}" for text in self.missing]
        lines += [f"would change it: {text}" for text in self.would_change]
        return "\n".join(lines)


def _number(bound: Bound, columns: Columns, unit: str | None, test: str) -> float:
    """The bound as a number in the reported unit; NaN when it is not known."""
    if bound.reference is None:
        cut = cut_in_unit(bound, unit, test)
        return np.nan if cut is None else cut[0]
    of = {"LLN": columns.low, "ULN": columns.high, "baseline": columns.baseline}[bound.reference]
    step = 0.0
    if bound.offset_unit is not None:
        step = np.nan if unit is None else bound.offset * factor(bound.offset_unit, unit, test)
    return float(of[0] * bound.factor + step)


def _excluded(arm: Arm, columns: Columns) -> bool:
    """Whether what is known of the baseline rules the arm out."""
    baseline = float(columns.baseline[0])
    limits = {"LLN": float(columns.baseline_low[0]), "ULN": float(columns.baseline_high[0])}
    for part in arm.when:
        if part.subject == "baseline" and part.bound.reference in limits:
            limit = limits[part.bound.reference] * part.bound.factor
            held = {"<": baseline < limit, "<=": baseline <= limit, ">": baseline > limit, ">=": baseline >= limit}
            if not np.isnan(baseline + limit) and not held[part.operator]:
                return True
    return False


def _changes(term: Term, found: TermGrades, columns: Columns, test: str) -> list[str]:
    """Where grades other than the present one begin, nearest first."""
    value = float(columns.value[0])
    unit = found.unit
    lines: list[tuple[float, str]] = []
    for arm in term.arms:
        number = _number(arm.near.bound, columns, unit, test)
        if arm.grade in (REFER, int(found.grade[0])) or np.isnan(number) or arm.is_gap or _excluded(arm, columns):
            continue
        shown = f"{arm.near.operator} {number:.6g} {unit or ''}".rstrip()
        said = describe_arm(arm, unit)
        text = f"grade {arm.grade} at {shown}" + ("" if said == shown else f" ({said})")
        lines.append((abs(value - number), text))
    if found.grade[0] > 0:
        own = _number(term.arms[int(found.arm[0])].near.bound, columns, unit, test)
        if not np.isnan(own):
            inclusive = "" if term.arms[int(found.arm[0])].near.operator.endswith("=") else "at or "
            way = "below" if term.direction == "high" else "above"
            lines.append((abs(value - own), f"a lower grade {inclusive}{way} {own:.6g} {unit or ''}".rstrip()))
    return list(dict.fromkeys(text for _, text in sorted(lines)))[:4]


def _clinical(term: Term) -> list[str]:
    return [
        f"printed for grade {grade} as well, not seen in a value: {part.strip()}"
        for grade, text in enumerate(term.wording[:4], 1)
        for part in text.split(";")
        if part.strip() not in ("", "-") and not any(mark in part for mark in "<>=0123456789") and "Present" not in part
    ]


def _arm_printed(term: Term, arm: Arm) -> str | None:
    return None if arm.grade == REFER else term.wording[arm.grade - 1]


def grade_one(
    test: str,
    value: float,
    unit: str | None = None,
    low: float | None = None,
    high: float | None = None,
    baseline: float | None = None,
    *,
    version: str,
    at_baseline: bool = False,
    assume: Assume | None = None,
) -> Explanation:
    """The CTCAE grade of one result, explained.

    Arguments as in `grade_values`, each one number in `unit` (None = not reported), NaN or None = missing. Unknown
    tests, units and versions are a TrialrunError, and so are impossible values and reversed limits.
    """
    release = read_version(version)
    found_test = get_test(test)
    code = check_unit(unit if unit is not None else found_test.unit, found_test.name)
    if implausible(found_test.name, code, np.asarray([value]))[0]:
        raise TrialrunError(
            Problem(
                "impossible-value",
                f"impossible value for {found_test.name}",
                f"{value:g} {code or ''}".rstrip(),
                f"{found_test.low:g} to {found_test.high:g} {found_test.unit}",
            )
        )
    if low is not None and high is not None and low > high:
        raise TrialrunError(Problem("reversed-limits", "the limits are reversed", f"{low:g} > {high:g}", "lower first"))
    columns = Columns.of(np.asarray([value]), low, high, baseline, at_baseline=np.asarray([at_baseline]))
    both = grade_columns(found_test.name, release, columns, code, assume or "")
    shown = [
        f"{name} {number:g} {code or ''}".rstrip()
        for name, number in (("value", value), ("LLN", low), ("ULN", high), ("baseline", baseline))
        if number is not None and not np.isnan(number)
    ]
    parts = [part for part in (both.low, both.high) if part is not None]
    if not parts:
        nothing = (f"CTCAE {release} has no laboratory term for {found_test.name} here",)
        return Explanation(
            found_test.name, release, None, None, None, None, None, None, None, None, None, tuple(shown), (), nothing
        )
    deciding = next((p for p in parts if int(both.grade[0]) > 0 and p.grade[0] == both.grade[0]), None)
    open_ = [part for part in parts if part.grade[0] < 0]
    main = deciding or (open_[0] if open_ and both.grade[0] < 0 else parts[0])
    arm = main.term.arms[int(main.arm[0])] if main.arm[0] >= 0 else None
    missing = [
        text
        for part in ([main] if deciding else open_)
        if (text := reason_text(part.term, int(part.why[0]), int(part.arm[0]), int(part.high_end[0]))) is not None
    ]
    told = [main] if deciding else parts
    changes = [line for part in told for line in _changes(part.term, part, columns, found_test.name)]
    grade = int(both.grade[0])
    rule = describe_arm(arm, main.unit) if arm is not None and (deciding or main.grade[0] < 0) else None
    return Explanation(
        test=found_test.name,
        version=release,
        grade=None if grade < 0 else grade,
        low_end=None if both.low_end[0] < 0 else int(both.low_end[0]),
        high_end=None if both.high_end[0] < 0 else int(both.high_end[0]),
        direction=main.term.direction if deciding else None,
        term=main.term.name if deciding or grade < 0 else None,
        rule=rule or ("no printed grade holds" if grade == 0 else None),
        printed=_arm_printed(main.term, arm) if arm is not None and deciding else None,
        source=main.term.source,
        basis=main.term.basis,
        values=tuple(shown),
        would_change=(*changes, *_clinical(main.term)),
        missing=tuple(missing),
    )

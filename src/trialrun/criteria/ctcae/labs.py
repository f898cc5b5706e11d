"""Grades of a long table of laboratory results: one row in, one row out, whole columns at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae import checks, derive, wording
from trialrun.criteria.ctcae.columns import standardise
from trialrun.criteria.ctcae.engine import Columns, Floats
from trialrun.criteria.ctcae.findings import Findings
from trialrun.criteria.ctcae.groups import find_groups
from trialrun.criteria.ctcae.limits import fill_limits
from trialrun.criteria.ctcae.tables import read_version
from trialrun.criteria.ctcae.values import Assume, TestGrades, grade_columns

__all__ = ["GradedLabs", "grade_labs", "grade_table", "keep_given"]

ADDED = (
    "grade",
    "direction",
    "term",
    "rule",
    "reason",
    "grade_low_end",
    "grade_high_end",
    "graded_value",
    "note",
    "grade_low",
    "grade_high",
    "term_low",
    "term_high",
)


def keep_given(frame: pl.DataFrame, added: tuple[str, ...]) -> pl.DataFrame:
    """The table with columns that bear a name that is about to be added renamed to `NAME_given`: nothing is lost."""
    renamed = {name: f"{name}_given" for name in added if name in frame.columns}
    return frame.rename({old: new for old, new in renamed.items() if new not in frame.columns})


@dataclass(frozen=True, slots=True)
class GradedLabs:
    """The table given with the grades beside it, and what was found wrong or doubtful in it.

    `findings` has `row` (from 1, data rows), `code`, `message`, `found`; a row may have several.
    """

    frame: pl.DataFrame
    findings: pl.DataFrame
    version: str


@dataclass(slots=True)
class _Answer:
    """The columns that are filled group by group; texts are indices into `texts`."""

    n: int
    texts: wording.Texts = field(default_factory=wording.Texts)
    grade: NDArray[np.int8] = field(init=False)
    direction: NDArray[np.int8] = field(init=False)
    low_end: NDArray[np.int8] = field(init=False)
    high_end: NDArray[np.int8] = field(init=False)
    low_grade: NDArray[np.int8] = field(init=False)
    high_grade: NDArray[np.int8] = field(init=False)
    graded_value: Floats = field(init=False)
    term: NDArray[np.int32] = field(init=False)
    low_term: NDArray[np.int32] = field(init=False)
    high_term: NDArray[np.int32] = field(init=False)
    rule: NDArray[np.int32] = field(init=False)
    reason: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("grade", "low_end", "high_end", "low_grade", "high_grade"):
            setattr(self, name, np.full(self.n, -1, np.int8))
        self.direction = np.zeros(self.n, np.int8)
        self.graded_value = np.full(self.n, np.nan)
        for name in ("term", "low_term", "high_term", "rule", "reason"):
            setattr(self, name, np.zeros(self.n, np.int32))

    def put(self, rows: NDArray[np.intp], value: Floats, found: TestGrades) -> None:
        """The grades of one group."""
        self.grade[rows], self.direction[rows] = found.grade, found.direction
        self.low_end[rows], self.high_end[rows] = found.low_end, found.high_end
        self.graded_value[rows] = value
        if found.low is not None:
            self.low_grade[rows], self.low_term[rows] = found.low.grade, self.texts.code(found.low.term.name)
        if found.high is not None:
            self.high_grade[rows], self.high_term[rows] = found.high.grade, self.texts.code(found.high.term.name)
        self.term[rows] = wording.term_codes(self.texts, found)
        self.rule[rows] = wording.rule_codes(self.texts, found)
        self.reason[rows] = wording.reason_codes(self.texts, found)


def _columns(table: pl.DataFrame) -> dict[str, Floats]:
    names = ("value", "low", "high", "baseline", "baseline_low", "baseline_high")
    return {name: table[name].fill_null(np.nan).to_numpy().copy() for name in names}


def grade_table(
    frame: pl.DataFrame,
    version: str,
    assume: Assume | None = None,
    limits: pl.DataFrame | None = None,
    uncorrected_calcium: bool = False,
) -> GradedLabs:
    """As `grade_labs`, together with the findings."""
    version = read_version(version)
    table, not_numbers = standardise(frame)
    findings = Findings()
    findings.add_not_numbers(not_numbers)
    groups, test_codes, unit_codes = find_groups(table, version, findings)
    numbers = _columns(table)
    impossible = checks.take_out_impossible(groups, numbers, findings)
    filled = fill_limits(limits, groups, numbers)
    checks.check_limits(numbers, findings)
    checks.check_rows(table, test_codes, unit_codes, findings)
    at_baseline = (
        (table["baseline_flag"].str.to_uppercase().is_in(["Y", "YES", "TRUE", "1"])).fill_null(False).to_numpy()
    )
    derive.find_baselines(table, groups, numbers, at_baseline, version, findings)
    albumin = derive.find_albumin(table, groups, numbers)
    answer = _Answer(frame.height)
    calcium = np.zeros(frame.height, np.int8)
    for group in groups:
        rows = group.rows
        if group.problem is not None:
            answer.reason[rows] = answer.texts.code(group.problem)
            continue
        value = numbers["value"][rows]
        test, problem = group.test, None
        if test == "calcium":
            test = "calcium_corrected"
            value, used, problem = derive.calcium_to_grade(group, value, albumin, version, uncorrected_calcium)
            calcium[rows] = used
        columns = Columns.of(
            value,
            low=numbers["low"][rows],
            high=numbers["high"][rows],
            baseline=numbers["baseline"][rows],
            baseline_low=numbers["baseline_low"][rows],
            baseline_high=numbers["baseline_high"][rows],
            at_baseline=at_baseline[rows],
        )
        answer.put(rows, value, grade_columns(test, version, columns, group.unit, assume or ""))
        answer.reason[rows[impossible[rows]]] = answer.texts.code(f"impossible value for {group.test}")
        if problem is not None:
            text, where = problem
            answer.reason[rows[where]] = answer.texts.code(text)
    checks.reason_of_bad_cells(answer.reason, answer.grade, not_numbers, answer.texts, numbers["value"])
    note = wording.note_codes(answer.texts, calcium, filled, at_baseline)
    return GradedLabs(_assemble(keep_given(frame, ADDED), answer, note), findings.as_frame(), version)


def _assemble(frame: pl.DataFrame, answer: _Answer, note: NDArray[np.int32]) -> pl.DataFrame:
    def number(values: NDArray[np.int8]) -> pl.Series:
        series = pl.Series(values)
        return series.set(series < 0, None)

    text = answer.texts.series
    directions = pl.Series(["low", None, "high"], dtype=pl.String).gather(
        pl.Series(answer.direction + 1, dtype=pl.UInt32)
    )
    return frame.with_columns(
        number(answer.grade).alias("grade"),
        directions.alias("direction"),
        text(answer.term).alias("term"),
        text(answer.rule).alias("rule"),
        text(answer.reason).alias("reason"),
        number(answer.low_end).alias("grade_low_end"),
        number(answer.high_end).alias("grade_high_end"),
        pl.Series(answer.graded_value).fill_nan(None).alias("graded_value"),
        text(note).alias("note"),
        number(answer.low_grade).alias("grade_low"),
        number(answer.high_grade).alias("grade_high"),
        text(answer.low_term).alias("term_low"),
        text(answer.high_term).alias("term_high"),
    )


def grade_labs(
    frame: pl.DataFrame,
    version: str,
    assume: Assume | None = None,
    limits: pl.DataFrame | None = None,
    uncorrected_calcium: bool = False,
) -> pl.DataFrame:
    """CTCAE grades of a long table of laboratory results (one row a result), as columns beside it.

    Columns read (SDTM LB, ADaM or plain names, see `columns.NAMES`): subject, date, test, value, unit, low, high,
    baseline, baseline flag, specimen, category, fasting. Test and value are needed. `limits` is a table of test, unit,
    low, high for results without own limits. `assume` picks the end of the range where clinical facts decide.
    `uncorrected_calcium` grades total calcium as it is where no albumin of the day allows the correction.

    Columns added: grade (0 to 4, null = not gradable), direction, term, rule (the arm that decided), reason (why there
    is no grade, or why it is a least one), grade_low_end and grade_high_end (what the grade can be), graded_value (the
    number compared, in the reported unit), note, and grade_low, grade_high, term_low, term_high for each direction by
    itself. A missing test or value column and an unknown version are a TrialrunError. Source: CTCAE, by version.
    """
    return grade_table(frame, version, assume, limits, uncorrected_calcium).frame

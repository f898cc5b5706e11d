"""iwCLL haematological toxicity: falls of platelets and haemoglobin from pretreatment, neutrophils by count."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import FALSE, TRUE, UNKNOWN, Numbers, Operator, Truths, as_numbers, as_truths, compare
from trialrun.vocab.problems import Problem, TrialrunError

Parameter = Literal["platelets", "hemoglobin", "neutrophils"]

# Grades are int8: 0 to 5, and
NOT_EVALUABLE = np.int8(-1)  # the table says that the subject is not evaluable for this parameter
NOT_KNOWN = np.int8(-2)  # a value or limit that would decide is missing


def grade_hematologic_toxicity(
    parameter: Parameter,
    baseline: ArrayLike,
    nadir: ArrayLike,
    lower_limit: ArrayLike = np.nan,
    death: ArrayLike = FALSE,
) -> NDArray[np.int8]:
    """The grade of each nadir against its pretreatment value (arrays of one length, or single values).

    Platelets and neutrophils in 10*9/L, haemoglobin in any one unit, before transfusion at both times. `lower_limit`
    is the lower limit of normal in the same unit (platelets and haemoglobin must be below it for grades 1 to 4);
    `death` whether the subject died of this toxicity. Answers int8: 0 to 5, -1 not evaluable by the table, -2 not
    known because something that decides is missing. Source: Hallek 2008, Table 5 (values unchanged in 2018).
    """
    then, now, limit, died = np.broadcast_arrays(
        as_numbers(baseline), as_numbers(nadir), as_numbers(lower_limit), as_truths(death)
    )
    if (then < 0).any() or (now < 0).any():
        raise TrialrunError(Problem("impossible-value", "a count cannot be below zero", parameter, "a number >= 0"))
    if parameter == "neutrophils":
        grade = _by_count(now)
    elif parameter in ("platelets", "hemoglobin"):
        grade = _by_fall(parameter, then, now, limit)
    else:
        raise TrialrunError(
            Problem("not-graded", "iwCLL does not grade this", parameter, "platelets, hemoglobin or neutrophils")
        )
    for row in _rows("not evaluable", parameter):
        excluded = compare(then, cast(Operator, row.operator), row.bound or 0.0)
        grade = np.where(excluded == TRUE, NOT_EVALUABLE, np.where(excluded == UNKNOWN, NOT_KNOWN, grade))
    return np.where(died == TRUE, 5, grade).astype(np.int8)


def _rows(part: str, parameter: str) -> list[Row]:
    return [row for row in select("hematologic_toxicity", "iwCLL") if row.part == part and row.parameter == parameter]


def _by_count(now: Numbers) -> NDArray[np.int8]:
    grade = np.where(np.isnan(now), NOT_KNOWN, 0).astype(np.int8)
    for number in (1, 2, 3, 4):
        for row in _rows(f"grade {number}", "neutrophils"):
            grade = np.where(compare(now, cast(Operator, row.operator), row.bound or 0.0) == TRUE, number, grade)
    return grade.astype(np.int8)


def _by_fall(parameter: str, then: Numbers, now: Numbers, limit: Numbers) -> NDArray[np.int8]:
    grade = np.where(np.isnan(then) | np.isnan(now), NOT_KNOWN, 0).astype(np.int8)
    for number in (1, 2, 3, 4):
        for row in _rows(f"grade {number}", "platelets or hemoglobin"):
            held = compare(now, cast(Operator, row.operator), then * (1 + (row.bound or 0.0) / 100))
            grade = np.where((held == TRUE) & (then > 0), number, grade).astype(np.int8)
    low: Truths = compare(now, "<", limit)
    grade = np.where((low == FALSE) & (grade > 0), 0, grade)
    grade = np.where((low == UNKNOWN) & (grade > 0), NOT_KNOWN, grade)
    for row in _rows("grade 4", parameter):  # platelets below 20 at any decrease, whatever the limit of normal
        very_low = compare(now, cast(Operator, row.operator), row.bound or 0.0) == TRUE
        grade = np.where(very_low & (now < then), 4, grade)
        grade = np.where(very_low & np.isnan(then), NOT_KNOWN, grade)
    return grade.astype(np.int8)

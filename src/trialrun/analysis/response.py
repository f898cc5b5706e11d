"""Best response of each subject, from the examinations and counts of the record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.series import ORIGIN, SPAN, FloatArray, IntArray, Series, derive_series
from trialrun.analysis.timeline import Timeline
from trialrun.criteria.response import Category
from trialrun.criteria.response_course import Course, assess_course, lacks_marrow
from trialrun.engine.respond import NODES_IN_A_SUM
from trialrun.engine.subjects import MARROW

Column = FloatArray | NDArray[np.int8]

STANDARD = "NCI-WG-1996"
EXAMINATION = ("node_spd", "node_longest", "spleen_below_costal_margin", "liver_below_costal_margin")
COUNTS = ("lymphocytes", "neutrophils", "platelets", "hemoglobin")
SYMPTOMS = "constitutional_symptoms"
_TRUTHS = (SYMPTOMS, "marrow_normocellular", "marrow_nodules")
MARROW_REACH = (
    27  # days before an examination in which a marrow that goes with it may lie (assumed: since the last one)
)
NEAR = 7  # days between an examination and the counts and symptoms that go with it (assumed: the visit's week)
BASELINE_REACH = 28  # days before the first dose in which a baseline finding may lie (assumed: the screening window)


def derive_response(findings: pl.DataFrame, timeline: Timeline, examines_marrow: bool | None = None) -> pl.DataFrame:
    """One row a subject: best_response (`NE` = not evaluable; null without a dose), response (null when not evaluable),
    complete_response, response_day, progression_day.

    By the NCI Working Group criteria of 1996 (`trialrun.criteria`), confirmed as they ask; growth at the last
    examination counts as progression only once it is confirmed, because the drug causes flare. An assessment is a day
    after the first dose on which nodes, liver or spleen were examined, with the counts and symptoms of that day or,
    where there are none, the latest of the 7 days before, and with a marrow of the 27 days before. Without a marrow examination
    there is no complete response: what else would be one counts as partial. `complete_response` is null where response is,
    in everyone where the trial does not examine the marrow (`examines_marrow`; None: where no finding of one is there), and in
    those who lack nothing but the marrow. `findings` carries day, test, value and text, canonical units.
    """
    subjects = timeline.subjects.select("subject", "first_dose")
    n = subjects.height
    answer = subjects.with_columns(
        pl.when(pl.col("first_dose").is_not_null()).then(pl.lit("NE")).alias("best_response"),
        *(pl.lit(None, dtype=kind).alias(name) for name, kind in _ANSWER.items()),
    ).select("subject", "best_response", *_ANSWER)
    known = derive_series(findings, timeline, [*EXAMINATION, *COUNTS, SYMPTOMS, *MARROW])
    assessed = np.zeros(0, dtype=np.int64)
    for test in EXAMINATION:
        examined = known[test].row_days[known[test].row_days % SPAN > ORIGIN]
        if not np.array_equal(examined, assessed):  # mostly all is examined on the same day
            assessed = np.unique(np.concatenate([assessed, examined]))
    if assessed.size == 0:
        return answer
    row, number = assessed // SPAN, _count_within(assessed // SPAN)
    when = np.full((int(number.max()) + 1, n), np.nan)
    when[number, row] = assessed % SPAN - ORIGIN
    course = assess_course(
        STANDARD, _named(_baseline(known, n)), _assessments(known, assessed, when), when, flares=True
    )
    if examines_marrow is None:
        examines_marrow = any(known[test].values.size > 0 for test in MARROW)
    labels = {int(category): category.label for category in Category}
    # No answer without a dose; those without an assessment come out as not evaluable.
    treated = pl.col("first_dose").is_not_null()
    return (
        subjects.with_columns(
            pl.Series("code", course.best.astype(np.int64)),
            pl.Series("response_day", course.response_day).fill_nan(None),
            pl.Series("progression_day", course.progression_day).fill_nan(None),
            _find_complete(course, when, examines_marrow),
        )
        .with_columns(
            pl.when(treated).then(pl.col("code").replace_strict(labels, return_dtype=pl.String)).alias("best_response"),
            pl.when(treated & (pl.col("code") != int(Category.NE)))
            .then(pl.col("code") >= int(Category.PR))
            .alias("response"),
        )
        .select("subject", "best_response", *_ANSWER)
    )


_ANSWER = {
    "response": pl.Boolean(),
    "complete_response": pl.Boolean(),
    "response_day": pl.Float64(),
    "progression_day": pl.Float64(),
}


def _find_complete(course: Course, when: FloatArray, examines_marrow: bool) -> pl.Series:
    """Whether the best response of each subject is complete, null where that is not known."""
    complete = course.best == int(Category.CR)
    open_ = (course.best == int(Category.NE)) | (~complete & lacks_marrow(STANDARD, course, when))
    known = ~open_ & examines_marrow
    return pl.Series("complete_response", complete).set(pl.Series(~known), None)


def _count_within(row: IntArray) -> IntArray:
    """0, 1, 2, ... within each run of equal numbers, (m,)."""
    place = np.arange(row.size)
    first = np.concatenate([[True], row[1:] != row[:-1]])
    return place - np.maximum.accumulate(np.where(first, place, 0))


def _named(columns: Mapping[str, FloatArray]) -> dict[str, Column]:
    """The columns as the criteria name them: symptoms and what is said of the marrow as truths, and that sums of nodes are of
    two or more."""
    named: dict[str, Column] = {name: values for name, values in columns.items() if name not in _TRUTHS}
    for test in _TRUTHS:
        said = columns[test]
        named["symptoms" if test == SYMPTOMS else test] = np.where(np.isnan(said), -1, said).astype(np.int8)
    named["node_count"] = np.where(columns["node_spd"] > 0, NODES_IN_A_SUM, np.nan)
    return named


def _baseline(known: Mapping[str, Series], n: int) -> dict[str, FloatArray]:
    first_dose = np.arange(n) * SPAN + ORIGIN
    return {test: series.last(first_dose, BASELINE_REACH) for test, series in known.items()}


def _assessments(known: Mapping[str, Series], assessed: IntArray, when: FloatArray) -> list[dict[str, Column]]:
    """The findings of each assessment: each subject's first, second, third, ..., whatever their days."""
    row, number = assessed // SPAN, _count_within(assessed // SPAN)
    by_test, reach = {}, {**dict.fromkeys(EXAMINATION, 0), **dict.fromkeys(MARROW, MARROW_REACH)}
    for test, series in known.items():
        by_test[test] = np.full(when.shape, np.nan)
        by_test[test][number, row] = series.last(assessed, reach.get(test, NEAR))
    return [_named({test: values[j] for test, values in by_test.items()}) for j in range(len(when))]

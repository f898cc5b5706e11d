"""Best response of each subject, from the examinations and counts of the record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.timeline import Timeline
from trialrun.criteria.response import Category
from trialrun.criteria.response_course import assess_course
from trialrun.engine.respond import NODES_IN_A_SUM

Column = NDArray[np.float64] | NDArray[np.int8]

STANDARD = "NCI-WG-1996"
EXAMINATION = ("node_spd", "node_longest", "spleen_below_costal_margin", "liver_below_costal_margin")
COUNTS = ("lymphocytes", "neutrophils", "platelets", "hemoglobin")
SYMPTOMS = "constitutional_symptoms"
NEAR = 7  # days between an examination and the counts and symptoms that go with it (assumed: the visit's week)
BASELINE_REACH = 28  # days before the first dose in which a baseline finding may lie (assumed: the screening window)


def derive_response(findings: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """One row a subject: best_response (`NE` = not evaluable; null without a dose), response (null when not evaluable),
    response_day, progression_day.

    By the NCI Working Group criteria of 1996 (`trialrun.criteria`), confirmed as they ask; growth at the last
    examination counts as progression only once it is confirmed, because the drug causes flare. An assessment is a day
    after the first dose on which nodes, liver or spleen were examined, with the counts and symptoms of that day or,
    where there are none, the latest of the 7 days before. Without a marrow examination there is no complete response:
    what else would be one counts as partial. `findings` carries day, test, value and text, canonical units.
    """
    subjects = timeline.subjects.select("subject", "first_dose").with_row_index("row")
    wanted = [*EXAMINATION, *COUNTS, SYMPTOMS]
    known = _numbers(findings.filter(pl.col("test").is_in(wanted)), subjects)
    assessed = (
        known.filter((pl.col("day") > 0) & pl.col("test").is_in(EXAMINATION))
        .select("row", "day")
        .unique()
        .sort("row", "day")
        .with_columns(pl.int_range(pl.len()).over("row").alias("number"))
    )
    n = subjects.height
    answer = subjects.with_columns(
        pl.when(pl.col("first_dose").is_not_null()).then(pl.lit("NE")).alias("best_response"),
        *(pl.lit(None, dtype=kind).alias(name) for name, kind in _ANSWER.items()),
    ).select("subject", "best_response", *_ANSWER)
    if assessed.height == 0:
        return answer
    course = assess_course(
        STANDARD,
        _named(_baseline(known, n)),
        _assessments(known, assessed, n),
        _days(assessed, n),
        flares=True,
    )
    labels = {int(category): category.label for category in Category}
    # No answer without a dose; those without an assessment come out as not evaluable.
    treated = pl.col("first_dose").is_not_null()
    return (
        subjects.with_columns(
            pl.Series("code", course.best.astype(np.int64)),
            pl.Series("response_day", course.response_day).fill_nan(None),
            pl.Series("progression_day", course.progression_day).fill_nan(None),
        )
        .with_columns(
            pl.when(treated).then(pl.col("code").replace_strict(labels, return_dtype=pl.String)).alias("best_response"),
            pl.when(treated & (pl.col("code") != int(Category.NE)))
            .then(pl.col("code") >= int(Category.PR))
            .alias("response"),
        )
        .select("subject", "best_response", *_ANSWER)
    )


_ANSWER = {"response": pl.Boolean(), "response_day": pl.Float64(), "progression_day": pl.Float64()}


def _numbers(findings: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    """Columns row, day, test, value; a finding of yes or no as 1 and 0. One value a subject, day and test: the last."""
    said = pl.col("text").str.to_lowercase().replace_strict({"yes": 1.0, "no": 0.0}, default=None)
    return (
        findings.join(subjects.select("subject", "row"), on="subject", maintain_order="left")
        .select("row", "day", "test", pl.coalesce("value", said).alias("value"))
        .filter(pl.col("value").is_not_null())
        .unique(["row", "day", "test"], keep="last", maintain_order=True)
    )


def _named(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, Column]:
    """The columns as the criteria name them: symptoms as a truth, and that sums of nodes are of two or more."""
    named: dict[str, Column] = {name: values for name, values in columns.items() if name != SYMPTOMS}
    symptoms = columns[SYMPTOMS]
    named["symptoms"] = np.where(np.isnan(symptoms), -1, symptoms).astype(np.int8)
    named["node_count"] = np.where(columns["node_spd"] > 0, NODES_IN_A_SUM, np.nan)
    return named


def _baseline(known: pl.DataFrame, n: int) -> dict[str, NDArray[np.float64]]:
    last = (
        known.filter(pl.col("day").is_between(-BASELINE_REACH, 0))
        .sort("day", maintain_order=True)
        .group_by("row", "test")
        .agg(pl.col("value").last())
    )
    return {test: _column(last.filter(pl.col("test") == test), n) for test in (*EXAMINATION, *COUNTS, SYMPTOMS)}


def _column(values: pl.DataFrame, n: int) -> NDArray[np.float64]:
    column = np.full(n, np.nan)
    column[values["row"].to_numpy()] = values["value"].to_numpy()
    return column


def _days(assessed: pl.DataFrame, n: int) -> NDArray[np.float64]:
    days = np.full((_last(assessed) + 1, n), np.nan)
    days[assessed["number"].to_numpy(), assessed["row"].to_numpy()] = assessed["day"].to_numpy()
    return days


def _last(assessed: pl.DataFrame) -> int:
    return int(assessed["number"].to_numpy().max())


def _assessments(known: pl.DataFrame, assessed: pl.DataFrame, n: int) -> list[dict[str, Column]]:
    """The findings of each assessment: each subject's first, second, third, ..., whatever their days."""
    by_test = {}
    for test in (*EXAMINATION, *COUNTS, SYMPTOMS):
        values = known.filter(pl.col("test") == test).sort("day").select("row", "day", "value")
        reach = 0 if test in EXAMINATION else NEAR
        by_test[test] = assessed.sort("day").join_asof(
            values, on="day", by="row", strategy="backward", tolerance=reach, check_sortedness=False
        )
    assessments = []
    for number in range(_last(assessed) + 1):
        columns = {
            test: _column(found.filter((pl.col("number") == number) & pl.col("value").is_not_null()), n)
            for test, found in by_test.items()
        }
        assessments.append(_named(columns))
    return assessments

"""Outcomes of small records computed by hand, and what happens when something is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.run import VersionInfo
from trialrun.analysis.timeline import derive_timeline

Make = Callable[..., dict[str, pl.DataFrame]]
LAB_UNITS = {"urate": "umol/L", "phosphate": "mmol/L", "potassium": "mmol/L", "calcium": "mmol/L", "albumin": "g/L"}
QUIET = {"urate": 300.0, "phosphate": 1.1, "potassium": 4.2, "calcium": 2.3, "albumin": 42.0}


def doses(subject: str, *runs: tuple[int, int, float]) -> list[dict[str, Any]]:
    return [{"subject": subject, "day": a, "end_day": b, "dose": dose, "unit": "mg"} for a, b, dose in runs]


def labs(subject: str, day: int, **values: float) -> list[dict[str, Any]]:
    return [
        {"subject": subject, "day": day, "test": test, "value": value, "unit": LAB_UNITS.get(test)}
        for test, value in values.items()
    ]


def visits(subject: str, *days: int) -> list[dict[str, Any]]:
    return [{"subject": subject, "day": day} for day in days]


def of(outcomes: pl.DataFrame, subject: str) -> dict[str, Any]:
    return outcomes.row(by_predicate=pl.col("subject") == subject, named=True)


def test_cycles_begin_with_the_dose_after_the_last_dosing_day(make_tables: Make, info: VersionInfo) -> None:
    # held from day 15 on, the second cycle delayed by 3 days: days run on through a hold, the delayed cycle starts late
    tables = make_tables(exposures=doses("A", (0, 14, 10.0), (31, 40, 15.0)))
    cycles = derive_timeline(tables, info).cycles
    assert cycles.rows() == [("A", 1, 0, 14), ("A", 2, 31, 40)]


def test_dose_outcomes_by_hand(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(
        exposures=[
            *doses("A", (0, 6, 10.0), (7, 13, 15.0), (14, 20, 20.0), (28, 37, 25.0)),
            *doses("B", (0, 6, 10.0), (7, 9, 0.0)),
        ],
        dispositions=[
            {"subject": "A", "day": 38, "event": "treatment discontinued", "reason": "progressive disease"},
            {"subject": "B", "day": 10, "event": "study discontinued", "reason": "withdrawal by subject"},
        ],
        visits=[*visits("A", 0, 7, 38), *visits("B", 0, 7)],
    )
    outcomes = derive_outcomes(tables, info)
    a, b = of(outcomes, "A"), of(outcomes, "B")
    assert (a["target_reached"], a["target_day"]) == (True, 28)
    assert a["dose_total"] == 7 * 10 + 7 * 15 + 7 * 20 + 10 * 25
    assert a["treatment_days"] == 38
    assert a["dose_intensity"] == 1.0  # everything planned up to the day before it was stopped was taken
    assert a["dose_intensity_target"] == pytest.approx(565 / (31 * 25))  # 21 + 10 planned days of 25 mg
    assert (a["discontinued"], a["discontinuation_reason"], a["discontinuation_day"]) == (
        True,
        "progressive disease",
        38,
    )
    assert (b["target_reached"], b["target_day"]) == (False, 10)  # censored where treatment ended
    assert b["dose_intensity"] == pytest.approx(70 / (70 + 3 * 15))
    assert b["discontinuation_reason"] == "withdrawal by subject"


def test_treatment_that_goes_on_is_not_discontinued(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(
        exposures=doses("A", (0, 20, 10.0)),
        dispositions=[
            {"subject": "A", "day": 28, "event": "completed", "reason": "end of study"},
            {"subject": "A", "day": 90, "event": "death", "reason": "death"},
        ],
        visits=visits("A", 0, 28),
    )
    found = of(derive_outcomes(tables, info), "A")
    assert (found["discontinued"], found["discontinuation_reason"]) == (False, None)
    assert (found["death"], found["death_day"]) == (True, 90)


def test_without_a_plan_there_is_no_dose_intensity(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(exposures=doses("A", (0, 20, 10.0)), visits=visits("A", 28))
    found = of(derive_outcomes(tables, replace(info, planned_mg=(), target_mg=None)), "A")
    assert found["dose_intensity"] is None
    assert found["dose_intensity_target"] is None
    assert found["target_reached"] is None


def test_a_subject_without_a_dose_has_no_outcome(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(
        exposures=[*doses("A", (0, 0, 10.0)), *doses("B", (0, 3, 0.0))],
        adverse_events=[{"subject": "B", "day": 2, "term": "tumor_flare", "grade": 2.0}],
    )
    outcomes = derive_outcomes(tables, info)
    assert outcomes["subject"].to_list() == ["A", "B"]
    b = of(outcomes, "B")
    assert b["treated"] is False
    assert {b[name] for name in ("target_reached", "discontinued", "flare_grade", "death", "dose_total")} == {None}


def test_an_event_is_absent_only_after_a_visit(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(
        exposures=[*doses("seen", (0, 5, 10.0)), *doses("unseen", (0, 5, 10.0)), *doses("ill", (0, 5, 10.0))],
        visits=[*visits("seen", 0, 7), *visits("unseen", 0), *visits("ill", 0, 7)],
        adverse_events=[
            {"subject": "ill", "day": 3, "term": "tumor_flare", "grade": 2.0},
            {"subject": "ill", "day": 5, "term": "tumor_flare", "grade": 1.0},
            {"subject": "ill", "day": 34, "term": "tumor_flare", "grade": 4.0},  # more than 28 days after the last dose
        ],
    )
    outcomes = derive_outcomes(tables, info)
    assert of(outcomes, "seen")["flare_grade"] == 0
    assert of(outcomes, "seen")["febrile_neutropenia_episodes"] == 0
    assert of(outcomes, "unseen")["flare_grade"] is None
    ill = of(outcomes, "ill")
    assert (ill["flare_grade"], ill["flare_day"], ill["flare_episodes"]) == (2, 3, 2)


def test_an_event_without_a_grade_leaves_the_worst_grade_unknown(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(
        exposures=doses("A", (0, 5, 10.0)),
        visits=visits("A", 7),
        adverse_events=[
            {"subject": "A", "day": 3, "term": "infection", "grade": 2.0},
            {"subject": "A", "day": 4, "term": "infection", "grade": None},
        ],
    )
    assert of(derive_outcomes(tables, info), "A")["infection_grade"] is None


def test_worst_blood_counts_on_treatment(make_tables: Make, info: VersionInfo) -> None:
    def counts(subject: str, *rows: tuple[int, str, float, float | None]) -> list[dict[str, Any]]:
        return [
            {"subject": subject, "day": day, "test": test, "value": value, "low": low, "unit": "10*9/L"}
            for day, test, value, low in rows
        ]

    tables = make_tables(
        exposures=[*doses("A", (0, 20, 10.0)), *doses("B", (0, 20, 10.0)), *doses("C", (0, 20, 10.0))],
        findings=[
            *counts("A", (0, "neutrophils", 0.4, 1.5), (7, "neutrophils", 0.9, 1.5), (49, "neutrophils", 0.1, 1.5)),
            *counts("A", (7, "platelets", 49.0, 150.0), (14, "platelets", 50.0, 150.0)),
            *counts("B", (7, "neutrophils", 1.8, None), (7, "platelets", 200.0, 150.0)),
        ],
    )
    outcomes = derive_outcomes(tables, info)
    a, b, c = (of(outcomes, subject) for subject in "ABC")
    assert a["neutropenia_grade"] == 3  # day 0 precedes the dose, day 49 is more than 28 days after the last one
    assert a["thrombocytopenia_grade"] == 3
    assert (b["neutropenia_low"], b["neutropenia_high"], b["neutropenia_grade"]) == (0, 1, None)  # no limit of normal
    assert b["thrombocytopenia_grade"] == 0
    assert (c["neutropenia_low"], c["neutropenia_grade"]) == (None, None)


def test_late_lysis_is_seen_by_the_step_up_windows_only(make_tables: Make, info: VersionInfo) -> None:
    # as the index case: lysis in week 6, after the dose was raised on day 35
    days = (0, 3, 7, 35, 42)
    tables = make_tables(
        exposures=doses("A", (0, 20, 10.0), (28, 34, 15.0), (35, 41, 20.0)),
        findings=[
            *(line for day in days[:-1] for line in labs("A", day, **QUIET)),
            *labs("A", 42, **{**QUIET, "urate": 520.0, "phosphate": 1.7}),
            {"subject": "A", "day": 0, "test": "creatinine", "value": 80.0, "high": 104.0, "unit": "umol/L"},
            {"subject": "A", "day": 42, "test": "creatinine", "value": 190.0, "high": 104.0, "unit": "umol/L"},
        ],
        visits=visits("A", *days),
    )
    found = of(derive_outcomes(tables, info), "A")
    for definition in ("cairo_bishop", "howard"):
        assert found[f"ltls_{definition}_published"] is False
        assert found[f"ltls_{definition}_step_up"] is True
        assert found[f"ctls_{definition}_published"] is False
        assert found[f"ctls_{definition}_step_up"] is True
        assert found[f"ltls_{definition}_day"] == 42
    assert found["creatinine_rise"] == 110.0
    assert found["creatinine_rise_26"] is True


def test_definitions_differ_on_a_rise_of_a_quarter(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(
        exposures=doses("A", (0, 20, 10.0)),
        findings=[*labs("A", 0, **QUIET), *labs("A", 3, **{**QUIET, "urate": 375.0, "potassium": 5.25})],
        visits=visits("A", 3),
    )
    found = of(derive_outcomes(tables, info), "A")
    assert found["ltls_cairo_bishop_published"] is True  # both rose by 25 %
    assert found["ltls_howard_published"] is False  # neither is past its bound


def test_lysis_with_one_of_four_values_is_not_assessable(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(exposures=doses("A", (0, 20, 10.0)), findings=labs("A", 3, urate=300.0), visits=visits("A", 3))
    found = of(derive_outcomes(tables, info), "A")
    assert found["ltls_cairo_bishop_published"] is None
    assert found["ltls_howard_step_up"] is None


def test_one_window_without_values_leaves_the_step_up_answer_open(make_tables: Make, info: VersionInfo) -> None:
    tables = make_tables(
        exposures=doses("A", (0, 20, 10.0), (28, 41, 15.0)),
        findings=[*labs("A", 0, **QUIET), *labs("A", 3, **QUIET)],
        visits=visits("A", 3, 35),
    )
    found = of(derive_outcomes(tables, info), "A")
    assert found["ltls_howard_published"] is False
    assert found["ltls_howard_step_up"] is None


def test_creatinine_without_a_baseline_has_no_rise(make_tables: Make, info: VersionInfo) -> None:
    line = {"subject": "A", "day": 5, "test": "creatinine", "value": 150.0, "unit": "umol/L"}
    found = of(derive_outcomes(make_tables(exposures=doses("A", (0, 20, 10.0)), findings=[line]), info), "A")
    assert found["creatinine_rise"] is None
    assert found["creatinine_rise_26"] is None


def test_a_rise_of_exactly_the_bound_counts(make_tables: Make, info: VersionInfo) -> None:
    lines = [
        {"subject": "A", "day": day, "test": "creatinine", "value": value, "unit": "umol/L"}
        for day, value in ((0, 80.1), (5, 106.6))
    ]
    found = of(derive_outcomes(make_tables(exposures=doses("A", (0, 20, 10.0)), findings=lines), info), "A")
    assert found["creatinine_rise_26"] is True  # 106.6 - 80.1 is 26.499999999999986 in binary


def test_fall_and_rebound(make_tables: Make, info: VersionInfo) -> None:
    def count(day: int, value: float) -> dict[str, Any]:
        return {"subject": "A", "day": day, "test": "lymphocytes", "value": value, "unit": "10*9/L"}

    tables = make_tables(
        exposures=doses("A", (0, 20, 10.0), (28, 48, 10.0), (56, 65, 10.0)),
        findings=[
            *(count(-10, 90.0), count(0, 100.0), count(21, 20.0), count(28, 60.0), count(49, 10.0)),
            *(count(77, 5.0), count(84, 8.0)),
        ],
    )
    found = of(derive_outcomes(tables, info), "A")
    assert (found["alc_on_c1"], found["alc_off_c1"], found["alc_rebound_c1"]) == (0.2, 0.6, 3.0)
    assert (found["alc_on_c2"], found["alc_off_c2"], found["alc_rebound_c2"]) == (0.1, None, None)
    # cycle 3 was broken off on day 65: there is no end of an on-period to measure at
    assert (found["alc_on_c3"], found["alc_off_c3"]) == (None, None)


def examined(subject: str, day: int, spd: float, lymphocytes: float, **more: float) -> list[dict[str, Any]]:
    values = {
        "node_spd": spd,
        "node_longest": 3.0,
        "spleen_below_costal_margin": 0.0,
        "liver_below_costal_margin": 0.0,
        "lymphocytes": lymphocytes,
        "neutrophils": 2.0,
        "platelets": 150.0,
        "hemoglobin": 120.0,
        **more,
    }
    lines = [{"subject": subject, "day": day, "test": test, "value": value} for test, value in values.items()]
    return [*lines, {"subject": subject, "day": day, "test": "constitutional_symptoms", "text": "no"}]


def test_best_response(make_tables: Make, info: VersionInfo) -> None:
    course = {
        # half of the nodes and of the lymphocytes gone on day 28, held for eight weeks
        "held": [(0, 30.0, 90.0), (28, 12.0, 30.0), (56, 12.0, 30.0), (84, 10.0, 20.0)],
        # the same, but gone again after four weeks
        "lost": [(0, 30.0, 90.0), (28, 12.0, 30.0), (56, 12.0, 30.0), (84, 25.0, 60.0)],
        # nodes up by two thirds on two examinations four weeks apart
        "grown": [(0, 30.0, 90.0), (28, 50.0, 90.0), (56, 52.0, 90.0)],
        # the same once, gone at the next examination: flare
        "flared": [(0, 30.0, 90.0), (28, 50.0, 90.0), (56, 20.0, 60.0)],
        "flaring": [(0, 30.0, 90.0), (28, 50.0, 90.0)],
        "unseen": [(0, 30.0, 90.0)],
    }
    tables = make_tables(
        exposures=[line for subject in course for line in doses(subject, (0, 20, 10.0), (28, 48, 15.0))],
        findings=[line for subject, days in course.items() for day in days for line in examined(subject, *day)],
    )
    outcomes = derive_outcomes(tables, info)
    found = {row["subject"]: (row["best_response"], row["response"]) for row in outcomes.iter_rows(named=True)}
    assert found == {
        "held": ("PR", True),
        "lost": ("SD", False),
        "grown": ("PD", False),
        "flared": ("SD", False),
        "flaring": ("SD", False),
        "unseen": ("NE", None),
    }
    assert of(outcomes, "held")["response_day"] == 28
    assert of(outcomes, "grown")["progression_day"] == 28


def test_without_nodes_response_cannot_be_told(make_tables: Make, info: VersionInfo) -> None:
    days = [(0, 30.0, 90.0), (28, 12.0, 30.0), (56, 12.0, 30.0), (84, 10.0, 20.0)]
    lines = [line for day in days for line in examined("A", *day)]
    blind = [line for line in lines if line["day"] == 0 or not line["test"].startswith("node")]
    tables = make_tables(exposures=doses("A", (0, 20, 10.0)), findings=blind)
    found = of(derive_outcomes(tables, info), "A")
    assert (found["best_response"], found["response"]) == ("NE", None)


NORMAL_MARROW = {"marrow_lymphocytes": 15.0, "marrow_normocellular": "yes", "marrow_nodules": "no"}
INFILTRATED = {**NORMAL_MARROW, "marrow_lymphocytes": 35.0}
Marrow = dict[int, dict[str, Any]]


def _complete(marrow: Marrow, days: Sequence[int], broken: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Nothing but the marrow is lacking on these days, not on those `broken`; `marrow` by the day it was examined."""
    lines = examined("A", 0, 30.0, 90.0)
    for day in days:
        lines += examined("A", day, 0.0, 2.0, node_longest=0.0, platelets=90.0 if day in broken else 150.0)
    for day, tests in marrow.items():
        for test, said in tests.items():
            lines.append({"subject": "A", "day": day, "test": test, "text" if isinstance(said, str) else "value": said})
    return lines


@pytest.mark.parametrize(
    ("examines", "marrow", "days", "broken", "best", "complete"),
    [
        (True, {84: NORMAL_MARROW}, (28, 56, 84), (), "CR", True),
        (None, {84: NORMAL_MARROW}, (28, 56, 84), (), "CR", True),
        # a real marrow seldom lies on the day of the examination
        (True, {70: NORMAL_MARROW}, (28, 56, 84), (), "CR", True),
        (True, {84: INFILTRATED}, (28, 56, 84), (), "PR", False),
        (True, {84: INFILTRATED}, (28, 56, 84, 112, 140, 168), (), "PR", False),
        # nobody looked, although everything else was there for two months: it may have been complete
        (True, {}, (28, 56, 84), (), "PR", None),
        (True, {0: NORMAL_MARROW}, (28, 56, 84), (), "PR", None),
        (True, {}, (28, 56, 84, 112), (112,), "PR", None),
        # something else was lacking: it was not, whatever the marrow
        (True, {}, (28, 56, 84, 112), (84,), "PR", False),
        (True, {}, (28,), (), "SD", False),
        # the trial does not examine the marrow: nothing can be said of anyone
        (False, {}, (28, 56, 84, 112), (84,), "PR", None),
        (None, {}, (28, 56, 84, 112), (84,), "PR", None),
        (False, {}, (28,), (), "SD", None),
        (True, {}, (), (), "NE", None),
    ],
)
def test_complete_response(
    make_tables: Make,
    info: VersionInfo,
    examines: bool | None,
    marrow: Marrow,
    days: Sequence[int],
    broken: Sequence[int],
    best: str,
    complete: bool | None,
) -> None:
    lines = _complete(marrow, days, broken)
    tables = make_tables(exposures=doses("A", (0, 20, 10.0), (28, 48, 10.0)), findings=lines)
    found = of(derive_outcomes(tables, replace(info, examines_marrow=examines)), "A")
    assert (found["best_response"], found["complete_response"]) == (best, complete)


def test_a_trial_that_does_not_examine_the_marrow_has_no_share_of_complete_responses(
    make_tables: Make, info: VersionInfo
) -> None:
    tables = make_tables(exposures=doses("A", (0, 20, 10.0)), findings=_complete({}, (28, 56, 84), (56,)))
    outcomes = derive_outcomes(tables, replace(info, examines_marrow=False))
    assert outcomes.select(all_outcomes()["complete_response"].happened().count()).item() == 0


def test_a_line_that_replaces_another_of_an_event_is_no_episode(make_tables: Make, info: VersionInfo) -> None:
    def told(entry: str, grade: float, corrects: str | None = None, **end: int) -> dict[str, Any]:
        event = {"subject": "A", "day": 5, "term": "tumor_lysis_syndrome", "grade": grade, "entry": entry}
        return {**event, "corrects": corrects, **end}

    tables = make_tables(
        exposures=doses("A", (0, 20, 10.0)),
        adverse_events=[told("1", 1.0), told("2", 3.0, "1"), told("3", 3.0, "2", end_day=9)],
    )
    found = of(derive_outcomes(tables, info), "A")
    assert (found["ctls_reported_grade"], found["ctls_reported_day"], found["ctls_reported_episodes"]) == (3, 5, 1)

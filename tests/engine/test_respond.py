"""Response at visits: growth counts as progression when it is seen twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.scripted import Scripted, acts, run
from trialrun.engine.subjects import MARROW
from trialrun.plan.calendar import Plan
from trialrun.protocol.vocabulary import RESPONSES

BASE = {"node_spd": 30.0, "lymphocytes": 80.0, "spleen_below_costal_margin": 4.0, "liver_below_costal_margin": 0.0,
        "node_longest": 4.0, "constitutional_symptoms": 0.0, "platelets": 90.0, "hemoglobin": 105.0}  # fmt: skip


def responses(plan: Plan, nodes: dict[int, float], lymphocytes: dict[int, float], days: int) -> str:
    results = {(day, test): np.array([value]) for test, value in BASE.items() for day in range(-14, days)}
    for day in range(1, days):
        results[day, "node_spd"] = np.array([nodes.get(day // 28 * 28, 30.0)])
        results[day, "lymphocytes"] = np.array([lymphocytes.get(day // 28 * 28, 80.0)])
    subjects, _ = run(plan, Scripted(1, results), days)
    return RESPONSES[int(subjects.response[0])]


def test_unchanged_disease_is_stable(amended: Plan) -> None:
    assert responses(amended, {}, {}, 30) == "SD"


def test_one_flare_is_not_progression_and_two_growths_are(amended: Plan) -> None:
    assert responses(amended, {28: 50.0}, {}, 30) != "PD"
    assert responses(amended, {28: 50.0, 56: 52.0}, {}, 58) == "PD"


def test_before_any_assessment_nothing_is_assumed(amended: Plan) -> None:
    assert responses(amended, {}, {}, 20) == "not assessed"


COMPLETE = {"node_spd": 0.0, "lymphocytes": 2.0, "spleen_below_costal_margin": 0.0, "node_longest": 0.0, "platelets": 150.0,
            "hemoglobin": 125.0, "neutrophils": 2.5, "marrow_nodules": 0.0}  # fmt: skip


def follow(
    plan: Plan, days: int, marrow: dict[int, float], broken: tuple[int, ...] = ()
) -> tuple[str, list[int], list[tuple[int, str]]]:
    """Complete but for the marrow from day 28 on, not on `broken` days; lymphocytes of the marrow by the first day on which
    they hold. Returns the response, the days on which the marrow was examined, and the decisions."""
    results = {(day, test): np.array([value]) for test, value in BASE.items() for day in range(-14, 28)}
    for day in range(-14, days):
        results[day, "marrow_lymphocytes"] = np.array([marrow[max(start for start in marrow if start <= day)]])
        results[day, "marrow_nodules"] = np.array([0.0])
    for day in range(28, days):
        found = {**COMPLETE, "liver_below_costal_margin": 0.0, "constitutional_symptoms": 0.0}
        if day in broken:
            found["platelets"] = 90.0
        results |= {(day, test): np.array([value]) for test, value in found.items()}
    subjects, log = run(plan, Scripted(1, results), days)
    examined = [
        day
        for day, seen in log.observed
        for item in seen.findings
        if item.test == "marrow_lymphocytes" and item.rows.size
    ]
    return RESPONSES[int(subjects.response[0])], examined, acts(log, 0)


def test_the_marrow_is_examined_when_all_else_was_complete_for_two_months(amended: Plan) -> None:
    response, examined, _ = follow(amended, 80, {-14: 15.0})
    assert (response, examined) == ("PR", [])
    response, examined, _ = follow(amended, 90, {-14: 15.0})
    assert (response, examined) == ("CR", [84])


def test_a_marrow_counts_while_all_else_holds_and_treatment_ends_after_two_cycles(amended: Plan) -> None:
    response, examined, decisions = follow(amended, 150, {-14: 15.0})
    assert (response, examined) == ("CR", [84])
    assert decisions[-1] == (140, "stop")
    assert "stop" not in [act for _, act in decisions[:-1]]


def test_an_infiltrated_marrow_is_examined_again_after_half_a_year(amended: Plan) -> None:
    response, examined, _ = follow(amended, 250, {-14: 35.0})
    assert (response, examined) == ("PR", [84])
    response, examined, _ = follow(amended, 260, {-14: 35.0, 200: 20.0})
    assert (response, examined) == ("CR", [84, 252])


def test_two_months_begin_again_when_something_of_it_is_lost(amended: Plan) -> None:
    response, examined, _ = follow(amended, 150, {-14: 15.0}, broken=(56,))
    assert (response, examined) == ("CR", [140])
    response, examined, _ = follow(amended, 120, {-14: 15.0}, broken=(112,))
    assert (response, examined) == ("PR", [84]), "the marrow of day 84 is of a response that was lost"


def test_a_marrow_before_treatment_shows_no_response(amended: Plan) -> None:
    """What a site found in the marrow before the first dose is of no response."""
    visits = tuple(
        replace(visit, tests=(*visit.tests, *MARROW)) if visit.name in ("screening", "first_dose") else visit
        for visit in amended.visits
    )
    response, examined, _ = follow(replace(amended, visits=visits), 60, {-14: 15.0})
    assert (response, examined) == ("PR", [-14, 0])


def test_a_truth_that_is_not_known_is_no_error(amended: Plan) -> None:
    results = {(day, test): np.array([value, value]) for test, value in BASE.items() for day in range(-14, 30)}
    for day in range(-14, 30):
        results[day, "constitutional_symptoms"] = np.array([np.nan, 0.0])
    subjects, _ = run(amended, Scripted(2, results), 30)
    assert [RESPONSES[int(index)] for index in subjects.response] == ["SD", "SD"]

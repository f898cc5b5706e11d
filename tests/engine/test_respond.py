"""Response at visits: growth counts as progression when it is seen twice."""

from __future__ import annotations

import numpy as np

from engine.scripted import Scripted, run
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

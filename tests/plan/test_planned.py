"""Planned doses and the schedule of activities, against the published doses written out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialrun.analysis.versions import derive_plan_file, derive_version_info
from trialrun.plan.calendar import Plan, plan_version, planned_visits
from trialrun.plan.dosing import Dosing
from trialrun.plan.planned import (
    check_planned,
    dose_spans,
    find_open_step,
    plan_as_json,
    plan_doses,
    planned_doses_section,
)
from trialrun.plan.states import clock_states
from trialrun.protocol import Protocol, read_protocol
from trialrun.vocab.days import study_day

STUDY = Path(__file__).parents[2] / "studies" / "lenalidomide-cll"


@pytest.fixture(scope="module")
def study() -> Protocol:
    return read_protocol(STUDY)


@pytest.mark.parametrize("asked", [{"day", "dose"}, {"days_at_level", "cycle"}, set()])
def test_states_that_are_asked_for_are_those_of_all(study: Protocol, asked: set[str]) -> None:
    plan, dosing, rows = plan_version(study.version("original")), Dosing.fresh(3), np.array([0, 2])
    dosing.take(plan, 0, np.arange(3), np.array([plan.levels[0], 0.0, plan.levels[1]]))
    every, some = clock_states(dosing, plan, 5, rows), clock_states(dosing, plan, 5, rows, 0, asked)
    assert set(some) == asked
    for name, column in some.items():
        assert column.tolist() == every[name].tolist()


def _original_dose(day: int) -> float:
    """Chen, ASH 2007: 10 mg, +5 mg after every 7 days on drug, to 25 mg, days 1 to 21 of 28."""
    cycle, day_of_cycle = divmod(day, 28)
    if day_of_cycle >= 21:
        return 0.0
    return min(25.0, 10.0 + 5.0 * ((cycle * 21 + day_of_cycle) // 7))


def _amended_dose(day: int) -> float:
    """Chen, ASH 2007: 2.5, 5, 10 mg by 28-day cycle, days 1 to 21."""
    cycle, day_of_cycle = divmod(day, 28)
    return 0.0 if day_of_cycle >= 21 else (2.5, 5.0, 10.0)[min(cycle, 2)]


@pytest.mark.parametrize(("version", "expected"), [("original", _original_dose), ("amendment-1", _amended_dose)])
def test_planned_doses_are_the_published_ones(study: Protocol, version: str, expected) -> None:  # type: ignore[no-untyped-def]
    days = list(plan_doses(plan_version(study.version(version)), 6))
    assert [day.dose for day in days] == [expected(day) for day in range(6 * 28)]
    assert [day.study_day for day in days] == list(range(1, 6 * 28 + 1))
    assert [(day.cycle, day.cycle_day) for day in days] == [(day // 28 + 1, day % 28 + 1) for day in range(6 * 28)]


def test_a_step_that_no_plan_can_decide_is_named(study: Protocol) -> None:
    """Before the response is assessed it is `not assessed`, which is known: nothing is left open."""
    days = list(plan_doses(plan_version(study.version("amendment-1")), 6))
    assert all(day.waits_for == () for day in days)


def _on_a_result(folder: Path, start: str = "10 mg") -> Plan:
    """The original version, whose steps also ask for neutrophils."""
    text = (STUDY / "protocol.yaml").read_text(encoding="utf-8")
    old = "when: days_at_level >= 7 days and reductions = 0"
    assert old in text
    assert text.count("    start: 10 mg\n") == 1
    text = text.replace(old, f"{old} and neutrophils >= 1.0 x10^9/L").replace(
        "    start: 10 mg\n", f"    start: {start}\n"
    )
    (folder / "protocol.yaml").write_text(text, encoding="utf-8")
    return plan_version(read_protocol(folder).version("original"))


def test_a_step_on_a_result_is_left_open(tmp_path: Path) -> None:
    plan = _on_a_result(tmp_path)
    days = list(plan_doses(plan, 2))
    assert {day.dose for day in days} == {10.0, 0.0}
    assert {day.waits_for for day in days} == {(), ("neutrophils",)}
    assert {problem.code for problem in check_planned(plan)} == {"target-not-reached", "planned-step-open"}


def test_a_plan_with_an_open_step_names_it_and_knows_no_planned_doses(tmp_path: Path) -> None:
    plan = _on_a_result(tmp_path)
    assert plan_as_json(plan, 2)["open_step"] == {"study_day": 8, "waits_for": ["neutrophils"]}
    text = str(planned_doses_section(plan, 2))
    assert "from study day 8 on the dose depends on what is found in the subject: neutrophils" in text
    info, kept = derive_version_info(plan, 2), derive_plan_file(plan, 2)
    assert (info.planned_mg, kept.planned_mg, kept.waits_for) == ((), (), ("neutrophils",))


def test_where_no_step_is_left_a_result_leaves_nothing_open(tmp_path: Path) -> None:
    plan = _on_a_result(tmp_path, start="25 mg")
    assert find_open_step(plan_doses(plan, 2)) is None
    assert len(derive_version_info(plan, 2).planned_mg) == 56


def test_spans_cover_every_day_once(study: Protocol) -> None:
    for version in study.versions.values():
        spans = dose_spans(plan_version(version), 5)
        days = [day for span in spans for day in range(span.first, span.last + 1)]
        assert days == list(range(1, 5 * 28 + 1))


def test_the_study_reaches_its_target(study: Protocol) -> None:
    assert [check_planned(plan_version(version)) for version in study.versions.values()] == [[], []]


def test_visits_stand_on_their_days(study: Protocol) -> None:
    """By hand from the file: screening on day -14, weekly in the first cycle, the next cycle on day 29."""
    visits = {(visit.visit, visit.cycle): visit for visit in planned_visits(plan_version(study.version("original")), 4)}
    assert visits["screening", 0].study_day == -14
    assert (visits["screening", 0].earliest, visits["screening", 0].latest) == (-28, -4)
    assert (visits["first_dose", 1].earliest, visits["first_dose", 1].latest) == (-3, 1)
    assert (visits["week_2", 1].study_day, visits["week_2", 1].earliest, visits["week_2", 1].latest) == (8, 6, 9)
    assert visits["cycle_start", 2].study_day == 29
    assert ("week_2", 4) not in visits
    assert ("cycle_start", 1) not in visits
    assert all(day != 0 for visit in visits.values() for day in (visit.study_day, visit.earliest, visit.latest))
    assert [visit.study_day for visit in visits.values()] == sorted(visit.study_day for visit in visits.values())


def test_there_is_no_study_day_0() -> None:
    assert [study_day(offset) for offset in (-2, -1, 0, 1)] == [-2, -1, 1, 2]


def test_the_plan_as_json_names_only_known_activities(study: Protocol) -> None:
    import json

    plan = json.loads(json.dumps(plan_as_json(plan_version(study.version()), 3)))
    names = {activity["name"] for activity in plan["activities"]}
    assert all(set(visit["activities"]) <= names for visit in plan["visits"])
    assert {visit["visit"] for visit in plan["visits_on_condition"]} == {"while_held", "end_of_treatment"}
    assert [span["dose"] for span in plan["doses"]] == [2.5, 0.0, 5.0, 0.0, 10.0, 0.0]

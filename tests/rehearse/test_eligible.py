"""Eligibility criteria that the virtual people do not meet are told: nobody screens them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol import read_protocol
from trialrun.rehearse import Request, Where, rehearse
from trialrun.rehearse.eligible import DRAWN, TOLD, describe_ineligible, find_ineligible
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import draw_subjects

STUDIES = Path(__file__).parents[2] / "studies"
SHIPPED = sorted(path.parent for path in STUDIES.glob("*/protocol.yaml"))


@pytest.mark.parametrize("study", SHIPPED, ids=lambda study: study.name)
def test_people_that_ship_meet_the_criteria_that_ship(study: Path) -> None:
    plans = {name: plan_version(version) for name, version in read_protocol(study).versions.items()}
    people = read_population(study)
    assert list(describe_ineligible(people, plans)) == []
    assert all(part <= TOLD / 2 for plan in plans.values() for part in find_ineligible(people, plan).values())


def older(study: str, tmp_path: Path, rule: str) -> Plan:
    text = (STUDIES / study / "protocol.yaml").read_text(encoding="utf-8")
    assert text.count("when: age >= 18 years") == 1
    file = tmp_path / "protocol.yaml"
    file.write_text(text.replace("when: age >= 18 years", f"when: {rule}"), encoding="utf-8")
    return plan_version(read_protocol(file).version("original"))


def test_how_many_a_criterion_refuses_is_counted(tmp_path: Path) -> None:
    plan = older("lenalidomide-cll", tmp_path, "age >= 65 years")
    people = read_population(STUDIES / "lenalidomide-cll")
    age = draw_subjects(people, 1, np.arange(DRAWN)).age
    found = find_ineligible(people, plan)
    assert found["adult"] == pytest.approx(np.mean(np.floor(age) < 65))
    assert next(iter(found)) == "adult"
    shipped = plan_version(read_protocol(STUDIES / "lenalidomide-cll").version("amendment-1"))
    (notice,) = describe_ineligible(people, {"older@original": plan, "as it ships": shipped})
    assert f"adult {100 * found['adult']:.0f} %" in notice
    assert "of older@original that" in notice


def test_what_is_not_known_refuses_nobody(tmp_path: Path) -> None:
    plan = older("lenalidomide-cll", tmp_path, "age >= 18 years and b_cell_cll")
    without = replace(plan, visits=tuple(replace(visit, tests=()) for visit in plan.visits))
    people = read_population(STUDIES / "lenalidomide-cll")
    assert find_ineligible(people, without) == {}


def test_it_stands_among_the_notices_of_a_run(tmp_path: Path) -> None:
    older("lenalidomide-cll", tmp_path, "age >= 75 years")
    request = Request(
        ((str(tmp_path), "original"),), str(STUDIES / "lenalidomide-cll"), subjects=4, trials=2, seed=1, cycles=1
    )
    rehearse(request, tmp_path / "run", date(2000, 1, 1), where=Where(1), keep_record=False)
    said = (tmp_path / "run" / "run.json").read_text(encoding="utf-8")
    assert "Eligibility criteria of original that virtual people do not meet" in said

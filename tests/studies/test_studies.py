"""Every study that ships: its protocol checks clean, its cases pass, its people and its published facts can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.scripted import Scripted, acts, doses, run
from trialrun.analysis.published import read_published
from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol import read_protocol
from trialrun.protocol.check import check_protocol
from trialrun.simulate.domain import check_domain
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import draw_subjects

STUDIES = Path(__file__).parents[2] / "studies"
SIMULATED = ("lenalidomide-cll", *(f"lenalidomide-{name}" for name in ("25mg", "10mg-continuous", "2.5mg-monthly")))
SIMULATED = (*SIMULATED, "venetoclax-rampup")
RELAPSED = SIMULATED[1:]


def plan_of(study: str) -> Plan:
    (version,) = read_protocol(STUDIES / study).versions.values()
    return plan_version(version)


def test_no_study_is_forgotten_here() -> None:
    assert {path.parent.name for path in STUDIES.glob("*/protocol.yaml")} == set(SIMULATED)
    assert {path.parent.name for path in STUDIES.glob("*/population.yaml")} == set(SIMULATED)
    assert {path.parent.name for path in STUDIES.glob("*/published.yaml")} == {*SIMULATED, "fcr-benchmark"}


@pytest.mark.parametrize("study", SIMULATED)
def test_a_study_checks_clean_and_its_cases_pass(study: str) -> None:
    checked = check_protocol(read_protocol(STUDIES / study))
    assert [str(problem) for problem in checked.problems if problem.severity != "note"] == []
    assert sum(checked.failed.values()) == 0
    assert all(run_for_it >= 100 for run_for_it in checked.cases.values())


@pytest.mark.parametrize("study", SIMULATED)
def test_the_people_can_be_drawn_and_lie_within_their_domain(study: str) -> None:
    population = read_population(STUDIES / study)
    assert population.line_of_therapy == ("relapsed" if study in RELAPSED else "first_line")
    subjects = draw_subjects(population, 1, np.arange(200))
    assert np.isfinite(subjects.constants).all()
    for version in read_protocol(STUDIES / study).versions.values():
        levels = [level.value for level in version.treatment.levels]
        notices = check_domain(population, version.treatment.drug, levels, [part.name for part in version.concomitant])
        fluids = ("Not in the model, taken without effect: iv_fluids.",)
        assert notices == (fluids if study == "venetoclax-rampup" else ())


@pytest.mark.parametrize("study", [*SIMULATED, "fcr-benchmark"])
def test_published_facts_are_of_this_study_and_cited(study: str) -> None:
    published = read_published(STUDIES / study / "published.yaml")
    assert published.study == study
    sources: list[str | list[str]] = [fact.source for fact in published.counts]
    sources += [fact.source for fact in published.totals]
    sources += [fact.source for fact in published.statements]
    sources += [fact.source for benchmark in published.benchmarks for fact in benchmark.facts]
    cited = {name for source in sources for name in ([source] if isinstance(source, str) else source)}
    assert cited == set(published.sources), "a source that nothing cites, or the other way round"
    if study != "fcr-benchmark":
        known = set(read_protocol(STUDIES / study).versions)
        named = [fact.version for fact in published.counts] + [fact.version for fact in published.totals]
        named += [fact.version for fact in published.statements if fact.version is not None]
        assert set(named) <= known


def test_the_benchmark_is_the_same_wherever_it_stands() -> None:
    alone = read_published(STUDIES / "fcr-benchmark" / "published.yaml")
    beside = read_published(STUDIES / "lenalidomide-cll" / "published.yaml")
    assert alone.benchmarks == beside.benchmarks
    assert not alone.counts, "published facts of another treatment are no counts of a simulated version"


def test_25_mg_is_given_from_the_start_three_weeks_of_four() -> None:
    _, log = run(plan_of("lenalidomide-25mg"), Scripted(1), 57)
    taken = doses(log, 1, 56)[0].reshape(2, 28)
    assert (taken[:, :21] == 25.0).all()
    assert (taken[:, 21:] == 0.0).all()


@pytest.mark.parametrize(
    ("study", "by_cycle"),
    [
        ("lenalidomide-10mg-continuous", [10, 15, 20, 25, 25, 25]),
        ("lenalidomide-2.5mg-monthly", [2.5, 5, 10, 15, 20, 25]),
    ],
)
def test_monthly_steps_without_days_off(study: str, by_cycle: list[float]) -> None:
    _, log = run(plan_of(study), Scripted(1), 169)
    taken = doses(log, 1, 168)[0].reshape(6, 28)
    assert taken[:, 0].tolist() == by_cycle
    assert (taken == taken[:, :1]).all()


def test_venetoclax_rises_weekly_to_400_mg() -> None:
    _, log = run(plan_of("venetoclax-rampup"), Scripted(1), 57)
    taken = doses(log, 1, 56)[0].reshape(8, 7)
    assert taken[:, 0].tolist() == [20, 50, 100, 200, 400, 400, 400, 400]
    assert (taken == taken[:, :1]).all()


def test_venetoclax_one_missed_day_does_not_delay_a_step_two_do() -> None:
    _, log = run(plan_of("venetoclax-rampup"), Scripted(2, missed={3: [0, 1], 5: [1]}), 15)
    assert doses(log, 2, 14)[:, 7].tolist() == [50.0, 20.0]
    assert doses(log, 2, 14)[:, 8].tolist() == [50.0, 20.0], "the visit for the chemistry raises no dose"


def test_venetoclax_laboratory_lysis_holds_until_it_is_over_and_goes_on_at_the_same_dose() -> None:
    results = {(8, "urate"): np.array([600.0]), (8, "phosphate"): np.array([2.0])}
    _, log = run(plan_of("venetoclax-rampup"), Scripted(1, results), 22)
    decided = dict(acts(log, 0))
    assert (decided[7], decided[8], decided[9]) == ("step up", "hold", "resume")
    assert doses(log, 1, 21)[0, 7:11].tolist() == [50.0, 0.0, 50.0, 50.0]


@pytest.mark.parametrize(("held", "then"), [(7, 50.0), (8, 20.0)])
def test_venetoclax_ramp_up_starts_anew_after_more_than_a_week(held: int, then: float) -> None:
    """Chemistry is abnormal on `held` days from the day after the first 50 mg."""
    urate = {(day, "urate"): np.array([600.0]) for day in range(8, 8 + held)}
    phosphate = {(day, "phosphate"): np.array([2.0]) for day in range(8, 8 + held)}
    _, log = run(plan_of("venetoclax-rampup"), Scripted(1, {**urate, **phosphate}), 29)
    taken = doses(log, 1, 28)[0]
    assert taken[8 : 8 + held].sum() == 0.0
    assert taken[8 + held] == then


def test_venetoclax_missed_for_more_than_a_week_starts_anew() -> None:
    missed = {day: [0] for day in range(8, 21)}
    _, log = run(plan_of("venetoclax-rampup"), Scripted(1, missed=missed), 36)
    taken = doses(log, 1, 35)[0]
    assert taken[7] == 50.0
    assert (taken[21], taken[22]) == (0.0, 20.0), "a day to look at the risk, then the first level"

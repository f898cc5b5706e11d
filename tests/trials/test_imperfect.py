"""Late reports, missed visits, deaths of other causes: what the site sees."""

from __future__ import annotations

import numpy as np
import pytest

from trialrun.engine.conduct import Log
from trialrun.protocol import Protocol
from trialrun.trials.courses import WITH, conduct_subjects, simulate_courses
from trialrun.trials.statement import Conduct
from trials.fake import Happens, conduct, setting

FEVER = "febrile_neutropenia"
N = 400


def _course(protocol: Protocol, happens: Happens, how: Conduct, n: int = N) -> dict[str, np.ndarray]:
    made = setting(protocol, ("original",), happens, how)
    never = np.full((n, 1), np.inf)
    return simulate_courses(made, np.arange(n), never, never[:, 0]).columns


def _log(protocol: Protocol, how: Conduct, n: int = N) -> Log:
    never = np.full((n, 1), np.inf)
    return conduct_subjects(setting(protocol, ("original",), {}, how), np.arange(n), never, never[:, 0]).log


def test_part_of_the_events_is_known_late_and_none_later_than_the_next_visit_that_asks(protocol: Protocol) -> None:
    happens = {i: [(15, FEVER, 3.0)] for i in range(N)}  # the next visits after day 15: days 21 (week 4)
    known = _course(protocol, happens, conduct(late=(0.4, 3.0)))[f"known.{WITH}{FEVER}"]
    assert set(known) <= set(range(15, 22))
    late = float((known > 15).mean())
    assert late == pytest.approx(0.4, abs=0.1)  # binomial: standard error 0.025
    # exponential of mean 3, rounded up: P(1 day) = 1 - exp(-1/3) = 0.283 of those that are late
    assert float((known == 16).sum() / (known > 15).sum()) == pytest.approx(0.283, abs=0.15)


def test_what_is_told_at_a_visit_and_a_death_are_never_late(protocol: Protocol) -> None:
    at_visit = _course(protocol, {i: [(14, FEVER, 3.0)] for i in range(N)}, conduct(late=(1.0, 50.0)))
    assert set(at_visit[f"known.{WITH}{FEVER}"]) == {14.0}
    fatal = _course(protocol, {i: [(15, "infection", 5.0)] for i in range(N)}, conduct(late=(1.0, 50.0)))
    assert set(fatal["known.subjects_dead_of_toxicity"]) == set(fatal["death"]) == {15.0}


def test_nothing_is_measured_at_a_missed_visit(protocol: Protocol) -> None:
    log = _log(protocol, conduct(missed=0.3))
    for day, observed in log.observed:
        held = {int(row) for when, _, rows in log.visits if when == day for row in rows}
        seen = {int(row) for item in observed.findings for row in item.rows}
        assert seen <= held
    at_week_2 = [rows.size for day, name, rows in log.visits if day == 7 and name == "week_2"]
    assert sum(at_week_2) / N == pytest.approx(0.7, abs=0.08)  # standard error 0.023
    assert [rows.size for day, name, rows in log.visits if name in ("screening", "first_dose")] == [N, N]


def test_a_cycle_waits_for_the_visit_that_starts_it(protocol: Protocol) -> None:
    log = _log(protocol, conduct(missed=0.3))
    starts = [(day, rows) for day, name, rows in log.visits if name == "cycle_start" and day < 50]
    assert starts[0][0] == 28
    assert starts[0][1].size / N == pytest.approx(0.7, abs=0.08)
    everyone = np.concatenate([rows for _, rows in starts])
    assert np.unique(everyone).size == everyone.size == N  # each once, on the first day that is not missed
    doses = {item.day: item.rows[item.dose > 0] for _, observed in log.observed for item in observed.exposures}
    assert set(doses[28]) == set(starts[0][1])


def test_without_imperfections_nothing_is_late_missed_or_lost(protocol: Protocol) -> None:
    course = _course(protocol, {i: [(15, FEVER, 3.0)] for i in range(N)}, conduct())
    assert set(course[f"known.{WITH}{FEVER}"]) == {15.0}
    assert np.isinf(course["death"]).all()
    assert np.isinf(course["left"]).all()

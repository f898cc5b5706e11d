"""Counts of subjects over time and the verdicts on them: by hand, and against the rules as `decide` answers them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trialrun.protocol import Protocol
from trialrun.trials.rules import count_by, next_trigger, rule_terms

INF = np.inf
LYSIS, TOXIC = "subjects_with_tumor_lysis_syndrome", "subjects_dead_of_toxicity"


def test_counting_by_hand() -> None:
    known = np.array([[5.0, INF, 3.0, 5.0], [INF, INF, INF, -2.0]])
    days = np.array([[2.0, 3.0, 5.0, INF], [-3.0, -2.0, 0.0, INF]])
    assert count_by(known, days).tolist() == [[0, 1, 3, 3], [0, 1, 1, 1]]


_DAY = st.integers(-20, 2000).map(float) | st.just(INF)


@given(st.lists(st.lists(_DAY, min_size=4, max_size=4), min_size=1, max_size=5), st.lists(_DAY, min_size=3, max_size=3))
def test_counting_is_counting(known: list[list[float]], days: list[float]) -> None:
    asked = np.array([days] * len(known))
    finite = np.where(np.isfinite(asked), asked, 1e9)
    expected = [[sum(each <= day for each in trial) for day in row] for trial, row in zip(known, finite, strict=True)]
    assert count_by(np.array(known), asked).tolist() == expected


def test_the_terms_are_those_of_the_rules(protocol: Protocol) -> None:
    assert rule_terms(protocol.version("original")) == (TOXIC, LYSIS)


def _next(protocol: Protocol, lysis: list[list[float]], toxic: list[list[float]], reviewed: int, after: float) -> list:
    versions = (protocol.version("original"),)
    trials = len(lysis)
    known = {LYSIS: np.array(lysis), TOXIC: np.array(toxic)}
    seen = {LYSIS: np.full(trials, float(reviewed)), TOXIC: np.zeros(trials)}
    return next_trigger(versions, np.zeros((trials, 1)), known, seen, np.full(trials, after)).day.tolist()


def test_the_first_day_on_which_the_rule_is_true(protocol: Protocol) -> None:
    lysis, toxic = [[40.0, 30.0], [INF, INF], [50.0, INF]], [[INF, INF], [INF, INF], [INF, 45.0]]
    assert _next(protocol, lysis, toxic, 0, -INF) == [30.0, INF, 45.0]


def test_a_reviewed_case_asks_no_more_until_there_is_another(protocol: Protocol) -> None:
    assert _next(protocol, [[30.0, 40.0]], [[INF, INF]], 1, 30.0) == [40.0]
    assert _next(protocol, [[30.0, 40.0]], [[INF, INF]], 2, 40.0) == [INF]
    # one of the other kind asks, though the first kind has not risen
    assert _next(protocol, [[30.0, INF]], [[INF, 50.0]], 1, 30.0) == [50.0]


def test_a_rule_that_stops_the_study_says_so(stopping: Protocol) -> None:
    known = {LYSIS: np.array([[30.0]]), TOXIC: np.array([[INF]])}
    seen = {term: np.zeros(1) for term in known}
    found = next_trigger((stopping.version("original"),), np.zeros((1, 1)), known, seen, np.array([-INF]))
    assert (found.day.tolist(), found.stops.tolist(), found.names) == ([30.0], [True], ("pause_for_lysis",))

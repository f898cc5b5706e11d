"""When participants are enrolled: by hand, and what must hold whatever happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.trials.accrual import draw_gaps, enrol
from trials.fake import conduct

NONE = np.full((1, 1, 2), np.inf)


def _closed(*pauses: tuple[float, float]) -> np.ndarray:
    return np.array([pauses])


def test_without_pauses_participants_come_one_after_the_other() -> None:
    found = enrol(np.array([[0.0, 10.0, 10.5, 10.6]]), NONE, screening=14)
    assert found.consent.tolist() == [[0, 10, 20, 31]]  # whole days: 20.5 and 31.1 are days 20 and 31
    assert found.first_dose.tolist() == [[14, 24, 34, 45]]


def test_the_clock_of_accrual_stands_still_in_a_pause() -> None:
    # the third would come on day 60; ten days before, enrolment closes for 30 days
    found = enrol(np.array([[0.0, 30.0, 30.0, 30.0]]), _closed((50, 80)), screening=14)
    assert found.consent.tolist() == [[0, 30, 90, 120]]


def test_who_is_in_screening_when_a_pause_begins_consents_again_when_it_ends() -> None:
    found = enrol(np.array([[0.0, 30.0, 30.0]]), _closed((35, 80)), screening=14)
    assert found.consent.tolist() == [[0, 80, 105]]  # the third: 5 days of open enrolment before, 25 after
    assert found.first_dose.tolist() == [[14, 94, 119]]


def test_first_dose_on_the_day_before_a_pause_is_given() -> None:
    assert enrol(np.array([[21.0]]), _closed((36, 80)), screening=14).first_dose.tolist() == [[35]]
    assert enrol(np.array([[22.0]]), _closed((36, 80)), screening=14).first_dose.tolist() == [[94]]


def test_nobody_is_enrolled_after_the_study_was_stopped() -> None:
    found = enrol(np.array([[0.0, 30.0, 30.0]]), _closed((50, np.inf)), screening=14)
    assert found.consent.tolist() == [[0, 30, np.inf]]
    assert found.first_dose.tolist() == [[14, 44, np.inf]]


def test_a_cohort_opens_when_the_last_of_the_former_was_long_enough_on_treatment() -> None:
    found = enrol(np.array([[0.0, 5.0, 5.0, 5.0, 5.0]]), NONE, screening=14, cohort=2, wait=28)
    # second: consent 5, first dose 19, so the second cohort opens on day 47
    assert found.consent.tolist() == [[0, 5, 52, 57, 104]]


def test_each_trial_has_its_own_pauses() -> None:
    closed = np.array([[[10, 20]], [[np.inf, np.inf]]])
    found = enrol(np.full((2, 2), 8.0), closed, screening=0)
    assert found.consent.tolist() == [[8, 26], [8, 16]]


def test_a_pause_that_never_comes_between_others_changes_nothing() -> None:
    with_gap = enrol(np.full((1, 6), 9.0), _closed((20, 30), (np.inf, np.inf), (50, 55)), screening=3)
    without = enrol(np.full((1, 6), 9.0), _closed((20, 30), (50, 55)), screening=3)
    assert with_gap.consent.tolist() == without.consent.tolist()


_PAUSES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 90)), min_size=1, max_size=4)


@given(
    gaps=st.lists(st.floats(0, 60), min_size=1, max_size=30),
    spans=_PAUSES,
    screening=st.integers(0, 21),
    cohort=st.none() | st.integers(1, 5),
)
def test_what_always_holds(gaps: list[float], spans: list[tuple[int, int]], screening: int, cohort: int | None) -> None:
    pauses, day = [], 0
    for after, length in spans:
        pauses.append((day + after, day + after + length))
        day += after + length
    found = enrol(np.array([gaps]), _closed(*pauses), screening, cohort, wait=10)
    consent, dose = found.consent[0], found.first_dose[0]
    for start, end in pauses:
        assert not ((consent >= start) & (consent < end)).any(), "consent in a pause"
        assert not ((dose >= start) & (dose < end)).any(), "first dose in a pause"
    assert (np.diff(consent) >= 0).all(), "in the order in which they come"
    assert (dose == consent + screening).all()
    if cohort is not None:
        for first in range(cohort, len(gaps), cohort):
            assert consent[first] >= dose[first - cohort : first].max() + 10
    open_days = np.cumsum(gaps)
    assert (consent >= np.floor(open_days)).all(), "nobody comes before their time"


def test_poisson_accrual_has_its_rate_and_its_luck_is_each_subjects_own() -> None:
    how = conduct(every=20.0, pattern="poisson")
    index = np.arange(40_000).reshape(2000, 20)
    gaps = draw_gaps(how, 7, index)
    # exponential: mean 20 and as much spread; standard error 20 / sqrt(40,000) = 0.1
    assert gaps.mean() == pytest.approx(20.0, abs=0.5)
    assert gaps.std() == pytest.approx(20.0, abs=0.8)
    assert (draw_gaps(how, 7, index[3:5]) == gaps[3:5]).all()
    assert (draw_gaps(how, 8, index) != gaps).all()


def test_fixed_accrual_starts_on_the_first_day() -> None:
    assert draw_gaps(conduct(every=28.0), 1, np.arange(3).reshape(1, 3)).tolist() == [[0, 28, 28]]

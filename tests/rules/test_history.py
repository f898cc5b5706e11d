"""What accumulators remember, by hand: windows, days with several results, persistence, events."""

from __future__ import annotations

import numpy as np
import pytest

from rules.words import rule
from trialrun.rules import History, evaluate, explain

ONE = np.zeros(1, dtype=np.int64)
NAN = float("nan")


class Subject:
    """One subject whose history answers one rule."""

    def __init__(self, text: str) -> None:
        self.rule = rule(text)
        self.history = History(self.rule.inputs, 1)

    def result(self, term: str, day: float, value: float, low: float = NAN, high: float = NAN) -> None:
        self.history.observe(term, ONE, day, np.array([value]), np.array([low]), np.array([high]))

    def event(self, term: str, day: float, grade: float, end: float = NAN) -> None:
        self.history.event(term, ONE, day, np.array([grade]), np.array([end]))

    def news(self, term: str, day: float, before: float, grade: float, end: float = NAN) -> None:
        self.history.update_event(term, ONE, *(np.array([each]) for each in (day, before, grade, end)))

    def answer(self, day: float) -> str:
        return explain(self.rule, self.history.columns(day, ONE), 0).verdict


def test_a_result_is_current_for_its_days_and_then_unknown() -> None:
    subject = Subject("neutrophils < 0.5 x10^9/L")
    assert subject.answer(0) == "unknown"
    subject.result("neutrophils", 0, 0.4)
    assert [subject.answer(day) for day in (0, 3, 4)] == ["true", "true", "unknown"]
    subject.result("neutrophils", 5, NAN)
    assert subject.answer(5) == "unknown"


def test_a_missing_result_changes_nothing() -> None:
    subject = Subject("neutrophils < 0.5 x10^9/L")
    subject.result("neutrophils", 0, 0.4)
    subject.result("neutrophils", 1, NAN)
    assert subject.answer(1) == "true"


@pytest.mark.parametrize("values", [(0.4, 0.6), (0.6, 0.4)])
def test_the_worse_result_of_a_day_counts(values: tuple[float, float]) -> None:
    subject = Subject("neutrophils < 0.5 x10^9/L")
    for value in values:
        subject.result("neutrophils", 0, value)
    assert subject.answer(0) == "true"


def test_differing_results_of_a_day_are_unknown_where_neither_is_worse() -> None:
    subject = Subject("lymphocytes > 5 x10^9/L")
    subject.result("lymphocytes", 0, 10)
    assert subject.answer(0) == "true"
    subject.result("lymphocytes", 0, 20)
    assert subject.answer(0) == "unknown"
    subject.result("lymphocytes", 0, 20)
    assert subject.answer(0) == "unknown"
    subject.result("lymphocytes", 1, 20)
    assert subject.answer(1) == "true"


@pytest.mark.parametrize("highs", [(40, 50), (50, 40)])
def test_of_equal_results_the_narrower_range_counts(highs: tuple[float, float]) -> None:
    for text in ("alt > 1 x ULN", "highest alt ever > 1 x ULN", "highest alt over last 7 days > 1 x ULN"):
        subject = Subject(text)
        for high in highs:
            subject.result("alt", 0, 45, high=high)
        assert subject.answer(0) == "true", text


def test_limits_are_those_of_the_same_result() -> None:
    subject = Subject("alt > 1 x ULN")
    subject.result("alt", 0, 45, high=40)
    subject.result("alt", 1, 45)
    assert subject.answer(1) == "unknown"
    assert explain(subject.rule, subject.history.columns(1, ONE), 0).waits_for == ("ULN of alt",)


def test_the_same_subject_twice_at_once() -> None:
    subject = Subject("lowest neutrophils ever < 0.5 x10^9/L and neutrophils < 0.5 x10^9/L")
    subject.history.observe("neutrophils", np.array([0, 0, 0]), 0, np.array([0.6, 0.4, 0.7]))
    assert subject.answer(0) == "true"


def test_results_come_in_order_of_days() -> None:
    subject = Subject("neutrophils < 0.5 x10^9/L")
    subject.result("neutrophils", 3, 0.4)
    with pytest.raises(ValueError, match="neutrophils of day 2 comes after a result of a later day"):
        subject.result("neutrophils", 2, 0.4)


def test_a_sliding_window_holds_its_first_day() -> None:
    subject = Subject("lowest neutrophils over last 7 days < 0.5 x10^9/L")
    subject.result("neutrophils", 0, 0.4)
    subject.result("neutrophils", 7, 2.0)
    assert [subject.answer(day) for day in (7, 8, 14, 15)] == ["true", "false", "false", "unknown"]


def test_a_sliding_window_falls_back_to_the_next_lowest() -> None:
    subject = Subject("lowest neutrophils over last 7 days = 0.6 x10^9/L")
    for day, value in ((0, 0.4), (1, 0.9), (2, 0.6), (3, 0.8)):
        subject.result("neutrophils", day, value)
    assert [subject.answer(day) for day in (7, 8, 9, 10)] == ["false", "true", "true", "false"]


@pytest.mark.parametrize("cycle_first", [True, False])
def test_a_cycle_holds_the_results_of_its_first_day(cycle_first: bool) -> None:
    subject = Subject("lowest neutrophils this cycle < 0.5 x10^9/L")
    assert subject.answer(0) == "unknown"
    subject.history.start_cycle(ONE, 0)
    subject.result("neutrophils", 14, 0.3)
    assert subject.answer(14) == "true"
    if cycle_first:
        subject.history.start_cycle(ONE, 28)
    subject.result("neutrophils", 28, 0.9)
    if not cycle_first:
        subject.history.start_cycle(ONE, 28)
    assert subject.answer(28) == "false"
    subject.history.start_cycle(ONE, 56)
    assert subject.answer(56) == "unknown"


def test_baseline_is_the_last_result_before_the_first_dose() -> None:
    subject = Subject("percent change of platelets from baseline <= -50 %")
    subject.result("platelets", -7, 300)
    subject.result("platelets", 0, 200)
    assert subject.answer(0) == "unknown"
    subject.history.set_baseline(ONE)
    subject.history.start_treatment(ONE, 0)
    assert subject.answer(0) == "false"
    subject.result("platelets", 7, 100)
    assert subject.answer(7) == "true"


def test_percent_of_a_baseline_of_zero_is_unknown() -> None:
    subject = Subject("percent change of neutrophils from baseline <= -50 %")
    subject.result("neutrophils", 0, 0)
    subject.history.set_baseline(ONE)
    assert subject.answer(0) == "unknown"
    explanation = explain(subject.rule, subject.history.columns(0, ONE), 0)
    assert explanation.waits_for == ("percent change of neutrophils from baseline of 0",)


@pytest.mark.parametrize(
    ("days", "answer"),
    [
        ([(0, 0.4), (4, 0.3), (7, 0.4)], "true"),
        ([(0, 0.4), (4, 0.3), (6, 0.4)], "false"),
        ([(0, 0.4), (4, 0.6), (7, 0.4)], "false"),
        ([(0, 0.4), (7, 0.4), (8, 0.6)], "false"),
        ([(0, 0.4), (7, 0.6), (7, 0.4)], "true"),
        ([(0, 0.4), (7, 0.4), (7, 0.6)], "true"),
        ([(7, 0.4)], "false"),
        ([], "unknown"),
    ],
)
def test_persistence(days: list[tuple[float, float]], answer: str) -> None:
    subject = Subject("neutrophils < 0.5 x10^9/L for 7 days")
    for day, value in days:
        subject.result("neutrophils", day, value)
    assert subject.answer(8) == answer


def test_a_day_judged_again_starts_from_the_days_before() -> None:
    subject = Subject("alt > 50 U/L for 7 days")
    for day, value in ((0, 60), (7, 40), (7, 60)):  # the higher one of a day counts
        subject.result("alt", day, value)
    assert subject.answer(7) == "true"


def test_persistence_is_unknown_where_an_unknown_day_decides() -> None:
    subject = Subject("alt > 1 x ULN for 7 days")
    subject.result("alt", 0, 60, high=50)
    subject.result("alt", 4, 60)
    subject.result("alt", 7, 60, high=50)
    explanation = explain(subject.rule, subject.history.columns(7, ONE), 0)
    assert explanation.verdict == "unknown"
    assert explanation.waits_for == ("alt > 1 x ULN for 7 days",)
    subject.result("alt", 8, 40, high=50)
    assert subject.answer(8) == "false"


def test_persistence_is_unknown_once_the_result_is_not_current() -> None:
    subject = Subject("neutrophils < 0.5 x10^9/L for 7 days")
    subject.result("neutrophils", 0, 0.4)
    subject.result("neutrophils", 7, 0.4)
    assert [subject.answer(day) for day in (10, 11)] == ["true", "unknown"]


def test_an_unreported_event_is_absent_only_after_a_review() -> None:
    subject = Subject("flare")
    assert subject.answer(0) == "unknown"
    subject.history.reviewed(ONE, 0)
    assert [subject.answer(day) for day in (0, 2, 3)] == ["false", "false", "unknown"]
    subject.event("flare", 4, 2, end=6)
    assert [subject.answer(day) for day in (5, 6, 7)] == ["true", "true", "unknown"]


def test_an_infection_without_a_review_window_is_absent_on_the_day_of_the_review_only() -> None:
    subject = Subject("infection")
    subject.history.reviewed(ONE, 3)
    assert [subject.answer(day) for day in (3, 4)] == ["false", "unknown"]


def test_the_worst_grade_in_progress() -> None:
    subject = Subject("grade of flare >= 4")
    subject.event("flare", 0, 2)
    subject.event("flare", 1, 4, end=5)
    subject.event("flare", 2, 3, end=9)
    assert [subject.answer(day) for day in (5, 6, 30)] == ["true", "false", "false"]


def test_an_event_without_a_grade_is_at_least_grade_1() -> None:
    for text, answer in (("flare", "true"), ("grade of flare >= 1", "true"), ("grade of flare >= 3", "unknown")):
        subject = Subject(text)
        subject.event("flare", 0, NAN)
        assert subject.answer(0) == answer


def test_news_of_an_event_replace_what_was_known_of_it_and_it_is_not_counted_again() -> None:
    going_on, twice = Subject("flare"), Subject("count of flare ever = 2")
    worse, lately = Subject("grade of flare >= 3"), Subject("worst grade of flare over last 5 days >= 2")
    for subject in (going_on, twice, worse, lately):
        subject.event("flare", 0, 2, end=1)
        subject.event("flare", 4, 2)
        subject.history.reviewed(ONE, 20)
        subject.news("flare", 4, before=2, grade=3)
    assert worse.answer(20) == "true"
    for subject in (going_on, twice, worse, lately):
        subject.news("flare", 4, before=3, grade=3, end=12)
    assert [going_on.answer(day) for day in (12, 20)] == ["true", "false"]
    assert [lately.answer(day) for day in (17, 20)] == ["true", "false"]
    assert (worse.answer(20), twice.answer(20)) == ("false", "true")
    twice.event("flare", 19, 1)
    assert twice.answer(20) == "false"


def test_of_two_events_that_go_on_the_end_of_one_leaves_the_other() -> None:
    subject = Subject("flare")
    subject.event("flare", 0, 2)
    subject.event("flare", 3, 2)
    subject.event("flare", 1, 2, end=6)
    subject.history.reviewed(ONE, 9)
    subject.news("flare", 3, before=2, grade=2, end=5)
    assert subject.answer(9) == "true"
    subject.news("flare", 0, before=2, grade=2, end=4)
    assert [subject.answer(day) for day in (6, 9)] == ["true", "false"]
    with pytest.raises(ValueError, match="goes on"):
        subject.news("flare", 0, before=2, grade=2, end=4)


def test_grades_are_1_to_5() -> None:
    with pytest.raises(ValueError, match="a grade of flare is not one of 1 to 5"):
        Subject("flare").event("flare", 0, 0)


def test_what_is_reported_settles_a_count_without_a_review() -> None:
    subject = Subject("count of flare ever >= 2")
    subject.event("flare", 0, 1, end=1)
    assert subject.answer(9) == "unknown"
    subject.event("flare", 5, 1, end=6)
    assert subject.answer(9) == "true"
    fewer = Subject("count of flare ever < 2")
    fewer.event("flare", 0, 1, end=1)
    assert fewer.answer(9) == "unknown"
    fewer.history.reviewed(ONE, 9)
    assert fewer.answer(9) == "true"


@pytest.mark.parametrize("cycle_first", [True, False])
def test_an_event_of_the_day_a_cycle_begins_counts_in_it(cycle_first: bool) -> None:
    subject = Subject("count of flare this cycle = 1")
    subject.history.start_cycle(ONE, 0)
    subject.event("flare", 3, 1)
    if cycle_first:
        subject.history.start_cycle(ONE, 28)
    subject.event("flare", 28, 1)
    if not cycle_first:
        subject.history.start_cycle(ONE, 28)
    subject.history.reviewed(ONE, 28)
    assert subject.answer(28) == "true"


def test_a_late_report_counts_in_the_window_it_began_in() -> None:
    subject = Subject("count of flare over last 7 days >= 1")
    subject.event("flare", 3, 1)
    assert [subject.answer(day) for day in (10, 11)] == ["true", "unknown"]
    subject.event("flare", 3, 1)
    subject.event("flare", 12, 1)
    subject.history.reviewed(ONE, 20)
    assert [subject.answer(day) for day in (19, 20)] == ["true", "false"]


def test_a_sliding_count_holds_its_first_day() -> None:
    subject = Subject("count of flare over last 7 days >= 2")
    subject.event("flare", 3, 1)
    subject.event("flare", 10, 1)
    subject.history.reviewed(ONE, 11)
    assert [subject.answer(day) for day in (10, 11)] == ["true", "false"]


def test_the_worst_grade_of_a_window_counts_what_goes_on_in_it() -> None:
    subject = Subject("worst grade of infection over last 7 days >= 3")
    subject.event("infection", 0, 3, end=10)
    assert subject.answer(17) == "true"
    subject.history.reviewed(ONE, 18)
    assert subject.answer(18) == "false"


def test_days_since_an_event_that_never_was() -> None:
    subject = Subject("days since infection >= 14 days")
    assert subject.answer(0) == "unknown"
    subject.history.reviewed(ONE, 0)
    assert subject.answer(0) == "true"
    columns = subject.history.columns(0, ONE)
    assert "days since infection = never" in explain(subject.rule, columns, 0).as_text()
    subject.event("infection", 1, 2)
    subject.history.reviewed(ONE, 15)
    assert subject.answer(15) == "true"


def test_a_recent_event_is_recent_without_a_review() -> None:
    subject = Subject("days since infection < 14 days")
    subject.event("infection", 1, 2)
    assert [subject.answer(day) for day in (5, 15)] == ["true", "unknown"]


def test_states_are_what_was_set_last() -> None:
    subject = Subject("response = PD and cycle > 3")
    assert subject.answer(0) == "unknown"
    subject.history.set_state("response", ONE, np.array([1.0]))
    assert subject.answer(0) == "false"
    subject.history.set_state("response", ONE, np.array([3.0]))
    subject.history.set_state("cycle", ONE, np.array([4.0]))
    assert subject.answer(0) == "true"


def test_a_million_as_one() -> None:
    text = "lowest neutrophils over last 14 days < 0.5 x10^9/L or neutrophils < 1 x10^9/L for 3 days"
    many = rule(text)
    n = 1000
    luck = np.random.default_rng(1)
    crowd = History(many.inputs, n)
    rows = np.arange(n)
    values = luck.choice([0.4, 0.6, 2.0, np.nan], size=(20, n))
    for day in range(20):
        crowd.observe("neutrophils", rows, day, values[day])
    together = evaluate(many, crowd.columns(19, rows))
    for row in (0, 1, 500, 999):
        alone = Subject(text)
        for day in range(20):
            alone.result("neutrophils", day, values[day, row])
        assert {1: "true", 0: "false", -1: "unknown"}[int(together[row])] == alone.answer(19)

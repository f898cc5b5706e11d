"""What must hold for every rule: one is as many, unknown is never false, the order within a day does not matter."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.second import Entered, Sentence
from rules.sentences import kleene, make_entries, sentences, tell
from rules.words import WORDS
from trialrun.rules import UNKNOWN, Column, Columns, History, evaluate, explain, read_rule

N, LAST = 6, 20
few = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
seeds = st.integers(0, 10**6)


def columns_of(sentence: Sentence, entered: Entered, seed: int) -> Columns:
    history = History(read_rule(sentence.text, WORDS).inputs, entered.n)
    return tell(history, entered, random.Random(seed), {LAST})[LAST]


@few
@given(sentence=sentences, seed=seeds)
def test_order_within_a_day_does_not_matter(sentence: Sentence, seed: int) -> None:
    entered = make_entries(random.Random(seed), N, LAST)
    one, other = (columns_of(sentence, entered, order) for order in (1, 2))
    for item, column in one.values.items():
        for name in Column.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(column, name), getattr(other[item], name), f"{name} of {item}")


@few
@given(sentence=sentences, seed=seeds)
def test_one_subject_alone_answers_as_in_a_crowd(sentence: Sentence, seed: int) -> None:
    entered = make_entries(random.Random(seed), N, LAST)
    rule = read_rule(sentence.text, WORDS)
    crowd = columns_of(sentence, entered, seed)
    together = evaluate(rule, crowd)
    for subject in range(N):
        tables = {
            name: getattr(entered, name).filter(pl.col("subject") == subject).with_columns(subject=pl.lit(0, pl.Int64))
            for name in ("results", "events", "reviews", "cycles", "first_dose", "states")
        }
        alone = columns_of(sentence, Entered(1, **tables), seed)
        assert evaluate(rule, alone)[0] == together[subject]
        assert evaluate(rule, crowd.take(np.array([subject])))[0] == together[subject]
        assert explain(rule, crowd, subject) == explain(rule, alone, 0)


@few
@given(sentence=sentences, seed=seeds)
def test_columns_of_some_rows_are_rows_of_the_columns(sentence: Sentence, seed: int) -> None:
    entered = make_entries(random.Random(seed), N, LAST)
    rule = read_rule(sentence.text, WORDS)
    history = History(rule.inputs, N)
    everyone = tell(history, entered, random.Random(seed), {LAST})[LAST]
    rows = np.array([4, 1, 1, 2])
    assert evaluate(rule, history.columns(LAST, rows)).tolist() == evaluate(rule, everyone)[rows].tolist()


def _forget(column: Column, rows: np.ndarray) -> Column:
    """The column with nothing known in these rows."""

    def without(values: np.ndarray | None, nothing: float) -> np.ndarray | None:
        return None if values is None else np.where(rows, nothing, values)

    truth = None if column.truth is None else np.where(rows, UNKNOWN, column.truth).astype(np.int8)
    value, day = np.where(rows, np.nan, column.value), np.where(rows, np.nan, column.day)
    least, most = without(column.least, -np.inf), without(column.most, np.inf)
    return Column(value, day, without(column.low, np.nan), without(column.high, np.nan), least, most, truth)


@few
@given(sentence=kleene, seed=seeds)
def test_what_becomes_unknown_never_turns_an_answer_round(sentence: Sentence, seed: int) -> None:
    luck = random.Random(seed)
    rule = read_rule(sentence.text, WORDS)
    columns = columns_of(sentence, make_entries(luck, N, LAST), seed)
    before = evaluate(rule, columns)
    lost = {item: np.array([luck.random() < 0.4 for _ in range(N)]) for item in columns.values}
    after = evaluate(
        rule, Columns(columns.day, N, {item: _forget(column, lost[item]) for item, column in columns.values.items()})
    )
    assert ((after == before) | (after == UNKNOWN)).all()
    nothing = {item: _forget(column, np.ones(N, dtype=bool)) for item, column in columns.values.items()}
    assert (evaluate(rule, Columns(columns.day, N, nothing)) == UNKNOWN).all()


@few
@given(sentence=kleene, seed=seeds)
def test_an_unknown_answer_waits_for_something_that_it_names(sentence: Sentence, seed: int) -> None:
    rule = read_rule(sentence.text, WORDS)
    columns = columns_of(sentence, make_entries(random.Random(seed), N, LAST), seed)
    for row, verdict in enumerate(evaluate(rule, columns)):
        explanation = explain(rule, columns, row)
        assert (verdict == UNKNOWN) == bool(explanation.waits_for)
        unknown = {item.what for item in explanation.all_used() if not item.known} | {
            str(item) for item in rule.inputs if item.remember == "lasting"
        }
        assert set(explanation.waits_for) <= unknown


def test_columns_stay_as_they_are_when_the_history_goes_on() -> None:
    rule = read_rule("lowest neutrophils over last 7 days < 1 x10^9/L and alt > 1 U/L and infection", WORDS)
    history = History(rule.inputs, 2)
    rows = np.arange(2)
    history.observe("alt", rows, 0, np.array([2.0, 2.0]))
    history.observe("neutrophils", rows, 0, np.array([0.5, 0.5]))
    history.event("infection", rows, 0, np.array([1.0, 2.0]))
    before = history.columns(0, rows)
    verdict = evaluate(rule, before)
    history.observe("alt", rows, 1, np.array([0.0, 0.0]))
    history.observe("neutrophils", rows, 20, np.array([5.0, 5.0]))
    history.event("infection", rows, 1, np.array([4.0, 4.0]))
    assert evaluate(rule, before).tolist() == verdict.tolist() == [1, 1]

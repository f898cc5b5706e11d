"""Random rules on random histories: the accumulators against Polars expressions that scan everything entered."""

from __future__ import annotations

import random

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.second import Sentence
from rules.sentences import make_entries, sentences, tell
from rules.words import WORDS
from trialrun.rules import UNKNOWN, History, evaluate, explain, read_rule


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sentence=sentences, seed=st.integers(0, 10**6))
def test_both_implementations_agree(sentence: Sentence, seed: int) -> None:
    luck = random.Random(seed)
    n, last = 8, 20
    entered = make_entries(luck, n, last)
    rule = read_rule(sentence.text, WORDS)
    history = History(rule.inputs, n)
    asked = {luck.randrange(-6, last), last}
    for day, columns in tell(history, entered, luck, asked).items():
        found = evaluate(rule, columns)
        expected = sentence.at(entered, day)["verdict"].cast(pl.Int8).fill_null(UNKNOWN).to_numpy()
        assert found.tolist() == expected.tolist(), f"{sentence.text} on day {day}"
        for row in range(n):
            assert explain(rule, columns, row).verdict == {1: "true", 0: "false", -1: "unknown"}[int(found[row])]

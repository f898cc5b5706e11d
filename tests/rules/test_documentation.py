"""Every example of the reference page is a rule or an action."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trialrun.rules import Term, Vocabulary, read_action, read_rule
from trialrun.vocab.tests import all_tests

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "rule-language.md"


def _examples(kind: str) -> list[str]:
    blocks = re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    words = {
        test.name: Term(
            test.name, test.kind, test.unit, "finding", test.label, worst=test.worst, limits=True, current_for=3
        )
        for test in all_tests().values()
    }
    for event in ("febrile_neutropenia", "tumor_lysis_syndrome", "tumor_flare", "infection"):
        words[event] = Term(event, "truth", None, "event", event)
    for state, unit in (("age", "a"), ("dose", "mg"), ("level_dose", "mg"), ("cycle", "1")):
        words[state] = Term(state, "number", unit, "state", state)
    words["response"] = Term(
        "response", "category", None, "state", "response", values=("not assessed", "CR", "PR", "PD")
    )
    return words


def test_there_are_examples() -> None:
    assert len(_examples("rule")) > 30
    assert len(_examples("action")) > 10


@pytest.mark.parametrize("text", _examples("rule"))
def test_rules_of_the_page_can_be_read(text: str, vocabulary: Vocabulary) -> None:
    assert read_rule(text, vocabulary).text == text


@pytest.mark.parametrize("text", _examples("action"))
def test_actions_of_the_page_can_be_read(text: str, vocabulary: Vocabulary) -> None:
    assert read_action(text, vocabulary).text == text


def test_the_conversion_that_the_page_states(vocabulary: Vocabulary) -> None:
    rule = read_rule("urate >= 8 mg/dL", vocabulary)
    assert f"{rule.node.right.value:.2f}" == "475.88"  # type: ignore[union-attr]

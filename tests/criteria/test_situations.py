"""Situations as a file: verdicts of the worked and boundary examples, and what happens with bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.criteria.situations import Answer, assess_file
from trialrun.criteria.situations.lysis import read_event
from trialrun.vocab.problems import TrialrunError

EXAMPLES = Path(__file__).parents[2] / "examples" / "situations"
FILES = ("worked.yaml", "boundaries.yaml")
ANSWER_KEY = ("expected", "accept", "decides", "expected_howard_2011", "title")


def read(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load(EXAMPLES / name)["situations"])


SITUATIONS = {(name, str(each["id"])): each for name in FILES for each in read(name)}


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, str], Answer]:
    return {(name, answer.id): answer for name in FILES for answer in assess_file(EXAMPLES / name)}


def agrees(verdict: object, expected: object) -> bool:
    if isinstance(expected, dict) and isinstance(verdict, dict):
        return all(verdict.get(key) == value for key, value in expected.items())
    return verdict == expected and type(verdict) is type(expected)


@pytest.mark.parametrize("key", SITUATIONS, ids=lambda key: key[1])
def test_verdict_is_the_published_one(key: tuple[str, str], answers: dict[tuple[str, str], Answer]) -> None:
    situation, answer = SITUATIONS[key], answers[key]
    assert not answer.problems
    assert agrees(answer.verdict, situation["expected"]), answer.explanation
    if "expected_howard_2011" in situation:
        assert agrees(answer.side_by_side["Howard-2011"], situation["expected_howard_2011"])


def test_examples_are_many_and_cover_every_standard() -> None:
    assert len(SITUATIONS) > 100
    assert len({each["standard"] for each in SITUATIONS.values()}) == 6


def write(path: Path, situations: object) -> Path:
    file = path / "situations.yaml"
    with file.open("w") as stream:
        YAML().dump({"situations": situations}, stream)
    return file


def test_answer_key_and_order_never_influence_the_verdict(
    tmp_path: Path, answers: dict[tuple[str, str], Answer]
) -> None:
    bare = [{k: v for k, v in each.items() if k not in ANSWER_KEY} for each in reversed(SITUATIONS.values())]
    lying = [{**each, "expected": "PD", "accept": ["PD"], "decides": "PD"} for each in bare[::2]]
    by_id = {key[1]: answer.verdict for key, answer in answers.items()}
    for answer in assess_file(write(tmp_path, [*lying, *bare[1::2]])):
        assert answer.verdict == by_id[answer.id]


def test_every_answer_says_what_decided(answers: dict[tuple[str, str], Answer]) -> None:
    for answer in answers.values():
        assert answer.explanation.decided_by
        for sentence in answer.explanation.decided_by:
            assert not sentence.endswith(".")
            assert "nan" not in sentence


LYSIS = """
situations:
- id: bad
  standard: Cairo-Bishop-2004
  patient: {age: 60}
  labs:
  - {day: 1, urate: 500, pottasium: 6.1}
- id: good
  standard: iwCLL-haematologic-toxicity
  inputs: {parameter: platelets, baseline: 200, nadir: 90, lln: 150}
"""


def test_unknown_key_is_named_with_file_and_line_and_the_rest_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(LYSIS)
    bad, good = assess_file(file)
    assert good.verdict == 3
    assert bad.verdict is None
    (problem,) = bad.problems
    assert problem.code == "unknown-key"
    assert "pottasium" in str(problem.found)
    assert "potassium" in str(problem.expected)
    assert problem.location.line == 7
    assert problem.location.file == str(file)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{id: a, standard: iwCLL-2018, assessment: {alc: 3}}", "missing-key"),
        ("{id: a, standard: iwCLL-2018, baseline: {alc: 3}}", "missing-key"),
        ("{id: a, standard: iwCLL-2017, baseline: {alc: 3}, assessment: {alc: 3}}", "invalid-value"),
        ("{id: a, standard: iwCLL-2018, baseline: {alc: -3}, assessment: {alc: 3}}", "invalid-value"),
        ("{id: a, standard: iwCLL-2018, baseline: {alc: high}, assessment: {alc: 3}}", "invalid-value"),
        (
            "{id: a, standard: iwCLL-2018, baseline: {nodes: [[3, 2]]}, assessment: {nodes: [[1, 1], [2, 2]]}}",
            "target-nodes",
        ),
        ("{id: a, standard: iwCLL-2018, baseline: {alc: 3}, assessment: {alc: 3, not_done: [X-ray]}}", "unknown-value"),
        ("{id: a, standard: iwCLL-2018, baseline: {alc: 3}, assessment: {alc: 3, not_done: [alc]}}", "contradiction"),
        ("{id: a, standard: iwCLL-2018, baseline: {alc: 3}, assessment: {biopsy: something else}}", "unknown-value"),
        ("{id: a, standard: iwCLL-2018, baseline: {alc: 3}, assessments: [{alc: 3}]}", "missing-key"),
        (
            "{id: a, standard: iwCLL-2018, baseline: {alc: 9}, assessments: [{week: 9, alc: 3}, {week: 8, alc: 3}]}",
            "order",
        ),
        ("{id: a, standard: Howard-2011, clinical: {death: true}}", "missing-key"),
        ("{id: a, standard: Howard-2011, labs: [{day: 1, urate: 0}]}", "invalid-value"),
        ("{id: a, standard: Howard-2011, labs: [{day: 1}], clinical: {arrhythmia: blue}}", "unknown-value"),
        ("{id: a, standard: iwCLL-haematologic-toxicity, inputs: {parameter: alt}}", "invalid-value"),
        ("{id: a, standard: iwCLL-haematologic-toxicity}", "missing-key"),
        ("just words", "invalid-value"),
    ],
)
def test_bad_situation_is_a_problem_with_a_place(tmp_path: Path, line: str, code: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"situations:\n- {line}\n")
    (answer,) = assess_file(file)
    assert answer.verdict is None
    assert [problem.code for problem in answer.problems] == [code]
    assert answer.problems[0].location.line == 2


def test_second_use_of_an_id_is_a_problem(tmp_path: Path) -> None:
    first = "{id: a, standard: iwCLL-haematologic-toxicity, inputs: {parameter: wbc}}"
    file = tmp_path / "s.yaml"
    file.write_text(f"situations:\n- {first}\n- {first}\n")
    one, two = assess_file(file)
    assert one.verdict == "not_graded"
    assert [problem.code for problem in two.problems] == ["duplicate-id"]


@pytest.mark.parametrize("text", ["", "cases: []\n", "situations: {}\n", "situations: []\nmore: 1\n", "a: [\n"])
def test_unusable_file_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(TrialrunError):
        assess_file(file)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("null", "NE"), ("2.0", "CR")],  # a key that is there and empty was not assessed
)
def test_empty_value_is_not_a_normal_value(tmp_path: Path, text: str, verdict: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "situations:\n- {id: a, standard: iwCLL-2018, baseline: {alc: 50}, "
        f"assessment: {{alc: {text}, maintained_months: 3}}}}\n"
    )
    assert assess_file(file)[0].verdict == verdict


def test_command_answers_in_json_and_exits_1_on_a_bad_situation(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(LYSIS)
    result = CliRunner().invoke(app, ["assess", str(file), "--format", "json"])
    assert result.exit_code == 1
    bad, good = json.loads(result.stdout)
    assert bad["problems"][0]["line"] == 7
    assert good["id"] == "good"
    assert good["verdict"] == 3
    assert good["missing"] == []
    assert any("50 to 74 %" in sentence for sentence in good["decided_by"])
    fine = CliRunner().invoke(app, ["assess", str(EXAMPLES / "worked.yaml"), "--format", "json"])
    assert fine.exit_code == 0
    lysis = next(each for each in json.loads(fine.stdout) if each["id"] == "CB04-01")
    assert lysis["verdict"] == {"ltls": True, "ctls": False, "ctls_grade": 0}
    assert lysis["howard_2011"] == {"ltls": True, "ctls": False}
    assert lysis["cairo_bishop_2004"] == lysis["verdict"]


@pytest.mark.parametrize("form", ["text", "csv"])
def test_command_answers_one_line_or_block_for_each(form: str) -> None:
    result = CliRunner().invoke(app, ["assess", str(EXAMPLES / "worked.yaml"), "--format", form])
    assert result.exit_code == 0
    for situation in read("worked.yaml"):
        assert str(situation["id"]) in result.stdout


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        ("new_nodes: true", "PD"),
        ("new_nodes: false", "SD"),
        ("new_nodes: 1", "PD"),  # a count, size not given
        ("new_nodes: 0", "SD"),
        ("new_nodes: 1.4", "SD"),
        ("new_nodes: 1.5", "PD"),
        ("new_nodes: [1.6, 1.0]", "PD"),
        ("new_nodes: [[1.0, 1.0], [1.2, 1.7]]", "PD"),
        ("biopsy: diffuse large B-cell lymphoma", "PD"),
        ("biopsy: Richter transformation", "PD"),
        ("biopsy: no transformation", "SD"),
        ("biopsy: negative for Richter", "SD"),
        ("{biopsy: Richter, confirmed: false}", "SD"),
        ("prolymphocyte_pct: 60", "PD"),
        ("{prolymphocyte_pct: 60, confirmed: false}", "SD"),
        ("liver: enlarged", "PD"),
        ("liver_bcm: 3", "PD"),
        ("{liver_bcm: 3, growth_confirmed: false}", "SD"),
        ("symptoms: true", "SD"),
    ],
)
def test_words_of_the_vocabulary(tmp_path: Path, finding: str, verdict: str) -> None:
    found = finding.strip("{}")
    file = tmp_path / "s.yaml"
    file.write_text(
        "situations:\n- {id: a, standard: iwCLL-2018, baseline: {nodes: [[3, 3]], alc: 50}, "
        f"assessment: {{nodes: [[3, 3]], alc: 50, {found}}}}}\n"
    )
    (answer,) = assess_file(file)
    assert answer.problems == ()
    assert answer.verdict == verdict


@pytest.mark.parametrize(
    ("words", "present", "grade"),
    [
        ("none", False, 0),
        ("intervention_not_indicated", True, 1),
        ("asymptomatic, no medical intervention", True, 1),
        ("non_urgent_medical_intervention", True, 2),
        ("symptomatic, non-urgent medical intervention", True, 2),
        ("symptomatic_incompletely_controlled", True, 3),
        ("controlled with a device", True, 3),
        ("life_threatening", True, 4),
        ("not life threatening, non urgent", True, 2),
        ("atrial_fibrillation", True, None),
        ("grade 3", True, 3),
        ("IV", True, 4),
        (2, True, 2),
        (True, True, None),
        (False, False, 0),
        (None, False, 0),
    ],
)
def test_words_of_an_arrhythmia(words: str | int | bool | None, present: bool, grade: int | None) -> None:
    assert read_event("arrhythmia", words) == (present, grade)


@pytest.mark.parametrize(
    ("words", "grade"),
    [
        ("one_brief_generalised", 2),
        ("well controlled", 2),
        ("infrequent focal", 2),
        ("altered consciousness", 3),
        ("poorly_controlled", 3),
        ("breakthrough", 3),
        ("prolonged", 4),
        ("status_epilepticus", 4),
        ("tonic_clonic", None),
    ],
)
def test_words_of_a_seizure(words: str, grade: int | None) -> None:
    assert read_event("seizure", words) == (True, grade)

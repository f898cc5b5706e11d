"""The JSON Schema for editors agrees with what the reader accepts."""

from __future__ import annotations

from typing import Any

import pytest

from trialrun.protocol import Protocol
from trialrun.protocol.schema import protocol_schema
from trialrun.vocab.yaml_source import parse_yaml

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra `report`")


def _errors(data: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(protocol_schema())
    return [error.message for error in validator.iter_errors(data)]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(protocol_schema())


def test_the_study_file_is_valid(study: Protocol) -> None:
    assert _errors(study.source.data) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cycle: 28 days", "cycle: 28"),
        ("start: 10 mg", "start: 10"),
        ("give: days 1 to 21", "give: 1-21"),
        ("window: [14 days before, 10 days after]", "window: [14, 10]"),
        ("cycles: 1 to 3", "cycles: 1-3"),
        ("missed_dose: not made up", "missed_dose: made up"),
        ("        when: b_cell_cll", "        wehn: b_cell_cll"),
        ("    amends: original", "    amends: original\n    why: none"),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(study: Protocol, old: str, new: str) -> None:
    assert old in study.source.text
    assert _errors(parse_yaml(study.source.text.replace(old, new, 1), "edited").data)

"""Reading a protocol: versions, amendments with their lines, hashes."""

from __future__ import annotations

import pytest

from trialrun.protocol import Protocol, read_protocol
from trialrun.vocab.problems import TrialrunError


def test_both_versions_are_read_with_their_rules(study: Protocol) -> None:
    assert list(study.versions) == ["original", "amendment-1"]
    assert [str(level) for level in study.version("original").treatment.levels] == ["10 mg", "15 mg", "20 mg", "25 mg"]
    assert str(study.version("amendment-1").treatment.start) == "2.5 mg"
    assert "eligibility.adult" in study.version("original").rules()
    assert "dose_modification.neutropenia.until" in study.version("amendment-1").rules()


def test_latest_version_is_the_default(study: Protocol) -> None:
    assert study.version().name == "amendment-1"


def test_unknown_version_names_those_there_are(study: Protocol) -> None:
    with pytest.raises(TrialrunError, match="one of original, amendment-1"):
        study.version("amendment-2")


def test_an_amendment_inherits_what_it_does_not_change_with_its_line(study: Protocol) -> None:
    original, amended = study.version("original"), study.version("amendment-1")
    assert original.dose_modification.location == amended.dose_modification.location
    assert original.step_up.location != amended.step_up.location
    lines = study.source.text.splitlines()
    here = amended.step_up.location.line
    assert here is not None
    assert "to:" in lines[here - 1]
    row = amended.step_up.table.rows[0].location.line
    assert row is not None
    assert "on_progression" in lines[row - 1]


def test_the_hash_follows_the_content_and_nothing_else(study: Protocol, edited) -> None:  # type: ignore[no-untyped-def]
    same = read_protocol(edited(("# Lenalidomide as first", "# Another comment; lenalidomide as first")))
    assert same.version("original").hash == study.version("original").hash
    other = read_protocol(edited(("platelets < 30 x10^9/L", "platelets < 25 x10^9/L")))
    assert other.version("original").hash != study.version("original").hash
    assert other.version("amendment-1").hash != study.version("amendment-1").hash


def test_a_change_of_the_amendment_leaves_the_original_alone(study: Protocol, edited) -> None:  # type: ignore[no-untyped-def]
    other = read_protocol(edited(("day >= -3 days and cycle <= 3", "day >= -3 days and cycle <= 6")))
    assert other.version("original").hash == study.version("original").hash
    assert other.version("amendment-1").hash != study.version("amendment-1").hash


def test_results_stay_current_for_the_window_of_the_dosing_visit(study: Protocol) -> None:
    words = study.version("original").vocabulary
    assert words["neutrophils"].current_for == 3.0  # first_dose: 3 days before
    assert words["lymphocyte_doubling_time"].current_for == 14.0  # screening only: 14 days before
    assert words["tumor_flare"].current_for == 3.0
    assert words["sodium"].current_for is None


def test_rules_of_two_reads_are_equal(study: Protocol, edited) -> None:  # type: ignore[no-untyped-def]
    again = read_protocol(edited())
    for name, rule in study.version("original").rules().items():
        assert again.version("original").rules()[name].node == rule.node

"""An amendment in words: from the contents, in either direction."""

from __future__ import annotations

import pytest

from trialrun.protocol import Protocol, read_protocol
from trialrun.protocol.diff import compare_versions
from trialrun.vocab.problems import TrialrunError


def test_the_amendment_in_words(study: Protocol) -> None:
    difference = compare_versions(study, "original", "amendment-1")
    changes = {change.path: change for change in difference.changes}
    treatment = {detail.field: (detail.before, detail.after) for detail in changes["treatment"].details}
    assert treatment["first dose"] == ("10 mg", "2.5 mg")
    assert treatment["target dose"] == ("25 mg", "10 mg")
    assert "dosing days" not in treatment  # days 1 to 21 in both
    assert changes["treatment"].because == "Start at 2.5 mg, monthly steps, target 10 mg (ash2007)."
    assert changes["step_up.rows.weekly"].kind == "removed"
    assert changes["step_up.rows.monthly"].kind == "added"
    assert "eligibility.adult" not in changes
    assert not any(path.startswith("dose_modification") for path in changes)
    assert difference.amendments[0].name == "amendment-1"
    assert difference.idle == ()


def test_every_change_knows_its_line(study: Protocol) -> None:
    lines = study.source.text.splitlines()
    for change in compare_versions(study, "original", "amendment-1").changes:
        assert change.line is not None
        if change.path == "step_up.rows.monthly":
            assert "name: monthly" in lines[change.line - 1]


def test_the_other_direction_states_no_reasons(study: Protocol) -> None:
    difference = compare_versions(study, "amendment-1", "original")
    kinds = {change.path: change.kind for change in difference.changes}
    assert kinds["step_up.rows.weekly"] == "added"
    assert difference.amendments == ()
    assert {change.because for change in difference.changes} == {None}


def test_there_and_back_are_mirror_images(study: Protocol) -> None:
    there = compare_versions(study, "original", "amendment-1").changes
    back = compare_versions(study, "amendment-1", "original").changes
    assert {change.path for change in there} == {change.path for change in back}
    told = {(c.path, d.field): (d.before, d.after) for c in there for d in c.details if c.kind == "changed"}
    mirrored = {(c.path, d.field): (d.after, d.before) for c in back for d in c.details if c.kind == "changed"}
    assert told == mirrored


def test_a_version_does_not_differ_from_itself(study: Protocol) -> None:
    assert compare_versions(study, "original", "original").changes == ()


def test_unknown_version(study: Protocol) -> None:
    with pytest.raises(TrialrunError, match="unknown protocol version"):
        compare_versions(study, "original", "amendment-9")


def test_a_second_amendment_is_compared_over_both(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited()
    path = folder / "protocol.yaml"
    path.write_text(
        path.read_text(encoding="utf-8")
        + """
  amendment-2:
    amends: amendment-1
    date: 2008-03-01
    status: assumed
    source: assumed
    reason: for the test
    applies_to: everybody
    changes:
      - {set: visits.day_4.window, because: wider, to: [0 days before, 2 days after]}
      - {set: concomitant.hydration, because: not needed, to: null}
      - {set: treatment.route, because: nothing, to: oral}
""",
        encoding="utf-8",
    )
    read = read_protocol(folder)
    one = compare_versions(read, "amendment-1", "amendment-2")
    assert [(change.path, change.kind, change.because) for change in one.changes] == [
        ("concomitant.hydration", "removed", "not needed"),
        ("visits.day_4", "changed", "wider"),
    ]
    assert [problem.found for problem in one.idle] == ["'treatment.route'"]
    both = compare_versions(read, "original", "amendment-2")
    assert [version.name for version in both.amendments] == ["amendment-1", "amendment-2"]
    assert {"treatment", "concomitant.hydration"} <= {change.path for change in both.changes}


def test_a_row_that_changes_its_place_is_told_once(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited()
    path = folder / "protocol.yaml"
    rows = """
      - set: dose_modification.rows
        because: platelets first
        to:
          - {name: thrombocytopenia, when: platelets < 30 x10^9/L, then: "hold until platelets >= 50 x10^9/L, resume one level lower"}
          - {name: lysis, when: tumor_lysis_syndrome, then: stop treatment}
          - {name: sepsis, when: grade of infection >= 4, then: stop treatment}
          - {name: neutropenia, when: febrile_neutropenia or neutrophils < 0.5 x10^9/L, then: "hold until neutrophils >= 1.0 x10^9/L, resume one level lower"}
          - {name: severe_flare, when: grade of tumor_flare >= 3, then: "hold until grade of tumor_flare <= 1, resume one level lower"}
          - otherwise: continue
"""
    path.write_text(path.read_text(encoding="utf-8") + rows, encoding="utf-8")
    changes = [
        change
        for change in compare_versions(read_protocol(folder), "original", "amendment-1").changes
        if change.path.startswith("dose_modification")
    ]
    assert [(change.path, change.kind) for change in changes] == [("dose_modification.rows.thrombocytopenia", "moved")]
    assert (changes[0].details[0].before, changes[0].details[0].after) == ("4", "1")

"""Rules for the study as a whole: what is counted, and what leaves them open."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from trialrun.engine.study import StudyState, check_study
from trialrun.protocol import Protocol
from trialrun.record import read_record

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "records" / "lenalidomide-cll"
DAY = date(2007, 9, 17)


def _state(protocol: Protocol, folder: Path, on: date, file: str = "", line: str = "") -> StudyState:
    copy = folder / "record"
    shutil.copytree(EXAMPLE, copy)
    if line:
        with (copy / file).open("a", encoding="utf-8") as table:
            table.write(line + "\n")
    (state,) = check_study(protocol, read_record(copy), on)
    return state


def test_nothing_happened(protocol: Protocol, tmp_path: Path) -> None:
    state = _state(protocol, tmp_path, DAY)
    assert (state.verdict, state.version, state.section) == ("false", "amendment-1", "9.2")


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("adverse_events.csv", "A9,EX-05,2007-09-16,,tumor_lysis_syndrome,2,Y,Y"),
        ("adverse_events.csv", "A9,EX-05,2007-09-16,,Clinical tumour lysis syndrome,2,Y,Y"),
        ("adverse_events.csv", "A9,EX-05,2007-09-16,,infection,5,Y,Y"),
        ("dispositions.csv", "D9,EX-05,2007-09-16,death,sepsis"),
    ],
)
def test_enrolment_pauses(protocol: Protocol, tmp_path: Path, file: str, line: str) -> None:
    state = _state(protocol, tmp_path, DAY, file, line)
    assert state.verdict == "true"
    assert str(state).startswith("pause enrolment (section 9.2)")
    assert state.as_dict()["why"]


def test_what_comes_later_does_not_count_yet(protocol: Protocol, tmp_path: Path) -> None:
    line = "A9,EX-05,2007-09-16,,tumor_lysis_syndrome,2,Y,Y"
    assert _state(protocol, tmp_path, date(2007, 9, 15), "adverse_events.csv", line).verdict == "false"


def test_a_death_from_the_disease_does_not_count(protocol: Protocol, tmp_path: Path) -> None:
    line = "D9,EX-05,2007-09-16,death,progressive disease"
    assert _state(protocol, tmp_path, DAY, "dispositions.csv", line).verdict == "false"


@pytest.mark.parametrize(
    ("file", "line", "waits"),
    [
        ("dispositions.csv", "D9,EX-05,2007-09-16,death,", "the cause of the death of EX-05"),
        ("adverse_events.csv", "A9,EX-05,2007-09-16,,tumor_lysis_syndrom,2,Y,Y", "tumor_lysis_syndrome"),
        ("adverse_events.csv", "A9,EX-05,2007-09-16,,tumor_lysis_syndrome,9,Y,Y", "adverse_events"),
    ],
)
def test_what_may_still_count_leaves_it_undetermined(
    protocol: Protocol, tmp_path: Path, file: str, line: str, waits: str
) -> None:
    state = _state(protocol, tmp_path, DAY, file, line)
    assert state.verdict == "unknown"
    assert any(waits in text for text in state.waits_for)


def test_before_any_version_is_activated_no_rule_holds(protocol: Protocol) -> None:
    assert check_study(protocol, read_record(EXAMPLE), date(2006, 9, 30)) == ()

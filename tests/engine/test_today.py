"""What dose today, and why: the made-up record that ships, and records made wrong on purpose."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from trialrun.engine.certificate import Certificate, format_certificate
from trialrun.engine.replay import replay
from trialrun.engine.today import decide_on
from trialrun.protocol import Protocol
from trialrun.record import Record, read_record

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "records" / "lenalidomide-cll"
DAY = date(2007, 9, 17)


@pytest.fixture(scope="module")
def record() -> Record:
    return read_record(EXAMPLE)


@pytest.fixture(scope="module")
def decided(protocol: Protocol, record: Record) -> dict[str, Certificate]:
    return {subject: decide_on(protocol, record, subject, DAY) for subject in record.tables["subjects"]["subject"]}


@pytest.mark.parametrize(
    ("subject", "action", "dose", "rule"),
    [
        ("EX-01", "step up", 5.0, "step_up.monthly"),
        ("EX-02", "hold", 0.0, "dose_modification.neutropenia"),
        ("EX-03", "stop", 0.0, "treatment.below_lowest_level"),
        ("EX-04", "undetermined", 0.0, "dose_modification.neutropenia"),
        ("EX-05", "resume", 2.5, "dose_modification.neutropenia"),
        ("EX-06", "hold", 0.0, "dose_modification.thrombocytopenia"),
        ("EX-07", "undetermined", 0.0, "dose_modification.lysis"),
    ],
)
def test_decisions_of_the_example(
    decided: dict[str, Certificate], subject: str, action: str, dose: float, rule: str
) -> None:
    item = decided[subject]
    assert (item.action, item.dose, item.rule) == (action, dose, rule)


def test_certificate_names_version_rule_data_and_what_is_missing(
    protocol: Protocol, decided: dict[str, Certificate]
) -> None:
    hold = decided["EX-02"]
    assert hold.version == "amendment-1"
    assert hold.version_hash == protocol.version("amendment-1").hash
    assert hold.section == "6.1"
    used = {entry["term"]: (entry["value"], entry["unit"], entry["date"]) for entry in hold.data}
    assert used["neutrophils"] == (pytest.approx(0.4), "10*9/L", "2007-09-17")
    assert decided["EX-04"].waits_for == ("neutrophils", "platelets")
    text = format_certificate(hold)
    assert "neutrophils < 0.5 x10^9/L" in text
    assert hold.version_hash[:16] in text
    assert json.loads(json.dumps(hold.as_dict(), default=str))["subject"] == "EX-02"


def test_a_correction_counts_from_the_day_it_was_known(protocol: Protocol, record: Record) -> None:
    assert decide_on(protocol, record, "EX-06", DAY).action == "hold"
    after = decide_on(protocol, record, "EX-06", date(2007, 9, 18))
    assert (after.action, after.dose) == ("dose", 2.5)


def test_without_renewed_consent_the_old_version_decides(decided: dict[str, Certificate]) -> None:
    assert decided["EX-07"].version == "original"
    assert "amendment-1 is activated but not consented to" in decided["EX-07"].version_because


def test_nothing_known_after_the_day_is_used(protocol: Protocol, record: Record) -> None:
    before = decide_on(protocol, record, "EX-01", date(2007, 9, 10))
    assert all(entry["date"] <= "2007-09-10" for entry in before.data)


def _changed(tmp_path: Path, file: str, old: str, new: str) -> Record:
    folder = tmp_path / "record"
    shutil.copytree(EXAMPLE, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return read_record(folder)


def test_a_dose_off_the_level_list_is_said_and_not_guessed(protocol: Protocol, tmp_path: Path) -> None:
    record = _changed(
        tmp_path,
        "exposures.csv",
        "EX-01,2007-08-20,2007-09-09,lenalidomide,2.5",
        "EX-01,2007-08-20,2007-09-09,lenalidomide,3",
    )
    item = decide_on(protocol, record, "EX-01", DAY)
    assert item.action == "undetermined"
    (said,) = item.waits_for
    assert "3 mg" in said
    assert "2.5, 5, 10" in said
    assert "entry X1 of exposures, 2007-08-20" in said


def test_no_consent_means_no_version_and_no_dose(protocol: Protocol, tmp_path: Path) -> None:
    record = _changed(tmp_path, "consents.csv", "EX-01,2007-08-08,amendment-1", "EX-01,2007-09-18,amendment-1")
    item = decide_on(protocol, record, "EX-01", DAY)
    assert (item.action, item.dose) == ("undetermined", None)
    assert "a consent of EX-01 by 2007-09-17" in item.waits_for


def test_days_without_exposure_entry_make_the_step_undetermined(protocol: Protocol, tmp_path: Path) -> None:
    record = _changed(
        tmp_path,
        "exposures.csv",
        "EX-07,2007-02-12,2007-02-18,lenalidomide,10",
        "EX-07,2007-02-12,2007-02-16,lenalidomide,10",
    )
    item = decide_on(protocol, record, "EX-07", date(2007, 2, 19))
    assert item.action == "stay" or item.action == "dose"
    assert item.level == 10.0, "5 days are known to be taken: no step"


def test_replay_lists_what_the_amendment_would_have_changed(protocol: Protocol, record: Record) -> None:
    changed = [item for item in replay(protocol, record, "amendment-1") if item.changed]
    by_subject = {(item.subject, item.on): item for item in changed}
    first = by_subject["EX-07", date(2007, 2, 12)]
    assert (first.dose, first.other.dose) == (10.0, 2.5)
    assert not any(item.subject == "EX-01" for item in changed), "EX-01 was decided by the amendment already"

"""Doses by day, days from the first dose, and the version that holds."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from record.made import codes, made_record
from trialrun.record import Record
from trialrun.record.record import HoldingVersion
from trialrun.vocab.problems import TrialrunError


def dose(entry: str, start: str, end: str, amount: str, **others: str) -> dict[str, str]:
    line = {"entry": entry, "subject": "EX-1", "date": start, "end_date": end, "drug": "lenalidomide", "dose": amount}
    return {**line, "unit": "mg", "known": "", "corrects": "", "why_corrected": "", **others}


DOSES = [
    dose("X0", "2009-03-01", "", "0"),
    dose("X1", "2009-03-02", "2009-03-04", "2.5"),
    dose("X2", "2009-03-06", "2009-03-07", "5"),
    dose("X3", "2009-03-06", "2009-03-06", "5", corrects="X2", known="2009-03-09", why_corrected="one day only"),
]


def test_first_dose_is_the_first_with_drug(tmp_path: Path) -> None:
    record = made_record(tmp_path, exposures=DOSES)
    assert record.first_dose("EX-1") == date(2009, 3, 2)
    assert record.first_dose("EX-2") is None


def test_doses_by_day_follow_corrections_and_leave_gaps_unknown(tmp_path: Path) -> None:
    record = made_record(tmp_path, exposures=DOSES)
    daily = record.daily_doses()
    by_hand = {-1: 0.0, 0: 2.5, 1: 2.5, 2: 2.5, 4: 5.0}
    assert dict(daily.select("day", "dose").iter_rows()) == by_hand, (
        "nothing is said of day 3; day 5 was corrected away"
    )
    assert daily["date"].to_list() == [date(2009, 3, 2) + timedelta(days=day) for day in by_hand]
    before = record.as_known_on(date(2009, 3, 8)).daily_doses()
    assert 5 in before["day"].to_list()


def test_days_are_null_without_a_dose(tmp_path: Path) -> None:
    events = [
        {"entry": f"A{n}", "subject": f"EX-{n}", "date": "2009-03-05", "end_date": "", "term": "rash", "grade": "1"}
        for n in (1, 2)
    ]
    record = made_record(tmp_path, exposures=DOSES, adverse_events=events)
    days = record.days("adverse_events")
    assert days.select("day", "end_day").rows() == [(3, None), (None, None)]
    assert record.days("exposures")["end_day"].to_list() == [None, 2, 4]
    with pytest.raises(TrialrunError, match="no table of a record"):
        record.days("labs")


def test_overlaps_hidden_behind_a_shorter_exposure_are_found(tmp_path: Path) -> None:
    rows = [dose("X1", "2009-03-01", "2009-03-20", "5"), dose("X2", "2009-03-03", "2009-03-04", "0"),
            dose("X3", "2009-03-10", "2009-03-11", "0")]  # fmt: skip
    record = made_record(tmp_path, exposures=rows)
    assert codes(record) == [("exposures-overlap", 3), ("exposures-overlap", 4)]
    overlapping = Record({**record.tables, "exposures": record.days("exposures").drop("day", "end_day").vstack(
        record.tables["exposures"])})  # fmt: skip
    with pytest.raises(TrialrunError, match="cover 2009-03-01"):
        overlapping.daily_doses()


def holding(tmp_path: Path, approvals: str, consents: str, day: date) -> HoldingVersion:
    """Version and date pairs such as `original 2009-01-01`, several parted by commas."""

    def rows(said: str, letter: str, who: dict[str, str]) -> list[dict[str, str]]:
        parts = [part.split() for part in said.split(",") if part.strip()]
        found = [
            {"entry": f"{letter}{at}", **who, "version": name, "date": when} for at, (name, when) in enumerate(parts)
        ]
        return found or [{"entry": f"{letter}x", **who, "version": "none", "date": "2009-12-31"}]

    record = made_record(
        tmp_path, approvals=rows(approvals, "P", {"site": "01"}), consents=rows(consents, "I", {"subject": "EX-1"})
    )
    return record.version_for("EX-1", day)


@pytest.mark.parametrize(
    ("approvals", "consents", "version"),
    [
        ("original 2009-01-01, a1 2009-02-01", "original 2009-01-05", "original"),
        ("original 2009-01-01, a1 2009-02-01", "original 2009-01-05, a1 2009-02-09", "a1"),
        ("original 2009-01-01, a1 2009-02-01", "a1 2009-01-05", "a1"),
        ("original 2009-01-01, a1 2009-08-01", "original 2009-01-05, a1 2009-02-09", "original"),
        ("original 2009-01-01, a1 2009-02-01", "original 2009-01-05, a1 2009-07-01", "original"),
        ("a1 2009-01-01, original 2009-01-01", "original 2009-01-05, a1 2009-02-05", "a1"),
        ("a1 2009-01-01, original 2009-01-01", "original 2009-01-05, a1 2009-01-05", None),
        ("original 2009-01-01", "", None),
        ("", "original 2009-01-05", None),
        ("original 2009-01-01", "a1 2009-01-05", None),
        ("original 2009-01-01, a1 2009-02-01, original 2009-03-01", "original 2009-01-05, a1 2009-02-02", "a1"),
    ],
)  # fmt: skip
def test_the_version_that_holds(tmp_path: Path, approvals: str, consents: str, version: str | None) -> None:
    found = holding(tmp_path, approvals, consents, date(2009, 6, 1))
    assert found.version == version
    assert bool(found.missing) == (version is None)

"""Writing, sealing and adding to a record."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl
import pytest

from trialrun.record import (
    append_entries,
    ledger_head,
    read_record,
    seal,
    verify_ledger,
    write_record,
)
from trialrun.vocab.problems import TrialrunError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "records" / "lenalidomide-cll"
TODAY = date(2007, 12, 31)
NEW = {
    "entry": "F900", "subject": "EX-01", "date": date(2007, 9, 24), "test": "anc", "value": 2.9, "unit": "K/uL"
}  # fmt: skip


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "sealed"
    shutil.copytree(EXAMPLE, folder)
    seal(folder)
    return folder


def codes(folder: Path) -> list[tuple[str, int | None]]:
    return [(problem.code, problem.location.line) for problem in verify_ledger(folder)]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_what_is_written_reads_the_same(tmp_path: Path, format_: Literal["csv", "parquet"]) -> None:
    record = read_record(EXAMPLE, TODAY)
    write_record(record, tmp_path / "out", format_, sealed=True)
    again = read_record(tmp_path / "out", TODAY)
    assert [str(problem) for problem in again.problems if problem.severity != "note"] == []
    for name, table in record.tables.items():
        assert again.tables[name].equals(table), name
    assert again.content_hash == record.content_hash
    with pytest.raises(TrialrunError, match="there is a record already"):
        write_record(record, tmp_path / "out")


def test_a_view_keeps_what_was_corrected_when_it_is_written(tmp_path: Path) -> None:
    view = read_record(EXAMPLE, TODAY).as_known_on(date(2007, 9, 18))
    write_record(view, tmp_path / "out")
    again = read_record(tmp_path / "out", TODAY)
    assert {"F195", "F203"} <= set(again.tables["findings"]["entry"])
    assert again.as_known_on(date(2007, 9, 18)).content_hash == view.content_hash


def test_lines_set_aside_are_written_beside(tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(EXAMPLE, folder)
    edit(folder / "findings.csv", "neutrophils,3.1", "neutrophils,-3.1")
    write_record(read_record(folder, TODAY), tmp_path / "out")
    aside = pl.read_csv(tmp_path / "out" / "rejected.csv")
    assert aside["text"].to_list() == ["F1,EX-01,2007-08-20,first_dose,neutrophils,-3.1,,x10^9/L,2.0,7.5,,,"]
    assert read_record(tmp_path / "out", TODAY).rejected == ()


def test_an_untouched_record_has_nothing_to_say(sealed: Path) -> None:
    assert codes(sealed) == []
    head = ledger_head(sealed)
    assert seal(sealed) == head, "sealing again changes nothing"
    assert [item.code for item in verify_ledger(sealed, head="0123")] == ["ledger-altered"]
    assert verify_ledger(sealed, head=head) == []


def test_a_changed_line_is_named_and_set_aside(sealed: Path) -> None:
    edit(
        sealed / "findings.csv",
        "F64,EX-02,2007-09-17,week_3,neutrophils,400",
        "F64,EX-02,2007-09-17,week_3,neutrophils,4000",
    )
    assert codes(sealed) == [("line-changed", 65)]
    record = read_record(sealed, TODAY)
    assert [item.line for item in record.rejected] == [65]
    assert "F64" not in record.tables["findings"]["entry"].to_list()
    with pytest.raises(TrialrunError, match="changed after it was sealed"):
        seal(sealed)


def test_a_removed_an_inserted_and_a_moved_line_are_told_apart(sealed: Path) -> None:
    path = sealed / "exposures.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:3], *lines[4:]]) + "\n", encoding="utf-8")
    (removed,) = verify_ledger(sealed)
    assert (removed.code, "X3" in removed.message) == ("line-removed", True)
    extra = "X99,EX-02,2007-09-20,2007-09-21,lenalidomide,2.5,mg,"
    path.write_text("\n".join([*lines[:3], extra, *lines[3:]]) + "\n", encoding="utf-8")
    assert codes(sealed) == [("line-inserted", 4)]
    path.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]) + "\n", encoding="utf-8")
    assert [code for code, _ in codes(sealed)] == ["line-moved"]
    path.write_text("\n".join([lines[0].replace("dose,unit", "unit,dose"), *lines[1:]]) + "\n", encoding="utf-8")
    assert codes(sealed) == [("line-changed", 1)]


def test_a_line_below_the_sealed_ones_counts_and_is_said(sealed: Path) -> None:
    path = sealed / "visits.csv"
    path.write_text(path.read_text(encoding="utf-8") + "V99,EX-01,2007-09-24,week_2\n", encoding="utf-8")
    (problem,) = verify_ledger(sealed)
    assert (problem.code, problem.severity) == ("not-sealed", "warning")
    assert "V99" in read_record(sealed, TODAY).tables["visits"]["entry"].to_list()
    seal(sealed)
    assert codes(sealed) == []


def test_a_ledger_that_was_altered_is_told(sealed: Path) -> None:
    path = sealed / "ledger.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:50], *lines[51:]]) + "\n", encoding="utf-8")
    assert "ledger-altered" in [code for code, _ in codes(sealed)]
    cells = lines[50].split(",")
    cells[3] = "f" * 64
    path.write_text("\n".join([*lines[:50], ",".join(cells), *lines[51:]]) + "\n", encoding="utf-8")
    assert ("ledger-altered", 51) in codes(sealed)
    path.write_text("sequence,file\n1,x\n", encoding="utf-8")
    with pytest.raises(TrialrunError, match="ledger"):
        verify_ledger(sealed)


def test_added_entries_leave_earlier_bytes_alone_and_extend_the_ledger(sealed: Path) -> None:
    path = sealed / "findings.csv"
    before, ledger, head = path.read_bytes(), (sealed / "ledger.csv").read_bytes(), ledger_head(sealed)
    append_entries(sealed, "findings", [NEW], TODAY)
    assert path.read_bytes().startswith(before)
    assert (sealed / "ledger.csv").read_bytes().startswith(ledger)
    assert codes(sealed) == []
    assert verify_ledger(sealed, head=head) == [], "the chain noted before is still in the ledger"
    row = read_record(sealed, TODAY).tables["findings"].filter(pl.col("entry") == "F900").row(0, named=True)
    assert (row["test"], row["value"], row["unit_as_recorded"]) == ("neutrophils", 2.9, "K/uL")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": "EX-77"}, "not in the subjects table"),
        ({"entry": "F1"}, "stands twice"),
        ({"unit": None}, "has no unit"),
        ({"date": date(2030, 1, 1)}, "after today"),
        ({"date": "2007-09-24"}, "wrong type"),
        ({"value": -1.0}, "negative"),
        ({"test": None}, "test is empty"),
        ({"corrects": "F9999", "why_corrected": "x"}, "not in the table"),
        ({"colour": "red"}, "unknown column"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = tmp_path / "record"
    shutil.copytree(EXAMPLE, folder)
    before = (folder / "findings.csv").read_bytes()
    with pytest.raises(TrialrunError, match=said):
        append_entries(folder, "findings", [{**NEW, **change}], TODAY)  # type: ignore[dict-item]
    assert (folder / "findings.csv").read_bytes() == before


def test_adding_to_an_altered_record_is_refused(sealed: Path) -> None:
    edit(sealed / "subjects.csv", "1946-04-02", "1947-04-02")
    with pytest.raises(TrialrunError, match="changed after it was sealed"):
        append_entries(sealed, "findings", [NEW], TODAY)


def test_a_new_table_starts_with_all_its_columns(tmp_path: Path) -> None:
    folder = tmp_path / "record"
    shutil.copytree(EXAMPLE, folder)
    (folder / "adverse_events.csv").unlink()
    event = {"entry": "A9", "subject": "EX-01", "date": date(2007, 9, 1), "term": "rash", "grade": 2, "serious": "N"}
    append_entries(folder, "adverse_events", [event], TODAY)
    event = {
        **event,
        "entry": "A10",
        "known": date(2007, 9, 3),
        "grade": 3,
        "corrects": "A9",
        "why_corrected": "regraded",
    }
    append_entries(folder, "adverse_events", [event], TODAY)
    record = read_record(folder, TODAY)
    assert record.as_known_on(date(2007, 9, 2)).tables["adverse_events"]["grade"].to_list() == [2.0]
    assert record.as_known_on(date(2007, 9, 3)).tables["adverse_events"]["grade"].to_list() == [3.0]

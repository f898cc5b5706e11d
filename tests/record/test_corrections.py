"""Corrections: chains, rivals, circles, and what does not count any more."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from record.made import codes, finding, made_record
from trialrun.record import Record
from trialrun.record.corrections import LINKS, roots


def counting(record: Record, day: int) -> list[str]:
    return record.as_known_on(date(2009, 3, day)).tables["findings"]["entry"].to_list()


def test_a_chain_counts_link_by_link_as_it_became_known(tmp_path: Path) -> None:
    rows = [finding("A", "17"), finding("B", "71", "A", "2009-03-04"), finding("C", "171", "B", "2009-03-06")]
    record = made_record(tmp_path, findings=rows)
    assert codes(record) == []
    assert [counting(record, day) for day in (1, 2, 3, 4, 5, 6)] == [[], ["A"], ["A"], ["B"], ["B"], ["C"]]
    assert record.as_known_on(date(2009, 3, 6)).superseded["findings"]["entry"].to_list() == ["A", "B"]
    assert record.current.tables["findings"]["value"].to_list() == [171.0]


def test_of_two_corrections_of_one_entry_the_one_known_last_counts_and_it_is_said(tmp_path: Path) -> None:
    rows = [finding("A", "17"), finding("B", "171", "A", "2009-03-06"), finding("C", "71", "A", "2009-03-04")]
    record = made_record(tmp_path, findings=rows)
    assert codes(record) == [("corrected-twice", 4)]
    assert [counting(record, day) for day in (2, 4, 5, 6)] == [["A"], ["C"], ["C"], ["B"]]


def test_what_an_unusable_correction_corrects_does_not_count_from_then_on(tmp_path: Path) -> None:
    rows = [finding("A", "170"), finding("B", "17", "A", "2009-03-04", unit="furlong")]
    record = made_record(tmp_path, findings=rows)
    assert codes(record) == [("unknown-unit", 3)]
    assert counting(record, 3) == ["A"]
    assert counting(record, 4) == [], "170 is known to be wrong, and what is right cannot be read"


def test_circles_and_other_faults_of_corrections(tmp_path: Path) -> None:
    rows = [
        finding("A", "17"),
        finding("B", "18", "C", "2009-03-04"),
        finding("C", "19", "B", "2009-03-04"),
        finding("D", "20", "C", "2009-03-05"),
        finding("E", "21", "E", "2009-03-05"),
        finding("F", "22", "Q", "2009-03-05"),
        finding("G", "23", "A", "2009-03-03", why_corrected=""),
        finding("H", "24", "A", "2009-03-03", subject="EX-2"),
        finding("I", "25", time="10:00", why_corrected="a reason"),
        finding("J", "26", "I"),
    ]
    found = codes(made_record(tmp_path, findings=rows))
    assert {("correction-cycle", 3), ("correction-cycle", 4), ("correction-cycle", 5)} <= set(found)
    assert {("corrects-itself", 6), ("corrects-nothing", 7), ("no-reason", 8), ("corrects-other", 9)} <= set(found)
    assert {("corrects-nothing", 10), ("no-known-date", 11)} <= set(found)


def test_a_view_knows_nothing_later_than_its_day(tmp_path: Path) -> None:
    record = made_record(tmp_path, findings=[finding("A", "17"), finding("B", "171", "A", "2009-03-06")])
    view = record.as_known_on(date(2009, 3, 3))
    assert counting(view, 9) == ["A"]
    later = record.as_known_on(date(2009, 3, 9))
    assert counting(later, 3) == ["A"], "an earlier view is made from the whole record"


@given(parents=st.lists(st.integers(0, 11), min_size=1, max_size=12))
def test_roots_are_those_of_following_each_link(parents: list[int]) -> None:
    links = pl.DataFrame(
        {"entry": [str(at) for at in range(len(parents))], "corrects": [str(parent) for parent in parents],
         "known": [None] * len(parents)}, schema=LINKS)  # fmt: skip
    follow = dict(zip(links["entry"], links["corrects"], strict=True))
    for entry, root in roots(links).iter_rows():
        step, seen = follow[entry], set()
        while step in follow and step not in seen:
            seen.add(step)
            step = follow[step]
        assert root == (None if step in follow else step)


@pytest.mark.parametrize("known", ["", "2009-03-02"])
def test_known_empty_means_the_day_it_happened(tmp_path: Path, known: str) -> None:
    record = made_record(tmp_path, findings=[finding("A", "17", known=known)])
    assert [counting(record, day) for day in (1, 2)] == [[], ["A"]]

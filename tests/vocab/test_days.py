"""Study days have no day 0; offsets do."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.vocab.codes import DISPOSITION, NO, SEX, YES, spellings
from trialrun.vocab.days import date_of, offset_between, offset_of, study_day

FIRST = date(2007, 3, 12)


@pytest.mark.parametrize(
    ("when", "offset", "day"),
    [(date(2007, 3, 12), 0, 1), (date(2007, 3, 13), 1, 2), (date(2007, 3, 11), -1, -1), (date(2007, 3, 9), -3, -3),
     (date(2008, 3, 12), 366, 367)],
)  # fmt: skip
def test_dates_offsets_and_study_days(when: date, offset: int, day: int) -> None:
    assert offset_between(when, FIRST) == offset
    assert study_day(offset) == day
    assert offset_of(day) == offset
    assert date_of(offset, FIRST) == when


@given(st.integers(-10_000, 10_000))
def test_there_and_back(offset: int) -> None:
    assert study_day(offset) != 0
    assert offset_of(study_day(offset)) == offset
    assert offset_between(date_of(offset, FIRST), FIRST) == offset


def test_there_is_no_study_day_0() -> None:
    with pytest.raises(ValueError, match="no study day 0"):
        offset_of(0)


def test_spellings_lead_to_one_code_each() -> None:
    assert spellings(SEX)["female"] == "F"
    assert spellings(DISPOSITION)["death"] == "death"
    assert set(YES).isdisjoint(NO)
    for codes in (SEX, DISPOSITION):
        assert len(spellings(codes)) == sum(1 + len(others) for others in codes.values())

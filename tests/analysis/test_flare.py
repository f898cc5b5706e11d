"""The course of flare and the return of lymphocytes to normal, in small records computed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.run import VersionInfo

Make = Callable[..., dict[str, pl.DataFrame]]
SUBJECTS = ("once", "again", "going on", "none", "unseen")


def flare(subject: str, day: int, end: int | None, grade: float = 1.0) -> dict[str, Any]:
    ends = {} if end is None else {"end_day": end}
    return {"subject": subject, "day": day, **ends, "term": "tumor_flare", "grade": grade}


def found(make_tables: Make, info: VersionInfo, *names: str, **tables: Any) -> Mapping[str, tuple[Any, ...]]:
    outcomes = derive_outcomes(make_tables(**tables), info)
    return {row["subject"]: tuple(row[name] for name in names) for row in outcomes.iter_rows(named=True)}


def test_the_course_of_flare_by_hand(make_tables: Make, info: VersionInfo) -> None:
    assert info.cycle_days == 28
    told = found(
        make_tables,
        info,
        *("flare_day", "flare_length", "flare_over", "flare_later"),
        exposures=[{"subject": who, "day": 0, "end_day": 48, "dose": 10.0, "unit": "mg"} for who in SUBJECTS],
        visits=[{"subject": who, "day": day} for who in SUBJECTS if who != "unseen" for day in (7, 35)],
        adverse_events=[
            # told in three lines, out of order, one within another: one flare of days 3 to 16
            *(flare("once", 10, 16), flare("once", 3, 9, 2.0), flare("once", 4, 6)),
            # two flares in cycle 1 and one later
            *(flare("again", 2, 5), flare("again", 7, 8), flare("again", 28, 30)),
            flare("going on", 5, None),
        ],
    )
    assert told == {
        "once": (3, 14, True, False),
        "again": (2, 4, True, True),
        "going on": (5, 44, False, False),  # up to the last day that anything is known of
        "none": (None, None, None, False),
        "unseen": (None, None, None, None),
    }


def test_without_cycles_no_flare_is_a_later_one(make_tables: Make, info: VersionInfo) -> None:
    told = found(
        make_tables,
        replace(info, cycle_days=None),
        "flare_later",
        exposures=[{"subject": who, "day": 0, "end_day": 48, "dose": 10.0, "unit": "mg"} for who in ("A", "B")],
        visits=[{"subject": who, "day": 35} for who in ("A", "B")],
        adverse_events=[flare("A", 30, 33)],
    )
    assert told == {"A": (None,), "B": (None,)}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([(0, 90.0), (7, 4.1), (14, 4.0), (21, 3.0)], (True, 14)),
        ([(0, 90.0), (7, 50.0), (14, 5.0)], (False, 14)),  # censored on the day of the last count
        ([(0, 4.0), (7, 3.0)], (None, None)),  # normal before
        ([(7, 3.0)], (None, None)),  # not known what it was before
        ([(0, 90.0), (90, 3.0)], (None, None)),  # counted only long after treatment
    ],
)
def test_lymphocytes_return_to_normal(
    make_tables: Make, info: VersionInfo, counts: list[tuple[int, float]], expected: tuple[bool | None, int | None]
) -> None:
    told = found(
        make_tables,
        info,
        *("alc_normal", "alc_normal_day"),
        exposures=[{"subject": "A", "day": 0, "end_day": 20, "dose": 10.0, "unit": "mg"}],
        findings=[
            {"subject": "A", "day": day, "test": "lymphocytes", "value": value, "unit": "10*9/L"}
            for day, value in counts
        ],
    )
    assert told["A"] == expected

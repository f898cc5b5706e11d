"""Survival: against a textbook's table, and what counts as an event, as censored and as unknown."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from trialrun.analysis.survival import OS, PFS, derive_survival, estimate_both, survival_rows

# Freireich EJ et al. Blood 1963;21:699-716, 6-mercaptopurine arm, weeks in remission; + is censored.
FREIREICH = [
    "6",
    "6",
    "6",
    "6+",
    "7",
    "9+",
    "10",
    "10+",
    "11+",
    "13",
    "16",
    "17+",
    "19+",
    "20+",
    "22",
    "23",
    "25+",
    "32+",
    "32+",
    "34+",
    "35+",
]


def outcomes(rows: list[dict[str, object]]) -> pl.DataFrame:
    nothing = {
        "treated": True,
        "first_dose": date(2007, 1, 1),
        "end_day": 336,
        "progression_day": None,
        "discontinuation_reason": None,
        "discontinuation_day": None,
        "death": False,
        "death_day": None,
    }
    kinds = {
        "subject": pl.String,
        "treated": pl.Boolean,
        "first_dose": pl.Date,
        "end_day": pl.Int64,
        "progression_day": pl.Float64,
        "discontinuation_reason": pl.String,
        "discontinuation_day": pl.Int64,
        "death": pl.Boolean,
        "death_day": pl.Int64,
    }
    made = [nothing | {"subject": f"S{number}"} | row for number, row in enumerate(rows)]
    return pl.DataFrame(made, schema=kinds)


@pytest.fixture
def freireich() -> pl.DataFrame:
    days = [(int(week.rstrip("+")), week.endswith("+")) for week in FREIREICH]
    return outcomes(
        [{"end_day": day, "death": not censored, "death_day": None if censored else day} for day, censored in days]
    )


@pytest.mark.parametrize(
    ("day", "share", "at_risk"),
    # Kleinbaum and Klein, Survival Analysis, 3rd edition 2012, table 2.1: risk sets and the curve after each failure
    [(5, 1.0, 21), (6, 0.8571, 21), (7, 0.8067, 17), (10, 0.7529, 15), (13, 0.6902, 12), (16, 0.6275, 11),
     (22, 0.5378, 7), (23, 0.4482, 6), (34, 0.4482, 2)],
)  # fmt: skip
def test_a_textbook_curve(freireich: pl.DataFrame, day: int, share: float, at_risk: int) -> None:
    both = {found.outcome.name: found for found in estimate_both(freireich)}
    for found in both.values():  # without progression both curves are one
        interval = found.at(day)
        assert interval is not None
        assert interval.value == pytest.approx(share, abs=5e-5)
        assert found.at_risk(day) == at_risk
        assert found.median.value == 23
        assert found.at(36) is None


def test_the_first_of_progression_stop_and_death_is_the_event() -> None:
    table = derive_survival(
        outcomes(
            [
                {"progression_day": 56.0, "death": True, "death_day": 100, "end_day": 100},
                {"discontinuation_reason": "progressive disease", "discontinuation_day": 80, "end_day": 90},
                {"discontinuation_reason": "unacceptable toxicity", "discontinuation_day": 80, "end_day": 90},
                {"death": True, "death_day": 12, "end_day": 12},
                {"death": None, "end_day": 30},
                {"treated": False, "end_day": None},
            ]
        )
    )
    assert table.drop("subject").rows() == [
        (56.0, True, 100.0, True),
        (80.0, True, 90.0, False),
        (90.0, False, 90.0, False),
        (12.0, True, 12.0, True),
        (30.0, False, 30.0, False),
    ]


def test_a_participant_without_a_known_day_is_counted_and_not_used() -> None:
    found = list(estimate_both(outcomes([{}, {"end_day": None, "death": None}])))
    assert [(one.curve.n, one.unknown, one.curve.events) for one in found] == [(1, 1, 0)] * 2
    interval = found[0].at(336)
    assert interval is not None
    assert (interval.value, np.isnan(interval.low)) == (1.0, True)
    assert list(estimate_both(outcomes([]))) == []


def test_rows_say_how_long_the_follow_up_was(freireich: pl.DataFrame) -> None:
    rows = list(survival_rows("v", freireich.with_columns(pl.col("end_day") * 10, pl.col("death_day") * 10), "only"))
    assert [(row.outcome, row.statistic, row.category) for row in rows] == [
        (name, statistic, category)
        for name in (PFS.name, OS.name)
        for statistic, category in (("median", None), ("survival", "day 168"), ("survival", "day 336"))
    ]
    assert {row.note for row in rows} == {"followed up to day 350"}
    assert all(row.method.endswith("; only") for row in rows)
    assert rows[1].value == pytest.approx(0.6275, abs=5e-5)

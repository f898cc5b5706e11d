"""Tumour lysis: both definitions against a plain window scan, units, albumin, windows, events, properties."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialrun.criteria.lysis_clinical import empty_events
from trialrun.criteria.lysis_windows import plan_lysis_windows
from trialrun.criteria.tumor_lysis import derive_tumor_lysis, find_lysis_values
from trialrun.vocab.problems import TrialrunError

FOUR = ("urate", "potassium", "phosphate", "calcium_corrected")
TYPICAL = dict(zip(FOUR, (420.0, 5.2, 1.3, 2.0), strict=True))


def labs_of(rows: list[tuple[str, float, str, float]]) -> pl.DataFrame:
    schema = {"subject": pl.String, "day": pl.Float64, "test": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def start(subject: str = "1", day: float = 0.0, kind: str = "start") -> pl.DataFrame:
    return pl.DataFrame({"subject": [subject], "day": [day], "kind": [kind]})


def one(labs: pl.DataFrame, definition: str, **more: Any) -> dict[str, Any]:
    found = derive_tumor_lysis(labs, start(), definitions=[definition], **more)
    return dict(found.row(0, named=True))


# ---- an independent, plain implementation: one window, one definition, one value at a time


def scan(rows: list[tuple[str, float, str, float]], subject: str, first: float, definition: str) -> dict[str, Any]:
    mine = [(day, test, value) for who, day, test, value in rows if who == subject and not math.isnan(value)]
    inside = [row for row in mine if first - 3 <= math.floor(row[0]) <= first + 7]
    hits: list[tuple[float, str]] = []
    for day, test, value in inside:
        if definition == "Cairo-Bishop-2004":
            bound = {"urate": 476, "potassium": 6.0, "phosphate": 1.45, "calcium_corrected": 1.75}[test]
            hit = value <= bound if test == "calcium_corrected" else value >= bound
            before = [(d, i, v) for i, (d, t, v) in enumerate(mine) if t == test and d <= first]
            if before and day > first:
                baseline = max(before)[2]
                exact, then = Decimal(str(value)), Decimal(str(baseline))  # 0.75 * 2.8 is not 2.1 in binary
                low = test == "calcium_corrected"
                hit = hit or (4 * exact <= 3 * then if low else 4 * exact >= 5 * then)
        else:
            bound = {"urate": 475.8, "potassium": 6.0, "phosphate": 1.5, "calcium_corrected": 1.75}[test]
            hit = value < bound if test == "calcium_corrected" else value > bound
        if hit:
            hits.append((day, test))
    if definition == "Cairo-Bishop-2004":
        firsts = sorted(min(day for day, test in hits if test == name) for name in {test for _, test in hits})
        positive = len(firsts) >= 2
        day = firsts[1] if positive else None
    else:
        days = [max(d1, d2) for d1, t1 in hits for d2, t2 in hits if t1 != t2 and abs(d1 - d2) < 1]
        positive = bool(days)
        day = min(days) if days else None
    measured = len({test for _, test, _ in inside})
    return {
        "ltls": True if positive else (None if measured < 2 else False),
        "ltls_day": day,
        "met": len({test for _, test in hits}),
        "measured": measured,
    }


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_plain_window_scan(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows: list[tuple[str, float, str, float]] = []
    for subject in range(60):
        for _ in range(int(draw.integers(0, 14))):
            test = FOUR[int(draw.integers(4))]
            day = float(draw.integers(-6, 24)) + float(draw.choice([0.0, 0.0, 0.25, 0.5, 0.75]))
            # values on a coarse grid so that bounds and exact 25 percent changes are hit often
            value = round(TYPICAL[test] * float(draw.choice([0.7, 0.875, 1.0, 1.0, 1.05, 1.1, 1.25, 1.4])), 4)
            rows.append((str(subject), day, test, math.nan if draw.random() < 0.05 else value))
    starts = pl.DataFrame(
        [(str(subject), float(day), "start") for subject in range(60) for day in (0, 7, 14)],
        schema={"subject": pl.String, "day": pl.Float64, "kind": pl.String},
        orient="row",
    )
    found = derive_tumor_lysis(labs_of(rows), starts)
    assert found.height == 360
    seen = set()
    for row in found.iter_rows(named=True):
        expected = scan(rows, row["subject"], row["start_day"], row["definition"])
        assert {key: row[key] for key in expected} == expected, row
        seen.add(row["ltls"])
    assert seen == {True, False, None}


def test_howard_needs_both_within_24_hours() -> None:
    apart = [("1", 1.0, "urate", 500.0), ("1", 2.0, "potassium", 6.5), ("1", 1.0, "phosphate", 1.0)]
    near = [("1", 1.3, "urate", 500.0), ("1", 2.2, "potassium", 6.5), ("1", 1.0, "phosphate", 1.0)]
    assert one(labs_of(apart), "Howard-2011")["ltls"] is False
    assert one(labs_of(near), "Howard-2011")["ltls"] is True
    assert one(labs_of(apart), "Cairo-Bishop-2004")["ltls"] is True


def test_printed_bounds_of_the_reported_unit_apply() -> None:
    rows = labs_of([("1", 1.0, "urate", 8.0), ("1", 1.0, "phosphate", 4.5)]).with_columns(unit=pl.lit("mg/dL"))
    assert one(rows, "Cairo-Bishop-2004")["ltls"] is True  # 8 mg/dL is 475.8 umol/L, below the bound printed in umol/L
    assert one(rows, "Howard-2011")["ltls"] is False


def test_total_calcium_is_corrected_for_albumin_and_unknown_without() -> None:
    rows = [("1", 1.0, "calcium", 1.70), ("1", 1.0, "potassium", 6.5), ("1", 1.0, "urate", 300.0)]
    without = one(labs_of(rows), "Cairo-Bishop-2004")
    assert without["ltls"] is False
    assert "calcium" in without["unmeasured"]
    low_albumin = one(labs_of([*rows, ("1", 1.2, "albumin", 30.0)]), "Cairo-Bishop-2004")
    assert low_albumin["ltls"] is False  # 1.70 + 0.02 x 10 = 1.90
    assert "calcium" not in low_albumin["unmeasured"]
    normal = one(labs_of([*rows, ("1", 1.2, "albumin", 42.0)]), "Cairo-Bishop-2004")
    assert normal["ltls"] is True
    far = one(labs_of([*rows, ("1", 4.0, "albumin", 42.0)]), "Cairo-Bishop-2004")
    assert "calcium" in far["unmeasured"]


def test_childs_urate_by_howard_needs_its_own_limit() -> None:
    rows = labs_of([("1", 1.0, "urate", 400.0), ("1", 1.0, "potassium", 6.5)])
    child = one(rows, "Howard-2011", population="children")
    assert child["ltls"] is None  # only potassium can be placed
    with_limit = rows.with_columns(high=pl.when(pl.col("test") == "urate").then(330.0))
    assert one(with_limit, "Howard-2011", population="children")["ltls"] is True


def test_unknown_age_uses_only_bounds_that_hold_for_both() -> None:
    starts = start().with_columns(child=pl.lit(None, pl.Boolean))
    rows = labs_of([("1", 1.0, "urate", 480.0), ("1", 1.0, "phosphate", 1.8), ("1", 1.0, "potassium", 4.0)])
    row = derive_tumor_lysis(rows, starts, population="by subject").row(0, named=True)
    assert row["ltls"] is False
    assert "phosphate" in row["unmeasured"]


def test_baseline_that_is_missing_is_named() -> None:
    row = one(labs_of([("1", 2.0, "urate", 400.0), ("1", 2.0, "potassium", 4.0)]), "Cairo-Bishop-2004")
    assert row["without_baseline"] == ["potassium", "uric acid"]
    assert one(labs_of([("1", 2.0, "urate", 400.0)]), "Howard-2011")["without_baseline"] == []


def test_values_are_told_with_baseline_and_day() -> None:
    rows = labs_of([("1", -1.0, "urate", 300.0), ("1", 0.0, "urate", 320.0), ("1", 2.0, "urate", 410.0)])
    found = find_lysis_values(rows, start(), definitions=["Cairo-Bishop-2004"]).sort("day")
    assert found["baseline"].to_list() == [320.0] * 3
    assert found["past_change"].to_list() == [False, False, True]


class TestWindows:
    def test_first_higher_doses_and_long_restarts_open_windows(self) -> None:
        doses = [(0, 6, 10.0), (7, 13, 15.0), (14, 20, 15.0), (21, 25, 0.0), (26, 30, 10.0)]
        doses += [(31, 38, 0.0), (39, 40, 10.0), (41, 48, 0.0), (49, 50, 20.0)]
        frame = pl.DataFrame(doses, schema=["day", "end_day", "dose"], orient="row").with_columns(subject=pl.lit("1"))
        windows = plan_lysis_windows(frame)
        assert windows.select("day", "kind").rows() == [
            (0.0, "start"),
            (7.0, "step_up"),
            (39.0, "restart"),
            (49.0, "step_up"),
        ]

    def test_seven_days_off_are_not_more_than_seven_and_planned_rest_is_not_counted(self) -> None:
        frame = pl.DataFrame(
            {"subject": ["1"] * 4, "day": [0, 1, 8, 30], "end_day": [0, 7, 8, 30], "dose": [5.0, 0.0, 5.0, 5.0]}
        )
        assert plan_lysis_windows(frame)["kind"].to_list() == ["start"]

    def test_week_six_is_seen_by_the_step_up_window_only(self) -> None:
        rows = labs_of([("1", 41.0, test, value) for test, value in zip(FOUR, (600.0, 6.5, 2.0, 1.6), strict=True)])
        rows = pl.concat([rows, labs_of([("1", -1.0, test, value) for test, value in TYPICAL.items()])])
        both = pl.concat([start(), start(day=38.0, kind="step_up")])
        found = derive_tumor_lysis(rows, both, definitions=["Howard-2011"])
        assert dict(zip(found["kind"], found["ltls"], strict=True)) == {"start": False, "step_up": True}


class TestClinical:
    LABS = labs_of([("1", 0.0, "urate", 400.0), ("1", 2.0, "urate", 600.0), ("1", 2.0, "potassium", 6.5)])

    def events(self, **row: Any) -> pl.DataFrame:
        whole = {"subject": "1", "day": 2.0, "event": "arrhythmia", "grade": None, "value": None, "attributable": False}
        return pl.DataFrame([{**whole, **row}], schema=empty_events().schema)

    def test_nobody_asked_is_unknown_and_asked_without_creatinine_too(self) -> None:
        assert one(self.LABS, "Cairo-Bishop-2004")["ctls"] is None
        assert one(self.LABS, "Cairo-Bishop-2004", events=empty_events())["ctls"] is None

    def test_normal_creatinine_and_no_event_is_no(self) -> None:
        row = one(self.LABS, "Cairo-Bishop-2004", events=self.events(event="creatinine_x_uln", value=1.0))
        assert (row["ctls"], row["ctls_grade"]) == (False, 0)

    def test_unknown_attribution_is_unknown(self) -> None:
        more = pl.concat([self.events(attributable=None, grade=2), self.events(event="creatinine_x_uln", value=1.0)])
        assert one(self.LABS, "Cairo-Bishop-2004", events=more)["ctls"] is None

    @pytest.mark.parametrize(
        ("ratio", "grade"), [(1.49, 0), (1.5, 1), (1.51, 2), (3.0, 2), (3.01, 3), (6.0, 3), (6.01, 4)]
    )
    def test_grade_by_creatinine(self, ratio: float, grade: int) -> None:
        row = one(self.LABS, "Cairo-Bishop-2004", events=self.events(event="creatinine_x_uln", value=ratio))
        assert row["ctls_grade"] == grade
        assert row["ctls"] is (grade > 0)

    def test_event_without_grade_is_clinical_lysis_of_unknown_grade(self) -> None:
        row = one(self.LABS, "Cairo-Bishop-2004", events=self.events())
        assert (row["ctls"], row["ctls_grade"]) == (True, None)

    def test_event_outside_the_window_does_not_count(self) -> None:
        more = pl.concat([self.events(day=9.0, grade=4), self.events(event="creatinine_x_uln", value=1.0)])
        assert one(self.LABS, "Cairo-Bishop-2004", events=more)["ctls"] is False

    def test_howard_counts_the_rise_of_creatinine_from_baseline(self) -> None:
        for after, expected in ((106.4, False), (106.5, True)):
            creatinine = labs_of([("1", 0.0, "creatinine", 80.0), ("1", 3.0, "creatinine", after)])
            row = one(pl.concat([self.LABS, creatinine]), "Howard-2011", events=empty_events())
            assert row["ctls"] is expected

    def test_creatinine_of_the_laboratory_grades_by_its_own_limit(self) -> None:
        creatinine = labs_of([("1", 3.0, "creatinine", 310.0)]).with_columns(high=pl.lit(100.0))
        labs = self.LABS.with_columns(high=pl.lit(None, pl.Float64))
        row = one(pl.concat([labs, creatinine]), "Cairo-Bishop-2004", events=empty_events())
        assert (row["ctls"], row["ctls_grade"]) == (True, 3)


class TestProperties:
    values = st.lists(
        st.tuples(st.sampled_from([-2.0, 0.0, 1.0, 2.5, 6.0]), st.sampled_from(FOUR), st.floats(0.5, 1.6)),
        min_size=1,
        max_size=10,
    )

    @staticmethod
    def table(values: list[tuple[float, str, float]]) -> pl.DataFrame:
        return labs_of([("1", day, test, TYPICAL[test] * share) for day, test, share in values])

    @given(values)
    @settings(deadline=None, max_examples=20)
    def test_rows_may_come_in_any_order(self, values: list[tuple[float, str, float]]) -> None:
        distinct = list({(day, test): (day, test, share) for day, test, share in values}.values())
        forward = derive_tumor_lysis(self.table(distinct), start())
        backward = derive_tumor_lysis(self.table(distinct[::-1]), start())
        assert forward.equals(backward)

    @given(values)
    @settings(deadline=None, max_examples=20)
    def test_a_missing_value_never_makes_lysis_absent(self, values: list[tuple[float, str, float]]) -> None:
        """Without a value the verdict is the same, or unknown, or no longer present; never surer of absence."""
        full = derive_tumor_lysis(self.table(values), start())
        fewer = derive_tumor_lysis(self.table(values[:-1]), start())
        for before, after in zip(full.iter_rows(named=True), fewer.iter_rows(named=True), strict=True):
            assert after["measured"] <= before["measured"]
            if before["ltls"] is None:
                assert after["ltls"] is not False

    @given(values, st.floats(1.0, 1.5))
    @settings(deadline=None, max_examples=20)
    def test_worse_absolute_values_never_undo_lysis(self, values: list[tuple[float, str, float]], worse: float) -> None:
        worsened = [
            (day, test, share / worse if test == "calcium_corrected" else share * worse) for day, test, share in values
        ]
        before = derive_tumor_lysis(self.table(values), start(), definitions=["Howard-2011"])["ltls"][0]
        after = derive_tumor_lysis(self.table(worsened), start(), definitions=["Howard-2011"])["ltls"][0]
        assert after is True or before is not True


@pytest.mark.parametrize(
    ("labs", "starts", "code"),
    [
        (labs_of([]).drop("value"), start(), "missing-column"),
        (labs_of([("1", 1.0, "urate", -1.0)]), start(), "impossible-value"),
        (labs_of([("1", 1.0, "urate", 1.0)]).with_columns(unit=pl.lit("g/L")), start(), "unknown-unit"),
        (labs_of([("1", math.nan, "urate", 400.0)]), start(), "missing-day"),
        (labs_of([]), start().drop("kind"), "missing-column"),
        (labs_of([]), start().with_columns(day=pl.lit(None, pl.Float64)), "missing-day"),
    ],
)
def test_bad_tables_are_refused(labs: pl.DataFrame, starts: pl.DataFrame, code: str) -> None:
    with pytest.raises(TrialrunError) as caught:
        derive_tumor_lysis(labs, starts)
    assert caught.value.problems[0].code == code

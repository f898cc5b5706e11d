"""CLL response over columns: properties, an independent plain version of iwCLL 2018, the course over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialrun.criteria.response import STANDARDS, Category, assess_response
from trialrun.criteria.response_course import assess_course, summarize_categories
from trialrun.criteria.response_explain import explain_response
from trialrun.criteria.response_items import COLUMNS
from trialrun.vocab.problems import TrialrunError

NUMBERS = ("lymphocytes", "platelets", "hemoglobin", "neutrophils", "node_spd", "spleen_below_costal_margin")
QUIET: dict[str, Any] = {
    "node_count": 3.0,
    "new_node": 0.0,
    "node_site_growth": 0.0,
    "node_increase": 0,
    "liver_below_costal_margin": 0.0,
    "symptoms": 0,
    "transformation": 0,
    "prolymphocytes": 0.0,
    "transfused": 0,
    "marrow_normocellular": 1,
    "marrow_hypocellular": 0,
    "marrow_cll_cells": 0,
    "marrow_lymphocytes": 10.0,
    "marrow_nodules": 0,
    "on_treatment": 1,
    "growth_confirmed": 1,
}


def random_findings(seed: int, n: int, *, missing: float = 0.0) -> tuple[dict[str, Any], dict[str, Any]]:
    draw = np.random.default_rng(seed)
    before = {
        "lymphocytes": draw.choice([2.0, 8.0, 40.0, 100.0], n),
        "platelets": draw.choice([40.0, 60.0, 100.0, 180.0], n),
        "hemoglobin": draw.choice([80.0, 100.0, 110.0, 130.0], n),
        "neutrophils": draw.choice([1.0, 1.5, 3.0], n),
        "node_spd": draw.choice([0.0, 6.0, 24.0], n),
        "spleen_below_costal_margin": draw.choice([0.0, 4.0, 10.0], n),
    }
    factors = np.array([0.02, 0.4, 0.5, 0.51, 1.0, 1.49, 1.5, 2.0])
    now = {name: before[name] * draw.choice(factors, n) for name in NUMBERS}
    for columns in (before, now):
        columns["node_longest"] = np.sqrt(columns["node_spd"])
        for name, value in QUIET.items():
            columns[name] = np.full(n, value)
    for name in NUMBERS:
        now[name] = np.where(draw.random(n) < missing, np.nan, now[name])
    return before, now


# ---- an independent, plain version of the numbers of iwCLL 2018 (no exceptions, everything else quiet)


def plain_2018(before: Mapping[str, float], now: Mapping[str, float]) -> str:
    unknown = {name for name in NUMBERS if math.isnan(now[name])}
    nodes0, spleen0, alc0 = (
        before["node_longest"] >= 1.5,
        before["spleen_below_costal_margin"] > 0,
        before["lymphocytes"] >= 4,
    )
    low0 = {"platelets": before["platelets"] < 100, "hemoglobin": before["hemoglobin"] < 110}
    progressed = (
        ("node_spd" not in unknown and before["node_spd"] > 0 and now["node_longest"] >= 1.5
         and now["node_spd"] >= 1.5 * before["node_spd"])
        or (spleen0 and "spleen_below_costal_margin" not in unknown
            and now["spleen_below_costal_margin"] >= 1.5 * before["spleen_below_costal_margin"])
        or ("lymphocytes" not in unknown and now["lymphocytes"] >= max(5.0, 1.5 * before["lymphocytes"]))
    )  # fmt: skip
    if progressed:
        return "PD"
    complete = not unknown and (
        now["node_longest"] < 1.5
        and now["spleen_below_costal_margin"] == 0
        and now["lymphocytes"] < 4
        and now["platelets"] >= 100
        and now["hemoglobin"] >= 110
        and now["neutrophils"] >= 1.5
    )
    if complete:
        return "CR"
    got: dict[str, bool | None] = {}
    for name, abnormal, normal in (
        ("node_spd", nodes0, now["node_longest"] < 1.5),
        ("spleen_below_costal_margin", spleen0, now["spleen_below_costal_margin"] == 0),
        ("lymphocytes", alc0, now["lymphocytes"] < 4),
    ):
        if abnormal:
            got[name] = None if name in unknown else bool(normal or now[name] <= 0.5 * before[name])
    bound = {"platelets": 100, "hemoglobin": 110}
    blood = {
        name: None if name in unknown else bool(now[name] >= bound[name] or now[name] >= 1.5 * before[name])
        for name, low in low0.items()
        if low
    }
    need_a, need_b = min(2, len(got)), min(1, len(blood))
    sure = sum(v is True for v in got.values()) >= need_a and sum(v is True for v in blood.values()) >= need_b
    may = sum(v is not False for v in got.values()) >= need_a and sum(v is not False for v in blood.values()) >= need_b
    if sure and (got or blood):
        return "PR"
    return "NE" if None in got.values() or (may and (got or blood)) else "SD"


@pytest.mark.parametrize(("seed", "missing"), [(1, 0.0), (2, 0.15)])
def test_agrees_with_a_plain_version_of_2018(seed: int, missing: float) -> None:
    n = 1500
    before, now = random_findings(seed, n, missing=missing)
    now["node_longest"] = np.where(np.isnan(now["node_spd"]), np.nan, now["node_longest"])
    found = assess_response("iwCLL-2018", before, now)
    seen = set()
    for i in range(n):
        expected = plain_2018({k: float(v[i]) for k, v in before.items()}, {k: float(v[i]) for k, v in now.items()})
        assert Category(int(found.category[i])).label == expected, (i, {k: (before[k][i], now[k][i]) for k in NUMBERS})
        seen.add(expected)
    assert seen >= {"CR", "PR", "SD", "PD"}


@pytest.mark.parametrize("standard", STANDARDS)
def test_one_subject_alone_is_the_same_as_in_a_crowd_in_any_order(standard: str) -> None:
    before, now = random_findings(3, 200, missing=0.1)
    whole = assess_response(standard, before, now).category
    order = np.random.default_rng(0).permutation(200)
    shuffled = assess_response(
        standard, {k: v[order] for k, v in before.items()}, {k: v[order] for k, v in now.items()}
    ).category
    assert (shuffled == whole[order]).all()
    for i in range(0, 200, 20):
        alone = assess_response(standard, {k: v[[i]] for k, v in before.items()}, {k: v[[i]] for k, v in now.items()})
        assert alone.category[0] == whole[i]


@pytest.mark.parametrize("standard", STANDARDS)
@given(seed=st.integers(0, 10_000), hidden=st.sampled_from(NUMBERS))
@settings(deadline=None, max_examples=15)
def test_missing_never_makes_a_response_better(standard: str, seed: int, hidden: str) -> None:
    before, now = random_findings(seed, 60)
    full = assess_response(standard, before, now).category
    blind = {**now, hidden: np.full(60, np.nan)}
    if hidden == "node_spd":
        blind["node_longest"] = blind[hidden]
    less = assess_response(standard, before, blind).category
    # what hides progression may look better (PD needs one positive finding); nothing else may
    assert (less[full != Category.PD] <= full[full != Category.PD]).all()


@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize(
    ("name", "worse"), [("lymphocytes", 1.3), ("node_spd", 1.3), ("platelets", 0.7), ("hemoglobin", 0.7)]
)
def test_worse_values_never_give_a_better_category(standard: str, name: str, worse: float) -> None:
    before, now = random_findings(11, 800)
    worsened = {**now, name: now[name] * worse}
    if name == "node_spd":
        worsened["node_longest"] = np.sqrt(worsened["node_spd"])
    assert (
        assess_response(standard, before, worsened).category <= assess_response(standard, before, now).category
    ).all()


def test_nothing_known_is_not_evaluable() -> None:
    for standard in STANDARDS:
        assert assess_response(standard, {"lymphocytes": [50.0]}, {"lymphocytes": [np.nan]}).category[0] == Category.NE


def test_unknown_column_and_length_are_refused() -> None:
    with pytest.raises(TrialrunError, match="unknown finding"):
        assess_response("iwCLL-2018", {}, {"alc": [3.0]})
    with pytest.raises(TrialrunError, match="different lengths"):
        assess_response("iwCLL-2018", {}, {"lymphocytes": [3.0, 4.0], "platelets": [1.0, 2.0, 3.0]})
    with pytest.raises(TrialrunError, match="no such version"):
        assess_response("iwCLL-1988", {"lymphocytes": [3.0]}, {"lymphocytes": [3.0]})


def test_every_column_is_documented() -> None:
    assert all(meaning for _, meaning in COLUMNS.values())


def test_explanation_names_the_values() -> None:
    before, now = random_findings(5, 300)
    found = assess_response("iwCLL-2018", before, now)
    for i in range(300):
        explanation = explain_response(found, i)
        assert explanation.decided_by
        if found.category[i] == Category.PD:
            assert any("baseline" in sentence for sentence in explanation.decided_by)
        if found.category[i] in (Category.SD, Category.NE):
            assert any(sentence.startswith(("for CR", "for PR")) for sentence in explanation.would_change)


class TestCourse:
    """Three subjects over assessments; nodes and lymphocytes tell the story, the rest is quiet."""

    def findings(self, spd: list[float], alc: list[float], **more: Any) -> dict[str, Any]:
        columns: dict[str, Any] = {name: np.full(len(spd), value) for name, value in QUIET.items()}
        del columns["growth_confirmed"]
        columns |= {
            "node_spd": np.array(spd),
            "node_longest": np.sqrt(spd),
            "lymphocytes": np.array(alc),
            "platelets": np.full(len(spd), 150.0),
            "hemoglobin": np.full(len(spd), 130.0),
            "neutrophils": np.full(len(spd), 3.0),
            "spleen_below_costal_margin": np.zeros(len(spd)),
            "marrow_normocellular": np.full(len(spd), -1),
        }
        return {**columns, **more}

    @pytest.mark.parametrize("standard", STANDARDS)
    def test_flare_then_regression_is_not_progression_and_growth_twice_is(self, standard: str) -> None:
        base = self.findings([10.0, 10.0], [50.0, 50.0])
        series = [self.findings([20.0, 20.0], [55.0, 55.0]), self.findings([10.0, 20.0], [40.0, 55.0])]
        series += [self.findings([4.0, 30.0], [20.0, 60.0]), self.findings([4.0, 30.0], [20.0, 60.0])]
        course = assess_course(standard, base, series, [14, 28, 84, 140], flares=True)
        assert course.best.tolist() == [Category.PR, Category.PD]
        assert course.flare[0].tolist() == [True, False]
        assert course.response_day[0] == 84
        assert math.isnan(course.progression_day[0])
        assert course.progression_day[1] == 14

    def test_two_weeks_apart_in_1996_one_day_less_is_not_enough(self) -> None:
        base = self.findings([10.0], [50.0])
        twice = [self.findings([20.0], [50.0])] * 2
        for gap, best in ((14, Category.PD), (13, Category.SD)):
            assert assess_course("NCI-WG-1996", base, twice, [28, 28 + gap]).best[0] == best

    @pytest.mark.parametrize(("gap", "best"), [(56, Category.PR), (55, Category.SD)])
    @pytest.mark.parametrize("standard", STANDARDS)
    def test_a_response_holds_for_eight_weeks(self, standard: str, gap: int, best: Category) -> None:
        base = self.findings([10.0], [50.0])
        course = assess_course(standard, base, [self.findings([4.0], [20.0])] * 2, [56, 56 + gap])
        assert course.best[0] == best

    def test_a_loss_in_between_starts_the_count_again(self) -> None:
        base, good, bad = self.findings([10.0], [50.0]), self.findings([4.0], [20.0]), self.findings([9.0], [45.0])
        days = [28, 56, 84, 112]
        assert assess_course("NCI-WG-1996", base, [good, bad, good, good], days).best[0] == Category.SD
        assert assess_course("NCI-WG-1996", base, [good, good, good, bad], days).response_day[0] == 28

    def test_response_before_progression_stays_the_best_response(self) -> None:
        base, good, worse = self.findings([10.0], [50.0]), self.findings([4.0], [20.0]), self.findings([30.0], [90.0])
        course = assess_course("iwCLL-2018", base, [good, good, worse, worse], [56, 120, 240, 300])
        assert course.best[0] == Category.PR
        assert course.progression_day[0] == 240
        assert course.duration[0] == 240 - 56

    def test_growth_counts_from_response_in_2018_only(self) -> None:
        base, good, again = self.findings([20.0], [50.0]), self.findings([4.0], [20.0]), self.findings([7.0], [20.0])
        series, days = [good, good, again, again], [56, 120, 240, 300]
        assert assess_course("iwCLL-2018", base, series, days).progression_day[0] == 240
        assert math.isnan(assess_course("iwCLL-2008", base, series, days).progression_day[0])

    def test_an_assessment_that_did_not_take_place_neither_breaks_nor_counts(self) -> None:
        base, good = self.findings([10.0, 10.0], [50.0, 50.0]), self.findings([4.0, 4.0], [20.0, 20.0])
        days = np.array([[56.0, 56.0], [84.0, np.nan], [112.0, np.nan]])
        course = assess_course("NCI-WG-1996", base, [good, good, good], days)
        assert course.best.tolist() == [Category.PR, Category.SD]
        assert summarize_categories(course.best) == {
            "CR": 0, "CRi": 0, "nPR": 0, "PR": 1, "PR-L": 0, "SD": 1, "PD": 0, "NE": 0,
        }  # fmt: skip

    def test_passing_lymphocyte_rise_under_a_flaring_agent(self) -> None:
        base = self.findings([10.0], [50.0])
        series = [self.findings([10.0], [80.0]), self.findings([8.0], [40.0])]
        assert assess_course("NCI-WG-1996", base, series, [14, 28], flares=True).best[0] == Category.SD
        assert assess_course("NCI-WG-1996", base, series, [14, 28], flares=False).best[0] == Category.PD

    def test_assessments_out_of_order_are_refused(self) -> None:
        base = self.findings([10.0], [50.0])
        with pytest.raises(TrialrunError, match="order of time"):
            assess_course("NCI-WG-1996", base, [base, base], [28, 28])
        with pytest.raises(TrialrunError, match="at least one"):
            assess_course("NCI-WG-1996", base, [], [])


@pytest.mark.parametrize("standard", STANDARDS)
def test_no_line_of_a_table_is_dead(standard: str) -> None:
    """Over findings of every kind each line holds for somebody and fails for somebody; so does each category."""
    draw = np.random.default_rng(4)
    n = 4000

    def anything() -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name, (unit, _) in COLUMNS.items():
            if unit is None:
                columns[name] = draw.choice([0, 0, 0, 1, -1], n)
            else:
                scale = {"hemoglobin": 110.0, "platelets": 100.0, "months_since_last_dose": 4.0}.get(name, 6.0)
                columns[name] = np.where(draw.random(n) < 0.3, 0.0, scale * draw.lognormal(0.0, 0.9, n))
        columns["new_node"] = np.where(draw.random(n) < 0.8, 0.0, 2.0)
        columns["prolymphocytes"] = np.where(draw.random(n) < 0.8, 0.0, 60.0)
        columns["marrow_lymphocytes"] = draw.uniform(0, 100, n)
        return columns

    found = assess_response(standard, anything(), anything(), anything())
    for row, truth in found.rows.items():
        assert (truth == 1).any(), row
        assert (truth == 0).any(), row
    quiet_before, quiet_now = random_findings(9, 3000, missing=0.05)
    quiet_now["redistributing"] = draw.choice([0, 1], 3000)
    quiet_now["marrow_nodules"] = draw.choice([0, 0, 1], 3000)
    quiet_now["cytopenia_from_drug"] = draw.choice([0, 1], 3000)
    seen = set(found.category.tolist()) | set(assess_response(standard, quiet_before, quiet_now).category.tolist())
    absent = {Category.PR_L, Category.CRI} if standard == "NCI-WG-1996" else set()
    assert seen == set(Category) - absent

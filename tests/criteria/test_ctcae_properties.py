"""What must hold for every value: monotone, the same in every unit, never 0 for missing, row by row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialrun.criteria.ctcae import VERSIONS, all_terms, grade_labs, grade_values
from trialrun.criteria.ctcae.engine import Columns, cut_in_unit, grade_term
from trialrun.criteria.ctcae.tables import REFER, Term
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import factor

TERMS = list(all_terms().values())
terms = st.sampled_from(TERMS)
ends = st.sampled_from(["", "best", "worst"])


def scale(term: Term) -> float:
    """A number of the size of the term's cut points, in the unit its test is carried in."""
    test = get_test(term.tests[0])
    cuts = [
        cut[0]
        for arm in term.arms
        if arm.near.bound.cuts and (cut := cut_in_unit(arm.near.bound, test.unit, test.name)) is not None
    ]
    return max(cuts) if cuts else 100.0


@st.composite
def situations(draw: st.DrawFn) -> tuple[Term, np.ndarray, float, float, float]:
    """A term, some values, limits and a baseline that may be missing."""
    term = draw(terms)
    size = scale(term)
    number = st.floats(0.01, 30).map(lambda share: share * size)
    values = np.asarray(draw(st.lists(number, min_size=2, max_size=30)))
    low = draw(st.one_of(st.just(np.nan), st.floats(0.3, 1.5).map(lambda share: share * size)))
    high = draw(st.one_of(st.just(np.nan), st.floats(1.5, 3).map(lambda share: share * size)))
    baseline = draw(st.one_of(st.just(np.nan), number))
    return term, values, low, high, baseline


@settings(deadline=None, max_examples=300)
@given(situations(), ends)
def test_a_worse_value_never_gets_a_lower_grade(
    situation: tuple[Term, np.ndarray, float, float, float], end: str
) -> None:
    term, values, low, high, baseline = situation
    ordered = np.sort(values) if term.direction == "high" else -np.sort(-values)
    unit = get_test(term.tests[0]).unit
    found = grade_term(term, Columns.of(ordered, low, high, baseline), unit, assume=end)  # type: ignore[arg-type]
    here = found.low_end >= 0  # values that are sent to another term have no range
    assert (np.diff(found.low_end[here]) >= 0).all()
    assert (np.diff(found.high_end[here]) >= 0).all()
    graded = found.grade[found.grade >= 0]
    assert (np.diff(graded) >= 0).all()


@settings(deadline=None, max_examples=300)
@given(situations(), ends)
def test_a_grade_lies_in_its_range(situation: tuple[Term, np.ndarray, float, float, float], end: str) -> None:
    term, values, low, high, baseline = situation
    unit = get_test(term.tests[0]).unit
    found = grade_term(term, Columns.of(values, low, high, baseline), unit, assume=end)  # type: ignore[arg-type]
    graded = found.grade >= 0
    assert (found.low_end[graded] <= found.grade[graded]).all()
    assert (found.grade[graded] <= found.high_end[graded]).all()
    assert (found.why[~graded] != 0).all()


@settings(deadline=None, max_examples=200)
@given(situations())
def test_what_is_missing_never_makes_grade_0(situation: tuple[Term, np.ndarray, float, float, float]) -> None:
    """With a limit or the baseline taken away 0 stays 0 only where no arm could hold. Left out, as the tables say:
    creatinine in version 6.0 and haemoglobin in version 4.03 take a missing baseline as normal."""
    term, values, low, high, baseline = situation
    unit = get_test(term.tests[0]).unit
    whole = grade_term(term, Columns.of(values, low, high, baseline), unit)
    for missing in ({"low": np.nan}, {"high": np.nan}, {"baseline": np.nan}):
        if "baseline" in missing and term.baseline_missing == "as_normal":
            continue
        given_ = {"low": low, "high": high, "baseline": baseline} | missing
        found = grade_term(term, Columns.of(values, **given_), unit)
        known = whole.low_end == whole.high_end
        zero = (found.grade == 0) & known & (whole.high_end >= 0)
        assert (whole.high_end[zero] == 0).all()
        graded = (found.grade >= 0) & (whole.grade >= 0)
        assert (found.low_end[graded] <= whole.high_end[graded]).all()
    nothing = grade_term(term, Columns.of(np.full(3, np.nan), low, high, baseline), unit)
    assert (nothing.grade == -1).all()


@settings(deadline=None, max_examples=150)
@given(situations(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(situation: tuple[Term, np.ndarray, float, float, float], random: object) -> None:
    term, values, low, high, baseline = situation
    unit = get_test(term.tests[0]).unit
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight = grade_term(term, Columns.of(values, low, high, baseline), unit)
    mixed = grade_term(term, Columns.of(values[order], low, high, baseline), unit)
    np.testing.assert_array_equal(mixed.grade, straight.grade[order])
    np.testing.assert_array_equal(mixed.why, straight.why[order])
    alone = [int(grade_term(term, Columns.of(values[i : i + 1], low, high, baseline), unit).grade[0]) for i in order]
    assert mixed.grade.tolist() == alone


UNITS = {
    "neutrophils": ("10*9/L", "10*3/uL", "/uL", "10*6/L"),
    "platelets": ("10*9/L", "/uL", "10*3/mL"),
    "hemoglobin": ("g/L", "g/dL"),
    "albumin": ("g/L", "g/dL"),
    "potassium": ("mmol/L", "meq/L"),
    "urate": ("umol/L", "mmol/L"),
    "creatinine": ("umol/L", "mg/dL", "mg/L"),
    "bilirubin": ("umol/L", "mg/dL"),
    "alt": ("U/L", "ukat/L"),
    "calcium_corrected": ("mmol/L", "umol/L"),
    "glucose_fasting": ("mg/dL", "g/L"),
}


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(sorted(UNITS)), st.sampled_from(VERSIONS))
def test_units_do_not_change_a_grade(data: st.DataObject, test: str, version: str) -> None:
    """Units of one kind, where the cut points are the same numbers: to and fro and as they are."""
    found = get_test(test)
    assert found.low is not None
    assert found.high is not None
    first = UNITS[test][0]
    to_first = factor(found.unit or first, first, test)
    number = st.floats(max(found.low, found.high / 1000), found.high).map(
        lambda value: float(f"{value * to_first:.4g}")
    )
    values = np.asarray(data.draw(st.lists(number, min_size=1, max_size=8)))
    low = float(f"{found.high * to_first / 20:.3g}")
    limits = (low, low * 2, data.draw(st.one_of(st.just(np.nan), number)))
    grades = grade_values(test, values, first, *limits, version=version).signed
    for other in UNITS[test][1:]:
        size = factor(first, other, test)
        again = grade_values(test, values * size, other, *(limit * size for limit in limits), version=version).signed
        np.testing.assert_array_equal(again, grades)


def test_mass_and_molar_grades_agree_outside_the_bands_of_the_printed_cut_points() -> None:
    """Between 8 mg/dL (1.996 mmol/L) and 2.0 mmol/L calcium has two grades, as printed; elsewhere one."""
    for term in TERMS:
        test = get_test(term.tests[0])
        kinds = {unit for arm in term.arms for unit, _ in arm.near.bound.cuts}
        if len(kinds) != 2:
            continue
        first, other = sorted(kinds)
        size = factor(first, other, test.name)
        bands = []
        for arm in term.arms:
            if arm.near.bound.cuts and arm.grade != REFER:
                numbers = dict(arm.near.bound.cuts)
                bands.append(sorted((numbers[first], numbers[other] / size)))
        top = max(stop for _, stop in bands)
        values = np.linspace(top / 50, top * 2, 4001)
        inside = np.zeros(values.shape, bool)
        for start, stop in bands:
            assert stop / start < 1.1, (term.name, start, stop)  # magnesium: 0.9 mg/dL and 0.4 mmol/L are 8 % apart
            inside |= (values >= start * (1 - 1e-9)) & (values <= stop * (1 + 1e-9))
        limit = top * 1.5 if term.direction == "low" else top / 40
        one = grade_term(term, Columns.of(values, limit, limit), first, test.name, "worst").grade
        two = grade_term(term, Columns.of(values * size, limit * size, limit * size), other, test.name, "worst").grade
        np.testing.assert_array_equal(one[~inside], two[~inside])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_shuffled_table_gives_shuffled_answers(version: str) -> None:
    rng = np.random.default_rng(5)
    n = 400
    frame = pl.DataFrame(
        {
            "subject": rng.integers(0, 8, n).astype(str),
            "date": rng.integers(0, 100, n).astype(str),
            "test": rng.choice(["NEUT", "HGB", "CREAT", "ALT", "CA", "ALB", "BOGUS"], n),
            "value": np.round(np.exp(rng.normal(3, 1.5, n)), 2),
            "unit": rng.choice(["10^9/L", "g/L", "umol/L", "U/L", "mmol/L", ""], n),
            "low": rng.choice([2.0, np.nan], n),
            "high": rng.choice([40.0, 1.0, np.nan], n),
            "baseline_flag": rng.choice(["Y", "", ""], n),
            "place": np.arange(n),
        }
    )
    straight = grade_labs(frame, version)
    shuffled = grade_labs(frame.sample(fraction=1.0, shuffle=True, seed=3), version)
    assert shuffled.sort("place").equals(straight)

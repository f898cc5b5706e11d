"""Intervals against tables, other software and the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from trialrun.analysis.estimates import (
    MONTE_CARLO_ONLY,
    estimate_between_trials,
    estimate_mean_difference,
    estimate_median,
    estimate_median_time,
    estimate_paired_difference,
    estimate_proportion,
    estimate_quartiles,
    estimate_survival,
    newcombe_paired,
)


@pytest.mark.parametrize(
    ("events", "n", "percent"), [(14, 25, (34.9, 75.6)), (22, 25, (68.8, 97.5)), (0, 25, (0, 13.7))]
)
def test_exact_interval_of_published_counts(events: int, n: int, percent: tuple[float, float]) -> None:
    found = estimate_proportion(events, n)
    assert found.value == events / n
    assert (round(100 * found.low, 1), round(100 * found.high, 1)) == percent


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None, max_examples=50)
def test_exact_interval_is_that_of_statsmodels(counts: tuple[int, int]) -> None:
    found = estimate_proportion(*counts)
    assert (found.low, found.high) == pytest.approx(proportion_confint(*counts, method="beta"), abs=1e-9)


def test_a_share_of_nobody_is_no_number() -> None:
    found = estimate_proportion(0, 0)
    assert np.isnan(found.value)
    assert found.n == 0


def test_newcombe_paired_interval_of_the_paper() -> None:
    # Newcombe RG. Stat Med 1998;17:2635-50, table II: 36, 12, 2, 0 gives 0.0569 to 0.3404 by method 10.
    low, high = newcombe_paired(36, 12, 2, 0)
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)


@given(st.tuples(*[st.integers(0, 40)] * 4).filter(lambda counts: sum(counts) > 0))
@settings(deadline=None, max_examples=200)
def test_newcombe_paired_interval_holds_the_difference_and_mirrors(counts: tuple[int, int, int, int]) -> None:
    both, only_first, only_second, neither = counts
    low, high = newcombe_paired(*counts)
    difference = (only_first - only_second) / sum(counts)
    assert -1 - 1e-12 <= low <= difference + 1e-12
    assert difference - 1e-12 <= high <= 1 + 1e-12
    mirrored = newcombe_paired(both, only_second, only_first, neither)
    assert mirrored == pytest.approx((-high, -low), abs=1e-12)


def test_paired_difference_covers_the_truth_about_as_often_as_it_says() -> None:
    luck = np.random.default_rng(5)
    cells = np.array([0.05, 0.10, 0.02, 0.83])  # both, only reference, only other, neither
    truth = cells[2] - cells[1]
    hits = 0
    for _ in range(400):
        both, only_reference, only_other, neither = luck.multinomial(120, cells)
        low, high = newcombe_paired(both, only_other, only_reference, neither)
        hits += low <= truth <= high
    assert 0.92 <= hits / 400 <= 0.99


def test_paired_difference_of_the_same_columns_is_zero_with_width() -> None:
    column = np.array([True] * 3 + [False] * 27)
    found = estimate_paired_difference(column, column)
    assert found.value == 0.0
    assert found.low < 0.0 < found.high
    assert MONTE_CARLO_ONLY in found.method


def test_paired_difference_points_from_the_reference_to_the_other() -> None:
    reference = np.array([True, True, True, False])
    other = np.array([True, False, False, False])
    assert estimate_paired_difference(reference, other).value == -0.5


@pytest.mark.parametrize(("n", "ranks"), [(6, (1, 6)), (10, (2, 9)), (21, (6, 16)), (100, (40, 61))])
def test_median_interval_has_the_ranks_of_the_published_tables(n: int, ranks: tuple[int, int]) -> None:
    # Ranks: Geigy Scientific Tables, 95 % limits of the median (exact, at least 95 %).
    values = np.arange(1, n + 1, dtype=float)
    found = estimate_median(np.random.default_rng(1).permutation(values))
    assert (found.low, found.high) == ranks
    assert found.value == (n + 1) / 2


def test_median_of_few_values_has_no_interval() -> None:
    found = estimate_median(np.array([1.0, 2.0, 9.0, 4.0, 3.0]))
    assert found.value == 3.0
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_quartiles_of_nothing_are_no_numbers() -> None:
    assert np.isnan(estimate_quartiles(np.array([]))).all()
    assert estimate_quartiles(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == (2.0, 4.0)


TIMES = np.array([3, 5, 5, 8, 10, 12, 15, 15, 18, 21, 21, 28, 30, 35, 40], dtype=float)
EVENTS = np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0], dtype=bool)


@pytest.mark.oracle
def test_survival_is_that_of_r() -> None:
    # R 4, survival: summary(survfit(Surv(t, e) ~ 1, conf.type = "log-log")), recorded
    curve = estimate_survival(TIMES, EVENTS)
    expected = {
        3: (15, 0.933, 0.6126, 0.990),
        5: (14, 0.867, 0.5639, 0.965),
        8: (12, 0.794, 0.4879, 0.929),
        10: (11, 0.722, 0.4172, 0.886),
        15: (9, 0.562, 0.2688, 0.776),
        21: (6, 0.468, 0.1899, 0.707),
        28: (4, 0.351, 0.1010, 0.620),
        35: (2, 0.176, 0.0124, 0.502),
    }
    found = dict(zip(curve.time, zip(curve.at_risk, curve.survival, curve.low, curve.high, strict=True), strict=True))
    for time, (at_risk, *numbers) in expected.items():
        assert found[time][0] == at_risk
        assert found[time][1:] == pytest.approx(numbers, abs=5e-4)
    assert (curve.n, curve.events) == (15, 9)


@pytest.mark.oracle
def test_median_time_is_that_of_r() -> None:
    # R 4, survival: print(survfit(...)): median 21, 0.95LCL 8, 0.95UCL NA, recorded
    found = estimate_median_time(TIMES, EVENTS)
    assert (found.value, found.low) == (21.0, 8.0)
    assert np.isnan(found.high)


def test_median_time_without_events_is_not_reached() -> None:
    found = estimate_median_time(np.array([5.0, 9.0]), np.array([False, False]))
    assert np.isnan(found.value)
    assert found.n == 2


def test_median_time_of_everybody_on_one_day() -> None:
    found = estimate_median_time(np.full(8, 28.0), np.ones(8, dtype=bool))
    assert (found.value, found.low, found.high) == (28.0, 28.0, 28.0)


def test_mean_difference_agrees_with_the_t_interval_of_a_large_sample() -> None:
    luck = np.random.default_rng(2)
    reference = luck.normal(0, 1, 500)
    other = reference + luck.normal(0.4, 0.5, 500)
    found = estimate_mean_difference(reference, other)
    exact = stats.ttest_rel(other, reference).confidence_interval(0.95)
    assert found.value == pytest.approx((other - reference).mean())
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.005)
    assert found == estimate_mean_difference(reference, other)  # the seed is fixed


def test_mean_difference_of_very_many_uses_the_normal_interval() -> None:
    luck = np.random.default_rng(2)
    reference, other = luck.normal(0, 1, (2, 5_001))
    found = estimate_mean_difference(reference, other)
    exact = stats.ttest_rel(other, reference).confidence_interval(0.95)
    assert "normal" in found.method
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-4)


def test_spread_between_trials_leaves_out_trials_without_a_number() -> None:
    found = estimate_between_trials(np.array([0.1, 0.2, np.nan, 0.3]))
    assert found.n == 3
    assert found.value == pytest.approx(0.2)
    assert 0.1 <= found.low < found.high <= 0.3

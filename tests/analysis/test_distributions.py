"""The distributions of the summary against scipy.stats, which it does without."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trialrun.analysis.distributions import (
    beta_quantile,
    betabinomial_quantiles,
    binomial_quantile,
    kaplan_meier,
    log_log_interval,
    normal_quantile,
    wilson_interval,
)

SHARES = st.sampled_from((0.001, 0.025, 0.5, 0.975, 0.999))
SHAPES = st.floats(0.02, 5000)


# not one half: where P(X <= k) is that exactly, rounding decides
@given(SHARES.filter(lambda share: share != 0.5), st.integers(1, 100_000), st.sampled_from((0.5, 0.1, 0.93)))
def test_binomial_quantile(share: float, n: int, p: float) -> None:
    assert binomial_quantile(share, n, p) == stats.binom.ppf(share, n, p)


def test_binomial_quantile_of_every_small_number() -> None:
    n = np.arange(1, 3000)
    assert [binomial_quantile(0.025, int(one), 0.5) for one in n] == stats.binom.ppf(0.025, n, 0.5).tolist()


@given(st.integers(1, 400), SHAPES, SHAPES)
@settings(deadline=None, max_examples=50)
def test_betabinomial_quantiles(n: int, a: float, b: float) -> None:
    shares = (0.025, 0.975)
    assert betabinomial_quantiles(shares, n, a, b) == tuple(stats.betabinom.ppf(shares, n, a, b))


@given(SHARES, SHAPES, SHAPES)
def test_beta_and_normal_quantiles(share: float, a: float, b: float) -> None:
    assert beta_quantile(share, a, b) == pytest.approx(stats.beta.ppf(share, a, b), rel=1e-12)
    assert normal_quantile(share) == stats.norm.ppf(share)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None)
def test_wilson_interval(counts: tuple[int, int]) -> None:
    found = stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert wilson_interval(*counts, 0.95) == pytest.approx((found.low, found.high), abs=1e-14)


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=60))
@settings(deadline=None)
@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
def test_kaplan_meier_and_its_interval(people: list[tuple[int, bool]]) -> None:
    time, happened = np.array([t for t, _ in people], float), np.array([it for _, it in people])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = stats.ecdf(stats.CensoredData.right_censored(time, ~happened)).sf
        bounds = expected.confidence_interval(0.95, method="log-log")
    times, at_risk, events = kaplan_meier(time, happened)
    survival = np.cumprod((at_risk - events) / at_risk)
    low, high = log_log_interval(survival, at_risk, events, 0.95)
    np.testing.assert_array_equal(times, expected.quantiles)
    np.testing.assert_allclose(survival, expected.probabilities, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(low, bounds.low.probabilities, rtol=1e-12)
    np.testing.assert_allclose(high, bounds.high.probabilities, rtol=1e-12)


def test_the_summary_and_the_workers_load_little() -> None:
    code = """
import sys, trialrun.rehearse.run
assert not {"lark", "ruamel", "scipy.stats", "typer"} & set(sys.modules), "a worker loads what it has no use for"
import trialrun.analysis.summary
assert "scipy.stats" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

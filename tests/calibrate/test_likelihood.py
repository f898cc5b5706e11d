"""How likely published counts are: against SciPy's distributions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy import stats

from trialrun.calibrate.file import Fact
from trialrun.calibrate.likelihood import log_likelihood, rate_of, to_odds

RATES = np.array([0.02, 0.2, 0.5, 0.9])


def fact(events: int, of: int, count: Literal["subjects", "episodes"] = "subjects", own: float | None = None) -> Fact:
    return Fact(outcome="response", seen_in=["a"], events=events, of=of, count=count, overdispersion=own, source="x")


def test_without_overdispersion_it_is_the_binomial() -> None:
    found = log_likelihood(fact(14, 25), RATES, 1e7, 0.0)
    assert found == pytest.approx(stats.binom.logpmf(14, 25, RATES), rel=1e-4)


@pytest.mark.parametrize("overdispersion", [0.03, 0.1])
def test_with_overdispersion_it_is_the_beta_binomial(overdispersion: float) -> None:
    total = 1 / overdispersion - 1  # of the beta distribution with this intraclass correlation
    right = stats.betabinom.logpmf(5, 18, RATES * total, (1 - RATES) * total)
    assert log_likelihood(fact(5, 18), RATES, np.inf, overdispersion) == pytest.approx(right, rel=1e-9)
    assert log_likelihood(fact(5, 18, own=overdispersion), RATES, np.inf, 0.5) == pytest.approx(right, rel=1e-9)


def test_episodes_are_a_poisson_count_whose_mean_varies() -> None:
    shape = 1 / (4 * 0.03)
    mean = RATES * 25
    right = stats.nbinom.logpmf(5, shape, shape / (shape + mean))
    assert log_likelihood(fact(5, 25, "episodes"), RATES, np.inf, 0.03) == pytest.approx(right, rel=1e-9)
    assert log_likelihood(fact(5, 25, "episodes"), RATES, 1e12, 0.0) == pytest.approx(
        stats.poisson.logpmf(5, mean), rel=1e-3
    )


def test_a_rate_that_is_less_well_known_is_less_wrong() -> None:
    """5 of 18 against a rate of 2 %: a rate from 20 subjects excludes it less than one from 20,000."""
    few, many = (log_likelihood(fact(5, 18), np.array([0.02]), size, 0.0)[0] for size in (20.0, 20_000.0))
    assert few > many + 2


def test_odds_go_there_and_back() -> None:
    for count in ("subjects", "episodes"):
        rate, size = rate_of(fact(1, 2, count), to_odds(fact(1, 2, count), RATES), 0.0)
        assert rate == pytest.approx(RATES)
        assert (size > 1e5).all(), "it is well known"

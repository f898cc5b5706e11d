"""Facts that are medians or bounds, or were counted among some; and trials left out in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from scipy import stats

from trialrun.calibrate.count import counted
from trialrun.calibrate.file import Fact
from trialrun.calibrate.held_out import find_misfits, leave_out, predict_facts
from trialrun.calibrate.likelihood import law_of, log_likelihood, rate_of
from trialrun.calibrate.plan import Calibration, read_calibration
from trialrun.simulate.population import read_population

STUDY = Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll"
RATES = np.array([0.05, 0.3, 0.6, 0.9])


def fact(**more: object) -> Fact:
    return Fact.model_validate({"outcome": "response", "seen_in": ["a"], "of": 20, "source": "x", **more})


def test_a_median_counts_half_on_either_side() -> None:
    """The sampling distribution of the median of n is f(m) F(m)^(n/2) (1 - F(m))^(n/2) up to a factor: without f a binomial."""
    median = fact(median=4.0)
    assert (median.seen, median.told) == (10.0, "median 4 (20)")
    shape = log_likelihood(median, RATES, 1e8, 0.0) - log_likelihood(median, np.array([0.5]), 1e8, 0.0)
    assert shape == pytest.approx(10 * np.log(RATES) + 10 * np.log(1 - RATES) - 20 * np.log(0.5), rel=1e-3)


@pytest.mark.parametrize("overdispersion", [0.03, 0.1])
def test_a_bound_is_the_probability_of_so_many_or_fewer(overdispersion: float) -> None:
    total = 1 / overdispersion - 1
    right = stats.betabinom.logcdf(2, 20, RATES * total, (1 - RATES) * total)
    assert log_likelihood(fact(events=2, at_most=True), RATES, np.inf, overdispersion) == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("more", [{"events": 5}, {"events": 5, "count": "episodes"}])
def test_the_law_of_a_count_is_that_of_its_likelihood(more: dict[str, object]) -> None:
    told = fact(**more)
    right = log_likelihood(told, RATES, 300.0, 0.05)
    assert law_of(told, RATES, 300.0, 0.05).logpmf(5) == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("sd", [0.1, 0.5, 1.2])
@pytest.mark.parametrize("more", [{"events": 5}, {"events": 5, "count": "episodes"}])
def test_a_rate_with_normal_log_odds_has_the_mean_and_spread_of_draws(more: dict[str, object], sd: float) -> None:
    """Against draws: the mean of the rate, and the variance of the beta (gamma) that the likelihood makes of its size."""
    told, odds = fact(**more), np.array([-4.0, -1.0, 0.5])
    drawn = odds + sd * np.random.default_rng(5).standard_normal((200_000, 3))
    drawn = np.exp(drawn) if told.count == "episodes" else 1 / (1 + np.exp(-drawn))
    rate, size = rate_of(told, odds, sd)
    assert rate == pytest.approx(drawn.mean(axis=0), rel=0.02)
    law = law_of(told, rate, size, 0.0)
    n = told.of
    chance = rate * n if told.count == "episodes" else n * rate - n * np.mean(drawn**2, axis=0)
    assert law.var() == pytest.approx(chance + n**2 * drawn.var(axis=0), rel=0.08)


@pytest.mark.parametrize(
    "more",
    [{}, {"events": 1, "median": 2.0}, {"median": 2.0, "count": "episodes"}, {"median": 2.0, "at_most": True}],
)
def test_a_fact_is_one_thing(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        fact(**more)


def test_what_is_counted_among_whom() -> None:
    table = pl.DataFrame(
        {
            "flare_grade": [1, 2, 1, 0, None, 1],
            "flare_day": [2, 4, 9, None, None, 4],
            "flare_length": [5, 14, 30, None, None, 9],
            "flare_over": [True, True, False, None, None, False],
            "flare_later": [True, False, False, False, None, False],
        }
    )

    def count(**more: object) -> list[float | None]:
        return table.select(counted(fact(**more)))[:, 0].to_list()

    assert count(outcome="flare_2", events=1) == [0, 1, 0, 0, None, 0]
    assert count(outcome="flare_later", events=1, among="flare_any") == [1, 0, 0, None, None, 0]
    assert count(outcome="flare_day", median=4.0, among="flare_any") == [1, 0.5, 0, None, None, 0.5]
    # one that is not over on day 9 may last shorter or longer than 14; one that has lasted 30 has not ended by then
    assert count(outcome="flare_length", median=14.0, among="flare_any") == [1, 0.5, 0, None, None, None]


def test_left_out_trials_are_predicted_by_the_others() -> None:
    """Two kinds of sets, of which the facts of one trial prefer one: without them both weigh alike."""
    facts = {
        "mine": fact(events=18, report="left out"),
        "also mine": fact(events=17, report="left out"),
        "other": fact(events=10),
    }
    calibration = Calibration(Path("x"), "", "x", read_population(STUDY), facts, {}, (), 0.0)
    high = np.arange(200) % 2 == 0
    rate = {name: np.where(high, 0.9, 0.3) for name in ("mine", "also mine")} | {"other": np.full(200, 0.5)}
    size = {name: np.full(200, 1e6) for name in facts}
    logs = sum(log_likelihood(facts[name], rate[name], size[name], 0.0) for name in facts)
    found = leave_out(calibration, np.asarray(logs), rate, size)
    assert list(found) == ["left out", "other"]
    mine = found["left out"]
    assert mine["effective_sample_size"] == pytest.approx(200)
    assert mine["facts"]["mine"]["rate"] == pytest.approx(0.6)
    mixed = 0.5 * (stats.binom.cdf(np.arange(21), 20, 0.9) + stats.binom.cdf(np.arange(21), 20, 0.3))
    assert mine["facts"]["mine"]["low"] == np.searchsorted(mixed, 0.025)
    assert mine["facts"]["mine"]["high"] == np.searchsorted(mixed, 0.975)
    assert mine["facts"]["mine"]["tail"] == pytest.approx(min(1.0, 2 * (1 - mixed[17])), rel=1e-3)
    assert found["other"]["effective_sample_size"] == pytest.approx(100, rel=0.01)
    assert mine["pareto_shape"] is None  # of weights that are all the same


def test_a_left_out_trial_that_held_the_sets_says_so() -> None:
    """Sets that stay where only the trial that is left out wants them: few of them are where the others are."""
    facts = {"mine": fact(events=18, report="left out"), "other": fact(events=2)}
    calibration = Calibration(Path("x"), "", "x", read_population(STUDY), facts, {}, (), 0.0)
    drawn = np.random.default_rng(1).normal(1.5, 0.5, 400)  # of a logit
    rate = dict.fromkeys(facts, 1 / (1 + np.exp(-drawn)))
    size = {name: np.full(400, 1e6) for name in facts}
    logs = sum(log_likelihood(facts[name], rate[name], size[name], 0.0) for name in facts)
    found = leave_out(calibration, np.asarray(logs), rate, size)
    assert found["left out"]["pareto_shape"] > 0.7
    assert found["left out"]["effective_sample_size"] < 40


def test_far_more_episodes_than_any_set_predicts_are_told_as_such() -> None:
    facts = {"mine": fact(events=400, count="episodes")}
    calibration = Calibration(Path("x"), "", "x", read_population(STUDY), facts, {}, (), 0.0)
    rate, size = {"mine": np.full(50, 0.1)}, {"mine": np.full(50, 1e6)}
    said = predict_facts(calibration, np.full(50, 0.02), rate, size)["mine"]
    assert said["high"] < 10
    assert said["tail"] == pytest.approx(0.0, abs=1e-6)


def test_an_outcome_that_has_no_median_is_named(tmp_path: Path) -> None:
    from trialrun.vocab.problems import TrialrunError

    studies = Path(__file__).resolve().parents[2] / "studies"
    text = (studies / "venetoclax-rampup" / "calibration.yaml").read_text(encoding="utf-8")
    text = text.replace("study: .,", f"study: {studies / 'venetoclax-rampup'},")
    for old, new, said in (
        ("outcome: alc_normal_day", "outcome: alc_normal", "not an outcome with a median"),
        ("among: alc_normal,", "among: alc_normal_day,", "not an outcome with a count"),
    ):
        file = tmp_path / "calibration.yaml"
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(TrialrunError, match=said) as error:
            read_calibration(file)
        location = error.value.problems[0].location
        assert location is not None
        assert location.line is not None


def test_facts_outside_of_what_the_sets_predict_are_named() -> None:
    """20 of 20, rate near 0.6: hardly; 12 of 20: well; at most 2 of 20 at a rate of 0.05: kept; at most 0 of 20 at 0.9: not."""
    facts = {
        "all": fact(events=20),
        "some": fact(events=12),
        "kept": fact(events=2, at_most=True),
        "broken": fact(events=0, at_most=True),
    }
    calibration = Calibration(Path("x"), "", "x", read_population(STUDY), facts, {}, (), 0.03)
    sets = np.full(50, 1 / 50)
    rate = {name: np.full(50, value) for name, value in zip(facts, (0.6, 0.6, 0.05, 0.9), strict=True)}
    size = {name: np.full(50, 1e4) for name in facts}
    assert find_misfits(calibration, sets, rate, size) == ["all (20/20)", "broken (at most 0/20)"]

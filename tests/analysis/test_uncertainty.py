"""The three uncertainties of a share: against hand arithmetic, a second estimator, and simulated truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

from trialrun.analysis.uncertainty import (
    FEWEST_REPEATED,
    NEARLY_ALL,
    Components,
    Prediction,
    group_trials,
    predict_share,
    solve_components,
    split_variance,
    sum_by_set,
)

FloatArray = NDArray[np.float64]


def split(values: Sequence[float | None], trial: Sequence[int], sets: Sequence[int | None]) -> Components:
    return split_variance(
        sum_by_set(pl.Series(list(values)), group_trials(pl.Series(list(trial)), pl.Series(list(sets), dtype=pl.Int64)))
    )


def test_a_balanced_design_gives_the_textbook_mean_squares() -> None:
    """Two sets, two trials each, three subjects each: Searle, Casella and McCulloch, section 3.4, by hand."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=(2, 2, 3)) + np.array([0.0, 5.0])[:, None, None] + np.array([0.0, 2.0])[None, :, None]
    found = split(y.ravel().tolist(), np.repeat(range(4), 3).tolist(), np.repeat([0, 1], 6).tolist())
    of_sets, of_trials = y.mean(axis=(1, 2)), y.mean(axis=2)
    within = ((y - of_trials[..., None]) ** 2).sum() / 8
    trials = 3 * ((of_trials - of_sets[:, None]) ** 2).sum() / 2
    sets = 6 * ((of_sets - y.mean()) ** 2).sum()
    assert found.within == pytest.approx(within)
    assert found.trial == pytest.approx((trials - within) / 3)
    assert found.parameter == pytest.approx((sets - trials) / 6)
    assert found.mean == pytest.approx(y.mean())
    assert found.mean_error == pytest.approx(np.sqrt(sets / 12))


def test_a_negative_component_is_zero_and_the_rest_are_estimated_without_it() -> None:
    """Trials of one set that agree more than chance would let them: pooled with their subjects."""
    values = [0.0, 1.0] * 4 + [0.0, 1.0, 1.0, 1.0] * 2
    found = split(values, np.repeat(range(6), [2, 2, 2, 2, 4, 4]).tolist(), [0] * 8 + [1] * 8)
    assert found.trial == 0.0
    y = np.array(values).reshape(2, 8)
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum() / 14
    assert found.within == pytest.approx(within)
    between = 8 * ((y.mean(axis=1) - y.mean()) ** 2).sum()
    assert found.parameter == pytest.approx(max(0.0, (between - within) / 8))


@pytest.mark.parametrize(
    ("trial", "sets", "known"),
    [
        ([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1], (True, True, True)),
        ([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 1, 2, 2, 3, 3], (False, False, True)),  # one trial a set: not apart
        ([0, 0, 1, 1, 2, 2, 3, 3], [None] * 8, (False, True, True)),  # no ensemble: no parameter uncertainty
        ([0] * 8, [None] * 8, (False, False, False)),
    ],
)
def test_what_a_run_cannot_tell_is_none(trial: list[int], sets: list[int | None], known: tuple[bool, ...]) -> None:
    found = split([0, 1, 1, 1, 0, 0, 0, 1], trial, sets)
    assert (found.parameter is not None, found.trial is not None, found.between is not None) == known
    assert found.within is not None


def test_trials_of_one_subject_hold_chance_and_spread_in_one() -> None:
    found = split([0, 1, 1, 0], [0, 1, 2, 3], [0, 0, 1, 1])
    assert (found.parameter, found.trial, found.within, found.mean_error) == (None, None, None, None)
    assert found.mean == 0.5


def test_not_assessed_subjects_are_left_out_and_nobody_gives_no_mean() -> None:
    found = split([1, None, 0, None], [0, 0, 1, 1], [0, 0, 1, 1])
    assert (found.n, found.trials, found.mean) == (2, 2, 0.5)
    assert np.isnan(split([None, None], [0, 1], [0, 1]).mean)
    assert predict_share(np.zeros((0, 10)), 25) is None


@dataclass(frozen=True)
class Truth:
    """Rates uniform over the sets, normal between trials; sets of very unequal weight."""

    mean: float = 0.4
    parameter: float = 0.08
    trial: float = 0.05

    def draw(self, rng: np.random.Generator, sets: int, trials: int, n: int) -> FloatArray:
        weights = np.cumsum(rng.dirichlet(np.ones(sets)))
        used = np.searchsorted(weights, (np.arange(trials) + rng.random()) / trials).clip(0, sets - 1)
        rate = self.rate(rng, sets)[used] + rng.normal(0, self.trial, trials)
        happened = rng.random((trials, n)) < rate[:, None]
        which = np.repeat(np.arange(trials), n)
        return sum_by_set(pl.Series(happened.ravel()), group_trials(pl.Series(which), pl.Series(np.repeat(used, n))))

    def rate(self, rng: np.random.Generator, size: int) -> FloatArray:
        return np.asarray(self.mean + rng.uniform(-1, 1, size) * self.parameter * np.sqrt(3))


@pytest.fixture(scope="module")
def repeated() -> list[tuple[Prediction, float]]:
    """300 runs of 400 trials of 10 subjects over 100 sets, each with the true rate of one more trial."""
    rng, truth = np.random.default_rng(20), Truth()
    made = []
    for _ in range(300):
        found = predict_share(truth.draw(rng, 100, 400, 10), 25)
        assert found is not None
        made.append((found, float(truth.rate(rng, 1)[0] + rng.normal(0, truth.trial))))
    return made


def test_the_components_are_unbiased_for_trials_of_ten(repeated: list[tuple[Prediction, float]]) -> None:
    """Within three standard errors of the mean over the runs. Chance in a trial of ten has a variance of 0.023: ten
    times the one between trials, which it would swamp if it were not taken out."""
    truth = Truth()
    parts = np.array([(one.components.parameter, one.components.trial) for one, _ in repeated], dtype=float)
    away = (parts.mean(axis=0) - [truth.parameter**2, truth.trial**2]) / (parts.std(axis=0) / np.sqrt(len(parts)))
    assert np.abs(away).max() < 3


def test_the_error_by_simulation_is_that_of_repeated_runs(repeated: list[tuple[Prediction, float]]) -> None:
    means = np.array([one.components.mean for one, _ in repeated])
    told = np.mean([one.components.mean_error for one, _ in repeated])
    assert told / means.std(ddof=1) == pytest.approx(1.0, abs=0.15)
    spreads = np.sqrt([one.components.parameter or 0.0 for one, _ in repeated])
    assert np.mean([one.error_parameter for one, _ in repeated]) / spreads.std() == pytest.approx(1.0, abs=0.2)


def test_intervals_hold_what_they_promise(repeated: list[tuple[Prediction, float]]) -> None:
    """95 % of 300: 91.2 % is three standard errors below; counts are discrete and hold more."""
    rng = np.random.default_rng(21)
    rates = np.mean([one.large[0] <= rate <= one.large[1] for one, rate in repeated])
    counts = np.mean([one.low <= rng.binomial(25, rate) <= one.high for one, rate in repeated])
    assert rates > 0.912
    assert counts > 0.912


def test_the_interval_of_a_trial_is_wider_than_that_of_a_large_one(repeated: list[tuple[Prediction, float]]) -> None:
    for found, _ in repeated[:20]:
        assert found.low / 25 < found.large[0] < found.components.mean < found.large[1] < found.high / 25


def test_without_any_event_zero_is_not_certain() -> None:
    """Jeffreys: with no event in 400 subjects the rate may be 0.6 %, and a trial of 25 may see one."""
    found = predict_share(
        sum_by_set(pl.Series([0.0] * 400), group_trials(pl.Series(np.arange(400) // 10), pl.Series([0] * 400))), 25
    )
    assert found is not None
    assert found.large == pytest.approx(stats.beta.ppf((0.025, 0.975), 0.5, 400.5))
    assert found.low == 0


def test_trials_all_or_none_leave_everything_open() -> None:
    found = predict_share(
        sum_by_set(pl.Series([0, 0, 1, 1]), group_trials(pl.Series([0, 0, 1, 1]), pl.Series([0, 0, 1, 1]))), 25
    )
    assert found is not None
    assert (found.large, found.low, found.high) == ((0.0, 1.0), 0, 25)


def test_many_designs_at_once_are_solved_as_one_by_one() -> None:
    rng = np.random.default_rng(9)
    designs = [Truth().draw(rng, 12, 30, 5).sum(axis=0) for _ in range(20)]
    together = solve_components(np.array(designs))
    for number, design in enumerate(designs):
        np.testing.assert_array_equal([part[number] for part in together], [float(p) for p in solve_components(design)])


def test_few_trials_do_not_make_an_interval_too_narrow() -> None:
    """300 runs of 40 trials of 10: there the spread between trials is often estimated as zero, which is no proof that
    trials agree. 95 % of 300: 91.2 % is three standard errors below."""
    rng, truth = np.random.default_rng(22), Truth()
    held, alike = [], 0
    for _ in range(300):
        found = predict_share(truth.draw(rng, 100, 40, 10), 10)
        assert found is not None
        alike += found.components.between == 0.0
        held.append(found.large[0] <= truth.rate(rng, 1)[0] + rng.normal(0, truth.trial) <= found.large[1])
    assert alike > 15
    assert np.mean(held) > 0.912


@pytest.mark.parametrize("repeated", [0, 1, 2, 5, 9, 12])
def test_a_set_that_serves_twice_by_chance_does_not_open_the_interval(repeated: int) -> None:
    """60 trials of 10, of which some share a set: from so few repeated ones the spread between trials alone is not known, but the
    spread of all trials is. The widths are those of 60 sets, and 95 % of 200 hold (90.4 % is three standard errors below)."""
    rng, truth = np.random.default_rng(23), Truth()
    used = np.repeat(np.arange(60 - repeated), np.r_[np.full(repeated, 2), np.ones(60 - 2 * repeated, dtype=int)])
    widths, held = [], []
    for _ in range(200):
        rate = truth.rate(rng, 60)[used] + rng.normal(0, truth.trial, 60)
        happened = rng.random((60, 10)) < rate[:, None]
        groups = group_trials(pl.Series(np.repeat(np.arange(60), 10)), pl.Series(np.repeat(used, 10)))
        found = predict_share(sum_by_set(pl.Series(happened.ravel()), groups), 10)
        assert found is not None
        few = repeated < FEWEST_REPEATED and 60**2 / (60 + 2 * repeated) >= NEARLY_ALL * 60
        assert (found.components.parameter is None) == few
        widths.append(found.large[1] - found.large[0])
        held.append(found.large[0] <= truth.rate(rng, 1)[0] + rng.normal(0, truth.trial) <= found.large[1])
    true = 2 * 1.96 * np.hypot(truth.parameter, truth.trial)
    assert np.mean(widths) == pytest.approx(true, rel=0.35)
    assert max(widths) < 2.5 * true
    assert np.mean(held) > 0.904


@pytest.mark.parametrize(
    "used",
    [np.r_[np.zeros(9, dtype=int), np.arange(1, 12)], np.repeat(np.arange(9), 2)[:17]],
    ids=["one set nine times", "pairs"],
)
def test_trials_that_share_few_sets_do_not_count_as_independent(used: NDArray[np.int64]) -> None:
    """Sets differ and trials hardly do, so that 20 trials of 12 sets are worth far fewer: 95 % of 300 hold."""
    rng, truth = np.random.default_rng(24), Truth(parameter=0.12, trial=0.01)
    held = []
    for _ in range(300):
        rate = truth.rate(rng, 20)[used] + rng.normal(0, truth.trial, used.size)
        happened = rng.random((used.size, 10)) < rate[:, None]
        groups = group_trials(pl.Series(np.repeat(np.arange(used.size), 10)), pl.Series(np.repeat(used, 10)))
        found = predict_share(sum_by_set(pl.Series(happened.ravel()), groups), 10)
        assert found is not None
        held.append(found.large[0] <= truth.rate(rng, 1)[0] + rng.normal(0, truth.trial) <= found.large[1])
    assert np.mean(held) > 0.912

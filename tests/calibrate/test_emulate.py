"""The stand-in for the simulation, and what it says of sensitivity."""

from __future__ import annotations

import numpy as np
import pytest

from trialrun.calibrate.emulate import Tally, _Fact, _leverage, _ridge, combine, features, fit_emulator
from trialrun.calibrate.run import _sensitivity


def _quadratic(scores: np.ndarray) -> np.ndarray:
    a, b, c = scores.T
    return np.asarray(0.4 + 0.8 * a - 0.5 * b + 0.3 * a * b + 0.2 * c**2)


def _count(luck: np.random.Generator, odds: np.ndarray, of: int, episodes: bool = False) -> Tally:
    rate = np.exp(odds) if episodes else 1 / (1 + np.exp(-odds))
    events = luck.poisson(of * rate) if episodes else luck.binomial(of, rate)
    return Tally(events[:, None].astype(float), np.full((len(odds), 1), float(of)), [episodes])


@pytest.mark.parametrize(("level", "of", "episodes"), [(0.0, 100, False), (-3.0, 100, True), (2.0, 60, False)])
def test_a_quadratic_is_learnt_through_the_noise_of_counts(level: float, of: int, episodes: bool) -> None:
    luck = np.random.default_rng(1)
    scores, new = luck.standard_normal((400, 3)), luck.standard_normal((200, 3))
    emulator, others = fit_emulator(scores, _count(luck, level + _quadratic(scores), of, episodes))
    for said, at in ((emulator.predict(new), new), (others, scores)):
        assert np.sqrt(np.mean((said[:, 0] - level - _quadratic(at)) ** 2)) < 0.12
    assert emulator.error[0] < 0.12


def test_rare_events_are_neither_lifted_nor_told_to_be_known() -> None:
    """Some four events in 1,000 subjects: most sets have none in their 200. Before, none counted as half of one, by which such
    a rate came out nearly half too high, and the error told was 0."""
    luck = np.random.default_rng(6)
    scores, new = luck.standard_normal((1500, 5)), luck.standard_normal((4000, 5))
    slopes = np.array([0.8, -0.6, 0.4, 0.0, 0.0])
    unknown = 0.4  # what no quadratic follows
    odds = -6.2 + scores @ slopes + unknown * luck.standard_normal(1500)
    emulator, others = fit_emulator(scores, _count(luck, odds, 200))
    said, right = emulator.predict(new)[:, 0], -6.2 + new @ slopes
    spread = emulator.error[0] * luck.standard_normal(4000)
    rates = 1 / (1 + np.exp(-(said + spread))), 1 / (1 + np.exp(-(right + unknown * luck.standard_normal(4000))))
    assert rates[0].mean() == pytest.approx(rates[1].mean(), rel=0.1)
    assert np.sqrt(np.mean((others[:, 0] - odds) ** 2)) == pytest.approx(emulator.error[0], abs=0.12)


@pytest.mark.parametrize("all_of_them", [False, True])
def test_what_never_or_always_happens_is_far_out_and_finite(all_of_them: bool) -> None:
    scores = np.random.default_rng(7).standard_normal((100, 3))
    tally = Tally(np.full((100, 1), 40.0 * all_of_them), np.full((100, 1), 40.0), [False])
    said = fit_emulator(scores, tally)[0].predict(scores)
    assert np.all(said > 6 if all_of_them else said < -6)
    assert np.isfinite(said).all()


def test_what_was_left_out_is_what_the_others_say() -> None:
    """Against fits without the set, one after the other, with the same penalties."""
    luck = np.random.default_rng(8)
    scores = luck.standard_normal((60, 2))
    tally = _count(luck, -1.0 + scores[:, 0], 50)
    _, others = fit_emulator(scores, tally)
    for i in range(0, 60, 7):
        rest = np.arange(60) != i
        without, _ = fit_emulator(scores[rest], Tally(tally.events[rest], tally.assessed[rest], [False]))
        assert others[i, 0] == pytest.approx(without.predict(scores[i : i + 1])[0, 0], abs=0.1)


def test_with_more_numbers_than_sets_it_is_the_same_regression() -> None:
    """The two ways of solving it, by features and by sets, side by side."""
    luck = np.random.default_rng(9)
    rows, right = luck.standard_normal((30, 20)), luck.standard_normal(30)
    wide = np.concatenate([rows, np.zeros((30, 20))], axis=1)
    assert _ridge(wide, right, 3.0)[:20] == pytest.approx(_ridge(rows, right, 3.0))
    assert _leverage(wide, 3.0) == pytest.approx(_leverage(rows, 3.0))


def test_what_is_no_quadratic_is_told_as_error() -> None:
    luck = np.random.default_rng(2)
    scores, new = luck.standard_normal((500, 3)), luck.standard_normal((2000, 3))

    def wavy(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.sin(3 * x[:, 0]))

    emulator, _ = fit_emulator(scores, _count(luck, wavy(scores), 1000))
    real = float(np.sqrt(np.mean((emulator.predict(new)[:, 0] - wavy(new)) ** 2)))
    assert emulator.error[0] == pytest.approx(real, rel=0.2)
    assert real > 0.5


@pytest.mark.parametrize("episodes", [False, True])
@pytest.mark.parametrize("error", [0.2, 0.9])
def test_counts_and_what_is_said_of_them_are_combined_as_the_whole_posterior_says(error: float, episodes: bool) -> None:
    """Against the posterior on a grid, rare events and none among them."""
    said, of = np.array([-6.0, -3.0, -0.5, 0.2]), 200.0
    events = np.array([0.0, 0.0, 90.0, 120.0])
    found = combine(said[:, None], np.array([error]), Tally(events[:, None], np.full((4, 1), of), [episodes]))
    at = np.linspace(-13, 4, 40_001)
    rates = np.exp(at) if episodes else 1 / (1 + np.exp(-at))
    for i in range(4):
        chance = of * np.exp(at) if episodes else of * np.log1p(np.exp(at))
        logs = events[i] * at - chance - 0.5 * ((at - said[i]) / error) ** 2
        density = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
        assert found.rate[i, 0] == pytest.approx(rates @ density, rel=0.01)
        assert found.variance[i, 0] == pytest.approx((rates - rates @ density) ** 2 @ density, rel=0.03)
    assert found.counted[2, 0] > found.counted[0, 0], "a common event tells more than one that did not happen"


@pytest.mark.parametrize("episodes", [False, True])
def test_the_likelihood_of_counts_about_log_odds_is_that_of_a_sum_over_a_grid(episodes: bool) -> None:
    """Differences between errors, narrow counts and rare ones: a rule that does not follow each count misses them."""
    events, said, of = np.array([0.0, 3.0, 500.0, 520.0]), np.array([-5.0, -5.0, -0.4, -0.4]), np.full(4, 1000.0)
    fact = _Fact(np.zeros((4, 0)), events, of, episodes, said)
    at = np.linspace(-14, 5, 60_001)

    def by_grid(error: float) -> float:
        chance = 1000 * np.exp(at) if episodes else 1000 * np.log1p(np.exp(at))
        logs = events[:, None] * at - chance - 0.5 * ((at - said[:, None]) / error) ** 2
        top = logs.max(axis=1)
        return float(np.sum(top + np.log(np.exp(logs - top[:, None]).sum(axis=1) / error)))

    for error in (0.1, 0.4, 1.5):
        found = fact._likely(said, error) - fact._likely(said, 0.7)
        assert found == pytest.approx(by_grid(error) - by_grid(0.7), abs=0.03)


def test_sensitivity_is_that_of_a_second_way_of_counting() -> None:
    """Sobol indices by sampling (Saltelli 2010 and Jansen 1999) against the closed form of a quadratic."""
    luck, n = np.random.default_rng(3), 200_000
    here, there = luck.standard_normal((n, 3)), luck.standard_normal((n, 3))
    at, to = _quadratic(here), _quadratic(there)
    variance = np.var(np.concatenate([at, to]))
    x = luck.standard_normal((400, 3))
    coefficients = np.linalg.lstsq(features(x), _quadratic(x), rcond=None)[0]
    found = _sensitivity(coefficients, ["a", "b", "c"])
    for i, name in enumerate(found):
        mixed = here.copy()
        mixed[:, i] = there[:, i]
        moved = _quadratic(mixed)
        first, total = np.mean(to * (moved - at)) / variance, 0.5 * np.mean((at - moved) ** 2) / variance
        assert found[name] == pytest.approx([first, total], abs=0.02)

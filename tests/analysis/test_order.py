"""The probability that one schedule is better than another: against simulated truth with a known spread."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

from trialrun.analysis.discordance import believe_lower
from trialrun.analysis.order import Order, estimate_order
from trialrun.analysis.people import Matches, Treated
from trialrun.analysis.uncertainty import group_trials

FloatArray = NDArray[np.float64]
Sets = NDArray[np.int64]


def happened(rng: np.random.Generator, rates: FloatArray, sets: Sets, n: int, apart: float = 0.03) -> list[pl.Series]:
    """Events of n subjects a trial under each version; `rates` (versions, sets); four fifths of the luck is shared."""
    moved = rates[:, sets] + rng.normal(0, apart, sets.size)
    shared = rng.random((sets.size, n))
    made = []
    for rate in moved:
        luck = np.where(rng.random(shared.shape) < 0.8, shared, rng.random(shared.shape))
        made.append(pl.Series((luck < rate[:, None]).ravel()))
    return made


def order(values: list[pl.Series], sets: Sets, n: int) -> Order | None:
    named = dict(zip("abcd", values, strict=False))
    groups = group_trials(pl.Series(np.repeat(np.arange(sets.size), n)), pl.Series(np.repeat(sets, n)))
    return estimate_order(named, groups)


@pytest.mark.parametrize(
    ("count", "trials", "mean", "spread", "weighted"),
    [
        (200, 400, 0.05, 0.05, False),
        (200, 200, 0.05, 0.05, False),
        (200, 400, 0.08, 0.05, False),
        (100, 300, 0.05, 0.05, True),
    ],
)
def test_the_interval_holds_the_true_probability(
    count: int, trials: int, mean: float, spread: float, weighted: bool
) -> None:
    """200 runs with trials of 10 subjects: the chance in a set's difference is as large as the spread between sets.
    95 % of 200 is 190; 181 is three standard errors below. Counting sets as simulated would miss the truth by far."""
    rng = np.random.default_rng(31)
    truth = stats.norm.cdf(-mean / spread)
    held, found, counted = 0, [], []
    for _ in range(200):
        weights = rng.dirichlet(np.ones(count)) if weighted else np.full(count, 1 / count)
        at = (np.arange(trials) + rng.random()) / trials
        sets = np.searchsorted(np.cumsum(weights), at).clip(0, count - 1)
        base = np.full(count, 0.3)
        answer = order(
            happened(rng, np.array([base + rng.normal(mean, spread, count), base]), sets, 10, 0.02), sets, 10
        )
        assert answer is not None
        (pair,) = answer.pairs
        held += pair.low <= truth <= pair.high
        found.append(pair.probability)
        counted.append(pair.counted)
    assert held >= 181
    assert abs(np.mean(found) - truth) < 0.03
    assert np.mean(counted) > truth + 0.05


def test_four_versions_have_pairs_and_complete_orders_that_agree() -> None:
    rng = np.random.default_rng(5)
    sets = np.arange(400) % 200
    rates = np.array([[0.5], [0.4], [0.38], [0.2]]) + rng.normal(0, 0.05, (4, 200))
    answer = order(happened(rng, rates, sets, 40), sets, 40)
    assert answer is not None
    assert [(pair.first, pair.second) for pair in answer.pairs] == [
        ("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")
    ]  # fmt: skip
    assert sum(probability for _, probability in answer.orders) == pytest.approx(1.0)
    assert answer.orders[0][0] == ("d", "c", "b", "a")
    for pair in answer.pairs:
        before = sum(p for names, p in answer.orders if names.index(pair.first) < names.index(pair.second))
        assert before == pytest.approx(pair.probability, abs=0.02)


def test_swapped_versions_give_the_complement() -> None:
    rng = np.random.default_rng(6)
    sets = np.arange(100) % 50
    one, two = happened(rng, np.array([[0.3], [0.25]]) + rng.normal(0, 0.05, (2, 50)), sets, 20)
    there, back = order([one, two], sets, 20), order([two, one], sets, 20)
    assert there is not None
    assert back is not None
    assert there.pairs[0].probability == pytest.approx(1 - back.pairs[0].probability)
    assert there.pairs[0].mean == pytest.approx(-back.pairs[0].mean)


def test_versions_that_never_differ_have_no_order() -> None:
    sets = np.arange(40) % 20
    same = pl.Series(np.random.default_rng(1).random(400) < 0.3)
    other = pl.Series(np.random.default_rng(2).random(400) < 0.3)
    answer = order([same, same, other], sets, 10)
    assert answer is not None
    assert np.isnan(answer.pairs[0].probability)
    assert 0 < answer.pairs[1].probability < 1
    assert answer.orders == ()


def test_too_few_sets_or_none_give_no_answer() -> None:
    rng = np.random.default_rng(7)
    sets = np.arange(40) % 9
    values = happened(rng, np.full((2, 9), 0.3), sets, 10)
    assert order(values, sets, 10) is None
    who = pl.DataFrame({"subject": ["s1", "s2"], "trial": [1, 1], "set": [1, None]})
    assert not Treated(who.lazy(), who).has_sets


def test_subjects_are_matched_by_name_and_not_by_place() -> None:
    first = pl.DataFrame({"subject": ["s1", "s2", "s4"], "trial": [1, 1, 2], "set": [5, 5, 6]})
    second = pl.DataFrame({"subject": ["s4", "s3", "s1"], "trial": [2, 2, 1], "set": [6, 6, 5]})
    matches = Matches({"a": Treated(first.lazy(), first), "b": Treated(second.lazy(), second)})
    taken = matches.take(("a", "b"), {"a": pl.Series([1, 2, 4]), "b": pl.Series([40, 30, 10])})
    assert (taken["a"].to_list(), taken["b"].to_list()) == ([1, 4], [10, 40])
    assert matches.groups(("a", "b")).of_subject.tolist() == [0, 1]
    assert matches.places(("a",)) == (None,)


def test_without_spread_between_sets_the_interval_still_holds_the_doubt_of_few_subjects() -> None:
    """Neither version is better: the interval is wide, and holds one half in nearly all of 40 runs (95 % of them are 38)."""
    rng = np.random.default_rng(8)
    sets, held, width = np.arange(60) % 30, 0, []
    for _ in range(40):
        answer = order(happened(rng, np.full((2, 30), 0.3), sets, 10, 0.0), sets, 10)
        assert answer is not None
        (pair,) = answer.pairs
        held += pair.low <= 0.5 <= pair.high
        width.append(pair.high - pair.low)
    assert held >= 35
    assert np.mean(width) > 0.6


def test_a_rare_harm_that_one_version_has_less_of_in_every_set_is_near_certain() -> None:
    """A third of a rate that is lognormal over the sets, 2 % in the middle: a normal difference gave 0.85 to this."""
    rng, sets, found, highest = np.random.default_rng(12), np.arange(200) % 100, [], []
    for _ in range(30):
        rate = np.minimum(0.3, 0.02 * np.exp(rng.normal(0, 1, 100)))
        answer = order(happened(rng, np.array([rate / 3, rate]), sets, 20, 0.0), sets, 20)
        assert answer is not None
        found.append(answer.pairs[0].probability)
        highest.append(answer.pairs[0].high)
    assert np.mean(found) > 0.95
    assert min(highest) > 0.99, "no more simulation is needed to come near to certainty"


@pytest.mark.parametrize("apart", [0.0, 0.04, 0.09])
def test_what_trials_of_a_set_differ_by_is_no_spread_between_sets(apart: float) -> None:
    """Each version has trials of its own luck: the difference varies by 0.03 between sets and by `apart` between trials."""
    rng, found, held = np.random.default_rng(14), [], 0
    sets, truth = np.arange(640) % 258, stats.norm.cdf(0.05 / 0.03)
    for _ in range(12):
        half = (0.05 - rng.normal(0, 0.03, 258)[sets]) / 2
        rates = 0.3 + np.stack([-half, half]) + rng.normal(0, apart / np.sqrt(2), (2, 640))
        shared = rng.random((640, 25))
        values = [
            pl.Series(
                (np.where(rng.random(shared.shape) < 0.8, shared, rng.random(shared.shape)) < rate[:, None]).ravel()
            )
            for rate in rates
        ]
        answer = order(values, sets, 25)
        assert answer is not None
        found.append(answer.pairs[0].probability)
        held += answer.pairs[0].low <= truth <= answer.pairs[0].high
    assert abs(np.mean(found) - truth) < 0.035
    assert held >= 10


@pytest.mark.parametrize(
    ("sets", "size", "correlation"), [(640, 20, 0.01), (640, 100, 0.001), (320, 50, 0.003), (640, 10_000, 0.0)]
)
def test_many_discordant_subjects_are_followed(sets: int, size: int, correlation: float) -> None:
    """The posterior is narrow there: the beta that was drawn from is known well, and so is the probability."""
    rng, mean = np.random.default_rng(15), 0.611
    total = 1 / correlation - 1 if correlation else np.inf
    share = rng.beta(mean * total, (1 - mean) * total, sets) if correlation else np.full(sets, mean)
    first = rng.binomial(size, share).astype(np.float64)
    truth = stats.beta(mean * total, (1 - mean) * total).cdf(0.5) if correlation else 0.0
    probability, low, high = believe_lower(first, size - first, np.ones(sets), 0.95)
    assert abs(probability - truth) < 0.03
    assert high - low < 0.08


def test_a_grid_that_does_not_fit_the_posterior_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from trialrun.vocab.problems import TrialrunError

    monkeypatch.setattr("trialrun.analysis.discordance._TRIES", 1)
    with pytest.raises(TrialrunError, match="cannot be summed"):
        believe_lower(np.full(20, 3.0), np.full(20, 4.0), np.ones(20), 0.95)


def test_an_order_is_no_surer_than_its_pairs() -> None:
    """20 trials of 10 and no spread between sets: the doubt of so few subjects is in the orders too."""
    rng = np.random.default_rng(9)
    sets, apart = np.arange(20), []
    for _ in range(20):
        answer = order(happened(rng, np.array([[0.32], [0.3], [0.28]]) + np.zeros((3, 20)), sets, 10, 0.0), sets, 10)
        assert answer is not None
        for pair in answer.pairs:
            before = sum(p for names, p in answer.orders if names.index(pair.first) < names.index(pair.second))
            apart.append(abs(before - pair.probability))
        assert sum(p for _, p in answer.orders) == pytest.approx(1.0)
    assert np.mean(apart) < 0.005

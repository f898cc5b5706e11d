"""Streams of luck: known answers of Philox, order and company do not matter, distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trialrun.simulate.luck import draw_normal, draw_uniform, philox_words, stream_key

# Known-answer vectors that the authors of Philox publish (Random123, file kat_vectors, "philox4x32 10").
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB)),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_bits_are_those_that_the_authors_of_philox_publish(
    counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, int]
) -> None:
    low, high = counter[0] | counter[1] << 32, counter[2] | counter[3] << 32
    counters = (np.array([half], dtype=np.uint64).view(np.int64) for half in (low, high))
    word = int(philox_words(*counters, key[0] | key[1] << 32)[0])
    assert (word >> 32, word & 0xFFFFFFFF) == answer


def test_a_draw_depends_on_nothing_but_seed_stream_subject_and_time() -> None:
    subjects = np.arange(1000)
    together = draw_uniform(7, "adherence", subjects, 12)
    shuffled = np.random.default_rng(0).permutation(subjects)
    assert np.array_equal(together[shuffled], draw_uniform(7, "adherence", shuffled, 12))
    assert together[421] == draw_uniform(7, "adherence", np.array([421]), 12)[0]
    mixed = draw_uniform(7, "adherence", np.array([3, 3]), np.array([12, -12]))
    assert mixed[0] == together[3]
    for day in (12, -1, 2**40):  # one day for all is another way through the code than a day for each
        assert np.array_equal(
            draw_uniform(7, "adherence", subjects, day), draw_uniform(7, "adherence", subjects, np.full(1000, day))
        )
    assert mixed[1] != together[3]


@pytest.mark.parametrize(
    ("seed", "stream", "time"), [(8, "adherence", 12), (7, "sepsis", 12), (7, "adherence", 13), (-7, "adherence", 12)]
)
def test_other_seed_stream_or_time_gives_unrelated_luck(seed: int, stream: str, time: int) -> None:
    subjects = np.arange(20_000)
    here, there = draw_uniform(7, "adherence", subjects, 12), draw_uniform(seed, stream, subjects, time)
    assert not np.any(here == there)
    # four standard errors of a correlation of independent draws
    assert abs(np.corrcoef(here, there)[0, 1]) < 4 / np.sqrt(subjects.size)


def test_draws_follow_their_distributions() -> None:
    subjects = np.arange(50_000)
    uniform = draw_uniform(1, "a stream", subjects, 0)
    assert 0 < uniform.min() < uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert stats.kstest(draw_normal(1, "a stream", np.zeros(50_000, dtype=np.int64), subjects), "norm").pvalue > 1e-3


def test_key_is_fixed_for_ever() -> None:
    """A changed key would silently change every virtual subject."""
    assert stream_key(20070301, "baseline age") == 14609690253090669159

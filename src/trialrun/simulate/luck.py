"""Streams of luck: random numbers that depend on seed, stream, subject and time alone.

There is no generator with a state. A draw is a function of (seed, stream name, subject, time), so that the same
subject meets the same luck whatever protocol version, chunk, thread or order it runs in. The bits come from
Philox4x32-10 (Salmon JK et al., "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011), checked in the tests
against the known answers that its authors publish.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MASK = 0xFFFFFFFF


@njit("uint64(uint64, uint64, uint64, uint64)", cache=True)
def philox_word(counter_low: np.uint64, counter_high: np.uint64, key_low: np.uint64, key_high: np.uint64) -> np.uint64:
    """The first two 32-bit words of Philox4x32-10 as one number (first word high).

    `counter_low` holds counter words 0 and 1, `counter_high` words 2 and 3, each pair with its lower word in the
    lower half; the keys are 32-bit words. Multipliers and key increments are those of the paper.
    """
    mask = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c0, c1 = counter_low & mask, counter_low >> half
    c2, c3 = counter_high & mask, counter_high >> half
    k0, k1 = key_low, key_high
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c0
        product1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (product1 >> half) ^ c1 ^ k0,
            product1 & mask,
            (product0 >> half) ^ c3 ^ k1,
            product0 & mask,
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & mask
        k1 = (k1 + np.uint64(0xBB67AE85)) & mask
    return (c0 << half) | c1


@njit("void(uint64, uint64, int64[:], int64[:], float64[:])", cache=True)
def _fill(key_low: np.uint64, key_high: np.uint64, subjects: IntArray, times: IntArray, out: FloatArray) -> None:
    for i in range(subjects.size):
        word = philox_word(np.uint64(subjects[i]), np.uint64(times[i]), key_low, key_high)
        # 53 bits, moved by half a step: never 0, never 1
        out[i] = (np.float64(word >> np.uint64(11)) + 0.5) * 1.1102230246251565e-16


def stream_key(seed: int, stream: str) -> int:
    """The 64-bit Philox key of a stream: BLAKE2b of the seed (any integer) and the stream's name."""
    return int.from_bytes(blake2b(f"{seed}|{stream}".encode(), digest_size=8).digest(), "little")


def draw_uniform(seed: int, stream: str, subjects: IntArray, time: int | IntArray = 0) -> FloatArray:
    """Uniform numbers in the open interval (0, 1).

    `subjects` (m,) are global indices of subjects, `time` one integer or (m,) integers: a day, or which try.
    Returns (m,). Negative times are allowed and distinct.
    """
    rows = np.array(subjects, dtype=np.int64)
    times = np.empty(rows.size, dtype=np.int64)
    times[:] = time
    key = stream_key(seed, stream)
    out = np.empty(rows.size)
    _fill(np.uint64(key & _MASK), np.uint64(key >> 32), rows, times, out)
    return out


def draw_normal(seed: int, stream: str, subjects: IntArray, time: int | IntArray = 0) -> FloatArray:
    """Standard normal numbers: `draw_uniform` through the inverse normal distribution function. Returns (m,)."""
    return np.asarray(ndtri(draw_uniform(seed, stream, subjects, time)))

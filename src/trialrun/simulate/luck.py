"""Streams of luck: random numbers that depend on seed, stream, subject and time alone.

There is no generator with a state. A draw is a function of (seed, stream name, subject, time), so that the same
subject meets the same luck whatever protocol version, chunk, thread or order it runs in. The bits come from
Philox4x32-10 (Salmon JK et al., "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011), checked in the tests
against the known answers that its authors publish.
"""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialrun.simulate.machine import load_code
from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MASK = 0xFFFFFFFF
_STEP = 2.0**-53


def check_seed(seed: int) -> None:
    """A TrialrunError where a seed has no 64 bits: two such seeds could mean the same luck."""
    if not 0 <= seed < 2**64:
        raise TrialrunError(Problem("wrong-seed", "not a seed", str(seed), "0 to 2^64 - 1"))


def philox_words(counter_low: IntArray, counter_high: IntArray, key: int) -> NDArray[np.uint64]:
    """The first two 32-bit words of Philox4x32-10 as one number (first word high), (m,).

    `counter_low` (m,) holds counter words 0 and 1, `counter_high` (m,) words 2 and 3, each pair with its lower word in the
    lower half; so does `key`.
    """
    low, high = (np.ascontiguousarray(part, dtype=np.int64) for part in (counter_low, counter_high))
    words = np.empty(low.size, dtype=np.uint64)
    _philox().words(key & _MASK, key >> 32, low.ctypes.data, high.ctypes.data, words.ctypes.data, low.size)
    return words


class _Philox:
    """The compiled functions: see _write_philox."""

    def __init__(self) -> None:
        self._library = load_code(Path(__file__).read_bytes(), _write_philox)  # keeps the code in memory
        whole, place = ctypes.c_uint64, ctypes.c_void_p
        words, uniform = (self._library.get_function_address(name) for name in ("words", "uniform"))
        self.words = ctypes.CFUNCTYPE(None, whole, whole, place, place, place, whole)(words)
        self.uniform = ctypes.CFUNCTYPE(None, whole, whole, place, ctypes.c_int64, place, whole)(uniform)


@cache
def _philox() -> _Philox:
    return _Philox()


def _write_philox(_: int) -> str:
    """LLVM IR of `words(key_low, key_high, low, high, out, count)`, and of `uniform(key_low, key_high, low, high, out, count)`,
    in which `high` is one number for all and `out` takes what `_uniform` makes of the words."""
    from llvmlite import ir

    whole, pointer = ir.IntType(64), ir.PointerType()
    module = ir.Module(name="luck")
    for name, of_high in (("words", pointer), ("uniform", whole)):
        kind = ir.FunctionType(ir.VoidType(), [whole, whole, pointer, of_high, pointer, whole])
        _write_loop(ir.Function(module, kind, name=name))
    return str(module)


def _write_loop(function: Any) -> None:
    from llvmlite import ir

    whole, real = ir.IntType(64), ir.DoubleType()
    key_low, key_high, low, high, out, count = function.args
    before, body, after = (function.append_basic_block(name) for name in ("before", "body", "after"))
    b = ir.IRBuilder(before)
    b.cbranch(b.icmp_unsigned(">", count, whole(0)), body, after)
    b.position_at_end(body)
    i = b.phi(whole)
    i.add_incoming(whole(0), before)

    def at(base: Any, kind: Any = whole) -> Any:
        return b.gep(base, [i], inbounds=True, source_etype=kind)

    one_for_all = high.type == whole
    word = _write_rounds(
        b, key_low, key_high, b.load(at(low), typ=whole), high if one_for_all else b.load(at(high), typ=whole)
    )
    if one_for_all:
        half_a_step = b.fadd(b.uitofp(b.lshr(word, whole(11)), real), real(0.5))
        b.store(b.fmul(half_a_step, real(_STEP)), at(out, real))
    else:
        b.store(word, at(out))
    following = b.add(i, whole(1))
    i.add_incoming(following, body)
    b.cbranch(b.icmp_unsigned("<", following, count), body, after)
    b.position_at_end(after)
    b.ret_void()


def _write_rounds(b: Any, key_low: Any, key_high: Any, low: Any, high: Any) -> Any:
    """The ten rounds. Multipliers and key increments are those of the paper."""
    from llvmlite import ir

    whole = ir.IntType(64)
    mask, half = whole(_MASK), whole(32)
    c0, c1, c2, c3 = b.and_(low, mask), b.lshr(low, half), b.and_(high, mask), b.lshr(high, half)
    k0, k1 = key_low, key_high
    for _ in range(10):
        product0, product1 = b.mul(whole(0xD2511F53), c0), b.mul(whole(0xCD9E8D57), c2)
        c0, c1, c2, c3 = (
            b.xor(b.xor(b.lshr(product1, half), c1), k0),
            b.and_(product1, mask),
            b.xor(b.xor(b.lshr(product0, half), c3), k1),
            b.and_(product0, mask),
        )
        k0, k1 = b.and_(b.add(k0, whole(0x9E3779B9)), mask), b.and_(b.add(k1, whole(0xBB67AE85)), mask)
    return b.or_(b.shl(c0, half), c1)


@lru_cache(maxsize=4096)
def stream_key(seed: int, stream: str) -> int:
    """The 64-bit Philox key of a stream: BLAKE2b of the seed (any integer) and the stream's name."""
    return int.from_bytes(blake2b(f"{seed}|{stream}".encode(), digest_size=8).digest(), "little")


def draw_uniform(seed: int, stream: str, subjects: IntArray, time: int | IntArray = 0) -> FloatArray:
    """Uniform numbers in the open interval (0, 1).

    `subjects` (m,) are global indices of subjects, `time` one integer or (m,) integers: a day, or which try.
    Returns (m,). Negative times are allowed and distinct.
    """
    key = stream_key(seed, stream)
    if isinstance(time, np.ndarray):
        return _uniform(philox_words(subjects, time, key))
    low = np.ascontiguousarray(subjects, dtype=np.int64)
    drawn = np.empty(low.size)
    # as _uniform, without the arrays between
    _philox().uniform(key & _MASK, key >> 32, low.ctypes.data, time, drawn.ctypes.data, low.size)
    return drawn


def _uniform(words: NDArray[np.uint64]) -> FloatArray:
    """53 bits, moved by half a step: never 0, never 1."""
    return np.asarray(((words >> np.uint64(11)).astype(np.float64) + 0.5) * _STEP)


def draw_normal(seed: int, stream: str, subjects: IntArray, time: int | IntArray = 0) -> FloatArray:
    """Standard normal numbers: `draw_uniform` through the inverse normal distribution function. Returns (m,)."""
    return np.asarray(ndtri(draw_uniform(seed, stream, subjects, time)))

"""Streams of luck: random numbers that depend on seed, stream, subject and time alone.

There is no generator with a state. A draw is a function of (seed, stream name, subject, time), so that the same
subject meets the same luck whatever protocol version, chunk, thread or order it runs in. The bits come from
Philox4x32-10 (Salmon JK et al., "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011), checked in the tests
against the known answers that its authors publish.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
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
    _philox()(key & _MASK, key >> 32, low.ctypes.data, high.ctypes.data, words.ctypes.data, low.size)
    return words


@cache
def _philox() -> Callable[[int, int, int, int, int, int], None]:
    library = load_code(Path(__file__).read_bytes(), _write_philox)
    whole, place = ctypes.c_uint64, ctypes.c_void_p
    function = ctypes.CFUNCTYPE(None, whole, whole, place, place, place, whole)
    call = function(library.get_function_address("words"))

    def words(key_low: int, key_high: int, low: int, high: int, out: int, count: int) -> None:
        _ = library  # keeps the code in memory
        call(key_low, key_high, low, high, out, count)

    return words


def _write_philox(_: int) -> str:
    """LLVM IR of `words(key_low, key_high, low, high, out, count)`. Multipliers and key increments are those of the paper."""
    from llvmlite import ir

    whole, pointer = ir.IntType(64), ir.PointerType()
    module = ir.Module(name="luck")
    kind = ir.FunctionType(ir.VoidType(), [whole, whole, pointer, pointer, pointer, whole])
    function = ir.Function(module, kind, name="words")
    key_low, key_high, low, high, out, count = function.args
    before, body, after = (function.append_basic_block(name) for name in ("before", "body", "after"))
    b = ir.IRBuilder(before)
    b.cbranch(b.icmp_unsigned(">", count, whole(0)), body, after)
    b.position_at_end(body)
    i = b.phi(whole)
    i.add_incoming(whole(0), before)

    def at(base: Any) -> Any:
        return b.gep(base, [i], inbounds=True, source_etype=whole)

    mask, half = whole(_MASK), whole(32)
    first, second = b.load(at(low), typ=whole), b.load(at(high), typ=whole)
    c0, c1, c2, c3 = b.and_(first, mask), b.lshr(first, half), b.and_(second, mask), b.lshr(second, half)
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
    b.store(b.or_(b.shl(c0, half), c1), at(out))
    following = b.add(i, whole(1))
    i.add_incoming(following, body)
    b.cbranch(b.icmp_unsigned("<", following, count), body, after)
    b.position_at_end(after)
    b.ret_void()
    return str(module)


def stream_key(seed: int, stream: str) -> int:
    """The 64-bit Philox key of a stream: BLAKE2b of the seed (any integer) and the stream's name."""
    return int.from_bytes(blake2b(f"{seed}|{stream}".encode(), digest_size=8).digest(), "little")


def draw_uniform(seed: int, stream: str, subjects: IntArray, time: int | IntArray = 0) -> FloatArray:
    """Uniform numbers in the open interval (0, 1).

    `subjects` (m,) are global indices of subjects, `time` one integer or (m,) integers: a day, or which try.
    Returns (m,). Negative times are allowed and distinct.
    """
    times = np.empty(subjects.size, dtype=np.int64)
    times[:] = time
    words = philox_words(subjects, times, stream_key(seed, stream))
    # 53 bits, moved by half a step: never 0, never 1
    return np.asarray(((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def draw_normal(seed: int, stream: str, subjects: IntArray, time: int | IntArray = 0) -> FloatArray:
    """Standard normal numbers: `draw_uniform` through the inverse normal distribution function. Returns (m,)."""
    return np.asarray(ndtri(draw_uniform(seed, stream, subjects, time)))

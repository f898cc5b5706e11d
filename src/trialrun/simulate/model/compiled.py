"""Compiled kernels: one for each model and option set, named by what is in it, kept on disk as machine code."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.machine import load_code
from trialrun.simulate.model.generate import LANES, Program, generate
from trialrun.simulate.model.module import Model
from trialrun.simulate.model.native import write_ir

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Bits = NDArray[np.unsignedinteger[Any]]
_BITS = np.dtype(f"uint{LANES}")  # one for each lane of a block
_LINE = 64  # bytes
# What turns a model into IR: a kernel of an older version is not used.
_WRITERS = (
    "native.py",
    "vectors.py",
    "generate.py",
    "exact_drug.py",
    "driven.py",
    "steps.py",
    "runge_kutta.py",
    "statements.py",
)


class Kernel:
    """The compiled equations of a model: see compile_model."""

    def __init__(self, model: Model) -> None:
        self.program = generate(model)
        self._library = _library(self.program)  # keeps the code in memory
        pointer, whole = ctypes.c_void_p, ctypes.c_int64
        prepare, advance = (self._library.get_function_address(name) for name in ("prepare", "advance"))
        self._prepare = ctypes.CFUNCTYPE(None, pointer, pointer, whole)(prepare)
        kinds = (pointer, pointer, pointer, whole, whole, whole, pointer, whole, whole, pointer)
        self._advance = ctypes.CFUNCTYPE(whole, *kinds)(advance)

    def prepare(self, constants: FloatArray) -> FloatArray:
        """The numbers of subjects, from their `constants` (blocks, constants, LANES): these, and what follows from them alone.
        For `advance`, (blocks, numbers, LANES)."""
        blocks = constants.shape[0]
        _check(constants, (blocks, self.program.constants, LANES))
        numbers = _at_line((blocks, self.program.stride, LANES))
        self._prepare(constants.ctypes.data, numbers.ctypes.data, blocks)
        return numbers

    def advance(
        self, states: FloatArray, numbers: FloatArray, inputs: FloatArray, days: int, ends: FloatArray | None = None
    ) -> int:
        """Move blocks of subjects on by whole days with the same inputs each day, in place.

        `states` (blocks, states, LANES), `numbers` as `prepare` made them, `inputs` (blocks, inputs, LANES) in the order of the
        model, C-contiguous. Returns how often a day's steps were doubled at most, or -b - 1 where a day of block b cannot be
        solved. `ends` (blocks, days, states, LANES), if given, is filled with the states at the end of each day.
        Memory: one working array, whatever the number of blocks. Other threads run meanwhile.
        """
        blocks, program = states.shape[0], self.program
        self._check_blocks(states, numbers, inputs)
        if ends is not None:
            _check(ends, (blocks, days, program.states, LANES))
        return self._move(states, numbers, inputs, days, ends, 0, program.doublings, None)

    def advance_day(self, states: FloatArray, numbers: FloatArray, inputs: FloatArray) -> int:
        """As `advance` by one day, with the same results, and quicker where a few of many subjects need shorter steps: they
        are put together for them, so that the others of their blocks need not wait.

        Returns how often steps were doubled at most, or -s - 1 where the day of subject s (counted over the blocks) cannot
        be solved; the states of others are then those of the end of the day.
        """
        self._check_blocks(states, numbers, inputs)
        waiting = np.empty(states.shape[0], dtype=_BITS)
        most = self._move(states, numbers, inputs, 1, None, 0, 0, waiting)
        late = _find_lanes(waiting)
        for doubling in range(1, self.program.doublings + 1):
            if not late.size:
                break
            deepest, still = self._move_apart(states, numbers, inputs, late, doubling)
            most, late = max(most, deepest), late[still]
        return -int(late[0]) - 1 if late.size else most

    def _move_apart(
        self, states: FloatArray, numbers: FloatArray, inputs: FloatArray, late: IntArray, doubling: int
    ) -> tuple[int, BoolArray]:
        """Move these lanes (k,) on by a day with steps doubled so often, in place: how often they were at most, and which lanes
        (k,) need still shorter ones. They are spread evenly over as few blocks as hold them."""
        blocks = -(-late.size // LANES)
        used = -(-late.size // blocks)
        place = np.arange(blocks * LANES).reshape(blocks, LANES)
        # lanes without a subject of their own are given one of the others, so that none holds what nobody has
        place = np.minimum(np.minimum(place % LANES, used - 1) + used * (place // LANES), late.size - 1)
        at = late[place.ravel()]
        own, given = (_gather(array, at) for array in (states, inputs))
        # what follows from the constants is worked out anew for shorter steps
        constant = _at_line((blocks, self.program.stride, LANES))
        constant[:, : self.program.constants] = _gather(numbers[:, : self.program.constants], at)
        waiting = np.empty(blocks, dtype=_BITS)
        most = self._move(own, constant, given, 1, None, doubling, doubling, waiting, used)
        lanes = np.arange(late.size) // used, np.arange(late.size) % used
        states[late // LANES, :, late % LANES] = own[lanes[0], :, lanes[1]]
        return most, (waiting[lanes[0]] >> lanes[1].astype(_BITS)) & 1 == 1

    def _check_blocks(self, states: FloatArray, numbers: FloatArray, inputs: FloatArray) -> None:
        program = self.program
        for array, rows in ((states, program.states), (numbers, program.stride), (inputs, program.inputs)):
            _check(array, (states.shape[0], rows, LANES))

    def _move(
        self,
        states: FloatArray,
        numbers: FloatArray,
        inputs: FloatArray,
        days: int,
        ends: FloatArray | None,
        first: int,
        last: int,
        waiting: Bits | None,
        used: int = LANES,
    ) -> int:
        """Days of the first `used` lanes of each block with steps doubled `first` to `last` times, more often where all of a
        block need it; lanes for which that is not enough keep their states, and `waiting` (blocks,), if given, has a bit for
        each."""
        arrays = (states.ctypes.data, numbers.ctypes.data, inputs.ctypes.data)
        place, bits = (None if array is None else array.ctypes.data for array in (ends, waiting))
        return int(self._advance(*arrays, states.shape[0], used, days, place, first, last, bits))


def _find_lanes(bits: Bits) -> IntArray:
    """The lanes (k,), counted over the blocks, whose bits are set."""
    return np.flatnonzero((bits[:, None] >> np.arange(LANES, dtype=_BITS)) & 1)


def _gather(array: FloatArray, lanes: IntArray) -> FloatArray:
    """These lanes of an array (blocks, rows, LANES), as many as fill whole blocks, as blocks of their own."""
    rows = array[lanes // LANES, :, lanes % LANES]
    return np.ascontiguousarray(rows.reshape(-1, LANES, array.shape[1]).transpose(0, 2, 1))


def _at_line(shape: tuple[int, ...]) -> FloatArray:
    """An array that begins where a line of the processor's cache does: it is read in vectors as long as a line."""
    size = int(np.prod(shape)) * 8
    room = np.empty(size + _LINE, dtype=np.uint8)
    first = -room.ctypes.data % _LINE
    return room[first : first + size].view(np.float64).reshape(shape)


def _check(array: FloatArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != np.float64 or not array.flags.c_contiguous:
        raise ValueError(f"expected a C-contiguous float64 array of shape {shape}: {array.shape}, {array.dtype}")


@cache
def compile_model(model: Model) -> Kernel:
    """The kernel of a model. The first use on a machine takes some seconds, later ones load it from disk."""
    return Kernel(model)


def _library(program: Program) -> Any:
    here = [Path(__file__).with_name(name).read_bytes() for name in _WRITERS]
    return load_code(b"".join([program.text.encode(), *here]), lambda width: write_ir(program, width))

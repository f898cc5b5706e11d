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
# What turns a model into IR: a kernel of an older version is not used.
_WRITERS = ("native.py", "vectors.py", "generate.py", "exact_drug.py", "runge_kutta.py", "statements.py")


class Kernel:
    """The compiled equations of a model: see compile_model."""

    def __init__(self, model: Model) -> None:
        self.program = generate(model)
        self._library = _library(self.program)  # keeps the code in memory
        pointer, whole = ctypes.c_void_p, ctypes.c_int64
        prepare, advance = (self._library.get_function_address(name) for name in ("prepare", "advance"))
        self._prepare = ctypes.CFUNCTYPE(None, pointer, pointer, whole)(prepare)
        self._advance = ctypes.CFUNCTYPE(whole, pointer, pointer, pointer, whole, whole, pointer)(advance)

    def prepare(self, constants: FloatArray) -> FloatArray:
        """The numbers of subjects, from their `constants` (blocks, constants, LANES): these, and what follows from them alone.
        For `advance`, (blocks, numbers, LANES)."""
        blocks = constants.shape[0]
        _check(constants, (blocks, self.program.constants, LANES))
        numbers = np.empty((blocks, self.program.numbers, LANES))
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
        _check(states, (blocks, program.states, LANES))
        _check(numbers, (blocks, program.numbers, LANES))
        _check(inputs, (blocks, program.inputs, LANES))
        if ends is not None:
            _check(ends, (blocks, days, program.states, LANES))
        arrays = (states.ctypes.data, numbers.ctypes.data, inputs.ctypes.data)
        return int(self._advance(*arrays, blocks, days, None if ends is None else ends.ctypes.data))


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

"""Compiled kernels: one for each model and option set, named by what is in it, kept on disk as machine code."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.machine import load_code
from trialrun.simulate.model.generate import LANES, Program, generate
from trialrun.simulate.model.module import Model
from trialrun.simulate.model.native import write_ir

FloatArray = NDArray[np.float64]
# What turns a model into IR: a kernel of an older version is not used.
_WRITERS = ("native.py", "generate.py", "exact_drug.py", "runge_kutta.py", "statements.py")


class Advance(Protocol):
    """The compiled function of a model: see compile_model."""

    def __call__(
        self,
        states: FloatArray,
        constants: FloatArray,
        inputs: FloatArray,
        days: int,
        ends: FloatArray | None = None,
        /,
    ) -> int:
        """Move all blocks on by whole days."""
        ...


def compile_model(model: Model) -> Advance:
    """The compiled `advance` of a model. The first use on a machine takes some seconds, later ones load it from disk.

    `advance(states, constants, inputs, days[, ends])` moves blocks of subjects on by whole days with the same inputs each day, in
    place: `states` (blocks, states, LANES), `constants` (blocks, constants, LANES), `inputs` (blocks, inputs, LANES) in the
    order of the model, C-contiguous. It returns how often a day's steps were doubled at most, or -b - 1 where a day of block
    b cannot be solved. `ends` (blocks, days, states, LANES), if given, is filled with the states at the end of each day.
    Memory: one working array, whatever the number of blocks. Other threads run meanwhile.
    """
    return _compiled(model)


@cache
def _compiled(model: Model) -> Advance:
    program = generate(model)
    library = _library(program)
    address = library.get_function_address("advance")
    pointer, whole = ctypes.c_void_p, ctypes.c_int64
    call = ctypes.CFUNCTYPE(whole, pointer, pointer, pointer, whole, whole, pointer)(address)
    shapes: list[tuple[int, ...]] = [(program.states, LANES), (program.constants, LANES), (program.inputs, LANES)]

    def advance(
        states: FloatArray,
        constants: FloatArray,
        inputs: FloatArray,
        days: int,
        ends: FloatArray | None = None,
        /,
    ) -> int:
        given = list(zip((states, constants, inputs), shapes, strict=True))
        if ends is not None:
            given.append((ends, (days, *shapes[0])))
        for array, shape in given:
            if array.shape != (states.shape[0], *shape) or array.dtype != np.float64 or not array.flags.c_contiguous:
                raise ValueError(
                    f"expected a C-contiguous float64 array of shape ({states.shape[0]}, {shape}): {array.shape}"
                )
        _ = library  # keeps the code in memory
        kept = None if ends is None else ends.ctypes.data
        return int(call(states.ctypes.data, constants.ctypes.data, inputs.ctypes.data, states.shape[0], days, kept))

    return advance


def _library(program: Program) -> Any:
    here = [Path(__file__).with_name(name).read_bytes() for name in _WRITERS]
    return load_code(b"".join([program.text.encode(), *here]), lambda width: write_ir(program, width))

"""Compiled kernels: one for each model and option set, named by what is in it, kept on disk as machine code."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.model.generate import LANES, Program, generate
from trialrun.simulate.model.module import Model
from trialrun.simulate.model.native import write_ir

FloatArray = NDArray[np.float64]
Advance = Callable[[FloatArray, FloatArray, FloatArray, int], int]


def kernel_folder() -> Path:
    """Where kernels are kept: TRIALRUN_CACHE, else the user's cache folder; a temporary one if that cannot be written."""
    named = os.environ.get("TRIALRUN_CACHE")
    folder = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trialrun"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="trialrun-"))


def compile_model(model: Model) -> Advance:
    """The compiled `advance` of a model. The first use on a machine takes some seconds, later ones load it from disk.

    `advance(states, constants, inputs, days)` moves blocks of subjects on by whole days with the same inputs each day, in
    place: `states` (blocks, states, LANES), `constants` (blocks, constants, LANES), `inputs` (blocks, inputs, LANES) in the
    order of the model, C-contiguous. It returns how often a day's steps were doubled at most, or -b - 1 where a day of block
    b cannot be solved. Memory: one working array, whatever the number of blocks. Other threads run meanwhile.
    """
    return _compiled(model)


@cache
def _compiled(model: Model) -> Advance:
    program = generate(model)
    library = _library(program)
    address = library.get_function_address("advance")
    pointer, whole = ctypes.c_void_p, ctypes.c_int64
    call = ctypes.CFUNCTYPE(whole, pointer, pointer, pointer, whole, whole)(address)
    shapes = [(program.states, LANES), (program.constants, LANES), (program.inputs, LANES)]

    def advance(states: FloatArray, constants: FloatArray, inputs: FloatArray, days: int) -> int:
        for array, shape in zip((states, constants, inputs), shapes, strict=True):
            if array.shape != (states.shape[0], *shape) or array.dtype != np.float64 or not array.flags.c_contiguous:
                raise ValueError(
                    f"expected a C-contiguous float64 array of shape ({states.shape[0]}, {shape}): {array.shape}"
                )
        _ = library  # keeps the code in memory
        return int(call(states.ctypes.data, constants.ctypes.data, inputs.ctypes.data, states.shape[0], days))

    return advance


def _library(program: Program) -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    width = 8 if features.get("avx512f", False) else 4
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3, jit=True)
    said = (
        program.text,
        llvm.get_host_cpu_name(),
        features.flatten(),
        llvmlite.__version__,
        str(width),
        write_ir.__module__,
    )
    here = [Path(__file__).with_name(name).read_bytes() for name in ("native.py", "generate.py")]
    digest = blake2b(b"".join([*(part.encode() for part in said), *here]), digest_size=12).hexdigest()
    file = kernel_folder() / f"kernel-{digest}.o"
    code = file.read_bytes() if file.exists() else _machine_code(program, width, machine)
    if not file.exists():
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as part:
            part.write(code)
        Path(part.name).replace(file)  # whole or not at all: two processes may come at once
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _machine_code(program: Program, width: int, machine: Any) -> bytes:
    module = llvm.parse_assembly(write_ir(program, width))
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code

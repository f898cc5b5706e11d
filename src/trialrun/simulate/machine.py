"""Machine code from LLVM IR, kept on disk under a name of its content: the second use on a machine only loads it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from trialrun.vocab.cache import cache_folder, write_whole


def load_code(source: bytes, write_ir: Callable[[int], str]) -> Any:
    """The engine that holds the machine code; `get_function_address` of it gives its functions.

    `write_ir(width)` writes the IR for vectors of so many float64 numbers; `source` is everything that its answer depends
    on, so that it need not be called where the code is on disk.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    width = 8 if features.get("avx512f", False) else 4
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3, jit=True)
    said = (llvm.get_host_cpu_name(), features.flatten(), llvmlite.__version__, str(width))
    digest = blake2b(b"".join([source, *(part.encode() for part in said)]), digest_size=12).hexdigest()
    file = (cache_folder() or Path(tempfile.mkdtemp(prefix="trialrun-"))) / f"kernel-{digest}.o"
    code = file.read_bytes() if file.exists() else _compile(write_ir(width), machine)
    if not file.exists():
        write_whole(file, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _compile(ir: str, machine: Any) -> bytes:
    module = llvm.parse_assembly(ir)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code

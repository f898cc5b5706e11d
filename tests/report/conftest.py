from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trialrun.analysis.run import Run, read_run

ROOT = Path(__file__).parents[2]
Write = Callable[..., Path]


@pytest.fixture(scope="session")
def write_run() -> Write:
    """Writes a run directory with made-up numbers, the study's published facts inside."""
    spec = importlib.util.spec_from_file_location("made_up_run", ROOT / "tests/analysis/made_up_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def write(directory: Path, **options: int) -> Path:
        module.write_made_up_run(directory, **options)
        shutil.copy(ROOT / "studies/lenalidomide-cll/published.yaml", directory)
        return directory

    return write


@pytest.fixture(scope="session")
def run(write_run: Write, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read_run(write_run(tmp_path_factory.mktemp("run"), subjects=60, cycles=4))

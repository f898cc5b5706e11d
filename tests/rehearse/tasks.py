"""What the tests of this folder share; tasks stand here because other processes look for them in a module."""

from __future__ import annotations

import os
import signal
import time
from datetime import date
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "studies"
DAY = date(2026, 1, 1)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a run directory by its path in it."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def square(number: int, folder: str) -> int:
    """The square, and a file for each time that it was asked."""
    (Path(folder) / f"{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
    return number * number


def square_or_die(number: int, folder: str, dies: int) -> int:
    """As `square`; the process that first comes to the number `dies` is killed there."""
    if number == dies and _is_first(folder, "killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number, folder)


def slow_square(number: int) -> int:
    """The square, after a while."""
    time.sleep(0.1)
    return number * number


def tell_process(number: int) -> int:
    """Who did it; it takes so long that another process is not through before this one has begun."""
    time.sleep(0.1)
    return os.getpid()


def always_die(number: int, dies: int) -> int:
    """The square; whoever comes to the number `dies` is killed, each time."""
    if number == dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def make_chunk_or_die(
    folder: str, packed: bytes, arm: int, first: int, n: int, keep_record: bool
) -> tuple[int, int, int, dict[str, bytes]]:
    """A chunk; the worker that first makes the one from subject 32 on is killed when it has half done it. `folder` tells
    who made what."""
    from trialrun.rehearse.run import make_chunk  # other processes that read this module need not load it

    (Path(folder) / f"{arm}-{first}-{os.getpid()}-{time.monotonic_ns()}").touch()
    made = make_chunk(packed, arm, first, n, keep_record)
    if first == 32 and _is_first(folder, "killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return made


def _is_first(folder: str, name: str) -> bool:
    try:
        (Path(folder) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

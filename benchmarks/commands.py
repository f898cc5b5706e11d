"""What a user waits for: `--help`, and `compare` of 2,000 subjects over 12 cycles, cold and warm, beside starting Python.

`python benchmarks/commands.py [subjects]`. Cold: no kernel has been compiled on this machine. Files were read
before in both. Python may keep its byte code, as it does of what is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

STUDY = Path(__file__).resolve().parents[1] / "studies" / "lenalidomide-cll"


def measure(command: Sequence[str], times: int, cache: str | None = None) -> float:
    """The shortest of so many runs, seconds. A command that fails is an error."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {} if cache is None else {"TRIALRUN_CACHE": cache}
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment)
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    subjects = sys.argv[1] if len(sys.argv) > 1 else "2000"
    trialrun = [sys.executable, "-m", "trialrun"]
    python = measure([sys.executable, "-c", "pass"], 10)
    shown = measure([*trialrun, "--help"], 10)
    print(f"python -c pass                       {python:>7.2f} s")
    print(f"trialrun --help                      {shown:>7.2f} s   {shown / python:.0f} x starting Python")
    with tempfile.TemporaryDirectory() as folder:
        versions = [f"{STUDY}@original", f"{STUDY}@amendment-1"]
        compare = [*trialrun, "compare", *versions, "--subjects", subjects, "--out", f"{folder}/out"]
        cold = measure(compare, 1, f"{folder}/cache")
        warm = measure(compare, 3, f"{folder}/cache")
    print(f"compare of {subjects}, two versions, cold {cold:>7.2f} s")
    print(f"compare of {subjects}, two versions, warm {warm:>7.2f} s   cold takes {cold / warm:.2f} x this")


if __name__ == "__main__":
    main()

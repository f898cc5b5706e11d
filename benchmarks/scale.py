"""Whole rehearsals: subjects a second, processor time, memory, and one worker against two, all in one run.

`python benchmarks/scale.py [subjects] [workers ...]`, by default 65,536 subjects with 1 and with 2 workers. A million subjects
of 12 cycles: `python benchmarks/scale.py 1000000 2`. Outcomes alone are kept, as one would with so many. A run of more than
100,000 subjects that was interrupted goes on when the same line is given again; its figures are then those of the rest.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from datetime import date
from pathlib import Path

import psutil

from trialrun.rehearse import Request, Where, rehearse

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS = 65_536  # a quarter of them is still two chunks, which two workers share
LARGE = 100_000  # above it a run is made once, without the quarter, and goes on when interrupted
CYCLES = 12
TRIAL = 25  # subjects of one virtual trial


class Memory:
    """The memory of this process and its children together, looked at while something runs; megabytes.

    Each process counts what is its own (USS), so that shared libraries do not count twice.
    """

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.2):
            total = 0.0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_full_info().uss
                except psutil.Error:  # it has just ended
                    continue
            self.peak = max(self.peak, total / 2**20)


def _processor_seconds() -> float:
    """Of this process and of all its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def measure(subjects: int, workers: int, out: Path) -> tuple[float, float, float]:
    """A whole run (reading, simulation, outcomes, summary): seconds, seconds of processors, and peak memory in MB."""
    protocol = ROOT / "studies" / "lenalidomide-cll"
    trials = max(1, subjects // TRIAL)
    request = Request(((str(protocol), "amendment-1"),), None, subjects // trials, trials, 1, CYCLES)
    told = time.perf_counter()
    done = 0

    def progress(n: int) -> None:
        nonlocal told, done
        done += n
        if sys.stderr.isatty() or time.perf_counter() - told > 60:
            told = time.perf_counter()
            print(f"  {done:,} of {request.subjects * trials:,} subjects", file=sys.stderr, flush=True)

    with Memory() as memory:
        started, used = time.perf_counter(), _processor_seconds()
        resume = subjects > LARGE
        rehearse(request, out, date.today(), progress=progress, where=Where(workers), resume=resume, keep_record=False)
        seconds, used = time.perf_counter() - started, _processor_seconds() - used
    return seconds, used, memory.peak


def main() -> None:
    subjects = int(sys.argv[1]) if len(sys.argv) > 1 else SUBJECTS
    workers = [int(word) for word in sys.argv[2:]] or [1, 2]
    busy = os.getloadavg()[0]
    print(f"{subjects:,} subjects, {CYCLES} cycles, amendment-1, outcomes kept; processes start within the time")
    if busy > 0.5:
        print(
            f"the machine is busy (load {busy:.1f}): seconds and ratios below are not to be quoted, processor time is"
        )
    measure(2 * TRIAL, 1, ROOT / "out" / "scale" / "warm-up")  # compiles, loads
    first: dict[int, float] = {}
    for count in workers:
        for n in (subjects // 4, subjects) if subjects <= LARGE else (subjects,):
            seconds, used, peak = measure(n, count, ROOT / "out" / "scale" / f"{n}-{count}")
            ratio = first.setdefault(n, seconds) / seconds
            print(
                f"  {n:>9,} subjects {count:>2} workers {seconds:>8.1f} s {n / seconds:>7,.0f} a second  "
                f"{1000 * used / n:>5.1f} ms of processor each  {peak:>6,.0f} MB  {ratio:.2f} x {workers[0]} worker(s)",
                flush=True,
            )


if __name__ == "__main__":
    main()

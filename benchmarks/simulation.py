"""Speed of the biology: the compiled kernel against SciPy's LSODA on the same equations, in one run.

`python benchmarks/simulation.py [subjects] [days]` prints subjects x 168 days a second of each and the ratio.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from trialrun.simulate.biology import Biology
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import draw_subjects

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "simulate"))
from make_oracle import KERNEL_ORDER, planned_inputs  # noqa: E402
from reference import solve_days  # noqa: E402


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 84
    population = read_population(ROOT / "studies" / "lenalidomide-cll")
    inputs = planned_inputs("original", days)
    subjects = draw_subjects(population, 1, np.arange(n))
    biology = Biology(subjects)
    started = time.perf_counter()
    for today in inputs:
        given = {name: np.full(n, value) for name, value in today.items() if name != "dose"}
        biology.advance_day(np.full(n, today["dose"]), given)
    kernel = n * days / 168 / (time.perf_counter() - started)
    some, names = 3, subjects.model.states
    started = time.perf_counter()
    for i in range(some):
        start = np.array([subjects.states[names.index(name), i] if name in names else 0.0 for name in KERNEL_ORDER])
        numbers = dict(zip(subjects.model.constants, subjects.constants[:, i], strict=True))
        solve_days(start, numbers, inputs[:28], method="LSODA", rtol=1e-5)
    lsoda = some * 28 / 168 / (time.perf_counter() - started)
    print(f"{n} subjects, {days} days, one thread; subjects x 168 days a second")
    print(f"  kernel       {kernel:>10,.0f}")
    print(f"  SciPy LSODA  {lsoda:>10,.2f}   the kernel is {kernel / lsoda:,.0f} x this")


if __name__ == "__main__":
    main()

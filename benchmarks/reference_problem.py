"""The reference problem of kernels beside what one would pick instead, in one run at matched error.

`python benchmarks/reference_problem.py [patients]`. Each solver gets the loosest tolerance at which its largest error over
168 days, five outputs and 8 patients is at most 1e-4 against DOP853 at rtol 1e-10, and is then timed on one core. How many of
32 other patients lie above that is told beside it: a few have nearly no neutrophils, of which every solver is less sure.
numbalsoda is timed where it is installed (`pip install numbalsoda`; it compiles Fortran).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from simulate.reference_problem import (  # noqa: E402
    CYCLE,
    DAYS,
    DOSE,
    MODEL,
    NUMBERS,
    ON,
    draw_patients,
    error_of,
    first_state,
    one_of,
    run_days,
    run_spans,
    solve,
)
from trialrun.simulate.model.compiled import compile_model  # noqa: E402

CHECKED, OTHERS = 8, 32
ALLOWED = 1e-4
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
Patients = dict[str, np.ndarray]


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 16_000
    few, many = draw_patients(CHECKED, 1), draw_patients(n, 2)
    started = time.perf_counter()
    right = np.array([solve(one_of(few, i), "DOP853", 1e-10) for i in range(CHECKED)])
    print(f"reference for {CHECKED} patients: DOP853 at rtol 1e-10, {time.perf_counter() - started:.0f} s")
    print(f"{'':34}{'patients/s':>12}{'largest error':>15}")

    started = time.perf_counter()
    advance = compile_model(MODEL)
    run_days(advance, few)
    ready = time.perf_counter() - started
    worst = error_of(run_days(advance, few), right).max()
    spans = n / _best(lambda: run_spans(advance, many))
    days = n / _best(lambda: run_days(advance, many))
    _tell("kernel, spans between dose changes", spans, worst)
    _tell("kernel, outputs of every day", days, worst)
    others = draw_patients(OTHERS, 3)
    truth = np.array([solve(one_of(others, i), "DOP853", 1e-10) for i in range(OTHERS)])
    _tell_others(run_days(advance, others), truth)
    print(f"  {len(MODEL.grid)} steps a day with step control, float64, one core; ready after {ready:.2f} s")

    lsoda, found = _matched(lambda rtol: np.array([solve(one_of(few, i), "LSODA", rtol) for i in range(2)]), right[:2])
    started = time.perf_counter()
    _ = [solve(one_of(few, i), "LSODA", lsoda) for i in range(3)]
    rate = 3 / (time.perf_counter() - started)
    _tell(f"SciPy LSODA, rtol {lsoda:g}", rate, found)
    _tell_others(np.array([solve(one_of(others, i), "LSODA", lsoda) for i in range(OTHERS)]), truth)
    print(f"  the kernel is {spans / rate:,.0f} x this ({days / rate:,.0f} x with outputs of every day)")

    steps, found = _numpy(few, right)
    rows = 1000
    started = time.perf_counter()
    _rk4({name: column[:rows] for name, column in many.items()}, steps, CYCLE)
    rate = rows * CYCLE / DAYS / (time.perf_counter() - started)
    _tell(f"NumPy arrays, RK4, {steps} steps a day", rate, found)
    print(f"  the kernel is {spans / rate:,.0f} x this")

    try:
        import numbalsoda  # noqa: F401
    except ImportError:
        print("numbalsoda is not installed: not compared")
        return
    run = _numbalsoda()
    rtol, found = _matched(lambda rtol: run(few, rtol), right)
    some = {name: column[:200] for name, column in many.items()}
    rate = 200 / _best(lambda: run(some, rtol))
    _tell(f"numbalsoda DOP853, rtol {rtol:g}", rate, found)
    _tell_others(run(others, rtol), truth)
    print(f"  the kernel is {spans / rate:,.0f} x this ({days / rate:,.0f} x with outputs of every day)")


def _tell(name: str, rate: float, error: float) -> None:
    print(f"{name:<34}{rate:>12,.1f}{error:>15.1e}", flush=True)


def _tell_others(found: np.ndarray, right: np.ndarray) -> None:
    errors = np.array([error_of(found[i : i + 1], right[i : i + 1]).max() for i in range(len(right))])
    print(
        f"  {(errors > ALLOWED).sum()} of {errors.size} other patients above {ALLOWED:g}, the largest {errors.max():.1e}"
    )


def _best(run: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _matched(run: Callable[[float], np.ndarray], right: np.ndarray) -> tuple[float, float]:
    """The loosest tolerance that stays within the allowed error, and its error."""
    for rtol in TOLERANCES:
        worst = float(error_of(run(rtol), right).max())
        if worst <= ALLOWED:
            return rtol, worst
    raise SystemExit(f"no tolerance down to {TOLERANCES[-1]:g} stays within {ALLOWED:g}")


def _numpy(few: Patients, right: np.ndarray) -> tuple[int, float]:
    """How many steps a day plain Runge-Kutta needs over whole arrays, and its error."""
    for steps in (96, 192, 384, 768):
        worst = float(error_of(_rk4(few, steps), right).max())
        if worst <= ALLOWED:
            return steps, worst
    raise SystemExit("plain Runge-Kutta stays above the allowed error")


def _rk4(p: Patients, steps: int, days: int = DAYS) -> np.ndarray:
    """Classical Runge-Kutta with a fixed step, all states of all patients as arrays."""
    h = 1.0 / steps
    zero = np.zeros_like(p["n0"])
    y = np.array([zero, zero, *[p["n0"]] * 5, zero, p["base"], zero + 1, zero, zero + 5])
    ktr = p["ktr"]

    def slopes(y: np.ndarray) -> np.ndarray:
        gut, central, prol, t1, t2, t3, circ, eff, sens, res, dying, product = y
        c, room = central / p["v"], 1 - 0.001 * (sens + res)
        killed, cleared, taken = p["kill"] * eff * sens, p["clear"] * dying, p["ka"] * gut
        return np.array(
            [
                -taken,
                taken - p["cl"] / p["v"] * central,
                ktr * prol * ((1 - p["slope"] * c) * (p["n0"] / circ) ** p["gamma"] - 1),
                ktr * (prol - t1),
                ktr * (t1 - t2),
                ktr * (t2 - t3),
                ktr * (t3 - circ),
                p["k_eff"] * (c / (p["ec50"] + c) - eff),
                p["growth"] * sens * room - killed,
                p["growth_r"] * res * room,
                killed - cleared,
                p["out"] * (5 - product) + 0.05 * cleared,
            ]
        )

    found = np.empty((days, 5, p["n0"].size))
    for day in range(days):
        if day % CYCLE < ON:
            y[0] += DOSE
        for _ in range(steps):
            k1 = slopes(y)
            k2 = slopes(y + h / 2 * k1)
            k3 = slopes(y + h / 2 * k2)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + slopes(y + h * k3))
        found[day] = [y[1] / p["v"], y[6], y[7], y[8] + y[9], y[11]]
    return found.transpose(2, 0, 1)


def _numbalsoda() -> Callable[[Patients, float], np.ndarray]:
    """DOP853 of numbalsoda, compiled with its right-hand side; one patient after the other."""
    import numba
    from numbalsoda import dop853, lsoda_sig

    names = (*NUMBERS, "ktr")
    ka, cl, v, n0, gamma, slope, k_eff, ec50, growth, growth_r, kill, clear, out, ktr = (
        names.index(name) for name in
        ("ka", "cl", "v", "n0", "gamma", "slope", "k_eff", "ec50", "growth", "growth_r", "kill", "clear", "out", "ktr")
    )  # fmt: skip

    @numba.cfunc(lsoda_sig)  # type: ignore[untyped-decorator]
    def slopes(t, y_, dy, p_):  # type: ignore[no-untyped-def]
        y, p = numba.carray(y_, (12,)), numba.carray(p_, (16,))
        c = y[1] / p[v]
        room = 1 - 0.001 * (y[8] + y[9])
        killed = p[kill] * y[7] * y[8]
        dy[0] = -p[ka] * y[0]
        dy[1] = p[ka] * y[0] - p[cl] / p[v] * y[1]
        dy[2] = p[ktr] * y[2] * ((1 - p[slope] * c) * (p[n0] / y[6]) ** p[gamma] - 1)
        dy[3] = p[ktr] * (y[2] - y[3])
        dy[4] = p[ktr] * (y[3] - y[4])
        dy[5] = p[ktr] * (y[4] - y[5])
        dy[6] = p[ktr] * (y[5] - y[6])
        dy[7] = p[k_eff] * (c / (p[ec50] + c) - y[7])
        dy[8] = p[growth] * y[8] * room - killed
        dy[9] = p[growth_r] * y[9] * room
        dy[10] = killed - p[clear] * y[10]
        dy[11] = p[out] * (5 - y[11]) + 0.05 * p[clear] * y[10]

    address = slopes.address

    @numba.njit  # type: ignore[untyped-decorator]
    def run_all(numbers, first, rtol):  # type: ignore[no-untyped-def]
        found = np.empty((first.shape[0], DAYS, 5))
        times = np.array([0.0, 1.0])
        for i in range(first.shape[0]):
            y = first[i].copy()
            for day in range(DAYS):
                if day % CYCLE < ON:
                    y[0] += DOSE
                path, _ = dop853(address, y, times, numbers[i], rtol, rtol * 1e-2)
                y[:] = path[1]
                found[i, day] = (y[1] / numbers[i, v], y[6], y[7], y[8] + y[9], y[11])
        return found

    def run(patients: Patients, rtol: float) -> np.ndarray:
        count = patients["ka"].size
        numbers = np.ascontiguousarray(np.array([patients[name] for name in names]).T)
        first = np.array([first_state(one_of(patients, i)) for i in range(count)])
        answer: np.ndarray = run_all(numbers, first, rtol)
        return answer

    return run


if __name__ == "__main__":
    main()

"""Speed and memory of the biology: the compiled kernel against NumPy and SciPy on the same equations, in one run.

`python benchmarks/simulation.py [subjects] [days]` prints subject-days a second of each, the ratios, and peak memory.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.biology import Biology
from trialrun.simulate.layout import CONSTANTS, STATES
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "simulate"))
from make_oracle import KERNEL_ORDER, planned_inputs  # noqa: E402
from reference import AT, ORDER, solve_days  # noqa: E402

FloatArray = NDArray[np.float64]
STEPS = 160  # equal steps a day of the NumPy version: the fastest absorption (12 /h) is unstable below about 110


def hill(x: FloatArray, half: FloatArray) -> FloatArray:
    return np.asarray(x / (half + x))


def slopes(y: FloatArray, p: Mapping[str, FloatArray], today: Mapping[str, float], cl: FloatArray) -> FloatArray:
    """The right-hand side for all subjects at once, (41, n): what one would write without a compiler."""
    s = dict(zip(ORDER, y, strict=True))
    d: dict[str, FloatArray] = {}
    d["Ad"] = -p["absorption_rate"] * s["Ad"]
    d["Ac"] = p["absorption_rate"] * s["Ad"] - cl / p["volume"] * s["Ac"]
    d["Ce"] = p["effect_rate"] * (1000.0 * s["Ac"] / p["volume"] - s["Ce"])
    d["auc"] = s["Ac"] / p["volume"]
    a = hill(s["Ce"], p["activation_ec50"])
    over = np.maximum(s["A"] - s["T"], 0.0) ** p["inflammation_power"]
    d["A"] = p["activation_rate"] * (a - s["A"])
    d["T"] = p["tolerance_rate"] * (s["A"] - s["T"])
    drive = p["inflammation_gain"] * over * (1 - p["steroid_effect"] * today["steroid"])
    d["F"] = p["inflammation_rate"] * (drive - s["F"])
    d["I1"] = p["effector_rate"] * (a - s["I1"])
    d["I2"] = p["effector_rate"] * (s["I1"] - s["I2"])
    hm = hill(s["Ce"], p["homing_ec50"])
    acute = p["inflammation_kill"] * s["F"] ** 2 / (1 + s["F"])
    kill_t, kill_b = p["effector_kill"] * s["I2"] + acute, p["effector_kill"] * s["I2"] + 0.5 * acute
    egress = p["egress_rate"] * (1 - p["egress_block"] * hm)
    home = p["homing_rate"] * (1 + p["homing_gain"] * hm) * s["NB"]
    net = p["birth_rate"] - p["death_rate_tissue"]
    grow_l, grow_m = net * s["NL"], net * s["NM"] * (1 - s["NM"] / p["marrow_capacity"])
    d["NB"] = egress * (s["NL"] + s["NM"]) - home - (p["death_rate_blood"] + kill_b) * s["NB"]
    d["NL"] = grow_l - egress * s["NL"] + p["tissue_share"] * home - kill_t * s["NL"]
    d["NM"] = grow_m - egress * s["NM"] + (1 - p["tissue_share"]) * home - kill_t * s["NM"]
    d["lysed"] = p["lysis_rate"] * s["D"]
    d["D"] = kill_t * (s["NL"] + s["NM"]) + kill_b * s["NB"] - d["lysed"]
    d["born"] = grow_l + grow_m - p["death_rate_blood"] * s["NB"]
    crowd = hill(s["NM"], p["crowding_half"])
    room = 1 - p["crowding"] * crowd
    for x, chain, kind in (("N", ("n0", "n1", "n2", "n3"), "neutrophil"), ("P", ("p0", "p1", "p2", "p3"), "platelet")):
        k = p[f"{kind}_rate"]
        block = 1 - p[f"{kind}_emax"] * hill(s["Ce"], p[f"{kind}_ec50"])
        feedback = (p[f"{kind}_setpoint"] * room / s[x]) ** p[f"{kind}_feedback"]
        d[chain[0]] = k * s[chain[0]] * (block * feedback - 1)
        for before, after in zip(chain, (*chain[1:], x), strict=True):
            d[after] = k * (s[before] - s[after])
    goal = p["hemoglobin_setpoint"] * (1 - p["hemoglobin_crowding"] * crowd) * (1 - p["hemoglobin_effect"] * a)
    d["Hb"] = p["hemoglobin_rate"] * (goal - s["Hb"])
    gd = s["G"] * p["gfr"]
    d["u_made"] = (1 - p["allopurinol_block"] * s["al"]) * (p["urate_production"] + p["urate_yield"] * d["lysed"])
    renal = p["urate_excretion"] * gd * s["U"]
    d["u_out"] = p["urate_gut_clearance"] * s["U"] + renal
    d["u_ox"] = p["rasburicase_kill"] * s["Ras"] * s["U"] * p["urate_volume"]
    d["U"] = (d["u_made"] - d["u_out"] - d["u_ox"]) / p["urate_volume"]
    d["al"] = p["allopurinol_rate"] * (today["allopurinol"] - s["al"])
    d["Ras"] = -p["rasburicase_decay"] * s["Ras"]
    d["S_sum"] = p["precipitation_rate"] * np.maximum(s["Ca"] * s["Ph"] - p["precipitation_limit"], 0.0)
    tm = p["phosphate_tm"] * (p["phosphate_baseline"] / s["Ph"]) ** p["phosphate_power"]
    d["ph_out"] = gd * np.maximum(s["Ph"] - tm, 0.0)
    given = p["phosphate_intake"] + p["phosphate_yield"] * d["lysed"]
    d["Ph"] = (given - d["ph_out"]) / p["phosphate_volume"] - d["S_sum"]
    d["k_out"] = p["potassium_intake"] * s["G"] ** p["potassium_gfr_power"]
    d["k_out"] = d["k_out"] * (s["K"] / p["potassium_baseline"]) ** p["potassium_power"]
    given = p["potassium_intake"] + p["potassium_yield"] * d["lysed"]
    d["K"] = (given - d["k_out"]) / p["potassium_volume"]
    d["ca_in"] = p["calcium_rate"] * (p["calcium_baseline"] - s["Ca"])
    d["Ca"] = d["ca_in"] - d["S_sum"]
    d["Cr"] = (p["creatinine_production"] - gd * s["Cr"]) / p["creatinine_volume"]
    flow = p["urine_flow_hydrated"] if today["hydration"] else p["urine_flow"]
    crystals = np.maximum(renal / flow / p["urate_threshold"] - 1, 0.0)
    target = 1 - p["inflammatory_gfr_loss"] * s["F"] ** 2 / (s["F"] ** 2 + p["inflammatory_gfr_half"])
    hurt = p["crystal_injury"] * crystals + p["precipitate_injury"] * d["S_sum"]
    d["G"] = p["recovery_rate"] * (target - s["G"]) - s["G"] * hurt
    return np.array([d[name] for name in ORDER])


def run_numpy(subjects: VirtualSubjects, inputs: list[dict[str, float]]) -> FloatArray:
    """Runge-Kutta of order 4 with equal steps on whole columns."""
    p = dict(zip(CONSTANTS, subjects.constants, strict=True))
    y = subjects.states[[STATES.index(name) for name in KERNEL_ORDER]]
    for today in inputs:
        y[AT["Ad"]] += today["dose"]
        cl = p["clearance"] * (1 - p["renal_fraction"] + p["renal_fraction"] * p["relative_crcl"] * y[AT["G"]])
        h = 1.0 / STEPS
        for _ in range(STEPS):
            k1 = slopes(y, p, today, cl)
            k2 = slopes(y + h / 2 * k1, p, today, cl)
            k3 = slopes(y + h / 2 * k2, p, today, cl)
            k4 = slopes(y + h * k3, p, today, cl)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return np.asarray(y)


def run_kernel(subjects: VirtualSubjects, inputs: list[dict[str, float]]) -> FloatArray:
    biology = Biology(subjects)
    n = subjects.index.size
    for today in inputs:
        given = {name: np.full(n, value) for name, value in today.items() if name != "dose"}
        biology.advance_day(np.full(n, today["dose"]), given)
    return np.array([biology.state(name) for name in KERNEL_ORDER])


def run_scipy(subjects: VirtualSubjects, inputs: list[dict[str, float]]) -> FloatArray:
    """LSODA at a tolerance that meets about the same error."""
    rows = [STATES.index(name) for name in KERNEL_ORDER]
    ends = []
    for i in range(subjects.index.size):
        p = dict(zip(CONSTANTS, subjects.constants[:, i], strict=True))
        ends.append(solve_days(subjects.states[rows, i], p, inputs, method="LSODA", rtol=1e-4)[-1])
    return np.array(ends).T


def measure(
    run: Callable[[VirtualSubjects, list[dict[str, float]]], FloatArray],
    subjects: VirtualSubjects,
    inputs: list[dict[str, float]],
) -> tuple[float, FloatArray]:
    """Subject-days a second, and the states at the end, (41, n)."""
    started = time.perf_counter()
    end = run(subjects, inputs)
    return subjects.index.size * len(inputs) / (time.perf_counter() - started), end


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 56
    population = read_population(ROOT / "studies" / "lenalidomide-cll")
    inputs = planned_inputs("original", days)
    some = draw_subjects(population, 1, np.arange(3))
    run_kernel(some, inputs[:1])  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kernel, _ = measure(run_kernel, draw_subjects(population, 1, np.arange(n)), inputs)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plain, _ = measure(run_numpy, draw_subjects(population, 1, np.arange(min(n, 1000))), inputs[:4])
    scipy, loose = measure(run_scipy, some, inputs[:28])
    found, same = run_kernel(some, inputs[:28]), run_numpy(some, inputs[:28])
    seen = [AT[name] for name in ("N", "P", "Hb", "U", "Ph", "K", "Ca", "Cr", "G")]
    exact = np.array(
        [
            solve_days(
                some.states[[STATES.index(name) for name in KERNEL_ORDER], i],
                dict(zip(CONSTANTS, some.constants[:, i], strict=True)),
                inputs[:28],
            )[-1]
            for i in range(3)
        ]
    ).T

    def error(end: FloatArray) -> float:
        return float(np.max(np.abs(end[seen] - exact[seen]) / np.abs(exact[seen])))

    print(f"{n} subjects, {days} days, one thread; subject-days a second, error of laboratory values after 28 days")
    for name, speed, end in (("kernel", kernel, found), ("NumPy RK4", plain, same), ("SciPy LSODA", scipy, loose)):
        print(f"  {name:<12}{speed:>12,.0f}   {error(end):.0e}   kernel is {kernel / speed:,.0f} x this")
    print(f"  subjects x 168 days a second: {kernel / 168:,.0f}")
    print(f"  peak memory {after / 1024:.0f} MB, of which {max(after - before, 0) / n:.1f} kB a subject")


if __name__ == "__main__":
    main()

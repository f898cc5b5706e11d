"""A problem of known size for kernels: its model as modules, its equations once more as a plain right-hand side.

One compartment with oral doses, a Friberg chain, a saturable effector, a tumour of sensitive and resistant cells, dying
mass and a lysis product: 12 states, 15 numbers that differ between patients. 10 mg on days 1 to 21 of each 28, 168 days.
Synthetic; the numbers are those of the statement, in its units (hours; here turned into days).
`python tests/simulate/reference_problem.py` makes reference_problem.npz again with DOP853 at rtol 1e-10.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from trialrun.simulate.model.compiled import Kernel
from trialrun.simulate.model.generate import LANES
from trialrun.simulate.model.module import Drug, Model, Module

FloatArray = NDArray[np.float64]

DAYS, ON, CYCLE, DOSE = 168, 21, 28, 10.0
OUTPUTS = ("concentration", "neutrophils", "effector", "burden", "product")
FLOORS = np.array([1e-4, 0.0, 1e-3, 0.0, 0.0])  # of the relative error: mg/L of concentration, and of the effector
KEPT = (*range(0, DAYS, 7), *range(2, DAYS, 28), *range(20, DAYS, 28))  # days of the recorded answers
PATIENTS, SEEDS = 24, (1, 5)  # whose answers are recorded
FILE = Path(__file__).with_name("reference_problem.npz")

# Median, and standard deviation of the logarithm; rates a hour.
NUMBERS = {
    "ka": (5.0, 0.35),
    "cl": (12.0, 0.25),
    "v": (60.0, 0.2),
    "mtt": (110.0, 0.2),
    "n0": (5.0, 0.3),
    "gamma": (0.17, 0.1),
    "slope": (4.0, 0.3),
    "k_eff": (0.05, 0.3),
    "ec50": (0.05, 0.3),
    "growth": (8e-4, 0.3),
    "growth_r": (4e-4, 0.4),
    "kill": (4e-3, 0.3),
    "clear": (0.03, 0.2),
    "out": (0.06, 0.2),
    "base": (100.0, 0.5),
}
HOURLY = ("ka", "cl", "k_eff", "growth", "growth_r", "kill", "clear", "out")

PHARMACOKINETICS = Module(
    "pharmacokinetics",
    "gut and one compartment",
    constants=("ka", "cl", "v", "ec50"),
    daily={"elimination": "cl / v"},
    jumps={"depot": "depot + dose"},
    drug=Drug(
        "ka", "elimination", "ka", "1 / v", {"c": "concentration", "drive": "concentration / (ec50 + concentration)"}
    ),
)
MARROW = Module(
    "marrow",
    "proliferating cells, three transits, blood; the feedback (n0 / circ)^gamma and 1 / circ are carried as states",
    constants=("ktr", "n0", "gamma", "slope"),
    states={
        "prol": "ktr * prol * (feedback - 1) * (1 - slope * c)",
        "t1": "ktr * (prol - t1)",
        "t2": "ktr * (t1 - t2)",
        "t3": "ktr * (t2 - t3)",
        "circ": "ktr * circ * rise",
        "feedback": "-gamma * feedback * ktr * rise",
        "per_circ": "-per_circ * ktr * rise",
    },
    terms={"rise": "t3 * per_circ - 1"},
    lost={"prol": "ktr * slope * c"},
    restart={"feedback": "exp(gamma * log(n0 / circ))", "per_circ": "1 / circ"},
)
EFFECTOR = Module(
    "effector",
    "follows a saturable drive",
    constants=("k_eff",),
    states={"eff": "k_eff * drive"},
    decay={"eff": "k_eff"},
)
TUMOUR = Module(
    "tumour",
    "sensitive and resistant cells under one capacity, dying mass, lysis product",
    constants=("growth", "growth_r", "kill", "clear", "out"),
    states={
        "sens": "growth * sens * room - killed",
        "res": "growth_r * res * room",
        "dying": "killed - cleared",
        "product": "out * (5 - product) + 0.05 * cleared",
    },
    terms={"room": "1 - 0.001 * (sens + res)", "killed": "kill * eff * sens", "cleared": "clear * dying"},
)
GRID = (1 / 12, 1 / 6, *(1 / 4,) * 3)
MODEL = Model("reference problem", (PHARMACOKINETICS, MARROW, EFFECTOR, TUMOUR), grid=GRID)


def draw_patients(n: int, seed: int) -> dict[str, FloatArray]:
    """Numbers of n patients, (n,) each, by name; rates a day."""
    random = np.random.default_rng(seed)
    found = {name: median * np.exp(sd * random.standard_normal(n)) for name, (median, sd) in NUMBERS.items()}
    found |= {name: 24.0 * found[name] for name in HOURLY}
    return {**found, "ktr": 4.0 * 24.0 / found["mtt"]}


def in_blocks(rows: list[FloatArray]) -> FloatArray:
    """Rows (r, n) as blocks (b, r, LANES); the last block is filled up with the last patient."""
    n = rows[0].size
    wide = np.stack([np.concatenate([row, np.full(-n % LANES, row[-1])]) for row in rows])
    return np.ascontiguousarray(wide.reshape(len(rows), -1, LANES).transpose(1, 0, 2))


def start_of(patients: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """States before the first dose."""
    nothing, n0 = np.zeros_like(patients["n0"]), patients["n0"]
    start = dict.fromkeys(MODEL.states, nothing)
    start |= dict.fromkeys(("prol", "t1", "t2", "t3", "circ"), n0)
    return {**start, "sens": patients["base"], "res": nothing + 1.0, "product": nothing + 5.0}


SPANS = ((DOSE, ON), (0.0, CYCLE - ON)) * (DAYS // CYCLE)  # dose and how many days it is given
AT_ONCE = 512  # patients whose states of a span stay in the cache


def run_days(kernel: Kernel, patients: dict[str, FloatArray], dose: float = DOSE) -> FloatArray:
    """Outputs at the end of each day, (n, DAYS, 5)."""
    n, row = patients["ka"].size, {name: i for i, name in enumerate(MODEL.states)}
    found = np.empty((n, DAYS, 5))
    for first in range(0, n, AT_ONCE):
        some = {name: column[first : first + AT_ONCE] for name, column in patients.items()}
        states, constants, inputs = arrays_of(some)
        numbers = kernel.prepare(constants)
        volume, out, day = some["v"], found[first : first + AT_ONCE], 0
        for given, days in SPANS:
            inputs[:] = dose * given / DOSE
            ends = np.empty((len(states), days, len(row), LANES))
            if kernel.advance(states, numbers, inputs, days, ends) < 0:
                raise ArithmeticError(f"one of days {day} to {day + days - 1} cannot be solved")

            def column(name: str, ends: FloatArray = ends) -> FloatArray:
                lanes = ends[:, :, row[name]].transpose(0, 2, 1)
                return lanes.reshape(-1, lanes.shape[2])[: volume.size]  # noqa: B023  # used within this turn

            span = out[:, day : day + days]
            np.divide(column("central"), volume[:, None], out=span[:, :, 0])
            span[:, :, 1], span[:, :, 2], span[:, :, 4] = column("circ"), column("eff"), column("product")
            np.add(column("sens"), column("res"), out=span[:, :, 3])
            day += days
    return found


def run_spans(kernel: Kernel, patients: dict[str, FloatArray]) -> FloatArray:
    """The same days with nothing looked at in between; the states at the end, (blocks, states, LANES)."""
    states, constants, inputs = arrays_of(patients)
    numbers = kernel.prepare(constants)
    for dose, days in SPANS:
        inputs[:] = dose
        if kernel.advance(states, numbers, inputs, days) < 0:
            raise ArithmeticError("a day cannot be solved")
    return states


def arrays_of(patients: dict[str, FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """States before the first dose, constants and inputs in blocks."""
    start = start_of(patients)
    states = in_blocks([start[name] for name in MODEL.states])
    constants = in_blocks([patients[name] for name in MODEL.constants])
    return states, constants, in_blocks([np.zeros_like(patients["ka"])])


def slopes_of(one: dict[str, float]) -> Callable[[float, FloatArray], list[float]]:
    """The right-hand side as one would write it down, for one patient; time in days."""

    def slopes(_: float, y: FloatArray) -> list[float]:
        gut, central, prol, t1, t2, t3, circ, eff, sens, res, dying, product = y
        c, ktr, room = central / one["v"], one["ktr"], 1 - (sens + res) / 1000
        return [
            -one["ka"] * gut,
            one["ka"] * gut - one["cl"] / one["v"] * central,
            ktr * prol * ((1 - one["slope"] * c) * (one["n0"] / circ) ** one["gamma"] - 1),
            ktr * (prol - t1),
            ktr * (t1 - t2),
            ktr * (t2 - t3),
            ktr * (t3 - circ),
            one["k_eff"] * (c / (one["ec50"] + c) - eff),
            one["growth"] * sens * room - one["kill"] * eff * sens,
            one["growth_r"] * res * room,
            one["kill"] * eff * sens - one["clear"] * dying,
            one["out"] * (5 - product) + 0.05 * one["clear"] * dying,
        ]

    return slopes


def first_state(one: dict[str, float]) -> FloatArray:
    """Before the first dose, in the order of the right-hand side."""
    return np.array([0, 0, *[one["n0"]] * 5, 0, one["base"], 1, 0, 5.0])


def outputs_of(one: dict[str, float], y: FloatArray) -> list[float]:
    """The five outputs."""
    return [y[1] / one["v"], y[6], y[7], y[8] + y[9], y[11]]


def solve(one: dict[str, float], method: str, rtol: float, days: int = DAYS) -> FloatArray:
    """Outputs (days, 5) of one patient by a solver of SciPy, started anew at every dose."""
    y, slopes, found = first_state(one), slopes_of(one), []
    for day in range(days):
        if day % CYCLE < ON:
            y[0] += DOSE
        y = solve_ivp(slopes, (0.0, 1.0), y, method=method, rtol=rtol, atol=rtol * 1e-2).y[:, -1]
        found.append(outputs_of(one, y))
    return np.array(found)


def error_of(found: FloatArray, right: FloatArray) -> FloatArray:
    """The largest error of each output, (5,), over patients and days (n, d, 5)."""
    worst: FloatArray = (np.abs(found - right) / (np.abs(right) + FLOORS)).max(axis=(0, 1))
    return worst


def one_of(patients: dict[str, FloatArray], i: int) -> dict[str, float]:
    """The numbers of one patient."""
    return {name: float(column[i]) for name, column in patients.items()}


if __name__ == "__main__":
    kept = {}
    for number in SEEDS:
        drawn = draw_patients(PATIENTS, number)
        answers = np.array([solve(one_of(drawn, i), "DOP853", 1e-10) for i in range(PATIENTS)])
        kept[f"seed_{number}"] = answers[:, KEPT, :]
    np.savez_compressed(FILE, **kept)

"""Record what SciPy makes of the equations: 50 random subjects under the planned doses of both versions.

Run as `python tests/simulate/make_oracle.py` from the root of the repository (several minutes); it writes
tests/simulate/oracle.npz. The right-hand side is that of reference.py, which knows nothing of the compiled kernel.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from reference import AT, ORDER, solve_days

from trialrun.simulate.model.library import find_model
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import draw_subjects

HERE = Path(__file__).parent
SUBJECTS = 50
SEED = 20070301
KEPT = ("Ce", "F", "NB", "NL", "NM", "N", "P", "Hb", "U", "Ph", "K", "Ca", "Cr", "G")
DAYS = (0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 17, 20, 22, 24, 27, 30, 34, 41, 48, 55, 57, 60, 62, 69, 76, 83)
# The kernel's name of each state of reference.py, in its order.
KERNEL_ORDER = (
    *("depot", "central", "effect", "activation", "tolerance", "inflammation", "effector_1", "effector_2"),
    *("blood", "tissue", "marrow", "dying"),
    *("neutrophil_precursors", "neutrophil_transit_1", "neutrophil_transit_2", "neutrophil_transit_3", "neutrophils"),
    *("platelet_precursors", "platelet_transit_1", "platelet_transit_2", "platelet_transit_3", "platelets"),
    *("hemoglobin", "urate", "phosphate", "potassium", "potassium_stored", "calcium", "creatinine", "filtration"),
    *("oxypurinol", "rasburicase"),
    *("cells_born", "cells_lysed", "urate_made", "urate_excreted", "urate_oxidised", "phosphate_excreted"),
    *("precipitated", "potassium_excreted", "calcium_exchanged", "exposure"),
)
MODEL = find_model("lenalidomide-cll", {}, balances=True)
STATES, CONSTANTS = MODEL.states, MODEL.constants


def planned_dose(version: str, day: int) -> float:
    """mg on this day (0 = first dose) when nothing is held: steps of 7 or of 28 days, days 1 to 21 of 28."""
    if day % 28 >= 21:
        return 0.0
    if version == "original":
        taken = day - 7 * (day // 28)
        return min(10.0 + 5.0 * (taken // 7), 25.0)
    return (2.5, 5.0, 10.0)[min(day // 28, 2)]


def planned_inputs(version: str, days: int) -> list[dict[str, float]]:
    """Dose and co-treatments of each day."""
    allopurinol_days = 28 if version == "original" else 84
    return [
        {
            "dose": planned_dose(version, day),
            "allopurinol": float(day < allopurinol_days),
            "hydration": float(day < 14),
            "rasburicase": 0.0,
            "steroid": 0.0,
            "gcsf": 0.0,
        }
        for day in range(days)
    ]


def main() -> None:
    population = read_population(HERE.parents[1] / "studies" / "lenalidomide-cll")
    subjects = draw_subjects(population, SEED, np.arange(SUBJECTS))
    assert len(KERNEL_ORDER) == len(ORDER)
    states = np.zeros((len(KERNEL_ORDER), SUBJECTS))
    for row, name in enumerate(KERNEL_ORDER):
        if name in subjects.model.states:
            states[row] = subjects.states[subjects.model.states.index(name)]
    answers = {}
    for version in ("original", "amendment-1"):
        inputs = planned_inputs(version, max(DAYS) + 1)
        curves = np.empty((SUBJECTS, len(DAYS), len(KEPT)))
        for i in range(SUBJECTS):
            constants = dict(zip(CONSTANTS, subjects.constants[:, i], strict=True))
            solved = solve_days(states[:, i], constants, inputs)
            curves[i] = solved[np.ix_(DAYS, [AT[name] for name in KEPT])]
            print(version, i, flush=True)
        answers[version.replace("-", "_")] = curves
    np.savez_compressed(
        HERE / "oracle.npz",
        days=np.array(DAYS),
        kept=np.array([KERNEL_ORDER[AT[name]] for name in KEPT]),
        constant_names=np.array(CONSTANTS),
        constants=subjects.constants,
        state_names=np.array(KERNEL_ORDER),
        states=states,
        **answers,
    )


if __name__ == "__main__":
    main()

"""The states that rules may name and that follow from the dosing clock alone."""

from __future__ import annotations

import numpy as np

from trialrun.plan.calendar import Plan
from trialrun.plan.dosing import NEVER, Dosing, FloatArray, IntArray


def clock_states(dosing: Dosing, plan: Plan, day: int, rows: IntArray, early: int = 0) -> dict[str, FloatArray]:
    """Each state by its name as a column (m,) for these rows (m,), as they are on `day` before its dose.

    Units are those of the state terms (trialrun.protocol.vocabulary): days, cycles, doses a day in the plan's unit.
    """
    cycle, cycle_day = dosing.clock(plan, day, early)
    cycle, cycle_day = cycle[rows], cycle_day[rows]
    held = dosing.held[rows]
    level = np.where(dosing.ordered[rows] > 0, dosing.ordered[rows], plan.levels[plan.start])
    at_level = dosing.level_dose[rows] == level
    ordered = np.where(held | (dosing.ended[rows] != NEVER) | (day < 0), 0.0, level)
    states = {
        "day": np.full(rows.shape, float(day)),
        "cycle": np.where(day >= 0, cycle, 0),
        "cycle_day": np.where(day >= 0, cycle_day + 1, 0),
        "dose": ordered,
        "level_dose": level,
        "days_at_level": np.where(at_level, dosing.taken[rows], 0),
        "cycles_at_level": np.where(at_level, dosing.cycles_at_level[rows], 0),
        "days_held": np.where(held, day - dosing.held_since[rows], 0),
        "days_off_unplanned": dosing.off_unplanned[rows],
        "reductions": dosing.reductions[rows],
    }
    return {name: column.astype(np.float64) for name, column in states.items()}

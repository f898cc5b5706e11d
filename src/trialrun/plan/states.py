"""The states that rules may name and that follow from the dosing clock alone."""

from __future__ import annotations

from collections.abc import Callable, Container

import numpy as np

from trialrun.plan.calendar import Plan
from trialrun.plan.dosing import NEVER, Dosing, FloatArray, IntArray


def clock_states(
    dosing: Dosing, plan: Plan, day: int, rows: IntArray, early: int = 0, asked: Container[str] | None = None
) -> dict[str, FloatArray]:
    """Each state by its name as a column (m,) for these rows (m,), as they are on `day` before its dose; of all only those
    `asked` for, where that is said.

    Units are those of the state terms (trialrun.protocol.vocabulary): days, cycles, doses a day in the plan's unit.
    """
    cycle, cycle_day = (column[rows] for column in dosing.clock(plan, day, early))
    held = dosing.held[rows]
    level = np.where(dosing.ordered[rows] > 0, dosing.ordered[rows], plan.levels[plan.start])
    at_level = dosing.level_dose[rows] == level
    states: dict[str, Callable[[], FloatArray | IntArray]] = {
        "day": lambda: np.full(rows.shape, float(day)),
        "cycle": lambda: np.where(day >= 0, cycle, 0),
        "cycle_day": lambda: np.where(day >= 0, cycle_day + 1, 0),
        "dose": lambda: np.where(held | (dosing.ended[rows] != NEVER) | (day < 0), 0.0, level),
        "level_dose": lambda: level,
        "days_at_level": lambda: np.where(at_level, dosing.taken[rows], 0),
        "cycles_at_level": lambda: np.where(at_level, dosing.cycles_at_level[rows], 0),
        "days_held": lambda: np.where(held, day - dosing.held_since[rows], 0),
        "days_off_unplanned": lambda: dosing.off_unplanned[rows],
        "reductions": lambda: dosing.reductions[rows],
    }
    return {name: state().astype(np.float64) for name, state in states.items() if asked is None or name in asked}

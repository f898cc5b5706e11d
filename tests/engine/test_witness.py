"""A second witness: both versions' dosing written again in plain Python for one subject, against the engine."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.scripted import Scripted, doses, run
from trialrun.plan.calendar import Plan

VISIT_DAYS = {0, 7, 14}  # offsets in cycles 1 to 3 on which the dose is decided; later cycles: the first day only


def dose_path(weekly: bool, neutrophils: dict[int, float], platelets: dict[int, float], days: int) -> list[float]:
    """Doses day by day, from the sentences of the protocol alone."""
    levels = [10.0, 15.0, 20.0, 25.0] if weekly else [2.5, 5.0, 10.0, 15.0, 20.0, 25.0]
    top = 3 if weekly else 2
    level, taken, cycles_here, cycle, start = 0, 0, 0, 0, None
    hold, held_on, reductions, stopped, cleared, level_taken = None, 0, 0, False, 0, None
    seen_cycle_visit: set[tuple[int, int]] = set()
    given: list[float] = []
    for day in range(days):
        if start is None:
            now_cycle, offset = 1, 0
        elif day - start >= 28:
            now_cycle, offset = cycle + 1, 0
        else:
            now_cycle, offset = cycle, day - start
        due = (offset in VISIT_DAYS and now_cycle <= 3) or offset == 0
        due = due and (now_cycle, offset) not in seen_cycle_visit
        if due:
            seen_cycle_visit.add((now_cycle, offset))
        recheck = hold is not None and day > held_on and (day - held_on) % 7 == 0
        if (due or recheck) and not stopped:
            anc, plt = neutrophils[day], platelets[day]
            bad_anc = None if math.isnan(anc) else anc < 0.5
            bad_plt = None if math.isnan(plt) else plt < 30
            at_level = taken if level_taken == level else 0
            cycles = cycles_here if level_taken == level else 0
            if bad_anc:
                new_hold = "anc"
            elif bad_anc is None:
                # the two rows do different things only in their release: either unknown row may decide
                new_hold = "unknown"
            elif bad_plt:
                new_hold = "plt"
            elif bad_plt is None:
                new_hold = "unknown"
            else:
                new_hold = None
            if new_hold == "unknown":
                if hold is None:
                    hold, held_on = "unknown", day
            elif new_hold is not None:
                if hold is None:
                    held_on = day
                hold = new_hold
            else:
                free = hold in (None, "unknown") or (anc >= 1.0 if hold == "anc" else plt >= 50)
                if hold in ("anc", "plt") and free:
                    hold = None
                    level -= 1
                    reductions += 1
                    if level < 0:
                        stopped, level = True, 0
                    cleared = now_cycle
                elif hold == "unknown":
                    hold = None
                    cleared = now_cycle
                elif hold is None:
                    if weekly:
                        if start is not None and at_level >= 7 and reductions == 0 and level < top:
                            level += 1
                    elif start is not None and offset == 0 and cycles >= 1 and reductions == 0 and level < top:
                        level += 1
                    cleared = now_cycle
        ordered = not stopped and hold is None and offset <= 20 and now_cycle <= cleared
        given.append(levels[level] if ordered else 0.0)
        if ordered:
            if level_taken != level:
                level_taken, taken, cycles_here = level, 0, 0
            if start is None or day - start > 20:
                cycle, start = cycle + 1, day
                cycles_here += 1
            taken += 1
    return given


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weekly", [True, False])
def test_engine_and_witness_give_the_same_doses(weekly: bool, seed: int, original: Plan, amended: Plan) -> None:
    rng = np.random.default_rng(seed)
    n, days = 60, 170
    anc = rng.lognormal(0.3, 0.8, (days + 20, n))
    plt = rng.lognormal(4.2, 0.7, (days + 20, n))
    anc[rng.random(anc.shape) < 0.03] = np.nan
    plt[rng.random(plt.shape) < 0.03] = np.nan
    results = {}
    for day in range(-14, days):
        results[day, "neutrophils"] = anc[day + 14]
        results[day, "platelets"] = plt[day + 14]
    _, log = run(original if weekly else amended, Scripted(n, results), days + 1)
    by_engine = doses(log, n, days)
    for row in range(n):
        by_day = [{day: float(table[day + 14, row]) for day in range(days)} for table in (anc, plt)]
        assert dose_path(weekly, by_day[0], by_day[1], days) == by_engine[row].tolist(), f"subject {row}"

"""What the protocol says of these subjects at this moment: pure, from columns to decisions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from trialrun.engine.source import BoolArray, FloatArray, IntArray
from trialrun.plan.calendar import Plan
from trialrun.plan.dosing import NEVER, Dosing
from trialrun.protocol.version import RuleTable
from trialrun.rules import TRUE, Columns, TableResult, evaluate, evaluate_table


class Act(IntEnum):
    """What is decided, strongest first: a safety rule wins over a step up whatever the order of the file."""

    STOP = 0
    UNDETERMINED = 1
    HOLD = 2
    REDUCE = 3
    RESUME = 4
    STAY = 5
    STEP_UP = 6
    DOSE = 7

    @property
    def label(self) -> str:
        """As it stands in a record: `step up`, `hold`."""
        return self.name.lower().replace("_", " ")


GIVING = (Act.REDUCE, Act.RESUME, Act.STAY, Act.STEP_UP, Act.DOSE)  # decisions after which the drug is taken
_GIVES, _MAY_LOWER = (np.array([act in those for act in Act]) for those in (GIVING, (Act.REDUCE, Act.RESUME)))


def gives_drug(act: IntArray) -> BoolArray:
    """After which of these decisions (m,) the drug is taken."""
    return np.asarray(_GIVES[act], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions for m subjects, all of one plan on one day.

    `rows` (m,) subject indices; `act` (m,) of Act; `level_dose` (m,) the level that holds from now on; `dose` (m,) to
    be taken today (0 on a planned rest day, a hold, a stop); `table` (m,) which of `Version.tables` decided and `row`
    (m,) its row (-1: none, the plain schedule); `hold_row` (m,) the hold that lasts after the decision.
    """

    day: int
    plan: Plan
    rows: IntArray
    act: IntArray
    level_dose: FloatArray
    dose: FloatArray
    table: IntArray
    row: IntArray
    hold_row: IntArray

    def some(self, which: IntArray) -> Decisions:
        """Those for the subjects at these places."""
        return Decisions(
            *(self.day, self.plan, self.rows[which], self.act[which], self.level_dose[which], self.dose[which]),
            *(self.table[which], self.row[which], self.hold_row[which]),
        )


DISCONTINUATION, MODIFICATION, STEP = 0, 1, 2
BELOW_LOWEST = -3  # the row number of a stop because there is no lower level


def _says(table: RuleTable, result: TableResult, verb: str) -> BoolArray:
    """Where the table is determined and the row that applies says this verb; no row (-1) says nothing."""
    says = np.array([item.then.verb == verb for item in table.table.rows] + [False])
    return np.asarray(says[result.row] & ~result.undetermined, dtype=np.bool_)


def _resume_steps(table: RuleTable, hold_row: IntArray) -> IntArray:
    """How far the level falls when this hold ends: 0, 1, or -1 for the first level."""
    steps = {"one level lower": 1, "first level": -1}
    fall = np.array([steps.get(item.then.resume or "", 0) for item in table.table.rows] + [0, 0])
    return np.asarray(fall[hold_row], dtype=np.int64)


def decide(plan: Plan, columns: Columns, dosing: Dosing, day: int, rows: IntArray, early: int = 0) -> Decisions:
    """Decide for these rows (m,) from `columns`, which hold the same m subjects in the same order.

    An undetermined safety table withholds the dose; an undetermined step keeps the level.
    """
    version = plan.version
    stop_table, safety_table, step_table = version.tables
    stops = evaluate_table(stop_table.table, columns)
    safety = evaluate_table(safety_table.table, columns)
    step = evaluate_table(step_table.table, columns)

    m = rows.size
    started = dosing.started[rows]
    level = np.where(dosing.ordered[rows] > 0, dosing.ordered[rows], plan.levels[plan.start])
    index = np.searchsorted(plan.levels, level * (1 - 1e-9))
    _, cycle_day = dosing.clock(plan, day, early)
    cycle_day = cycle_day[rows]
    held_by = dosing.hold_row[rows]

    by_stop = _says(stop_table, stops, "stop")
    by_safety_stop = _says(safety_table, safety, "stop")
    by_hold = _says(safety_table, safety, "hold")
    by_reduce = _says(safety_table, safety, "reduce")
    unknown = stops.undetermined | safety.undetermined
    released = _released(safety_table, columns, held_by)

    may_step = started & (held_by == -1) & (index < plan.levels.size - 1)
    if plan.step_at_cycle_start:
        may_step &= cycle_day == 0
    wants_step = _says(step_table, step, "step_up") & may_step
    caps = np.array([np.inf if cap is None else cap.value for cap in step_table.caps] + [np.inf])
    upper = plan.levels[np.minimum(index + 1, plan.levels.size - 1)]
    wants_step &= upper <= caps[step.row] * (1 + 1e-9)

    act = np.full(m, Act.DOSE, dtype=np.int64)
    table = np.full(m, STEP, dtype=np.int64)
    row = np.where(may_step & ~step.undetermined, step.row, -1)
    act[_says(step_table, step, "stay") & may_step] = Act.STAY
    act[step.undetermined & may_step] = Act.STAY
    act[wants_step] = Act.STEP_UP

    def settle(where: BoolArray, what: Act, from_table: int, from_row: IntArray) -> None:
        act[where] = what
        table[where] = from_table
        row[where] = from_row[where]

    kept = (held_by >= 0) & (released != TRUE)
    settle((held_by != -1) & ~kept, Act.RESUME, MODIFICATION, held_by)
    settle(by_reduce & (held_by < 0), Act.REDUCE, MODIFICATION, safety.row)
    settle(kept, Act.HOLD, MODIFICATION, held_by)
    settle(by_hold, Act.HOLD, MODIFICATION, safety.row)
    settle(unknown, Act.UNDETERMINED, MODIFICATION, safety.row)
    settle(unknown & stops.undetermined & ~safety.undetermined, Act.UNDETERMINED, DISCONTINUATION, stops.row)
    settle(by_safety_stop, Act.STOP, MODIFICATION, safety.row)
    settle(by_stop, Act.STOP, DISCONTINUATION, stops.row)

    fall = np.where(act == Act.RESUME, _resume_steps(safety_table, held_by), np.where(act == Act.REDUCE, 1, 0))
    lowered = np.where(fall < 0, 0, index - np.maximum(fall, 0))
    if version.treatment.below_lowest_level == "stop treatment":
        below = lowered < 0
        act[below] = Act.STOP
        row[below] = BELOW_LOWEST
    lowered = np.maximum(lowered, 0)
    new_level = np.where(act == Act.STEP_UP, upper, plan.levels[lowered])
    given = gives_drug(act)
    dose = np.where(given & dosing.on_dosing_day(plan, cycle_day) & (day >= 0), new_level, 0.0)
    hold_row = np.where(
        act == Act.HOLD, np.where(by_hold, safety.row, held_by), np.where(act == Act.UNDETERMINED, -2, -1)
    )
    # an undetermined day within a hold stays that hold: its release condition must still be met
    hold_row = np.where((act == Act.UNDETERMINED) & (held_by >= 0), held_by, hold_row)
    return Decisions(day, plan, rows, act, new_level, dose, table, row, hold_row)


def _released(table: RuleTable, columns: Columns, held_by: IntArray) -> IntArray:
    """Verdict (m,) of the release condition of the hold that each subject is under; TRUE where there is none."""
    verdict = np.full(held_by.shape, TRUE, dtype=np.int64)
    for number, item in enumerate(table.table.rows):
        mine = held_by == number
        if mine.any() and item.then.until is not None:
            verdict[mine] = evaluate(item.then.until, columns)[mine]
    return verdict


def apply_decisions(dosing: Dosing, decisions: Decisions) -> None:
    """Write the decisions into the dosing clock."""
    rows = decisions.rows
    was_held = dosing.hold_row[rows] != -1
    now_held = decisions.hold_row != -1
    dosing.hold_row[rows] = decisions.hold_row
    begins = rows[now_held & ~was_held]
    dosing.held_since[begins] = decisions.day
    dosing.held_since[rows[~now_held]] = NEVER
    lower = _MAY_LOWER[decisions.act] & (decisions.level_dose < dosing.ordered[rows] * (1 - 1e-9))
    dosing.reductions[rows[lower]] += 1
    dosing.ordered[rows] = decisions.level_dose
    stopped = rows[decisions.act == Act.STOP]
    dosing.ended[stopped] = decisions.day

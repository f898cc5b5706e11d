"""Response at a visit, by the standard that the protocol names, from the findings of that visit and of baseline."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trialrun.criteria.response import Category, find_category, view_findings
from trialrun.criteria.response_items import COLUMNS
from trialrun.criteria.truth import FALSE, TRUE
from trialrun.engine.source import BoolArray, FloatArray, IntArray
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan
from trialrun.plan.dosing import NEVER
from trialrun.protocol.vocabulary import RESPONSES

_INDEX = np.array([RESPONSES.index(category.label) for category in Category])
_COMPLETE = RESPONSES.index("CR")
# The criteria ask for at least two nodes; a sum of products over the target nodes is taken to be one of two or more.
NODES_IN_A_SUM = 2.0
_RENAMED = {"constitutional_symptoms": "symptoms"}


def update_response(subjects: Subjects, plan: Plan, day: int, rows: IntArray) -> None:
    """Assess these rows (m,) and keep the category as their response.

    Growth of nodes or organs counts as progression only when the assessment before showed it too, so that a flare is
    not taken for progression. Where nothing was examined on the day the response stays what it was. What was found in the
    marrow counts for as long as everything else of a complete response holds.
    """
    examined = np.zeros(rows.shape, dtype=np.bool_)
    for column in subjects.current.values():
        if examined.all():
            break
        examined |= ~np.isnan(column[rows])
    rows = rows[examined & subjects.dosing.started[rows]]
    if rows.size == 0:
        return
    baseline, current = _findings(subjects.baseline, rows), _findings(subjects.current | subjects.marrow, rows)
    current["on_treatment"] = subjects.dosing.active[rows].astype(np.float64)
    standard = plan.version.part.response.standard
    # growth seen now is confirmed where the assessment before showed growth as well
    current["growth_confirmed"] = subjects.growth_before[rows].astype(np.float64)
    category, growth, complete = find_category(view_findings(standard, baseline, current))
    _follow_complete(subjects, day, rows, np.broadcast_to(complete, rows.shape))
    found = _INDEX[category.astype(np.int64)]
    subjects.growth_before[rows] = growth == 1
    subjects.response[rows] = found
    cycle, _ = subjects.dosing.clock(plan, day)
    first_cr = rows[(found == _COMPLETE) & (subjects.cr_cycle[rows] == NEVER)]
    subjects.cr_cycle[first_cr] = cycle[first_cr]


def _follow_complete(subjects: Subjects, day: int, rows: IntArray, complete: IntArray) -> None:
    """Since when all of a complete response but the marrow holds; an assessment that cannot tell changes nothing."""
    begins = rows[(complete == TRUE) & (subjects.complete_since[rows] == NEVER)]
    subjects.complete_since[begins] = day
    broken = rows[complete == FALSE]
    subjects.complete_since[broken] = NEVER
    for found in subjects.marrow.values():
        found[broken] = np.nan


def lacks_marrow(subjects: Subjects, day: int, rows: IntArray, complete_for: int, again_after: int) -> BoolArray:
    """In which of these rows (m,) the marrow is to be examined: all else of a complete response has held for so many days, it is
    not shown yet, and the marrow was not examined for so many days."""
    since, last = subjects.complete_since[rows], subjects.marrow_day[rows]
    due = (since != NEVER) & (day - since >= complete_for) & (subjects.response[rows] != _COMPLETE)
    return np.asarray(due & ((last == NEVER) | (day - last >= again_after)), dtype=np.bool_)


def _findings(columns: Mapping[str, FloatArray], rows: IntArray) -> dict[str, FloatArray]:
    """The findings that response criteria know, for these rows."""
    named = {_RENAMED.get(test, test): values for test, values in columns.items()}
    found = {name: values[rows] for name, values in named.items() if name in COLUMNS}
    for name, values in found.items():
        if COLUMNS[name][0] is None:  # a truth, of which unknown is -1
            found[name] = np.where(np.isnan(values), -1.0, values)
    if "node_spd" in found:
        found["node_count"] = np.where(found["node_spd"] > 0, NODES_IN_A_SUM, np.nan)
    return found

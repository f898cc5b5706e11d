"""Runs of days with the same dose, as lines of a record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trialrun.engine.conduct import Log
from trialrun.engine.entries import _exposures
from trialrun.engine.source import Exposures, Observed

N = 6
DOSES = st.dictionaries(st.integers(0, N - 1), st.sampled_from([0.0, 5.0, 10.0]), max_size=N)
DAYS = st.dictionaries(st.integers(0, 12), st.tuples(DOSES, st.sets(st.integers(0, N - 1))), max_size=9)
PLAN: Any = SimpleNamespace(drug="a drug", unit="mg")


@given(DAYS)
def test_a_run_is_days_on_end_with_the_same_dose_for_the_same_reason(days: dict[int, Any]) -> None:
    log, wanted = Log(), []
    for day in sorted(days):
        dose, held = days[day]
        taken = Exposures(day, np.array(list(dose), dtype=np.int64), np.array(list(dose.values()), dtype=np.float64))
        log.observed.append((day, Observed(exposures=(taken,))))
        log.held.append((day, np.array(sorted(held), dtype=np.int64)))
    for row in range(N):
        lines: list[list[Any]] = []
        for day in sorted(days):
            dose, held = days[day]
            if row not in dose:
                continue
            if lines and lines[-1][2] == day - 1 and lines[-1][3:] == [dose[row], row in held]:
                lines[-1][2] = day
            else:
                lines.append([row, day, day, dose[row], row in held])
        wanted += [tuple(line) for line in lines]
    found = _exposures(log, [PLAN], np.zeros(N, dtype=np.int64))
    assert found.select("row", "day", "end_day", "dose", "held").rows() == wanted

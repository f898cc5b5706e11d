"""Low blood counts as adverse events: those that grew worse on treatment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.run import VersionInfo

Make = Callable[..., dict[str, pl.DataFrame]]


@pytest.mark.parametrize(
    ("before", "after", "emergent"),
    [
        ([], [(7, 200.0, 150.0)], False),  # normal throughout: no grade before could be better
        ([], [(7, 100.0, 150.0)], None),
        ([(0, 200.0, 150.0)], [(7, 200.0, 150.0), (14, 149.0, 150.0)], True),
        ([(0, 100.0, 150.0)], [(7, 100.0, 150.0), (14, 76.0, 150.0)], False),  # as low as before
        ([(0, 100.0, 150.0)], [(7, 74.0, 150.0), (14, 120.0, 150.0)], True),
        ([(-7, 200.0, 150.0), (0, 70.0, 150.0)], [(7, 70.0, 150.0)], False),  # the last one counts
        ([(0, 60.0, 150.0)], [(7, 200.0, 150.0)], False),
        ([(0, 140.0, None)], [(7, 140.0, 150.0)], None),  # grade 0 or 1 before, 1 after
        ([(0, 140.0, 150.0)], [(7, 140.0, None)], False),  # 1 before, 0 or 1 after
        ([(0, 100.0, 150.0)], [], None),
        ([(0, 100.0, 150.0)], [(60, 10.0, 150.0)], None),  # more than 28 days after the last dose
    ],
)
def test_a_count_is_an_adverse_event_where_it_grew_worse(
    make_tables: Make,
    info: VersionInfo,
    before: list[tuple[int, float, float | None]],
    after: list[tuple[int, float, float | None]],
    emergent: bool | None,
) -> None:
    taken: list[dict[str, Any]] = [{"subject": "A", "day": 0, "end_day": 20, "dose": 10.0, "unit": "mg"}]
    findings = [
        {"subject": "A", "day": day, "test": "platelets", "value": value, "low": low, "unit": "10*9/L"}
        for day, value, low in (*before, *after)
    ]
    outcomes = derive_outcomes(make_tables(exposures=taken, findings=findings), info)
    assert outcomes["thrombocytopenia_emergent"].to_list() == [emergent]

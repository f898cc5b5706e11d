"""Samples that a version names: taken where it says, compared between visits that exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trialrun.protocol import read_protocol
from trialrun.protocol.check import check_static


def test_the_study_takes_its_sample_where_it_says() -> None:
    study = Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll"
    assert [problem for problem in check_static(read_protocol(study)) if "sample" in problem.code] == []


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        (", samples: [leukaemic_cells]}", "}", "sample-on-no-visit", "taken at no visit"),
        ("samples: [leukaemic_cells]}", "samples: [other]}", "unknown-sample", "'other'"),
        ("visits: [first_dose, week_4]", "visits: [first_dose, week_9]", "unknown-visit", "'week_9'"),
        ("visits: [first_dose, week_4]", "visits: [first_dose, week_4, week_2]", "sample-on-no-visit", "week_2"),
        ("comparison: week_4 - first_dose", "comparison: week_4 - week_4", "sample-comparison", "week_4 - first_dose"),
    ],
)
def test_what_does_not_fit_is_found_with_its_line(
    edited: Callable[..., Path], old: str, new: str, code: str, said: str
) -> None:
    found = [problem for problem in check_static(read_protocol(edited((old, new)))) if problem.code == code]
    assert found
    assert said in str(found[0])
    assert found[0].location.line is not None

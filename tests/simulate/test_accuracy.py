"""Random subjects of every study, venetoclax included, against SciPy on the text of the same equations: within 1e-4.

Few subjects and the days after the first doses; `benchmarks/accuracy.py` has more
of both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulate.plain import Plain, largest_errors, planned_days
from trialrun.simulate.model.module import Drug, Model, Module

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.parent.name for path in (ROOT / "studies").glob("*/protocol.yaml"))


@pytest.mark.parametrize("study", STUDIES)
def test_what_rules_see_is_within_1e_4(study: str) -> None:
    errors = largest_errors(ROOT / "studies" / study, 12, 20070301, 4)
    assert len(errors) == 12
    assert max(errors.values()) <= 1e-4, errors


def test_the_planned_doses_are_those_of_the_protocol() -> None:
    assert "venetoclax-rampup" in STUDIES
    doses = [today["dose"] for today in planned_days(ROOT / "studies" / "venetoclax-rampup", 36)]
    assert [doses[day] for day in (0, 6, 7, 14, 21, 28, 35)] == [20, 20, 50, 100, 200, 400, 400]


def test_the_other_solver_knows_a_known_answer() -> None:
    """One compartment by the formula of Bateman, and a state that falls while a constant flow fills it."""
    drug = Drug("ka", "ke", "ka", "1 / v", {"c": "concentration"})
    pk = Module("pk", "gut", constants=("ka", "ke", "v"), jumps={"depot": "depot + dose"}, drug=drug)
    pool = Module("pool", "filled", states={"pool": "2"}, decay={"pool": "ke"})
    model = Model("known", (pk, pool))
    ka, ke, v = 12.0, 1.5, 40.0
    plain = Plain(model, np.array([[ka], [ke], [v]]))
    start = np.zeros((len(model.states), 1))
    end = dict(zip(model.states, plain.day(start, {"dose": 10.0}, 1e-10)[:, 0], strict=True))
    assert end["central"] == pytest.approx(10 * ka / (ka - ke) * (np.exp(-ke) - np.exp(-ka)), rel=1e-8)
    assert end["pool"] == pytest.approx(2 / ke * (1 - np.exp(-ke)), rel=1e-8)
    eliminated = 10.0 - end["depot"] - end["central"]
    assert end["exposure"] == pytest.approx(eliminated / (ke * v), rel=1e-8)

"""The people at baseline beside the 25 who were published (Chen CI et al., ASH 2008, Blood 112:44), taken jointly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.rehearse import Request
from trialrun.rehearse.plan import read_rehearsal
from trialrun.rehearse.subjects import conduct_subjects

ROOT = Path(__file__).resolve().parents[2]
N = 2000


@pytest.fixture(scope="module")
def baseline() -> pl.DataFrame:
    """The people of the amended trial."""
    return _baseline("lenalidomide-cll", "amendment-1")


def _baseline(study: str, version: str | None) -> pl.DataFrame:
    """One row a subject: sex, age and the last value of each test up to the first dose."""
    protocol = str(ROOT / "studies" / study)
    rehearsal = read_rehearsal(Request(((protocol, version),), None, N, 1, 1, 1, None))
    names = pl.Series("subject", [f"S{i}" for i in range(N)])
    tables = conduct_subjects(rehearsal.population, rehearsal.plan(0), 1, 1, np.arange(N), names)
    first = tables["exposures"].group_by("subject").agg(pl.col("date").min().alias("first_dose"))
    before = tables["findings"].join(first, on="subject").filter(pl.col("date") <= pl.col("first_dose"))
    last = before.sort("date").group_by("subject", "test").agg(pl.col("value").last())
    age = ((pl.col("first_dose") - pl.col("birth_date")).dt.total_days() / 365.25).alias("age")
    people = tables["subjects"].join(first, on="subject").select("subject", "sex", age)
    return last.pivot("test", index="subject", values="value").join(people, on="subject")


def _of_25(values: np.ndarray) -> dict[str, tuple[float, float]]:
    """Where lowest, median and highest of 25 subjects lie, 99 %."""
    drawn = np.random.default_rng(1).choice(values, (4000, 25))
    named = {"lowest": drawn.min(axis=1), "median": np.median(drawn, axis=1), "highest": drawn.max(axis=1)}
    return {name: tuple(np.quantile(column, [0.005, 0.995]).tolist()) for name, column in named.items()}


@pytest.mark.parametrize(
    ("test", "published"),
    [
        ("age", {"lowest": 33, "median": 60, "highest": 78}),
        ("hemoglobin", {"lowest": 80, "median": 119, "highest": 173}),
        ("lymphocytes", {"median": 88.8, "highest": 220}),  # the lowest, 2.8, is lower than ours: docs/calibration.md
    ],
)
def test_medians_and_ranges_of_25_hold_those_that_were_published(
    baseline: pl.DataFrame, test: str, published: dict[str, float]
) -> None:
    found = _of_25(baseline[test].drop_nulls().to_numpy())
    for name, value in published.items():
        low, high = found[name]
        room = 1.0 if test == "age" else 0.0  # ages are published in whole years
        assert low - room <= value <= high + room, (name, value, found[name])


def test_shares_are_those_of_a_trial_of_25(baseline: pl.DataFrame) -> None:
    from scipy.stats import binom

    shares = {
        10: baseline.select(((pl.col("hemoglobin") < 110) | (pl.col("platelets") < 100)).mean()).item(),
        9: (baseline["node_longest"] > 5).mean(),
        23: baseline.select(
            ((pl.col("spleen_below_costal_margin") > 0) | (pl.col("liver_below_costal_margin") > 0)).mean()
        ).item(),
    }
    for events, share in shares.items():
        low, high = binom.ppf([0.005, 0.995], 25, share)
        assert low <= events <= high, (events, share)


def test_what_goes_together_goes_together(baseline: pl.DataFrame) -> None:
    """Burden: counts rise with nodes and spleen; haemoglobin and platelets fall with the marrow that is taken."""
    named = ("lymphocytes", "node_spd", "spleen_below_costal_margin", "hemoglobin", "platelets")
    both = np.corrcoef(baseline.select(named).drop_nulls().to_numpy().T)
    assert both[0, 1] > 0.2
    assert both[1, 2] > 0.5
    assert both[0, 3] < 0
    assert both[0, 4] < 0


def test_the_relapsed_are_as_ill_as_published() -> None:
    """Chanan-Khan 2006 (45 people) and CLL-001 (52): these shares were set, and must stay what a trial of that size can show."""
    from scipy.stats import binom

    people = _baseline("lenalidomide-25mg", None)
    shares = {
        (36, 45): (people["sex"] == "M").mean(),
        (29, 45): people.select(((pl.col("hemoglobin") < 110) | (pl.col("platelets") < 100)).mean()).item(),
        (36, 52): (people["node_longest"] > 5).mean(),
    }
    for (events, of), share in shares.items():
        low, high = binom.ppf([0.1, 0.9], of, share)
        assert low <= events <= high, (events, of, share)

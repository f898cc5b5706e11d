"""Operating characteristics: by hand, and their intervals."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from trialrun.protocol import Protocol
from trialrun.trials.figure import draw_trials
from trialrun.trials.run import run_trials
from trialrun.trials.summary import Characteristic, _rates, percent, summarize_trials
from trialrun.trials.tables import tabulate_subjects, tabulate_trials
from trials.fake import conduct, setting

LYSIS = "tumor_lysis_syndrome"


@pytest.fixture(scope="module")
def tables(protocol: Protocol) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Four trials of three; lysis of the first participant of the first, of the second and third of the second."""
    happens = {0: [(20, LYSIS, 2.0)], 4: [(20, LYSIS, 2.0)], 5: [(10, LYSIS, 1.0)]}
    done = run_trials(setting(protocol, ("original", "amendment-1"), happens, conduct()), trials=4, subjects=3)
    return tabulate_trials(done), tabulate_subjects(done)


@pytest.fixture(scope="module")
def found(tables: tuple[pl.DataFrame, pl.DataFrame]) -> dict[tuple[str, str], Characteristic]:
    return {(row.name, row.of): row for row in summarize_trials(*tables)}


def test_probabilities_are_shares_of_trials_with_exact_intervals(found: dict[tuple[str, str], Characteristic]) -> None:
    row = found["paused", "all trials"]
    exact = stats.binomtest(2, 4).proportion_ci(0.95, method="exact")
    assert (row.value, row.low, row.high, row.n) == pytest.approx((0.5, exact.low, exact.high, 4), rel=1e-12)
    assert found["paused_by_two", "all trials"].value == 0.5
    assert found["stopped", "all trials"].value == 0.0


def test_means_by_hand(found: dict[tuple[str, str], Characteristic]) -> None:
    # harmed: 1, 2, 0, 0
    row = found["harmed", "all trials"]
    # of three participants: a beta distribution from 0 to 3 with this mean and its squared error
    size = 0.75 * 2.25 / (np.var([1, 2, 0, 0], ddof=1) / 4) - 1
    by_hand = stats.beta(0.25 * size, 0.75 * size, scale=3).ppf([0.025, 0.975])
    assert (row.value, row.q50) == (0.75, 0.5)
    assert (row.low, row.high) == pytest.approx(tuple(by_hand), rel=1e-9)
    assert (found["treated", "all trials"].low, found["treated", "all trials"].high) == (None, None)  # 3 in each trial
    # first trial: day 14 + 20; second: day 42 + 20
    assert found["pause_day", "trials with a pause"].value == (34 + 62) / 2
    assert found["treated_by_pause", "trials with a pause"].value == (1 + 2) / 2
    assert found["harmed_before_end_of_start", "amended trials"].value == 1.0


def test_no_interval_leaves_what_is_possible(found: dict[tuple[str, str], Characteristic]) -> None:
    for row in found.values():
        for low, high in ((row.low, row.high), (row.sets_low, row.sets_high)):
            if row.value is not None and low is not None and high is not None:
                assert 0 <= low <= row.value <= high, row
                assert row.unit == "d" or row.name == "pauses" or high <= (3 if row.kind == "mean" else 1), row


def test_days_have_the_interval_of_a_gamma_distribution(found: dict[tuple[str, str], Characteristic]) -> None:
    row = found["pause_day", "trials with a pause"]  # days 34 and 62: mean 48, squared error 196
    by_hand = stats.gamma(48**2 / 196, scale=196 / 48).ppf([0.025, 0.975])
    assert (row.low, row.high) == pytest.approx(tuple(by_hand), rel=1e-9)


@pytest.mark.parametrize(
    ("share", "said"),
    [(1.0, "100.0 %"), (0.123, "12.3 %"), (0.00052, "0.052 %"), (2.2e-308, "under 0.001 %"), (0.0, "0.0 %")],
)
def test_percentages_are_never_powers_of_ten(share: float, said: str) -> None:
    assert percent(share) == said


def test_rates_are_of_treated_participants_by_version_of_consent(
    found: dict[tuple[str, str], Characteristic], tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    assert found[LYSIS, "all treated"].value == 3 / 12
    # first trial: the first alone consented to the original; second: two; the others: three each
    row = found[LYSIS, "treated, consented to original"]
    assert (row.value, row.n) == (2 / 9, 4)
    assert found[LYSIS, "treated, consented to amendment-1"].value == 1 / 3
    assert row.low is not None
    assert 0 < row.low < 2 / 9 < row.high < 1


def test_clustering_widens_the_interval_of_a_rate() -> None:
    def subjects(events: list[list[int]]) -> pl.DataFrame:
        rows = [(t, "v", 0, 1 if event else None) for t, trial in enumerate(events) for event in trial]
        return pl.DataFrame(rows, schema=["trial", "version_at_consent", "first_dose_day", "fever_day"], orient="row")

    def width(events: list[list[int]]) -> float:
        frame = subjects(events).with_columns(
            fever_known_day=pl.col("fever_day"), set=None, toxic_death_day=None, death_day=None, withdrawn_day=None
        )
        row = next(row for row in _rates(frame) if row.name == "fever")
        assert row.value == 0.5
        assert row.low is not None
        assert row.high is not None
        return row.high - row.low

    alike = [[0] * 10, [1] * 10] * 10  # all or none of a trial
    mixed = [[0, 1] * 5] * 20
    wilson = stats.binomtest(100, 200).proportion_ci(0.95, method="wilson")
    assert width(mixed) == pytest.approx(wilson.high - wilson.low, rel=1e-9)
    assert width(alike) == pytest.approx(np.sqrt(10) * width(mixed), rel=0.06)


def test_one_trial_has_no_interval_of_a_mean(tables: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    trials, subjects = tables
    one = {(r.name, r.of): r for r in summarize_trials(trials.head(1), subjects.head(3))}
    assert (one["harmed", "all trials"].value, one["harmed", "all trials"].low) == (1.0, None)
    none = {(r.name, r.of): r for r in summarize_trials(trials.tail(1), subjects.tail(3))}
    assert none["pause_day", "trials with a pause"].value is None


def test_the_picture_is_the_same_for_the_same_trials(tables: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    one, other = draw_trials(tables[0], "made up"), draw_trials(tables[0], "made up")
    assert one.png == other.png
    assert one.svg == other.svg
    assert draw_trials(tables[0].tail(1), "none paused").png != one.png

"""Decisions of both versions on scripted subjects; each expectation follows from the sentence of the rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.scripted import Scripted, acts, doses, run
from trialrun.plan.calendar import Plan


def column(n: int, row: int, value: float, normal: float = 3.0) -> np.ndarray:
    values = np.full(n, normal)
    values[row] = value
    return values


def test_original_steps_weekly_to_25_mg(original: Plan) -> None:
    _, log = run(original, Scripted(1), 57)
    taken = doses(log, 1, 56)[0]
    assert taken[:28].tolist() == [10.0] * 7 + [15.0] * 7 + [20.0] * 7 + [0.0] * 7
    assert taken[28:49].tolist() == [25.0] * 21
    assert taken[49:56].tolist() == [0.0] * 7


def test_amended_steps_by_cycle_to_10_mg(amended: Plan) -> None:
    _, log = run(amended, Scripted(1), 141)
    taken = doses(log, 1, 140)[0].reshape(5, 28)
    assert taken[:, 0].tolist() == [2.5, 5.0, 10.0, 10.0, 10.0]
    assert (taken[:, :21] == taken[:, :1]).all()
    assert (taken[:, 21:] == 0.0).all()


def test_neutropenia_holds_until_recovery_then_one_level_lower(original: Plan) -> None:
    results = {(14, "neutrophils"): np.array([0.49]), (21, "neutrophils"): np.array([0.99])}
    _, log = run(original, Scripted(1, results), 57)
    assert acts(log, 0)[2:6] == [(14, "hold"), (21, "hold"), (28, "resume"), (35, "dose")]
    taken = doses(log, 1, 56)[0]
    assert taken[14:28].sum() == 0.0
    assert taken[28:49].tolist() == [10.0] * 21


@pytest.mark.parametrize(("neutrophils", "held"), [(0.5, False), (0.4999, True)])
def test_the_bound_itself_does_not_hold(original: Plan, neutrophils: float, held: bool) -> None:
    _, log = run(original, Scripted(1, {(14, "neutrophils"): np.array([neutrophils])}), 22)
    assert (dict(acts(log, 0))[14] == "hold") is held


def test_missing_count_withholds_the_dose_and_is_never_normal(original: Plan) -> None:
    _, log = run(original, Scripted(1, {(7, "neutrophils"): np.array([np.nan])}), 22)
    assert dict(acts(log, 0))[7] == "undetermined"
    taken = doses(log, 1, 21)[0]
    assert taken[:14].tolist() == [10.0] * 7 + [0.0] * 7
    assert taken[14:21].tolist() == [10.0] * 7, "only 7 days were taken by day 14, the step comes a week later"


def test_missing_count_does_not_hide_what_stops(original: Plan) -> None:
    source = Scripted(1, {(7, "neutrophils"): np.array([np.nan])}, {7: [("tumor_lysis_syndrome", 0, 3.0)]})
    _, log = run(original, source, 22)
    assert dict(acts(log, 0))[7] == "stop"


def test_below_the_lowest_level_treatment_stops(amended: Plan) -> None:
    _, log = run(amended, Scripted(1, {(7, "neutrophils"): np.array([0.2])}), 60)
    assert acts(log, 0)[-1] == (14, "stop")
    assert doses(log, 1, 60)[0, 7:].sum() == 0.0


def test_a_missed_dose_is_not_made_up_and_does_not_count_for_the_step(original: Plan) -> None:
    _, log = run(original, Scripted(1, missed={2: [0], 3: [0]}), 29)
    taken = doses(log, 1, 28)[0]
    assert taken[:14].tolist() == [10.0] * 2 + [0.0] * 2 + [10.0] * 10, "5 days taken by day 7, 12 by day 14"
    assert taken[14:21].tolist() == [15.0] * 7
    assert taken[21:28].sum() == 0.0


def test_a_delayed_cycle_starts_on_the_day_its_first_dose_is_given(amended: Plan) -> None:
    _, log = run(amended, Scripted(1, {(28, "platelets"): np.array([20.0])}), 80)
    taken = doses(log, 1, 80)[0]
    assert dict(acts(log, 0))[28] == "hold"
    assert dict(acts(log, 0))[35] == "stop", "held before 5 mg was ever taken: one level below 2.5 mg there is nothing"
    assert taken[28:].sum() == 0.0


def test_a_delayed_second_cycle_keeps_its_21_days(original: Plan) -> None:
    _, log = run(original, Scripted(1, {(28, "platelets"): np.array([20.0])}), 80)
    taken = doses(log, 1, 80)[0]
    assert taken[28:35].sum() == 0.0
    assert taken[35:56].tolist() == [15.0] * 21
    assert taken[56:63].sum() == 0.0
    assert taken[63] == 15.0


def test_a_hold_wins_over_a_step_in_the_same_visit(amended: Plan) -> None:
    results = {(56, "platelets"): np.array([29.0])}
    _, log = run(amended, Scripted(1, results), 85)
    assert dict(acts(log, 0))[56] == "hold"
    assert dict(acts(log, 0))[63] == "resume"
    assert doses(log, 1, 85)[0, 63] == 2.5


def test_a_reduced_dose_is_not_raised_again(amended: Plan) -> None:
    _, log = run(amended, Scripted(1, {(35, "platelets"): np.array([29.0])}), 200)
    assert doses(log, 1, 200)[0, 42:].max() == 2.5


def test_after_the_end_of_treatment_nothing_is_decided(original: Plan) -> None:
    source = Scripted(1, events={7: [("tumor_lysis_syndrome", 0, 3.0)]})
    _, log = run(original, source, 100)
    assert acts(log, 0)[-1] == (7, "stop")


def test_one_subject_is_the_same_alone_and_in_a_crowd(original: Plan) -> None:
    rng = np.random.default_rng(7)
    n, days = 40, 113
    values = {(day, "neutrophils"): rng.lognormal(0.0, 0.8, n) for day in range(-14, days)}
    _, crowd = run(original, Scripted(n, values), days)
    everyone = doses(crowd, n, days)
    assert len({tuple(row) for row in everyone.tolist()}) > 10, "the subjects must differ for this to show anything"
    for row in (0, 17, 39):
        _, alone = run(original, Scripted(1, {key: value[[row]] for key, value in values.items()}), days)
        assert doses(alone, 1, days)[0].tolist() == everyone[row].tolist()
        assert acts(alone, 0) == acts(crowd, row)


def test_the_order_of_a_moments_findings_does_not_matter(original: Plan) -> None:
    class Reversed(Scripted):
        def observe(self, moment):  # type: ignore[no-untyped-def]
            seen = super().observe(moment)
            return replace(seen, findings=seen.findings[::-1])

    rng = np.random.default_rng(8)
    values = {(day, "neutrophils"): rng.lognormal(0.0, 0.8, 20) for day in range(-14, 85)}
    _, forwards = run(original, Scripted(20, values), 85)
    _, backwards = run(original, Reversed(20, values), 85)
    assert (doses(forwards, 20, 85) == doses(backwards, 20, 85)).all()


def test_a_visit_on_the_second_day_of_a_cycle_takes_place_after_its_first_dose(amended: Plan) -> None:
    source = Scripted(2, {(56, "neutrophils"): np.array([3.0, 0.4])})  # the second subject's cycle 3 waits a week
    _, log = run(amended, source, 85)
    held = {
        name: [(day, rows.tolist()) for day, visit, rows in log.visits if visit == name] for name in ("day_2", "day_4")
    }
    assert held["day_2"] == [(1, [0, 1]), (29, [0, 1]), (57, [0]), (64, [1])]
    assert held["day_4"] == [(3, [0, 1]), (31, [0, 1]), (59, [0]), (66, [1])]
    assert doses(log, 2, 85)[1, [56, 62, 63]].tolist() == [0.0, 0.0, 2.5]


def test_a_first_dose_that_is_missed_moves_the_second_day(amended: Plan) -> None:
    _, log = run(amended, Scripted(1, missed={0: [0], 1: [0]}), 28)
    assert [day for day, visit, _ in log.visits if visit == "day_2"] == [3]


def test_held_days_count_as_days_off_until_the_drug_is_taken_again(original: Plan) -> None:
    results = {(14, "neutrophils"): np.array([0.4])}
    subjects, log = run(original, Scripted(1, results), 20)
    assert dict(acts(log, 0))[14] == "hold"
    assert subjects.dosing.off_unplanned.tolist() == [5], "days 14 to 18; today is not over"

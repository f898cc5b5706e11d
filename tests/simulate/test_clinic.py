"""The virtual clinic: a small loop instead of the engine, luck that stays, screening, events, bad requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from trialrun.engine.source import Moment, Observed, Orders
from trialrun.simulate.biology import Biology
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.events import Happenings
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.tests import all_tests

LABS = ("neutrophils", "platelets", "hemoglobin", "lymphocytes", "leukocytes", "creatinine", "urate", "potassium")
DoseOf = Callable[[int], float]


@dataclass
class Trial:
    """What a small loop saw: findings by (test, day), every event, every exposure, who left."""

    clinic: VirtualClinic
    seen: list[tuple[int, Observed]] = field(default_factory=list)

    def values(self, test: str, day: int) -> NDArray[np.float64]:
        column = np.full(self.clinic.n, np.nan)
        for when, observed in self.seen:
            for item in observed.findings:
                if when == day and item.test == test:
                    column[item.rows] = item.values
        return column

    def grades(self, term: str) -> NDArray[np.float64]:
        worst = np.zeros(self.clinic.n)
        for _, observed in self.seen:
            for item in observed.events:
                if item.term == term:
                    np.maximum.at(worst, item.rows, item.grade)
        return worst


def conduct(
    clinic: VirtualClinic, dose: DoseOf, last: int, first: int = -14, tests: Sequence[str] = LABS, every: int = 7
) -> Trial:
    """Everyone gets dose(day) mg; tests and events are due every so many days, and from day -3 allopurinol."""
    trial, here, n = Trial(clinic), np.ones(clinic.n, dtype=np.bool_), clinic.n
    orders = Orders(np.zeros(n), {}, here.copy())
    for day in range(first, last + 1):
        asked = {name: np.full(n, True) for name in (*tests, "adverse_events")} if day % every == 0 else {}
        taken = clinic.live(day, orders)
        observed = replace(clinic.observe(Moment(day, asked)), exposures=taken)
        trial.seen.append((day, observed))
        for ended in observed.ended:
            here[ended.rows] = False
        given = np.where(here, dose(day) if day >= 0 else 0.0, 0.0)
        orders = Orders(given, {"allopurinol": np.full(n, day >= -3), "aspirin": here.copy()}, here.copy())
    return trial


def amended(day: int) -> float:
    return 0.0 if day % 28 >= 21 else (2.5, 5.0, 10.0)[min(day // 28, 2)]


def original(day: int) -> float:
    return 0.0 if day % 28 >= 21 else min(10.0 + 5.0 * ((day - 7 * (day // 28)) // 7), 25.0)


@pytest.fixture(scope="module")
def both(population: Population) -> dict[str, Trial]:
    return {
        name: conduct(VirtualClinic(population, 320, 12), dose, 84)
        for name, dose in (("original", original), ("amended", amended))
    }


def test_lymphocytes_fall_on_the_drug_and_rebound_in_the_week_off(both: dict[str, Trial]) -> None:
    trial = both["amended"]
    start, on, off = (trial.values("lymphocytes", day) for day in (-7, 77, 84))
    assert np.nanmedian(on / start) < 0.35
    assert np.nanmedian(off / on) > 1.5


def test_the_amended_schedule_flares_and_lyses_less_in_the_same_subjects(both: dict[str, Trial]) -> None:
    fast, slow = both["original"], both["amended"]
    assert (fast.grades("tumor_flare") >= 2).mean() > (slow.grades("tumor_flare") >= 2).mean()
    assert (slow.grades("tumor_flare") >= 1).mean() > 0.5
    lysis = [trial.clinic.truth()["laboratory_lysis"] for trial in (fast, slow)]
    assert lysis[0].mean() > lysis[1].mean()
    # events are seen, not made up: nobody is told a worse flare than there was
    for trial in both.values():
        assert (trial.grades("tumor_flare") <= trial.clinic.truth()["worst_flare_grade"]).all()


def test_what_is_told_does_not_depend_on_company_threads_or_chunks(population: Population) -> None:
    whole = conduct(VirtualClinic(population, 40, 5, threads=2), original, 30)
    parts = [conduct(VirtualClinic(population, 20, 5, first_subject=first), original, 30) for first in (0, 20)]
    for test in LABS:
        for day in (-14, 0, 21, 28):
            joined = np.concatenate([part.values(test, day) for part in parts])
            assert np.array_equal(whole.values(test, day), joined, equal_nan=True)
    for name, column in whole.clinic.truth().items():
        assert np.array_equal(column, np.concatenate([part.clinic.truth()[name] for part in parts])), name
    for day, observed in whole.seen:
        told = {item.day: item for item in observed.exposures}
        for number, part in enumerate(parts):
            for item in part.seen[day + 14][1].exposures:
                mine = told[item.day].rows // 20 == number
                assert np.array_equal(told[item.day].dose[mine], item.dose)


def test_the_same_person_has_the_same_luck_under_another_version(both: dict[str, Trial]) -> None:
    fast, slow = both["original"], both["amended"]
    assert np.array_equal(fast.clinic.age, slow.clinic.age)
    for test in LABS:
        assert np.array_equal(fast.values(test, -14), slow.values(test, -14))
    missed = [
        {(item.day, int(row)) for _, o in trial.seen for item in o.exposures for row in item.rows[item.dose == 0]}
        for trial in (fast, slow)
    ]
    stayed = np.flatnonzero((fast.clinic.truth()["here"] == 1) & (slow.clinic.truth()["here"] == 1))
    for row in stayed:
        assert {m for m in missed[0] if m[1] == row} == {m for m in missed[1] if m[1] == row}


def test_doses_are_missed_as_often_as_the_population_says(both: dict[str, Trial]) -> None:
    doses = np.concatenate([item.dose for _, o in both["amended"].seen for item in o.exposures])
    rate, n = (doses == 0).mean(), doses.size
    assert abs(rate - 0.03) < 4 * np.sqrt(0.03 * 0.97 / n)
    assert set(np.unique(doses)) == {0.0, 2.5, 5.0, 10.0}
    days = [item.day for _, o in both["amended"].seen for item in o.exposures]
    assert days == [day for day in range(84) if day % 28 < 21]


def test_measuring_moves_nobody(population: Population) -> None:
    often = conduct(VirtualClinic(population, 16, 8), original, 40, every=1).clinic.truth()
    seldom = conduct(VirtualClinic(population, 16, 8), original, 40, every=40).clinic.truth()
    for name, column in often.items():
        assert np.array_equal(column, seldom[name]), name


def test_every_test_can_be_measured_and_is_plausible(population: Population) -> None:
    clinic = VirtualClinic(population, 400, 2)
    tests = all_tests()
    names = list(population.tests)
    trial = conduct(clinic, original, 14, tests=names)
    for name in names:
        for day in (-14, 14):
            values = trial.values(name, day)
            if name != "lymphocyte_doubling_time":
                assert not np.isnan(values[clinic.truth()["here"] == 1]).any(), name
            for bound, beyond in ((tests[name].low, np.less), (tests[name].high, np.greater)):
                if bound is not None and name != "lymphocyte_doubling_time":
                    assert not beyond(values, bound).any(), name
    doubling = trial.values("lymphocyte_doubling_time", -14)
    assert np.isnan(doubling).any()  # where the clone does not grow there is none: missing, not zero
    assert (doubling[~np.isnan(doubling)] > 1).all()


def test_error_of_a_measurement_is_that_of_the_file(population: Population) -> None:
    clinic = VirtualClinic(population, 3000, 21)
    trial = conduct(clinic, lambda day: 0.0, 0, tests=("platelets", "potassium"))
    everyone = np.arange(3000)
    laboratory = clinic._laboratory
    error = np.log(trial.values("platelets", 0) / laboratory.truth("platelets", everyone))
    assert error.std() == pytest.approx(0.20, rel=0.05)
    assert error.mean() == pytest.approx(0.0, abs=4 * 0.20 / np.sqrt(3000))
    error = trial.values("potassium", 0) - laboratory.truth("potassium", everyone)
    assert error.std() == pytest.approx(0.18, rel=0.05)


def test_screening_values_meet_the_eligibility_that_the_truth_meets(population: Population) -> None:
    tests = (*LABS, "alt", "ast", "bilirubin", "lymphocyte_doubling_time")
    tests = (*tests, "symptomatic_nodes_or_organs", "constitutional_symptoms")
    clinic = VirtualClinic(population, 2000, 31)
    trial = conduct(clinic, original, -14, tests=tests)
    value = {test: trial.values(test, -14) for test in tests}
    upper = {item.test: item.high for _, o in trial.seen for item in o.findings}
    assert (value["neutrophils"] > 1.0).all()
    assert (value["platelets"] > 50).all()
    for test, multiple in (("creatinine", 1.5), ("bilirubin", 1.5), ("alt", 2.5), ("ast", 2.5)):
        assert (value[test] < multiple * upper[test]).all()
    need = (value["hemoglobin"] < 110) | (value["platelets"] < 100) | (value["lymphocyte_doubling_time"] < 365.25)
    need |= (value["symptomatic_nodes_or_organs"] == 1) | (value["constitutional_symptoms"] == 1)
    assert need.all()


def test_allopurinol_works_before_the_first_dose_and_nothing_else_moves(population: Population) -> None:
    clinic = VirtualClinic(population, 32, 4)
    before = clinic.truth()
    conduct(clinic, lambda day: 0.0, 0)
    after = clinic.truth()
    assert (after["urate"] < 0.95 * before["urate"]).all()
    for name in ("blood", "tissue", "marrow", "neutrophils", "platelets", "hemoglobin"):
        assert np.array_equal(after[name], before[name])


def test_fever_comes_with_low_neutrophils_and_the_dead_stay_silent(population: Population) -> None:
    rates = {"fever_rate": 0.2, "sepsis_fraction": 0.9, "sepsis_fatality": 0.9}
    infection = {
        **population.infection,
        **{name: population.infection[name].model_copy(update={"value": value}) for name, value in rates.items()},
    }
    grim = population.model_copy(update={"infection": infection})
    trial = conduct(VirtualClinic(grim, 200, 6), lambda day: 25.0, 60)
    other = {int(row) for _, seen in trial.seen for left in seen.ended if "another" in left.reason for row in left.rows}
    died: dict[int, int] = {}
    for day, observed in trial.seen:
        for item in (*observed.findings, *observed.events):
            quiet = np.isin(item.rows, [row for row, when in died.items() if when < day])
            assert not quiet.any()
        for ended in observed.ended:
            if ended.event == "death":
                died.update((int(row), day) for row in ended.rows)
    assert len(died) > 20
    cause = np.maximum(trial.grades("infection"), trial.grades("tumor_lysis_syndrome"))
    assert (cause[sorted(set(died) - other)] == 5).all()
    assert (trial.grades("febrile_neutropenia") > 0).any()


def test_clinical_lysis_is_laboratory_lysis_with_a_rise_of_creatinine(population: Population) -> None:
    clinic = VirtualClinic(population, 640, 9)
    baseline = clinic.truth()["creatinine"]
    trial = conduct(clinic, lambda day: 25.0, 21, every=1)
    truth = clinic.truth()
    lysed = truth["clinical_lysis_grade"] > 0
    assert lysed.any()
    assert (truth["laboratory_lysis"][lysed] == 1).all()
    assert (trial.grades("tumor_lysis_syndrome")[lysed] >= 1).all()
    assert (trial.grades("tumor_lysis_syndrome")[~lysed] == 0).all()
    assert (baseline > 0).all()


@pytest.mark.parametrize(
    ("moment", "orders", "said"),
    [
        (Moment(0, {}), Orders(np.zeros(4), {}, np.ones(4, dtype=np.bool_)), "ascend"),
        (Moment(2, {}), Orders(np.zeros(3), {}, np.ones(4, dtype=np.bool_)), "each subject"),
        (Moment(2, {}), Orders(np.zeros(4)), "each subject"),
        (Moment(2, {}), Orders(np.array([1, 2, np.nan, 4.0]), {}, np.ones(4, dtype=np.bool_)), "dose"),
        (Moment(2, {}), Orders(np.full(4, -1.0), {}, np.ones(4, dtype=np.bool_)), "dose"),
        (
            Moment(2, {"cholesterol": np.ones(4, dtype=np.bool_)}),
            Orders(np.zeros(4), {}, np.ones(4, dtype=np.bool_)),
            "how this test is measured",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(population: Population, moment: Moment, orders: Orders, said: str) -> None:
    clinic = VirtualClinic(population, 4, 1)
    clinic.live(1, Orders(np.zeros(4), {}, np.ones(4, dtype=np.bool_)))
    with pytest.raises(TrialrunError, match=said):
        _ask(clinic, moment, orders)


def test_a_moment_is_observed_on_the_day_that_was_lived_to(population: Population) -> None:
    clinic = VirtualClinic(population, 4, 1)
    clinic.live(1, Orders(np.zeros(4), {}, np.ones(4, dtype=np.bool_)))
    with pytest.raises(TrialrunError, match="day 1, to which"):
        clinic.observe(Moment(2, {}))


def _ask(clinic: VirtualClinic, moment: Moment, orders: Orders) -> None:
    clinic.live(moment.day, orders)
    clinic.observe(moment)


@pytest.mark.parametrize(("n", "first", "threads"), [(0, 0, 1), (3, -1, 1), (3, 0, 0)])
def test_a_clinic_without_subjects_is_refused(population: Population, n: int, first: int, threads: int) -> None:
    with pytest.raises(TrialrunError, match="needs subjects"):
        VirtualClinic(population, n, 1, first, threads=threads)


def _numbers(population: Population, changed: dict[str, float], n: int) -> dict[str, NDArray[np.float64]]:
    assert all(name in population.numbers() for name in changed)
    return {name: np.full(n, value) for name, value in changed.items()}


def test_parameter_sets_side_by_side_are_as_each_alone(population: Population) -> None:
    """Two sets in one clinic: each subject is the one it is in a clinic of its own set."""
    first = {"immune.inflammation_gain": 10.0, "lysis.hit_rate": 0.02, "conduct.missed_dose": 0.3}
    second = {"immune.inflammation_gain": 20.0, "lysis.hit_rate": 0.0, "conduct.missed_dose": 0.0}
    which = np.arange(64) % 2 == 0
    mixed = {name: np.where(which, first[name], second[name]) for name in first}
    both = VirtualClinic(population, 64, 3, numbers=mixed)
    conduct(both, original, 20)
    for mine, chosen in ((which, first), (~which, second)):
        alone = VirtualClinic(population, 64, 3, numbers=_numbers(population, chosen, 64))
        conduct(alone, original, 20)
        for name, column in both.truth().items():
            np.testing.assert_array_equal(column[mine], alone.truth()[name][mine], err_msg=name)


def test_numbers_that_do_not_exist_are_refused(population: Population) -> None:
    with pytest.raises(TrialrunError, match="no such number"):
        VirtualClinic(population, 3, 1, numbers={"immune.gain": np.ones(3)})
    with pytest.raises(TrialrunError, match="one finite value"):
        VirtualClinic(population, 3, 1, numbers={"immune.inflammation_gain": np.ones(4)})


def test_hits_bring_late_lysis_and_without_drug_none(population: Population) -> None:
    """A kidney that is hit often meets cells that still lyse at week 4 and later; without drug it is not called lysis."""
    n = 600
    often = _numbers(population, {"lysis.hit_rate": 0.05, "lysis.hit_size": 0.4}, n)
    never = _numbers(population, {"lysis.hit_rate": 0.0, "lysis.hit_rate_flare": 0.0, "lysis.hit_fever": 0.0}, n)

    def late(numbers: dict[str, NDArray[np.float64]], dose: DoseOf) -> int:
        trial = conduct(VirtualClinic(population, n, 8, numbers=numbers), dose, 70)
        days = {
            int(row): float(day)
            for _, observed in trial.seen
            for item in observed.events
            if item.term == "tumor_lysis_syndrome"
            for row, day in zip(item.rows, item.day, strict=True)
        }
        return sum(day > 21 for day in days.values())

    assert late(often, original) > late(never, original)
    assert late(often, original) > 0
    assert late(often, lambda day: 0.0) == 0


def test_flare_is_felt_some_days_after_inflammation(population: Population) -> None:
    """The same people with delays of 0, 2 and 8 days: felt later the longer it is, and never worse than without."""
    first, worst = [], []
    for delay in (0.0, 2.0, 8.0):
        subjects = draw_subjects(population, 5, np.arange(120))
        numbers = _numbers(population, {"flare.flare_delay": delay}, 120)
        biology = Biology(subjects)
        happenings = Happenings(population, 5, subjects, biology, numbers)
        days = np.full(120, np.inf)
        for day in range(1, 22):
            biology.advance_day(np.full(120, 25.0), {})
            happenings.happen(day, np.full(120, 25.0))
            days = np.where(happenings.flare > 0.0, np.minimum(days, day), days)
        first.append(days)
        worst.append(happenings.flare_most.copy())
    both = np.isfinite(first[2])
    assert both.sum() > 60
    assert (first[0] <= first[1]).all()
    assert (first[1] <= first[2]).all()
    assert np.median(first[0][both]) < np.median(first[2][both])
    assert (worst[0] >= worst[1]).all()
    assert (worst[1] >= worst[2]).all()


def test_the_unreactive_do_not_flare_and_nonresponders_keep_their_nodes(population: Population) -> None:
    n = 200
    truth = {}
    for name in ("immune.unreactive", "leukemia.nonresponder"):
        for part in (0.0, 1.0):
            clinic = VirtualClinic(population, n, 5, numbers=_numbers(population, {name: part}, n))
            conduct(clinic, lambda day: 10.0, 40)
            truth[name, part] = clinic.truth()
    flared = [(truth["immune.unreactive", part]["worst_flare_grade"] > 0).mean() for part in (0.0, 1.0)]
    assert flared[1] < 0.5 * flared[0]
    tissue = [np.median(truth["leukemia.nonresponder", part]["tissue"]) for part in (0.0, 1.0)]
    assert tissue[1] > 1.5 * tissue[0]


def test_people_die_of_other_causes_as_often_as_the_file_says(population: Population) -> None:
    n, days = 4000, 200
    rate = 0.002
    numbers = _numbers(population, {"survival.death_rate_other": rate, "survival.death_rate_age": 0.0}, n)
    numbers |= _numbers(population, {"conduct.dropout_rate": 0.0}, n)
    trial = conduct(VirtualClinic(population, n, 12, numbers=numbers), lambda day: 0.0, days, tests=(), every=50)
    dead = sum(left.rows.size for _, seen in trial.seen for left in seen.ended if left.event == "death")
    wanted = n * -np.expm1(-rate * days)
    assert abs(dead - wanted) < 4 * np.sqrt(wanted)

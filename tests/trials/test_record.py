"""A simulated trial that amends itself, as a record: the real machinery accepts it and comes to the same answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.engine.study import check_study
from trialrun.engine.today import decide_on
from trialrun.protocol import Protocol
from trialrun.record import Record
from trialrun.simulate.ensemble import Ensemble, write_ensemble
from trialrun.simulate.population import read_population
from trialrun.trials.record import trial_tables, write_trial
from trialrun.trials.run import Trials, run_trials
from trialrun.trials.study import read_trial_study
from trialrun.trials.summary import summarize_trials
from trialrun.trials.tables import tabulate_subjects, tabulate_trials

SUBJECTS, TRIALS, CYCLES = 12, 30, 6
STUDY = Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll"


def _run(protocol: Protocol, *amend_to: str) -> Trials:
    study = read_trial_study(protocol, "original", amend_to, None, None)
    return run_trials(study.setting(5, CYCLES, SUBJECTS, TRIALS), TRIALS, SUBJECTS)


@pytest.fixture(scope="module")
def amended(protocol: Protocol) -> Trials:
    return _run(protocol, "amendment-1")


@pytest.fixture(scope="module")
def plain(protocol: Protocol) -> Trials:
    return _run(protocol)


@pytest.fixture(scope="module")
def number(amended: Trials) -> int:
    """The first trial in which somebody changed version on treatment, with days left to be followed, and somebody was enrolled on
    the new one."""
    changed = tabulate_subjects(amended).filter(pl.col("changed_day") < pl.col("end_day"))["trial"]
    table = tabulate_trials(amended).filter(
        pl.col("trial").is_in(changed.implode()) & (pl.col("treated_on_amended") > 0)
    )
    return int(table["trial"][0])


@pytest.fixture(scope="module")
def record(amended: Trials, number: int, tmp_path_factory: pytest.TempPathFactory) -> Record:
    return write_trial(amended, number, tmp_path_factory.mktemp("record") / "one")


def _days(protocol: Protocol, *days: float) -> Iterator[date]:
    return (protocol.version("original").date + timedelta(days=int(day)) for day in days)


def test_nobody_is_enrolled_or_first_dosed_while_enrolment_is_closed(amended: Trials) -> None:
    consent, dose = amended.enrolment.consent, amended.enrolment.first_dose
    assert np.isfinite(amended.actions.closed[:, :, 0]).any()
    for pause in range(amended.actions.closed.shape[1]):
        start, end = (amended.actions.closed[:, pause, side][:, None] for side in (0, 1))
        for day in (consent, dose):
            assert not ((day >= start) & (day < end)).any()


def test_who_consents_from_activation_on_is_on_the_amended_version_and_nobody_before(amended: Trials) -> None:
    subjects = tabulate_subjects(amended).join(tabulate_trials(amended).select("trial", "amended_day"), on="trial")
    new = (pl.col("consent_day") >= pl.col("amended_day")).fill_null(False)
    assert subjects.filter(new)["version_at_consent"].unique().to_list() == ["amendment-1"]
    assert subjects.filter(~new)["version_at_consent"].unique().to_list() == ["original"]
    changed = subjects.filter(pl.col("changed_day").is_not_null())
    assert changed.height > 0
    assert (changed["changed_day"] >= changed["amended_day"]).all()
    assert (changed["version_at_consent"] == "original").all()
    # the amended version holds with the next cycle: within a cycle and its delays after activation
    assert ((changed["changed_day"] - changed["amended_day"]) < 4 * 28).all()


def test_counts_of_a_trial_are_those_of_its_subjects(amended: Trials) -> None:
    trials, subjects = tabulate_trials(amended), tabulate_subjects(amended)
    harm = pl.min_horizontal("toxic_death_day", "tumor_lysis_syndrome_day")
    by = subjects.join(trials.select("trial", "amended_day", "halt_day", "pause_day"), on="trial").group_by("trial").agg(
        treated=pl.col("first_dose_day").is_not_null().sum(),
        harmed=harm.is_not_null().sum(),
        before=(harm < pl.col("amended_day").fill_null(10**9)).sum(),
        by_pause=(pl.col("first_dose_day") <= pl.col("pause_day")).sum(),
        last=pl.col("end_day").max(),
    )  # fmt: skip
    both = trials.join(by, on="trial", suffix="_by_hand").with_columns(by_pause=pl.when("paused").then("by_pause"))
    assert both["harmed"].sum() > 0
    assert both["paused"].any()
    for name, other in (
        ("treated", "treated_by_hand"), ("harmed", "harmed_by_hand"), ("harmed_before_end_of_start", "before"),
        ("treated_by_pause", "by_pause"), ("duration_days", "last"),
    ):  # fmt: skip
        assert both[name].to_list() == both[other].to_list(), name


def test_up_to_the_amendment_the_trial_is_the_one_that_is_not_amended(
    protocol: Protocol, amended: Trials, plain: Trials, number: int
) -> None:
    assert amended.actions.trigger[:, 0].tolist() == plain.actions.trigger[:, 0].tolist()
    row = tabulate_trials(amended).filter(trial=number).row(0, named=True)
    halt, change = _days(protocol, row["halt_day"], row["amended_day"])
    one, other = (trial_tables(each, number) for each in (amended, plain))
    enrolled = one["consents"].filter(pl.col("date") < halt)["subject"].unique()
    dosed = one["exposures"].filter((pl.col("dose") > 0) & (pl.col("date") < halt))["subject"].unique()
    assert set(dosed) <= set(enrolled)
    assert dosed.len() > 0
    for name in ("findings", "visits", "decisions", "adverse_events"):
        when = pl.coalesce("known", "date") if name == "adverse_events" else pl.col("date")
        before = [
            table[name].filter(pl.col("subject").is_in(dosed.implode()) & (when < change)) for table in (one, other)
        ]
        assert before[0].height > 0, name
        assert before[0].equals(before[1]), name
    later = [table["decisions"].filter(pl.col("subject").is_in(dosed.implode())) for table in (one, other)]
    assert set(later[0]["version"]) == {"original", "amendment-1"}
    assert set(later[1]["version"]) == {"original"}


def test_the_record_has_nothing_wrong_with_it(record: Record) -> None:
    assert [each for each in record.problems if each.severity != "note"] == []
    assert record.rejected == ()


def test_consents_and_approvals_show_the_amendment(
    protocol: Protocol, amended: Trials, number: int, record: Record
) -> None:
    row = tabulate_trials(amended).filter(trial=number).row(0, named=True)
    first, active = _days(protocol, 0, row["amended_day"])
    assert record.tables["approvals"].select("date", "version").rows() == [(first, "original"), (active, "amendment-1")]
    consents = record.tables["consents"]
    new = consents.filter(version="amendment-1")
    assert (new["date"] >= active).all()
    assert new.height == row["changed_version"] + row["enrolled"] - consents.filter(version="original").height
    twice = consents.filter(pl.len().over("subject") == 2)
    assert twice["subject"].n_unique() == row["changed_version"] > 0


def test_the_rule_for_the_study_is_true_in_the_record_on_the_day_it_acted(
    protocol: Protocol, amended: Trials, tmp_path: Path
) -> None:
    acted = tabulate_trials(amended).filter("paused")
    assert acted.height > 0
    for trial, pause in acted.select("trial", "pause_day").head(4).iter_rows():
        record = write_trial(amended, trial, tmp_path / str(trial))
        before, day = _days(protocol, pause - 1, pause)
        assert [state.verdict for state in check_study(protocol, record, before)] == ["false"]
        assert [(s.verdict, s.action, s.version) for s in check_study(protocol, record, day)] == [
            ("true", "pause enrolment", "original")
        ]


def test_every_decision_is_taken_again_from_the_record(protocol: Protocol, record: Record) -> None:
    changed = record.tables["consents"].filter(pl.len().over("subject") == 2)["subject"].unique().sort()[:2]
    new = record.tables["consents"].filter(version="amendment-1")["subject"].sort()[-1:]
    decisions = record.tables["decisions"].filter(pl.col("subject").is_in(pl.concat([changed, new]).implode()))
    assert set(decisions["version"]) == {"original", "amendment-1"}
    for row in decisions.iter_rows(named=True):
        again = decide_on(protocol, record, row["subject"], row["date"])
        assert (again.action, again.dose, again.rule, again.version) == (
            row["action"], row["dose"], row["rule"], row["version"],
        ), row  # fmt: skip


def test_a_record_is_the_same_whichever_trials_were_run_beside(
    protocol: Protocol, amended: Trials, number: int
) -> None:
    study = read_trial_study(protocol, "original", ["amendment-1"], None, None)
    alone = run_trials(study.setting(5, CYCLES, SUBJECTS, TRIALS), 1, SUBJECTS, first_trial=number - 1)
    one, other = trial_tables(amended, number), trial_tables(alone, number)
    for name, table in one.items():
        assert table.equals(other[name]), name


def test_each_trial_has_the_parameter_set_that_the_ensemble_assigns(protocol: Protocol, tmp_path: Path) -> None:
    shutil.copyfile(STUDY / "population.yaml", tmp_path / "population.yaml")
    (fever,) = (name for name in read_population(STUDY).numbers() if name.endswith(".fever_rate"))
    rates = np.array([[1e-6], [0.5]])  # hazard of fever in neutropenia: hardly ever, and always
    about = {"fitted_to": "nothing: made up for a test"}
    write_ensemble(Ensemble((fever,), rates, np.array([0.25, 0.75]), about), tmp_path / "ensemble.parquet")
    study = read_trial_study(protocol, "original", [], tmp_path / "population.yaml", STUDY / "conduct.yaml")
    done = run_trials(study.setting(5, 2, 10, 8), 8, 10)
    table = tabulate_trials(done)
    assert sorted(table["set"].to_list()) == [0, 0, 1, 1, 1, 1, 1, 1]
    by_set = table.group_by("set").agg(pl.col("with_febrile_neutropenia").mean()).sort("set")
    calm, stormy = by_set["with_febrile_neutropenia"]
    assert calm < 0.5 < 2 < stormy
    alone = run_trials(study.setting(5, 2, 10, 8), 1, 10, first_trial=3)
    assert tabulate_trials(alone).row(0) == table.row(3)
    found = {row.name: row for row in summarize_trials(table, tabulate_subjects(done)) if row.of == "all treated"}
    rate = found["febrile_neutropenia"]
    assert (rate.sets_low, rate.sets_high) == (None, None)  # two sets tell no middle 95 % of sets
    # who is enrolled does not depend on the hazard: the same people come as without an ensemble
    plain = read_trial_study(protocol, "original", [], None, None, with_ensemble=False)
    assert plain.ensemble is None
    assert run_trials(plain.setting(5, 2, 10, 8), 8, 10).enrolment.consent[0, 0] == done.enrolment.consent[0, 0]

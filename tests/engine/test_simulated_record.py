"""The same rules decide for virtual and for real subjects: a simulated record, read back, gives the decisions again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from trialrun.engine.study import check_study
from trialrun.engine.today import decide_on
from trialrun.protocol import Protocol
from trialrun.record import Record, read_record
from trialrun.rehearse import Request, rehearse

SUBJECTS = 6
VERSIONS = ("original", "amendment-1")


def _plan(protocol: Protocol, subjects: int, trials: int = 1, cycles: int = 4, versions: int = 2) -> Request:
    named = tuple((str(protocol.file), version) for version in VERSIONS[:versions])
    return Request(named, None, subjects, trials, seed=3, cycles=cycles, ensemble=None)


@pytest.fixture(scope="module")
def run(protocol: Protocol, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    rehearse(_plan(protocol, SUBJECTS), out, date(2026, 1, 1))
    return out


@pytest.fixture(scope="module", params=VERSIONS)
def record(request: pytest.FixtureRequest, run: Path) -> Record:
    return read_record(run / request.param / "record")


def test_a_simulated_record_has_nothing_wrong_with_it(record: Record) -> None:
    assert [problem for problem in record.problems if problem.severity != "note"] == []
    assert record.rejected == ()


def test_every_simulated_decision_is_decided_again_from_its_record(protocol: Protocol, record: Record) -> None:
    decisions = record.tables["decisions"].sort("subject", "date")
    assert {"hold", "resume", "step up", "dose"} <= set(decisions["action"])
    assert decisions["subject"].n_unique() == SUBJECTS
    for row in decisions.iter_rows(named=True):
        again = decide_on(protocol, record, row["subject"], row["date"])
        assert (again.action, again.dose, again.rule) == (row["action"], row["dose"], row["rule"]), row
        assert again.version == row["version"]


def test_csv_says_the_same_as_parquet(protocol: Protocol, record: Record, tmp_path: Path) -> None:
    for name, table in record.tables.items():
        table.drop("value_as_recorded", "unit_as_recorded", strict=False).write_csv(tmp_path / f"{name}.csv")
    again = read_record(tmp_path)
    assert again.content_hash == record.content_hash
    last = record.tables["decisions"].sort("date")["date"][-1]
    for subject in record.tables["subjects"]["subject"].sort()[:3]:
        one, other = (decide_on(protocol, each, subject, last) for each in (record, again))
        assert one.as_dict() == other.as_dict()


def test_the_record_does_not_depend_on_the_company(protocol: Protocol, run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "by-three"
    rehearse(_plan(protocol, SUBJECTS), alone, date(2026, 1, 1), chunk=3)
    for version in VERSIONS:
        names = sorted(path.name for path in (run / version / "record").iterdir())
        for file in [f"{version}/outcomes.parquet", *(f"{version}/record/{name}" for name in names)]:
            one, other = pl.read_parquet(run / file), pl.read_parquet(alone / file)
            assert one.equals(other), file
    assert (run / "summary.csv").read_bytes() == (alone / "summary.csv").read_bytes()


def test_the_same_call_writes_the_same_bytes(protocol: Protocol, run: Path, tmp_path: Path) -> None:
    rehearse(_plan(protocol, SUBJECTS), tmp_path / "again", date(2026, 1, 1))
    for path in run.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(run)).read_bytes(), path.name


def test_versions_meet_the_same_subjects(run: Path) -> None:
    one, other = (read_record(run / version / "record").tables for version in VERSIONS)
    columns = ["subject", "sex"]
    assert one["subjects"].select(columns).equals(other["subjects"].select(columns))
    days = []
    for tables in (one, other):
        first = tables["exposures"].filter(pl.col("dose") > 0)["date"].min()
        before = tables["findings"].filter(pl.col("date") < first).with_columns(day=pl.col("date") - first)
        days.append(before.select("subject", "day", "test", "value", "text").sort("subject", "day", "test"))
    assert days[0].height > 0
    assert days[0].equals(days[1])


def test_trials_are_counted_and_named(protocol: Protocol, tmp_path: Path) -> None:
    rehearse(_plan(protocol, 5, trials=3, cycles=1, versions=1), tmp_path, date(2026, 1, 1), chunk=4)
    outcomes = pl.read_parquet(tmp_path / "original" / "outcomes.parquet")
    assert outcomes["trial"].to_list() == [1] * 5 + [2] * 5 + [3] * 5
    assert outcomes["subject"].to_list() == [f"T{trial:04d}-{n:06d}" for trial in (1, 2, 3) for n in range(1, 6)]


def test_study_rules_pause_on_the_first_lysis(protocol: Protocol, record: Record) -> None:
    lysis = record.tables["adverse_events"].filter((pl.col("term") == "tumor_lysis_syndrome") | (pl.col("grade") == 5))
    last = record.tables["decisions"]["date"].max()
    assert isinstance(last, date)
    (state,) = check_study(protocol, record, last)
    assert state.verdict == ("true" if lysis.height else "false")

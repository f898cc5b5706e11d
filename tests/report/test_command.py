"""What `trialrun report` makes of a directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from trialrun.analysis.run import Run
from trialrun.cli import app
from trialrun.record import read_record
from trialrun.report.command import describe_record, write_page
from trialrun.vocab.problems import TrialrunError

STUDY = Path(__file__).parents[2] / "studies/lenalidomide-cll/protocol.yaml"


@pytest.fixture(scope="module")
def record(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record directory of CSV files, made up, of ten subjects."""
    folder = tmp_path_factory.mktemp("record")
    for path in (run.directory / "original/record").glob("*.parquet"):
        table = pl.read_parquet(path)
        if "subject" in table.columns:
            table = table.filter(pl.col("subject") <= "T01-00010")
        dates = [name for name in ("date", "end_date") if name in table.columns]
        table = table.with_columns(pl.col(name).dt.offset_by("-20y") for name in dates)  # the future is an error
        table.write_csv(folder / f"{path.stem}.csv")
    return folder


def test_a_record_is_reported_and_bad_lines_are_listed(record: Path, tmp_path: Path) -> None:
    folder = tmp_path / "record"
    shutil.copytree(record, folder)
    with (folder / "findings.csv").open("a") as file:
        file.write("bad-1,T01-00001,2010-02-01,,,nonsense,1.0,,,,,,,\n")
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 1
    assert "findings.csv" in done.stderr
    assert "nonsense" in done.stderr
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "What was observed" in text
    assert "<strong>10</strong> enrolled" in text


def test_the_protocol_tells_what_a_record_was_to_follow(record: Path) -> None:
    run, plan = describe_record(read_record(record), record, f"{STUDY}@amendment-1")
    info = run.versions[0]
    assert (info.version, info.target_mg, info.days_on, info.cycle_days, info.ctcae) == (
        "amendment-1",
        10.0,
        21,
        28,
        "3.0",
    )
    assert [info.planned_mg[day] for day in (0, 20, 21, 28, 56, 84)] == [2.5, 2.5, 0.0, 5.0, 10.0, 10.0]
    assert plan.planned_mg == info.planned_mg
    assert run.record_hash is not None
    alone, empty = describe_record(read_record(record), record, None)
    assert alone.versions[0].levels_mg == (10.0, 15.0, 20.0, 25.0)
    assert empty.visits == ()


def test_what_cannot_be_reported_is_told(run: Run, tmp_path: Path) -> None:
    with pytest.raises(TrialrunError) as caught:
        write_page(tmp_path / "nothing", None, None)
    assert caught.value.problems[0].code == "not-a-run-directory"
    with pytest.raises(TrialrunError) as caught:
        write_page(run.directory, None, "protocol.yaml")
    assert caught.value.problems[0].code == "protocol-not-needed"

"""`trialrun trials`: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.record import read_record
from trialrun.vocab.problems import TrialrunError

STUDY = str(Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll")
SMALL = ["--start", "original", "--amend-to", "amendment-1", "--subjects", "6", "--cycles", "2", "--seed", "3"]


def _run(*words: str) -> str:
    result = CliRunner().invoke(app, ["trials", STUDY, *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("trials")
    figure = ["--figure", str(folder / "figure.svg")]
    return folder, _run(*SMALL, "--trials", "12", "--out", str(folder), "--format", "json", *figure)


def test_it_writes_tables_and_summary_and_prints_the_summary(out: tuple[Path, str]) -> None:
    folder, said = out
    assert json.loads(said) == json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    trials, subjects = (pl.read_parquet(folder / f"{name}.parquet") for name in ("trials", "subjects"))
    assert (trials.height, subjects.height) == (12, 72)
    rows = list(csv.DictReader(io.StringIO((folder / "summary.csv").read_text(encoding="utf-8"))))
    assert [row["name"] for row in rows] == [row["name"] for row in json.loads(said)]
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    assert (about["versions"], about["seed"], about["trials"]) == (["original", "amendment-1"], 3, 12)
    assert (folder / "figure.svg").read_text(encoding="utf-8").startswith("<svg")


def test_the_same_call_gives_the_same_bytes_whatever_the_threads(out: tuple[Path, str], tmp_path: Path) -> None:
    folder, said = out
    again = _run(*SMALL, "--trials", "12", "--out", str(tmp_path), "--format", "json", "--threads", "2")
    assert again == said
    for name in ("trials.parquet", "subjects.parquet", "summary.csv", "about.json"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_one_trial_is_written_as_a_record(out: tuple[Path, str], tmp_path: Path) -> None:
    trials = pl.read_parquet(out[0] / "trials.parquet")
    said = json.loads(_run(*SMALL, "--trials", "12", "--trial", "5", "--out", str(tmp_path), "--format", "json"))
    assert said == trials.row(4, named=True)
    record = read_record(tmp_path)
    assert record.tables["subjects"].height == said["enrolled"]
    with pytest.raises(TrialrunError, match="there is a record already"):
        _run(*SMALL, "--trial", "5", "--out", str(tmp_path))
    assert "original" in _run(*SMALL, "--trial", "5", "--out", str(tmp_path / "text"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--amend-to", "amendment-9"], "amendment-9"),
        (["--start", "original", "--amend-to", "original"], "named twice"),
        (["--conduct", "nowhere.yaml"], "how the trial is run"),
        (["--trials", "1", "--subjects", "1", "--cycles", "1", "--figure", "x.gif"], "PNG or SVG"),
    ],
)
def test_bad_calls_say_what_is_wrong(words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(TrialrunError, match=said):
        CliRunner().invoke(app, ["trials", STUDY, "--out", str(tmp_path), *words], catch_exceptions=False)

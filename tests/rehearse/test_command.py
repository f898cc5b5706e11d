"""`trialrun simulate` and `trialrun compare` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rehearse.tasks import STUDIES
from trialrun.cli import app
from trialrun.vocab.problems import TrialrunError

CLL, VENETOCLAX = str(STUDIES / "lenalidomide-cll"), str(STUDIES / "venetoclax-rampup")


def _call(out: Path, *words: str) -> Result:
    result = CliRunner().invoke(app, [*words, "--cycles", "1", "--out", str(out)])
    if result.exception is not None:
        raise result.exception
    return result


def test_rounding_up_is_told_and_one_trial_is_noticed(tmp_path: Path) -> None:
    uneven = _call(tmp_path / "uneven", "simulate", CLL, "--subjects", "203", "--keep", "outcomes")
    assert "203 subjects are rounded up to 21 trials of 10" in uneven.stderr
    assert json.loads((tmp_path / "uneven" / "run.json").read_text(encoding="utf-8"))["trials"] == 21
    alone = _call(tmp_path / "alone", "simulate", CLL, "--subjects", "20", "--keep", "outcomes")
    assert "rounded" not in alone.stderr
    assert "One trial: all of its subjects have one parameter set" in alone.stdout


def test_a_scheduler_without_dask_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(TrialrunError, match="--on dask"):
        _call(tmp_path / "out", "simulate", CLL, "--scheduler", "tcp://localhost:8786")
    assert not (tmp_path / "out").exists()


def test_a_drug_that_the_people_do_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrialrunError, match="react to lenalidomide"):
        _call(tmp_path / "out", "simulate", VENETOCLAX, "--population", CLL)
    with pytest.raises(TrialrunError, match="schedules of one drug"):
        _call(tmp_path / "out", "compare", CLL, VENETOCLAX)
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_resumed_prints_the_same(tmp_path: Path) -> None:
    words = ("compare", f"{CLL}@original", f"{CLL}@amendment-1", "--subjects", "10", "--trials", "2", "--chunk", "8")
    first = _call(tmp_path, *words, "--format", "csv")
    assert first.stdout.count("\n") > 50
    assert _call(tmp_path, *words, "--format", "csv", "--resume").stdout == first.stdout
    with pytest.raises(TrialrunError, match="another request"):
        _call(tmp_path, *words, "--seed", "2", "--resume")

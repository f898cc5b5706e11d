"""The same bytes for any chunk, number of processes and place; interrupted runs go on; arms of several studies."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.rehearse import Request, Where, read_rehearsal, rehearse
from trialrun.rehearse import run as rehearse_run
from trialrun.simulate.ensemble import Ensemble, assign_sets, read_ensemble, write_ensemble
from trialrun.vocab.problems import TrialrunError

STUDIES = Path(__file__).parents[2] / "studies"
DAY = date(2026, 1, 1)


@pytest.fixture(scope="module")
def request_of(tmp_path_factory: pytest.TempPathFactory) -> Request:
    """70 subjects in 7 trials of 10 over an ensemble of 5 sets, two cycles, both versions."""
    names = ("immune.inflammation_gain", "lysis.hit_rate")
    values = np.column_stack([np.linspace(10, 18, 5), np.full(5, 0.001)])
    file = tmp_path_factory.mktemp("sets") / "ensemble.parquet"
    write_ensemble(Ensemble(names, values, np.full(5, 0.2), {"facts": {}}), file)
    study = str(STUDIES / "lenalidomide-cll")
    return Request(((study, "original"), (study, "amendment-1")), None, 10, 7, 4, 2, str(file))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def whole(request_of: Request, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    rehearse(request_of, out, DAY)
    return _bytes(out)


def test_outcomes_name_trial_and_parameter_set(request_of: Request, whole: dict[str, bytes]) -> None:
    outcomes = pl.read_parquet(whole["original/outcomes.parquet"])
    assert outcomes["trial"].to_list() == [t for t in range(1, 8) for _ in range(10)]
    sets = assign_sets(read_ensemble(Path(request_of.ensemble or "")), 7)
    assert outcomes["set"].to_list() == [k for k in sets for _ in range(10)]
    said = json.loads(whole["run.json"])
    assert said["ensemble"]["sets"] == 5
    assert said["notices"] == []


@pytest.mark.parametrize(("chunk", "workers"), [(16, 1), (33, 2)])
def test_chunks_and_processes_change_no_byte(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, chunk: int, workers: int
) -> None:
    rehearse(request_of, tmp_path, DAY, chunk=chunk, where=Where(workers))
    found = _bytes(tmp_path)
    assert found.keys() == whole.keys()
    for name, content in whole.items():
        assert found[name] == content, name


def test_an_interrupted_run_goes_on_and_only_makes_what_is_missing(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = rehearse_run.make_chunk

    def counted(*call: object) -> object:
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(1)
        return real(*call)  # type: ignore[arg-type]

    monkeypatch.setattr(rehearse_run, "make_chunk", counted)
    with pytest.raises(KeyboardInterrupt):
        rehearse(request_of, tmp_path, DAY, chunk=16)
    monkeypatch.setattr(rehearse_run, "make_chunk", lambda *call: made.append(1) or real(*call))
    with pytest.raises(TrialrunError, match="another request"):
        rehearse(replace(request_of, seed=5), tmp_path, DAY, chunk=16, resume=True)
    rehearse(request_of, tmp_path, DAY, chunk=16, resume=True)
    assert len(made) == 10  # 5 chunks of each arm, each made once
    assert _bytes(tmp_path) == whole


def test_dask_gives_the_bytes_of_here(request_of: Request, whole: dict[str, bytes], tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `scale` is not installed")
    rehearse(request_of, tmp_path, DAY, chunk=32, where=Where(2, dask=True))
    assert _bytes(tmp_path) == whole


def test_outcomes_alone_are_those_of_the_whole(request_of: Request, whole: dict[str, bytes], tmp_path: Path) -> None:
    rehearse(request_of, tmp_path, DAY, keep_record=False)
    assert not (tmp_path / "original" / "record").exists()
    assert (tmp_path / "original" / "outcomes.parquet").read_bytes() == whole["original/outcomes.parquet"]


def test_schedules_of_several_studies_meet_the_same_people(tmp_path: Path) -> None:
    arms = ((str(STUDIES / "lenalidomide-cll"), "original"), (str(STUDIES / "lenalidomide-25mg"), None))
    rehearse(Request(arms, None, 12, 1, 3, 1, None), tmp_path, DAY)
    said = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    folders = [item["folder"] for item in said["versions"]]
    assert folders == ["lenalidomide-cll@original", "lenalidomide-25mg@published"]
    assert any("not on its own" in notice for notice in said["notices"])
    people = [pl.read_parquet(tmp_path / folder / "record" / "subjects.parquet") for folder in folders]
    assert people[0]["sex"].to_list() == people[1]["sex"].to_list()


def test_a_group_is_spread_over_small_trials_where_there_is_an_ensemble(request_of: Request) -> None:
    spread = read_rehearsal(replace(request_of, subjects=2000, trials=None))
    assert (spread.subjects, spread.trials) == (10, 200)
    alone = read_rehearsal(replace(request_of, subjects=2000, trials=None, ensemble=None))
    assert (alone.subjects, alone.trials) == (2000, 1)


def test_systematic_resampling_uses_each_set_as_often_as_it_weighs() -> None:
    weights = np.array([0.5, 0.26, 0.14, 0.1])
    ensemble = Ensemble(("immune.inflammation_gain",), np.ones((4, 1)), weights, {})
    for trials in (1, 7, 40, 333):
        counts = np.bincount(assign_sets(ensemble, trials), minlength=4)
        assert counts.sum() == trials
        assert (np.abs(counts - weights * trials) < 1.0 + 1e-9).all()

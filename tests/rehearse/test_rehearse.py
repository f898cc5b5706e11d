"""The same bytes for any chunk, number of processes and place; interrupted runs go on; arms of several studies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rehearse.tasks import DAY, STUDIES, files_of, make_chunk_or_die
from trialrun.analysis.outcomes import TESTS, derive_outcomes
from trialrun.rehearse import Request, Where, read_rehearsal, rehearse
from trialrun.rehearse import run as rehearse_run
from trialrun.rehearse.plan import name_program
from trialrun.rehearse.run import cut_evenly, make_chunk, simulate_chunk, simulate_lean
from trialrun.rehearse.subjects import conduct_lean
from trialrun.simulate.ensemble import assign_sets, read_ensemble
from trialrun.vocab.problems import TrialrunError
from trialrun.workers import AHEAD, pack


def _same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert found.keys() == expected.keys()
    for name, content in expected.items():
        assert found[name] == content, name


def _as_a_command(request_of: Request, out: Path, chunk: int) -> list[str]:
    """The run in a process of its own."""
    script = (
        "import sys, json; from datetime import date; from pathlib import Path; from trialrun.rehearse import *;"
        "r = json.loads(sys.argv[1]); r['protocols'] = tuple(map(tuple, r['protocols']));"
        "rehearse(Request(**r), Path(sys.argv[2]), date(2026, 1, 1), chunk=int(sys.argv[3]))"
    )
    return [sys.executable, "-c", script, json.dumps(asdict(request_of)), str(out), str(chunk)]


def test_outcomes_name_trial_and_parameter_set(request_of: Request, whole: dict[str, bytes]) -> None:
    outcomes = pl.read_parquet(whole["original/outcomes.parquet"])
    assert outcomes["trial"].to_list() == [t for t in range(1, 8) for _ in range(10)]
    sets = assign_sets(read_ensemble(Path(request_of.ensemble or "")), 7)
    assert outcomes["set"].to_list() == [k for k in sets for _ in range(10)]
    (notice,) = json.loads(whole["run.json"])["notices"]
    assert notice.startswith("The parameter sets are worth 5 equal ones, fewer than 100")


def test_run_json_names_what_each_number_came_from(request_of: Request, whole: dict[str, bytes]) -> None:
    said, plan = json.loads(whole["run.json"]), read_rehearsal(request_of)
    assert said["population_hash"] == plan.population.content_hash
    assert said["ensemble"]["sets"] == 5
    assert len(said["ensemble"]["hash"]) == 64
    assert said["request"] == {**plan.about(), "keeps": "record"}
    for item, arm in zip(said["versions"], plan.arms, strict=True):
        assert item["study"] == arm.protocol.study.id
        assert item["study_version"] == arm.version
        assert item["protocol_hash"] == arm.protocol.hash


@pytest.mark.parametrize(("chunk", "workers"), [(7, 1), (33, 2)])
def test_chunks_and_processes_change_no_byte(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, chunk: int, workers: int
) -> None:
    rehearse(request_of, tmp_path, DAY, chunk=chunk, where=Where(workers))
    _same(files_of(tmp_path), whole)


def test_threads_change_no_byte(request_of: Request, whole: dict[str, bytes], tmp_path: Path) -> None:
    for threads in ("1", "2"):
        own = {**os.environ, "POLARS_MAX_THREADS": threads, "NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        out = tmp_path / threads
        subprocess.run(_as_a_command(request_of, out, 2048), env=own, check=True, timeout=300)
        _same(files_of(out), whole)


def test_dask_gives_the_bytes_of_here_though_a_worker_is_lost(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra `scale` is not installed")
    _rehearse_with_a_loss(request_of, whole, tmp_path, monkeypatch, Where(2, dask=True))


def test_a_lost_process_changes_no_byte(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rehearse_with_a_loss(request_of, whole, tmp_path, monkeypatch, Where(2))


def _rehearse_with_a_loss(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Where
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    monkeypatch.setattr(rehearse_run, "make_chunk", partial(make_chunk_or_die, str(seen)))
    rehearse(request_of, tmp_path / "run", DAY, chunk=16, where=where)
    assert (seen / "killed").exists()
    made = Counter(file.name.rsplit("-", 2)[0] for file in seen.iterdir() if file.name != "killed")
    assert made.keys() == {f"{arm}-{first}" for arm in (0, 1) for first in range(0, 70, 16)}
    # what the lost worker was at is made again: on Dask with what it had made and nobody had fetched, of the calls given out ahead;
    # here the pool is lost with it, and so what the other one was at
    assert 1 <= sum(made.values()) - 10 <= (AHEAD if where.dask else 2)
    _same(files_of(tmp_path / "run"), whole)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The chunks that are made from now on in this process, as (arm, first, n)."""
    found: list[tuple[int, int, int]] = []
    real = rehearse_run.make_chunk

    def counted(packed: bytes, arm: int, first: int, n: int, keep_record: bool) -> object:
        found.append((arm, first, n))
        return real(packed, arm, first, n, keep_record)

    monkeypatch.setattr(rehearse_run, "make_chunk", counted)
    return found


def test_a_run_that_was_killed_goes_on_with_the_same_bytes(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, made: list[tuple[int, int, int]]
) -> None:
    out = tmp_path / "run"
    _kill_when(request_of, out, lambda: len(list((out / "parts").glob("*/*-16/chunk.json"))) >= 3)
    there = sorted(path.parent for path in (out / "parts").glob("*/*/chunk.json"))
    assert not (out / "run.json").exists()
    with pytest.raises(TrialrunError, match="another request") as error:
        rehearse(replace(request_of, seed=5), out, DAY, resume=True)
    assert "seed: 4" in (error.value.problems[0].found or "")
    torn = there[1] / "outcomes.parquet"
    torn.write_bytes(torn.read_bytes()[:-1])
    rehearse(request_of, out, DAY, chunk=20, resume=True)  # cut otherwise than before
    assert sum(n for _, _, n in made) == 140 - sum(int(path.name.partition("-")[2]) for path in there) + 16
    _same(files_of(out), whole)


def _kill_when(request_of: Request, out: Path, enough: Callable[[], bool]) -> None:
    """Start the run in a process of its own with chunks of 16 and kill that process."""
    process = subprocess.Popen(_as_a_command(request_of, out, 16))
    try:
        until = time.monotonic() + 300
        while not enough():
            assert process.poll() is None, "the run ended before it was killed"
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_resuming_what_is_finished_makes_nothing(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, made: list[tuple[int, int, int]]
) -> None:
    small = replace(request_of, protocols=request_of.protocols[1:], trials=2, cycles=1)
    rows = rehearse(small, tmp_path, DAY)
    before, told = files_of(tmp_path), []
    assert made == [(0, 0, 20)]
    assert rehearse(small, tmp_path, DAY, resume=True, progress=told.append) == rows
    assert made == [(0, 0, 20)]
    assert told == [20]
    _same(files_of(tmp_path), before)
    for other in (replace(small, trials=3), replace(small, protocols=request_of.protocols[:1])):
        with pytest.raises(TrialrunError, match="another request"):
            rehearse(other, tmp_path, DAY, resume=True)
    with pytest.raises(TrialrunError, match="another request"):
        rehearse(small, tmp_path, DAY, resume=True, keep_record=False)
    _same(files_of(tmp_path), before)
    rehearse(replace(small, trials=1), tmp_path, DAY, keep_record=False)  # without resume it is replaced
    assert not (tmp_path / "amendment-1" / "record").exists()


def test_a_folder_with_other_files_is_left_alone(request_of: Request, tmp_path: Path) -> None:
    (tmp_path / "original").mkdir()
    kept = tmp_path / "original" / "thesis.txt"
    kept.write_text("the only copy", encoding="utf-8")
    with pytest.raises(TrialrunError, match="holds other files"):
        rehearse(request_of, tmp_path, DAY)
    assert kept.read_text(encoding="utf-8") == "the only copy"


def test_outcomes_alone_are_those_of_the_whole(request_of: Request, whole: dict[str, bytes], tmp_path: Path) -> None:
    rehearse(request_of, tmp_path, DAY, keep_record=False)
    assert not (tmp_path / "original" / "record").exists()
    assert (tmp_path / "original" / "outcomes.parquet").read_bytes() == whole["original/outcomes.parquet"]


def test_schedules_of_several_studies_meet_the_same_people(tmp_path: Path) -> None:
    arms = (
        (str(STUDIES / "lenalidomide-cll"), "original"),
        (str(STUDIES / "lenalidomide-25mg"), None),
        (str(STUDIES / "lenalidomide-cll"), "amendment-1"),
    )
    rows = rehearse(Request(arms, None, 12, 1, 3, 1, None), tmp_path, DAY)
    said = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    folders = [item["folder"] for item in said["versions"]]
    assert folders == ["lenalidomide-cll@original", "lenalidomide-25mg@published", "lenalidomide-cll@amendment-1"]
    assert {row.version for row in rows} >= set(folders)
    assert [item["study"] for item in said["versions"]] == [
        "lenalidomide-cll",
        "lenalidomide-25mg",
        "lenalidomide-cll",
    ]
    assert any("not on its own" in notice for notice in said["notices"])
    people = [pl.read_parquet(tmp_path / folder / "record" / "subjects.parquet") for folder in folders]
    for other in people[1:]:
        assert people[0]["sex"].to_list() == other["sex"].to_list()
    # what is measured before the first dose does not depend on the schedule
    counts = [
        pl.read_parquet(tmp_path / folder / "record" / "findings.parquet").filter(test="lymphocytes", visit="screening")
        for folder in folders
    ]
    assert counts[0].height == 12
    assert counts[0]["value"].to_list() == counts[2]["value"].to_list()


def test_chunks_keep_all_workers_busy() -> None:
    assert cut_evenly(2000, 1, 1, 2048) == 2000
    assert cut_evenly(2000, 1, 2, 2048) == 1000
    assert cut_evenly(2000, 2, 2, 2048) == 2000
    assert cut_evenly(300, 1, 2, 2048) == 300  # a chunk of 150 would take about as long
    assert cut_evenly(1_000_000, 1, 2, 4096) == 4082  # 245 chunks
    for total in (1, 511, 512, 2049, 5000, 20_000):
        for workers in (1, 2, 3, 8):
            assert 1 <= cut_evenly(total, 1, workers, 2048) <= min(total, 2048)


def test_outcomes_do_not_depend_on_how_many_are_derived_together(
    request_of: Request, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearse_run, "conduct_lean", partial(conduct_lean, at_once=9))
    rehearse(request_of, tmp_path / "out", DAY, keep_record=False)
    for version in ("original", "amendment-1"):
        name = f"{version}/outcomes.parquet"
        assert (tmp_path / "out" / name).read_bytes() == whole[name], name


@pytest.mark.parametrize("study", ["lenalidomide-cll", "venetoclax-rampup"])
def test_outcomes_are_derived_from_the_same_lines_as_the_record_has(study: str) -> None:
    plan = read_rehearsal(Request(((str(STUDIES / study), None),), None, 40, 1, 2, 3, None))
    record, (lean,) = simulate_chunk(plan, 0, 0, 40), simulate_lean(plan, 0, 0, 40)
    for name in ("subjects", "visits", "exposures", "adverse_events", "dispositions"):
        assert lean[name].equals(record[name]), name
    findings = lean["findings"].with_columns(pl.col("subject").cast(pl.String))
    assert findings["text"].drop_nulls().len() > 0
    assert findings.equals(record["findings"].filter(pl.col("test").is_in(TESTS)).select(findings.columns))
    assert findings.height < record["findings"].height
    assert lean["concomitant"].height == 0 < record["concomitant"].height
    assert derive_outcomes(lean, plan.info(0)).equals(derive_outcomes(record, plan.info(0)))
    who = np.arange(40), record["subjects"]["subject"], plan.numbers(np.arange(40))[0]
    parts = list(conduct_lean(plan.population, plan.plan(0), plan.cycles, plan.seed, *who, at_once=17))
    assert [part["subjects"].height for part in parts] == [17, 17, 6]
    for name in ("subjects", "visits", "findings", "exposures", "adverse_events", "dispositions"):
        together = pl.concat([part[name].with_columns(pl.col("subject").cast(pl.String)) for part in parts])
        assert together.equals(lean[name].with_columns(pl.col("subject").cast(pl.String))), name


def test_a_worker_with_another_program_is_refused(request_of: Request) -> None:
    plan, mine = read_rehearsal(request_of), name_program()
    assert make_chunk(pack((plan, mine)), 0, 0, 2, False)[:3] == (0, 0, 2)
    with pytest.raises(TrialrunError, match="another program") as error:
        make_chunk(pack((plan, {**mine, "program": "0.0.1"})), 0, 0, 2, False)
    assert "0.0.1" in (error.value.problems[0].expected or "")

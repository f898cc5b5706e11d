"""Calls are worked off here, in processes, or on Dask; a lost worker costs its own calls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from rehearse.tasks import always_die, slow_square, square, square_or_die, tell_process
from trialrun import workers as rehearse_work
from trialrun.rehearse import Where
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.workers import AHEAD, pack, start_early, suggest_workers, unpack, work_off

PLACES = [Where(2), Where(2, dask=True)]
IDS = ["processes", "dask"]


def _times(folder: Path) -> Counter[int]:
    """How often each number was asked for."""
    return Counter(int(file.name.partition("-")[0]) for file in folder.iterdir() if file.name != "killed")


@pytest.fixture(autouse=True)
def _dask(request: pytest.FixtureRequest) -> None:
    if "dask" in request.node.name:
        pytest.importorskip("distributed", reason="the extra `scale` is not installed")


@pytest.mark.parametrize("where", [Where(), *PLACES], ids=["here", *IDS])
def test_every_call_is_made_once(where: Where, tmp_path: Path) -> None:
    found = list(work_off(where, square, [(number, str(tmp_path)) for number in range(20)]))
    assert sorted(found) == [number**2 for number in range(20)]
    assert _times(tmp_path) == dict.fromkeys(range(20), 1)


@pytest.mark.parametrize("where", PLACES, ids=IDS)
def test_a_lost_worker_costs_only_what_it_was_at(where: Where, tmp_path: Path) -> None:
    calls = [(number, str(tmp_path), 7) for number in range(60)]
    found = list(work_off(where, square_or_die, calls))
    assert (tmp_path / "killed").exists()
    assert sorted(found) == [number**2 for number in range(60)]
    times = _times(tmp_path)
    assert times.keys() == set(range(60))
    again = sum(times.values()) - 60
    assert again <= AHEAD * where.workers  # what was given out when the worker was lost, at most


@pytest.mark.parametrize("where", PLACES, ids=IDS)
def test_workers_lost_again_and_again_end_the_run(where: Where) -> None:
    with pytest.raises(TrialrunError, match="lost again and again") as error:
        list(work_off(where, always_die, [(number, 3) for number in range(12)]))
    assert error.value.problems[0].code == "lost-worker"


def test_few_results_wait_in_memory_on_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clients: list[Any] = []
    real = rehearse_work._client

    @contextmanager
    def seen(where: Where) -> Iterator[Any]:
        with real(where) as client:
            clients.append(client)
            yield client

    monkeypatch.setattr(rehearse_work, "_client", seen)
    most = 0
    for _ in work_off(Where(2, dask=True), square, [(number, str(tmp_path)) for number in range(80)]):
        most = max(most, len(clients[0].futures))
    assert 0 < most <= AHEAD * 2


def test_a_scheduler_needs_dask_and_an_answer_on_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrialrunError, match="only by a run on Dask"):
        Where(1, dask=False, scheduler="tcp://localhost:1")
    monkeypatch.setattr(rehearse_work, "WAIT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense://there"):
        with pytest.raises(TrialrunError, match="no Dask scheduler"):
            list(work_off(Where(1, dask=True, scheduler=address), square, [(1, ".")]))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Dask scheduler of its own with one worker: its address and its process."""
    file = tmp_path / "scheduler.json"
    own = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    started = []
    try:
        for part, more in (("scheduler", ["--host", "127.0.0.1", "--port", "0"]), ("worker", ["--nthreads", "1"])):
            call = [sys.executable, "-m", f"distributed.cli.dask_{part}", *more, "--no-dashboard"]
            call += ["--scheduler-file", str(file)]
            started.append(subprocess.Popen(call, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            until = time.monotonic() + 60
            while not file.exists():
                assert time.monotonic() < until, "the scheduler does not start"
                time.sleep(0.05)
        yield json.loads(file.read_text(encoding="utf-8"))["address"], started[0]
    finally:
        for process in started[::-1]:
            process.kill()
            process.wait()


def test_a_cluster_that_runs_is_used_and_its_loss_is_told_on_dask(
    cluster: tuple[str, subprocess.Popen[bytes]],
) -> None:
    address, scheduler = cluster
    where, calls = Where(1, dask=True, scheduler=address), [(number,) for number in range(40)]
    assert sorted(work_off(where, slow_square, calls)) == [number**2 for number in range(40)]
    results = work_off(where, slow_square, calls)
    next(results)
    scheduler.kill()
    with pytest.raises(TrialrunError, match="scheduler was lost"):
        list(results)


def test_workers_are_suggested_where_they_are_worth_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearse_work.os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert [suggest_workers(work) for work in (1, 23_999, 24_000, 36_000, 10**9)] == [1, 1, 2, 3, 4]
    monkeypatch.setattr(rehearse_work.os, "sched_getaffinity", lambda _: set(range(96)), raising=False)
    assert suggest_workers(10**9) == 8


def test_a_run_needs_a_worker() -> None:
    with pytest.raises(TrialrunError, match="needs a worker"):
        Where(0)


def test_what_is_packed_comes_back_and_mappings_stay_read_only() -> None:
    back = unpack(pack({"numbers": MappingProxyType({"a": (1, 2.5)})}))
    assert back == {"numbers": {"a": (1, 2.5)}}
    assert type(back["numbers"]) is MappingProxyType


def test_processes_that_started_early_do_the_work(tmp_path: Path) -> None:
    with start_early(2, "trialrun.workers") as started:
        assert started is not None
        done = []
        found = list(
            work_off(
                Where(2), square, [(number, str(tmp_path)) for number in range(20)], started, lambda: done.append(1)
            )
        )
    assert sorted(found) == [number**2 for number in range(20)]
    assert done == [1]  # while the others worked, and once


def test_processes_that_started_early_are_lost_like_any(tmp_path: Path) -> None:
    calls = [(number, str(tmp_path), 7) for number in range(60)]
    with start_early(2, "trialrun.workers") as started:
        assert sorted(work_off(Where(2), square_or_die, calls, started)) == [number**2 for number in range(60)]


def test_this_process_does_one_of_few_calls_and_none_of_many() -> None:
    few = list(work_off(Where(2), tell_process, [(number,) for number in range(2)]))
    assert few.count(os.getpid()) == 1
    assert len(set(few)) == 2
    many = list(work_off(Where(2), tell_process, [(number,) for number in range(3)]))
    assert os.getpid() not in many


@pytest.mark.parametrize(("calls", "processes"), [(3, 2), (9, 3)])
def test_no_process_is_started_for_nothing(calls: int, processes: int) -> None:
    others = set(active_children())
    with start_early(3, "trialrun.workers") as started:
        results = work_off(Where(3), tell_process, [(number,) for number in range(calls)], started)
        found = [next(results)]
        assert len(set(active_children()) - others) == processes
        found += results
    assert len(found) == calls
    assert (os.getpid() in found) is (calls == 3)


def test_one_worker_needs_no_early_start() -> None:
    with start_early(1, "trialrun.workers") as started:
        assert started is None


def _start_and_fail(seen: list[Any]) -> None:
    others = set(active_children())
    with start_early(2, "rehearse.slow_to_load"):
        seen += set(active_children()) - others
        raise TrialrunError(Problem("no-file", "no such file", "x", "y"))


def test_nobody_waits_for_processes_whose_work_cannot_be_read() -> None:
    seen: list[Any] = []
    with pytest.raises(TrialrunError, match="no such file"):
        _start_and_fail(seen)
    assert [child.exitcode for child in seen] == [-signal.SIGTERM]

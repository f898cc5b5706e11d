"""Where chunks are worked off: here, in other processes, or on a Dask cluster. The results are the same to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

from trialrun.vocab.problems import Problem, TrialrunError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Where:
    """`workers` processes on this machine, or a Dask cluster: its `scheduler` address, or a local one."""

    workers: int = 1
    dask: bool = False
    scheduler: str | None = None


def work_off(where: Where, task: Callable[..., Result], calls: list[tuple[Any, ...]]) -> Iterator[Result]:
    """Results of `task(*call)` for every call, in the order in which they finish. A call must not depend on another."""
    if where.dask:
        yield from _on_dask(where, task, calls)
    elif where.workers == 1 or len(calls) < 2:
        for call in calls:
            yield task(*call)
    else:
        # fresh processes: threads of the parent do not survive a fork
        with ProcessPoolExecutor(min(where.workers, len(calls)), mp_context=get_context("spawn")) as pool:
            for finished in as_completed([pool.submit(task, *call) for call in calls]):
                yield finished.result()


def _on_dask(where: Where, task: Callable[..., Result], calls: list[tuple[Any, ...]]) -> Iterator[Result]:
    try:
        from distributed import as_completed as completed
    except ImportError:
        message, right = "a Dask cluster needs the extra `scale`", 'pip install "trialrun[scale]"'
        raise TrialrunError(Problem("missing-extra", message, "no package distributed", right)) from None
    with _client(where) as client:
        # a lost worker costs only its chunk: Dask gives it to another, and pure tasks give the same again
        futures = [client.submit(task, *call, pure=False, retries=3) for call in calls]
        for future in completed(futures):
            yield future.result()


@contextmanager
def _client(where: Where) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if where.scheduler is not None:
        with Client(where.scheduler, timeout=20) as client:
            yield client
    else:
        local = LocalCluster(n_workers=where.workers, threads_per_worker=1, dashboard_address=None)
        with local as cluster, Client(cluster) as client:
            yield client

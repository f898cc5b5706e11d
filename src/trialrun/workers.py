"""Where chunks are worked off: here, in other processes, or on a Dask cluster. The results are the same to the last bit."""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from multiprocessing import active_children, get_context
from types import MappingProxyType
from typing import Any, TypeVar

from trialrun.vocab.problems import Problem, TrialrunError

Result = TypeVar("Result")
Call = tuple[Any, ...]
AHEAD = 3  # calls given out for each worker, so that none waits, and few results wait in memory
MOST_LOSSES = 3  # workers lost in a row, with no result between, before the run gives up
WORTH_A_WORKER = 12_000  # subjects x cycles: about as long as a process takes to start
MOST_UNASKED = 8  # processes that are started unless more are asked for: each takes its own memory
WAIT_SECONDS = 20  # for a Dask scheduler to answer


@dataclass(frozen=True, slots=True)
class Where:
    """`workers` processes on this machine, or a Dask cluster: its `scheduler` address, or a local one of `workers`."""

    workers: int = 1
    dask: bool = False
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.scheduler is not None and not self.dask:
            message = "a scheduler is asked only by a run on Dask"
            raise TrialrunError(Problem("scheduler-unused", message, self.scheduler, "--on dask as well"))
        if self.workers < 1:
            raise TrialrunError(Problem("no-workers", "a run needs a worker", str(self.workers), "1 or more"))


def suggest_workers(subject_cycles: int) -> int:
    """How many processes so much work deserves on this machine."""
    asked = getattr(os, "sched_getaffinity", None)
    processors = len(asked(0)) if asked is not None else (os.cpu_count() or 1)
    return max(1, min(subject_cycles // WORTH_A_WORKER, processors, MOST_UNASKED))


class _Pickler(pickle.Pickler):
    """Read-only mappings, which a protocol has many of, cannot be pickled by themselves."""

    def reducer_override(self, obj: Any) -> Any:
        return (_read_only, (dict(obj),)) if type(obj) is MappingProxyType else NotImplemented


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


def pack(thing: object) -> bytes:
    """What a worker needs, read once and sent along with each call: no file is read a second time, by nobody."""
    file = io.BytesIO()
    _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(thing)
    return file.getvalue()


@lru_cache(maxsize=1)
def unpack(packed: bytes) -> Any:
    """What was packed. The same bytes are read once in each process."""
    return pickle.loads(packed)


def work_off(
    where: Where,
    task: Callable[..., Result],
    calls: Sequence[Call],
    started: ProcessPoolExecutor | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Iterator[Result]:
    """Results of `task(*call)` for every call, in the order in which they finish. A call must not depend on another.

    A worker that is lost costs the calls that it was at: they are done again. Lost again and again, the run ends with a
    TrialrunError. Processes that were `started` before are used first; this one does `meanwhile` when they have work, and one
    of the calls where there are no more than workers: another process would take longer to start than it would save.
    """
    if where.dask:
        yield from _on_dask(where, task, calls)
    elif where.workers == 1 or len(calls) < 2:
        for call in calls:
            yield task(*call)
    else:
        yield from _in_processes(min(where.workers, len(calls)), task, calls, started, meanwhile)


@contextmanager
def start_early(workers: int, module: str) -> Iterator[ProcessPoolExecutor | None]:
    """All processes but one, which load a module while their work is still being read, for `work_off`: where there is little
    to do this process works as well, else the last one is started with the work. None for less than two workers.

    Where the reading fails they are ended at once: nobody waits for them.
    """
    if workers < 2:
        yield None
        return
    others = set(active_children())
    pool = _start(workers - 1, module)
    for _ in range(workers - 1):  # each call starts a process
        pool.submit(_nothing)
    children = set(active_children()) - others
    try:
        yield pool
    except BaseException:
        for child in children:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _in_processes(
    workers: int,
    task: Callable[..., Result],
    calls: Sequence[Call],
    started: ProcessPoolExecutor | None,
    meanwhile: Callable[[], object] | None,
) -> Iterator[Result]:
    left, losses = list(reversed(calls)), 0
    own = [left.pop(0)] if len(calls) <= workers else []
    others = workers - len(own)
    while left or own:
        pools = {started: workers - 1} if started is not None else {_start(others, task.__module__): others}
        if sum(pools.values()) < others:  # the last one begins with the work
            pools[_start(1, task.__module__)] = 1
        started = None
        running: dict[Future[Result], tuple[Call, ProcessPoolExecutor]] = {}
        try:
            while (left or running) and losses < MOST_LOSSES:
                while left and len(running) < AHEAD * others:
                    busy = Counter(pool for _, pool in running.values())
                    pool = min(pools, key=lambda pool: busy[pool] / pools[pool])
                    running[pool.submit(task, *left[-1])] = left[-1], pool
                    left.pop()
                if own:
                    yield task(*own.pop())
                if meanwhile is not None:
                    meanwhile()
                    meanwhile = None
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    del running[future]
                    losses = 0
                    yield result
        except BrokenProcessPool:
            losses += 1
            left += [call for call, _ in running.values()]
        finally:
            # nobody waits for calls that were not begun, nor for processes to end: that takes them a while
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)
        if losses >= MOST_LOSSES:
            raise _lost(f"{losses} processes in a row")


def _start(workers: int, module: str) -> ProcessPoolExecutor:
    """Fresh processes (threads of this one would not survive a fork), each with one thread of its own for tables."""
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin, (module,))


def _begin(module: str) -> None:
    """A new process loads what it will need. Ctrl-C is for the process that gives out the calls."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["POLARS_MAX_THREADS"] = "1"
    gc.disable()
    import_module(module)
    gc.freeze()  # what was loaded stays: it need not be looked through for garbage again and again
    gc.enable()


def _nothing() -> None:
    """A call that only starts a process."""


def _on_dask(where: Where, task: Callable[..., Result], calls: Sequence[Call]) -> Iterator[Result]:
    try:
        from distributed import KilledWorker, as_completed
        from distributed.comm.core import CommClosedError
    except ImportError:
        message, right = "a Dask cluster needs the extra `scale`", 'pip install "trialrun[scale]"'
        raise TrialrunError(Problem("missing-extra", message, "no package distributed", right)) from None
    with _client(where) as client:
        left = list(reversed(calls))
        running = as_completed()

        def fill() -> None:
            while left and running.count() < AHEAD * max(1, sum(client.nthreads().values())):
                # not pure: no result is kept by a name; Dask itself gives the call of a lost worker to another one
                running.add(client.submit(task, *left.pop(), pure=False))

        try:
            fill()
            for future in running:
                result = future.result()
                future.release()
                fill()
                yield result
        except KilledWorker as error:
            raise _lost(str(error).splitlines()[0]) from None
        except (CancelledError, CommClosedError) as error:
            # cancelled: the client has seen the loss; closed: it was lost while a result was on its way
            found, right = str(error).splitlines()[0], "--resume, once the cluster is there again"
            message = "the Dask scheduler was lost; finished chunks are kept"
            raise TrialrunError(Problem("lost-scheduler", message, found, right)) from None


@contextmanager
def _client(where: Where) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if where.scheduler is not None:
        try:
            client = Client(where.scheduler, timeout=WAIT_SECONDS)
            client.wait_for_workers(1, timeout=WAIT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            message, right = f"no Dask scheduler with a worker answers: {error}", "one that runs, as tcp://host:8786"
            raise TrialrunError(Problem("no-scheduler", message, where.scheduler, right)) from None
        with client:
            yield client
    else:
        alone, any_port = {"POLARS_MAX_THREADS": "1"}, "127.0.0.1:0"  # two runs may go on beside each other
        with (
            LocalCluster(
                n_workers=where.workers, threads_per_worker=1, dashboard_address=any_port, env=alone
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def _lost(what: str) -> TrialrunError:
    message = "workers were lost again and again (the memory may not do); finished chunks are kept"
    return TrialrunError(Problem("lost-worker", message, what, "fewer workers or a smaller --chunk, with --resume"))

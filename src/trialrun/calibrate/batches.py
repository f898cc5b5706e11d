"""Batches of parameter sets simulated by several processes, each kept on disk when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialrun.calibrate.arms import count_events
from trialrun.calibrate.plan import Calibration, read_calibration

FloatArray = NDArray[np.float64]
Counts = dict[str, FloatArray]
Progress = Callable[[str, int, int], None]  # what is being done, how much of it, of how much

BATCH = 32  # parameter sets simulated at once


def simulate_batches(
    calibration: Calibration,
    scores: FloatArray,
    subjects: int,
    size: int,
    seed: int,
    workers: int,
    folder: Path,
    stage: str,
    progress: Progress,
) -> tuple[Counts, Counts]:
    """Counts of every fact for all scores (K, P): events and subjects assessed, (K,) each, from so many subjects of each trial.

    `size` sets are a batch, a file in `folder` named by `stage`. A batch that was made for other scores (another release of a
    library moved the posterior) is made again.
    """
    firsts = list(range(0, len(scores), size))
    files = [folder / f"{stage}-{first:06d}.npz" for first in firsts]
    wanted = [
        (first, file)
        for first, file in zip(firsts, files, strict=True)
        if not _holds(file, scores[first : first + size])
    ]
    done = len(firsts) - len(wanted)
    progress(stage, done, len(firsts))
    tasks = [(str(calibration.file), scores[first : first + size], subjects, seed, str(file)) for first, file in wanted]
    for _ in _each(tasks, workers):
        done += 1
        progress(stage, done, len(firsts))
    parts = [np.load(file) for file in files]
    events = {name: np.concatenate([part[f"events/{name}"] for part in parts]) for name in calibration.facts}
    assessed = {name: np.concatenate([part[f"assessed/{name}"] for part in parts]) for name in calibration.facts}
    return events, assessed


def _holds(file: Path, scores: FloatArray) -> bool:
    if not file.exists():
        return False
    with np.load(file) as part:
        return "scores" in part and np.array_equal(part["scores"], scores)


Task = tuple[str, FloatArray, int, int, str]


def _each(tasks: list[Task], workers: int) -> Iterator[None]:
    if workers == 1:
        for task in tasks:
            _one(task)
            yield
        return
    # fresh processes: threads of the parent do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for finished in as_completed([pool.submit(_one, task) for task in tasks]):
            yield finished.result()


def _one(task: Task) -> None:
    file, scores, subjects, seed, target = task
    events, assessed = count_events(_read(file), scores, subjects, seed)
    kept: dict[str, Any] = {"scores": scores}
    kept |= {f"events/{name}": column for name, column in events.items()}
    kept |= {f"assessed/{name}": column for name, column in assessed.items()}
    part = Path(target).with_suffix(".part.npz")
    np.savez(part, **kept)
    part.replace(target)


_CALIBRATIONS: dict[str, Calibration] = {}


def _read(file: str) -> Calibration:
    """Read once in each worker."""
    if file not in _CALIBRATIONS:
        _CALIBRATIONS[file] = read_calibration(Path(file))
    return _CALIBRATIONS[file]

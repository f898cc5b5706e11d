"""Rehearse a protocol: virtual subjects conducted under one or more arms, records and outcomes written.

Subjects are simulated in chunks, so memory does not grow with their number, and nothing depends on the chunk, on the number
of processes or on where they run.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.run import VersionInfo, read_run
from trialrun.record.tables import TABLES
from trialrun.rehearse.describe import notices_of, write_description
from trialrun.rehearse.parts import PARTS, Parts, cannot_write, open_parts, refuse_another, write_table
from trialrun.rehearse.plan import Rehearsal, Request, name_program, read_rehearsal
from trialrun.rehearse.subjects import conduct_lean, conduct_subjects
from trialrun.simulate.subjects import Numbers
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.workers import Where, pack, unpack, work_off

if TYPE_CHECKING:
    from trialrun.analysis.rows import Row

CHUNK = 2048  # subjects simulated at once, at most, where their record is kept: it must fit the memory
LEAN_CHUNK = 12288  # where it is not; each day is a step of the whole chunk, so a larger one costs less a subject
SMALL = 256  # below it most of a chunk's time is the same for one subject as for all


def rehearse(
    request: Request | Rehearsal,
    out: Path,
    made_on: date,
    chunk: int | None = None,
    progress: Callable[[int], None] | None = None,
    where: Where | None = None,
    resume: bool = False,
    keep_record: bool = True,
    started: ProcessPoolExecutor | None = None,
) -> list[Row]:
    """Simulate every arm, write the run directory `out` and its summary, and return the summary.

    A run that is already there is replaced; with `resume` its finished chunks are kept, and a TrialrunError tells what
    differs where they are of another request. `chunk` subjects are made at once; None cuts so that every worker has work, and
    resuming may cut otherwise. `progress` is told the number of subjects after each chunk. `made_on` is
    written to run.json and nowhere else. Without `keep_record` only outcomes are kept: some hundred bytes a subject.
    Processes that were `started` early are used where there are several workers.
    """
    plan = read_rehearsal(request) if isinstance(request, Request) else request
    infos = [plan.info(arm) for arm in range(len(plan.arms))]
    about = {**plan.about(), "keeps": "record" if keep_record else "outcomes"}
    tell, where = progress or (lambda n: None), where or Where()
    size = chunk or cut_evenly(plan.total, len(infos), where.workers, CHUNK if keep_record else LEAN_CHUNK)
    if resume and _is_finished(out, infos, about):
        tell(plan.total * len(infos))
    else:
        _make_way(out, infos, resume)
        parts = open_parts(out / PARTS, about, resume)
        packed, calls = pack((plan, name_program())), []
        for arm, info in enumerate(infos):
            missing = list(parts.missing(info.folder, plan.total, size))
            tell(plan.total - sum(n for _, n in missing))
            calls += [(packed, arm, first, n, keep_record) for first, n in missing]
        notices = cache(partial(notices_of, plan))
        made = work_off(where, make_chunk, calls, started, partial(_prepare_end, notices))
        left = Counter(arm for _, arm, *_ in calls)
        for arm in (arm for arm in range(len(infos)) if not left[arm]):
            _merge(parts, infos[arm], out, plan.total, keep_record)
        for arm, first, n, tables in made:
            parts.keep(infos[arm].folder, first, n, tables)
            tell(n)
            left[arm] -= 1
            if not left[arm]:  # while others are still at work
                _merge(parts, infos[arm], out, plan.total, keep_record)
        write_description(plan, infos, about, notices(), out, made_on)
        parts.remove()
    # here, because workers read this module as well and need no statistics
    from trialrun.analysis.summary import summarize_run, write_summary

    run = read_run(out)
    rows = summarize_run(run)
    write_summary(run, rows)
    return rows


def _prepare_end(notices: Callable[[], object]) -> None:
    """What is needed when the work is done and takes a second: found out and loaded while others are still at work."""
    notices()
    import_module("trialrun.analysis.summary")


def cut_evenly(total: int, arms: int, workers: int, most: int) -> int:
    """The size of chunks: at most `most`, all about the same, and where they are few as many as keep all workers busy."""
    pieces = -(-total // most)
    while (pieces * arms) % workers and pieces * arms < 4 * workers and total >= SMALL * (pieces + 1):
        pieces += 1
    return -(-total // pieces)


def _merge(parts: Parts, info: VersionInfo, out: Path, total: int, keep_record: bool) -> None:
    """The chunks of an arm to the tables of the run."""
    targets = {"outcomes": out / info.folder / "outcomes.parquet"}
    if keep_record:
        targets |= {name: out / info.folder / "record" / f"{name}.parquet" for name in TABLES}
    parts.merge(info.folder, total, targets)


def make_chunk(
    packed: bytes, arm: int, first: int, n: int, keep_record: bool
) -> tuple[int, int, int, dict[str, bytes]]:
    """One chunk of one arm as Parquet by table; whoever calls writes it. It depends on nothing but what it is given:
    `packed` is the rehearsal and the program that asks, of which a worker elsewhere must have the same."""
    rehearsal, asked = _unpack(packed)
    if asked != name_program():
        message = "a worker has another program, so its results would be others"
        raise TrialrunError(Problem("another-program", message, _say(name_program()), _say(asked)))
    index = np.arange(first, first + n)
    _, sets = rehearsal.numbers(index)
    info = rehearsal.info(arm)
    if keep_record:
        tables = simulate_chunk(rehearsal, arm, first, n)
        if first:
            tables["approvals"] = tables["approvals"].clear()  # the site activates the version once
        found = derive_outcomes(tables, info)
    else:
        tables = {}
        found = pl.concat([derive_outcomes(part, info) for part in simulate_lean(rehearsal, arm, first, n)])
    outcomes = found.with_columns(
        pl.Series("trial", rehearsal.trial_of(index), dtype=pl.Int64),
        pl.Series("set", [None] * n if sets is None else sets, dtype=pl.Int64),
    )
    return arm, first, n, {name: write_table(table) for name, table in {**tables, "outcomes": outcomes}.items()}


def _unpack(packed: bytes) -> tuple[Rehearsal, Mapping[str, str]]:
    rehearsal, asked = unpack(packed)
    return rehearsal, asked


def _say(program: Mapping[str, str]) -> str:
    return " ".join(f"{name} {said}" for name, said in program.items())


def simulate_chunk(rehearsal: Rehearsal, arm: int, first: int, n: int) -> dict[str, pl.DataFrame]:
    """The record of subjects `first` to `first + n - 1` (counted over all trials) under one arm."""
    who = _who(rehearsal, first, n)
    return conduct_subjects(rehearsal.population, rehearsal.plan(arm), rehearsal.cycles, rehearsal.seed, *who)


def simulate_lean(rehearsal: Rehearsal, arm: int, first: int, n: int) -> Iterator[dict[str, pl.DataFrame]]:
    """As `simulate_chunk`, but only what outcomes are derived from, of some thousand subjects after the other."""
    who = _who(rehearsal, first, n)
    return conduct_lean(rehearsal.population, rehearsal.plan(arm), rehearsal.cycles, rehearsal.seed, *who)


def _who(rehearsal: Rehearsal, first: int, n: int) -> tuple[NDArray[np.int64], pl.Series, Numbers | None]:
    """Global indices (n,), names and numbers of these subjects."""
    index = np.arange(first, first + n)
    number = index % rehearsal.subjects + 1
    trial = rehearsal.trial_of(index)
    called = [f"T{t:04d}-{s:06d}" for t, s in zip(trial.tolist(), number.tolist(), strict=True)]
    numbers, _ = rehearsal.numbers(index)
    return index, pl.Series("subject", called, dtype=pl.String), numbers


def _is_finished(out: Path, infos: Sequence[VersionInfo], about: Mapping[str, str]) -> bool:
    """Whether the run of this request is there in full; another one that is there in full is a TrialrunError."""
    file = out / "run.json"
    if (out / PARTS).exists() or not file.exists():
        return False
    old = json.loads(file.read_text(encoding="utf-8")).get("request")
    refuse_another(old if isinstance(old, dict) else {"program": "an older one"}, about, Location(str(file)))
    return all((out / info.folder / "outcomes.parquet").exists() for info in infos)


_OF_AN_ARM = {"record", "outcomes.parquet", "plan.json"}


def _make_way(out: Path, infos: Sequence[VersionInfo], resume: bool) -> None:
    """Make the folder, and remove the run that was there; a folder that holds anything else is left alone."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from None
    folders = [out / info.folder for info in infos]
    for folder in folders:
        if not folder.exists():
            continue
        inside = [path.name for path in folder.iterdir()] if folder.is_dir() else ["."]
        strange = sorted(name for name in inside if name not in _OF_AN_ARM)
        if strange:
            message, expected = "the place of the run holds other files; nothing was written", "another --out"
            found = ", ".join(strange[:5])
            raise TrialrunError(Problem("folder-in-use", message, found, expected, Location(str(folder))))
    if resume and (out / PARTS).exists():
        return
    (out / "run.json").unlink(missing_ok=True)  # from here on what is there is no longer a whole run
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)

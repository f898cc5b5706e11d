"""Rehearse a protocol: virtual subjects conducted under one or more arms, records and outcomes written.

Subjects are simulated in chunks, so memory does not grow with their number, and nothing depends on the chunk, on the number
of processes or on where they run.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from trialrun import __version__
from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.rows import Row
from trialrun.analysis.run import VersionInfo, read_run
from trialrun.analysis.summary import summarize_run, write_summary
from trialrun.plan.planned import plan_as_json
from trialrun.record.tables import TABLES
from trialrun.rehearse.plan import Rehearsal, Request, read_rehearsal
from trialrun.rehearse.subjects import conduct_subjects
from trialrun.rehearse.work import Where, work_off
from trialrun.simulate.domain import check_domain
from trialrun.vocab.problems import Location, Problem, TrialrunError

CHUNK = 2048  # subjects simulated at once: their columns fit the processor's cache, their record the memory
ROWS = 122_880  # of a row group of what is written, whatever the chunk was


def rehearse(
    request: Request,
    out: Path,
    made_on: date,
    chunk: int = CHUNK,
    progress: Callable[[int], None] | None = None,
    where: Where | None = None,
    resume: bool = False,
    keep_record: bool = True,
) -> list[Row]:
    """Simulate every arm, write the run directory `out` and its summary, and return the summary.

    A run that is already there is replaced; with `resume` its finished chunks are kept when they are of the same request.
    `progress` is told the number of subjects after each chunk. `made_on` is written to run.json and nowhere else. Without
    `keep_record` only outcomes are kept: some hundred bytes a subject.
    """
    plan = read_rehearsal(request)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(out, error) from None
    infos = [plan.info(arm) for arm in range(len(plan.arms))]
    calls = []
    for arm, info in enumerate(infos):
        parts = _open(out / info.folder, f"{plan.spec} {chunk} {keep_record}", resume)
        for number, (first, n) in enumerate(_chunks(plan.total, chunk)):
            if (parts / f"done-{number:06d}").exists():
                if progress is not None:
                    progress(n)
            else:
                calls.append((request, arm, number, first, n, keep_record))
    for arm, number, n, tables in work_off(where or Where(), make_chunk, calls):
        parts = out / infos[arm].folder / "parts"
        for name, content in tables.items():
            _write_whole(parts / f"{name}-{number:06d}.parquet", content)
        (parts / f"done-{number:06d}").touch()
        if progress is not None:
            progress(n)
    for arm, info in enumerate(infos):
        _gather(out / info.folder, keep_record)
        grid = json.dumps(plan_as_json(plan.plan(arm), plan.cycles), indent=2, ensure_ascii=False)
        (out / info.folder / "plan.json").write_text(grid + "\n", encoding="utf-8")
    _describe(plan, infos, out, made_on)
    run = read_run(out)
    rows = summarize_run(run)
    write_summary(run, rows)
    return rows


def make_chunk(
    request: Request, arm: int, number: int, first: int, n: int, keep_record: bool
) -> tuple[int, int, int, dict[str, bytes]]:
    """One chunk of one arm as Parquet by table; whoever calls writes it. It depends on nothing but what it is given."""
    rehearsal = read_rehearsal(request)
    tables = simulate_chunk(rehearsal, arm, first, n)
    if number:
        tables["approvals"] = tables["approvals"].clear()  # the site activates the version once
    index = np.arange(first, first + n)
    _, sets = rehearsal.numbers(index)
    chosen = pl.Series("set", np.full(n, -1) if sets is None else sets, dtype=pl.Int64)
    outcomes = derive_outcomes(tables, rehearsal.info(arm)).with_columns(
        pl.Series("trial", rehearsal.trial_of(index), dtype=pl.Int64),
        chosen.replace(-1, None) if sets is None else chosen,
    )
    kept = {**tables, "outcomes": outcomes} if keep_record else {"outcomes": outcomes}
    made = {}
    for name, table in kept.items():
        file = io.BytesIO()
        table.write_parquet(file)
        made[name] = file.getvalue()
    return arm, number, n, made


def simulate_chunk(rehearsal: Rehearsal, arm: int, first: int, n: int) -> dict[str, pl.DataFrame]:
    """The record of subjects `first` to `first + n - 1` (counted over all trials) under one arm."""
    index = np.arange(first, first + n)
    number = index % rehearsal.subjects + 1
    called = [f"T{t:04d}-{s:06d}" for t, s in zip(rehearsal.trial_of(index), number, strict=True)]
    names = pl.Series("subject", called, dtype=pl.String)
    numbers, _ = rehearsal.numbers(index)
    return conduct_subjects(
        rehearsal.population, rehearsal.plan(arm), rehearsal.cycles, rehearsal.seed, index, names, numbers
    )


def _open(folder: Path, spec: str, resume: bool) -> Path:
    """The folder of an arm, empty or with the finished chunks of the same request."""
    parts, said = folder / "parts", folder / "parts" / "request.txt"
    if resume and said.exists():
        if said.read_text(encoding="utf-8") != spec:
            expected = "the request that was interrupted, or no --resume"
            message = "what is there belongs to another request"
            raise TrialrunError(Problem("another-run", message, None, expected, Location(str(folder))))
        return parts
    _make_way(folder)
    try:
        parts.mkdir(parents=True)
        said.write_text(spec, encoding="utf-8")
    except OSError as error:
        raise _cannot_write(folder, error) from None
    return parts


def _write_whole(target: Path, content: bytes) -> None:
    """The file is there whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as part:
        part.write(content)
    Path(part.name).replace(target)


def _gather(folder: Path, keep_record: bool) -> None:
    """One file a table from its parts, in the order of subjects."""
    parts = folder / "parts"
    if keep_record:
        (folder / "record").mkdir()
    for name in (*(TABLES if keep_record else ()), "outcomes"):
        target = folder / f"{name}.parquet" if name == "outcomes" else folder / "record" / f"{name}.parquet"
        files = sorted(parts.glob(f"{name}-*.parquet"))
        pl.scan_parquet(files).sink_parquet(target, maintain_order=True, row_group_size=ROWS)
    shutil.rmtree(parts)


_OF_A_RUN = {"parts", "record", "outcomes.parquet", "plan.json"}


def _make_way(folder: Path) -> None:
    """Remove the run that was there; a folder that holds anything else is left alone."""
    if not folder.exists():
        return
    strange = sorted(path.name for path in folder.iterdir() if path.name not in _OF_A_RUN) if folder.is_dir() else ["."]
    if strange:
        raise TrialrunError(
            Problem(
                "folder-in-use",
                "the place of the run holds other files; nothing was written",
                ", ".join(strange[:5]),
                "another --out, or an empty folder",
                Location(str(folder)),
            )
        )
    shutil.rmtree(folder)


def _cannot_write(folder: Path, error: OSError) -> TrialrunError:
    said, right = error.strerror or str(error), "a folder that can be written"
    return TrialrunError(Problem("cannot-write", "the folder cannot be made", said, right, Location(str(folder))))


def _chunks(total: int, chunk: int) -> Iterator[tuple[int, int]]:
    for first in range(0, total, chunk):
        yield first, min(chunk, total - first)


def _describe(rehearsal: Rehearsal, infos: Sequence[VersionInfo], out: Path, made_on: date) -> None:
    protocol = rehearsal.arms[0].protocol
    published = Path(protocol.file).parent / "published.yaml"
    if published.exists():
        shutil.copyfile(published, out / "published.yaml")
    ensemble = rehearsal.ensemble
    said = {
        "kind": "compare" if len(infos) > 1 else "simulate",
        "study": protocol.study.id,
        "title": protocol.study.title,
        "protocol_file": protocol.file,
        "protocol_hash": protocol.hash,
        "population_file": str(rehearsal.population_file),
        "population_hash": hashlib.sha256(rehearsal.population_file.read_bytes()).hexdigest(),
        "seed": rehearsal.seed,
        "subjects": rehearsal.subjects,
        "trials": rehearsal.trials,
        "cycles": rehearsal.cycles,
        "program_version": __version__,
        "made_on": made_on.isoformat(),
        "published": "published.yaml" if published.exists() else None,
        "ensemble": None
        if ensemble is None
        else {
            **ensemble.about,
            "file": str(rehearsal.ensemble_file),
            "sets": ensemble.sets,
            "effective_sample_size": ensemble.effective_size,
        },
        "notices": _notices(rehearsal),
        "versions": [
            {
                "version": info.version,
                "protocol_file": arm.protocol.file,
                "folder": info.folder,
                "hash": info.hash,
                "levels_mg": list(info.levels_mg),
                "target_mg": info.target_mg,
                "days_on": info.days_on,
                "cycle_days": info.cycle_days,
                "planned_mg": list(info.planned_mg),
                "ctcae": info.ctcae,
            }
            for info, arm in zip(infos, rehearsal.arms, strict=True)
        ],
    }
    (out / "run.json").write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _notices(rehearsal: Rehearsal) -> list[str]:
    """Where an arm lies outside of what the population was fitted to."""
    found: dict[str, None] = {}
    for number, arm in enumerate(rehearsal.arms):
        plan, version = rehearsal.plan(number), arm.protocol.version(arm.version)
        treatments = tuple(item.name for item in version.concomitant)
        doses = tuple(float(level) for level in plan.levels)
        found |= dict.fromkeys(check_domain(rehearsal.population, version.treatment.drug, doses, treatments))
        own = Path(arm.protocol.file).parent / "population.yaml"
        if own.exists() and own.resolve() != rehearsal.population_file.resolve():
            found[
                f"{arm.protocol.study.id} is conducted on the people of {rehearsal.population_file}, not on its own"
            ] = None
    return list(found)

"""Rehearse a protocol: virtual subjects conducted under one or more versions, records and outcomes written.

The same virtual subjects meet every version with the same luck. Subjects are simulated in chunks, so memory does not
grow with their number, and nothing depends on the chunk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun import __version__
from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.rows import Row
from trialrun.analysis.run import VersionInfo, read_run
from trialrun.analysis.summary import summarize_run, write_summary
from trialrun.analysis.versions import derive_version_info
from trialrun.engine.conduct import Log, PlannedCalendar, conduct
from trialrun.engine.entries import derive_tables
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan, plan_version
from trialrun.plan.planned import plan_as_json
from trialrun.protocol.version import Protocol
from trialrun.record.tables import TABLES, schema
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.subjects import Numbers
from trialrun.vocab.problems import Location, Problem, TrialrunError

IntArray = NDArray[np.int64]

CHUNK = 2048  # subjects simulated at once: their columns fit the processor's cache, their record the memory


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What to rehearse: `subjects` of one trial, `trials` of them, `cycles` each; `versions` by name."""

    protocol: Protocol
    versions: tuple[str, ...]
    population: Population
    population_file: Path
    subjects: int
    trials: int
    seed: int
    cycles: int


def read_study_population(protocol: Protocol, population: Path | None) -> tuple[Population, Path]:
    """The population named, or the one beside the protocol file."""
    file = population or Path(protocol.file).parent / "population.yaml"
    return read_population(file), file


def rehearse(
    plan: Rehearsal,
    out: Path,
    made_on: date,
    chunk: int = CHUNK,
    progress: Callable[[int], None] | None = None,
) -> list[Row]:
    """Simulate every version, write the run directory `out` and its summary, and return the summary.

    A run that is already there is replaced. `progress` is told the number of subjects after each chunk. `made_on` is
    written to run.json and nowhere else.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(out, error) from None
    infos = []
    for name in plan.versions:
        unrolled = plan_version(plan.protocol.version(name))
        info = derive_version_info(unrolled, plan.cycles)
        infos.append(info)
        _simulate_version(plan, unrolled, info, out / info.folder, chunk, progress)
        grid = json.dumps(plan_as_json(unrolled, plan.cycles), indent=2, ensure_ascii=False)
        (out / info.folder / "plan.json").write_text(grid + "\n", encoding="utf-8")
    _describe(plan, infos, out, made_on)
    run = read_run(out)
    rows = summarize_run(run)
    write_summary(run, rows)
    return rows


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


def _simulate_version(
    rehearsal: Rehearsal,
    plan: Plan,
    info: VersionInfo,
    folder: Path,
    chunk: int,
    progress: Callable[[int], None] | None,
) -> None:
    parts = folder / "parts"
    _make_way(folder)
    try:
        parts.mkdir(parents=True)
    except OSError as error:
        raise _cannot_write(folder, error) from None
    total = rehearsal.subjects * rehearsal.trials
    for number, (first, n) in enumerate(_chunks(total, chunk)):
        tables = simulate_chunk(rehearsal, plan, first, n)
        if number:
            tables["approvals"] = tables["approvals"].clear()  # the site activates the version once
        trial = pl.int_range(first, first + n) // rehearsal.subjects + 1
        tables["outcomes"] = derive_outcomes(tables, info).with_columns(trial.alias("trial"))
        for name, table in tables.items():
            table.write_parquet(parts / f"{name}-{number:06d}.parquet")
        if progress is not None:
            progress(n)
    (folder / "record").mkdir()
    for name in (*TABLES, "outcomes"):
        target = folder / f"{name}.parquet" if name == "outcomes" else folder / "record" / f"{name}.parquet"
        pl.scan_parquet(parts / f"{name}-*.parquet").sink_parquet(target, maintain_order=True)
    shutil.rmtree(parts)


def simulate_chunk(rehearsal: Rehearsal, plan: Plan, first: int, n: int) -> dict[str, pl.DataFrame]:
    """The record of subjects `first` to `first + n - 1` (counted over all trials) under one version."""
    index = np.arange(first, first + n)
    trial, number = index // rehearsal.subjects + 1, index % rehearsal.subjects + 1
    names = pl.Series("subject", [f"T{t:04d}-{s:06d}" for t, s in zip(trial, number, strict=True)], dtype=pl.String)
    return conduct_subjects(rehearsal.population, plan, rehearsal.cycles, rehearsal.seed, index, names)


def conduct_subjects(
    population: Population,
    plan: Plan,
    cycles: int,
    seed: int,
    index: IntArray,
    names: pl.Series,
    numbers: Numbers | None = None,
) -> dict[str, pl.DataFrame]:
    """The record of the virtual subjects of these global indices (n,) under one version, called by these names (n,).

    An index may stand more than once, with other `numbers` (see `draw_subjects`).
    """
    n = index.size
    clinic = VirtualClinic(population, n, seed, index=index, numbers=numbers)
    subjects = Subjects.fresh([plan], n)
    subjects.age = clinic.age
    subjects.consented[:] = 1
    everyone = np.zeros(n, dtype=np.int64)
    log = Log()
    days = range(plan.first_day, cycles * plan.cycle_days + 1)
    conduct([plan], lambda day: everyone, clinic, PlannedCalendar(), subjects, days, log)
    # virtual subjects have no calendar of their own: all start on the day the version came into force
    start = plan.version.date + timedelta(days=28)
    tables = derive_tables(log, [plan], everyone, names, start)
    tables["subjects"] = _people(names, clinic, start)
    tables["consents"] = _consents(names, plan, start)
    tables["approvals"] = _approvals(plan)
    return tables


def derive_subject_outcomes(
    population: Population, plan: Plan, cycles: int, seed: int, index: IntArray, numbers: Numbers | None = None
) -> pl.DataFrame:
    """Outcomes of virtual subjects of these indices (n,), one row each in their order; nothing is kept on disk."""
    names = pl.Series("subject", [f"S{i:07d}" for i in range(index.size)], dtype=pl.String)
    tables = conduct_subjects(population, plan, cycles, seed, index, names, numbers)
    return derive_outcomes(tables, derive_version_info(plan, cycles))


def _fill(name: str, table: pl.DataFrame) -> pl.DataFrame:
    columns = schema(name)
    absent = [pl.lit(None, dtype=kind).alias(column) for column, kind in columns.items() if column not in table.columns]
    return table.with_columns(absent).select([pl.col(column).cast(kind) for column, kind in columns.items()])


def _people(names: pl.Series, clinic: VirtualClinic, start: date) -> pl.DataFrame:
    born = pl.Series([start - timedelta(days=round(float(years) * 365.25)) for years in clinic.age], dtype=pl.Date)
    sex = pl.Series(np.where(clinic.male, "M", "F"))
    people = pl.DataFrame({"entry": names + "-S1", "subject": names, "sex": sex, "birth_date": born})
    return _fill("subjects", people.with_columns(site=pl.lit("virtual")))


def _consents(names: pl.Series, plan: Plan, start: date) -> pl.DataFrame:
    consents = pl.DataFrame({"entry": names + "-I1", "subject": names})
    when = pl.lit(start + timedelta(days=plan.first_day))
    return _fill("consents", consents.with_columns(date=when, version=pl.lit(plan.version.name)))


def _approvals(plan: Plan) -> pl.DataFrame:
    line = {"entry": ["virtual-A1"], "site": ["virtual"], "date": [plan.version.date], "version": [plan.version.name]}
    return _fill("approvals", pl.DataFrame(line))


def _describe(rehearsal: Rehearsal, infos: Sequence[VersionInfo], out: Path, made_on: date) -> None:
    protocol = rehearsal.protocol
    published = Path(protocol.file).parent / "published.yaml"
    if published.exists():
        shutil.copyfile(published, out / "published.yaml")
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
        "versions": [
            {
                "version": info.version,
                "folder": info.folder,
                "hash": info.hash,
                "levels_mg": list(info.levels_mg),
                "target_mg": info.target_mg,
                "days_on": info.days_on,
                "cycle_days": info.cycle_days,
                "planned_mg": list(info.planned_mg),
                "ctcae": info.ctcae,
            }
            for info in infos
        ],
    }
    (out / "run.json").write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

"""A part of a rehearsal: virtual subjects conducted under one arm, their record and outcomes, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.versions import derive_version_info
from trialrun.engine.conduct import Log, PlannedCalendar, conduct
from trialrun.engine.entries import derive_tables
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan
from trialrun.record.tables import schema
from trialrun.rehearse.lean import cut_log, derive_read_tables, make_lean_log
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import Numbers

IntArray = NDArray[np.int64]


AT_ONCE = 4096  # subjects whose outcomes are derived together: most of the memory is taken then


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
    log = Log()
    people = _conduct(population, plan, cycles, seed, index, names, numbers, log)
    tables = derive_tables(log, [plan], np.zeros(index.size, dtype=np.int64), names, _start(plan))
    return {**tables, "subjects": people, "consents": _consents(names, plan), "approvals": _approvals(plan)}


def conduct_lean(
    population: Population,
    plan: Plan,
    cycles: int,
    seed: int,
    index: IntArray,
    names: pl.Series,
    numbers: Numbers | None = None,
    at_once: int = AT_ONCE,
) -> Iterator[dict[str, pl.DataFrame]]:
    """As `conduct_subjects`, but of the record only what outcomes are derived from, and that of `at_once` subjects after the
    other: the tables of all of them would take most of the memory."""
    log = make_lean_log()
    people = _conduct(population, plan, cycles, seed, index, names, numbers, log)
    for first in range(0, index.size, at_once):
        called = names.slice(first, at_once)
        part = log if called.len() == index.size else cut_log(log, first, called.len())
        tables = derive_read_tables(part, [plan], np.zeros(called.len(), dtype=np.int64), called, _start(plan))
        yield {**tables, "subjects": people.slice(first, at_once)}


def derive_subject_outcomes(
    population: Population, plan: Plan, cycles: int, seed: int, index: IntArray, numbers: Numbers | None = None
) -> pl.DataFrame:
    """Outcomes of virtual subjects of these indices (n,), one row each in their order; nothing is kept on disk."""
    names = pl.Series("subject", [f"S{i:07d}" for i in range(index.size)], dtype=pl.String)
    info = derive_version_info(plan, cycles)
    parts = conduct_lean(population, plan, cycles, seed, index, names, numbers)
    return pl.concat([derive_outcomes(tables, info) for tables in parts])


def _conduct(
    population: Population,
    plan: Plan,
    cycles: int,
    seed: int,
    index: IntArray,
    names: pl.Series,
    numbers: Numbers | None,
    log: Log,
) -> pl.DataFrame:
    """Conduct them, which `log` is told, and return who they are."""
    n = index.size
    clinic = VirtualClinic(population, n, seed, index=index, numbers=numbers)
    subjects = Subjects.fresh([plan], n)
    subjects.age = clinic.age
    subjects.consented[:] = 1
    everyone = np.zeros(n, dtype=np.int64)
    days = range(plan.first_day, cycles * plan.cycle_days + 1)
    conduct([plan], lambda day: everyone, clinic, PlannedCalendar(), subjects, days, log)
    return _people(names, clinic, _start(plan))


def _start(plan: Plan) -> date:
    """Virtual subjects have no calendar of their own: all start on the day the version came into force."""
    return plan.version.date + timedelta(days=28)


def _fill(name: str, table: pl.DataFrame) -> pl.DataFrame:
    columns = schema(name)
    absent = [pl.lit(None, dtype=kind).alias(column) for column, kind in columns.items() if column not in table.columns]
    return table.with_columns(absent).select([pl.col(column).cast(kind) for column, kind in columns.items()])


def _people(names: pl.Series, clinic: VirtualClinic, start: date) -> pl.DataFrame:
    lived = pl.Series(np.rint(clinic.age * 365.25)).cast(pl.Int32)
    born = (pl.Series([start], dtype=pl.Date).to_physical() - lived).cast(pl.Date)
    sex = pl.Series(np.where(clinic.male, "M", "F"))
    people = pl.DataFrame({"entry": names + "-S1", "subject": names, "sex": sex, "birth_date": born})
    return _fill("subjects", people.with_columns(site=pl.lit("virtual")))


def _consents(names: pl.Series, plan: Plan) -> pl.DataFrame:
    consents = pl.DataFrame({"entry": names + "-I1", "subject": names})
    when = pl.lit(_start(plan) + timedelta(days=plan.first_day))
    return _fill("consents", consents.with_columns(date=when, version=pl.lit(plan.version.name)))


def _approvals(plan: Plan) -> pl.DataFrame:
    line = {"entry": ["virtual-A1"], "site": ["virtual"], "date": [plan.version.date], "version": [plan.version.name]}
    return _fill("approvals", pl.DataFrame(line))

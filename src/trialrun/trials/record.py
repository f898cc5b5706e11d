"""The record of one simulated trial, as the site would have written it: consents, approvals, all that was observed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from trialrun.engine.entries import derive_tables
from trialrun.engine.source import FloatArray
from trialrun.engine.subjects import choice_names
from trialrun.record import Record
from trialrun.record.read import read_record
from trialrun.record.tables import TABLES, schema
from trialrun.simulate.luck import draw_uniform
from trialrun.trials.courses import conduct_subjects
from trialrun.trials.run import Trials, own_days
from trialrun.trials.tables import first_version, subject_names
from trialrun.vocab.problems import Location, Problem, TrialrunError


def trial_tables(trials: Trials, number: int) -> dict[str, pl.DataFrame]:
    """The tables of the record of one trial, `number` counted from 1 over the whole run.

    The first version is active from its own date on; other dates follow from the calendar of the trial. A participant
    who would have been enrolled only after the study was stopped is not in it.
    """
    at = number - 1 - trials.first_trial
    enrolled = np.flatnonzero(np.isfinite(trials.enrolment.first_dose[at]))
    rows = at * trials.subjects + enrolled
    index = trials.first_trial * trials.subjects + rows
    activation, stop = own_days(trials.setting, trials.actions, trials.enrolment)
    done = conduct_subjects(trials.setting, index, activation[rows], stop[rows])
    names = subject_names(np.full(enrolled.size, number), enrolled + 1)
    start = trials.setting.plans[0].version.date
    first_dose = _dates(start, trials.enrolment.first_dose[at, enrolled])
    tables = derive_tables(done.log, trials.setting.plans, np.zeros(rows.size, dtype=np.int64), names, first_dose)
    # a test without a result is no line of a record
    tables["findings"] = tables["findings"].filter(pl.any_horizontal(pl.col("value", "text").is_not_null()))
    sites = _sites(trials, index)
    born = first_dose - pl.Series([timedelta(days=round(float(years) * 365.25)) for years in done.clinic.age])
    tables["subjects"] = _fill(
        "subjects",
        pl.DataFrame(
            {
                "entry": names + "-S1",
                "subject": names,
                "site": sites,
                "sex": pl.Series(np.where(done.clinic.male, "M", "F")),
                "birth_date": born,
            }
        ),
    )
    tables["consents"] = _consents(trials, at, enrolled, names, done.switch.since)
    tables["approvals"] = _approvals(trials, at)
    return {name: tables[name] for name in TABLES}


def _dates(start: date, days: FloatArray) -> pl.Series:
    return pl.Series([start + timedelta(days=int(day)) for day in days], dtype=pl.Date)


def _fill(name: str, table: pl.DataFrame) -> pl.DataFrame:
    columns = schema(name)
    absent = [pl.lit(None, dtype=kind).alias(column) for column, kind in columns.items() if column not in table.columns]
    return table.with_columns(absent).select([pl.col(column).cast(kind) for column, kind in columns.items()])


def _site_names(trials: Trials) -> list[str]:
    return [f"site-{number + 1}" for number in range(int(trials.setting.conduct.value("accrual.sites")))]


def _sites(trials: Trials, index: Sequence[int] | np.ndarray) -> pl.Series:
    names = _site_names(trials)
    luck = draw_uniform(trials.setting.seed, "trial.site", np.asarray(index))
    return pl.Series([names[int(place)] for place in luck * len(names)], dtype=pl.String)


def _consents(trials: Trials, at: int, enrolled: np.ndarray, names: pl.Series, since: FloatArray) -> pl.DataFrame:
    """The consent at enrolment, and a renewed one on the day a later version begins to hold for a participant."""
    start = trials.setting.plans[0].version.date
    versions = [plan.version.name for plan in trials.setting.plans]
    first = first_version(trials)[at, enrolled]
    parts = [(names, trials.enrolment.consent[at, enrolled], [versions[k] for k in first])]
    for k in range(1, len(versions)):
        who = np.flatnonzero(np.isfinite(since[:, k]))
        day = trials.enrolment.first_dose[at, enrolled][who] + since[who, k]
        parts.append((names.gather(who.astype(np.uint32)), day, [versions[k]] * who.size))
    frame = pl.concat(
        pl.DataFrame({"subject": who, "date": _dates(start, day), "version": pl.Series(version, dtype=pl.String)})
        for who, day, version in parts
    ).sort("subject", "date", maintain_order=True)
    number = (pl.int_range(1, pl.len() + 1).over("subject")).cast(pl.String)
    return _fill("consents", frame.with_columns(entry=pl.concat_str("subject", pl.lit("-I"), number)))


def _approvals(trials: Trials, at: int) -> pl.DataFrame:
    start = trials.setting.plans[0].version.date
    active = [
        (plan.version.name, start + timedelta(days=int(day)))
        for plan, day in zip(trials.setting.plans, trials.actions.activation[at], strict=True)
        if np.isfinite(day)
    ]
    lines = [
        (f"{site}-A{place + 1}", site, day, name)
        for site in _site_names(trials)
        for place, (name, day) in enumerate(active)
    ]
    frame = pl.DataFrame(lines, schema=["entry", "site", "date", "version"], orient="row")
    return _fill("approvals", frame)


def make_folder_for_record(directory: Path) -> None:
    """Make the folder; one that holds a record already, or that cannot be made, is a TrialrunError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in directory.iterdir() if path.stem in TABLES)
    except OSError as error:
        raise TrialrunError(
            Problem("cannot-write", "the folder cannot be made", error.strerror, None, Location(str(directory)))
        ) from None
    if there:
        found, right = ", ".join(there), "an empty directory"
        raise TrialrunError(Problem("not-empty", "there is a record already", found, right, Location(str(directory))))


def write_trial(trials: Trials, number: int, directory: Path) -> Record:
    """Write the record of one trial as CSV to a directory that holds none, and return it as read back."""
    make_folder_for_record(directory)
    for name, table in trial_tables(trials, number).items():
        table.write_csv(directory / f"{name}.csv", time_format="%H:%M:%S%.f")
    versions = [plan.version for plan in trials.setting.plans]
    return read_record(directory, extra_tests=choice_names(versions))

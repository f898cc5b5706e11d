"""Whole trials as tables: one row a trial, one row a subject."""

from __future__ import annotations

from functools import reduce

import numpy as np
import polars as pl

from trialrun.engine.source import BoolArray, FloatArray, IntArray
from trialrun.trials.courses import TOXIC, TREATED, WITH
from trialrun.trials.rules import rule_terms
from trialrun.trials.run import Trials

LYSIS = f"{WITH}tumor_lysis_syndrome"


def harms(trials: Trials) -> tuple[str, ...]:
    """The study terms that count as harm: those that the rules for the study name, and death of toxicity."""
    named = {term for plan in trials.setting.plans for term in rule_terms(plan.version)}
    return tuple(sorted((named | {TOXIC}) - {TREATED}))


def harm_day(trials: Trials) -> FloatArray:
    """Calendar day (trials, subjects) of each subject's first harm; inf where there is none."""
    return reduce(np.minimum, (trials.calendar(f"day.{term}") for term in harms(trials)))


def end_day(trials: Trials) -> FloatArray:
    """Calendar day (trials, subjects) on which each subject is last followed; inf where it is not enrolled."""
    left = np.minimum(trials.courses.columns["left"], trials.setting.last_day)
    return np.asarray(trials.enrolment.first_dose + left.reshape(trials.enrolment.first_dose.shape))


def first_version(trials: Trials) -> IntArray:
    """Under which version (trials, subjects) each subject consented; -1 where it is not enrolled."""
    consent = trials.enrolment.consent
    version = np.zeros(consent.shape, dtype=np.int64)
    for k in range(1, len(trials.setting.plans)):
        version[trials.actions.activation[:, k][:, None] <= consent] = k
    version[np.isinf(consent)] = -1
    return version


def last_version(trials: Trials) -> IntArray:
    """Under which version (trials, subjects) each subject was last; -1 where it is not enrolled."""
    version = first_version(trials)
    for k in range(1, len(trials.setting.plans)):
        since = trials.courses.columns[f"since.{k}"].reshape(version.shape)
        version[(since < np.inf) & (version >= 0)] = k
    return version


def changed_day(trials: Trials) -> FloatArray:
    """Calendar day (trials, subjects) on which a subject first came under a later version than that of its consent."""
    day = np.full(trials.enrolment.consent.shape, np.inf)
    for k in range(1, len(trials.setting.plans)):
        since = trials.courses.columns[f"since.{k}"].reshape(day.shape)
        finite = np.isfinite(since) & np.isfinite(trials.enrolment.first_dose)
        day[finite] = np.minimum(day[finite], (trials.enrolment.first_dose + np.where(finite, since, 0.0))[finite])
    return day


def subject_names(trial: IntArray, number: IntArray) -> pl.Series:
    """Identifiers of subjects: number of the trial and of the subject in it, both from 1."""
    frame = pl.DataFrame({"t": trial, "s": number})
    padded = pl.concat_str(
        pl.lit("T"), pl.col("t").cast(pl.String).str.zfill(4), pl.lit("-"), pl.col("s").cast(pl.String).str.zfill(6)
    )
    return frame.select(padded.alias("subject"))["subject"]


def tabulate_subjects(trials: Trials) -> pl.DataFrame:
    """One row a subject. Days are calendar days from the activation of the first version; null: it did not happen or
    the subject was not enrolled."""
    shape = trials.enrolment.consent.shape
    trial = np.repeat(np.arange(shape[0]) + trials.first_trial + 1, shape[1])
    number = np.tile(np.arange(shape[1]) + 1, shape[0])
    versions = [plan.version.name for plan in trials.setting.plans]
    sets = [None] * trial.size if trials.sets is None else np.repeat(trials.sets, shape[1])
    frame = pl.DataFrame({"trial": trial, "subject": subject_names(trial, number)}).with_columns(
        pl.Series("set", sets, pl.Int64)
    )
    days = {
        "consent_day": trials.enrolment.consent,
        "first_dose_day": trials.calendar(f"known.{TREATED}"),
        "changed_day": changed_day(trials),
        "treatment_ended_day": trials.calendar("treatment_ended"),
        "withdrawn_day": trials.calendar("withdrawn"),
        "death_day": trials.calendar("death"),
        "toxic_death_day": trials.calendar(f"day.{TOXIC}"),
        "end_day": end_day(trials),
    }
    for term in trials.courses.terms:
        days[f"{term}_day"] = trials.calendar(f"day.{WITH}{term}")
        days[f"{term}_known_day"] = trials.calendar(f"known.{WITH}{term}")
    named = {
        "version_at_consent": first_version(trials).reshape(-1),
        "version_at_end": last_version(trials).reshape(-1),
    }
    frame = frame.with_columns(
        *(
            pl.Series(name, [None if k < 0 else versions[k] for k in column], pl.String)
            for name, column in named.items()
        ),
        *(whole_days(name, column) for name, column in days.items()),
        *(pl.Series(f"{term}_grade", trials.courses.columns[f"grade.{term}"]) for term in trials.courses.terms),
    )
    enrolled = pl.col("consent_day").is_not_null()
    grades = [f"{term}_grade" for term in trials.courses.terms]
    return frame.with_columns(pl.when(enrolled).then(pl.col(name)).alias(name) for name in grades)


def whole_days(name: str, column: FloatArray) -> pl.Series:
    """Days as whole numbers; null where it is never."""
    flat = column.reshape(-1)
    return pl.Series(name, np.where(np.isfinite(flat), flat, np.nan)).fill_nan(None).cast(pl.Int64)


def tabulate_trials(trials: Trials) -> pl.DataFrame:
    """One row a trial; every column is described in docs/whole-trials.md. Days as in `tabulate_subjects`."""
    actions, consent = trials.actions, trials.enrolment.consent
    dosed = trials.calendar(f"known.{TREATED}")
    start, changed, harmed = first_version(trials), changed_day(trials), harm_day(trials)
    amended = actions.activation[:, 1:].min(axis=1, initial=np.inf)[:, None]
    trigger, halt, stop = actions.trigger[:, :1], actions.closed[:, :1, 0], actions.stop[:, None]
    on_start = (start == 0) & (harmed < changed)
    counts = {
        "pauses": np.isfinite(actions.trigger),
        "enrolled": np.isfinite(consent),
        "treated": np.isfinite(dosed),
        "treated_by_pause": np.isfinite(dosed) & (dosed <= trigger),
        "treated_on_start": np.isfinite(dosed) & (start == 0),
        "treated_on_amended": np.isfinite(dosed) & (start > 0),
        "changed_version": np.isfinite(changed),
        "harmed": np.isfinite(harmed),
        "harmed_before_pause": harmed < halt,
        "harmed_before_end_of_start": harmed < np.minimum(amended, stop),
        "harmed_on_start": np.isfinite(harmed) & on_start,
        "harmed_on_amended": np.isfinite(harmed) & ~on_start,
        "toxic_deaths": np.isfinite(trials.calendar(f"day.{TOXIC}")),
        "deaths": np.isfinite(trials.calendar("death")),
        "withdrawn": np.isfinite(trials.calendar("withdrawn")),
    }
    counts |= {f"with_{term}": np.isfinite(trials.calendar(f"day.{WITH}{term}")) for term in trials.courses.terms}
    truths = {
        "paused": np.isfinite(trigger[:, 0]),
        "paused_while_enrolling": np.isfinite(trigger[:, 0]) & (consent > trigger).any(axis=1),
        "amended": np.isfinite(amended[:, 0]),
        "stopped": np.isfinite(stop[:, 0]),
        "paused_by_two": np.isfinite(trigger[:, 0]) & ((np.isfinite(dosed) & (dosed <= trigger)).sum(axis=1) <= 2),
        "first_two_harmed": (harmed[:, :2] < amended).all(axis=1) & (consent.shape[1] > 1),
        "first_two_lysis_and_death": _lysis_and_death(trials, amended),
    }
    days = {
        "pause_day": trigger,
        "halt_day": halt,
        "amended_day": amended,
        "stopped_day": stop,
        "enrolment_days": _last(consent),
        "duration_days": _last(end_day(trials)),
        "closed_days": _closed(actions.closed),
    }
    return (
        pl.DataFrame({"trial": np.arange(trials.size) + trials.first_trial + 1})
        .with_columns(
            pl.Series("set", [None] * trials.size if trials.sets is None else trials.sets, pl.Int64),
            *(pl.Series(name, which) for name, which in truths.items()),
            *(pl.Series(name, which.sum(axis=1), pl.Int64) for name, which in counts.items()),
            *(whole_days(name, day) for name, day in days.items()),
        )
        .with_columns(
            pl.when("paused").then(pl.col(name)).alias(name) for name in ("treated_by_pause", "harmed_before_pause")
        )
    )


def _last(day: FloatArray) -> FloatArray:
    """The last day (trials,) of those that come; inf where none does."""
    last = np.where(np.isfinite(day), day, -np.inf).max(axis=1)
    return np.where(np.isfinite(last), last, np.inf)


def _closed(closed: FloatArray) -> FloatArray:
    """How many days enrolment was closed for a while, (trials,); a stop is for good and does not count."""
    for_a_while = np.isfinite(closed).all(axis=2)
    length = np.where(for_a_while, closed[:, :, 1], 0.0) - np.where(for_a_while, closed[:, :, 0], 0.0)
    return np.asarray(length.sum(axis=1))


def _lysis_and_death(trials: Trials, amended: FloatArray) -> BoolArray:
    """Whether of the first two one had clinical lysis and the other died of toxicity, before any amendment."""
    if LYSIS.removeprefix(WITH) not in trials.courses.terms or trials.subjects < 2:
        return np.zeros(trials.size, dtype=np.bool_)
    lysis, dead = (trials.calendar(f"day.{term}")[:, :2] < amended for term in (LYSIS, TOXIC))
    return np.asarray((lysis[:, 0] & dead[:, 1]) | (lysis[:, 1] & dead[:, 0]))

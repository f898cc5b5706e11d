"""Run whole trials: enrol, conduct, let the rules act, and go on until nothing more happens.

A subject's course depends on its luck and on the days, from its own first dose, on which versions become active and
the study is stopped; never on the calendar itself. So subjects of all trials are conducted together, only those whom an
action touches are conducted again, and all else is arithmetic on columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trialrun.engine.source import BoolArray, FloatArray, IntArray
from trialrun.trials.accrual import Enrolment, draw_gaps, enrol
from trialrun.trials.courses import CHUNK, Courses, Setting, simulate_courses
from trialrun.trials.rules import Trigger, count_by, next_trigger, rule_terms
from trialrun.trials.statement import Conduct


@dataclass(slots=True)
class Actions:
    """What the rules did in each trial, in calendar days (inf: never).

    `closed` (trials, pauses, 2) holds when enrolment was closed (the first day, the day after the last one);
    `trigger` (trials, pauses) the day on which a rule became true and `rule` which of `names`; `activation` (trials,
    versions) when each version became active; `stop` (trials,) when the study was stopped; `settled` (trials,) until
    when what became known was looked at.
    """

    closed: FloatArray
    trigger: FloatArray
    rule: FloatArray
    activation: FloatArray
    stop: FloatArray
    settled: FloatArray
    names: tuple[str, ...] = ()

    @classmethod
    def none(cls, trials: int, versions: int) -> Actions:
        """Nothing was done yet; the first version is active from the first day."""
        activation = np.full((trials, versions), np.inf)
        activation[:, 0] = 0.0
        no_pause = np.full((trials, 1), np.inf)
        never = np.full(trials, np.inf)
        return cls(np.full((trials, 1, 2), np.inf), no_pause, no_pause.copy(), activation, never, -never)

    def act(self, conduct: Conduct, trigger: Trigger, which: BoolArray) -> None:
        """Book the actions of these trials: enrolment closes, the board looks, the trial is amended or stopped."""
        rows = np.flatnonzero(which)
        if np.isfinite(self.trigger[rows, -1]).any():
            self.closed = np.concatenate([self.closed, np.full_like(self.closed[:, :1], np.inf)], axis=1)
            self.trigger = np.concatenate([self.trigger, np.full_like(self.trigger[:, :1], np.inf)], axis=1)
            self.rule = np.concatenate([self.rule, np.full_like(self.rule[:, :1], np.inf)], axis=1)
        place = np.isfinite(self.trigger[rows]).sum(axis=1)
        start = trigger.day[rows] + conduct.value("board.notice")
        end = start + conduct.value("board.review")
        version = np.isfinite(self.activation[rows]).sum(axis=1)
        amends = (version < self.activation.shape[1]) & ~trigger.stops[rows]
        end = np.where(amends, end + conduct.value("board.activation"), end)
        self.activation[rows[amends], version[amends]] = end[amends]
        end[trigger.stops[rows]] = np.inf
        self.stop[rows] = np.where(trigger.stops[rows], start, np.inf)
        self.closed[rows, place, 0], self.closed[rows, place, 1] = start, end
        self.trigger[rows, place], self.rule[rows, place] = trigger.day[rows], trigger.rule[rows]
        # whatever is known before enrolment opens again is before the board
        self.settled[rows] = np.maximum(end - 1.0, trigger.day[rows])
        self.names = trigger.names


@dataclass(frozen=True, slots=True)
class Trials:
    """Whole trials: `courses` has a row for each subject, trial by trial; `enrolment` and `actions` are of calendar
    days, counted from the day the first version was activated. `first_trial` is the number of the first one (from 0),
    `sets` (trials,) the parameter set of each; `conducted` counts courses that were computed."""

    setting: Setting
    first_trial: int
    subjects: int
    enrolment: Enrolment
    courses: Courses
    actions: Actions
    conducted: int
    sets: IntArray | None = None

    @property
    def size(self) -> int:
        """How many."""
        return int(self.enrolment.consent.shape[0])

    def calendar(self, name: str) -> FloatArray:
        """A day of the courses as calendar day, (trials, subjects)."""
        return self.enrolment.first_dose + self.courses.columns[name].reshape(self.enrolment.first_dose.shape)


def run_trials(
    setting: Setting,
    trials: int,
    subjects: int,
    first_trial: int = 0,
    chunk: int = CHUNK,
    progress: Callable[[int], None] | None = None,
) -> Trials:
    """Run `trials` whole trials of `subjects` each; trial t of a run is the same in whatever company it is run.

    The plans after the first of the setting are the amendments: the first pause is answered with the first of them, and
    so on; a pause after the last one ends with the review. `progress` is told the number of courses after each chunk.
    """
    index = np.arange(first_trial * subjects, (first_trial + trials) * subjects).reshape(trials, subjects)
    gaps = draw_gaps(setting.conduct, setting.seed, index)
    courses = Courses.none(setting, index.size)
    actions = Actions.none(trials, len(setting.plans))
    cohort = int(setting.conduct.value("cohorts.size")) or None
    wait = setting.conduct.value("cohorts.wait")
    wave = max(4, -(-subjects // 4))
    conducted = 0
    while True:
        enrolment = enrol(gaps, actions.closed, -setting.first_day, cohort, wait)
        activation, stop = own_days(setting, actions, enrolment)
        trigger = _next(setting, actions, enrolment, courses)
        # who has the first dose after a rule acts had nothing to do with it
        involved = np.isfinite(enrolment.first_dose) & (enrolment.first_dose <= trigger.day[:, None])
        todo = involved & _stale(courses, activation, stop).reshape(index.shape)
        acting = np.isfinite(trigger.day) & ~todo.any(axis=1)
        rows = np.flatnonzero((todo & (todo.cumsum(axis=1) <= wave)).reshape(-1))
        for first in range(0, rows.size, chunk):
            part = rows[first : first + chunk]
            courses.put(part, simulate_courses(setting, index.reshape(-1)[part], activation[part], stop[part]))
            conducted += part.size
            if progress is not None:
                progress(part.size)
        if acting.any():
            actions.act(setting.conduct, trigger, acting)
        elif not rows.size:
            sets = None if setting.sets is None else setting.sets[first_trial : first_trial + trials]
            return Trials(setting, first_trial, subjects, enrolment, courses, actions, conducted, sets)


def own_days(setting: Setting, actions: Actions, enrolment: Enrolment) -> tuple[FloatArray, FloatArray]:
    """Activation (n, versions) and stop (n,) in days from each subject's own first dose.

    A version that was active at consent has -inf, what comes after the last day inf: the course is the same.
    """
    first_dose = enrolment.first_dose[:, :, None]
    enrolled = np.isfinite(first_dose)
    start = np.where(enrolled, first_dose, 0.0)
    own = np.where(enrolled, actions.activation[:, None, :] - start, np.inf)
    own[own <= setting.first_day] = -np.inf
    own[own > setting.last_day] = np.inf
    own[:, :, 0] = -np.inf
    stop = np.where(enrolled[:, :, 0], actions.stop[:, None] - start[:, :, 0], np.inf)
    stop[stop > setting.last_day] = np.inf
    return own.reshape(-1, own.shape[2]), stop.reshape(-1)


def _stale(courses: Courses, activation: FloatArray, stop: FloatArray) -> BoolArray:
    """Whose course (n,) is not that of these days: not conducted yet, or conducted with others while on treatment."""
    ended = courses.columns["treatment_ended"]
    wanted = np.column_stack([activation, stop])
    had = np.column_stack([courses.activation, courses.stop])
    # up to the earlier of two days both courses are one; nothing changes for whom treatment had ended before it
    matters = (wanted != had) & (ended[:, None] >= np.minimum(wanted, had))
    return np.asarray(~courses.done | matters.any(axis=1), dtype=np.bool_)


def _next(setting: Setting, actions: Actions, enrolment: Enrolment, courses: Courses) -> Trigger:
    versions = tuple(plan.version for plan in setting.plans)
    shape = enrolment.first_dose.shape
    terms = {term for version in versions for term in rule_terms(version)}
    known = {term: enrolment.first_dose + courses.columns[f"known.{term}"].reshape(shape) for term in sorted(terms)}
    reviewed = {term: count_by(days, actions.settled[:, None])[:, 0] for term, days in known.items()}
    return next_trigger(versions, actions.activation, known, reviewed, actions.settled)

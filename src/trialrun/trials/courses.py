"""The courses of subjects: what happens to each under the versions that hold for it, counted from its first dose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from trialrun.engine.conduct import Log, PlannedCalendar, conduct
from trialrun.engine.source import BoolArray, FloatArray, IntArray, Observed, Source
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan
from trialrun.plan.dosing import NEVER
from trialrun.simulate.events import OTHER_DEATH
from trialrun.trials.imperfect import ImperfectCalendar, ImperfectSource
from trialrun.trials.statement import Conduct
from trialrun.trials.switch import Switch
from trialrun.vocab.problems import Problem, TrialrunError

CHUNK = 8192  # subjects conducted at once: enough that the work is in the columns, few enough for the memory
TREATED, TOXIC = "subjects_treated", "subjects_dead_of_toxicity"
WITH = "subjects_with_"


class Clinic(Source, Protocol):
    """A source that knows the age (years) and sex of its subjects, (n,) each."""

    @property
    def age(self) -> FloatArray:
        """Age at the first dose, years."""
        ...

    @property
    def male(self) -> BoolArray:
        """True for men."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """All that the course of a subject depends on beside its own luck: `plans`, the first one that of the start; `sets`
    is the parameter set of each trial of the run, where there is an ensemble."""

    plans: tuple[Plan, ...]
    conduct: Conduct
    clinic: Callable[[IntArray], Clinic]
    seed: int
    cycles: int
    sets: IntArray | None = None

    @property
    def first_day(self) -> int:
        """The day of screening, from the first dose."""
        return min(plan.first_day for plan in self.plans)

    @property
    def last_day(self) -> int:
        """The last day that a subject is followed, from the first dose."""
        return self.cycles * self.plans[0].cycle_days

    @property
    def terms(self) -> tuple[str, ...]:
        """The events of the versions, by name."""
        named = {
            name for plan in self.plans for name, term in plan.version.vocabulary.items() if term.source == "event"
        }
        return tuple(sorted(named))


class _WithoutFindings(list[tuple[int, Observed]]):
    """What was observed without the results of tests: a crowd's would fill the memory, and no count is made of them."""

    def append(self, item: tuple[int, Observed]) -> None:
        """Add what was observed on a day."""
        day, observed = item
        super().append((day, replace(observed, findings=())))


@dataclass(slots=True)
class Conducted:
    """Subjects that were conducted: everything observed and decided of them, and their state at the end."""

    log: Log
    subjects: Subjects
    switch: Switch
    clinic: Clinic


def conduct_subjects(
    setting: Setting, index: IntArray, activation: FloatArray, stop: FloatArray, log: Log | None = None
) -> Conducted:
    """Conduct the subjects of these global numbers (m,) up to the last day; `log` is filled where one is given.

    `activation` (m, plans) and `stop` (m,): the day, from each subject's own first dose, on which a version is active
    and on which the study is stopped (inf: never).
    """
    clinic = setting.clinic(index)
    calendar = ImperfectCalendar(PlannedCalendar(), setting.conduct, setting.seed, index)
    subjects = Subjects.fresh(setting.plans, index.size)
    source = ImperfectSource(clinic, setting.conduct, setting.seed, index, stop, subjects)
    subjects.age = clinic.age
    subjects.consented[:] = 1
    switch = Switch(setting.plans, activation, subjects)
    log = Log() if log is None else log
    days = range(setting.first_day, setting.last_day + 1)
    conduct(setting.plans, switch, source, calendar, subjects, days, log)
    return Conducted(log, subjects, switch, clinic)


@dataclass(slots=True)
class Courses:
    """Columns (n,) of subjects by name; days from each subject's own first dose, inf where something never came.

    `known.X` is the day on which a study term became known, `day.X` the day on which it happened, `grade.X` the worst
    grade of an event (0: none). `activation` (n, plans) and `stop` (n,) are what each was conducted with; `done` says
    who was conducted.
    """

    terms: tuple[str, ...]
    columns: dict[str, FloatArray]
    activation: FloatArray
    stop: FloatArray
    done: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    @classmethod
    def none(cls, setting: Setting, n: int) -> Courses:
        """n subjects of whom nobody was conducted."""
        names = [f"{what}.{term}" for term in _study_terms(setting.terms) for what in ("known", "day")]
        columns = {name: np.full(n, np.inf) for name in (*names, *_ENDS)}
        columns |= {f"grade.{term}": np.zeros(n) for term in setting.terms}
        plans = len(setting.plans)
        columns |= {f"since.{k}": np.full(n, np.inf) for k in range(1, plans)}
        activation = np.full((n, plans), np.inf)
        return cls(setting.terms, columns, activation, np.full(n, np.inf), np.zeros(n, dtype=np.bool_))

    def put(self, rows: IntArray, other: Courses) -> None:
        """Replace the courses of these rows."""
        for name, column in other.columns.items():
            self.columns[name][rows] = column
        self.activation[rows], self.stop[rows], self.done[rows] = other.activation, other.stop, other.done


_ENDS = ("death", "withdrawn", "treatment_ended", "left", "last_dose")


def _study_terms(terms: Sequence[str]) -> tuple[str, ...]:
    return (TREATED, TOXIC, *(f"{WITH}{term}" for term in terms))


def simulate_courses(setting: Setting, index: IntArray, activation: FloatArray, stop: FloatArray) -> Courses:
    """The courses of these subjects; see `conduct_subjects`."""
    done = conduct_subjects(setting, index, activation, stop, Log(observed=_WithoutFindings()))
    courses = Courses.none(setting, index.size)
    courses.activation, courses.stop = activation, stop
    courses.done[:] = True
    _read_observed(courses.columns, done.log)
    ended = done.subjects.dosing.ended.astype(np.float64)
    courses.columns["treatment_ended"] = np.where(ended == NEVER, np.inf, ended)
    left = done.subjects.left.astype(np.float64)
    courses.columns["left"] = np.where(left == NEVER, np.inf, left)
    for k in range(1, len(setting.plans)):
        courses.columns[f"since.{k}"] = done.switch.since[:, k]
    return courses


def _read_observed(columns: dict[str, FloatArray], log: Log) -> None:
    """First days and worst grades of what a log holds."""

    def first(name: str, rows: IntArray, day: FloatArray | int) -> None:
        np.minimum.at(columns[name], rows, day)

    columns["last_dose"][:] = -np.inf
    for told, observed in log.observed:
        for exposures in observed.exposures:
            given = exposures.rows[exposures.dose > 0]
            first(f"known.{TREATED}", given, exposures.day)
            columns["last_dose"][given] = exposures.day
        for events in observed.events:
            name = f"{WITH}{events.term}"
            if f"known.{name}" in columns:
                first(f"known.{name}", events.rows, told)
                first(f"day.{name}", events.rows, events.day)
                np.maximum.at(columns[f"grade.{events.term}"], events.rows, events.grade)
            fatal = events.grade == 5.0
            if fatal.any():
                first(f"known.{TOXIC}", events.rows[fatal], told)
                first(f"day.{TOXIC}", events.rows[fatal], events.day[fatal])
        for item in observed.ended:
            if item.event == "death":
                first("death", item.rows, item.day)
                open_cause = np.isinf(columns[f"known.{TOXIC}"][item.rows])
                if item.reason != OTHER_DEATH and open_cause.any():
                    right = f"a fatal event beside it, or the reason {OTHER_DEATH!r}"
                    told_of = f"{int(open_cause.sum())} deaths with the reason {item.reason!r}"
                    raise TrialrunError(Problem("cause-unknown", "a virtual death without a cause", told_of, right))
            elif item.event != "treatment discontinued":
                first("withdrawn", item.rows, item.day)
    columns[f"day.{TREATED}"][:] = columns[f"known.{TREATED}"]

"""A clinic as it is: events reported late, visits missed, treatment stopped with the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trialrun.engine.conduct import Calendar, VisitOf
from trialrun.engine.source import (
    Ended,
    Events,
    Exposures,
    FloatArray,
    IntArray,
    Moment,
    Observed,
    Orders,
    Source,
)
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan
from trialrun.simulate.luck import draw_uniform
from trialrun.trials.statement import Conduct

STUDY_STOPPED = "study stopped"
_FATAL = 5.0


class ImperfectSource:
    """A source seen through the conduct of a trial; chance depends on (seed, stream, subject, day) alone.

    `index` (n,) are global numbers of subjects; `stop` (n,) the day, from each subject's own first dose, on which the
    study is stopped and treatment with it (inf: never); `subjects` tells who is still treated then. Fatal events are
    reported at once; of the others a part is reported late, at the latest at the next visit that asks for events. One
    without an end counts, as ever, for the moment at which it is reported.
    """

    def __init__(
        self, source: Source, conduct: Conduct, seed: int, index: IntArray, stop: FloatArray, subjects: Subjects
    ) -> None:
        self._source, self._seed, self._index, self._stop = source, seed, index, stop
        self._subjects = subjects
        self._late, self._delay = conduct.value("reports.late"), conduct.value("reports.delay")
        self._on_study = np.ones(index.size, dtype=np.bool_)
        self._waiting: list[tuple[Events, FloatArray]] = []  # events and the day each is reported

    def live(self, day: int, orders: Orders) -> tuple[Exposures, ...]:
        """As the source does: what is imperfect is what the site learns of it."""
        self._on_study = orders.on_study
        return self._source.live(day, orders)

    def observe(self, moment: Moment) -> Observed:
        """What the site learns at this moment."""
        day = moment.day
        seen = self._source.observe(moment)
        ended = list(seen.ended)
        stopped = np.flatnonzero(self._on_study & self._subjects.dosing.active & (self._stop == day))
        if stopped.size:
            ended.append(_ended("treatment discontinued", STUDY_STOPPED, stopped, day))
        return replace(seen, events=self._reported(day, seen.events, moment), ended=tuple(ended))

    def _reported(self, day: int, events: Sequence[Events], moment: Moment) -> tuple[Events, ...]:
        if self._late <= 0.0:
            return tuple(events)
        asked = moment.due.get("adverse_events", np.zeros(self._index.size, dtype=np.bool_))
        told, waiting = [], []
        for item, release in self._waiting:
            now = (release <= day) | asked[item.rows]
            for news in events:  # how an event went on is not told before the event
                if news.term == item.term and news.replaces is not None:
                    now |= np.isin(item.rows, news.rows)
            told += item.some(now)
            waiting += [(part, release[~now]) for part in item.some(~now)]
        for item in events:
            subjects = self._index[item.rows]
            luck = draw_uniform(self._seed, f"trial.report_late.{item.term}", subjects, day)
            late = (luck < self._late) & (item.grade < _FATAL) & ~asked[item.rows] & (item.replaces is None)
            told += item.some(~late)
            for part in item.some(late):
                luck = draw_uniform(self._seed, f"trial.report_delay.{item.term}", self._index[part.rows], day)
                waiting.append((part, day + np.ceil(-self._delay * np.log(luck))))
        self._waiting = waiting
        return tuple(told)


def _ended(event: str, reason: str, rows: IntArray, day: int) -> Ended:
    return Ended(event, reason, rows, np.full(rows.size, float(day)))


class ImperfectCalendar:
    """Planned visits of which some are missed: nothing is measured, asked or decided then.

    A missed visit is not made up, but one that starts a cycle is due again the next day, as the cycle waits for it.
    Screening and the first dose are not missed: without them there is no subject.
    """

    def __init__(self, calendar: Calendar, conduct: Conduct, seed: int, index: IntArray) -> None:
        self._calendar, self._seed, self._index = calendar, seed, index
        self._missed = conduct.value("visits.missed")

    def early(self, plans: Sequence[Plan], which: IntArray, day: int) -> int:
        """As planned."""
        return self._calendar.early(plans, which, day)

    def visits(self, plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int) -> list[VisitOf]:
        """The visits that take place today."""
        planned = self._calendar.visits(plans, which, subjects, day)
        if self._missed <= 0.0 or day <= 0:
            return planned
        held: list[VisitOf] = []
        for index, visit, rows in planned:
            missed = draw_uniform(self._seed, "trial.visit", self._index[rows], day) < self._missed
            if visit.cycles is not None and visit.day == 0:
                subjects.visits_done[visit.name][rows[missed]] = 0
            if not missed.all():
                held.append((index, visit, rows[~missed]))
        return held

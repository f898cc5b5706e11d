"""A real subject as a source: what its record says, day by day, and the visits that were really held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trialrun.engine.conduct import VisitOf
from trialrun.engine.source import Ended, Events, Exposures, Findings, IntArray, Moment, Observed, Orders
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan, Visit
from trialrun.record import Record

_ONE = np.zeros(1, dtype=np.int64)
_LEFT = ("death", "study discontinued", "completed")


@dataclass(frozen=True, slots=True)
class RecordedSubject:
    """One subject's entries by day offset from its first dose (or from `today` while there is none).

    `origin` is the date of day 0 and `today` the offset of the day asked about. Entries of `today` are known before the
    decision, its dose is not. Exposure on a day without an exposure entry is unknown (NaN) between the first and the
    last entry.
    """

    subject: str
    origin: date
    today: int
    tables: Mapping[str, pl.DataFrame]

    @classmethod
    def read(cls, record: Record, subject: str, on: date) -> RecordedSubject:
        """The subject's entries of a record that is already seen as known on the day asked about."""
        tables = {
            name: table.filter(pl.col("subject") == subject)
            for name, table in record.tables.items()
            if "subject" in table.columns
        }
        given = tables["exposures"].filter((pl.col("dose") > 0) & (pl.col("date") < on))
        first = given["date"].min()
        origin = first if isinstance(first, date) else on
        return cls(subject, origin, (on - origin).days, tables)

    def _on(self, table: str, day: int) -> pl.DataFrame:
        frame = self.tables[table]
        return frame.filter((pl.col("date") - pl.lit(self.origin)).dt.total_days() == day)

    def moments(self) -> list[int]:
        """The days on which something was observed, and today, ascending."""
        days = {self.today}
        for name in ("findings", "adverse_events", "visits", "dispositions"):
            offsets = (self.tables[name]["date"] - self.origin).dt.total_days()
            days.update(int(day) for day in offsets.drop_nulls().to_list())
        return sorted(day for day in days if day <= self.today)

    def doses(self) -> dict[int, float]:
        """Dose taken by day offset, up to yesterday; NaN where no entry covers the day."""
        given: dict[int, float] = {}
        for row in self.tables["exposures"].iter_rows(named=True):
            start = (row["date"] - self.origin).days
            end = start if row["end_date"] is None else (row["end_date"] - self.origin).days
            given.update((day, float(row["dose"])) for day in range(start, min(end, self.today - 1) + 1))
        if given:
            given.update((day, float("nan")) for day in range(max(given)) if day not in given)
        return dict(sorted(given.items()))


class RecordedSource:
    """Answers from the record of one subject."""

    def __init__(self, subject: RecordedSubject, plan: Plan) -> None:
        self._subject = subject
        self._plan = plan
        self._doses = subject.doses()
        self._given_to = -(10**6)

    def observe(self, moment: Moment, orders: Orders) -> Observed:
        """Entries of this day, and the exposures since the last moment."""
        subject = self._subject
        exposures = tuple(
            Exposures(day, _ONE, np.array([dose]))
            for day, dose in self._doses.items()
            if self._given_to < day < moment.day and (not np.isnan(dose) or self._is_dosing_day(day))
        )
        self._given_to = moment.day - 1
        return Observed(
            findings=tuple(self._findings(moment.day)),
            events=tuple(self._events(moment.day)),
            exposures=exposures,
            ended=tuple(
                Ended(row["event"], row["reason"] or "", _ONE, np.array([float(moment.day)]))
                for row in subject._on("dispositions", moment.day).iter_rows(named=True)
                if row["event"] in _LEFT
            ),
        )

    def _is_dosing_day(self, day: int) -> bool:
        """Whether a day without an entry lies where the calendar has a dose, were no cycle delayed."""
        return self._plan.give[0] <= day % self._plan.cycle_days <= self._plan.give[1]

    def _findings(self, day: int) -> list[Findings]:
        def column(value: float | None) -> np.ndarray:
            return np.array([np.nan if value is None else value])

        return [
            Findings(row["test"], _ONE, column(row["value"]), column(row["low"]), column(row["high"]))
            for row in self._subject._on("findings", day).iter_rows(named=True)
        ]

    def _events(self, day: int) -> list[Events]:
        origin = self._subject.origin
        found = []
        for row in self._subject._on("adverse_events", day).iter_rows(named=True):
            end = float("nan") if row["end_date"] is None else float((row["end_date"] - origin).days)
            grade = float("nan") if row["grade"] is None else float(row["grade"])
            found.append(Events(row["term"], _ONE, np.array([grade]), np.array([float(day)]), np.array([end])))
        return found


class RecordedCalendar:
    """The visits that were held, by the record; today always decides."""

    def __init__(self, subject: RecordedSubject) -> None:
        self._subject = subject

    def visits(self, plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int) -> list[VisitOf]:
        """The plan's visits that the record names on this day; a day with results but no named visit is unscheduled."""
        index = int(which[0])
        named = self._subject._on("visits", day)["visit"].to_list()
        found = [(index, visit, _ONE) for visit in plans[index].visits if visit.name in named]
        if day == self._subject.today or self._subject._on("findings", day).height or named:
            found.append((index, _unscheduled(day), _ONE))
        return found


def _unscheduled(day: int) -> Visit:
    """A visit outside the schedule: whatever was found is looked at and the dose is decided."""
    return Visit(
        name="unscheduled",
        activities=(),
        tests=(),
        asks_for_events=False,
        assesses_response=False,
        decides_dose=True,
        day=day,
        before=0,
        after=0,
        cycles=None,
        when=None,
        every=None,
        after_end=None,
    )

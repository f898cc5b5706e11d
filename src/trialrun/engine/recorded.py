"""A real subject as a source: what its record says, day by day, and the visits that were really held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from typing import Any

import numpy as np
import polars as pl

from trialrun.engine.conduct import VisitOf
from trialrun.engine.source import Ended, Events, Exposures, Findings, IntArray, Moment, Observed, Orders
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan, Visit
from trialrun.record import Record
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.units import convert, get_unit

_ONE = np.zeros(1, dtype=np.int64)
_LEFT = ("death", "study discontinued", "completed")
_STOPPED = "treatment discontinued"
NEEDED = ("exposures", "adverse_events", "dispositions")  # a line missing here would be read as: it did not happen
_DATED = ("findings", "adverse_events", "visits", "dispositions", "decisions")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedSubject:
    """One subject's entries by day offset from its first dose (or from `today` while there is none).

    `origin` is the date of day 0 and `today` the offset of the day asked about. `rows` holds the entries by table and
    day on which they count: that of the sample or visit, for an adverse event the day it became known. `doses` is the
    dose (mg or what the plan's unit is) by day up to yesterday, NaN where no entry covers the day.
    """

    subject: str
    origin: date
    today: int
    tables: Mapping[str, pl.DataFrame]
    rows: Mapping[str, Mapping[int, tuple[Row, ...]]]
    doses: Mapping[int, float]

    @classmethod
    def read(cls, record: Record, subject: str, on: date, plan: Plan) -> RecordedSubject:
        """The subject's entries of a record that is already seen as known on the day asked about.

        An exposure to another drug than the plan's or in a unit that does not convert, and an adverse event that may be
        a misspelt term of the protocol, are a TrialrunError.
        """
        tables = {
            name: table.filter(pl.col("subject") == subject)
            for name, table in record.tables.items()
            if "subject" in table.columns
        }
        first = tables["exposures"].filter((pl.col("dose") > 0) & (pl.col("date") < on))["date"].min()
        origin = first if isinstance(first, date) else on
        tables["adverse_events"] = name_events(tables["adverse_events"], plan)
        today = (on - origin).days
        superseded = record.superseded.get("adverse_events", tables["adverse_events"].clear())
        told = _as_told(tables["adverse_events"], superseded.filter(pl.col("subject") == subject))
        dated = {**tables, "adverse_events": told}
        rows = {name: _by_day(dated[name], name, origin) for name in _DATED}
        doses = _doses(tables["exposures"], origin, today, plan.drug, plan.unit)
        return cls(subject, origin, today, tables, rows, doses)

    def check_doses(self, plans: Sequence[Plan], which: Callable[[int], IntArray]) -> None:
        """A dose that is no level of the plan that held on its day is a TrialrunError that names the entry."""
        for row in self.tables["exposures"].iter_rows(named=True):
            day = (row["date"] - self.origin).days
            plan = plans[int(which(day)[0])]
            dose = float(convert(row["dose"], get_unit(row["unit"]), plan.unit))
            if day < self.today and dose > 0 and plan.level_of(dose) is None:
                message = f"entry {row['entry']} of exposures, {row['date']}: the dose is not one of the levels"
                levels = ", ".join(f"{value:g}" for value in plan.levels)
                raise TrialrunError(
                    Problem("dose-off-levels", message, f"{row['dose']:g} {row['unit']}", f"{levels} {plan.unit}")
                )

    def on(self, table: str, day: int) -> tuple[Row, ...]:
        """The entries of a table that count on a day."""
        return self.rows[table].get(day, ())

    def visits_on(self, day: int) -> tuple[str, ...]:
        """Names of the visits that were held on a day, by the visits table and by the findings that name one."""
        named = [row["visit"] for table in ("visits", "findings") for row in self.on(table, day)]
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def moments(self) -> list[int]:
        """The days on which something was observed, and today, ascending."""
        days = {self.today, *(day for table in self.rows.values() for day in table)}
        return sorted(day for day in days if day <= self.today)


def _by_day(table: pl.DataFrame, name: str, origin: date) -> dict[int, tuple[Row, ...]]:
    when = pl.coalesce("known", "date") if name == "adverse_events" else pl.col("date")
    order = ["_day", "time"] if name == "findings" else ["_day"]
    table = table.with_columns(_day=(when - pl.lit(origin)).dt.total_days()).sort(order, maintain_order=True)
    found: dict[int, list[Row]] = {}
    for row in table.iter_rows(named=True):
        found.setdefault(row["_day"], []).append(row)
    return {day: tuple(rows) for day, rows in found.items()}


def _as_told(events: pl.DataFrame, superseded: pl.DataFrame) -> pl.DataFrame:
    """The lines of events that count, and before each that replaces one of an event that went on, what was known till then.

    Decisions of the past rested on it. `replaces` is the grade (0: none given) of the line that was told before; null in the
    first of an event. Any other correction (of the term, the start, an event that had ended) counts as if nothing had
    stood before it.
    """
    earlier = {row["entry"]: row for row in superseded.iter_rows(named=True)}
    told: list[dict[str, Any]] = []
    for row in events.iter_rows(named=True):
        chain = [row]
        while (before := earlier.get(chain[0]["corrects"])) is not None and _goes_on(before, chain[0]):
            chain.insert(0, {**before, "term": row["term"]})
        grades = [None, *(line["grade"] or 0.0 for line in chain[:-1])]
        told += [{**line, "replaces": grade} for line, grade in zip(chain, grades, strict=True)]
    return pl.DataFrame(told, schema={**events.schema, "replaces": pl.Float64()})


def _goes_on(before: Row, after: Row) -> bool:
    """Whether a later line is news of an event that was going on, not the mending of a slip."""
    same = _plain(before["term"]) == _plain(after["term"]) and before["date"] == after["date"]
    known, since = (row["known"] or row["date"] for row in (after, before))
    return bool(same and before["end_date"] is None and known > since)


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").replace("tumour", "tumor").split())


def name_events(events: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Adverse events with the protocol's term where they carry its name or label, in whatever spelling of case."""
    terms = [term for term in plan.version.vocabulary.values() if term.source == "event"]
    spelt = {_plain(text): term.name for term in terms for text in (term.name, term.label)}
    named: dict[str, str] = {}
    for term in events["term"].unique().to_list():
        name = spelt.get(_plain(term))
        close = [] if name else get_close_matches(_plain(term), spelt, n=1, cutoff=0.8)
        if close:
            message = f"adverse event {term!r} may be a term that rules ask about, misspelt"
            raise TrialrunError(Problem("unclear-event", message, repr(term), spelt[close[0]]))
        named[term] = name or term
    return events.with_columns(pl.col("term").replace(named))


def _doses(exposures: pl.DataFrame, origin: date, today: int, drug: str, unit: str) -> dict[int, float]:
    given: dict[int, float] = {}
    for row in exposures.sort("date").iter_rows(named=True):
        if row["drug"].strip().casefold() != drug.casefold():
            message = f"entry {row['entry']} of exposures is of another drug; other drugs belong to concomitant"
            raise TrialrunError(Problem("other-drug", message, repr(row["drug"]), drug))
        dose = float(convert(row["dose"], get_unit(row["unit"]), unit))
        start = (row["date"] - origin).days
        end = start if row["end_date"] is None else (row["end_date"] - origin).days
        given.update((day, dose) for day in range(start, min(end, today - 1) + 1))
    unknown = {day: float("nan") for day in range(today) if day not in given}
    return dict(sorted({**given, **unknown}.items()))


class RecordedSource:
    """Answers from the record of one subject."""

    def __init__(self, subject: RecordedSubject) -> None:
        self._subject = subject
        self._given_to = -(10**6)

    def live(self, day: int, orders: Orders) -> tuple[Exposures, ...]:
        """The exposures since the last moment."""
        since = range(self._given_to + 1, day)
        return tuple(
            Exposures(past, _ONE, np.array([dose])) for past, dose in self._subject.doses.items() if past in since
        )

    def observe(self, moment: Moment) -> Observed:
        """Entries of this day, and the ends of treatment since the last moment."""
        subject, day = self._subject, moment.day
        since = range(self._given_to + 1, day)
        # treatment that is discontinued on a day is so by that day's decision: it counts from the next moment on
        stopped = [
            Ended(_STOPPED, row["reason"] or "", _ONE, np.array([float(past)]))
            for past, rows in subject.rows["dispositions"].items()
            for row in rows
            if row["event"] == _STOPPED and past in since
        ]
        left = [
            Ended(row["event"], row["reason"] or "", _ONE, np.array([float(day)]))
            for row in subject.on("dispositions", day)
            if row["event"] in _LEFT
        ]
        self._given_to = day - 1
        return Observed(tuple(self._findings(day)), tuple(self._events(day)), ended=(*stopped, *left))

    def _findings(self, day: int) -> list[Findings]:
        def column(value: float | None) -> np.ndarray:
            return np.array([np.nan if value is None else value])

        return [
            Findings(row["test"], _ONE, column(row["value"]), column(row["low"]), column(row["high"]))
            for row in self._subject.on("findings", day)
        ]

    def _events(self, day: int) -> list[Events]:
        origin = self._subject.origin
        found = []
        for row in self._subject.on("adverse_events", day):
            start = float((row["date"] - origin).days)
            end = float("nan") if row["end_date"] is None else float((row["end_date"] - origin).days)
            replaces = None if row["replaces"] is None else np.array([row["replaces"]])
            about = (np.array([row["grade"]], dtype=np.float64), np.array([start]), np.array([end]))
            found.append(Events(row["term"], _ONE, *about, replaces))
        return found


class RecordedCalendar:
    """The visits that were held, by the record; today always decides."""

    def __init__(self, subject: RecordedSubject) -> None:
        self._subject = subject

    def visits(self, plans: Sequence[Plan], which: IntArray, subjects: Subjects, day: int) -> list[VisitOf]:
        """The plan's visits that the record names on this day.

        A day for which the record holds a decision decides; so does one with results or a visit that the plan does not
        know, as an unscheduled visit.
        """
        index, subject = int(which[0]), self._subject
        named = subject.visits_on(day)
        held = [row["visit"] for row in subject.on("visits", day)]
        planned = [visit for visit in plans[index].visits if visit.name in named]
        found = [(index, visit if visit.name in held else replace(visit, asks_for_events=False), _ONE)
                 for visit in planned]  # fmt: skip
        unnamed = bool(subject.on("findings", day)) and not named
        strange = any(name is None for name in held) or len(planned) < len(named)
        if day == subject.today or unnamed or strange or subject.on("decisions", day):
            found.append((index, _unscheduled(day), _ONE))
        return found

    def early(self, plans: Sequence[Plan], which: IntArray, day: int) -> int:
        """The window before the first day of a cycle, where the visit of that day may be the one that starts it."""
        named = self._subject.visits_on(day)
        starts = [visit for visit in plans[int(which[0])].visits if visit.cycles and visit.day == 0]
        if named and not any(visit.name in named for visit in starts):
            return 0
        return max((visit.before for visit in starts), default=0)


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

"""Whoever answers "what was observed of these subjects at this moment?": the site, or the virtual one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Moment:
    """One day of the trial, before that day's dose.

    `day` is the offset from the first dose (0 = the day of the first dose; screening days are negative). `due` says
    for each test name, and for `adverse_events` (the visit asks for events), which subjects are due: bool, shape (n,).
    """

    day: int
    due: Mapping[str, BoolArray]


@dataclass(frozen=True, slots=True)
class Findings:
    """Results of one test: `rows` (m,) subject indices, `values` (m,) in the test's canonical unit (NaN = no result),
    `low` and `high` (m,) limits of the reference range in that unit (NaN = none)."""

    test: str
    rows: IntArray
    values: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Events:
    """Adverse events of one term that became known: `rows` (m,), `grade` (m,) 1 to 5, `day` (m,) of their start.

    `end` (m,) is the day they ended, NaN = going on; without it they count for the moment at which they are reported.
    `replaces` (m,) says that these are no new events: each was told before as going on, of this term and from this day, with
    this grade (0 = not graded), and is told anew with what is known by now.
    """

    term: str
    rows: IntArray
    grade: FloatArray
    day: FloatArray
    end: FloatArray | None = None
    replaces: FloatArray | None = None

    def some(self, which: BoolArray) -> list[Events]:
        """Those of the events for which `which` (m,) holds, or nothing where there are none."""
        if not which.any():
            return []
        end, replaces = (None if each is None else each[which] for each in (self.end, self.replaces))
        return [Events(self.term, self.rows[which], self.grade[which], self.day[which], end, replaces)]


@dataclass(frozen=True, slots=True)
class Exposures:
    """Doses really taken: `rows` (m,), `dose` (m,) in the drug's unit for the single day `day` (0 = missed or held)."""

    day: int
    rows: IntArray
    dose: FloatArray


@dataclass(frozen=True, slots=True)
class Ended:
    """Subjects whose treatment or study ended: `rows` (m,), `day` (m,).

    `event` is treatment discontinued (they are followed on) or one of death, study discontinued, completed.
    """

    event: str
    reason: str
    rows: IntArray
    day: FloatArray


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen since the last moment and at this one; `exposures` are those that were lived through before it."""

    findings: tuple[Findings, ...] = ()
    events: tuple[Events, ...] = ()
    exposures: tuple[Exposures, ...] = ()
    ended: tuple[Ended, ...] = ()


@dataclass(slots=True)
class Orders:
    """What is prescribed until the next moment: `dose` (n,) mg of the study drug a day (0 = none), `treatments` by
    name (n,) whether the co-medication is to be taken, `on_study` (n,) whether the subject is still followed, `held`
    (n,) whether the calendar has a dose that is not to be taken (empty: nobody's)."""

    dose: FloatArray
    treatments: Mapping[str, BoolArray] = field(default_factory=lambda: MappingProxyType({}))
    on_study: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    held: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))


class Source(Protocol):
    """Answers what was taken, then what was observed: which visits fall due may hang on yesterday's dose.

    `orders` are those that held from the last moment until this one.
    """

    def live(self, day: int, orders: Orders) -> tuple[Exposures, ...]:
        """Live from the last moment to this day, before its dose: the doses really taken meanwhile."""
        ...

    def observe(self, moment: Moment) -> Observed:
        """Everything else seen after the last moment's dose up to and including this moment, before its dose; the day
        is the one that was lived to."""
        ...

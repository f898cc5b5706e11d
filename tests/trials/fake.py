"""Subjects whose events are known beforehand, and a conduct without chance: trials that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.scripted import Scripted
from trialrun.engine.source import Ended, IntArray, Moment, Observed
from trialrun.plan.calendar import plan_version
from trialrun.protocol import Protocol
from trialrun.simulate.population import Number
from trialrun.trials.courses import Setting
from trialrun.trials.statement import About, Accrual, Board, Cohorts, Conduct, Missed, Reports

Happens = Mapping[int, Sequence[tuple[int, str, float]]]  # by global number: own day, term, grade (5 is fatal)


class FakeClinic(Scripted):
    """Normal results; the events of `happens` from their days on; a fatal one is a death."""

    def __init__(self, index: IntArray, happens: Happens) -> None:
        events: dict[int, list[tuple[str, int, float]]] = {}
        for row, number in enumerate(index):
            for day, term, grade in happens.get(int(number), ()):
                events.setdefault(day, []).append((term, row, grade))
        super().__init__(index.size, events=events)
        self.age = np.full(index.size, 60.0)
        self.male = np.ones(index.size, dtype=np.bool_)

    def observe(self, moment: Moment) -> Observed:
        seen = super().observe(moment)
        seen = replace(seen, events=tuple(replace(item, end=np.array([np.nan])) for item in seen.events))
        dead = [row for _, row, grade in self.events.get(moment.day, []) if grade == 5.0]
        if not dead:
            return seen
        return replace(seen, ended=(Ended("death", "death", np.array(dead), np.full(len(dead), float(moment.day))),))


def number(value: float, unit: str) -> Number:
    return Number(label="made up", value=value, unit=unit, status="assumed", source="assumed")


def conduct(
    every: float = 28.0,
    notice: int = 1,
    review: int = 10,
    activation: int = 20,
    cohort: tuple[int, int] | None = None,
    late: tuple[float, float] | None = None,
    missed: float | None = None,
    pattern: str = "fixed",
) -> Conduct:
    """One participant every so many days; nothing happens by chance unless it is asked for."""
    return Conduct(
        trialrun=1,
        conduct=About(id="made-up", title="made up", describes="made up"),
        sources={"assumed": "made up"},
        accrual=Accrual(pattern=pattern, rate=number(30.4375 / every, "/mo"), sites=number(1, "1")),
        board=Board(notice=number(notice, "d"), review=number(review, "d"), activation=number(activation, "d")),
        cohorts=None if cohort is None else Cohorts(size=number(cohort[0], "1"), wait=number(cohort[1], "d")),
        reports=None if late is None else Reports(late=number(late[0], "1"), delay=number(late[1], "d")),
        visits=None if missed is None else Missed(missed=number(missed, "1")),
    )


def setting(
    protocol: Protocol, versions: Sequence[str], happens: Happens, how: Conduct | None = None, cycles: int = 4
) -> Setting:
    plans = tuple(plan_version(protocol.version(name)) for name in versions)
    return Setting(plans, how or conduct(), lambda index: FakeClinic(index, happens), 1, cycles)

"""What happens to virtual subjects: tumour flare, febrile episodes, tumour lysis, kidney hits, death, withdrawal.

Every chance is luck of (seed, stream, subject, day). Numbers are (n,) by name, so that trials with other numbers stand side
by side. Assumed throughout: febrile episodes, sepsis and deaths become known on the day; clinical lysis of grade 2 or worse
on the day, of grade 1 at the next visit, and so its end; flare at visits that ask for adverse events.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trialrun.engine.source import Ended, Events
from trialrun.simulate.biology import Biology
from trialrun.simulate.luck import draw_uniform
from trialrun.simulate.lysis import Hits, Lysis
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import Numbers, VirtualSubjects, conduct_numbers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FEVER, INFECTION, LYSIS, FLARE = "febrile_neutropenia", "infection", "tumor_lysis_syndrome", "tumor_flare"
OTHER_DEATH = "death of another cause"
_NEVER = np.inf
_TOXIC, _LYSIS, _OTHER = 1, 2, 3  # why someone dies


class Happenings:
    """Keeps what has happened to n subjects. Truth is looked at once a day, before the dose."""

    def __init__(
        self,
        population: Population,
        seed: int,
        subjects: VirtualSubjects,
        biology: Biology,
        numbers: Numbers | None = None,
    ) -> None:
        n = subjects.index.size
        p = conduct_numbers(population, n, numbers)
        self._p, self._seed, self._index, self._biology = p, seed, subjects.index, biology
        self.here = np.ones(n, dtype=np.bool_)  # alive and not withdrawn
        self.flare = np.zeros(n)  # grade today
        self.flare_most = np.zeros(n)  # ever
        self._flare_worst, self._flare_day = np.zeros(n), np.zeros(n)  # since the last visit that asked
        told = draw_uniform(seed, "flare.ascertained", subjects.index)
        self._flare_told_from = np.where(told < p["flare_ascertained"], 1.0, 2.0)  # the mildest grade that is recorded
        self._flare_burden = p["flare_burden"]
        self._felt = np.zeros(n)  # the inflammation that is felt: it follows the true one
        delay = p["flare_delay"]
        self._felt_each_day = np.where(delay > 0.0, -np.expm1(-1.0 / np.where(delay > 0.0, delay, 1.0)), 1.0)
        self.lysis = Lysis(population, p, subjects, biology)
        self.hits = Hits(p, seed, subjects, biology)
        self._lysis_told = np.zeros(n)  # the grade with which the lysis that goes on was told last
        self._lysis_over: list[Events] = []  # lysis that has ended, until a visit asks
        self._fever_from = np.full(n, -_NEVER)
        self._dies = np.full(n, _NEVER)
        self._cause = np.zeros(n, dtype=np.int64)
        self._withdraws = _day_of(draw_uniform(seed, "conduct.withdrawal", subjects.index), p["dropout_rate"])
        other = p["death_rate_other"] * np.exp(p["death_rate_age"] * (subjects.age - 60.0))
        self._let_die(np.arange(n), _day_of(draw_uniform(seed, "survival.other", subjects.index), other), _OTHER)

    def fever(self, day: int) -> FloatArray:
        """What is added to body temperature today, (n,), degrees Celsius."""
        return np.where(day - self._fever_from < self._p["fever_length"], self._p["fever_rise"], 0.0)

    def leave(self, day: int, on_study: BoolArray) -> tuple[list[Events], list[Ended]]:
        """Deaths and withdrawals of this day among those still followed; deaths of toxicity are told with grade 5."""
        self.here &= on_study
        events, ended = [], []
        dead = np.flatnonzero(self.here & (self._dies <= day))
        if dead.size:
            septic, lysed = (dead[self._cause[dead] == cause] for cause in (_TOXIC, _LYSIS))
            if septic.size:
                events.append(_events(INFECTION, septic, 5.0, day))
            if lysed.size:  # it was told when it became serious, some days ago
                self.lysis.worst[lysed] = 5.0
                events += self._tell_lysis(lysed, np.full(lysed.size, float(day)))
            for reason, rows in (
                ("death", dead[self._cause[dead] != _OTHER]),
                (OTHER_DEATH, dead[self._cause[dead] == _OTHER]),
            ):
                if rows.size:
                    ended.append(Ended("death", reason, rows, np.full(rows.size, float(day))))
            self.here[dead] = False
        gone = np.flatnonzero(self.here & (self._withdraws <= day))
        if gone.size:
            ended.append(Ended("study discontinued", "withdrawal by subject", gone, np.full(gone.size, float(day))))
            self.here[gone] = False
        return events, ended

    def happen(self, day: int, dose: FloatArray) -> tuple[list[Events], list[Ended]]:
        """What happens today, after the dose (n,) of yesterday, and is known at once; who ends treatment for it."""
        self._flare_today(day)
        events = [*self._fever_today(day), *self._lysis_today(day)]
        self.hits.strike(day, self.here, self.flare, self._fever_from)
        return events, self._give_up(day, dose, events)

    def _flare_today(self, day: int) -> None:
        p = self._p
        self._felt += self._felt_each_day * (self._biology.state("inflammation") - self._felt)
        some = np.flatnonzero(self.here & (self._felt > 0.0))
        self.flare[:] = 0.0
        if some.size:
            # a clone killed to nearly nothing may end a day a rounding below zero
            burden = np.maximum(self._biology.state("tissue")[some], 0.0) / self._flare_burden[some]
            score = self._felt[some] * burden ** p["flare_burden_power"][some]
            self.flare[some] = sum((score >= p[f"flare_{grade}"][some]).astype(np.float64) for grade in (1, 2, 3))
        worse = (self.flare > self._flare_worst) & (self.flare >= self._flare_told_from)
        self._flare_worst[worse], self._flare_day[worse] = self.flare[worse], day
        np.maximum(self.flare_most, self.flare, out=self.flare_most)

    def _fever_today(self, day: int) -> list[Events]:
        p = self._p
        count = self._biology.state("neutrophils")
        at_risk = self.here & (count < p["fever_neutrophils_mild"]) & (day - self._fever_from >= p["fever_days"])
        rows = np.flatnonzero(at_risk)
        if rows.size == 0:
            return []
        severe = count[rows] < p["fever_neutrophils"][rows]
        hazard = np.where(severe, p["fever_rate"][rows], p["fever_rate_mild"][rows])
        ill = rows[draw_uniform(self._seed, "conduct.fever", self._index[rows], day) < -np.expm1(-hazard)]
        if ill.size == 0:
            return []
        self._fever_from[ill] = day
        septic = draw_uniform(self._seed, "conduct.sepsis", self._index[ill], day) < p["sepsis_fraction"][ill]
        fatal = draw_uniform(self._seed, "conduct.sepsis_death", self._index[ill], day) < p["sepsis_fatality"][ill]
        dying = ill[septic & fatal]
        self._let_die(dying, day + p["sepsis_delay"][dying], _TOXIC)
        told = []
        if not septic.all():
            told.append(_events(FEVER, ill[~septic], 3.0, day))
        if septic.any():
            told.append(_events(INFECTION, ill[septic], 4.0, day))
        return told

    def _lysis_today(self, day: int) -> list[Events]:
        serious = self.lysis.look(day, self.here)
        if serious.size:
            number = self.lysis.count[serious] - 1  # each lysis has its own luck
            fatal = draw_uniform(self._seed, "conduct.lysis_death", self._index[serious], number)
            dying = serious[fatal < self._p["lysis_fatality"][serious]]
            self._let_die(dying, day + self._p["lysis_delay"][dying], _LYSIS)
            self.lysis.deadly[dying] = self._cause[dying] == _LYSIS
        rows, last = self.lysis.end(day)
        if rows.size:
            # what was told is told anew with its end, what was not is told once; both wait for a visit that asks
            self._lysis_over += self._describe_lysis(rows, last)
            self._lysis_told[rows] = 0.0
            self.lysis.forget(rows)
        return self._tell_lysis(np.flatnonzero(self.here & (self.lysis.worst >= 2.0)))

    def _tell_lysis(self, rows: IntArray, end: FloatArray | None = None) -> list[Events]:
        """What is not yet told of the lysis of these rows: that it is there, or is worse by now."""
        new = self.lysis.worst[rows] > self._lysis_told[rows]
        rows, end = rows[new], np.full(rows.size, np.nan)[new] if end is None else end[new]
        told = self._describe_lysis(rows, end)
        self._lysis_told[rows] = self.lysis.worst[rows]
        return told

    def _describe_lysis(self, rows: IntArray, end: FloatArray) -> list[Events]:
        """Lysis of these rows (m,) with its end (m,), apart whether it was told before."""
        lysis, told = self.lysis, []
        for before in (True, False):
            some = (self._lysis_told[rows] > 0.0) == before
            if some.any():
                who = rows[some]
                replaces = self._lysis_told[who] if before else None
                told.append(Events(LYSIS, who, lysis.worst[who], lysis.since[who], end[some], replaces))
        return told

    def _give_up(self, day: int, dose: FloatArray, events: list[Events]) -> list[Ended]:
        """Treatment that ends by judgement: after a serious event, or for complaints that grow with the dose."""
        p, seed = self._p, self._seed
        hurt = np.zeros(dose.size, dtype=np.bool_)
        for item in events:
            hurt[item.rows[item.grade >= 3.0]] = True
        asked = np.flatnonzero(self.here & hurt)
        luck = draw_uniform(seed, "conduct.stop_after_event", self._index[asked], day)
        stopped = asked[luck < p["stop_after_event"][asked]]
        hurt[:] = False
        hurt[stopped] = True
        taking = np.flatnonzero(self.here & (dose > 0.0) & ~hurt)
        hazard = p["intolerance_rate"][taking] * (dose[taking] / p["intolerance_dose"][taking])
        unwell = taking[draw_uniform(seed, "conduct.intolerance", self._index[taking], day) < -np.expm1(-hazard)]
        ended = []
        for rows, reason in ((stopped, "physician decision"), (unwell, "withdrawal by subject")):
            if rows.size:
                ended.append(Ended("treatment discontinued", reason, rows, np.full(rows.size, float(day))))
        return ended

    def _let_die(self, rows: IntArray, day: FloatArray, cause: int) -> None:
        sooner = self._dies[rows] > day
        self._dies[rows[sooner]], self._cause[rows[sooner]] = day[sooner], cause

    def ask(self, day: int, asked: BoolArray) -> list[Events]:
        """What subjects tell at a visit that asks for adverse events: lysis of grade 1, that lysis has ended, and flare.

        Flare: the worst grade since the last such visit with the day it was reached and, where it is milder by now, the
        grade of today as well. Mild flare of some subjects is never recorded (ascertainment).
        """
        rows = np.flatnonzero(asked & self.here)
        told = [*self._lysis_ended(asked), *self._tell_lysis(rows)]
        today = np.where(self.flare >= self._flare_told_from, self.flare, 0.0)
        worst = rows[self._flare_worst[rows] > today[rows]]
        if worst.size:
            end = np.full(worst.size, float(day - 1))
            told.append(Events(FLARE, worst, self._flare_worst[worst].copy(), self._flare_day[worst].copy(), end))
        now = rows[today[rows] > 0.0]
        if now.size:
            same = self._flare_worst[now] == today[now]
            start = np.where(same, self._flare_day[now], float(day))
            told.append(Events(FLARE, now, today[now].copy(), start))
        self._flare_worst[rows] = 0.0
        return told

    def _lysis_ended(self, asked: BoolArray) -> list[Events]:
        """Lysis that has ended, of those who are asked; that of others goes on waiting."""
        told, waiting = [], []
        for item in self._lysis_over:
            now = asked[item.rows] & self.here[item.rows]
            told += item.some(now)
            waiting += item.some(~now & self.here[item.rows])
        self._lysis_over = waiting
        return told

    def hydration(self, day: int, ordered: FloatArray) -> FloatArray:
        """Hydration as the kidney has it (1 = hydrated, 0 = usual urine flow, below 0 = dry), from what was ordered."""
        return self.hits.dry(day, ordered)

    def truth(self) -> Mapping[str, FloatArray]:
        """What no trial sees, (n,) each."""
        return {
            "flare_grade": self.flare.copy(),
            "worst_flare_grade": self.flare_most.copy(),
            "laboratory_lysis": self.lysis.laboratory.astype(np.float64),
            "clinical_lysis_grade": self.lysis.most.copy(),
            "clinical_lyses": self.lysis.count.astype(np.float64),
            "kidney_hits": self.hits.count.copy(),
            "here": self.here.astype(np.float64),
        }


def _day_of(luck: FloatArray, rate: FloatArray) -> FloatArray:
    """The day of an event of constant hazard (per day); never where there is none."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(rate > 0.0, np.ceil(-np.log(luck) / np.where(rate > 0.0, rate, 1.0)), _NEVER))


def _events(term: str, rows: IntArray, grade: float, day: int) -> Events:
    return Events(term, rows, np.full(rows.size, grade), np.full(rows.size, float(day)))

"""What happens to virtual subjects: tumour flare, febrile episodes, clinical tumour lysis, death, withdrawal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialrun.engine.source import Ended, Events
from trialrun.simulate.biology import Biology
from trialrun.simulate.luck import draw_uniform
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, upper_limit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FEVER, INFECTION, LYSIS, FLARE = "febrile_neutropenia", "infection", "tumor_lysis_syndrome", "tumor_flare"
_NEVER = np.inf


class Happenings:
    """Keeps what has happened to n subjects. Every chance is luck of (seed, stream, subject, day).

    Assumed: febrile episodes, sepsis and deaths become known on the day; clinical lysis of grade 2 or worse on the day,
    of grade 1 at the next visit; flare at visits that ask for adverse events. Truth is looked at once a day, before the
    dose: laboratory lysis means two abnormal values at that moment; it is clinical when creatinine has risen then or
    within `lysis_window` days.
    """

    def __init__(self, population: Population, seed: int, subjects: VirtualSubjects, biology: Biology) -> None:
        n = subjects.index.size
        self._p = {name: number.value for name, number in population.conduct.items()}
        self._seed, self._subjects, self._biology = seed, subjects, biology
        self._uln = upper_limit(population, "creatinine", subjects.male)
        self._creatinine = subjects.traits["creatinine"]
        self.here = np.ones(n, dtype=np.bool_)  # alive and not withdrawn
        self.flare = np.zeros(n)  # grade today
        self.flare_most = np.zeros(n)  # ever
        self._flare_worst, self._flare_day = np.zeros(n), np.zeros(n)  # since the last visit that asked
        self.laboratory_lysis = np.zeros(n, dtype=np.bool_)  # ever
        self._laboratory_day = np.full(n, -_NEVER)  # the last one
        self.lysis_most = np.zeros(n)  # grade of clinical lysis, ever
        self._lysis_day, self._lysis_told = np.zeros(n), np.zeros(n)
        self._fever_from = np.full(n, -_NEVER)
        self._dies = np.full(n, _NEVER)
        self._cause = np.zeros(n, dtype=np.int64)  # 1 infection, 2 lysis
        waits = draw_uniform(seed, "conduct.withdrawal", subjects.index)
        rate = self._p["dropout_rate"]
        self._withdraws = np.ceil(-np.log(waits) / rate) if rate > 0 else np.full(n, _NEVER)

    def fever(self, day: int) -> FloatArray:
        """What is added to body temperature today, (n,), degrees Celsius."""
        return np.where(day - self._fever_from < self._p["fever_length"], self._p["fever_rise"], 0.0)

    def leave(self, day: int, on_study: BoolArray) -> tuple[list[Events], list[Ended]]:
        """Deaths and withdrawals of this day among those still followed; fatal events are told with grade 5."""
        self.here &= on_study
        events, ended = [], []
        dead = np.flatnonzero(self.here & (self._dies <= day))
        if dead.size:
            for cause, term in ((1, INFECTION), (2, LYSIS)):
                rows = dead[self._cause[dead] == cause]
                if rows.size:
                    events.append(_events(term, rows, 5.0, day))
            ended.append(Ended("death", "death", dead, np.full(dead.size, float(day))))
            self.here[dead] = False
        gone = np.flatnonzero(self.here & (self._withdraws <= day))
        if gone.size:
            ended.append(Ended("study discontinued", "withdrawal by subject", gone, np.full(gone.size, float(day))))
            self.here[gone] = False
        return events, ended

    def happen(self, day: int) -> list[Events]:
        """What happens today and is known at once."""
        self._flare_today(day)
        return [*self._fever_today(day), *self._lysis_today(day)]

    def _flare_today(self, day: int) -> None:
        p = self._p
        inflammation = self._biology.state("inflammation")
        some = np.flatnonzero(self.here & (inflammation > 0.0))
        self.flare[:] = 0.0
        if some.size:
            burden = self._biology.state("tissue")[some] / p["flare_burden"]
            score = inflammation[some] * burden ** p["flare_burden_power"]
            self.flare[some] = sum((score >= p[f"flare_{grade}"]).astype(np.float64) for grade in (1, 2, 3))
        worse = self.flare > self._flare_worst
        self._flare_worst[worse], self._flare_day[worse] = self.flare[worse], day
        np.maximum(self.flare_most, self.flare, out=self.flare_most)

    def _fever_today(self, day: int) -> list[Events]:
        p = self._p
        count = self._biology.state("neutrophils")
        at_risk = self.here & (count < p["fever_neutrophils_mild"]) & (day - self._fever_from >= p["fever_days"])
        rows = np.flatnonzero(at_risk)
        if rows.size == 0:
            return []
        hazard = np.where(count[rows] < p["fever_neutrophils"], p["fever_rate"], p["fever_rate_mild"])
        index = self._subjects.index
        ill = rows[draw_uniform(self._seed, "conduct.fever", index[rows], day) < -np.expm1(-hazard)]
        if ill.size == 0:
            return []
        self._fever_from[ill] = day
        septic = draw_uniform(self._seed, "conduct.sepsis", index[ill], day) < p["sepsis_fraction"]
        fatal = draw_uniform(self._seed, "conduct.sepsis_death", index[ill], day) < p["sepsis_fatality"]
        self._let_die(ill[septic & fatal], day + p["sepsis_delay"], 1)
        told = []
        if not septic.all():
            told.append(_events(FEVER, ill[~septic], 3.0, day))
        if septic.any():
            told.append(_events(INFECTION, ill[septic], 4.0, day))
        return told

    def _lysis_today(self, day: int) -> list[Events]:
        p, state = self._p, self._biology.state
        abnormal = (state("urate") >= p["lysis_urate"]).astype(np.int64)
        abnormal += state("phosphate") >= p["lysis_phosphate"]
        abnormal += state("potassium") >= p["lysis_potassium"]
        abnormal += state("calcium") <= p["lysis_calcium"]
        laboratory = self.here & (abnormal >= 2)
        self.laboratory_lysis |= laboratory
        self._laboratory_day[laboratory] = day
        recent = self.here & (day - self._laboratory_day <= p["lysis_window"])
        if not recent.any():
            return []
        creatinine = state("creatinine")
        rows = np.flatnonzero(recent & (creatinine - self._creatinine >= p["lysis_creatinine"]))
        if rows.size == 0:
            return []
        # Cairo-Bishop 2004 by multiples of ULN; at or below 1.5 x ULN with this rise: grade 1
        multiple = creatinine[rows] / self._uln[rows]
        grade = 1.0 + (multiple > 1.5) + (multiple > 3.0) + (multiple > 6.0)
        before = self.lysis_most[rows]
        worse = rows[grade > before]
        self._lysis_day[worse] = day
        serious = rows[(grade >= 2.0) & (before < 2.0)]
        np.maximum.at(self.lysis_most, rows, grade)
        fatal = draw_uniform(self._seed, "conduct.lysis_death", self._subjects.index[serious])
        self._let_die(serious[fatal < p["lysis_fatality"]], day + p["lysis_delay"], 2)
        return self._tell_lysis(np.flatnonzero(self.here & (self.lysis_most >= 2.0)))

    def _tell_lysis(self, rows: IntArray) -> list[Events]:
        new = rows[self.lysis_most[rows] > self._lysis_told[rows]]
        if new.size == 0:
            return []
        self._lysis_told[new] = self.lysis_most[new]
        return [Events(LYSIS, new, self.lysis_most[new].copy(), self._lysis_day[new].copy())]

    def _let_die(self, rows: IntArray, day: float, cause: int) -> None:
        rows = rows[self._dies[rows] > day]
        self._dies[rows], self._cause[rows] = day, cause

    def ask(self, day: int, asked: BoolArray) -> list[Events]:
        """What subjects tell at a visit that asks for adverse events: lysis of grade 1, and flare.

        Flare: the worst grade since the last such visit with the day it was reached and, where it is milder by now, the
        grade of today as well.
        """
        rows = np.flatnonzero(asked & self.here)
        told = self._tell_lysis(rows)
        worst = rows[self._flare_worst[rows] > self.flare[rows]]
        if worst.size:
            end = np.full(worst.size, float(day - 1))
            told.append(Events(FLARE, worst, self._flare_worst[worst].copy(), self._flare_day[worst].copy(), end))
        now = rows[self.flare[rows] > 0.0]
        if now.size:
            same = self._flare_worst[now] == self.flare[now]
            start = np.where(same, self._flare_day[now], float(day))
            told.append(Events(FLARE, now, self.flare[now].copy(), start))
        self._flare_worst[rows] = 0.0
        return told


def _events(term: str, rows: IntArray, grade: float, day: int) -> Events:
    return Events(term, rows, np.full(rows.size, grade), np.full(rows.size, float(day)))

"""The virtual clinic: answers what would be observed of virtual subjects under the doses that were ordered."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trialrun.engine.source import Ended, Events, Exposures, Moment, Observed, Orders
from trialrun.simulate.biology import CO_TREATMENTS, Biology
from trialrun.simulate.events import Happenings
from trialrun.simulate.luck import draw_uniform
from trialrun.simulate.measure import Laboratory, find_due
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import Numbers, conduct_numbers, draw_subjects
from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class VirtualClinic:
    """n virtual subjects of a population; a `Source` for the engine.

    Subject i of this clinic is the virtual subject `first_subject + i` of the seed: the same person with the same luck
    in whatever clinic, protocol version, chunk or thread. `index` (n,) names other subjects than the n from the first;
    `numbers` gives subjects other numbers than those of the population file (see `draw_subjects`).
    Of the treatments only allopurinol, hydration, rasburicase, steroid and gcsf act on the model; other names are taken
    without effect. Memory is flat: about 4 kB a subject.
    """

    def __init__(
        self,
        population: Population,
        n: int,
        seed: int,
        first_subject: int = 0,
        *,
        threads: int = 1,
        index: IntArray | None = None,
        numbers: Numbers | None = None,
    ) -> None:
        if n < 1 or first_subject < 0 or threads < 1:
            found = f"n = {n}, first_subject = {first_subject}, threads = {threads}"
            expected = "n and threads of 1 or more, first_subject of 0 or more"
            raise TrialrunError(Problem("no-subjects", "a clinic needs subjects", found, expected))
        self.population = population
        self.seed = seed
        who = np.arange(first_subject, first_subject + n) if index is None else index
        self.subjects = draw_subjects(population, seed, who, numbers)
        self._biology = Biology(self.subjects, threads)
        self._happenings = Happenings(population, seed, self.subjects, self._biology, numbers)
        self._laboratory = Laboratory(population, seed, self.subjects, self._biology, np.zeros(n))
        self._missed = conduct_numbers(population, n, numbers)["missed_dose"]
        self._dose = np.zeros(n)
        self._day: int | None = None
        self._events: list[Events] = []
        self._ended: list[Ended] = []

    @property
    def n(self) -> int:
        """Number of subjects."""
        return int(self.subjects.index.size)

    @property
    def age(self) -> FloatArray:
        """Age at the first dose, years, (n,)."""
        return self.subjects.age

    @property
    def male(self) -> BoolArray:
        """Sex: True for men, (n,)."""
        return self.subjects.male

    def live(self, day: int, orders: Orders) -> tuple[Exposures, ...]:
        """Live from the last moment to this day under `orders`: the doses taken, 0 where one was held or missed.

        The disease stands still before day 0; allopurinol, hydration and rasburicase act from the day they are taken.
        TrialrunError when days do not ascend or an array has the wrong length.
        """
        if self._day is not None and day <= self._day:
            expected = f"a day after {self._day}"
            raise TrialrunError(Problem("day-order", "moments must ascend", f"day {day}", expected))
        held = {"held": orders.held} if orders.held.size else {}
        self._check({"dose": orders.dose, "on_study": orders.on_study, **held, **orders.treatments})
        if not np.all(orders.dose >= 0.0):
            raise TrialrunError(Problem("wrong-dose", "a dose must be 0 or more", "a negative or missing dose"))
        exposures: list[Exposures] = []
        for past in range(day if self._day is None else self._day, day):
            taken = self._live(past, orders)
            if taken is not None:
                exposures.append(taken)
            if past >= 0:
                told, left = self._happenings.leave(past + 1, orders.on_study)
                new, given_up = self._happenings.happen(past + 1, self._dose)
                self._events += [*told, *new]
                self._ended += [*left, *given_up]
        self._day = day
        return tuple(exposures)

    def observe(self, moment: Moment) -> Observed:
        """What became known while living to this day, and what is due on it before its dose.

        TrialrunError for another day than the one that was lived to, an array of the wrong length, or a test that
        cannot be measured.
        """
        if moment.day != self._day:
            expected = f"day {self._day}, to which the subjects lived"
            raise TrialrunError(Problem("day-order", "a moment is observed on its day", f"day {moment.day}", expected))
        self._check(moment.due)
        asked = moment.due.get("adverse_events")
        if asked is not None:
            self._events += self._happenings.ask(moment.day, asked)
        self._laboratory.fever = self._happenings.fever(moment.day)
        findings = find_due(self._laboratory, moment.due, self._happenings.here, moment.day)
        events, ended = tuple(self._events), tuple(self._ended)
        self._events, self._ended = [], []
        return Observed(tuple(findings), events, ended=ended)

    def _check(self, arrays: Mapping[str, BoolArray | FloatArray]) -> None:
        for name, array in arrays.items():
            if array.shape != (self.n,):
                found = f"{name} of shape {array.shape}"
                raise TrialrunError(Problem("wrong-length", "one value for each subject", found, f"({self.n},)"))

    def _live(self, day: int, orders: Orders) -> Exposures | None:
        """One day from its dose on; the doses taken, or None where the calendar has one for nobody."""
        follows = self._happenings.here & orders.on_study
        treatments = {
            name: (orders.treatments[name] & follows).astype(np.float64)
            for name in CO_TREATMENTS
            if name in orders.treatments
        }
        if day < 0:
            if any(given.any() for given in treatments.values()):
                self._biology.prepare_day(treatments)
            return None
        rows = np.flatnonzero(follows & (orders.dose > 0.0))
        dose = np.zeros(self.n)
        if rows.size:
            luck = draw_uniform(self.seed, "conduct.adherence", self.subjects.index[rows], day)
            dose[rows] = np.where(luck < self._missed[rows], 0.0, orders.dose[rows])
        self._dose = dose
        treatments["hydration"] = self._happenings.hydration(day, treatments.get("hydration", np.zeros(self.n)))
        self._biology.advance_day(dose, treatments)
        if orders.held.any():
            rows = np.flatnonzero(follows & ((orders.dose > 0.0) | orders.held))
        return Exposures(day, rows, dose[rows]) if rows.size else None

    def truth(self) -> Mapping[str, FloatArray]:
        """What no trial sees, for tests: every state, flare and lysis grades, each (n,)."""
        told = {name: self._biology.state(name) for name in self.subjects.model.states}
        return MappingProxyType({**told, **self._happenings.truth()})

"""Tumour lysis as it is in truth, and the hits that a kidney takes besides the drug."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.biology import Biology
from trialrun.simulate.luck import draw_uniform
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, upper_limit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Lysis:
    """Laboratory lysis: two abnormal values on one morning while cells are lysed. Clinical: creatinine has risen as well, then
    or within `lysis_window` days. A kidney that fails by itself, with no cells lysed, is not called lysis.

    Clinical lysis ends when on `lysis_recovery` mornings in a row none of the four values is abnormal that was not so before
    treatment and creatinine is back within the rise that clinical lysis asks for; `deadly` (n,) are those who die of it, in
    whom it does not end. What comes later is another event.

    `laboratory` (n,) whether it was ever there, `worst` (n,) grade of the clinical lysis that goes on, 0 where none does (Cairo
    and Bishop 2004 by multiples of the upper limit; a rise that stays at or below 1.5 x ULN is grade 1), `since` (n,) the day
    it began, `count` (n,) how many there have been, `most` (n,) the worst grade ever.
    """

    def __init__(
        self, population: Population, numbers: Mapping[str, FloatArray], subjects: VirtualSubjects, biology: Biology
    ) -> None:
        n = subjects.index.size
        self._p, self._biology = numbers, biology
        self._limit = upper_limit(population, "creatinine", subjects.male)
        self._creatinine = subjects.traits["creatinine"]
        self._lysis_rate = subjects.traits["lysis_rate"]
        self.laboratory = np.zeros(n, dtype=np.bool_)
        self._last = np.full(n, -np.inf)
        self._usual = self._abnormal(np.arange(n))  # before treatment
        self._sign = np.full(n, -np.inf)  # the last day with a sign of the lysis that goes on
        self.worst, self.since, self.most = np.zeros(n), np.zeros(n), np.zeros(n)
        self.count = np.zeros(n, dtype=np.int64)
        self.deadly = np.zeros(n, dtype=np.bool_)

    def _abnormal(self, rows: IntArray) -> BoolArray:
        """Which of the four are past their limits in these rows (m,), (4, m)."""
        p, state = self._p, self._biology.state
        high = [state(name)[rows] >= p[f"lysis_{name}"][rows] for name in ("urate", "phosphate", "potassium")]
        return np.array([*high, state("calcium")[rows] <= p["lysis_calcium"][rows]])

    def look(self, day: int, here: BoolArray) -> IntArray:
        """Look at today; returns the rows whose clinical lysis has become serious (grade 2 or worse) today."""
        p, state = self._p, self._biology.state
        lysing = np.flatnonzero(here & (state("dying") * self._lysis_rate >= p["lysis_cells"]))
        if lysing.size:
            laboratory = lysing[self._abnormal(lysing).sum(axis=0) >= 2]
            self.laboratory[laboratory] = True
            self._last[laboratory] = day
        recent = here & (day - self._last <= p["lysis_window"])
        watched = np.flatnonzero(recent | (self.worst > 0.0))
        if not watched.size:
            return np.zeros(0, dtype=np.int64)
        creatinine = state("creatinine")[watched]
        risen = creatinine - self._creatinine[watched] >= p["lysis_creatinine"][watched]
        strange = (self._abnormal(watched) & ~self._usual[:, watched]).any(axis=0)
        self._sign[watched[risen | strange]] = day
        now = recent[watched] & risen
        rows = watched[now]
        multiple = creatinine[now] / self._limit[rows]
        grade = 1.0 + (multiple > 1.5) + (multiple > 3.0) + (multiple > 6.0)
        before = self.worst[rows]
        new = rows[before == 0.0]
        self.since[new] = day
        self.count[new] += 1
        self.worst[rows] = np.maximum(before, grade)
        np.maximum(self.most, self.worst, out=self.most)
        return rows[(grade >= 2.0) & (before < 2.0)]

    def end(self, day: int) -> tuple[IntArray, FloatArray]:
        """The rows (m,) whose clinical lysis is known by today to have ended, and the last day on which it showed (m,).

        `worst` and `since` still say what it was: `forget` them when that has been noted.
        """
        over = (self.worst > 0.0) & (day - self._sign >= self._p["lysis_recovery"]) & ~self.deadly
        rows = np.flatnonzero(over)
        return rows, self._sign[rows]

    def forget(self, rows: IntArray) -> None:
        """Clinical lysis of these rows (m,) has ended."""
        self.worst[rows] = 0.0


class Hits:
    """Chance hits on the kidney: dehydration at any time, drugs against the pain of flare (NSAIDs), febrile illness.

    A hit takes a part of filtration at once (drawn between 0 and twice `hit_size`) and leaves less urine for `hit_length`
    days. `count` (n,) hits so far.
    """

    def __init__(
        self, numbers: Mapping[str, FloatArray], seed: int, subjects: VirtualSubjects, biology: Biology
    ) -> None:
        n = subjects.index.size
        self._p, self._seed, self._index, self._biology = numbers, seed, subjects.index, biology
        usual, hydrated = subjects.traits["urine_flow"], subjects.traits["urine_flow_hydrated"]
        self._lost = numbers["hit_dryness"] * usual / (hydrated - usual)  # in units of the hydration that is ordered
        rate = numbers["hit_rate"]
        self._chance, self._chance_in_flare = -np.expm1(-rate), -np.expm1(-(rate + numbers["hit_rate_flare"]))
        self._dry_from = np.full(n, -np.inf)
        self.count = np.zeros(n)

    def strike(self, day: int, here: BoolArray, flare: FloatArray, fever_from: FloatArray) -> None:
        """Hits of this day."""
        p = self._p
        usual = np.where(flare >= 2.0, self._chance_in_flare, self._chance)
        chance = np.where(fever_from == day, np.maximum(p["hit_fever"], usual), usual)
        rows = np.flatnonzero(here & (draw_uniform(self._seed, "lysis.hit", self._index, day) < chance))
        if rows.size == 0:
            return
        size = 2.0 * p["hit_size"][rows] * draw_uniform(self._seed, "lysis.hit_size", self._index[rows], day)
        self._biology.scale_state("filtration", rows, 1.0 - np.minimum(size, 0.95))
        self._dry_from[rows] = day
        self.count[rows] += 1.0

    def dry(self, day: int, ordered: FloatArray) -> FloatArray:
        """Hydration as the kidney has it, (n,)."""
        dry = (day - self._dry_from) < self._p["hit_length"]
        return np.asarray(np.where(dry, ordered - self._lost, ordered))

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

    `laboratory` (n,) whether it was ever there, `worst` (n,) grade of clinical lysis so far (Cairo and Bishop 2004 by
    multiples of the upper limit; a rise that stays at or below 1.5 x ULN is grade 1), `since` (n,) the day of that grade.
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
        self.worst, self.since = np.zeros(n), np.zeros(n)

    def look(self, day: int, here: BoolArray) -> IntArray:
        """Look at today; returns the rows whose clinical lysis has become serious (grade 2 or worse) today."""
        p, state = self._p, self._biology.state
        lysing = np.flatnonzero(here & (state("dying") * self._lysis_rate >= p["lysis_cells"]))
        if lysing.size:
            abnormal = (state("urate")[lysing] >= p["lysis_urate"][lysing]).astype(np.int64)
            abnormal += state("phosphate")[lysing] >= p["lysis_phosphate"][lysing]
            abnormal += state("potassium")[lysing] >= p["lysis_potassium"][lysing]
            abnormal += state("calcium")[lysing] <= p["lysis_calcium"][lysing]
            laboratory = lysing[abnormal >= 2]
            self.laboratory[laboratory] = True
            self._last[laboratory] = day
        recent = here & (day - self._last <= p["lysis_window"])
        if not recent.any():
            return np.zeros(0, dtype=np.int64)
        creatinine = state("creatinine")
        rows = np.flatnonzero(recent & (creatinine - self._creatinine >= p["lysis_creatinine"]))
        multiple = creatinine[rows] / self._limit[rows]
        grade = 1.0 + (multiple > 1.5) + (multiple > 3.0) + (multiple > 6.0)
        before = self.worst[rows]
        self.since[rows[grade > before]] = day
        self.worst[rows] = np.maximum(before, grade)
        return rows[(grade >= 2.0) & (before < 2.0)]


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
        self._dry_from = np.full(n, -np.inf)
        self.count = np.zeros(n)

    def strike(self, day: int, here: BoolArray, flare: FloatArray, fever_from: FloatArray) -> None:
        """Hits of this day."""
        p = self._p
        hazard = p["hit_rate"] + np.where(flare >= 2.0, p["hit_rate_flare"], 0.0)
        usual = -np.expm1(-hazard)
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

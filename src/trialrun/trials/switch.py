"""Which version holds for whom on a day, when a trial is amended while subjects are on treatment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trialrun.engine.source import FloatArray, IntArray
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan


class Switch:
    """Answers `which(day)` for `conduct`: index of the plan (n,).

    `activation` (n, plans) is the day, counted from each subject's own first dose, on which a version is active at its
    site (inf: never); the first version is active from the beginning. Who consents on or after that day is enrolled on
    the version. Who is on treatment consents again, and goes on under it, when the next cycle is due; who is between
    consent and first dose does so on the day of the first dose. Everyone agrees.
    """

    def __init__(self, plans: Sequence[Plan], activation: FloatArray, subjects: Subjects) -> None:
        self._plans, self._activation, self._subjects = plans, activation, subjects
        enrolled = activation <= min(plan.first_day for plan in plans)
        self.since = np.where(enrolled, -np.inf, np.inf)  # (n, plans): own day from which each version holds
        self.since[:, 0] = -np.inf
        self._seen = -np.inf
        self._open = [
            k for k in range(1, len(plans)) if np.isfinite(np.where(enrolled, np.inf, activation)[:, k]).any()
        ]

    def __call__(self, day: int) -> IntArray:
        """The plan that holds for each subject on a day; days after the last one asked about are settled in order."""
        if day > self._seen:
            self._seen = day
            if self._open and day >= 0:
                self._renew(day)
        return self._holds(day)

    def _holds(self, day: int) -> IntArray:
        holds = np.zeros(self._subjects.n, dtype=np.int64)
        for k in range(1, len(self._plans)):
            holds[self.since[:, k] <= day] = k
        return holds

    def _renew(self, day: int) -> None:
        dosing = self._subjects.dosing
        length = np.array([plan.cycle_days for plan in self._plans])[self._holds(day)]
        due = ~dosing.started | (day - dosing.cycle_start >= length)
        going = self._subjects.followed & dosing.active
        for k in self._open:
            ready = going & due & (self.since[:, k] == np.inf) & (self._activation[:, k] <= day)
            self.since[ready, k] = day

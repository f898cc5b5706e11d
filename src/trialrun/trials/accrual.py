"""When participants are enrolled: accrual while enrolment is open, cohorts, pauses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trialrun.engine.source import FloatArray, IntArray
from trialrun.simulate.luck import draw_uniform
from trialrun.trials.statement import Conduct

DAYS_A_MONTH = 30.4375  # UCUM: a twelfth of a Julian year
NEVER = np.inf  # a day that does not come


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Calendar days, counted from the day the first version was activated: `consent` and `first_dose`, (trials,
    subjects) each; inf where a participant is never enrolled."""

    consent: FloatArray
    first_dose: FloatArray


def draw_gaps(conduct: Conduct, seed: int, index: IntArray) -> FloatArray:
    """Days of open enrolment before each participant comes, counted from the one before; shape of `index`.

    `index` (trials, subjects) are global numbers of subjects. Fixed accrual begins on the first day.
    """
    mean = DAYS_A_MONTH / (conduct.value("accrual.rate") * conduct.value("accrual.sites"))
    if conduct.accrual.pattern == "poisson":
        luck = draw_uniform(seed, "trial.accrual", index.reshape(-1)).reshape(index.shape)
        return np.asarray(-mean * np.log(luck))
    gaps = np.full(index.shape, mean)
    gaps[:, 0] = 0.0
    return gaps


def enrol(
    gaps: FloatArray, closed: FloatArray, screening: int, cohort: int | None = None, wait: float = 0.0
) -> Enrolment:
    """Enrol the participants of each trial in order.

    `gaps` (trials, subjects) are days of open enrolment between participants; `closed` (trials, pauses, 2) the first
    and the day after the last day of each pause, ascending (inf, inf: none; an end of inf: enrolment never opens
    again). While enrolment is closed, by a pause or because a `cohort` is full, the clock of accrual stands still: who
    would come then is not enrolled. A cohort opens `wait` days after the last first dose of the one before. The first
    dose follows consent by `screening` days. Who has not had it when a pause begins consents again when the pause ends.
    """
    trials, n = gaps.shape
    consent, first_dose = np.empty((trials, n)), np.empty((trials, n))
    clock = np.zeros(trials)
    for i in range(n):
        if cohort is not None and i and i % cohort == 0:
            clock = np.maximum(clock, first_dose[:, i - cohort : i].max(axis=1) + wait)
        left = gaps[:, i].copy()
        for k in range(closed.shape[1]):
            start, end = closed[:, k, 0], closed[:, k, 1]
            clock = np.where((clock >= start) & (clock < end), end, clock)
            crosses = (clock < start) & (clock + left >= start)
            left = np.where(crosses, left - (np.where(crosses, start, 0.0) - np.where(crosses, clock, 0.0)), left)
            clock = np.where(crosses, end, clock)
        clock = clock + left
        agreed = np.floor(clock)
        for k in range(closed.shape[1]):
            start, end = closed[:, k, 0], closed[:, k, 1]
            agreed = np.where((agreed < start) & (agreed + screening >= start), end, agreed)
        consent[:, i], first_dose[:, i] = agreed, agreed + screening
    return Enrolment(consent, first_dose)

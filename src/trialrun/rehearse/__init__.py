"""Rehearse protocols on virtual subjects."""

from trialrun.rehearse.plan import Arm, Rehearsal, Request, read_rehearsal
from trialrun.rehearse.run import make_chunk, rehearse, simulate_chunk
from trialrun.rehearse.subjects import conduct_subjects, derive_subject_outcomes
from trialrun.workers import Where, suggest_workers

__all__ = [
    "Arm",
    "Rehearsal",
    "Request",
    "Where",
    "conduct_subjects",
    "derive_subject_outcomes",
    "make_chunk",
    "read_rehearsal",
    "rehearse",
    "simulate_chunk",
    "suggest_workers",
]

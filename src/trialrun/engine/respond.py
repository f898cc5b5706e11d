"""Response at a visit, by the standard that the protocol names, from the findings of that visit and of baseline."""

from __future__ import annotations

from trialrun.engine.source import IntArray
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan


def update_response(subjects: Subjects, plan: Plan, day: int, rows: IntArray) -> None:
    """Placeholder until criteria land."""

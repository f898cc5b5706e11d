"""Which criteria of a protocol the virtual people would fail: they are chosen by the population, and nobody screens them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from trialrun.engine.conduct import Log, PlannedCalendar, conduct
from trialrun.engine.screen import eligibility_inputs, judge_criteria
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan
from trialrun.rules import FALSE, History
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.population import Population

DRAWN = 200
TOLD = 0.05  # of the people: the error of a measurement lets up to 2 % of those through who are within the bounds of `enrolled`


def find_ineligible(population: Population, plan: Plan) -> dict[str, float]:
    """The part of virtual people that each eligibility criterion refuses for certain, by its name, most first; what the visits
    before the first dose find counts, and what is not known refuses nobody."""
    everyone, version = np.arange(DRAWN), plan.version
    clinic, subjects, log = VirtualClinic(population, DRAWN, 1), Subjects.fresh([plan], DRAWN), Log()
    which = np.zeros(DRAWN, dtype=np.int64)
    conduct([plan], lambda day: which, clinic, PlannedCalendar(), subjects, range(plan.first_day, 1), log)
    history = History(eligibility_inputs(version), DRAWN)
    for _, observed in log.observed:
        for item in observed.findings:
            history.observe(item.test, item.rows, 0.0, item.values, item.low, item.high)
    history.set_state("age", everyone, np.floor(clinic.age))
    history.set_state("consented", everyone, np.ones(DRAWN))
    verdicts = judge_criteria(version, history.columns(0.0, everyone))
    refused = {name: float(np.mean(verdict == FALSE)) for name, verdict in verdicts.items()}
    return dict(sorted(((name, part) for name, part in refused.items() if part > 0), key=lambda item: -item[1]))


def describe_ineligible(population: Population, plans: Mapping[str, Plan]) -> Iterator[str]:
    """One sentence for the arms, by name, whose criteria refuse more of the people than errors of measurement let through."""
    told: dict[str, list[str]] = {}
    for arm, plan in plans.items():
        refused = [(name, part) for name, part in find_ineligible(population, plan).items() if part > TOLD]
        if refused:
            said = ", ".join(f"{name} {100 * part:.0f} %" for name, part in refused)
            told.setdefault(said, []).append(arm)
    for said, arms in told.items():
        yield (
            f"Eligibility criteria of {', '.join(arms)} that virtual people do not meet, and how many of them: {said}. "
            "Nobody is screened in a simulation: who takes part is said by the population (`enrolled`, `shift`)."
        )

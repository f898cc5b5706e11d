"""Clinical lysis as it is told: from its first day to its end, once."""

from __future__ import annotations

import numpy as np
import pytest

from simulate.conftest import POPULATION_FILE
from simulate.test_clinic import Trial, conduct
from trialrun.engine.source import Moment, Orders
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.population import Population, read_population


@pytest.fixture(scope="module")
def venetoclax() -> Population:
    return read_population(POPULATION_FILE.parents[1] / "venetoclax-rampup")


def _lysis(trial: Trial) -> list[tuple[int, int, float, float, float, float]]:
    """What was told of lysis: day, subject, start, grade, end, and the grade told before (NaN: a new event)."""
    return [
        (day, int(item.rows[i]), item.day[i], item.grade[i], item.end[i], before)
        for day, observed in trial.seen
        for item in observed.events
        if item.term == "tumor_lysis_syndrome" and item.end is not None
        for i in range(item.rows.size)
        for before in (np.nan if item.replaces is None else item.replaces[i],)
    ]


@pytest.mark.parametrize("every", [1, 14])
def test_clinical_lysis_ends_when_the_body_has_recovered_and_is_told_once(venetoclax: Population, every: int) -> None:
    clinic = VirtualClinic(venetoclax, 400, 9)
    trial = conduct(clinic, lambda day: 400.0 if day < 3 else 0.0, 70, every=every)
    truth = clinic.truth()
    told = _lysis(trial)
    new = [(row, start) for _, row, start, _, _, before in told if np.isnan(before)]
    assert len(set(new)) == len(new) > 20, "one event is told as new once"
    stayed = truth["here"] == 1
    by_subject = np.bincount([row for row, _ in new], minlength=clinic.n)
    assert np.array_equal(by_subject[stayed], truth["clinical_lyses"][stayed])
    known: dict[tuple[int, float], tuple[float, float]] = {}
    for day, row, start, grade, end, before in told:
        if not np.isnan(before):
            old_grade, old_end = known[row, start]
            assert (before, np.isnan(old_end)) == (old_grade, True), "only what went on is told anew"
            assert grade > before or not np.isnan(end)
        if not np.isnan(end):
            assert start <= end
            assert grade == 5 or end <= day - venetoclax.lysis["lysis_recovery"].value
        known[row, start] = grade, end
    assert all(not np.isnan(end) for (row, _), (_, end) in known.items() if stayed[row]), "weeks after the last dose"


def test_clinical_lysis_goes_on_for_as_long_as_chemistry_or_creatinine_shows_it(venetoclax: Population) -> None:
    clinic = VirtualClinic(venetoclax, 400, 9)
    usual, p = clinic.truth(), {name: number.value for name, number in venetoclax.lysis.items()}
    signs: dict[int, np.ndarray] = {}
    here = np.ones(clinic.n, dtype=np.bool_)
    ended: list[tuple[int, int]] = []
    for day in range(50):
        clinic.live(day, Orders(np.full(clinic.n, 400.0 if day <= 3 else 0.0), {}, here))
        now = clinic.truth()
        high = {"urate": p["lysis_urate"], "phosphate": p["lysis_phosphate"], "potassium": p["lysis_potassium"]}
        signs[day] = now["creatinine"] - usual["creatinine"] >= p["lysis_creatinine"]
        for name, limit in high.items():
            signs[day] |= (now[name] >= limit) & (usual[name] < limit)
        signs[day] |= (now["calcium"] <= p["lysis_calcium"]) & (usual["calcium"] > p["lysis_calcium"])
        for item in clinic.observe(Moment(day, {"adverse_events": here})).events:
            if item.term == "tumor_lysis_syndrome" and item.end is not None:
                over = ~np.isnan(item.end) & (item.grade < 5)
                ended += zip(item.rows[over].tolist(), item.end[over].astype(int).tolist(), strict=True)
    assert len(ended) > 20
    for row, last in ended:
        assert signs[last][row]
        assert not signs[last + 1][row]
        assert not signs[last + 2][row]

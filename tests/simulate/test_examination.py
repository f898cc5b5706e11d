"""What is found by hand and in the marrow, from the cells that are there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.population import Population

SMALL = (
    *("marrow_lymphocytes", "marrow_normocellular", "marrow_nodules", "constitutional_symptoms"),
    *("node_longest", "node_spd", "liver_below_costal_margin"),
)


def _left(population: Population, part: float) -> tuple[VirtualClinic, dict[str, NDArray[np.float64]]]:
    """Subjects before treatment of whose CLL cells in tissue and marrow this part is left, and what is true of them."""
    clinic = VirtualClinic(population, 500, 4)
    everyone = np.arange(500)
    for state in ("tissue", "marrow"):
        clinic._biology.scale_state(state, everyone, np.full(500, part))
    return clinic, {test: clinic._laboratory.truth(test, everyone) for test in SMALL}


def test_the_share_of_lymphocytes_in_the_marrow_follows_its_cells(population: Population) -> None:
    clinic, before = _left(population, 1.0)
    normal, others = (population.marrow[name].value for name in ("marrow_normal_lymphocytes", "crowding_half"))
    expected = others * (1.0 - normal) / (clinic.truth()["marrow"] + others)
    np.testing.assert_allclose(1.0 - before["marrow_lymphocytes"] / 100.0, expected, rtol=1e-12)
    assert np.median(before["marrow_lymphocytes"]) > 30, "untreated CLL has an infiltrated marrow"
    _, after = _left(population, 1e-6)
    np.testing.assert_allclose(after["marrow_lymphocytes"], 100 * normal, rtol=1e-3)
    assert (after["marrow_normocellular"] == 1).all()
    assert (after["marrow_nodules"] == 0).all()


def test_what_is_too_small_is_not_felt_and_symptoms_go_with_the_disease(population: Population) -> None:
    numbers = {name: population.leukemia[name].value for name in ("node_palpable", "liver_palpable", "symptoms_part")}
    _, before = _left(population, 1.0)
    _, after = _left(population, 1e-4)
    assert (before["node_longest"] > 0).mean() > 0.95
    for found in (before, after):
        felt, liver = found["node_longest"] > 0, found["liver_below_costal_margin"]
        assert np.array_equal(felt, found["node_spd"] > 0)
        assert (found["node_longest"][felt] >= numbers["node_palpable"]).all()
        assert (liver[liver > 0] >= numbers["liver_palpable"]).all()
    assert (after["node_longest"] == 0).all()
    assert (after["liver_below_costal_margin"] == 0).all()
    assert 0.2 < before["constitutional_symptoms"].mean() < 0.6
    _, more = _left(population, numbers["symptoms_part"] * 1.01)
    _, less = _left(population, numbers["symptoms_part"] * 0.99)
    assert np.array_equal(more["constitutional_symptoms"], before["constitutional_symptoms"])
    assert (less["constitutional_symptoms"] == 0).all()

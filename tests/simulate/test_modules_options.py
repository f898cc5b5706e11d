"""Structural alternatives as a population file chooses them, in whole subjects; what is seen of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trialrun.simulate.biology import Biology
from trialrun.simulate.measure import Laboratory
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.subjects import draw_subjects

FloatArray = NDArray[np.float64]
LINE = 'options: {renal_clearance: additive, marrow_effect: proliferation, tolerance: "on"}'


def with_options(folder: Path, text: str, **chosen: str) -> Population:
    """The study's population with other alternatives, read from a file."""
    assert LINE in text
    ways = {"renal_clearance": "additive", "marrow_effect": "proliferation", "tolerance": "on"} | chosen
    line = "options: {" + ", ".join(f'{what}: "{way}"' for what, way in ways.items()) + "}"
    file = folder / "population.yaml"
    file.write_text(text.replace(LINE, line), encoding="utf-8")
    return read_population(file)


def lived(population: Population, days: int, dose: float, n: int = 48, off_from: int = 10**9) -> dict[str, FloatArray]:
    """Curves (days, n) of n subjects who take the dose daily until `off_from`."""
    biology = Biology(draw_subjects(population, 53, np.arange(n)))
    names = ("inflammation", "tolerance", "neutrophils", "neutrophil_transit_2", "exposure", "filtration")
    curves: dict[str, list[FloatArray]] = {name: [] for name in names}
    for day in range(days):
        biology.advance_day(np.full(n, dose if day < off_from else 0.0), {})
        for name in names:
            curves[name].append(biology.state(name).copy())
    return {name: np.array(rows) for name, rows in curves.items()}


def test_the_first_alternatives_are_those_of_a_file_that_names_none(tmp_path: Path, population_text: str) -> None:
    file = tmp_path / "population.yaml"
    file.write_text(population_text.replace(LINE, "options: {}"), encoding="utf-8")
    silent, said = lived(read_population(file), 20, 10.0), lived(with_options(tmp_path, population_text), 20, 10.0)
    for name, curve in said.items():
        assert np.array_equal(curve, silent[name]), name


def test_without_tolerance_inflammation_does_not_fade(tmp_path: Path, population_text: str) -> None:
    on = lived(with_options(tmp_path, population_text), 168, 10.0)
    off = lived(with_options(tmp_path, population_text, tolerance="off"), 168, 10.0)
    assert (on["inflammation"][-1] < 0.35 * on["inflammation"].max(axis=0)).all()
    # the kidney fails and recovers in some, and exposure with it
    assert np.median(off["inflammation"][-1] / off["inflammation"].max(axis=0)) > 0.95
    assert (off["inflammation"][-1] > 3.0 * on["inflammation"][-1]).all()
    assert (off["tolerance"] == 0.0).all()


def test_a_block_of_maturation_fills_a_transit_and_rebounds(tmp_path: Path, population_text: str) -> None:
    first = draw_subjects(with_options(tmp_path, population_text), 53, np.arange(48)).traits["neutrophils"]
    proliferation = lived(with_options(tmp_path, population_text), 49, 10.0, off_from=21)
    maturation = lived(with_options(tmp_path, population_text, marrow_effect="maturation"), 49, 10.0, off_from=21)
    # at the end of the on-period the held cells wait in the second transit; a block of proliferation empties it
    assert (maturation["neutrophil_transit_2"][20] > proliferation["neutrophil_transit_2"][20]).all()
    assert (maturation["neutrophils"][20] > proliferation["neutrophils"][20]).all()
    rebound = maturation["neutrophils"][21:30].max(axis=0) / first
    assert np.median(rebound) > np.median(proliferation["neutrophils"][21:30].max(axis=0) / first)


def test_the_power_of_renal_clearance_hides_renal_impairment(tmp_path: Path, population_text: str) -> None:
    """Exposure over creatinine clearance, in logarithms: -0.224 for the power, steeper for the additive part."""
    slope = {}
    for way in ("additive", "power"):
        population = with_options(tmp_path, population_text, renal_clearance=way)
        subjects = draw_subjects(population, 53, np.arange(200))
        same = subjects.constants.copy()
        for name in ("clearance", "volume", "absorption_rate"):  # kidneys alone differ
            same[subjects.model.constants.index(name)] = np.median(subjects.traits[name])
        for name in ("inflammatory_gfr_loss", "crystal_injury", "precipitate_injury"):  # and stay as they are
            same[subjects.model.constants.index(name)] = 0.0
        biology = Biology(replace(subjects, constants=same))
        biology.advance_day(np.full(200, 10.0), {})
        for _ in range(20):
            biology.advance_day(np.zeros(200), {})
        crcl = np.log(subjects.traits["crcl"])
        slope[way] = float(np.polyfit(crcl, np.log(biology.state("exposure")), 1)[0])
    assert slope["power"] == pytest.approx(-0.224, rel=1e-3)
    assert slope["additive"] < 2.0 * slope["power"]


def test_what_is_seen_of_the_disease_is_what_the_page_says(population: Population) -> None:
    """Lymphocytes, nodes, spleen from cells and inflammation, by the formulas of docs/simulate.md."""
    rows, subjects = np.arange(30), draw_subjects(population, 5, np.arange(30))
    p = subjects.traits
    for inflammation in (0.0, 2.0):
        states = subjects.states.copy()
        states[subjects.model.states.index("inflammation")] = inflammation
        biology = Biology(replace(subjects, states=states))
        laboratory = Laboratory(population, 5, subjects, biology, np.zeros(30))
        swollen = 1 + 0.55 * inflammation / (1 + 0.4 * inflammation)
        volume = 0.53 * p["tissue_cells"] / 1.5 * swollen
        np.testing.assert_allclose(laboratory.truth("node_spd", rows), p["node_shape"] * volume ** (2 / 3))
        np.testing.assert_allclose(laboratory.truth("lymphocytes", rows), p["lymphocytes"])
        spleen = 150 + 0.47 * p["tissue_cells"] / 1.5 * swollen
        below = np.maximum(11 * (np.cbrt(spleen / 150) - np.cbrt(250 / 150)), 0)
        np.testing.assert_allclose(laboratory.truth("spleen_below_costal_margin", rows), below, atol=1e-12)

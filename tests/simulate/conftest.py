"""The study's population, and helpers that the tests of virtual subjects share."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.simulate.population import Population, read_population

POPULATION_FILE = Path(__file__).parents[2] / "studies" / "lenalidomide-cll" / "population.yaml"


@pytest.fixture(scope="session")
def population() -> Population:
    return read_population(POPULATION_FILE)


@pytest.fixture(scope="session")
def population_text() -> str:
    return POPULATION_FILE.read_text(encoding="utf-8")

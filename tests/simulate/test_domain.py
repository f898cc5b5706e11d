"""What lies outside of what the numbers were fitted to is said, each thing in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trialrun.simulate.domain import check_domain
from trialrun.simulate.population import Domain, Population, read_population

STUDIES = Path(__file__).parents[2] / "studies"
KNOWN = ("allopurinol", "hydration", "rasburicase", "steroid", "gcsf", "aspirin")


def test_within_the_domain_nothing_is_said(population: Population) -> None:
    assert check_domain(population, "lenalidomide", (2.5, 5.0, 25.0), KNOWN) == ()
    assert check_domain(population, "Lenalidomide", (10.0,), ()) == ()


@pytest.mark.parametrize(
    ("drug", "doses", "treatments", "words"),
    [
        ("thalidomide", (10.0,), (), ("lenalidomide", "thalidomide")),
        ("lenalidomide", (2.4, 10.0), (), ("2.4 mg", "2.5 to 25")),
        ("lenalidomide", (30.0, 10.0, 50.0, 30.0), (), ("30, 50 mg",)),
        (
            "lenalidomide",
            (10.0,),
            ("allopurinol", "rituximab", "iv_fluids"),
            ("rituximab, iv_fluids", "without effect"),
        ),
    ],
)
def test_one_thing_outside_is_one_sentence(
    population: Population, drug: str, doses: tuple[float, ...], treatments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (notice,) = check_domain(population, drug, doses, treatments)
    assert all(word in notice for word in words)


def test_people_outside_are_named(population: Population) -> None:
    fitted = Domain(drug="lenalidomide", dose_mg=[2.5, 25.0], line_of_therapy=["first_line"], crcl=[45.0, 80.0])
    relapsed = population.model_copy(update={"line_of_therapy": "relapsed", "domain": fitted})
    treated, kidneys = check_domain(relapsed, "lenalidomide", (10.0,), ())
    assert "relapsed" in treated
    assert "first_line" in treated
    assert re.search(r"^[5-9]\d % of the people", kidneys), "most have more than 80"
    assert "45 to 80 mL/min" in kidneys


def test_everything_outside_is_told_at_once(population: Population) -> None:
    assert len(check_domain(population, "thalidomide", (100.0,), ("rituximab",))) == 3


def test_without_a_domain_everything_is_extrapolation(population: Population) -> None:
    (notice,) = check_domain(population.model_copy(update={"domain": None}), "lenalidomide", (10.0,), KNOWN)
    assert "extrapolation" in notice


def test_the_relapsed_people_lie_within_and_venetoclax_has_its_own_domain() -> None:
    relapsed = read_population(STUDIES / "lenalidomide-25mg")
    assert check_domain(relapsed, "lenalidomide", (5.0, 25.0), KNOWN) == ()
    venetoclax = read_population(STUDIES / "venetoclax-rampup")
    assert check_domain(venetoclax, "venetoclax", (20.0, 400.0), KNOWN) == ()
    assert len(check_domain(venetoclax, "lenalidomide", (10.0,), ())) == 2

"""The population file is read strictly, and what is drawn from it follows what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialrun.simulate.population import Number, Population, Variability, read_population
from trialrun.simulate.subjects import draw_number, draw_subjects
from trialrun.vocab.problems import Problem, TrialrunError


def problems_of(tmp_path: Path, text: str) -> tuple[Problem, ...]:
    file = tmp_path / "population.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TrialrunError) as caught:
        read_population(file)
    return caught.value.problems


def line_of(text: str, start: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if line.startswith(start))


CLEARANCE = "  clearance: {symbol: CL/F"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("  clearance: {symbol: CL/F", "  clearence: {symbol: CL/F", "unknown-key"),
        ("value: 12, unit: L/h", "value: 12, unit: L/d", "unit-mismatch"),
        ("value: 12, unit: L/h, ", "value: 12, ", "missing-key"),
        ("value: 12, unit", "value: twelve, unit", "invalid-value"),
        ("value: 12, unit", "valeu: 12, unit", "unknown-key"),
        ("value: 12, unit", "value: 100, unit", "invalid-value"),
        ("status: published, source: [HUG, LIA, GUG]", "status: published, source: [HUG, LAI]", "unknown-source"),
        ("status: published, source: [HUG, LIA, GUG]", "status: published, source: []", "missing-source"),
        (", source: [HUG, LIA, GUG]", "", "missing-key"),
        ("status: published, source: [HUG", "status: certain, source: [HUG", "invalid-value"),
        ("lognormal, omega: 0.35, low: 3", "lognormal, sd: 0.35, low: 3", "invalid-value"),
        ("lognormal, omega: 0.35, low: 3", "lognormal, omega: 0.35, low: 99", "invalid-value"),
    ],
)
def test_a_slip_is_an_error_at_its_line(tmp_path: Path, population_text: str, old: str, new: str, code: str) -> None:
    line = line_of(population_text, CLEARANCE)
    lines = population_text.splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    found = problems_of(tmp_path, "\n".join(lines))
    assert code in [problem.code for problem in found]
    assert line in [problem.location.line for problem in found]


def test_a_missing_number_and_an_unknown_test_are_named(tmp_path: Path, population_text: str) -> None:
    lines = [line for line in population_text.splitlines() if not line.startswith(CLEARANCE)]
    text = "\n".join(lines).replace("  ecog: {unit", "  ecogg: {unit")
    found = {problem.code: problem for problem in problems_of(tmp_path, text)}
    assert "clearance" in str(found["missing-key"])
    assert found["unknown-test"].location.line == line_of(text, "  ecogg:")


@pytest.mark.parametrize("text", ["", "trialrun: 1\n", "trialrun: [", "- 1\n"])
def test_what_is_no_population_is_refused(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text)


def test_every_number_says_where_it_comes_from(population: Population) -> None:
    numbers = population.numbers()
    assert len(numbers) > 130
    tuned = [name for name, number in numbers.items() if number.status == "tuned"]
    # model development named 19 tuned numbers; those that are fixed by several, and the burden, are counted too
    assert 15 <= len(tuned) <= 25
    assert all(number.source and number.unit for number in numbers.values())
    assert len(population.content_hash) == 64


def test_cut_distributions_are_scaled_not_piled_up_at_the_edge() -> None:
    varies = Variability(distribution="normal", sd=1.0, low=-1.0, high=2.0)
    number = Number(label="x", value=0.0, unit="1", variability=varies, status="assumed", source="assumed")
    drawn = draw_number(number, "x", 1, np.arange(20_000), 0)
    assert -1.0 < drawn.min() < -0.99
    assert 1.99 < drawn.max() < 2.0
    # mean of a normal distribution cut to (-1, 2): (phi(-1) - phi(2)) / (Phi(2) - Phi(-1))
    assert drawn.mean() == pytest.approx((0.241971 - 0.053991) / (0.977250 - 0.158655), abs=0.02)


def test_drawn_subjects_follow_the_published_baseline(population: Population) -> None:
    """Medians and ranges of the 25 subjects of the amended protocol (published.yaml, chen2011)."""
    subjects = draw_subjects(population, 3, np.arange(4000))
    traits = subjects.traits
    assert np.median(subjects.age) == pytest.approx(60, abs=1.5)
    assert np.median(traits["lymphocytes"]) == pytest.approx(88.8, abs=5)
    assert np.median(traits["hemoglobin"]) == pytest.approx(119, abs=6)
    for name, low, high in (("age", 33, 78), ("lymphocytes", 2.8, 220), ("hemoglobin", 80, 173)):
        assert low <= traits[name].min() < traits[name].max() <= high
    sick = traits["node_length"] * (traits["tissue_cells"] * 0.53 / 1.5) ** (1 / 3) >= 5
    assert sick.mean() == pytest.approx(0.36, abs=0.06)  # bulky 9 of 25


def test_everyone_drawn_could_have_been_enrolled(population: Population) -> None:
    subjects = draw_subjects(population, 4, np.arange(3000))
    t = subjects.traits
    assert (t["neutrophils"] > 1.0).all()
    assert (t["platelets"] > 50).all()
    assert (t["creatinine"] < 1.5 * np.where(subjects.male, 110, 90)).all()
    in_need = (
        (t["symptomatic_nodes_or_organs"] == 1)
        | (t["constitutional_symptoms"] == 1)
        | (t["hemoglobin"] < 110)
        | (t["platelets"] < 100)
        | (t["doubling_time"] < 365.25)
    )
    assert in_need.all()
    assert not np.isnan(subjects.constants).any()
    assert not np.isnan(subjects.states).any()


def test_a_subject_is_the_same_in_any_company(population: Population) -> None:
    crowd = draw_subjects(population, 5, np.arange(700))
    some = draw_subjects(population, 5, np.array([650, 3, 41]))
    assert np.array_equal(crowd.constants[:, [650, 3, 41]], some.constants)
    assert np.array_equal(crowd.states[:, [650, 3, 41]], some.states)
    other = draw_subjects(population, 6, np.array([650, 3, 41]))
    assert not np.array_equal(other.constants, some.constants)


def test_burden_is_correlated_as_the_file_says(population: Population) -> None:
    names = ("lymphocytes", "tissue_cells", "marrow_cells")
    logs = [np.log(draw_number(population.baseline[n], n, 9, np.arange(20_000), 0)) for n in names]
    assert np.corrcoef(logs)[1, 2] == pytest.approx(0.6, abs=0.02)  # hardly cut
    assert 0.5 < np.corrcoef(logs)[0, 1] < 0.6  # lymphocytes are cut at 220: a little less


def test_a_population_that_admits_nobody_says_so(population: Population) -> None:
    bound = population.enrolled["neutrophils"].model_copy(update={"low": 1e6})
    nobody = population.model_copy(update={"enrolled": {**population.enrolled, "neutrophils": bound}})
    with pytest.raises(TrialrunError, match="almost nobody"):
        draw_subjects(nobody, 1, np.arange(2))

"""Numbers that nothing can be are refused, at the line that made them so."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from trialrun.simulate.ensemble import check_sets, find_ensemble, read_ensemble
from trialrun.simulate.limits import limits
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import TrialrunError

STUDIES = Path(__file__).parents[2] / "studies"
HEAD = """trialrun: 1
extends: {base}
population: {{id: other, title: Other people, describes: As there but different.}}
sources: {{mine: "a source of my own"}}
"""


def test_every_quantity_says_what_it_can_be() -> None:
    table = files("trialrun.simulate").joinpath("data/quantities.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert len(limits()) == len(rows)
    for row in rows:
        legal = limits()[f"{row['section']}.{row['name']}"]
        assert legal.low < legal.high
        assert np.isfinite(legal.low), f"{row['name']} has no lower limit"
    shares = ("part of ", "probability", "fatality", "largest block", "largest loss")
    for name, number in read_population(STUDIES / "venetoclax-rampup").numbers().items():
        if number.unit == "1" and number.label.startswith(shares):
            assert limits()[name].high <= 1, f"{name} is a share"


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("baseline.male_fraction", (0.0, 0.3, 1.0), (-0.01, 1.01, float("nan"))),
        ("pharmacokinetics.volume", (1e-9, 1e9), (0.0, -1.0)),
        ("immune.tolerance_rate", (0.0, 9.0), (-1e-9,)),
        ("direct_kill.sheltered", (0.0, 0.999), (1.0,)),
        ("baseline.age", (18.0, 120.0), (17.9, 120.1)),
        ("immune.inflammation_gain", (0.0, 40.0), (-1.0,)),
    ],
)
def test_edges_are_open_or_closed_as_the_table_says(
    name: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    assert limits()[name].hold(np.array(inside)).all()
    assert not limits()[name].hold(np.array(outside)).any()


@pytest.mark.parametrize(
    ("name", "said", "found", "expected"),
    [
        ("immune.steroid_effect", "value: 1.7", "1.7", "0 to 1"),
        ("marrow.crowding", "value: 1.5", "1.5", "0 to 1"),
        ("baseline.male_fraction", "factor: 2", "1.28 (0.64, then factor 2)", "0 to 1"),
        ("baseline.age", "value: 200, low: 150, high: 250", "200 a", "18 to 120 a"),
        ("baseline.age", "value: 70, high: 150", "high 150 a", "18 to 120 a"),
        ("baseline.age", "low: 10", "low 10 a", "18 to 120 a"),
        ("kidney.potassium_volume", "value: 0", "0 L", "above 0 L"),
        ("kidney.recovery_rate", "add: -1", "-0.88 /d", "at least 0 /d"),
        ("lysis.hit_size", "value: 0.6", "0.6", "0 to 0.5"),
        ("marrow.hemoglobin_setpoint", "omega: 0.4", "in one of a million", "above 0"),
        ("baseline.ecog_1", "value: 0.7", "0.5 and 0.7", "at most 1"),
        ("baseline.lymphocytes", "low: 1.0", "from 1, of which 1.5", "above leukemia.normal_lymphocytes"),
        ("leukemia.normal_lymphocytes", "value: 3", "from 2.8, of which 3", "above leukemia.normal_lymphocytes"),
        ("flare.flare_1", "value: 3", "3, 2.9", "rising"),
    ],
)
def test_an_impossible_shift_is_an_error_at_its_line(
    tmp_path: Path, name: str, said: str, found: str, expected: str
) -> None:
    text = HEAD.format(base=STUDIES / "lenalidomide-cll")
    (tmp_path / "population.yaml").write_text(
        f"{text}shift:\n  {name}: {{{said}, status: assumed, source: mine}}\n", encoding="utf-8"
    )
    with pytest.raises(TrialrunError) as caught:
        read_population(tmp_path)
    problem = caught.value.problems[0]
    assert problem.code == "impossible-number"
    assert problem.location.line == 6
    assert found in (problem.found or "")
    assert expected in (problem.expected or "")


@pytest.mark.parametrize(
    ("name", "sd", "found", "expected"),
    [
        ("baseline.age", 1, "a in 999 of 1,000 trials", "a: a smaller sd"),
        ("baseline.male_fraction", 0.5, "in 999 of 1,000 trials", "0 to 1: a smaller sd"),
    ],
)
def test_more_spread_between_trials_than_can_be_is_an_error_at_its_line(
    tmp_path: Path, name: str, sd: float, found: str, expected: str
) -> None:
    text = HEAD.format(base=STUDIES / "lenalidomide-cll")
    text += f"between_trials:\n  {name}: {{sd: {sd}, status: assumed, source: mine}}\n"
    (tmp_path / "population.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TrialrunError) as caught:
        read_population(tmp_path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.location.line) == ("impossible-number", 6)
    assert name in problem.message
    assert found in (problem.found or "")
    assert expected in (problem.expected or "")


def test_spread_between_trials_of_a_whole_file_is_checked_as_well(tmp_path: Path, population_text: str) -> None:
    old = "  marrow.neutrophil_emax: {sd: 0.08"
    assert population_text.count(old) == 1
    (tmp_path / "population.yaml").write_text(population_text.replace(old, old.replace("0.08", "3")), encoding="utf-8")
    with pytest.raises(TrialrunError, match=r"marrow\.neutrophil_emax differs so much between trials"):
        read_population(tmp_path)


def test_a_centre_that_leaves_nobody_is_told_by_the_name_of_its_number() -> None:
    """Far beyond where the distribution is cut off, as a set or a trial may take it."""
    people = read_population(STUDIES / "lenalidomide-cll")
    with pytest.raises(TrialrunError, match=r"baseline\.age cannot be drawn") as caught:
        draw_subjects(people, 1, np.arange(3), {"baseline.age": np.array([60.0, 900.0, 60.0])})
    assert "a centre of 900 to 900 a, with a distribution cut off at" in str(caught.value)


def test_an_impossible_number_of_a_whole_file_is_an_error_at_its_line(tmp_path: Path, population_text: str) -> None:
    text = population_text.replace("takes away, value: 0.5", "takes away, value: 1.7")
    assert text != population_text
    (tmp_path / "population.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TrialrunError) as caught:
        read_population(tmp_path)
    (problem,) = caught.value.problems
    line = next(i for i, line in enumerate(text.splitlines(), 1) if line.startswith("  steroid_effect"))
    assert (problem.code, problem.location.line) == ("impossible-number", line)


@pytest.mark.parametrize(
    ("said", "word"),
    [("low: 500", "0 to 100"), ("low: 3, high: 2", "low must be below high; found {low: 3, high: 2, unit: ")],
)
def test_an_impossible_bound_is_an_error_at_its_line(tmp_path: Path, said: str, word: str) -> None:
    text = HEAD.format(base=STUDIES / "lenalidomide-cll")
    bound = f"enrolled:\n  neutrophils: {{{said}, unit: 10*9/L, status: assumed, source: mine}}\n"
    (tmp_path / "population.yaml").write_text(text + bound, encoding="utf-8")
    with pytest.raises(TrialrunError, match=word) as caught:
        read_population(tmp_path)
    assert caught.value.problems[0].location.line == 6


def test_the_sets_that_ship_are_possible_for_all_people_that_ship() -> None:
    for file in sorted(STUDIES.glob("*/population.yaml")):
        people: Population = read_population(file)
        found = find_ensemble(file)
        if found is not None:
            check_sets(people, file, read_ensemble(found), found)

"""Shifts of an extension of an extension are composed in order; a shift may replace the spread; both under an ensemble."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialrun.simulate.ensemble import Ensemble, check_sets, numbers_for
from trialrun.simulate.page import numbers_page
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import Problem, TrialrunError

HEAD = """trialrun: 1
extends: {base}
population: {{id: {name}, title: Other people, describes: As there but different.}}
sources: {{{name}_source: "a source of my own"}}
"""


@pytest.fixture
def line(tmp_path: Path, population_text: str):  # type: ignore[no-untyped-def]
    """Writes one extension after the other, each with these shifts (name to fields), and reads the last."""
    (tmp_path / "base.yaml").write_text(population_text, encoding="utf-8")

    def read(*shifts: dict[str, str]) -> Population:
        base = "base.yaml"
        for number, part in enumerate(shifts):
            name = f"p{number}"
            lines = [f"  {key}: {{{said}, status: assumed, source: {name}_source}}\n" for key, said in part.items()]
            text = HEAD.format(base=base, name=name) + "shift:\n" + "".join(lines)
            base = f"{name}.yaml"
            (tmp_path / base).write_text(text, encoding="utf-8")
        return read_population(tmp_path / base)

    return read


def problems_of(line, *shifts: dict[str, str]) -> tuple[Problem, ...]:  # type: ignore[no-untyped-def]
    with pytest.raises(TrialrunError) as caught:
        line(*shifts)
    return caught.value.problems


NAME = "pharmacokinetics.clearance"  # 12 L/h in the file, cut off at 3 and 48


def test_a_spread_has_a_status_of_its_own_where_only_the_value_or_only_the_spread_is_shifted(line) -> None:  # type: ignore[no-untyped-def]
    def told(name: str, said: str) -> tuple[str, str | None]:
        number = line({name: said}).numbers()[name]
        return number.status, number.variability.status

    assert told("pharmacokinetics.clearance", "factor: 1.1") == ("assumed", "derived"), "published, its spread derived"
    assert told("pharmacokinetics.clearance", "factor: 1.1, omega: 0.4") == ("assumed", None)
    assert told("pharmacokinetics.clearance", "omega: 0.4") == ("published", "assumed")
    assert told("immune.activation_ec50", "factor: 1.1") == ("assumed", "tuned")
    page = numbers_page(line({"pharmacokinetics.clearance": "omega: 0.4"}), "a.yaml")
    assert "logn 0.4 [3, 48] (assumed) | published" in page


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("factor: 1.5", "factor: 2"), 36.0),
        (("add: 3", "factor: 2"), 30.0),
        (("factor: 2", "add: 3"), 27.0),
        (("add: 3", "add: -1", "add: 2"), 16.0),
        (("factor: 2", "value: 10"), 10.0),
        (("value: 10", "factor: 2"), 20.0),
        (("value: 10", "factor: 2", "value: 7", "add: 1"), 8.0),
    ],
)
def test_shifts_are_applied_in_the_order_of_extension(line, steps: tuple[str, ...], expected: float) -> None:  # type: ignore[no-untyped-def]
    people = line(*({NAME: step} for step in steps))
    assert people.numbers()[NAME].value == pytest.approx(expected)
    assert people.shifted(NAME, np.array([12.0])) == pytest.approx([expected])
    assert [step.of for step in people.shift[NAME].steps] == [f"p{number}" for number in range(len(steps))]


def test_odds_are_multiplied_one_after_the_other(line) -> None:  # type: ignore[no-untyped-def]
    people = line({"leukemia.nonresponder": "odds: 3"}, {"leukemia.nonresponder": "odds: 2"})
    odds = 6 * 0.12 / 0.88
    assert people.numbers()["leukemia.nonresponder"].value == pytest.approx(odds / (1 + odds))


def test_a_shift_comes_on_top_of_one_that_is_fitted(line) -> None:  # type: ignore[no-untyped-def]
    name = "immune.activation_ec50"
    people = line({name: "factor: 1.2, fitted: true"}, {name: "factor: 0.5"}, {name: "add: 3"})
    people = people.model_copy(update={"between_trials": {}})
    assert people.shift[name].fitted
    alone = read_population(Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll").numbers()[name].value
    assert people.numbers()[name].value == pytest.approx(alone * 1.2 * 0.5 + 3)
    ensemble = Ensemble((name, f"{name}:shift"), np.array([[60.0, 1.5], [100.0, 0.9]]), np.array([0.5, 0.5]), {})
    found = numbers_for(people, ensemble, 1, np.array([1, 2]), np.array([0, 1]))
    assert found[name] == pytest.approx([60 * 1.5 * 0.5 + 3, 100 * 0.9 * 0.5 + 3])


def test_a_value_replaces_a_shift_that_is_fitted(line) -> None:  # type: ignore[no-untyped-def]
    name = "immune.activation_ec50"
    people = line({name: "factor: 1.2, fitted: true"}, {name: "value: 50"}, {name: "factor: 2, fitted: true"})
    people = people.model_copy(update={"between_trials": {}})
    ensemble = Ensemble((name, f"{name}:shift"), np.array([[60.0, 1.5]]), np.array([1.0]), {})
    assert numbers_for(people, ensemble, 1, np.array([1]), np.array([0]))[name] == pytest.approx([75.0])
    replaced = line({name: "factor: 1.2, fitted: true"}, {name: "value: 50"})
    assert not replaced.shift[name].fitted
    assert [step.of for step in replaced.shift[name].replaced] == ["p0"]


def test_two_fitted_shifts_of_a_number_are_refused(line) -> None:  # type: ignore[no-untyped-def]
    name = "immune.activation_ec50"
    (problem,) = problems_of(line, {name: "factor: 1.2, fitted: true"}, {name: "factor: 2, fitted: true"})
    assert problem.code == "impossible-shift"
    assert problem.location.line == 6
    assert "p0" in (problem.found or "")


def test_every_step_has_its_source_and_note_and_is_on_the_page(line) -> None:  # type: ignore[no-untyped-def]
    people = line({NAME: "value: 10, note: first"}, {NAME: "factor: 2, note: second"}, {NAME: "add: 1, note: third"})
    number = people.numbers()[NAME]
    assert number.source == ["p0_source", "p1_source", "p2_source"]
    assert number.note == "value 10 (p0: first); factor 2 (p1: second); then add 1: third"
    page = numbers_page(people, "x")
    for row in ("p0 | value 10 | 12 | 10", "p1 | factor 2 | 10 | 20", "p2 | add 1 | 20 | 21"):
        assert f"| `{NAME}` | {row} |" in page
    replaced = numbers_page(line({NAME: "factor: 2"}, {NAME: "value: 10"}), "x")
    assert f"| `{NAME}` | p0 | factor 2, replaced by p1 | 12 | 24 |" in replaced


def test_the_hash_covers_the_whole_line(tmp_path: Path, line) -> None:  # type: ignore[no-untyped-def]
    shifts = ({NAME: "factor: 2"}, {"baseline.age": "add: 1"}, {"baseline.crcl": "factor: 0.9"})
    before = line(*shifts).content_hash
    for name in ("base.yaml", "p0.yaml", "p1.yaml", "p2.yaml"):
        line(*shifts)
        text = (tmp_path / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text + "# a remark\n", encoding="utf-8")
        assert read_population(tmp_path / "p2.yaml").content_hash != before, name
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert line(*shifts).content_hash == before


def test_a_shift_can_replace_the_spread_alone(line, population: Population) -> None:  # type: ignore[no-untyped-def]
    people = line({"baseline.age": "sd: 4"}, {"baseline.lymphocytes": "factor: 1.5, omega: 0.4, high: 400"})
    age, before = people.numbers()["baseline.age"], population.numbers()["baseline.age"]
    assert age.variability is not None
    assert (age.value, age.variability.sd, age.variability.low) == (before.value, 4, 33)
    assert age.status == before.status, "its centre is as published"
    assert age.source == ["ash2008", "p0_source"]
    count = people.numbers()["baseline.lymphocytes"].variability
    assert count is not None
    assert (count.omega, count.low, count.high, count.factor) == (0.4, 2.8, 400, "burden")
    index = np.arange(2000)
    drawn, base = draw_subjects(people, 1, index), draw_subjects(population, 1, index)
    assert drawn.age.std() == pytest.approx(4, rel=0.1)
    assert base.age.std() > 8


@pytest.mark.parametrize(
    ("name", "said", "word"),
    [
        ("baseline.age", "omega: 0.2", "sd"),
        ("baseline.lymphocytes", "sd: 20", "omega"),
        ("baseline.age", "sd: 0", "above 0"),
        ("baseline.age", "sd: -3", "above 0"),
        ("leukemia.nonresponder", "sd: 0.1", "no distribution"),
        ("leukemia.nonresponder", "factor: 2, low: 0.1", "no distribution"),
    ],
)
def test_a_spread_that_does_not_fit_is_an_error(line, name: str, said: str, word: str) -> None:  # type: ignore[no-untyped-def]
    (problem,) = problems_of(line, {name: said})
    assert problem.code == "impossible-shift"
    assert word in str(problem)
    assert problem.location.line == 6


@pytest.mark.parametrize(
    ("name", "shift", "found", "right"),
    [
        ("baseline.lymphocytes", "factor: 0", "found factor 0;", "right would be a factor above 0"),
        ("baseline.lymphocytes", "factor: -2", "found factor -2;", "right would be a factor above 0"),
        ("baseline.lymphocytes", "value: 0", "found value 0;", "right would be a value above 0"),
        ("baseline.lymphocytes", "add: -500", "found add -500;", "right would be a sum that leaves it above 0"),
        ("baseline.lymphocytes", "low: -1", "found low -1 and high 220;", "right would be cuts above 0"),
        (
            "baseline.age",
            "value: 70, low: 80, high: 60",
            "found low 80 and high 60;",
            "right would be `low` below `high`",
        ),
        ("baseline.age", "value: 90", "found 90, cut off at low", "right would be a shift within the cuts"),
        (
            "baseline.lymphocytes",
            "factor: 2, add: 3",
            "found {factor: 2, add: 3, status: ",
            "takes one of factor, odds",
        ),
    ],
)
def test_an_error_shows_what_stands_there_and_what_would_be_right(  # type: ignore[no-untyped-def]
    line, name: str, shift: str, found: str, right: str
) -> None:
    (problem,) = problems_of(line, {name: shift})
    assert problem.location.line == 6
    assert found in str(problem)
    assert right in str(problem)


def test_a_spread_that_is_stated_wins_over_that_of_the_sets(line) -> None:  # type: ignore[no-untyped-def]
    name = "leukemia.response"
    ensemble = Ensemble((f"{name}:spread",), np.array([[0.6], [2.0]]), np.array([0.5, 0.5]), {})
    trial, sets = np.array([1, 2]), np.array([0, 1])

    def numbers(people: Population) -> dict[str, np.ndarray]:
        return numbers_for(people.model_copy(update={"between_trials": {}}), ensemble, 1, trial, sets)

    assert numbers(line({name: "factor: 2"}))[f"{name}:spread"] == pytest.approx([0.6, 2.0])
    stated = line({name: "factor: 2, omega: 0.5"}, {name: "factor: 1.1"})
    assert numbers(stated) == {}
    drawn = draw_subjects(stated, 1, np.arange(1000), numbers(stated))
    responding = drawn.traits["response"][drawn.traits["response"] > 0]
    assert np.log(responding).std() == pytest.approx(0.5, rel=0.1)


def test_sets_that_a_shift_takes_too_far_are_counted(line, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    name = "marrow.neutrophil_emax"
    people = line({name: "factor: 1.5"})
    file = tmp_path / "p0.yaml"
    values = np.array([[0.5], [0.6], [0.7], [0.8]])
    ensemble = Ensemble((name,), values, np.full(4, 0.25), {})
    with pytest.raises(TrialrunError) as caught:
        check_sets(people, file, ensemble, tmp_path / "ensemble.parquet")
    (problem,) = caught.value.problems
    assert problem.code == "impossible-number"
    assert "2 of 4 sets" in (problem.found or "")
    assert "0 to 1" in (problem.expected or "")
    assert (problem.location.file, problem.location.line) == (str(file), 6)
    check_sets(people, file, Ensemble((name,), values[:2], np.full(2, 0.5), {}), tmp_path / "ensemble.parquet")


def test_sets_that_are_wrong_by_themselves_are_told_of_their_file(population: Population, tmp_path: Path) -> None:
    names = ("marrow.neutrophil_emax", "leukemia.response:spread")
    ensemble = Ensemble(names, np.array([[1.2, 0.5], [0.4, -1.0]]), np.full(2, 0.5), {})
    with pytest.raises(TrialrunError) as caught:
        check_sets(population, tmp_path / "population.yaml", ensemble, tmp_path / "ensemble.parquet")
    assert [problem.location.file for problem in caught.value.problems] == [str(tmp_path / "ensemble.parquet")] * 2

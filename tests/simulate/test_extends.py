"""A population stated by how it differs from another: shifts, sources, bounds; every slip is an error at its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialrun.simulate.ensemble import Ensemble, numbers_for
from trialrun.simulate.population import Population, Shift, read_population
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import Problem, TrialrunError

HEAD = """trialrun: 1
extends: base.yaml
population: {id: other, title: Other people, describes: As there but different.}
sources: {mine: "a source of my own"}
"""


@pytest.fixture
def extended(tmp_path: Path, population_text: str):  # type: ignore[no-untyped-def]
    """Writes an extension of the study's population with this text below its head, and reads it."""
    (tmp_path / "base.yaml").write_text(population_text, encoding="utf-8")

    def read(text: str, head: str = HEAD) -> Population:
        (tmp_path / "population.yaml").write_text(head + text, encoding="utf-8")
        return read_population(tmp_path)

    return read


def problems_of(extended, text: str, head: str = HEAD) -> tuple[Problem, ...]:  # type: ignore[no-untyped-def]
    with pytest.raises(TrialrunError) as caught:
        extended(text, head)
    return caught.value.problems


def test_what_is_not_said_is_as_there(extended, population: Population) -> None:  # type: ignore[no-untyped-def]
    other = extended("")
    assert other.numbers() == population.numbers()
    assert other.tests == population.tests
    assert other.enrolled == population.enrolled
    assert other.between_trials == population.between_trials
    assert (other.options, other.domain, other.line_of_therapy, other.model) == (
        population.options,
        population.domain,
        population.line_of_therapy,
        population.model,
    )
    assert other.population.id == "other"
    assert other.sources == {**population.sources, "mine": "a source of my own"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("factor: 1.5", 18.0), ("add: 3", 15.0), ("add: -2", 10.0), ("value: 20", 20.0)],
)
def test_a_number_is_shifted_with_its_own_status(extended, population: Population, kind: str, expected: float) -> None:  # type: ignore[no-untyped-def]
    shift = f"shift: {{pharmacokinetics.clearance: {{{kind}, status: assumed, source: mine, note: why}}}}\n"
    number = extended(shift).numbers()["pharmacokinetics.clearance"]
    assert population.numbers()["pharmacokinetics.clearance"].value == 12
    assert number.value == pytest.approx(expected)
    assert (number.status, number.source, number.note) == ("assumed", "mine", "why")
    assert number.variability == population.numbers()["pharmacokinetics.clearance"].variability


def test_values_of_an_ensemble_are_shifted_by_the_same(extended) -> None:  # type: ignore[no-untyped-def]
    other = extended(
        "shift:\n"
        "  leukemia.effector_kill: {factor: 0.8, status: assumed, source: mine}\n"
        "  baseline.age: {add: 5, status: assumed, source: mine}\n"
        "  conduct.missed_dose: {value: 0.1, status: assumed, source: mine}\n"
    )
    values = np.array([0.5, 1.0, 2.0])
    assert other.shifted("leukemia.effector_kill", values) == pytest.approx([0.4, 0.8, 1.6])
    assert other.shifted("baseline.age", values) == pytest.approx([5.5, 6.0, 7.0])
    assert other.shifted("conduct.missed_dose", values) == pytest.approx([0.1, 0.1, 0.1])
    assert other.shifted("leukemia.response", values) is values
    assert other.shifted("leukemia.effector_kill:spread", values) is values
    assert values == pytest.approx([0.5, 1.0, 2.0])


def test_a_share_is_shifted_by_its_odds_and_stays_one(extended, population: Population) -> None:  # type: ignore[no-untyped-def]
    other = extended("shift: {leukemia.nonresponder: {odds: 3, status: assumed, source: mine}}\n")
    before = population.numbers()["leukemia.nonresponder"].value
    after = other.numbers()["leukemia.nonresponder"].value
    assert after / (1 - after) == pytest.approx(3 * before / (1 - before))
    assert other.shifted("leukemia.nonresponder", np.array([0.5, 0.9])) == pytest.approx([0.75, 27 / 28])


def test_a_fitted_shift_is_that_of_each_parameter_set(extended) -> None:  # type: ignore[no-untyped-def]
    other = extended(
        "shift:\n"
        "  leukemia.effector_kill: {factor: 0.8, fitted: true, status: assumed, source: mine}\n"
        "  leukemia.nonresponder: {odds: 3, fitted: true, status: assumed, source: mine}\n"
        "  immune.inflammation_gain: {factor: 0.8, status: assumed, source: mine}\n"
    )
    other = other.model_copy(update={"between_trials": {}})
    names = ("leukemia.effector_kill", "leukemia.nonresponder", "immune.inflammation_gain", "marrow.neutrophil_ec50")
    values = np.array([[0.01, 0.5, 10.0, 40.0, 0.5, 1.0, 0.5], [0.02, 0.25, 20.0, 50.0, 2.0, 9.0, 0.5]])
    ensemble = Ensemble((*names, *(f"{name}:shift" for name in names[:3])), values, np.array([0.5, 0.5]), {})
    found = numbers_for(other, ensemble, 1, np.array([0, 1, 2]), np.array([1, 0, 0]))
    assert found["leukemia.effector_kill"] == pytest.approx([0.04, 0.005, 0.005])
    assert found["leukemia.nonresponder"] == pytest.approx([0.75, 0.5, 0.5])
    assert found["immune.inflammation_gain"] == pytest.approx([16.0, 8.0, 8.0]), "its shift is not said to be fitted"
    assert not [name for name in found if name.endswith(":shift")]
    alone = Ensemble(names, values[:, :4], np.array([0.5, 0.5]), {})
    assert numbers_for(other, alone, 1, np.array([0]), np.array([0]))["leukemia.effector_kill"] == pytest.approx(
        [0.008]
    )


def test_the_people_that_were_extended_are_not_shifted(population: Population) -> None:
    ensemble = Ensemble(
        ("leukemia.effector_kill", "leukemia.effector_kill:shift"), np.array([[0.01, 0.5]]), np.array([1.0]), {}
    )
    same = population.model_copy(update={"between_trials": {}})
    found = numbers_for(same, ensemble, 1, np.array([0]), np.array([0]))
    assert found["leukemia.effector_kill"] == pytest.approx([0.01])


def test_a_shift_reaches_the_subjects(extended, population: Population) -> None:  # type: ignore[no-untyped-def]
    other = extended("shift: {baseline.age: {add: 5, status: assumed, source: mine}}\n")
    index = np.arange(2000)
    older, base = draw_subjects(other, 1, index), draw_subjects(population, 1, index)
    # cut off at 78 as before, so the mean moves by a little less than 5
    assert 3.0 < older.age.mean() - base.age.mean() < 5.0
    assert older.age.max() <= 78


def test_the_cuts_move_where_the_shift_says_so(extended) -> None:  # type: ignore[no-untyped-def]
    other = extended("shift: {pharmacokinetics.clearance: {value: 60, high: 200, status: assumed, source: mine}}\n")
    varies = other.numbers()["pharmacokinetics.clearance"].variability
    assert varies is not None
    assert (varies.low, varies.high) == (3, 200)


def test_an_extension_says_what_else_is_different(extended, population: Population) -> None:  # type: ignore[no-untyped-def]
    other = extended(
        "line_of_therapy: relapsed\n"
        "options: {renal_clearance: power}\n"
        "between_trials: {leukemia.response: {sd: 0.1, status: assumed, source: mine}}\n"
        "enrolled: {neutrophils: {low: 0.5, unit: 10*9/L, status: assumed, source: mine}}\n"
        "domain: {drug: other, dose_mg: [1, 2], line_of_therapy: [relapsed], crcl: [30, 160]}\n"
    )
    assert other.line_of_therapy == "relapsed"
    assert other.options == {**population.options, "renal_clearance": "power"}
    assert set(other.between_trials) == {*population.between_trials, "leukemia.response"}
    assert other.enrolled["neutrophils"].low == 0.5
    assert other.enrolled["platelets"] == population.enrolled["platelets"]
    assert other.domain is not None
    assert other.domain.drug == "other"


def test_the_hash_covers_every_file(tmp_path: Path, extended, population_text: str) -> None:  # type: ignore[no-untyped-def]
    first = extended("").content_hash
    assert extended("# a remark\n").content_hash != first
    assert extended("").content_hash == first
    (tmp_path / "base.yaml").write_text(population_text + "# a remark\n", encoding="utf-8")
    assert read_population(tmp_path).content_hash != first


def test_an_extension_of_an_extension_keeps_both_shifts(tmp_path: Path, extended) -> None:  # type: ignore[no-untyped-def]
    extended("shift: {baseline.age: {add: 5, status: assumed, source: mine}}\n")
    (tmp_path / "third.yaml").write_text(
        HEAD.replace("base.yaml", "population.yaml")
        + "shift: {leukemia.effector_kill: {factor: 0.5, status: assumed, source: mine}}\n",
        encoding="utf-8",
    )
    third = read_population(tmp_path / "third.yaml")
    assert set(third.shift) == {"baseline.age", "leukemia.effector_kill"}
    assert third.numbers()["baseline.age"].value == 65
    assert third.shifted("baseline.age", np.array([60.0])) == pytest.approx([65.0])


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("shift: {baseline.agee: {add: 1, status: assumed, source: mine}}\n", "unknown-number", 5),
        ("shift:\n  leukemia.respons: {factor: 2, status: assumed, source: mine}\n", "unknown-number", 6),
        ("shift:\n  baseline.age: {add: 1, factor: 2, status: assumed, source: mine}\n", "invalid-value", 6),
        ("shift:\n  baseline.age: {status: assumed, source: mine}\n", "invalid-value", 6),
        ("shift:\n  baseline.age: {add: 1, source: mine}\n", "missing-key", 6),
        ("shift:\n  baseline.age: {add: 1, status: assumed, source: yours}\n", "unknown-source", 6),
        ("shift:\n  baseline.age: {add: 60, status: assumed, source: mine}\n", "impossible-shift", 6),
        ("shift:\n  baseline.age: {factor: .nan, status: assumed, source: mine}\n", "invalid-value", 6),
        ("shift:\n  baseline.age: {odds: 2, status: assumed, source: mine}\n", "impossible-shift", 6),
        ("shift:\n  leukemia.nonresponder: {odds: 0, status: assumed, source: mine}\n", "invalid-value", 6),
        ("shift:\n  baseline.age: {add: 1, fitted: true, status: assumed, source: mine}\n", "invalid-value", 6),
        ("between_trials:\n  baseline.agee: {sd: 0.1, status: assumed, source: mine}\n", "unknown-number", 6),
        ("enrolled:\n  neutrophil: {low: 1, unit: 10*9/L, status: assumed, source: mine}\n", "unknown-key", 6),
        ("between_trials:\n  baseline.age: {sd: 0, status: assumed, source: mine}\n", "wrong-value", 6),
        ("line_of_therapy: second\n", "invalid-value", 5),
        ("model: aspirin-cll\n", "unknown-model", 5),
        ("options:\n  renal: power\n", "unknown-option", 6),
        ("options:\n  renal_clearance: cubic\n", "unknown-option", 6),
        ("shifts: {}\n", "unknown-key", 5),
        (
            "direct_kill:\n  kill_max: {label: x, value: 1, unit: /h, status: assumed, source: mine}\n",
            "unit-mismatch",
            6,
        ),
        (
            "direct_kill:\n  kill_max: {label: x, value: 1, unit: /d, status: assumed, source: mine}\n",
            "missing-key",
            5,
        ),
    ],
)
def test_a_slip_is_an_error_at_its_line(extended, text: str, code: str, line: int) -> None:  # type: ignore[no-untyped-def]
    found = {(problem.code, problem.location.line) for problem in problems_of(extended, text)}
    assert (code, line) in found
    assert all((problem.location.file or "").endswith("population.yaml") for problem in problems_of(extended, text))


@pytest.mark.parametrize("target", ["population.yaml", "."])
def test_a_population_that_extends_itself_is_refused(extended, target: str) -> None:  # type: ignore[no-untyped-def]
    (problem,) = problems_of(extended, "", HEAD.replace("base.yaml", target))
    assert (problem.code, problem.location.line) == ("circle", 2)


def test_a_circle_of_two_is_refused(tmp_path: Path, extended) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "second.yaml").write_text(HEAD.replace("base.yaml", "population.yaml"), encoding="utf-8")
    (problem,) = problems_of(extended, "", HEAD.replace("base.yaml", "second.yaml"))
    assert problem.code == "circle"


def test_a_population_that_is_not_there_is_named(extended) -> None:  # type: ignore[no-untyped-def]
    (problem,) = problems_of(extended, "", HEAD.replace("base.yaml", "nowhere.yaml"))
    assert problem.code == "no-file"
    assert "nowhere.yaml" in (problem.found or "")


def test_values_are_not_changed_in_place() -> None:
    values = np.array([1.0, 2.0])
    assert Shift(factor=2.0, status="assumed", source="x").apply(values) == pytest.approx([2.0, 4.0])
    assert values == pytest.approx([1.0, 2.0])


def test_a_factor_of_nothing_is_nothing(extended) -> None:  # type: ignore[no-untyped-def]
    other = extended("shift: {leukemia.nonresponder: {factor: 0, status: assumed, source: mine}}\n")
    assert other.numbers()["leukemia.nonresponder"].value == 0.0

"""Notices say in words where people and co-medication lie outside of those that were fitted to, and nothing where all is well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialrun.analysis.prediction_text import MISFIT, OTHER
from trialrun.plan.calendar import plan_version
from trialrun.protocol import read_protocol
from trialrun.protocol.version import Protocol
from trialrun.simulate.domain import check_people, find_notices
from trialrun.simulate.ensemble import Ensemble, compare_structure, describe_structure, find_ensemble, read_ensemble
from trialrun.simulate.fitted import find_fitted
from trialrun.simulate.people import realise_people
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import TrialrunError

STUDIES = Path(__file__).parents[2] / "studies"
HEAD = """trialrun: 1
extends: {base}
population: {{id: other, title: Other people, describes: As there but different.}}
sources: {{mine: "a source of my own"}}
"""
KNOWN = "status: assumed, source: mine"
OF_VENETOCLAX = [
    "Nothing drives inflammation in model venetoclax-cll: tumour flare never happens in it, and a rate of 0 is no prediction.",
    "Not in the model, taken without effect: iv_fluids.",
]


def notices(file: Path, protocol: Protocol, version: str | None = None, ensemble: Path | None = None) -> list[str]:
    """What is said of a version on the people of a file; the notice that they are not its own left out."""
    arm = protocol, plan_version(protocol.version(version))
    sets = None if ensemble is None else read_ensemble(ensemble)
    found = find_notices(read_population(file), file, [arm], sets, ensemble)
    return [notice for notice in found if "not on its own" not in notice]


@pytest.fixture
def said(tmp_path: Path):  # type: ignore[no-untyped-def]
    """What is said of the study's schedule on the people of an extension with this text."""

    def read(study: str, text: str, ensemble: Path | None = None) -> list[str]:
        file = tmp_path / "population.yaml"
        file.write_text(HEAD.format(base=STUDIES / study) + text, encoding="utf-8")
        return notices(file, read_protocol(STUDIES / study), None, ensemble)

    return read


@pytest.mark.parametrize("study", sorted(path.parent.name for path in STUDIES.glob("*/population.yaml")))
def test_nothing_is_said_of_a_study_that_ships_on_its_own_people(study: str) -> None:
    protocol = read_protocol(STUDIES / study)
    known = OF_VENETOCLAX if study == "venetoclax-rampup" else []
    for name in protocol.versions:
        assert notices(STUDIES / study / "population.yaml", protocol, name) == known


@pytest.mark.parametrize("study", ["lenalidomide-25mg", "venetoclax-rampup"])
def test_nothing_is_said_of_the_same_people_in_another_file(said, study: str) -> None:  # type: ignore[no-untyped-def]
    known = OF_VENETOCLAX if study == "venetoclax-rampup" else []
    assert said(study, "") == known
    assert said(study, f"shift: {{baseline.age: {{add: 1, {KNOWN}}}}}\n") == known


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (f"baseline.age: {{value: 76, sd: 5, low: 66, high: 88, {KNOWN}}}", "Age: median 7"),
        (f"baseline.lymphocytes: {{factor: 3.5, high: 900, {KNOWN}}}", "Lymphocytes: median 3"),
        (f"baseline.tissue_cells: {{factor: 5, high: 20000, {KNOWN}}}", "Longest node: median "),
        (f"leukemia.node_length: {{factor: 0.2, {KNOWN}}}", "Longest node: median "),
    ],
)
def test_people_outside_are_compared_in_words(said, text: str, start: str) -> None:  # type: ignore[no-untyped-def]
    (notice,) = said("lenalidomide-cll", f"shift:\n  {text}\n")
    assert notice.startswith(start)
    for word in ("5th to 95th percentile", "of the fitted people", "% lie outside: extrapolation"):
        assert word in notice


def test_the_fitted_people_are_those_of_the_same_line_of_therapy(said) -> None:  # type: ignore[no-untyped-def]
    nodes = f"shift:\n  baseline.tissue_cells: {{factor: 2.7, {KNOWN}}}\n"
    assert said("lenalidomide-cll", "line_of_therapy: relapsed\n" + nodes) == []
    (notice,) = said("lenalidomide-cll", nodes.replace("2.7", "4"))
    assert notice.startswith("Longest node")


def test_kidneys_are_judged_by_the_people_not_by_the_typical_one(said) -> None:  # type: ignore[no-untyped-def]
    few = said("lenalidomide-cll", f"shift:\n  baseline.crcl: {{factor: 0.5, low: 20, {KNOWN}}}\n")
    assert any("of the people have a creatinine clearance outside of the 45 to 160 mL/min" in notice for notice in few)
    assert any(notice.startswith("Creatinine clearance: median") for notice in few)


def test_relapsed_people_without_a_shift_are_named(said) -> None:  # type: ignore[no-untyped-def]
    (notice,) = said("lenalidomide-cll", "line_of_therapy: relapsed\n")
    assert "says relapsed, but its people are those of studies/lenalidomide-cll (first_line)" in notice


def test_a_bound_that_refuses_many_is_named_with_how_many(said) -> None:  # type: ignore[no-untyped-def]
    found = said("lenalidomide-cll", f"enrolled:\n  platelets: {{low: 170, unit: 10*9/L, {KNOWN}}}\n")
    (notice,) = [notice for notice in found if "refuses" in notice]
    assert notice.startswith("platelets > 170 x10^9/L refuses ")
    assert "% of those drawn" in notice


def test_a_distribution_that_is_cut_in_half_is_named(said) -> None:  # type: ignore[no-untyped-def]
    found = said("lenalidomide-cll", f"shift:\n  baseline.age: {{value: 77, {KNOWN}}}\n")
    assert any("46 % of the distribution of baseline.age lie beyond its cuts (33 to 78)" in notice for notice in found)


def test_bounds_that_nobody_fits_say_who_refuses_whom(tmp_path: Path) -> None:
    text = f"enrolled:\n  neutrophils: {{low: 90, unit: 10*9/L, {KNOWN}}}\n"
    (tmp_path / "population.yaml").write_text(HEAD.format(base=STUDIES / "lenalidomide-cll") + text, encoding="utf-8")
    with pytest.raises(TrialrunError) as caught:
        draw_subjects(read_population(tmp_path), 1, np.arange(20))
    found = caught.value.problems[0].found or ""
    assert found.startswith(
        "20 of 20 subjects not found in 500 tries; of those drawn neutrophils > 90 x10^9/L refuses 100 %"
    )
    assert "need for treatment" in found


def _with_version(tmp_path: Path, text: str) -> Protocol:
    protocol = (STUDIES / "lenalidomide-cll" / "protocol.yaml").read_text(encoding="utf-8")
    head = """  mine:
    amends: amendment-1
    date: 2008-03-01
    status: assumed
    source: assumed
    reason: What if?
    applies_to: Participants who start.
    changes:
"""
    (tmp_path / "protocol.yaml").write_text(protocol + head + text, encoding="utf-8")
    return read_protocol(tmp_path)


_GIVEN = """      - set: concomitant.{name}
        because: A question.
        to: {{section: "5.4", says: Given., {dose}while: {when}, status: assumed, source: assumed}}
"""


def test_co_medication_of_no_fitted_trial_is_named(tmp_path: Path) -> None:
    text = _GIVEN.format(name="rasburicase", dose="", when="day >= 0 days and day <= 4 days")
    text += _GIVEN.format(name="gcsf", dose="", when="neutrophils < 0.5 10*9/L")
    protocol = _with_version(tmp_path, text)
    file = STUDIES / "lenalidomide-cll" / "population.yaml"
    (notice,) = notices(file, protocol)
    assert notice.startswith("No trial that the numbers were fitted to gave rasburicase, gcsf")


def test_a_steroid_that_is_given_otherwise_is_told_to_be_on_or_off(tmp_path: Path) -> None:
    text = _GIVEN.format(name="steroid", dose="dose: 40 mg, ", when="day >= 0 days and day <= 13 days")
    file = STUDIES / "lenalidomide-cll" / "population.yaml"
    (notice,) = notices(file, _with_version(tmp_path, text))
    assert "A steroid is on or off: its dose (40 mg) is ignored." in notice


def test_other_equations_than_those_that_were_fitted_are_said(said) -> None:  # type: ignore[no-untyped-def]
    ensemble = find_ensemble(STUDIES / "lenalidomide-cll")
    found = said("lenalidomide-cll", "options: {marrow_effect: maturation, tolerance: 'off'}\n", ensemble)
    (notice,) = [notice for notice in found if "equations" in notice]
    assert "marrow_effect proliferation, here maturation; tolerance on, here off" in notice
    assert "do not fit the published facts here" in notice


def test_sets_of_another_drug_are_said(said) -> None:  # type: ignore[no-untyped-def]
    found = said("venetoclax-rampup", "", find_ensemble(STUDIES / "lenalidomide-cll"))
    (notice,) = [notice for notice in found if "equations" in notice]
    assert "model lenalidomide-cll, here venetoclax-cll; drug lenalidomide, here venetoclax" in notice


def test_the_structure_that_was_fitted_is_kept_with_the_sets(said) -> None:  # type: ignore[no-untyped-def]
    venetoclax = read_population(STUDIES / "venetoclax-rampup")
    structure = describe_structure(venetoclax)
    assert structure == {
        "model": "venetoclax-cll",
        "drug": "venetoclax",
        "options": {"renal_clearance": "additive", "marrow_effect": "proliferation", "tolerance": "on"},
    }
    sets = Ensemble(("lysis.hit_rate",), np.array([[0.001]]), np.array([1.0]), {"structure": structure})
    assert compare_structure(venetoclax, sets) == ()
    assert len(compare_structure(read_population(STUDIES / "lenalidomide-25mg"), sets)) == 2


def test_what_a_population_states_instead_of_the_sets_is_said(said) -> None:  # type: ignore[no-untyped-def]
    text = f"shift:\n  leukemia.response: {{omega: 0.5, {KNOWN}}}\n  flare.flare_1: {{value: 0.3, {KNOWN}}}\n"
    found = said("lenalidomide-25mg", text, find_ensemble(STUDIES / "lenalidomide-cll"))
    assert "These numbers are stated by the population, not by the parameter sets: flare.flare_1." in found
    stated = "The spread between subjects of these numbers is stated by the population, not by the parameter sets: leukemia.response."
    assert stated in found


def test_what_was_fitted_is_found_from_the_files() -> None:
    relapsed = find_fitted(STUDIES / "lenalidomide-25mg" / "population.yaml")
    assert relapsed is not None
    assert {file.parent.name for file in relapsed.people} == {
        "lenalidomide-cll",
        *(f"lenalidomide-{name}" for name in ("25mg", "10mg-continuous", "2.5mg-monthly")),
    }
    assert len(relapsed.populations()) == 2, "the relapsed are one people in three studies"
    assert "gcsf" not in relapsed.treatments()
    venetoclax = find_fitted(STUDIES / "venetoclax-rampup" / "population.yaml")
    assert venetoclax is not None
    assert [file.parent.name for file in venetoclax.people] == ["venetoclax-rampup"]


def test_check_warns_of_a_drug_that_the_people_beside_have_no_model_of(tmp_path: Path) -> None:
    text = (STUDIES / "lenalidomide-25mg" / "protocol.yaml").read_text(encoding="utf-8")
    (tmp_path / "protocol.yaml").write_text(text.replace("drug: lenalidomide", "drug: lenalidomid"), encoding="utf-8")
    (tmp_path / "population.yaml").write_text(HEAD.format(base=STUDIES / "lenalidomide-25mg"), encoding="utf-8")
    (problem,) = check_people(read_protocol(tmp_path))
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "drug: lenalidomide" in row)
    assert (problem.code, problem.severity, problem.location.line) == ("wrong-drug", "warning", line)
    assert problem.location.file == str(tmp_path / "protocol.yaml")
    assert problem.found == "lenalidomid"


def test_check_tells_what_is_wrong_with_the_people_beside(tmp_path: Path) -> None:
    text = (STUDIES / "lenalidomide-25mg" / "protocol.yaml").read_text(encoding="utf-8")
    (tmp_path / "protocol.yaml").write_text(text, encoding="utf-8")
    assert check_people(read_protocol(tmp_path)) == [], "nothing where there are none"
    (tmp_path / "population.yaml").write_text(HEAD.format(base="nowhere"), encoding="utf-8")
    (problem,) = check_people(read_protocol(tmp_path))
    assert (problem.code, problem.severity, problem.location.line) == ("no-file", "error", 2)


def test_realised_people_are_those_who_are_simulated() -> None:
    population = read_population(STUDIES / "lenalidomide-cll")
    people, subjects = realise_people(population, 50, 3), draw_subjects(population, 3, np.arange(50))
    assert np.array_equal(people.values["age"], subjects.age)
    assert people.values["lymphocytes"] == pytest.approx(subjects.traits["lymphocytes"])
    assert people.values["hemoglobin"] == pytest.approx(subjects.traits["hemoglobin"])
    assert people.values["urate"] == pytest.approx(1000 * subjects.traits["urate"])
    assert np.array_equal(people.true["male"], subjects.male)
    assert list(people.refused) == sorted(people.refused, key=lambda name: -people.refused[name])


def test_sets_that_do_not_fit_are_not_said_to_fit() -> None:
    """The words by which a result is told apart stand in the notices: sets of other equations, and sets that miss facts."""
    study = STUDIES / "lenalidomide-cll"
    maturation = study / "structures" / "maturation" / "population.yaml"
    protocol = read_protocol(study)
    shipped, own = study / "ensemble.parquet", maturation.parent / "ensemble.parquet"
    told = {
        (file, sets): notices(file, protocol, "amendment-1", sets)
        for file, sets in ((study / "population.yaml", shipped), (maturation, shipped), (maturation, own))
    }
    assert told[study / "population.yaml", shipped] == []
    assert [OTHER in notice for notice in told[maturation, shipped]] == [True]
    assert [MISFIT in notice for notice in told[maturation, own]] == [True]
    assert "amended neutropenia 3-4 (18/25)" in told[maturation, own][0]

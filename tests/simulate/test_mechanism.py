"""The mechanism: every part that Chen 2011 names has a place with a source, and observables go the way they are said to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.simulate.biology import Biology
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.mechanism import OBSERVABLES, PARTS, SOURCES, observe_mechanism
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.subjects import draw_subjects

STUDIES = Path(__file__).parents[2] / "studies"
NAMED = (
    *("T cells", "NK cells", "interleukin-2", "interferon-gamma", "interleukin-6", "TNF-alpha", "CD40 and CD86"),
    *("stromal protection", "Akt", "synapses"),
)


@pytest.mark.parametrize("word", NAMED)
def test_what_chen_2011_names_has_a_place_and_that_source(word: str) -> None:
    assert any(word in part.what and "chen2011" in part.sources for part in PARTS)


def test_every_part_rests_on_states_of_the_model_and_listed_sources(population: Population) -> None:
    states = set(draw_subjects(population, 1, np.arange(1)).model.states)
    for part in PARTS:
        assert set(part.states) <= states, part.what
        assert part.states, part.what
        assert set(part.sources) <= set(SOURCES), part.what
        assert part.sources, part.what
        assert (part.observable in OBSERVABLES) or part.place == "lumped", part.what
        assert part.note or part.place != "lumped", part.what
    assert {part.observable for part in PARTS if part.observable} == set(OBSERVABLES)


def test_observables_are_one_before_treatment_and_go_as_their_sources_say(population: Population) -> None:
    biology = Biology(draw_subjects(population, 3, np.arange(100)))
    for value in observe_mechanism(biology).values():
        assert (value == 1.0).all()
    for _ in range(7):  # the day of the measurement in the source that disagrees
        biology.advance_day(np.full(100, 10.0), {})
    seen = observe_mechanism(biology)
    for part in PARTS:
        if part.observable:
            assert ((seen[part.observable] > 1.0) == (part.goes == "up")).all(), part.what
            assert (seen[part.observable] > 0.0).all(), part.what


@pytest.mark.parametrize("word", ["interleukin-6", "TNF-alpha"])
def test_where_sources_disagree_both_directions_are_shown(word: str) -> None:
    shown = {part.goes: part for part in PARTS if word in part.what}
    assert set(shown) == {"up", "down"}
    assert set(shown["up"].sources).isdisjoint(shown["down"].sources)
    assert shown["up"].observable != shown["down"].observable


def test_formulas_say_what_is_computed(population: Population) -> None:
    biology = Biology(draw_subjects(population, 3, np.arange(20)))
    for _ in range(5):
        biology.advance_day(np.full(20, 15.0), {})
    for name, value in observe_mechanism(biology).items():
        of = OBSERVABLES[name]
        wanted = eval(of.formula, {}, {state: biology.state(state) for state in of.states})
        assert np.array_equal(value, wanted), name


def test_the_truth_of_a_clinic_holds_them_and_a_drug_without_activation_has_none(population: Population) -> None:
    assert set(OBSERVABLES) <= set(VirtualClinic(population, 5, 1).truth())
    other = read_population(STUDIES / "venetoclax-rampup")
    assert set(OBSERVABLES).isdisjoint(VirtualClinic(other, 5, 1).truth())


def test_the_command_shows_them() -> None:
    run = CliRunner().invoke(
        app, ["mechanism", str(STUDIES / "lenalidomide-cll"), "--subjects", "20", "--format", "json"]
    )
    assert run.exit_code == 0, run.output
    said = {row["part"]: row for row in json.loads(run.output)["parts"]}
    assert len(said) == len(PARTS)
    up, down = (said[name]["day 7"] for name in _six())
    assert up > 1.0 > down
    text = CliRunner().invoke(app, ["mechanism", str(STUDIES / "lenalidomide-cll"), "--subjects", "20"])
    assert text.exit_code == 0
    assert "immune synapses" in text.output
    assert "10 mg a day" in text.output


def test_the_command_refuses_a_model_without_it() -> None:
    from trialrun.vocab.problems import TrialrunError

    run = CliRunner().invoke(app, ["mechanism", str(STUDIES / "venetoclax-rampup"), "--subjects", "5"])
    assert isinstance(run.exception, TrialrunError)
    assert run.exception.problems[0].code == "no-mechanism"


def _six() -> tuple[str, str]:
    up, down = (
        next(part.what for part in PARTS if "interleukin-6" in part.what and part.goes == way) for way in ("up", "down")
    )
    return up, down

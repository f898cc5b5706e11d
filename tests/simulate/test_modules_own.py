"""Modules of one's own: the worked examples run, their equations are solved, and slips are said where they stand."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from trialrun.simulate.biology import Biology
from trialrun.simulate.model.compiled import compile_model
from trialrun.simulate.model.generate import LANES
from trialrun.simulate.model.library import find_model
from trialrun.simulate.model.module import Drug, Model, Module
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import draw_subjects
from trialrun.vocab.problems import TrialrunError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "own_model"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"own_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_worked_example_stays_below_100_lines_and_prints_what_the_page_shows() -> None:
    script = FOLDER / "tumour.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) < 100
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout in (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")


def test_the_worked_example_is_solved_within_1e_4() -> None:
    """Its equations once more, by DOP853 at rtol 1e-10."""
    tumour = load("tumour")
    people = tumour.draw(8, 3)
    days, dose = 56, 100.0
    biology, row = Biology(people), {name: i for i, name in enumerate(tumour.MODEL.states)}
    found = []
    for _ in range(days):
        biology.advance_day(np.full(8, dose), {})
        found.append([biology.state(name).copy() for name in ("sensitive", "resistant", "dying", "marker")])
    for i in range(8):
        p = {name: float(column[i]) for name, column in people.traits.items()}

        def slopes(_: float, y: np.ndarray, p: dict[str, float] = p) -> list[float]:
            gut, amount, effect, s, r, dying, marker = y
            c = amount / p["volume"]
            room, killed = 1 - (s + r) / p["capacity"], p["kill"] * effect * s
            return [
                -p["absorption"] * gut,
                p["absorption"] * gut - p["clearance"] / p["volume"] * amount,
                p["effect_rate"] * (c / (p["ec50"] + c) - effect),
                p["growth"] * s * room - killed,
                p["growth"] * r * room,
                killed - p["clearing"] * dying,
                p["marker_made"] * (s + r) - p["marker_out"] * marker,
            ]

        start = (people.states[row[name], i] for name in ("sensitive", "resistant", "dying", "marker"))
        y = np.array([0.0, 0.0, 0.0, *start])
        for day in range(days):
            y[0] += dose
            y = solve_ivp(slopes, (0, 1), y, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
            now = np.array([column[i] for column in found[day]])
            assert np.abs(now - y[3:]).max() <= 1e-4 * np.abs(y[3:]).max()
            np.testing.assert_allclose(now, y[3:], rtol=1e-4)


def test_more_drug_shrinks_more_and_none_lets_grow() -> None:
    tumour = load("tumour")
    people = tumour.draw(64, 5)
    none, half, full = (tumour.run(people, dose, 4)[-1] for dose in (0.0, 50.0, 100.0))
    assert (none > people.traits["volume_at_start"]).all()
    assert (none > half).all()
    assert (half > full).all()


def test_a_number_the_population_lacks_or_misspells_is_said_with_its_line(tmp_path: Path) -> None:
    text = (FOLDER / "population.yaml").read_text(encoding="utf-8")
    (tmp_path / "population.yaml").write_text(text.replace("kill: {label", "kill: {lable"), encoding="utf-8")
    with pytest.raises(TrialrunError, match="lable") as caught:
        load("tumour").draw(4, 1, tmp_path / "population.yaml")
    line = next(i for i, part in enumerate(text.splitlines(), 1) if part.strip().startswith("kill:"))
    assert any(problem.location is not None and problem.location.line == line for problem in caught.value.problems)


def test_an_own_drug_stands_in_the_shipped_disease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    steeper = draw_subjects(read_population(FOLDER / "steeper.yaml"), 1, np.arange(32))
    shipped = draw_subjects(read_population(ROOT / "studies" / "venetoclax-rampup"), 1, np.arange(32))
    assert steeper.model.name == "steeper-cll"
    assert steeper.constants.tobytes() == shipped.constants.tobytes()  # the same people
    blood = []
    for subjects in (steeper, shipped):
        biology = Biology(subjects)
        for _ in range(7):
            biology.advance_day(np.full(32, 20.0), {})
        blood.append(biology.state("blood").copy())
    assert (blood[0] > blood[1]).all()  # 20 mg stays far below half kill, where a third power does almost nothing


def test_a_model_that_asks_for_a_number_nobody_has_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "greedy_model.py").write_text(
        "from dataclasses import replace\n"
        "from trialrun.simulate.model.library import venetoclax_cll\n"
        "from trialrun.simulate.model.module import Model\n"
        "first, *rest = venetoclax_cll().modules\n"
        "first = replace(first, constants=(*first.constants, 'hill_power'))\n"
        "GREEDY = Model('greedy', (first, *rest))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    population = read_population(ROOT / "studies" / "venetoclax-rampup").model_copy(
        update={"model": "greedy_model:GREEDY"}
    )
    with pytest.raises(TrialrunError, match="hill_power"):
        draw_subjects(population, 1, np.arange(2))


@pytest.mark.parametrize("name", ["no_such_package:MODEL", "json:MODEL", "json:dumps"])
def test_a_model_that_cannot_be_loaded_is_refused(name: str) -> None:
    with pytest.raises(TrialrunError) as caught:
        find_model(name, {})
    assert caught.value.problems[0].code == "unknown-model"


GOOD = Module("tumour", "grows", constants=("growth",), states={"size": "growth * size"})


def model_with(**changes: object) -> Model:
    return Model("mine", (replace(GOOD, **changes),))  # type: ignore[arg-type]


DRUG = Drug("growth", "growth", "growth", "1", {"drive": "concentration"})


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"states": {"size": "grwoth * size"}}, "unknown-name", "growth"),
        ({"states": {"size": "growth *"}}, "not-an-expression", "one expression"),
        ({"states": {"size": "growth ** 0.5"}}, "not-arithmetic", "exp(power * log(x))"),
        ({"states": {"size": "sin(size)"}}, "not-arithmetic", "sin"),
        ({"states": {"size": "max(size)"}}, "not-arithmetic", "max() takes 2 values, not 1"),
        ({"states": {"size": "size > 1"}}, "not-arithmetic", "where()"),
        ({"states": {"size": "where(size, 1, 0)"}}, "not-arithmetic", "where() asks no comparison"),
        ({"states": {"size": "where(0 < size < 1, 1, 0)"}}, "not-arithmetic", "more than one comparison"),
        ({"states": {"size": "True * size"}}, "not-arithmetic", "True is not a number"),
        ({"states": {"size": "size.real"}}, "not-arithmetic", "Attribute"),
        ({"states": {"size": "size % 2"}}, "not-arithmetic", "Mod"),
        ({"states": {"growth": "size"}}, "name-twice", "a new name"),
        ({"signals": {"fast": "size"}}, "unknown-name", "signal fast"),
        ({"daily": {"held": "tomorrow"}}, "unknown-name", "daily held"),
        ({"jumps": {"volume": "1"}}, "unknown-name", "no such state"),
        ({"restart": {"volume": "1"}}, "unknown-name", "no such state"),
        ({"decay": {"volume": "growth"}}, "unknown-name", "no state of it falls so"),
        ({"decay": {"size": "size"}}, "unknown-name", "fall of size"),
        ({"decay": {"size": "growth"}, "parts": 2}, "parts", "parts=1"),
        ({"lost": {"size": "growth"}, "parts": 4}, "parts", "modules of their own"),
        ({"parts": 3}, "parts", "1, 2 or 4"),
        ({"decay": {"size": "growth"}, "lost": {"size": "growth"}}, "falls-twice", "one of them"),
        ({"bends": {"risen": "size"}}, "unknown-name", "one of its terms"),
        ({"terms": {"a__b": "growth"}}, "two-underscores", "a_b"),
        ({"daily": {"part": "0.5 * growth"}, "jumps": {"size": "size + part"}}, "unknown-name", "jumps size"),
        ({"drug": DRUG, "restart": {"central": "0"}}, "unknown-name", "not a drug's"),
        ({"averaged": {"drive": "size"}}, "unknown-name", "one of its signals"),
        ({"signals": {"drive": "growth"}, "averaged": {"drive": "weight"}}, "unknown-name", "a state"),
        ({"drug": replace(DRUG, scale="1 / volume")}, "unknown-name", "drug scale"),
        ({"drug": replace(DRUG, absorption="absorbtion")}, "unknown-name", "drug absorption"),
        ({"drug": replace(DRUG, fast={"drive": "concentraton"})}, "unknown-name", "concentration"),
    ],
)
def test_a_slip_in_a_module_is_named(changes: dict[str, object], code: str, says: str) -> None:
    with pytest.raises(TrialrunError) as caught:
        model_with(**changes)
    assert code in {problem.code for problem in caught.value.problems}
    assert says in str(caught.value)
    assert "tumour" in str(caught.value)


@pytest.mark.parametrize("grid", [(0.5, 0.4), (1.5, -0.5), ()])
def test_steps_that_are_no_day_are_refused(grid: tuple[float, ...]) -> None:
    with pytest.raises(TrialrunError, match="steps of a day"):
        Model("mine", (GOOD,), grid=grid)


def test_a_floor_of_no_state_is_refused() -> None:
    with pytest.raises(TrialrunError, match="no such state"):
        Model("mine", (GOOD,), floors={"volume": 1.0})


def test_a_module_sees_only_what_stands_above_it() -> None:
    low = Module("lower", "is driven", states={"marker": "size - marker"})
    assert Model("mine", (GOOD, low)).states == ("size", "marker")
    with pytest.raises(TrialrunError, match="size"):
        Model("mine", (low, GOOD))


def test_exponential_growth_is_exact_to_the_order_of_the_method() -> None:
    states, constants, inputs = np.ones((1, 1, LANES)), np.full((1, 1, LANES), 0.3), np.zeros((1, 1, LANES))
    kernel = compile_model(Model("mine", (GOOD,)))
    assert kernel.advance(states, kernel.prepare(constants), inputs, 10) == 0
    np.testing.assert_allclose(states, np.exp(3.0), rtol=1e-7)


def test_two_drugs_with_the_same_numbers_go_the_same_way() -> None:
    def tablet(letter: str) -> Module:
        return Module(
            f"tablet {letter}",
            "gut and one compartment",
            constants=("ka", "ke"),
            inputs=(f"dose_{letter}",),
            jumps={f"gut_{letter}": f"gut_{letter} + dose_{letter}"},
            drug=Drug(
                "ka",
                "ke",
                "ka",
                "1",
                {f"drive_{letter}": "concentration / (1 + concentration)"},
                states=(f"gut_{letter}", f"blood_{letter}", f"site_{letter}", f"auc_{letter}"),
            ),
        )

    follow = Module("follow", "both", states={"first": "drive_a - first", "second": "drive_b - second"})
    model = Model("two drugs", (tablet("a"), tablet("b"), follow))
    states, inputs = np.zeros((1, len(model.states), LANES)), np.zeros((1, len(model.inputs), LANES))
    constants = np.stack([np.full((1, LANES), 8.0), np.full((1, LANES), 1.5)], axis=1)
    inputs[:, model.inputs.index("dose_a")] = 3.0
    inputs[:, model.inputs.index("dose_b")] = np.where(np.arange(LANES) < 8, 3.0, 0.0)
    kernel = compile_model(model)
    assert kernel.advance(states, kernel.prepare(constants), inputs, 5) >= 0
    at = {name: states[0, row] for row, name in enumerate(model.states)}
    for one, other in (("blood_a", "blood_b"), ("auc_a", "auc_b"), ("first", "second")):
        assert (at[one] > 0).all()
        assert at[one][:8].tobytes() == at[other][:8].tobytes()
        assert (at[other][8:] == 0).all()


DRUG = Drug("ka", "ke", "ke", "1", {"drive": "concentration"})


@pytest.mark.parametrize(
    ("modules", "more", "said"),
    [
        ((), {}, "has no module"),
        ((Module("tablet", "no jump", ("ka", "ke"), drug=DRUG),), {}, "given to nobody"),
        (
            (Module("tablet", "jump without a dose", ("ka", "ke"), jumps={"depot": "depot + ka"}, drug=DRUG),),
            {},
            "given to nobody",
        ),
        ((Module("a", "", states={"x": "-x"}), Module("a", "", states={"y": "-y"})), {}, "two modules have one name"),
        ((Module("a", "", ("unused",), states={"x": "-x"}),), {}, "declares a constant that nothing uses"),
        ((Module("a", "", inputs=("doose",), states={"x": "-x"}),), {}, "declares an input that nothing uses"),
        (
            (
                Module("a", "", states={"x": "-x"}, jumps={"x": "x + dose"}),
                Module("b", "", states={"y": "-y"}, jumps={"x": "x + 1"}),
            ),
            {},
            "two modules let a state jump",
        ),
        ((Module("a", "", states={"x": "x / 0"}),), {}, "a division by 0"),
        ((Module("a", "", states={"x": "-x"}),), {"floors": {"x": -1.0}}, "floor of x"),
        ((Module("a", "", states={"x": "-x"}),), {"tolerance": 0.0}, "step control"),
    ],
)
def test_what_would_go_through_without_a_word_is_refused(
    modules: tuple[Module, ...], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(TrialrunError, match=said):
        Model("slip", modules, **more)

"""A model solved from its text alone: every equation at every moment by SciPy, all subjects in one system.

It shares with the kernel the text of the equations and what holds for a day, nothing else: no nodes, no moments, no sums of
exponentials, no steps of its own. reference.py has the equations of the leukaemia once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from trialrun.plan.calendar import plan_version
from trialrun.plan.planned import plan_doses
from trialrun.protocol.read import read_protocol
from trialrun.simulate.biology import Biology
from trialrun.simulate.ensemble import SPREAD, find_ensemble, numbers_for, read_ensemble
from trialrun.simulate.model.module import Model
from trialrun.simulate.population import read_population
from trialrun.simulate.subjects import VirtualSubjects, draw_subjects

FloatArray = NDArray[np.float64]
_FUNCTIONS = {"exp": np.exp, "log": np.log, "max": np.maximum, "min": np.minimum, "where": np.where}
Values = dict[str, FloatArray]


def _code(text: str) -> Callable[[Values], FloatArray]:
    compiled = compile(text, text, "eval")
    return lambda values: eval(compiled, _FUNCTIONS, values)  # type: ignore[no-any-return]  # text of the model


class Plain:
    """The right-hand side of a model for n subjects; `constants` (constants, n) in the order of the model."""

    def __init__(self, model: Model, constants: FloatArray) -> None:
        self.model, self.n = model, constants.shape[1]
        self.constants = dict(zip(model.constants, constants, strict=True))
        self.moving = [step for module in model.modules for step in self._steps(module)]

    def _steps(self, module):  # type: ignore[no-untyped-def]
        """(kind, name, expression) in the order in which they are worked out."""
        if module.drug:
            depot, central, effect, exposure = module.drug.states
            drug, scale = module.drug, f"({module.drug.scale})"
            yield "value", "concentration", _code(f"{scale} * {central}")
            yield "value", "effect_site", _code(effect)
            yield "change", depot, _code(f"-({drug.absorption}) * {depot}")
            yield "change", central, _code(f"({drug.absorption}) * {depot} - ({drug.elimination}) * {central}")
            yield "change", effect, _code(f"({drug.effect}) * (concentration - {effect})")
            yield "change", exposure, _code("concentration")
            yield from (("value", name, _code(text)) for name, text in drug.fast.items())
        yield from (("value", name, _code(text)) for name, text in (*module.signals.items(), *module.terms.items()))
        for name, text in module.states.items():
            falls = [rates[name] for rates in (module.decay, module.lost) if name in rates]
            yield "change", name, _code(" - ".join((f"({text})", *(f"({rate}) * {name}" for rate in falls))))

    def day(self, states: FloatArray, inputs: Mapping[str, float], rtol: float) -> FloatArray:
        """States (states, n) a day later."""
        model, n = self.model, self.n
        held: Values = {**self.constants, **{name: np.full(n, inputs.get(name, 0.0)) for name in model.inputs}}
        now = dict(zip(model.states, states.copy(), strict=True))
        for module in model.modules:
            for name, text in module.jumps.items():
                now[name] = _code(text)({**held, **now})
        for module in model.modules:
            for name, text in module.daily.items():
                held[name] = _code(text)({**held, **now})
        for module in model.modules:
            for name, text in module.restart.items():
                now[name] = _code(text)({**held, **now})

        def slopes(_: float, y: FloatArray) -> FloatArray:
            values = held | dict(zip(model.states, y.reshape(-1, n), strict=True))
            change = {}
            for kind, name, value in self.moving:
                (values if kind == "value" else change)[name] = value(values)
            return np.concatenate([np.broadcast_to(change[name], n) for name in model.states])

        first = np.concatenate([now[name] for name in model.states])
        solved = solve_ivp(slopes, (0.0, 1.0), first, method="DOP853", rtol=rtol, atol=rtol * 1e-2)
        if not solved.success:
            raise ArithmeticError(solved.message)
        last: FloatArray = solved.y[:, -1].reshape(-1, n)
        return last


def solve_model(
    model: Model, states: FloatArray, constants: FloatArray, days: Sequence[Mapping[str, float]], rtol: float = 1e-10
) -> FloatArray:
    """States at the end of each day, (days, states, n)."""
    plain, kept = Plain(model, constants), []
    for inputs in days:
        states = plain.day(states, inputs, rtol)
        kept.append(states)
    return np.array(kept)


_STATES = (
    "neutrophils",
    "platelets",
    "hemoglobin",
    "urate",
    "phosphate",
    "potassium",
    "calcium",
    "creatinine",
    "filtration",
)
# Below these a relative error means nothing: a tenth of the inflammation of a flare of grade 1; cm2 of nodes.
FLOORS = {"inflammation": 0.02, "node_spd": 0.1}


def seen_by_rules(subjects: VirtualSubjects, states: FloatArray) -> Values:
    """What rules see of states (days, states, n), before measurement error; (days, n) by name."""
    at = {name: states[:, row] for row, name in enumerate(subjects.model.states)}
    own = subjects.traits
    inflammation = at["inflammation"]
    swollen = 1.0 + own["swelling"] * inflammation / (1.0 + own["swelling_saturation"] * inflammation)
    nodes = own["node_fraction"] * np.maximum(at["tissue"], 0.0) / own["cell_density"] * swollen
    return {
        **{name: at[name] for name in _STATES},
        "lymphocytes": np.maximum(at["blood"], 0.0) / own["blood_volume"] + own["normal_lymphocytes"],
        "node_spd": own["node_shape"] * nodes ** (2.0 / 3.0),
        "inflammation": inflammation,
    }


def planned_days(study: Path, days: int, version: str | None = None) -> list[dict[str, float]]:
    """Each day's dose by a version of a study's protocol (without a name the last), nothing held, with hydration and
    allopurinol at first."""
    protocol = read_protocol(study / "protocol.yaml")
    doses = [item.dose for item in plan_doses(plan_version(protocol.version(version)), -(-days // 28) + 1)]
    given = {"allopurinol": 1.0, "hydration": 1.0}
    return [{"dose": doses[day], **(given if day < 28 else {})} for day in range(days)]


def draw_half_from_sets(study: Path, n: int, seed: int) -> VirtualSubjects:
    """n subjects of a study, every second one with the numbers of a parameter set, each of another one."""
    population, index = read_population(study), np.arange(n)
    file = find_ensemble(study / "population.yaml")
    assert file is not None
    ensemble = read_ensemble(file)
    sets = np.random.default_rng(seed).choice(ensemble.sets, n, p=ensemble.weights)
    numbers = numbers_for(population, ensemble, seed, index + 1, sets)
    own = population.numbers()

    def stated(name: str) -> float:
        number = own[name.removesuffix(SPREAD)]
        if not name.endswith(SPREAD):
            return number.value
        assert number.variability is not None
        return number.variability.spread

    half = {name: np.where(index % 2 == 0, stated(name), values) for name, values in numbers.items()}
    return draw_subjects(population, seed, index, half)


def largest_errors(study: Path, n: int, seed: int, days: int, version: str | None = None) -> dict[str, float]:
    """The kernel's largest relative error of each value, over n random subjects of a study and all days."""
    subjects = draw_half_from_sets(study, n, seed)
    planned = planned_days(study, days, version)
    biology, found = Biology(subjects), []
    for today in planned:
        treatments = {name: np.full(n, given) for name, given in today.items() if name != "dose"}
        biology.advance_day(np.full(n, today["dose"]), treatments)
        found.append([biology.state(name).copy() for name in subjects.model.states])
    right = seen_by_rules(subjects, solve_model(subjects.model, subjects.states, subjects.constants, planned))
    mine = seen_by_rules(subjects, np.array(found))
    return {
        name: float((np.abs(mine[name] - value) / (np.abs(value) + FLOORS.get(name, 0.0))).max())
        for name, value in right.items()
    }

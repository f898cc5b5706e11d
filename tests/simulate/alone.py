"""One module of the model by itself: whatever it takes from above is given from outside, day by day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.biology import Biology
from trialrun.simulate.model.expressions import names_in
from trialrun.simulate.model.module import Model, Module
from trialrun.simulate.subjects import VirtualSubjects

FloatArray = NDArray[np.float64]
Given = Mapping[str, float | FloatArray]


def _texts(module: Module) -> Iterator[str]:
    kinds = (module.daily, module.jumps, module.signals, module.terms, module.states, module.restart, module.balances)
    kinds = (*kinds, module.decay, module.lost)
    for kind in kinds:
        yield from kind.values()
    if module.drug:
        yield from module.drug.fast.values()


def wanted(modules: tuple[Module, ...]) -> tuple[str, ...]:
    """Names that the modules use and do not make: what comes from above."""
    made = {"concentration", "effect_site"}
    for module in modules:
        made |= {*module.constants, *module.inputs, *module.states, *module.signals, *module.terms, *module.daily}
        made |= {*module.drug.states, *module.drug.fast} if module.drug else set()
    used = [name for module in modules for text in _texts(module) if text for name in names_in(text)]
    return tuple(dict.fromkeys(name for name in used if name not in made))


class Alone:
    """Modules for n subjects whose numbers are drawn, each of which may be replaced in `numbers`.

    `above` holds, by name, what modules above would say; `start` the states that do not start where subjects do.
    """

    def __init__(
        self, subjects: VirtualSubjects, modules: tuple[Module, ...], above: Given, numbers: Given, start: Given
    ) -> None:
        asked = wanted(modules)
        assert set(asked) == set(above), f"needs {sorted(asked)}"
        outside = Module(
            "beyond",
            "what modules above would say",
            inputs=tuple(f"{name}_given" for name in asked),
            daily={name: f"{name}_given" for name in asked},
            states={"beyond": "0"},
        )
        model = Model("alone", (outside, *modules), balances=True)
        n = self.n = subjects.index.size
        traits = {**subjects.traits, **numbers}
        constants = np.vstack([np.broadcast_to(traits[name], n) for name in model.constants])
        usual = dict(zip(subjects.model.states, subjects.states, strict=True))
        first = {**usual, **start}
        states = np.vstack([np.broadcast_to(first.get(name, 0.0), n) for name in model.states])
        self.numbers = {name: np.broadcast_to(traits[name], n) for name in model.constants}
        self.states = model.states
        self._above = dict(above)
        self._biology = Biology(replace(subjects, model=model, constants=constants, states=states))

    def __getitem__(self, name: str) -> FloatArray:
        return self._biology.state(name).copy()

    def everything(self) -> FloatArray:
        """All states, (states, n)."""
        return np.array([self[name] for name in self.states])

    def live(self, days: int = 1, dose: float = 0.0, **today: float | FloatArray) -> Alone:
        """So many days; `today` holds co-treatments and what differs from `above`."""
        given = {name: np.broadcast_to(value, self.n) for name, value in {**self._above, **today}.items()}
        for _ in range(days):
            self._biology.advance_day(np.full(self.n, dose), given)
        return self


NOTHING: Given = {}


def alone(
    subjects: VirtualSubjects,
    *modules: Module,
    above: Given = NOTHING,
    numbers: Given = NOTHING,
    start: Given = NOTHING,
) -> Alone:
    """`Alone` with nothing replaced unless it is said."""
    return Alone(subjects, modules, above, numbers, start)

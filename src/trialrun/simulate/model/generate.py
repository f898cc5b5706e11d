"""From a model to the program of its kernel: one function for each step of each module, over the lanes of a block.

A day is cut into the steps of the model's grid. Within a step the modules go one after the other, each by the classical
Runge-Kutta method of order 4 in straight-line code; what a module takes from above stands at three nodes, the start, the
middle and the end of the step (the middle of a state from the third-order interpolant of the method). The drug is exact,
and its fast signals reach the nodes with their 0th, 1st and 2nd moments over the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trialrun.simulate.model.driven import DRIVEN, LARGEST, driven_weights
from trialrun.simulate.model.exact_drug import (
    drug_advance,
    drug_begin,
    drug_end,
    drug_falls,
    drug_signals,
    fall_rows,
    rates_of,
    share_rows,
)
from trialrun.simulate.model.expressions import names_in
from trialrun.simulate.model.module import Drug, Model, driven_states
from trialrun.simulate.model.runge_kutta import EXPONENTIAL, exponential
from trialrun.simulate.model.statements import LANES as LANES
from trialrun.simulate.model.statements import NODES, Expression, Rows
from trialrun.simulate.model.steps import Steps


@dataclass(frozen=True, slots=True)
class Program:
    """Straight-line functions over rows of a working array, and how a day calls them.

    Each function is a list of statements `name = expression` or `w[row + l] = expression`; all lanes do the same. `w` are the
    working rows of a block, `c` the numbers of its subjects: constants first, then what `fixed` writes. `h` is the
    length of a step in days; for `begin` it is 1 over the parts that each step of the grid is cut into. `give` runs once a
    day, `fixed` before the first day and whenever `h` has changed, `begin` and `start` before a day's first step, `end` after
    its last; `steps` holds each step of the grid, its length and the names of the functions that it calls in order.

    With `single`, `start` and the functions of the steps work in single precision, on a copy of the first `stepped` rows, of
    which `fed` are brought over after `begin`, and of all numbers; before `end` states and errors come back, those of drugs
    apart, which come first and stay where they are. `d[row + l]` and `e[row + l]` are rows `w` and `c` in double precision
    also in these functions, `working(x)` brings x to theirs.
    """

    rows: int
    fed: int
    stepped: int
    drug_states: int
    single: bool
    states: int
    constants: int
    numbers: int
    inputs_at: int
    inputs: int
    errors_at: int
    functions: Mapping[str, tuple[str, ...]]
    steps: tuple[tuple[float, tuple[str, ...]], ...]
    doublings: int

    @property
    def stride(self) -> int:
        """Rows of float64 that the numbers of a block take: with `single` their copy stands behind them, two rows in one."""
        return self.numbers + (-(-self.numbers // 2) if self.single else 0)

    @property
    def text(self) -> str:
        """Everything, as text: what the kernel is named by."""
        parts = [f"{name}:\n" + "\n".join(lines) for name, lines in self.functions.items()]
        rows = (self.rows, self.fed, self.stepped, self.states, self.drug_states, self.inputs_at, self.inputs)
        plain = (*rows, self.errors_at, self.constants, self.numbers, self.single)
        return "\n".join((*parts, repr((*plain, self.steps, self.doublings))))


def generate(model: Model) -> Program:
    """The program of the kernel of this model."""
    return _Writer(model).program()


class _Writer:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.rows = Rows()
        # the first step, after the dose, is a size of its own: the drug takes more points of it
        self.sizes = (model.grid[0], *dict.fromkeys(model.grid[1:]))
        self.rows.add(*model.states)
        self.n_states = len(model.states)
        self.fixed = self._fixed_names()
        self.drugs = tuple(module.drug for module in model.modules if module.drug)
        self.inputs_at = self.rows.add(*model.inputs)
        daily = [name for module in model.modules for name in module.daily]
        self.rows.add(*(name for name in daily if name not in self.fixed))
        self.rows.add(*self._decay_rows(fixed=False))
        self.errors_at = self.rows.add("@error")
        self.fed = self.rows.size
        fast = [name for module in model.modules if module.drug for name in module.drug.fast]
        signals = [name for module in model.modules for name in module.signals]
        self.noded = (*fast, *signals, *self._read_at_nodes())
        self.jumping = self._jumping({*fast, *(name for module in model.modules for name in module.averaged)})
        self.rows.add(*(f"{name}@{node}" for name in self.noded for node in NODES))
        self.rows.add(*(f"{name}@last" for module in model.modules for name in module.averaged))
        self.stepped = self.rows.size
        self.rows.add_numbers(*model.constants)
        self.rows.add_numbers(*(name for name in daily if name in self.fixed), *self._decay_rows(fixed=True))
        for drug in self.drugs:
            known = self._known_parts(drug)
            others = [part for part in rates_of(drug) if part not in known]
            self.rows.add_numbers(*fall_rows(drug, len(self.sizes), known))
            self.rows.add(*fall_rows(drug, len(self.sizes), others), *share_rows(drug))

    def _decay_rows(self, fixed: bool) -> list[str]:
        return [
            f"{name}@{part}{size}"
            for module in self.model.modules
            for name, text in module.decay.items()
            if self._is_fixed(text) is fixed
            for size in range(len(self.sizes))
            for part in (DRIVEN if name in driven_states(module) else EXPONENTIAL)
        ]

    def _known_parts(self, drug: Drug) -> list[str]:
        """The exponentials of a drug that are the same on every day."""
        return [part for part, texts in rates_of(drug).items() if self._is_fixed(*texts)]

    def _read_at_nodes(self) -> list[str]:
        """States that are kept at the nodes: those that a later module uses, and those that are solved before the others of
        their module use them."""
        found: dict[str, None] = {}
        for i, module in enumerate(self.model.modules):
            states = {name for above in self.model.modules[:i] for name in above.states} | {*driven_states(module)}
            texts = (*module.signals.values(), *module.terms.values(), *module.states.values(), *module.lost.values())
            texts = (*texts, *(module.balances.values() if self.model.balances else ()))
            found |= {name: None for text in texts for name in names_in(text) if name in states}
        return list(found)

    def _jumping(self, averaged: set[str]) -> frozenset[str]:
        """Signals that are averaged over a step, and all that rest on them."""
        found = set(averaged)
        for module in self.model.modules:
            for name, text in module.signals.items():
                if not found.isdisjoint(names_in(text)):
                    found.add(name)
        return frozenset(found)

    def _fixed_names(self) -> frozenset[str]:
        """Constants, and daily values that follow from them alone: they are the same on every day."""
        known = set(self.model.constants)
        for module in self.model.modules:
            for name, text in module.daily.items():
                if known.issuperset(names_in(text)):
                    known.add(name)
        return frozenset(known)

    def _is_fixed(self, *texts: str) -> bool:
        return all(self.fixed.issuperset(names_in(text)) for text in texts)

    def program(self) -> Program:
        """All functions."""
        functions = {"give": tuple(self._give()), "fixed": tuple(self._fixed()), "begin": tuple(self._begin())}
        functions["start"] = tuple(self._start())
        calls: list[list[str]] = [[] for _ in self.sizes]
        steps = Steps(self.model, self.rows, self.noded, self.jumping)
        for i, module in enumerate(self.model.modules):
            for size in range(len(self.sizes)):
                if module.drug:
                    functions[f"drug_{i}_{size}"] = tuple(self._fast(module.drug, size))
                    calls[size].append(f"drug_{i}_{size}")
                # the weights of a state that falls by itself depend on the length of the step; all else does not
                own = size if module.decay else 0
                lines = functions.get(f"step_{i}_{own}") or tuple(steps.step(module, own))
                if lines:
                    functions[f"step_{i}_{own}"] = lines
                    calls[size].append(f"step_{i}_{own}")
        functions["end"] = tuple(self._end_of_day())
        model = self.model
        return Program(
            rows=self.rows.size // LANES,
            fed=self.fed // LANES,
            stepped=self.stepped // LANES,
            drug_states=sum(len(drug.states) for drug in self.drugs),
            single=model.single,
            states=self.n_states,
            constants=len(model.constants),
            numbers=len(self.rows.numbers),
            inputs_at=self.inputs_at // LANES,
            inputs=len(model.inputs),
            errors_at=self.errors_at // LANES,
            functions=functions,
            steps=tuple(
                (length, tuple(calls[self.sizes.index(length, 1) if i else 0])) for i, length in enumerate(model.grid)
            ),
            doublings=model.doublings,
        )

    def _give(self) -> Iterator[str]:
        write = Expression(self.rows.names())
        for module in self.model.modules:
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in module.jumps.items())

    def _fixed(self) -> Iterator[str]:
        """What depends on the constants and on the length of the steps alone."""
        write = Expression(self.rows.names())
        for module in self.model.modules:
            named = [(name, text) for name, text in module.daily.items() if name in self.fixed]
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in named)
        yield from self._falls(write, fixed=True)

    def _falls(self, write: Expression, fixed: bool) -> Iterator[str]:
        """How far what falls by itself has fallen at each point of the steps: for rates that are fixed, or for the others."""
        for module in self.model.modules:
            for name, text in module.decay.items():
                if self._is_fixed(text) is fixed:
                    weigh = driven_weights if name in driven_states(module) else exponential
                    for size, length in enumerate(self.sizes):
                        yield from weigh(self.rows, name, write(text), size, length)
        for drug in self.drugs:
            yield from drug_falls(drug, self.rows, write, self.sizes, self._known_parts(drug), fixed)

    def _begin(self) -> Iterator[str]:
        """Start of a day, in double precision: daily values, and the drug's shares."""
        write = Expression(self.rows.names())
        for module in self.model.modules:
            named = [(name, text) for name, text in module.daily.items() if name not in self.fixed]
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in named)
        # a driven state that falls too fast for the weights of its step needs shorter ones
        yield "fastest = 0.0"
        for module in self.model.modules:
            yield from (f"fastest = max(fastest, {write(module.decay[name])})" for name in driven_states(module))
        yield f"fast = h * {max(self.sizes)!r} * fastest - {LARGEST[self.model.single]!r}"
        yield f"{self.rows['@error']} = fast if fast > 0.0 else -1.0"
        yield from self._falls(write, fixed=False)
        for drug in self.drugs:
            yield from drug_begin(drug, self.rows, write)

    def _start(self) -> Iterator[str]:
        """Start of a day, in the precision of the steps: restarts, and what is kept at the nodes."""
        write = Expression(self.rows.names())
        for module in self.model.modules:
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in module.restart.items())
        states = [name for name in self.noded if name in self.rows.at]
        yield from (f"{self.rows[f'{name}@2']} = {self.rows[name]}" for name in states)
        for drug in self.drugs:
            yield f"effect_site = working({self.rows.exact(drug.states[2])})"
            central, scale = self.rows.exact(drug.states[1]), self.rows.exact(f"@scale_{drug.states[1]}")
            yield f"concentration = working({central} * {scale})"
            write = Expression(self.rows.names({"effect_site": "effect_site", "concentration": "concentration"}))
            yield from (f"{self.rows[f'{name}@2']} = {write(text)}" for name, text in drug.fast.items())
        write = Expression(self.rows.names({name: self.rows[f"{name}@2"] for name in self.noded}))
        for module in self.model.modules:
            for name, text in module.signals.items():
                yield f"{self.rows[f'{name}@2']} = {write(text)}"
                if name in module.averaged:
                    yield f"{self.rows[f'{name}@last']} = {self.rows[f'{name}@2']}"

    def _fast(self, drug: Drug, size: int) -> Iterator[str]:
        """Nodal values of the drug's signals over a step, and the drug at its end."""
        yield from drug_signals(drug, self.rows, self.rows.names(), size)
        yield from drug_advance(drug, self.rows, size)

    def _end_of_day(self) -> Iterator[str]:
        for drug in self.drugs:
            yield from drug_end(drug, self.rows)
        # a state that is no number makes the sum no number, and the day is not accepted
        yield f"total = {' + '.join(self.rows[name] for name in self.model.states)}"
        yield "odd = total - total"
        yield f"{self.rows['@error']} = {self.rows['@error']} if odd == 0.0 else 1.0"

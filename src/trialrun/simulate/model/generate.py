"""From a model to the program of its kernel: one function for each step of each module, over the lanes of a block.

A day is cut into the steps of the model's grid. Within a step the modules go one after the other, each by the classical
Runge-Kutta method of order 4 in straight-line code; what a module takes from above stands at three nodes, the start, the
middle and the end of the step (the middle of a state from the third-order interpolant of the method). The drug is exact,
and its fast signals reach the nodes with their 0th, 1st and 2nd moments over the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
from trialrun.simulate.model.module import Drug, Model, Module, names_in
from trialrun.simulate.model.runge_kutta import EXPONENTIAL, exponential, guess, step_end, step_middle
from trialrun.simulate.model.statements import LANES as LANES
from trialrun.simulate.model.statements import NODES, Expression, Rows


@dataclass(frozen=True, slots=True)
class Program:
    """Straight-line functions over rows of a working array, and how a day calls them.

    Each function is a list of statements `name = expression` or `w[row + l] = expression`; all lanes do the same. `h` is the
    length of a step in days; for `begin` it is 1 over the parts that each step of the grid is cut into. `give` runs once a
    day, `fixed` before the first day and whenever `h` has changed, `begin` before a day's first step, `end` after its last;
    `steps` holds each step of the grid, its length and the names of the functions that it calls in order. What `fixed`
    writes stands behind the constants, `numbers` rows with them.

    With `single` the functions of the steps work on a copy in single precision of the first `stepped` rows, made after
    `begin`; before `end` states and errors come back, those of drugs apart, which come first and stay where they are.
    `d[row + l]` is a row in double precision also in these functions, `working(x)` brings x to theirs.
    """

    rows: int
    stepped: int
    drug_states: int
    single: bool
    states: int
    constants_at: int
    constants: int
    numbers: int
    inputs_at: int
    inputs: int
    errors_at: int
    functions: Mapping[str, tuple[str, ...]]
    steps: tuple[tuple[float, tuple[str, ...]], ...]
    doublings: int

    @property
    def text(self) -> str:
        """Everything, as text: what the kernel is named by."""
        parts = [f"{name}:\n" + "\n".join(lines) for name, lines in self.functions.items()]
        rows = (self.rows, self.stepped, self.states, self.drug_states, self.inputs_at, self.inputs, self.errors_at)
        plain = (*rows, self.constants_at, self.constants, self.numbers, self.single)
        return "\n".join((*parts, repr((*plain, self.steps, self.doublings))))


def generate(model: Model) -> Program:
    """The program of the kernel of this model."""
    return _Writer(model).program()


class _Writer:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.rows = Rows()
        self.sizes = tuple(dict.fromkeys(model.grid))
        self.rows.add(*model.states)
        self.n_states = len(model.states)
        self.fixed = self._fixed_names()
        self.inputs_at = self.rows.add(*model.inputs)
        daily = [name for module in model.modules for name in module.daily]
        self.rows.add(*(name for name in daily if name not in self.fixed))
        fast = [name for module in model.modules if module.drug for name in module.drug.fast]
        signals = [name for module in model.modules for name in module.signals]
        self.noded = (*fast, *signals, *self._read_below())
        self.rows.add(*(f"{name}@{node}" for name in self.noded for node in NODES))
        self.rows.add(*self._decay_rows(fixed=False))
        self.errors_at = self.rows.add("@error")
        self.constants_at = self.rows.add(*model.constants)
        self.rows.add(*(name for name in daily if name in self.fixed), *self._decay_rows(fixed=True))
        self.stepped = self.rows.size
        drugs = [module.drug for module in model.modules if module.drug]
        for drug in drugs:
            self.rows.add(*fall_rows(drug, len(self.sizes), self._known_parts(drug)))
        self.numbers = self.rows.size - self.constants_at
        for drug in drugs:
            known = self._known_parts(drug)
            others = [part for part in rates_of(drug) if part not in known]
            self.rows.add(*fall_rows(drug, len(self.sizes), others), *share_rows(drug))

    def _decay_rows(self, fixed: bool) -> list[str]:
        parts = [f"{part}{size}" for size in range(len(self.sizes)) for part in EXPONENTIAL]
        falls = [item for module in self.model.modules for item in module.decay.items()]
        return [f"{name}@{part}" for name, text in falls if self._is_fixed(text) is fixed for part in parts]

    def _known_parts(self, drug: Drug) -> list[str]:
        """The exponentials of a drug that are the same on every day."""
        return [part for part, texts in rates_of(drug).items() if self._is_fixed(*texts)]

    def _read_below(self) -> list[str]:
        """States that a later module uses: they are kept at the nodes."""
        found: dict[str, None] = {}
        for i, module in enumerate(self.model.modules):
            states = {name for above in self.model.modules[:i] for name in above.states}
            texts = (*module.signals.values(), *module.terms.values(), *module.states.values())
            texts = (*texts, *(module.balances.values() if self.model.balances else ()))
            found |= {name: None for text in texts for name in names_in(text) if name in states}
        return list(found)

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
        calls: list[list[str]] = [[] for _ in self.sizes]
        for i, module in enumerate(self.model.modules):
            for size in range(len(self.sizes)):
                if module.drug:
                    functions[f"drug_{i}_{size}"] = tuple(self._fast(module.drug, size))
                    calls[size].append(f"drug_{i}_{size}")
                # the weights of a state that falls by itself depend on the length of the step; all else does not
                own = size if module.decay else 0
                lines = functions.get(f"step_{i}_{own}") or tuple(self._step(module, own))
                if lines:
                    functions[f"step_{i}_{own}"] = lines
                    calls[size].append(f"step_{i}_{own}")
        functions["end"] = tuple(self._end_of_day())
        model = self.model
        return Program(
            rows=self.rows.size // LANES,
            stepped=self.stepped // LANES,
            drug_states=sum(len(module.drug.states) for module in model.modules if module.drug),
            single=model.single,
            states=self.n_states,
            constants_at=self.constants_at // LANES,
            constants=len(model.constants),
            numbers=self.numbers // LANES,
            inputs_at=self.inputs_at // LANES,
            inputs=len(model.inputs),
            errors_at=self.errors_at // LANES,
            functions=functions,
            steps=tuple((length, tuple(calls[self.sizes.index(length)])) for length in model.grid),
            doublings=model.doublings,
        )

    def _names(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Every row by its name; states at the start of the day."""
        return {**{name: self.rows[name] for name in self.rows.at if "@" not in name}, **(extra or {})}

    def _give(self) -> Iterator[str]:
        write = Expression(self._names())
        for module in self.model.modules:
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in module.jumps.items())

    def _fixed(self) -> Iterator[str]:
        """What depends on the constants and on the length of the steps alone."""
        write = Expression(self._names())
        for module in self.model.modules:
            named = [(name, text) for name, text in module.daily.items() if name in self.fixed]
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in named)
        yield from self._falls(write, fixed=True)

    def _falls(self, write: Expression, fixed: bool) -> Iterator[str]:
        """How far what falls by itself has fallen at each point of the steps: for rates that are fixed, or for the others."""
        for module in self.model.modules:
            for name, text in module.decay.items():
                if self._is_fixed(text) is fixed:
                    for size, length in enumerate(self.sizes):
                        yield from exponential(self.rows, name, write(text), size, length)
        for module in self.model.modules:
            if module.drug:
                known = self._known_parts(module.drug)
                yield from drug_falls(module.drug, self.rows, write, self.sizes, known, fixed)

    def _begin(self) -> Iterator[str]:
        """Start of a day: daily values, restarts, nodes at the start, the drug's shares."""
        write = Expression(self._names())
        for module in self.model.modules:
            named = [(name, text) for name, text in module.daily.items() if name not in self.fixed]
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in named)
        for module in self.model.modules:
            yield from (f"{self.rows[name]} = {write(text)}" for name, text in module.restart.items())
        yield from (f"{self.rows[f'{name}@2']} = {self.rows[name]}" for name in self._read_below())
        # a drug that comes on from nothing sweeps its effects through their whole range: such a day is cut finer at once
        cuts = [module.drug.rising for module in self.model.modules if module.drug and module.drug.rising]
        yield "coarse = -1.0"
        yield from (f"coarse = max(coarse, {write(text)})" for text in cuts)
        yield "coarse = coarse if h > 0.75 else -1.0"
        yield f"{self.rows['@error']} = 1.0 if coarse > 0.0 else -1.0"
        yield from self._falls(write, fixed=False)
        for module in self.model.modules:
            if module.drug:
                yield from drug_begin(module.drug, self.rows, write)
        fast = {name for module in self.model.modules if module.drug for name in module.drug.fast}
        at_start = {name: self.rows[f"{name}@2"] for name in self.noded}
        drugs = [module.drug for module in self.model.modules if module.drug]
        for drug in drugs:
            local = self._names({"effect_site": f"{self.rows[drug.states[2]]}", "concentration": "concentration"})
            yield f"concentration = {self.rows[drug.states[1]]} * {self.rows['@scale_' + drug.states[1]]}"
            for name, text in drug.fast.items():
                yield f"{self.rows[f'{name}@2']} = {Expression(local)(text)}"
        write = Expression(self._names(at_start))
        for module in self.model.modules:
            for name, text in module.signals.items():
                if name not in fast:
                    yield f"{self.rows[f'{name}@2']} = {write(text)}"

    def _fast(self, drug: Drug, size: int) -> Iterator[str]:
        """Nodal values of the drug's signals over a step, and the drug at its end."""
        yield from drug_signals(drug, self.rows, self._names(), size)
        yield from drug_advance(drug, self.rows, size)

    def _step(self, module: Module, size: int) -> Iterator[str]:
        """One step of one module in every lane."""
        model, rows = self.model, self.rows
        equations = {**module.states, **(module.balances if model.balances else {})}
        texts = (*module.terms.values(), *equations.values(), *module.lost.values())
        used = {name for text in texts for name in names_in(text)}
        above = [name for name in self.noded if name in used and name not in module.states]
        for name in module.signals:
            yield f"{rows[f'{name}@0']} = {rows[f'{name}@2']}"
        for node in ("1", "2"):
            at_node = {name: rows[f"{name}@{node}"] for name in self.noded}
            for name, text in module.signals.items():
                yield f"{rows[f'{name}@{node}']} = {Expression(self._names(at_node))(text)}"
        if not equations:
            return
        for name in equations:
            yield f"y_{name} = {rows[name]}"
        if module.lost:
            yield from self._factors(module, above)
        for name in above:
            yield from (f"{name}_n{node} = {rows[f'{name}@{node}']}" for node in NODES)
        if not module.halved:
            yield from self._stages(module, equations, above, {1: "n0", 2: "n1", 4: "n2"}, size)
            for name in equations:
                yield f"{rows[name]} = {step_end(rows, module, name, size)}"
                if name in self.noded:
                    yield f"{rows[f'{name}@1']} = {step_middle(rows, module, name, size)}"
        else:
            # two steps of half the length; what drives them is read off its quadratic
            yield "whole = h"
            yield "h = 0.5 * whole"
            for name in above:
                first, middle, last = (f"{name}_n{node}" for node in NODES)
                yield f"{name}_early = 0.375 * {first} + 0.75 * {middle} - 0.125 * {last}"
                yield f"{name}_late = 0.375 * {last} + 0.75 * {middle} - 0.125 * {first}"
            for half, nodes in enumerate(({1: "n0", 2: "early", 4: "n1"}, {1: "n1", 2: "late", 4: "n2"})):
                yield from self._stages(module, equations, above, nodes, size)
                for name in equations:
                    yield f"y_{name} = {step_end(rows, module, name, size)}"
                    if name in self.noded and not half:
                        yield f"{rows[f'{name}@1']} = y_{name}"
            yield from (f"{rows[name]} = y_{name}" for name in equations)
        for name in equations:
            if name in self.noded:
                yield f"{rows[f'{name}@0']} = {rows[f'{name}@2']}"
                yield f"{rows[f'{name}@2']} = {rows[name]}"

    def _stages(
        self, module: Module, equations: Mapping[str, str], above: list[str], nodes: Mapping[int, str], size: int
    ) -> Iterator[str]:
        """The four slopes of one step; `nodes` names the values of what drives the module at stages 1, 2 (and 3), 4."""
        for stage in (1, 2, 3, 4):
            local = {name: f"{name}_{stage}" for name in (*module.states, *module.terms)}
            local |= {name: f"{name}_{nodes[2 if stage == 3 else stage]}" for name in above}
            for name in module.states:
                yield f"{name}_{stage} = {guess(self.rows, module, name, stage, size)}"
            write = Expression(self._names(local))
            yield from (f"{name}_{stage} = {write(text)}" for name, text in module.terms.items())
            yield from (f"k{stage}_{name} = {write(text)}" for name, text in equations.items())
            if stage == 3 and module.states:
                yield from self._judge(module)

    def _factors(self, module: Module, above: list[str]) -> Iterator[str]:
        """What is left of a state after the drug's loss over each half of the step."""
        for name, text in module.lost.items():
            for node in NODES:
                local = {above_name: self.rows[f"{above_name}@{node}"] for above_name in above}
                yield f"u{node}_{name} = {Expression(self._names(local))(text)}"
            u0, u1, u2 = (f"u{node}_{name}" for node in NODES)
            yield f"early_{name} = exp(-h / 24.0 * (5.0 * {u0} + 8.0 * {u1} - {u2}))"
            yield f"late_{name} = exp(-h / 24.0 * (5.0 * {u2} + 8.0 * {u1} - {u0}))"

    def _judge(self, module: Module) -> Iterator[str]:
        """Two slopes at the same time, taken at two guesses of the state: their difference tells how stiff the step is.

        It is free of what only drives the module, whose nodal values jump from step to step.
        """
        error = self.rows["@error"]
        yield f"error = {error}"
        for name in module.states:
            floor = self.model.floors.get(name, self.model.floor)
            size = f"{self.model.tolerance!r} * (abs(y_{name}) + {floor!r})"
            yield f"gap = abs(k2_{name} - k3_{name}) * h - {size}"
            yield "error = error if gap <= error else gap"
        yield f"{error} = error"

    def _end_of_day(self) -> Iterator[str]:
        for module in self.model.modules:
            if module.drug:
                yield from drug_end(module.drug, self.rows)
        # a state that is no number makes the sum no number, and the day is not accepted
        yield f"total = {' + '.join(self.rows[name] for name in self.model.states)}"
        yield "odd = total - total"
        yield f"{self.rows['@error']} = {self.rows['@error']} if odd == 0.0 else 1.0"

"""One step of one module: its signals at the nodes, what is solved exactly, and the rest by Runge-Kutta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trialrun.simulate.model.driven import APART, AVERAGE_TOLERANCE, AVERAGED, BEND_TOLERANCE, between, driven_step
from trialrun.simulate.model.expressions import names_in
from trialrun.simulate.model.module import Model, Module, driven_states
from trialrun.simulate.model.runge_kutta import guess, rise, stages_sum, step_end, step_middle
from trialrun.simulate.model.statements import NODES, Expression, Rows


@dataclass(frozen=True, slots=True)
class Steps:
    """Writes the steps of the modules of a model over its rows. `noded` is what stands at the nodes of a step, `jumping` what of
    it keeps the moments of a step, so that it jumps from the end of one to the start of the next."""

    model: Model
    rows: Rows
    noded: Sequence[str]
    jumping: frozenset[str]

    def step(self, module: Module, size: int) -> Iterator[str]:
        """One step of one module in every lane."""
        model, rows = self.model, self.rows
        equations = {**module.states, **(module.balances if model.balances else {})}
        texts = (*module.terms.values(), *equations.values(), *module.lost.values())
        used = {name for text in texts for name in names_in(text)}
        driven = driven_states(module)
        above = [name for name in self.noded if name in used and (name not in module.states or name in driven)]
        yield from self._signals(module)
        for name in driven:
            goals = []
            for node in NODES:
                local = self.rows.names({other: rows[f"{other}@{node}"] for other in self.noded})
                for term, text in self._needed(module, name):
                    yield f"{term}__g{node} = {Expression(local)(text)}"
                    local[term] = f"{term}__g{node}"
                goals.append(Expression(local)(module.states[name]))
            yield from driven_step(rows, name, Expression(self.rows.names())(module.decay[name]), goals, size)
        equations = {name: text for name, text in equations.items() if name not in driven}
        if not equations:
            return
        for name in equations:
            yield f"y__{name} = {rows[name]}"
        if module.lost:
            yield from self._factors(module, above)
        for name in above:
            yield from (f"{name}__n{node} = {rows[f'{name}@{node}']}" for node in NODES)
        if module.parts == 1:
            yield from self._stages(module, equations, above, {1: "n0", 2: "n1", 4: "n2"}, size)
            for name in equations:
                yield f"{rows[name]} = {step_end(rows, module, name, size)}"
                if name in self.noded:
                    yield f"{rows[f'{name}@1']} = {step_middle(rows, module, name, size)}"
        else:
            # shorter steps; what drives them is read off its quadratic
            yield "whole = h"
            yield from (f"first__{name} = y__{name}" for name in equations)
            yield f"h = {1.0 / module.parts!r} * whole"
            points = {module.parts * node: f"n{node}" for node in range(3)}
            for at in range(1, 2 * module.parts):
                if at not in points:
                    points[at] = f"p{at}"
                    for name in above:
                        three = [f"{name}__n{node}" for node in NODES]
                        yield f"{name}__p{at} = {between(three, at / (2 * module.parts))}"
            for part in range(module.parts):
                nodes = {stage: points[2 * part + at] for stage, at in ((1, 0), (2, 1), (4, 2))}
                yield from self._stages(module, equations, above, nodes, size)
                for name in equations:
                    # what the parts add is summed by itself, so that rounding takes from the state once
                    yield f"risen__{name} = {f'risen__{name} + ' if part else ''}{rise(name)}"
                    if name in self.noded:
                        yield f"sum__{name} = {f'sum__{name} + ' if part else ''}{stages_sum(name)}"
                    yield f"y__{name} = first__{name} + risen__{name}"
            for name in equations:
                yield f"{rows[name]} = y__{name}"
                if name in self.noded:
                    # so that what is taken from the state in proportion to it is what others are given
                    mean = f"{1.0 / (6 * module.parts)!r} * sum__{name}"
                    yield f"{rows[f'{name}@1']} = 1.5 * ({mean}) - 0.25 * (first__{name} + y__{name})"
        for name in equations:
            if name in self.noded:
                yield f"{rows[f'{name}@0']} = {rows[f'{name}@2']}"
                yield f"{rows[f'{name}@2']} = {rows[name]}"

    def _signals(self, module: Module) -> Iterator[str]:
        """Signals at the three nodes; those that are averaged by their moments over the step."""
        rows = self.rows
        for name, text in module.signals.items():
            first, middle, last = (rows[f"{name}@{node}"] for node in NODES)
            if name in module.averaged:
                yield from self._average(name, text, module.averaged[name])
                continue
            at = {node: self.rows.names({other: rows[f"{other}@{node}"] for other in self.noded}) for node in NODES}
            # nodes that keep the moments of a step jump from the end of one to the start of the next
            yield f"{first} = {Expression(at['0'])(text) if name in self.jumping else last}"
            yield f"{middle} = {Expression(at['1'])(text)}"
            yield f"{last} = {Expression(at['2'])(text)}"

    def _average(self, name: str, text: str, drives: str) -> Iterator[str]:
        """A signal at several points, and what they add to its nodes; its value at the end of a step begins the next."""
        rows = self.rows
        used = [other for other in self.noded if other in names_in(text)]
        write = Expression(self.rows.names({other: f"{other}__x" for other in used}))
        # its value at the end of the step before, unless what it rests on jumps
        jumps = not self.jumping.isdisjoint(names_in(text))
        yield f"value = {rows[f'{name}@last']}"
        for i, (x, *shares) in enumerate(zip(AVERAGED[0], *AVERAGED[1], strict=True)):
            if i or jumps:
                for other in used:
                    yield f"{other}__x = {between([rows[f'{other}@{node}'] for node in NODES], x)}"
                yield f"value = {write(text)}"
            yield f"apart = {'apart + ' if i else ''}{APART[i]!r} * value"
            before = (f"{name}__{node} + " if i else "" for node in NODES)
            yield from (
                f"{name}__{node} = {start}{share!r} * value"
                for node, start, share in zip(NODES, before, shares, strict=True)
            )
        yield f"{rows[f'{name}@last']} = value"
        yield from (f"{rows[f'{name}@{node}']} = {name}__{node}" for node in NODES)
        yield from self._judge_bend(f"abs(apart) * (h * {1.0 / 180.0!r})", drives, AVERAGE_TOLERANCE)

    def _judge_bend(self, change: str, drives: str, tolerance: float) -> Iterator[str]:
        """What another rule makes of the same points tells how sharply something bends within the step, and what that changes in
        the state which it drives."""
        error, floor = self.rows["@error"], self.model.floors.get(drives, self.model.floor)
        allowed = f"({tolerance!r} * abs({self.rows[drives]}) + {tolerance * floor!r})"
        yield f"{error} = max({error}, {change} - {allowed})"

    def _needed(self, module: Module, state: str) -> list[tuple[str, str]]:
        """The terms that the equation of a state uses, itself or by way of others, in their order."""
        used = {*names_in(module.states[state])}
        found = []
        for term, text in reversed([*module.terms.items()]):
            if term in used:
                used |= {*names_in(text)}
                found.append((term, text))
        return found[::-1]

    def _stages(
        self, module: Module, equations: Mapping[str, str], above: list[str], nodes: Mapping[int, str], size: int
    ) -> Iterator[str]:
        """The four slopes of one step; `nodes` names the values of what drives the module at stages 1, 2 (and 3), 4."""
        for stage in (1, 2, 3, 4):
            states = [name for name in module.states if name in equations]
            local = {name: f"{name}__{stage}" for name in (*states, *module.terms)}
            local |= {name: f"{name}__{nodes[2 if stage == 3 else stage]}" for name in above}
            for name in states:
                yield f"{name}__{stage} = {guess(self.rows, module, name, stage, size)}"
            write = Expression(self.rows.names(local))
            yield from (f"{name}__{stage} = {write(text)}" for name, text in module.terms.items())
            yield from (f"k{stage}__{name} = {write(text)}" for name, text in equations.items())
            if stage == 3 and states:
                yield from self._judge(states)
        for name, drives in module.bends.items():
            # what the middle alone would make of the step, and the four stages together
            apart = f"{name}__1 - {name}__2 - {name}__3 + {name}__4"
            yield from self._judge_bend(f"abs({apart}) * (h * {1.0 / 6.0!r})", drives, BEND_TOLERANCE)

    def _factors(self, module: Module, above: list[str]) -> Iterator[str]:
        """What is left of a state after the drug's loss over each half of the step."""
        for name, text in module.lost.items():
            for node in NODES:
                local = {above_name: self.rows[f"{above_name}@{node}"] for above_name in above}
                yield f"u{node}__{name} = {Expression(self.rows.names(local))(text)}"
            u0, u1, u2 = (f"u{node}__{name}" for node in NODES)
            yield f"early__{name} = exp(-h / 24.0 * (5.0 * {u0} + 8.0 * {u1} - {u2}))"
            yield f"late__{name} = exp(-h / 24.0 * (5.0 * {u2} + 8.0 * {u1} - {u0}))"

    def _judge(self, states: Sequence[str]) -> Iterator[str]:
        """Two slopes at the same time, taken at two guesses of the state: their difference tells how stiff the step is.

        It is free of what only drives the module, whose nodal values jump from step to step.
        """
        error = self.rows["@error"]
        yield f"error = {error}"
        for name in states:
            floor = self.model.floors.get(name, self.model.floor)
            allowed = f"({self.model.tolerance!r} * abs(y__{name}) + {self.model.tolerance * floor!r})"
            yield f"error = max(error, abs(k2__{name} - k3__{name}) * h - {allowed})"
        yield f"{error} = error"

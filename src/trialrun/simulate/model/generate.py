"""From a model to the program of its kernel: one function for each step of each module, over the lanes of a block.

A day is cut into equal steps. Within a step the modules go one after the other, each by the classical Runge-Kutta method
of order 4 in straight-line code; what a module takes from above stands at three nodes, the start, the middle and the
end of the step (the middle of a state from the third-order interpolant of the method). The drug is exact, and its fast
signals reach the nodes with their 0th, 1st and 2nd moments over the step.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.model.module import Drug, Model, Module, names_in

LANES = 16  # subjects in a block
_NODES = ("0", "1", "2")


class Expression:
    """Text of an expression with its names replaced; whole powers are written out, `where` becomes a choice."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def __call__(self, text: str) -> str:
        """The expression as source."""
        return self._of(ast.parse(text, mode="eval").body)

    def _of(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=value):
                return repr(float(value))  # type: ignore[arg-type]
            case ast.Name(id=name):
                return self._names[name]
            case ast.UnaryOp(operand=operand):
                return f"(-{self._of(operand)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))) if power > 0:
                return "(" + " * ".join([self._of(left)] * power) + ")"
            case ast.BinOp(left=left, op=op, right=right):
                sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}[type(op)]
                return f"({self._of(left)} {sign} {self._of(right)})"
            case ast.Call(func=ast.Name(id="where"), args=[ast.Compare() as condition, then, other]):
                sign = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<="}[type(condition.ops[0])]
                asked = f"{self._of(condition.left)} {sign} {self._of(condition.comparators[0])}"
                return f"({self._of(then)} if {asked} else {self._of(other)})"
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return f"{function}({', '.join(self._of(argument) for argument in arguments)})"
        raise ValueError(ast.dump(node))  # the model has been checked before


class Rows:
    """Where each row of LANES numbers begins in the working array of a block."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}

    def add(self, *names: str) -> int:
        """Append rows; returns where the first begins."""
        first = len(self.at) * LANES
        for name in names:
            self.at[name] = len(self.at) * LANES
        return first

    def __getitem__(self, name: str) -> str:
        return f"w[{self.at[name]} + l]"

    @property
    def size(self) -> int:
        """Length of the working array."""
        return len(self.at) * LANES


def nodes_of(points: Sequence[float], weights: Sequence[float]) -> list[list[float]]:
    """What each point of a quadrature rule on [0, 1] adds to the three nodal values that keep three moments.

    The quadratic with the moments m0, m1 (about 1/2) and m2 (of (x - 1/2)^2 - 1/12) is
    m0 + 12 m1 (x - 1/2) + 180 m2 ((x - 1/2)^2 - 1/12); it is read at 0, 1/2 and 1.
    """
    x, w = np.asarray(points) - 0.5, np.asarray(weights)
    first, second = w * x, w * (x * x - 1.0 / 12.0)
    nodes = (w - 6 * first + 30 * second, w - 15 * second, w + 6 * first + 30 * second)
    return [node.tolist() for node in nodes]


def _gauss(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, w = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, w / 2


Rule = tuple[list[float], list[list[float]]]


@cache
def rule_of(first: bool) -> Rule:
    """Points (in steps) and their shares in the nodes. In the step after the dose the concentration rises within the hour,
    and what saturates with it within minutes: there the points of Gauss stand at u^3, close together at the start."""
    u, w = _gauss(8 if first else 3)
    points, weights = (u**3, 3 * u**2 * w) if first else (u, w)
    return points.tolist(), nodes_of(points.tolist(), weights.tolist())


@dataclass(frozen=True, slots=True)
class Program:
    """Straight-line functions over rows of a working array, and how a day calls them.

    Each function is a list of statements `name = expression` or `w[row + l] = expression`; all lanes do the same. `h` is the
    length of a step in days; for `begin` it is 1 over the parts that each step of the grid is cut into. `give` runs once a
    day, `fixed` before the first day and whenever `h` has changed, `begin` before a day's first step, `end` after its last;
    `steps` holds each step of the grid, its length and the names of
    the functions that it calls in order.
    """

    rows: int
    states: int
    constants_at: int
    constants: int
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
        plain = (self.rows, self.states, self.constants_at, self.constants, self.inputs_at, self.inputs, self.errors_at)
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
        self.constants_at = self.rows.add(*model.constants)
        self.inputs_at = self.rows.add(*model.inputs)
        self.rows.add(*(name for module in model.modules for name in module.daily))
        fast = [name for module in model.modules if module.drug for name in module.drug.fast]
        signals = [name for module in model.modules for name in module.signals]
        self.noded = (*fast, *signals, *self._read_below())
        self.rows.add(*(f"{name}@{node}" for name in (*fast, *signals, *self._read_below()) for node in _NODES))
        for module in model.modules:
            if module.drug:
                self.rows.add(*_drug_rows(module.drug, len(self.sizes)))
        for module in model.modules:
            parts = [f"{part}{size}" for size in range(len(self.sizes)) for part in _EXPONENTIAL]
            self.rows.add(*(f"{name}@{part}" for name in module.decay for part in parts))
        self.errors_at = self.rows.add("@error")

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
            states=self.n_states,
            constants_at=self.constants_at // LANES,
            constants=len(model.constants),
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
                        yield from _exponential(self.rows, name, write(text), size, length)
        for module in self.model.modules:
            if module.drug:
                rates = _rates(module.drug)
                known = [part for part, texts in rates.items() if self._is_fixed(*texts)]
                yield from _drug_falls(module.drug, self.rows, write, self.sizes, known, fixed)

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
        rising = [write(module.drug.rising) for module in self.model.modules if module.drug and module.drug.rising]
        coarse = " + ".join(f"({text})" for text in rising) or "-1.0"
        yield f"coarse = {coarse}"
        yield "coarse = coarse if h > 0.75 else -1.0"
        yield f"{self.rows['@error']} = 1.0 if coarse > 0.0 else -1.0"
        yield from self._falls(write, fixed=False)
        for module in self.model.modules:
            if module.drug:
                yield from _drug_begin(module.drug, self.rows, write)
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
        yield from _drug_signals(drug, self.rows, self._names(), size)
        yield from _drug_advance(drug, self.rows, size)

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
            yield from (f"{name}_n{node} = {rows[f'{name}@{node}']}" for node in _NODES)
        if not module.halved:
            yield from self._stages(module, equations, above, {1: "n0", 2: "n1", 4: "n2"}, size)
            for name in equations:
                yield f"{rows[name]} = {_end(rows, module, name, size)}"
                if name in self.noded:
                    yield f"{rows[f'{name}@1']} = {_middle(rows, module, name, size)}"
        else:
            # two steps of half the length; what drives them is read off its quadratic
            yield "whole = h"
            yield "h = 0.5 * whole"
            for name in above:
                first, middle, last = (f"{name}_n{node}" for node in _NODES)
                yield f"{name}_early = 0.375 * {first} + 0.75 * {middle} - 0.125 * {last}"
                yield f"{name}_late = 0.375 * {last} + 0.75 * {middle} - 0.125 * {first}"
            for half, nodes in enumerate(({1: "n0", 2: "early", 4: "n1"}, {1: "n1", 2: "late", 4: "n2"})):
                yield from self._stages(module, equations, above, nodes, size)
                for name in equations:
                    yield f"y_{name} = {_end(rows, module, name, size)}"
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
                yield f"{name}_{stage} = {_guess(self.rows, module, name, stage, size)}"
            write = Expression(self._names(local))
            yield from (f"{name}_{stage} = {write(text)}" for name, text in module.terms.items())
            yield from (f"k{stage}_{name} = {write(text)}" for name, text in equations.items())
            if stage == 3 and module.states:
                yield from self._judge(module)

    def _factors(self, module: Module, above: list[str]) -> Iterator[str]:
        """What is left of a state after the drug's loss over each half of the step."""
        for name, text in module.lost.items():
            for node in _NODES:
                local = {above_name: self.rows[f"{above_name}@{node}"] for above_name in above}
                yield f"u{node}_{name} = {Expression(self._names(local))(text)}"
            u0, u1, u2 = (f"u{node}_{name}" for node in _NODES)
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
                yield from _drug_end(module.drug, self.rows)
        # a state that is no number makes the sum no number, and the day is not accepted
        yield f"total = {' + '.join(self.rows[name] for name in self.model.states)}"
        yield "odd = total - total"
        yield f"{self.rows['@error']} = {self.rows['@error']} if odd == 0.0 else 1.0"


# Of a state that also falls at a constant rate: what is left of it after half a step and a step, and the weights of the
# slopes (Cox SM, Matthews PC. J Comput Phys 2002;176:430-55, fourth-order exponential Runge-Kutta).
_EXPONENTIAL = ("half", "whole", "q", "f1", "f2", "f3")


def _exponential(rows: Rows, name: str, rate: str, size: int, length: float) -> Iterator[str]:
    half, whole, q, f1, f2, f3 = (rows[f"{name}@{part}{size}"] for part in _EXPONENTIAL)
    yield f"step = h * {length!r}"
    yield f"z = -step * {rate}"
    yield "near = z if abs(z) > 0.02 else 0.02"  # below, the series to the fourth power
    yield f"{half} = exp(0.5 * z)"
    yield f"{whole} = {half} * {half}"
    yield "grown = exp(near)"
    yield "cubed = step / (near * near * near)"
    yield "small = abs(z) <= 0.02"
    yield f"{q} = step * (0.5 + z * (0.125 + z * (1.0 / 48.0 + z / 384.0))) if small else step * ({half} - 1.0) / near"
    series = {
        f1: "1.0 / 6.0 + z * (1.0 / 6.0 + z * (3.0 / 40.0 + z / 45.0))",
        f2: "1.0 / 6.0 + z * (1.0 / 12.0 + z * (1.0 / 40.0 + z / 180.0))",
        f3: "1.0 / 6.0 + z * (0.0 - z * (1.0 / 120.0 + z / 360.0))",
    }
    exact = {
        f1: "-4.0 - near + grown * (4.0 - 3.0 * near + near * near)",
        f2: "2.0 + near + grown * (near - 2.0)",
        f3: "-4.0 - 3.0 * near - near * near + grown * (4.0 - near)",
    }
    for row in (f1, f2, f3):
        yield f"{row} = step * ({series[row]}) if small else cubed * ({exact[row]})"


def _guess(rows: Rows, module: Module, name: str, stage: int, size: int) -> str:
    """The state at which the slopes of a stage are taken."""
    if stage == 1:
        return f"y_{name}"
    if name in module.decay:
        half, q = rows[f"{name}@half{size}"], rows[f"{name}@q{size}"]
        if stage == 4:
            return f"{half} * {name}_2 + {q} * (2.0 * k3_{name} - k1_{name})"
        return f"{half} * y_{name} + {q} * k{stage - 1}_{name}"
    if name in module.lost:
        early, late = f"early_{name}", f"late_{name}"
        return {
            2: f"{early} * (y_{name} + 0.5 * h * k1_{name})",
            3: f"{early} * y_{name} + 0.5 * h * k2_{name}",
            4: f"{late} * ({early} * y_{name} + h * k3_{name})",
        }[stage]
    return f"y_{name} + {'h' if stage == 4 else '0.5 * h'} * k{stage - 1}_{name}"


def _end(rows: Rows, module: Module, name: str, size: int) -> str:
    """The state at the end of the step."""
    k1, k2, k3, k4 = (f"k{stage}_{name}" for stage in (1, 2, 3, 4))
    if name in module.decay:
        whole, f1, f2, f3 = (rows[f"{name}@{part}{size}"] for part in ("whole", "f1", "f2", "f3"))
        return f"{whole} * y_{name} + {f1} * {k1} + 2.0 * {f2} * ({k2} + {k3}) + {f3} * {k4}"
    if name in module.lost:
        early, late = f"early_{name}", f"late_{name}"
        return f"{late} * ({early} * (y_{name} + h / 6.0 * {k1}) + h / 3.0 * ({k2} + {k3})) + h / 6.0 * {k4}"
    return f"y_{name} + h / 6.0 * ({k1} + 2.0 * ({k2} + {k3}) + {k4})"


def _middle(rows: Rows, module: Module, name: str, size: int) -> str:
    """The state in the middle of the step, to third order."""
    if name not in module.decay and name not in module.lost:
        slopes = f"5.0 * k1_{name} + 4.0 * (k2_{name} + k3_{name}) - k4_{name}"
        return f"y_{name} + h / 24.0 * ({slopes})"
    if name in module.decay:
        # so that Simpson's rule over the nodes gives the exact mean of the state: what came in less what it rose by
        came = f"h / 6.0 * (k1_{name} + 2.0 * (k2_{name} + k3_{name}) + k4_{name})"
        rate = f"(1.0 - {rows[f'{name}@half{size}']}) / {rows[f'{name}@q{size}']}"
        mean = f"({came} - {rows[name]} + y_{name}) / ({rate} * h)"
        return f"1.5 * {mean} - 0.25 * (y_{name} + {rows[name]})"
    first, last = f"k1_{name} - u0_{name} * y_{name}", f"k4_{name} - u2_{name} * {name}_4"
    return f"0.5 * (y_{name} + {rows[name]}) + 0.125 * h * ({first} - ({last}))"


# The drug as a sum of three exponentials, gut, compartment and effect site: its shares at the start of each step, and
# what each exponential falls to at the points of the quadrature and at the end of the step.
_PARTS = ("gut", "out", "site")


def _points(size: int) -> list[str]:
    return [f"{size}p{i}" for i in range(len(rule_of(size == 0)[0]))]


def _drug_rows(drug: Drug, sizes: int) -> list[str]:
    own = drug.states[1]
    points = [point for size in range(sizes) for point in (*_points(size), f"{size}end")]
    falls = [f"@fall_{own}_{part}_{point}" for part in _PARTS for point in points]
    shares = [f"@{kind}_{own}_{part}" for kind in ("blood", "effect") for part in _PARTS]
    return [*falls, *shares, *(f"@rate_{own}_{part}" for part in _PARTS), f"@scale_{own}", f"@entry_{own}"]


def _parts(drug: Drug) -> tuple[str, ...]:
    """The exponentials that the drug needs: the effect site only where something asks for it."""
    asked = any("effect_site" in names_in(text) for text in drug.fast.values())
    return _PARTS if asked else _PARTS[:2]


def _rates(drug: Drug) -> dict[str, tuple[str, ...]]:
    """The rate of each exponential, and the rates from which it is kept apart."""
    gut, site = drug.absorption, drug.effect
    rates = {"gut": (gut,), "site": (site, gut), "out": (drug.elimination, gut, site)}
    return {part: rates[part] if part != "out" or "site" in _parts(drug) else rates[part][:2]
            for part in ("gut", "site", "out") if part in _parts(drug)}  # fmt: skip


def _drug_falls(
    drug: Drug, rows: Rows, write: Expression, sizes: Sequence[float], known: Sequence[str], fixed: bool
) -> Iterator[str]:
    """Rates, and what each exponential falls to at the points of the steps: of the parts `known` before the first day, or
    of the others. Rates that nearly agree are moved apart by a few 1e-8 of themselves."""
    own = drug.states[1]
    for part, (text, *others) in _rates(drug).items():
        row = rows[f"@rate_{own}_{part}"]
        if (part in known) is not fixed:
            continue
        yield f"rate = {write(text)}"
        apart = zip(("gut", "site"), others, strict=False)
        for move, (other, _) in zip(("1.00000002", "1.00000006"), apart, strict=False):
            near = f"abs({rows[f'@rate_{own}_{other}']} - rate) < 2e-8 * rate"
            yield f"rate = rate * {move} if {near} else rate"
        yield f"{row} = rate"
        for size, length in enumerate(sizes):
            points, _ = rule_of(size == 0)
            for point, x in zip(_points(size), points, strict=True):
                yield f"{rows[f'@fall_{own}_{part}_{point}']} = exp(-rate * (h * {length * x!r}))"
            yield f"{rows[f'@fall_{own}_{part}_{size}end']} = exp(-rate * (h * {length!r}))"


def _drug_begin(drug: Drug, rows: Rows, write: Expression) -> Iterator[str]:
    """Shares at the start of the day."""
    own = drug.states[1]
    depot, central, effect = (rows[name] for name in drug.states[:3])
    parts = _parts(drug)
    for part in parts:
        yield f"{part} = {rows[f'@rate_{own}_{part}']}"
    yield f"scale = {write(drug.scale)}"
    yield f"entry = scale * gut / (gut - out) * {depot}"
    yield f"blood_out = scale * {central} + entry"
    values = {"blood_gut": "-entry", "blood_out": "blood_out"}
    if "site" in parts:
        yield "effect_gut = -entry * site / (site - gut)"
        yield "effect_out = blood_out * site / (site - out)"
        values |= {"effect_gut": "effect_gut", "effect_out": "effect_out"}
        values |= {"effect_site": f"{effect} - effect_gut - effect_out"}
    for name, value in values.items():
        kind, part = name.split("_")
        yield f"{rows[f'@{kind}_{own}_{part}']} = {value}"
    yield f"{rows[f'@scale_{own}']} = scale"
    yield f"{rows[f'@entry_{own}']} = {depot}"
    # what was taken up to today's end; the rest of the day's exposure follows from the drug that is left
    last = drug.states[3]
    yield f"{rows[last]} = {rows[last]} + {central} / out * scale"


def _drug_signals(drug: Drug, rows: Rows, names: Mapping[str, str], size: int) -> Iterator[str]:
    _, shares = rule_of(size == 0)
    own = drug.states[1]
    asked = {name for text in drug.fast.values() for name in names_in(text)}
    for name in drug.fast:
        yield f"{name}_0 = {name}_1 = {name}_2 = 0.0"
    for i, point in enumerate(_points(size)):
        fall = {part: rows[f"@fall_{own}_{part}_{point}"] for part in _parts(drug)}
        for name, kind, parts in (("concentration", "blood", _PARTS[:2]), ("effect_site", "effect", _PARTS)):
            if name in asked:
                yield f"{name} = " + " + ".join(f"{rows[f'@{kind}_{own}_{part}']} * {fall[part]}" for part in parts)
        for name, text in drug.fast.items():
            yield f"value = {Expression({**names, 'concentration': 'concentration', 'effect_site': 'effect_site'})(text)}"
            for node in _NODES:
                yield f"{name}_{node} = {name}_{node} + {shares[int(node)][i]!r} * value"
    for name in drug.fast:
        yield from (f"{rows[f'{name}@{node}']} = {name}_{node}" for node in _NODES)


def _drug_advance(drug: Drug, rows: Rows, size: int) -> Iterator[str]:
    own = drug.states[1]
    for kind, parts in (("blood", _PARTS[:2]), ("effect", _PARTS if "site" in _parts(drug) else ())):
        for part in parts:
            row = rows[f"@{kind}_{own}_{part}"]
            yield f"{row} = {row} * {rows[f'@fall_{own}_{part}_{size}end']}"


def _drug_end(drug: Drug, rows: Rows) -> Iterator[str]:
    """The drug at the end of the day from its shares; its exposure is what came in less what is left, over clearance."""
    own = drug.states[1]
    depot, central, effect, exposure = (rows[name] for name in drug.states)
    gut, out = rows[f"@rate_{own}_gut"], rows[f"@rate_{own}_out"]
    scale, entry = rows[f"@scale_{own}"], rows[f"@entry_{own}"]
    yield f"{depot} = {entry} * exp(-{gut})"
    yield f"blood = {rows[f'@blood_{own}_gut']} + {rows[f'@blood_{own}_out']}"
    yield f"{central} = blood / {scale}"
    if "site" in _parts(drug):
        yield f"{effect} = " + " + ".join(rows[f"@effect_{own}_{part}"] for part in _PARTS)
    yield f"{exposure} = {exposure} + ({scale} * ({entry} - {depot}) - blood) / {out}"

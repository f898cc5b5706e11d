"""The situations that rules can tell apart: a grid with a point at, between and around all their thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.columns import Column, Columns
from trialrun.rules.nodes import (
    Change,
    Compare,
    Constant,
    Group,
    Holds,
    Known,
    Lasting,
    Member,
    Multiple,
    Predicate,
    Quantity,
    Value,
    inputs_of,
    walk,
)
from trialrun.rules.terms import Input, Term, Vocabulary
from trialrun.rules.truth import FALSE, TRUE, UNKNOWN

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Part = Literal["value", "low", "high"]
Key = tuple[Input, Part]

LARGEST = 300_000  # points of a grid that is looked at in full


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that can vary: an accumulator's value or the limit of its range; `points` NaN = unknown."""

    input: Input
    part: Part
    points: FloatArray
    unit: str | None
    names: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return {"value": "", "low": "LLN of ", "high": "ULN of "}[self.part] + str(self.input)

    def say(self, index: int) -> str:
        """One point in words."""
        value = float(self.points[index])
        if np.isnan(value):
            return f"{self.label} is unknown"
        if self.names:
            return f"{self.label} = {self.names[int(value)]}"
        if self.input.remember == "event":
            return f"{self.input} of grade {value:g}" if value > 0 else f"no {self.input}"
        unit = f" {self.unit}" if self.unit not in (None, "1") else ""
        return f"{self.label} = {value:.6g}{unit}"


@dataclass(frozen=True, slots=True)
class Space:
    """All axes of some predicates. `exact` says that every situation the predicates can tell apart has a point."""

    axes: tuple[Axis, ...]
    inputs: tuple[Input, ...]
    exact: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.points.size for axis in self.axes)

    @property
    def size(self) -> int:
        """The number of points of the full grid."""
        return int(np.prod([float(length) for length in self.shape])) if self.axes else 1

    def all_points(self) -> IntArray:
        """Every point as indices, shape (number of axes, size)."""
        return np.indices(self.shape).reshape(len(self.axes), -1)

    def columns(self, points: IntArray) -> Columns:
        """What rules are evaluated on at these points (number of axes, m)."""
        m = points.shape[1]
        held = {(axis.input, axis.part): axis.points[index] for axis, index in zip(self.axes, points, strict=True)}
        nothing = np.full(m, np.nan)
        columns: dict[Input, Column] = {}
        for item in self.inputs:
            value = held.get((item, "value"), nothing)
            low, high = held.get((item, "low"), nothing), held.get((item, "high"), nothing)
            truth = None
            if item.remember == "lasting":
                truth = np.where(np.isnan(value), UNKNOWN, np.where(value > 0, TRUE, FALSE)).astype(np.int8)
            columns[item] = Column(value, np.zeros(m), low, high, truth=truth)
        return Columns(0.0, m, columns)

    def possible(self, points: IntArray) -> NDArray[np.bool_]:
        """Which points (m,) can occur: a lowest value is not above a current one that its window holds, and so on."""
        held = {(axis.input, axis.part): axis.points[index] for axis, index in zip(self.axes, points, strict=True)}
        allowed = np.ones(points.shape[1], dtype=np.bool_)
        for item in self.inputs:
            if (item, "low") in held and (item, "high") in held:
                allowed &= ~(held[(item, "low")] > held[(item, "high")])
        for inner in self.inputs:
            for outer in self.inputs:
                if inner is outer or inner.term != outer.term or not _holds_within(inner, outer):
                    continue
                a, b = held.get((inner, "value")), held.get((outer, "value"))
                if a is not None and b is not None:
                    allowed &= ~(a < b) if outer.remember == "lowest" else ~(a > b)
        return allowed


def _reach(item: Input) -> float | None:
    """How many days back the observations lie that a value comes from; infinite: any; None: not a matter of days."""
    if item.remember == "current":
        return item.current_for or 0.0
    if item.window is not None and item.window.kind == "last":
        return item.window.days
    return np.inf if item.remember in ("first", "last", "baseline") or item.window is not None else None


def _holds_within(inner: Input, outer: Input) -> bool:
    """Whether the observation of `inner` is always among those that the extreme `outer` was taken from."""
    if outer.remember == "worst grade":
        return inner.remember == "event"
    if outer.remember not in ("lowest", "highest") or outer.window is None:
        return False
    if inner.remember not in ("current", "last", "first", "baseline", "lowest", "highest"):
        return False
    if outer.window.kind == "ever":
        return True
    if inner.window is not None and inner.window == outer.window:
        return inner.remember != outer.remember
    if inner.window is not None and (inner.window.kind, outer.window.kind) == ("cycle", "treatment"):
        return True
    reach = _reach(inner)
    days = inner.remember == "current" or (inner.window is not None and inner.window.kind == "last")
    return outer.window.kind == "last" and days and reach is not None and reach <= outer.window.days


@dataclass(slots=True)
class _Found:
    """Thresholds gathered from predicates, by what they are thresholds of."""

    thresholds: dict[Key, set[float]] = field(default_factory=dict)
    relations: list[tuple[Key, Key, float, float]] = field(default_factory=list)  # first = factor x second + shift
    categories: dict[Input, tuple[int, ...]] = field(default_factory=dict)
    truths: dict[Input, None] = field(default_factory=dict)
    may_be_unknown: set[Input] = field(default_factory=set)
    exact: bool = True

    def at(self, key: Key) -> set[float]:
        return self.thresholds.setdefault(key, set())


def make_space(predicates: Iterable[Predicate], vocabulary: Vocabulary, unknown: bool = False) -> Space:
    """The space of situations that these predicates can tell apart.

    Values can be unknown where a predicate asks for that (`is unknown`, `each measured of`), with `unknown` everywhere.
    """
    found = _Found()
    nodes = [part for predicate in predicates for part in walk(predicate)]
    for node in nodes:
        _gather(node, found)
    axes: dict[Key, Axis] = {}
    bases = {second for _, second, _, _ in found.relations}
    firsts = {first for first, _, _, _ in found.relations}
    exact = found.exact and not (bases & firsts)
    for first, second, factor, shift in found.relations:
        # where a limit or baseline crosses what its multiple is also compared with
        found.at(second).update((bound - shift) / factor for bound in found.at(first) if factor != 0)
    order = sorted(found.thresholds, key=lambda key: key in firsts)
    for key in order:
        for first, second, factor, shift in found.relations:
            if first == key and second in axes:
                known = axes[second].points[~np.isnan(axes[second].points)]
                found.at(key).update(float(point) for point in factor * known + shift)
        axes[key] = _number_axis(key, found, vocabulary, unknown)
    for item in found.truths:
        if (item, "value") not in axes:
            axes[(item, "value")] = _axis((item, "value"), [0.0, 1.0], None, found, unknown, ("no", "yes"))
    for item in found.categories:
        names = vocabulary[item.term].values
        axes[(item, "value")] = _axis((item, "value"), list(range(len(names))), None, found, unknown, names)
    inputs = tuple(dict.fromkeys(item for node in nodes for item in inputs_of(node)))
    return Space(tuple(axes.values()), inputs, exact)


def _gather(node: Predicate, found: _Found) -> None:
    if isinstance(node, Compare):
        _relate(node.left, node.right, found)
    elif isinstance(node, Member):
        found.categories[node.value.input] = node.allowed
    elif isinstance(node, Holds):
        found.truths[node.input] = None
        if node.input.remember == "event":
            found.at((node.input, "value")).add(1.0)
    elif isinstance(node, Lasting):
        found.truths[node.input] = None
    if isinstance(node, Known):
        found.may_be_unknown.update(_inputs(node.value))
        for item in _inputs(node.value):
            found.at((item, "value"))
    if isinstance(node, Group) and node.how == "each measured":
        found.may_be_unknown.update(inputs_of(node))


def _inputs(quantity: Quantity) -> list[Input]:
    if isinstance(quantity, Value | Multiple):
        return [quantity.input]
    return [quantity.current, quantity.baseline] if isinstance(quantity, Change) else []


def _relate(left: Quantity, right: Quantity, found: _Found) -> None:
    if isinstance(left, Constant):
        left, right = right, left
    if isinstance(left, Value) and isinstance(right, Constant):
        found.at((left.input, "value")).add(right.value)
    elif isinstance(left, Value) and isinstance(right, Multiple | Value):
        second: Key = _key(right)
        factor = right.factor if isinstance(right, Multiple) else 1.0
        found.at((left.input, "value"))
        found.at(second)
        found.relations.append(((left.input, "value"), second, factor, 0.0))
    elif isinstance(left, Multiple) and isinstance(right, Value):
        _relate(right, left, found)
    elif isinstance(left, Change) and isinstance(right, Constant):
        second = (left.baseline, "value")
        factor, shift = (1 + right.value / 100, 0.0) if left.percent else (1.0, right.value)
        found.at((left.current, "value"))
        found.at(second)
        found.relations.append(((left.current, "value"), second, factor, shift))
    else:
        for item in (*_inputs(left), *_inputs(right)):
            found.at((item, "value"))
        found.exact = False


def _key(quantity: Multiple | Value) -> Key:
    if isinstance(quantity, Multiple) and quantity.of != "baseline":
        return (quantity.input, "high" if quantity.of == "ULN" else "low")
    return (quantity.input, "value")


def is_whole(item: Input, term: Term) -> bool:
    """Whether only whole numbers occur: grades, counts, days, and states without a unit."""
    if item.remember in ("event", "worst grade", "count", "since"):
        return True
    return term.whole or (term.source == "state" and term.unit in ("1", "d"))


def plausible(item: Input, term: Term) -> tuple[float, float]:
    """The bounds of what a value can plausibly be."""
    if item.remember in ("event", "worst grade"):
        return 0.0, 5.0
    if item.remember in ("count", "since"):
        return 0.0, np.inf
    return (-np.inf if term.low is None else term.low), (np.inf if term.high is None else term.high)


def _number_axis(key: Key, found: _Found, vocabulary: Vocabulary, unknown: bool) -> Axis:
    item, part = key
    term = vocabulary[item.term]
    low, high = plausible(item, term)
    if part != "value":
        low = max(low, 0.0)
    bounds = sorted(found.thresholds[key])
    factors = [abs(factor) for _, second, factor, _ in found.relations if second == key]
    if factors and not bounds:
        bounds = [_between(low, high) / max(1.0, *factors)]  # so that its multiples are plausible too
    points = _points(bounds, low, high, is_whole(item, term) and part == "value")
    unit = {"since": "d", "count": "1", "event": "1", "worst grade": "1"}.get(item.remember, term.unit)
    return _axis(key, points, unit, found, unknown)


def _axis(
    key: Key, points: Sequence[float], unit: str | None, found: _Found, unknown: bool, names: tuple[str, ...] = ()
) -> Axis:
    listed = list(points)
    if unknown or key[0] in found.may_be_unknown:
        listed.append(np.nan)
    return Axis(key[0], key[1], np.array(listed, dtype=np.float64), unit, names)


def _points(bounds: Sequence[float], low: float, high: float, whole: bool) -> list[float]:
    """A point at, between and around all bounds, within low and high."""
    if not bounds:
        return [_between(low, high)]
    if whole:
        near = {float(np.floor(bound)) + step for bound in bounds for step in (-1.0, 0.0, 1.0)}
        near |= {float(np.ceil(bound)) for bound in bounds}
        found = near
    else:
        found = set(bounds) | {(a + b) / 2 for a, b in pairwise(bounds)}
        found |= {_between(low, bounds[0]), _between(bounds[-1], high)}
    inside = sorted(point for point in found if low <= point <= high)
    return inside or [_between(low, high)]


def _between(low: float, high: float) -> float:
    if np.isfinite(low) and np.isfinite(high):
        return (low + high) / 2
    if np.isfinite(low):
        return low + max(1.0, abs(low))
    return high - max(1.0, abs(high)) if np.isfinite(high) else 1.0

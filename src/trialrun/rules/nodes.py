"""The parts of a rule. Each keeps its own text, so an explanation can quote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from trialrun.rules.terms import Input

Operator = Literal["<", "<=", ">", ">=", "=", "!="]


@dataclass(frozen=True, slots=True)
class Constant:
    """A number in the unit of what it is compared with."""

    text: str
    value: float
    unit: str | None


@dataclass(frozen=True, slots=True)
class Value:
    """What an accumulator holds, in `unit`; `names` are those of a category's values."""

    text: str
    input: Input
    unit: str | None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Multiple:
    """A multiple of a reference limit or of baseline of the same term."""

    text: str
    factor: float
    of: Literal["ULN", "LLN", "baseline"]
    input: Input
    unit: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """Current value minus baseline, in the term's unit (`value_unit`) or in percent of baseline."""

    text: str
    current: Input
    baseline: Input
    percent: bool
    unit: str | None
    value_unit: str | None


Quantity = Constant | Value | Multiple | Change


@dataclass(frozen=True, slots=True)
class Compare:
    text: str
    left: Quantity
    operator: Operator
    right: Quantity


@dataclass(frozen=True, slots=True)
class Member:
    """Whether a category is one of these values (their indices in the term's list)."""

    text: str
    value: Value
    allowed: tuple[int, ...]
    negated: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holds:
    """A truth term: a finding or state of yes or no, or an event that is in progress."""

    text: str
    input: Input


@dataclass(frozen=True, slots=True)
class Known:
    text: str
    value: Quantity
    wanted: bool


@dataclass(frozen=True, slots=True)
class Not:
    text: str
    child: Predicate


@dataclass(frozen=True, slots=True)
class Group:
    """Members joined: all (and), any (or), at least `count`, or each measured."""

    text: str
    how: Literal["all", "any", "at least", "each measured"]
    members: tuple[Predicate, ...]
    count: int = 0


@dataclass(frozen=True, slots=True)
class Lasting:
    """A predicate that has been true on every day with an observation over at least `input.days` days."""

    text: str
    input: Input
    child: Predicate


@dataclass(frozen=True, slots=True)
class Named:
    """A derived term, by its name, with its definition."""

    text: str
    child: Predicate


Predicate = Compare | Member | Holds | Known | Not | Group | Lasting | Named


def quantities(node: Predicate) -> list[Quantity]:
    """The quantities that a predicate itself compares (not those of its parts)."""
    if isinstance(node, Compare):
        return [node.left, node.right]
    if isinstance(node, Known):
        return [node.value]
    if isinstance(node, Member):
        return [node.value]
    return []


def children(node: Predicate) -> tuple[Predicate, ...]:
    """The predicates directly inside this one."""
    if isinstance(node, Not | Named | Lasting):
        return (node.child,)
    if isinstance(node, Group):
        return node.members
    return ()


def walk(node: Predicate) -> Iterator[Predicate]:
    """A predicate and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def inputs_of(node: Predicate) -> list[Input]:
    """Every accumulator below this predicate, in order of appearance."""
    found: list[Input] = []
    for quantity in quantities(node):
        if isinstance(quantity, Value | Multiple):
            found.append(quantity.input)
        elif isinstance(quantity, Change):
            found += [quantity.current, quantity.baseline]
    if isinstance(node, Holds | Lasting):
        found.append(node.input)
    for child in children(node):
        found += inputs_of(child)
    return found

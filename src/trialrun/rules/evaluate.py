"""The one evaluator: a pure function from columns to a three-valued column."""

from __future__ import annotations

from typing import cast

import numpy as np

from trialrun.rules import truth as three
from trialrun.rules.columns import Columns, FloatArray
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
    Named,
    Not,
    Operator,
    Predicate,
    Quantity,
    Value,
)
from trialrun.rules.rule import Rule
from trialrun.rules.truth import TRUE, Truth

# Two numbers that agree to 15 significant digits are equal: 0.1 x 3 must not exceed 0.3 by binary rounding.
SAME = 5e-15

_TURNED: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}

Bounds = tuple[FloatArray, FloatArray]


def evaluate(rule: Rule, columns: Columns) -> Truth:
    """The verdict of a rule for the m subjects of `columns`: int8, FALSE 0, TRUE 1, UNKNOWN -1."""
    verdict = np.empty(columns.size, dtype=np.int8)
    for place, block in columns.blocks():
        verdict[place] = truth_of(rule.node, block)
    return verdict


def truth_of(node: Predicate, columns: Columns) -> Truth:
    """The verdict of one part of a rule."""
    match node:
        case Compare():
            return _compare(node, columns)
        case Member():
            value = value_of(node.value, columns)
            inside = np.isin(value, node.allowed)
            return three.from_known(~np.isnan(value), ~inside if node.negated else inside)
        case Holds():
            value, bounds = _both(Value(node.text, node.input, None), columns)
            return _ordered(value, ">", 0.0, bounds)
        case Known():
            known = ~np.isnan(value_of(node.value, columns))
            return np.asarray(known == node.wanted).astype(np.int8)
        case Not():
            return three.negate(truth_of(node.child, columns))
        case Lasting():
            return lasting(truth_of(node.child, columns), cast(Truth, columns[node.input].truth))
        case Named():
            return truth_of(node.child, columns)
        case Group():
            return combine(node, [truth_of(member, columns) for member in node.members])


def combine(node: Group, verdicts: list[Truth]) -> Truth:
    """The verdict of a group from those of its members."""
    match node.how:
        case "all":
            return three.all_of(verdicts)
        case "any":
            return three.any_of(verdicts)
        case "at least":
            return three.at_least(node.count, verdicts)
        case "each measured":
            return three.each_measured(verdicts)


def lasting(now: Truth, runs: Truth) -> Truth:
    """The verdict of persistence: what the runs say where the predicate is true now, else what it says itself."""
    return np.asarray(now + (now == TRUE).view(np.int8) * (runs - np.int8(1)))


def value_of(quantity: Quantity, columns: Columns) -> FloatArray:
    """A quantity (m,) in its unit; NaN where it is not exactly known."""
    match quantity:
        case Constant():
            return np.full(columns.size, quantity.value)
        case Value():
            return columns[quantity.input].value
        case Multiple():
            column = columns[quantity.input]
            base = {"ULN": column.high, "LLN": column.low, "baseline": column.value}[quantity.of]
            return np.full(columns.size, np.nan) if base is None else quantity.factor * base
        case Change():
            now, before = columns[quantity.current].value, columns[quantity.baseline].value
            if not quantity.percent:
                return now - before
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(before != 0, 100.0 * (now - before) / before, np.nan)


def _both(quantity: Quantity, columns: Columns) -> tuple[FloatArray, Bounds | None]:
    """A quantity with the bounds of what it can be where it is not exactly known (None: no bounds are known)."""
    value = value_of(quantity, columns)
    if isinstance(quantity, Value):
        column = columns[quantity.input]
        if column.least is not None and column.most is not None:
            return value, (column.least, column.most)
    return value, None


def _compare(node: Compare, columns: Columns) -> Truth:
    left, operator, right = node.left, node.operator, node.right
    if isinstance(left, Constant):
        left, operator, right = right, _TURNED[operator], left
    value, bounds = _both(left, columns)
    if isinstance(right, Constant):
        return _ordered(value, operator, right.value, bounds)
    other, other_bounds = _both(right, columns)
    if bounds is None and other_bounds is None:
        return _exact(value, operator, other)
    return _bounded(bounds or (value, value), operator, other_bounds or (other, other))


def _ordered(value: FloatArray, operator: Operator, bound: float, bounds: Bounds | None) -> Truth:
    if bounds is None:
        return _exact(value, operator, bound)
    return _bounded(bounds, operator, (bound, bound))


def _exact(value: FloatArray, operator: Operator, other: FloatArray | float) -> Truth:
    """The comparison (m,) of values; unknown where either is NaN."""
    margin: FloatArray | float = SAME * np.abs(other)
    if not isinstance(other, float):
        margin = np.where(np.isinf(other), 0.0, margin)
    match operator:
        case "<":
            holds = value < other - margin
        case "<=":
            holds = value <= other + margin
        case ">":
            holds = value > other + margin
        case ">=":
            holds = value >= other - margin
        case "=":
            holds = (value >= other - margin) & (value <= other + margin)
        case "!=":
            holds = (value < other - margin) | (value > other + margin)
    unknown = np.isnan(value)
    if not isinstance(other, float):
        unknown |= np.isnan(other)
    # where a side is NaN nothing holds: 0 - 1 is UNKNOWN
    return holds.view(np.int8) - unknown.view(np.int8)


def _bounded(left: Bounds, operator: Operator, right: tuple[FloatArray | float, FloatArray | float]) -> Truth:
    """The comparison (m,) of what lies within bounds: known where all that it can be answers alike."""
    if operator in ("=", "!="):
        equal = three.all_of([_bounded(left, ">=", right), _bounded(left, "<=", right)])
        return equal if operator == "=" else three.negate(equal)
    one, other = _exact(left[0], operator, right[1]), _exact(left[1], operator, right[0])
    alike = (one == other).view(np.int8)
    return np.asarray(one * alike + (alike - np.int8(1)))

"""The one evaluator: a pure function from columns to a three-valued column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialrun.rules import truth as three
from trialrun.rules.accumulate import Columns
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
    Predicate,
    Quantity,
    Value,
)
from trialrun.rules.rule import Rule
from trialrun.rules.truth import Truth

FloatArray = NDArray[np.float64]

# Two numbers that agree to 15 significant digits are equal: 0.1 x 3 must not exceed 0.3 by binary rounding.
_SAME = 5e-15


def evaluate(rule: Rule, columns: Columns) -> Truth:
    """The verdict of a rule for the m subjects of `columns`: int8, FALSE 0, TRUE 1, UNKNOWN -1."""
    return truth_of(rule.node, columns)


def truth_of(node: Predicate, columns: Columns) -> Truth:
    """The verdict of one part of a rule."""
    match node:
        case Compare():
            return _compare(value_of(node.left, columns), node.operator, value_of(node.right, columns))
        case Member():
            value = value_of(node.value, columns)
            inside = np.isin(value, node.allowed)
            return three.from_known(~np.isnan(value), ~inside if node.negated else inside)
        case Holds():
            return columns[node.input].truth
        case Known():
            known = ~np.isnan(value_of(node.value, columns))
            return (known == node.wanted).astype(np.int8)
        case Not():
            return three.negate(truth_of(node.child, columns))
        case Lasting():
            return columns[node.input].truth
        case Named():
            return truth_of(node.child, columns)
        case Group():
            verdicts = [truth_of(member, columns) for member in node.members]
            return combine(node, verdicts)


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


def value_of(quantity: Quantity, columns: Columns) -> FloatArray:
    """A quantity (m,) in its unit; NaN where it is unknown."""
    match quantity:
        case Constant():
            return np.full(columns.size, quantity.value)
        case Value():
            return columns[quantity.input].value
        case Multiple():
            column = columns[quantity.input]
            base = {"ULN": column.high, "LLN": column.low, "baseline": column.value}[quantity.of]
            return quantity.factor * base
        case Change():
            now, before = columns[quantity.current].value, columns[quantity.baseline].value
            if not quantity.percent:
                return now - before
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(before != 0, 100.0 * (now - before) / before, np.nan)


def _compare(left: FloatArray, operator: str, right: FloatArray) -> Truth:
    known = ~(np.isnan(left) | np.isnan(right))
    same = np.abs(left - right) <= _SAME * np.maximum(np.abs(left), np.abs(right))
    match operator:
        case "<":
            holds = (left < right) & ~same
        case "<=":
            holds = (left < right) | same
        case ">":
            holds = (left > right) & ~same
        case ">=":
            holds = (left > right) | same
        case "=":
            holds = same
        case _:
            holds = ~same
    return three.from_known(known, holds)

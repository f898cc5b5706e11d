"""Why a rule said what it said: the same evaluator, node by node, for one subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trialrun.rules.accumulate import Columns
from trialrun.rules.evaluate import truth_of, value_of
from trialrun.rules.nodes import (
    Change,
    Constant,
    Group,
    Holds,
    Lasting,
    Multiple,
    Named,
    Predicate,
    Quantity,
    Value,
    children,
    quantities,
)
from trialrun.rules.rule import Rule
from trialrun.rules.truth import NAMES, UNKNOWN


@dataclass(frozen=True, slots=True)
class Used:
    """One value that a rule looked at: `value` None = unknown; `day` the offset of the observation, None = none."""

    term: str
    what: str
    value: float | str | None
    unit: str | None
    day: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One part of a rule with its verdict, the values it looked at, its own parts, and what could still change an
    unknown verdict."""

    text: str
    verdict: str
    used: tuple[Used, ...]
    parts: tuple[Explanation, ...]
    waits_for: tuple[str, ...]

    def as_text(self, indent: str = "") -> str:
        """One line a part, indented."""
        values = "; ".join(_said(item) for item in self.used)
        line = f"{indent}{self.verdict}: {self.text}" + (f"  [{values}]" if values else "")
        return "\n".join([line, *(part.as_text(indent + "  ") for part in self.parts)])

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain values."""
        return {
            "text": self.text,
            "verdict": self.verdict,
            "used": [
                {"term": item.term, "what": item.what, "value": item.value, "unit": item.unit, "day": item.day}
                for item in self.used
            ],
            "parts": [part.as_dict() for part in self.parts],
            "waits_for": list(self.waits_for),
        }

    def all_used(self) -> tuple[Used, ...]:
        """Every value that this part and those below it looked at."""
        found = list(self.used)
        for part in self.parts:
            found += part.all_used()
        return tuple(dict.fromkeys(found))


def _said(item: Used) -> str:
    value = (
        "unknown" if item.value is None else f"{item.value:.6g}" if isinstance(item.value, float) else str(item.value)
    )
    unit = f" {item.unit}" if item.unit not in (None, "1") and item.value is not None else ""
    day = f" on day {item.day:g}" if item.day is not None else ""
    return f"{item.what} = {value}{unit}{day}"


def explain(rule: Rule, columns: Columns, row: int) -> Explanation:
    """The explanation of a rule for the subject at position `row` of `columns`."""
    return _explain(rule.node, columns, row)


def _explain(node: Predicate, columns: Columns, row: int) -> Explanation:
    verdict = int(truth_of(node, columns)[row])
    parts = tuple(_explain(child, columns, row) for child in children(node) if not isinstance(node, Lasting))
    used = tuple(item for quantity in quantities(node) for item in _used(quantity, columns, row))
    if isinstance(node, Holds | Lasting):
        column = columns[node.input]
        day = float(column.day[row])
        said = NAMES[int(column.truth[row])]
        known = None if column.truth[row] == UNKNOWN else {"true": "yes", "false": "no"}[said]
        used = (Used(node.input.term, str(node.input), known, None, None if np.isnan(day) else day),)
    return Explanation(node.text, NAMES[verdict], used, parts, _waits(node, verdict, used, parts))


def _used(quantity: Quantity, columns: Columns, row: int) -> list[Used]:
    if isinstance(quantity, Constant):
        return []
    if isinstance(quantity, Change):
        items = [quantity.current, quantity.baseline]
    else:
        items = [quantity.input]
    found = []
    for item in items:
        column = columns[item]
        value, day, what = float(column.value[row]), float(column.day[row]), str(item)
        if isinstance(quantity, Multiple) and quantity.of != "baseline":
            value = float(value_of(quantity, columns)[row]) / quantity.factor
            what = f"{quantity.of} of {item.term}"
        unit = quantity.unit if isinstance(quantity, Value | Multiple) else None
        found.append(Used(item.term, what, None if np.isnan(value) else value, unit, None if np.isnan(day) else day))
    return found


def _waits(node: Predicate, verdict: int, used: tuple[Used, ...], parts: tuple[Explanation, ...]) -> tuple[str, ...]:
    """What an unknown verdict waits for: only parts that are themselves unknown can still change it."""
    if verdict != UNKNOWN:
        return ()
    if isinstance(node, Named | Group) or parts:
        names = [name for part in parts if part.verdict == NAMES[UNKNOWN] for name in part.waits_for]
    else:
        names = [item.what for item in used if item.value is None]
    return tuple(dict.fromkeys(names))

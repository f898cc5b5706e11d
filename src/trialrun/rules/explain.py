"""Why a rule said what it said: the same evaluator, node by node, for one subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trialrun.rules.columns import Columns
from trialrun.rules.evaluate import truth_of, value_of
from trialrun.rules.nodes import (
    Change,
    Constant,
    Holds,
    Lasting,
    Multiple,
    Predicate,
    Quantity,
    Value,
    children,
    quantities,
)
from trialrun.rules.rule import Rule
from trialrun.rules.terms import Input
from trialrun.rules.truth import NAMES, TRUE, UNKNOWN


@dataclass(frozen=True, slots=True)
class Used:
    """One value that a rule looked at: `value` None = unknown; `day` the offset of the observation, None = none.

    `known` says whether the value is exactly known; where only a bound is, `value` says it in words (`at least 2`)."""

    term: str
    what: str
    value: float | str | None
    unit: str | None
    day: float | None
    known: bool = True

    def as_text(self) -> str:
        """As it stands in an explanation: `neutrophils = 0.4 10*9/L on day 21`."""
        value = (
            "unknown"
            if self.value is None
            else f"{self.value:.6g}" if isinstance(self.value, float) else str(self.value)
        )  # fmt: skip
        unit = f" {self.unit}" if self.unit not in (None, "1") and isinstance(self.value, float) else ""
        day = f" on day {self.day:g}" if self.day is not None else ""
        return f"{self.what} = {value}{unit}{day}"


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
        values = "; ".join(item.as_text() for item in self.used)
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


def explain(rule: Rule, columns: Columns, row: int) -> Explanation:
    """The explanation of a rule for the subject at position `row` of `columns`."""
    return _explain(rule.node, columns.take(np.array([row])))


def _explain(node: Predicate, columns: Columns) -> Explanation:
    """`columns` are those of one subject."""
    verdict = int(truth_of(node, columns)[0])
    parts = tuple(_explain(child, columns) for child in children(node))
    used = tuple(item for quantity in quantities(node) for item in _used(quantity, columns))
    if isinstance(node, Holds):
        used = (_held(node.input, columns),)
    elif isinstance(node, Lasting):
        used = (_run(node, columns),)
    return Explanation(node.text, NAMES[verdict], used, parts, _waits(node, verdict, used, parts))


def _used(quantity: Quantity, columns: Columns) -> list[Used]:
    if isinstance(quantity, Constant):
        return []
    if isinstance(quantity, Change):
        sides = [_one(item, quantity.value_unit, columns) for item in (quantity.current, quantity.baseline)]
        if all(side.known for side in sides) and np.isnan(value_of(quantity, columns)[0]):
            # a percentage of a baseline of 0: nothing that is missing could tell it, but the answer must say why
            sides.append(Used(quantity.current.term, f"{quantity.text} of 0", None, "%", None, False))
        return sides
    if isinstance(quantity, Multiple) and quantity.of != "baseline":
        column = columns[quantity.input]
        limit = column.high if quantity.of == "ULN" else column.low
        value = None if limit is None or np.isnan(limit[0]) else float(limit[0])
        what, day = f"{quantity.of} of {quantity.input}", _day(column.day)
        return [Used(quantity.input.term, what, value, quantity.unit, day, value is not None)]
    return [_one(quantity.input, quantity.unit, columns, quantity.names if isinstance(quantity, Value) else ())]


def _one(item: Input, unit: str | None, columns: Columns, names: tuple[str, ...] = ()) -> Used:
    column = columns[item]
    value: float | str | None = float(column.value[0])
    if np.isnan(column.value[0]):
        value = None
        if column.least is not None and column.least[0] > 0:
            value = f"at least {column.least[0]:g}"
        elif column.most is not None and item.remember == "since" and np.isfinite(column.most[0]):
            value = f"at most {column.most[0]:g}"
    elif names:
        value = names[int(column.value[0])]
    elif np.isinf(column.value[0]):
        value = "never"
    return Used(item.term, str(item), value, unit, _day(column.day), not np.isnan(column.value[0]))


def _held(item: Input, columns: Columns) -> Used:
    column = columns[item]
    value = float(column.value[0])
    if item.remember == "event" and column.least is not None and column.least[0] > 0:
        said: str | None = "yes, not graded" if np.isnan(value) else f"yes, grade {value:g}"
    else:
        said = None if np.isnan(value) else "yes" if value > 0 else "no"
    return Used(item.term, str(item), said, None, _day(column.day), said is not None)


def _run(node: Lasting, columns: Columns) -> Used:
    column = columns[node.input]
    length = float(column.value[0])
    value = None if np.isnan(column.day[0]) else 0.0 if np.isnan(length) else length
    return Used(node.input.term, f"days that {node.child.text} has lasted", value, "d", _day(column.day))


def _day(day: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    return None if np.isnan(day[0]) else float(day[0])


def _waits(node: Predicate, verdict: int, used: tuple[Used, ...], parts: tuple[Explanation, ...]) -> tuple[str, ...]:
    """What an unknown verdict waits for: only parts that are themselves unknown can still change it."""
    if verdict != UNKNOWN:
        return ()
    names = [name for part in parts if part.verdict == NAMES[UNKNOWN] for name in part.waits_for]
    if isinstance(node, Lasting) and parts[0].verdict == NAMES[TRUE]:
        names.append(str(node.input))  # a day of the run on which the predicate could not be told
    if not parts:
        names += [item.what for item in used if not item.known]
    return tuple(dict.fromkeys(names))

"""The words that a rule may use, and what an accumulator is asked to remember of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from trialrun.rules.nodes import Predicate
    from trialrun.rules.rule import Rule

Kind = Literal["number", "truth", "category"]
Origin = Literal["finding", "event", "state", "derived"]


@dataclass(frozen=True, slots=True)
class Term:
    """One word of the vocabulary.

    `unit` is the UCUM unit that its values are carried in (None for truths and categories); `worst` says which
    direction is bad; `low` and `high` bound what is plausible, in `unit`; `values` lists a category's values, which the
    columns hold as their index; `limits` says that observations carry a reference range; `current_for` is how many days
    a value stays current (None: on its own day only; states are always current); `definition` makes a derived term;
    `whole` says that only whole numbers occur (scores, counts).
    """

    name: str
    kind: Kind
    unit: str | None
    source: Origin
    label: str
    worst: Literal["low", "high"] | None = None
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    definition: Rule | None = None
    limits: bool = False
    current_for: float | None = None
    whole: bool = False


Vocabulary = Mapping[str, Term]


@dataclass(frozen=True, slots=True)
class Window:
    """Which stretch of time counts: this cycle, since the first dose, ever, or the last `days` days with today."""

    kind: Literal["cycle", "treatment", "ever", "last"]
    days: float = 0.0

    def __str__(self) -> str:
        if self.kind == "last":
            return f"over last {self.days:g} days"
        return {"cycle": "this cycle", "treatment": "since first dose", "ever": "ever"}[self.kind]


Remember = Literal[
    "current",
    "state",
    "first",
    "last",
    "baseline",
    "lowest",
    "highest",
    "event",
    "count",
    "worst grade",
    "since",
    "lasting",
]


@dataclass(frozen=True, slots=True)
class Input:
    """One accumulator that a rule rests on: what is remembered of which term over which window."""

    remember: Remember
    term: str
    window: Window | None = None
    current_for: float | None = None
    worst: Literal["low", "high"] | None = None
    predicate: Predicate | None = None
    days: float = 0.0

    def __str__(self) -> str:
        if self.remember in ("current", "state", "event"):
            return self.term
        if self.remember == "lasting":
            return f"{self.term} for {self.days:g} days"
        words = {"count": "count of", "worst grade": "worst grade of", "since": "days since"}
        said = f"{words.get(self.remember, self.remember)} {self.term}"
        return f"{said} {self.window}" if self.window else said

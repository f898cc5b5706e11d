"""The parts a page is made of: tables, figures, sections. Plain values, to be tested without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mark:
    """An interval to be drawn in a table cell, on a scale that the column shares: `low` to `high` with a point."""

    value: float
    low: float
    high: float
    color: str
    shape: str
    says: str


@dataclass(frozen=True, slots=True)
class Strip:
    """Intervals drawn over each other in one cell; `start` to `end` is the scale, `zero` an optional line in it."""

    marks: tuple[Mark, ...]
    start: float
    end: float
    zero: float | None = None

    def place(self, value: float) -> float:
        """Where a value stands on the scale, 0 to 100; what lies outside stands at its edge."""
        return 100 * min(1.0, max(0.0, (value - self.start) / (self.end - self.start)))


Cell = str | Strip


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `columns` are its heads, `numeric` the places of columns set to the right, `keep` of those whose
    lines are not broken. The first cell of a row is its head; a row of one cell is a heading over the rows that follow.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()
    keep: frozenset[int] = frozenset()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its title, what it shows in words (for who cannot see it), and its numbers as a table."""

    title: str
    svg: str
    alt: str
    table: Table | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page: an introduction of paragraphs, figures side by side, tables, a list.

    `pairs`: at most two figures side by side, because they belong together two by two. `legend`: the figures tell the
    versions apart by color and line.
    """

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()
    kind: str = "plain"
    pairs: bool = False
    legend: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One headline: what, each version's estimate, and the difference in words."""

    title: str
    values: tuple[tuple[str, str], ...]
    says: str
    better: str


@dataclass(frozen=True, slots=True)
class Step:
    """One box of the participants' way, with what branches off it under a heading of its own."""

    label: str
    count: int
    heading: str = ""
    branches: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """The way of the participants under one version."""

    version: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page; `facts` is the provenance, also written into its head. `notices` stand above everything: what is
    asked of the model here and was not fitted."""

    title: str
    subtitle: str
    warning: str | None
    facts: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    flows: tuple[Flow, ...]
    sections: tuple[Section, ...]
    glossary: tuple[tuple[str, str], ...]
    legend: tuple[tuple[str, str, str], ...] = field(default=())
    notices: tuple[str, ...] = ()


def rows_of(lines: Sequence[Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows as the table wants them."""
    return tuple(tuple(line) for line in lines)

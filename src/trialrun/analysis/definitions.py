"""The outcomes that are estimated: a table of names, kinds and labels (`data/outcomes.csv`)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, cast

import polars as pl

Kind = Literal["truth", "grade", "count", "total", "number", "time", "category"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome and how it is estimated from its column of the outcomes table.

    `kind`: `truth`, `grade` (at least `threshold`) and `count` (the same, of a grade known within bounds) give a
    share; `number` a median; `time` a Kaplan-Meier median with the event told by `event_column`; `total` a sum;
    `category` the share of each category, where `event_column` says who can have one (the reason of a discontinuation).
    `better` says which direction is good, where one is; `headline` outcomes lead the report; `short` is the label
    inside a group.
    """

    name: str
    group: str
    kind: Kind
    column: str
    threshold: float | None
    event_column: str | None
    unit: str | None
    better: Literal["low", "high"] | None
    headline: bool
    short: str
    label: str

    @property
    def is_share(self) -> bool:
        """Whether each subject either has the outcome or has it not."""
        return self.kind in ("truth", "grade", "count")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the outcomes table that it is estimated from."""
        own = (f"{self.column}_low", f"{self.column}_high") if self.kind == "count" else (self.column,)
        return own if self.event_column is None else (*own, self.event_column)

    def happened(self) -> pl.Expr:
        """Whether the outcome happened, null where it is not known; for shares only."""
        if self.kind == "grade":
            return pl.col(self.column) >= self.threshold
        if self.kind == "count":
            surely, possibly = pl.col(f"{self.column}_low"), pl.col(f"{self.column}_high")
            return pl.when(surely >= self.threshold).then(True).when(possibly < self.threshold).then(False)
        return pl.col(self.column)


@cache
def all_outcomes() -> Mapping[str, Outcome]:
    """Every outcome by its name, in the order of the table."""
    text = files("trialrun.analysis").joinpath("data/outcomes.csv").read_text(encoding="utf-8")
    outcomes = {}
    for row in csv.DictReader(text.splitlines()):
        kind = cast(Kind, row["kind"])
        outcomes[row["name"]] = Outcome(
            name=row["name"],
            group=row["group"],
            kind=kind,
            column=row["column"],
            threshold=float(row["threshold"]) if kind in ("grade", "count") else None,
            event_column=row["threshold"] or None if kind in ("time", "category") else None,
            unit=row["unit"] or None,
            better=cast(Literal["low", "high"], row["better"]) if row["better"] else None,
            headline=row["headline"] == "yes",
            short=row["short"],
            label=row["label"],
        )
    return MappingProxyType(outcomes)

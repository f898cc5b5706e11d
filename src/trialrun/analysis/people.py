"""Who was treated under each version, in which trial, and who is who under another version: found once for all outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.uncertainty import Grouping, group_trials

Index = NDArray[np.uint32]


def read_columns(table: pl.LazyFrame, names: Sequence[str], who: str | None = None) -> pl.DataFrame:
    """Those of the columns that the table has, of those subjects where `who` is true."""
    there = table.collect_schema()
    rows = table if who is None else table.filter(who)
    return rows.select([name for name in dict.fromkeys(names) if name in there]).collect()


@dataclass(frozen=True)
class Treated:
    """The treated subjects of one version. `who` has their subject, trial and parameter set, as far as the table has them."""

    table: pl.LazyFrame
    who: pl.DataFrame

    @property
    def has_sets(self) -> bool:
        """Whether the trials were made with parameter sets of an ensemble."""
        return "set" in self.who.columns and self.who.height > 0 and self.who["set"].null_count() == 0

    @cached_property
    def groups(self) -> Grouping:
        return group_trials(self.who["trial"], self.who["set"])

    def with_columns(self, names: Sequence[str]) -> pl.DataFrame:
        """`who` with these columns of the table."""
        return self.who.hstack(read_columns(self.table, names, "treated"))


def read_treated(table: pl.LazyFrame) -> Treated:
    return Treated(table, read_columns(table, ("subject", "trial", "set"), "treated"))


class Matches:
    """Where the subjects that are treated under each of several versions stand, in the order of the first."""

    def __init__(self, treated: Mapping[str, Treated]) -> None:
        self._treated = treated
        self.places = cache(self._places)
        self.groups = cache(self._groups)

    @property
    def has_sets(self) -> bool:
        return all(treated.has_sets for treated in self._treated.values())

    def _places(self, names: tuple[str, ...]) -> tuple[Index | None, ...]:
        """The rows of each version, None where they are all its rows as they stand."""
        subjects = [self._treated[name].who["subject"] for name in names]
        if all(subjects[0].equals(other) for other in subjects[1:]):
            return (None,) * len(names)
        both = subjects[0].to_frame().with_row_index("0")
        for number, other in enumerate(subjects[1:], 1):
            right = other.to_frame().with_row_index(str(number))
            both = both.join(right, on="subject", how="inner", maintain_order="left")
        return tuple(both[str(number)].to_numpy() for number in range(len(names)))

    def _groups(self, names: tuple[str, ...]) -> Grouping:
        """Trials and parameter sets of those subjects."""
        first = self._treated[names[0]]
        place = self.places(names)[0]
        return first.groups if place is None else group_trials(first.who["trial"][place], first.who["set"][place])

    def take(self, names: tuple[str, ...], values: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
        """One number a treated subject of each version, of those subjects alone and in the same order."""
        places = self.places(names)
        return {
            name: values[name] if place is None else values[name][place]
            for name, place in zip(names, places, strict=True)
        }

"""Criteria as data: every bound is a row with its wording, basis and source; small array code reads the rows."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from trialrun.vocab.problems import Problem, TrialrunError

# How far a rule was checked against its paper.
BASES: Mapping[str, str] = MappingProxyType(
    {
        "N": "the U.S. NCI's own text was read in full",
        "T": "the published table was read",
        "S": "restated by another publication that was read; the primary text was not",
        "R": "recalled from the primary paper; still to be checked against its text",
        "D": "decided by this project where the text leaves it open",
    }
)

_OPERATOR_SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "is": "is", "": ""}
_MEASURES = {
    "value": "",
    "change": "change from baseline",
    "change_from_best": "change from best response",
    "fall": "fall from baseline",
    "rise": "rise from baseline",
    "finding": "",
    "count": "count",
}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of a criterion: a table is read once, so a line is itself and no other.

    `part` is where it stands (laboratory, CR, PD, grade ...); `parameter` what it speaks of; `item` the column that is
    compared; `measure` what of it (value, change from baseline in percent, rise, fall, finding); `operator` and `bound`
    (in `unit`, UCUM) the condition; `wording` the rule in words; `basis` a key of `BASES`; `source` a citation key.
    """

    criterion: str
    version: str
    part: str
    parameter: str
    item: str
    group: str
    measure: str
    operator: str
    bound: float | None
    unit: str
    wording: str
    basis: str
    source: str

    @property
    def rule(self) -> str:
        """The condition as it is evaluated: `change from baseline ≥ 25 %`."""
        if self.measure == "finding":
            return {1.0: "present", 0.0: "absent"}.get(self.bound if self.bound is not None else -1.0, self.wording)
        parts = [_MEASURES[self.measure], _OPERATOR_SIGNS[self.operator]]
        if self.bound is not None:
            parts.append(f"{self.bound:+g}" if self.measure.startswith("change") else f"{self.bound:g}")
            parts.append(self.unit)
        return " ".join(part for part in parts if part)


@cache
def read_sources() -> Mapping[str, str]:
    """Citations by their key."""
    text = files("trialrun.criteria").joinpath("data/sources.csv").read_text(encoding="utf-8")
    return MappingProxyType({row["key"]: row["citation"] for row in csv.DictReader(text.splitlines())})


@cache
def read_rows(name: str) -> tuple[Row, ...]:
    """The rows of the table `data/NAME.csv`."""
    text = files("trialrun.criteria").joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    rows = []
    for cells in csv.DictReader(text.splitlines()):
        bound = cells.pop("bound")
        row = Row(criterion=name, bound=float(bound) if bound else None, **cells)
        if row.basis not in BASES or row.source not in read_sources():
            raise ValueError(f"{name}.csv: basis {row.basis!r} or source {row.source!r} is not explained: {row}")
        rows.append(row)
    return tuple(rows)


@cache
def select(name: str, version: str, part: str | None = None) -> tuple[Row, ...]:
    """The rows of one version (and part). An unknown version is a TrialrunError."""
    rows = tuple(row for row in read_rows(name) if row.version == version and part in (None, row.part))
    if not rows:
        known = ", ".join(dict.fromkeys(row.version for row in read_rows(name)))
        what = version if part is None else f"{version}, part {part}"
        raise TrialrunError(Problem("unknown-criterion", f"{name} has no such version", what, f"one of {known}"))
    return rows

"""The baseline table of a population: realised people beside those who were published, and how each number came about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, model_validator

from trialrun.simulate.number import STRICT
from trialrun.simulate.people import QUANTITIES, SHARES, People
from trialrun.simulate.population import Population
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import read_yaml, validate


class PublishedBaseline(BaseModel):
    """What was published of one characteristic among `of` people: a median with its range, or a count `events`."""

    model_config = STRICT

    of: int
    median: float | None = None
    low: float | None = None
    high: float | None = None
    events: int | None = None
    source: str
    note: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.median is None) == (self.events is None):
            raise ValueError("a quantity has a median, a share has events")
        if self.of <= 0 or not 0 <= (self.events or 0) <= self.of:
            raise ValueError("events lie between 0 and of")
        return self

    def describe(self) -> str:
        """`60 (33 to 78)` or `9 of 25, 36 %`."""
        if self.events is not None:
            return f"{self.events} of {self.of}, {100 * self.events / self.of:.0f} %"
        edges = "" if self.low is None or self.high is None else f" ({self.low:g} to {self.high:g})"
        return f"{self.median:g}{edges}"


class BaselineFile(BaseModel):
    """baseline.yaml beside a population: characteristics by name (people.QUANTITIES and SHARES)."""

    model_config = STRICT

    trialrun: Literal[1]
    sources: dict[str, str]
    baseline: dict[str, PublishedBaseline]


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One characteristic: of a quantity median, 5th and 95th percentile, lowest and highest; of a share its `percent`."""

    name: str
    label: str
    unit: str
    median: float | None = None
    p5: float | None = None
    p95: float | None = None
    low: float | None = None
    high: float | None = None
    percent: float | None = None
    published: str | None = None
    source: str | None = None

    def as_dict(self) -> dict[str, str | float | None]:
        """The row as plain values."""
        return asdict(self)


def read_published_baseline(population_file: Path) -> BaselineFile | None:
    """baseline.yaml in the folder of the population: of these people, so not of one that it extends. None where there is none;
    unknown names and sources are a TrialrunError with file and line."""
    file = population_file.parent / "baseline.yaml"
    if not file.exists():
        return None
    source = read_yaml(file, str(file))
    read = validate(source, BaselineFile)
    shares = [share.name for share in SHARES]
    known = [quantity.name for quantity in QUANTITIES] + shares
    problems = []
    for name, fact in read.baseline.items():
        at = source.location(("baseline", name))
        if name not in known:
            problems.append(Problem("unknown-key", "no characteristic has this name", name, ", ".join(known), at))
        elif (fact.events is not None) != (name in shares):
            right = "events" if name in shares else "median"
            problems.append(Problem("wrong-value", "a quantity has a median, a share has events", name, right, at))
        if fact.source not in read.sources:
            problems.append(
                Problem("unknown-source", "not one of the sources", fact.source, ", ".join(read.sources), at)
            )
    if problems:
        raise TrialrunError(problems)
    return read


def baseline_rows(people: People, published: BaselineFile | None) -> list[BaselineRow]:
    """Each characteristic of the people, and what was published of it."""

    def told(name: str) -> tuple[str | None, str | None]:
        fact = None if published is None else published.baseline.get(name)
        if published is None or fact is None:
            return None, None
        note = "" if fact.note is None else f" ({fact.note})"
        return fact.describe(), published.sources[fact.source] + note

    rows = []
    for share in SHARES[:1]:
        rows.append(_share(share.name, share.label, people, *told(share.name)))
    for quantity in QUANTITIES:
        p5, median, p95 = (float(value) for value in np.quantile(people.values[quantity.name], (0.05, 0.5, 0.95)))
        low, high = float(people.values[quantity.name].min()), float(people.values[quantity.name].max())
        words = told(quantity.name)
        rows.append(BaselineRow(quantity.name, quantity.label, quantity.unit, median, p5, p95, low, high, None, *words))
    for share in SHARES[1:]:
        rows.append(_share(share.name, share.label, people, *told(share.name)))
    return rows


def _share(name: str, label: str, people: People, published: str | None, source: str | None) -> BaselineRow:
    percent = 100.0 * float(people.true[name].mean())
    return BaselineRow(name, label, "%", percent=percent, published=published, source=source)


def shift_rows(population: Population) -> Iterator[dict[str, str | float | None]]:
    """Every shift of every number in the order of extension, as plain values."""
    for name, shifts in population.shift.items():
        for step in shifts.steps:
            sources = step.shift.source if isinstance(step.shift.source, list) else [step.shift.source]
            yield {
                "number": name,
                "unit": population.numbers()[name].unit,
                "population": step.of,
                "shift": step.shift.describe(),
                "before": step.before,
                "after": step.after,
                "replaced_by": shifts.replaced_by if step in shifts.replaced else None,
                "status": step.shift.status,
                "source": "; ".join(population.sources[word] for word in sources),
                "note": step.shift.note,
            }

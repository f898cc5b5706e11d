"""How a trial is run in calendar time: the file `conduct.yaml`, every number with its unit, status and source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict

from trialrun.simulate.population import Number, Population
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_source import YamlSource, read_yaml, validate

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class About(BaseModel):
    """What the file describes."""

    model_config = _STRICT

    id: str
    title: str
    describes: str


class Accrual(BaseModel):
    """How participants come: `pattern` poisson (by chance) or fixed (evenly), `rate` a site, number of `sites`."""

    model_config = _STRICT

    pattern: Literal["poisson", "fixed"]
    rate: Number
    sites: Number


class Cohorts(BaseModel):
    """A cohort of `size` opens when the last participant of the one before was `wait` days on treatment."""

    model_config = _STRICT

    size: Number
    wait: Number


class Reports(BaseModel):
    """The part of events that the site learns of `late`, and the mean `delay` of these."""

    model_config = _STRICT

    late: Number
    delay: Number


class Missed(BaseModel):
    """The probability that something is `missed`."""

    model_config = _STRICT

    missed: Number


class Rate(BaseModel):
    """The hazard of something."""

    model_config = _STRICT

    rate: Number


class Board(BaseModel):
    """How long notice of a case, its review, and the way from the decision to amend to the active version take."""

    model_config = _STRICT

    notice: Number
    review: Number
    activation: Number


class Conduct(BaseModel):
    """A conduct file as read. What is absent does not happen; doses, dropout and other deaths are then as the population says."""

    model_config = _STRICT

    trialrun: Literal[1]
    conduct: About
    sources: dict[str, str]
    accrual: Accrual
    board: Board
    cohorts: Cohorts | None = None
    reports: Reports | None = None
    visits: Missed | None = None
    doses: Missed | None = None
    dropout: Rate | None = None
    other_deaths: Rate | None = None
    content_hash: str = ""

    def numbers(self) -> Mapping[str, Number]:
        """Every number by `section.name`, in the order of `_UNITS`."""
        found: dict[str, Number] = {}
        for section, names in _UNITS.items():
            part = getattr(self, section)
            if part is not None:
                found.update({f"{section}.{name}": getattr(part, name) for name in names})
        return MappingProxyType(found)

    def value(self, name: str, otherwise: float = 0.0) -> float:
        """One number by `section.name`, in the unit of `_UNITS`; `otherwise` where the file does not have it."""
        section, _, key = name.partition(".")
        part = getattr(self, section)
        return otherwise if part is None else float(getattr(part, key).value)


_DAYS_A_YEAR = 365.25
# Each number's unit and the range in which it makes sense: least, most (None: no limit), whether it is whole.
_UNITS: Mapping[str, Mapping[str, tuple[str, float, float | None, bool]]] = MappingProxyType(
    {
        "accrual": {"rate": ("/mo", 1e-6, None, False), "sites": ("1", 1, None, True)},
        "cohorts": {"size": ("1", 1, None, True), "wait": ("d", 0, None, True)},
        "reports": {"late": ("1", 0, 1, False), "delay": ("d", 0, None, False)},
        "visits": {"missed": ("1", 0, 0.9, False)},
        "doses": {"missed": ("1", 0, 1, False)},
        "dropout": {"rate": ("/d", 0, None, False)},
        "other_deaths": {"rate": ("/a", 0, None, False)},
        "board": {"notice": ("d", 0, None, True), "review": ("d", 0, None, True), "activation": ("d", 0, None, True)},
    }
)


def read_conduct(path: Path | str) -> Conduct:
    """Read a conduct file, or `conduct.yaml` of that folder.

    Unknown or missing keys, a number without unit, status or a listed source, another unit than the one that the
    number has here, and a number outside its range are a TrialrunError whose problems carry file and line.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "conduct.yaml"
    if not file.exists():
        right = "a conduct file, or --conduct FILE (docs/whole-trials.md)"
        raise TrialrunError(
            Problem("no-conduct-file", "nothing says how the trial is run", None, right, Location(str(file)))
        )
    source = read_yaml(file, str(file))
    conduct = validate(source, Conduct)
    problems = list(_check(source, conduct))
    if problems:
        raise TrialrunError(problems)
    return conduct.model_copy(update={"content_hash": sha256(source.text.encode()).hexdigest()})


def _check(source: YamlSource, conduct: Conduct) -> Iterator[Problem]:
    for dotted, number in conduct.numbers().items():
        section, _, name = dotted.partition(".")
        unit, least, most, whole = _UNITS[section][name]
        at = source.location((section, name))
        if number.unit != unit:
            yield Problem("unit-mismatch", f"{dotted} in the wrong unit", number.unit, unit, at)
        too_much = most is not None and number.value > most
        if number.value < least or too_much or (whole and number.value != int(number.value)):
            right = f"{'a whole number' if whole else 'a number'} of at least {least:g}"
            right += "" if most is None else f" and at most {most:g}"
            yield Problem("out-of-range", f"{dotted} makes no sense", f"{number.value:g}", right, at)
        if number.variability is not None:
            yield Problem("variability", f"{dotted} does not differ between subjects", "variability", "no such key", at)
        for word in [number.source] if isinstance(number.source, str) else number.source:
            if word not in conduct.sources:
                known = ", ".join(conduct.sources)
                yield Problem("unknown-source", "not one of the sources", word, f"one of {known}", at)


def conducted(population: Population, conduct: Conduct) -> Population:
    """The population with the numbers that the conduct file replaces: of its conduct, and how often people die of another
    cause (at the age of 60; by age as the population says)."""
    replaced = dict(population.conduct)
    if conduct.doses is not None:
        replaced["missed_dose"] = conduct.doses.missed
    if conduct.dropout is not None:
        replaced["dropout_rate"] = conduct.dropout.rate
    survival = dict(population.survival)
    if conduct.other_deaths is not None:
        rate = conduct.other_deaths.rate
        survival["death_rate_other"] = rate.model_copy(update={"value": rate.value / _DAYS_A_YEAR, "unit": "/d"})
    return population.model_copy(update={"conduct": replaced, "survival": survival})

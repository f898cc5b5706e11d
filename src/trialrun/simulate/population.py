"""The population file: the assumed truth of virtual subjects, with a unit, a status and a source for every number."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, model_validator

from trialrun.simulate.limits import check_between, check_bounds, check_numbers
from trialrun.simulate.lineage import population_file, read_source
from trialrun.simulate.model.library import ALTERNATIVES, SHIPPED
from trialrun.simulate.number import STRICT, Bound, Number, Sources, Status, Variability
from trialrun.simulate.shift import Shift, Shifts
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.tests import find_test
from trialrun.vocab.yaml_source import Key, YamlSource, validate

FloatArray = NDArray[np.float64]
__all__ = [
    "Bound",
    "Number",
    "Shift",
    "Shifts",
    "Sources",
    "Status",
    "Variability",
]  # of a file, wherever they are made


class Measurement(BaseModel):
    """How a test is measured: its error and its reference limits by sex, in the test's canonical unit."""

    model_config = STRICT

    unit: str
    error: Literal["lognormal", "normal", "none"]
    sd: float | None = None
    female: list[float] | None = None
    male: list[float] | None = None
    status: Status
    source: Sources
    note: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.error == "none") != (self.sd is None) or (self.sd is not None and self.sd <= 0):
            raise ValueError("an error takes sd above 0; error none takes no sd")
        if (self.female is None) != (self.male is None):
            raise ValueError("limits are given for both sexes or for neither")
        for limits in (self.female, self.male):
            if limits is not None and (len(limits) != 2 or limits[0] >= limits[1]):
                raise ValueError("limits are [low, high] with low below high")
        return self


class Between(BaseModel):
    """How a number differs between trials: standard deviation of its logarithm."""

    model_config = STRICT

    sd: float
    status: Status
    source: Sources
    note: str | None = None


class Domain(BaseModel):
    """What the numbers were fitted to: beyond it a prediction is extrapolation."""

    model_config = STRICT

    drug: str
    dose_mg: list[float]
    line_of_therapy: list[str]
    crcl: list[float]


class About(BaseModel):
    """What the file describes."""

    model_config = STRICT

    id: str
    title: str
    describes: str


class Population(BaseModel):
    """A population file as read. Sections map names to numbers; names and units are those of data/quantities.csv."""

    model_config = STRICT

    trialrun: Literal[1]
    population: About
    sources: dict[str, str]
    enrolled: dict[str, Bound]
    baseline: dict[str, Number]
    pharmacokinetics: dict[str, Number]
    immune: dict[str, Number]
    leukemia: dict[str, Number]
    marrow: dict[str, Number]
    kidney: dict[str, Number]
    flare: dict[str, Number]
    infection: dict[str, Number]
    lysis: dict[str, Number]
    survival: dict[str, Number]
    conduct: dict[str, Number]
    direct_kill: dict[str, Number] = {}
    tests: dict[str, Measurement]
    model: str = "lenalidomide-cll"
    options: dict[str, str] = {}
    line_of_therapy: Literal["first_line", "relapsed"] = "first_line"
    between_trials: dict[str, Between] = {}
    domain: Domain | None = None
    shift: dict[str, Shifts] = {}  # of a file that extends another; none of a whole file
    content_hash: str = ""

    def numbers(self) -> Mapping[str, Number]:
        """Every number by `section.name`, in the order of the file."""
        return MappingProxyType(
            {f"{section}.{name}": number for section in SECTIONS for name, number in getattr(self, section).items()}
        )

    def shifted(self, name: str, values: FloatArray, size: FloatArray | None = None) -> FloatArray:
        """Values (n,) of a number of the file that states all numbers, as they are here: every shift applied in order.

        `name` is section.name; a spread (section.name:spread) is not shifted. `size` (n,) is the shift of each parameter set,
        which counts where a shift is `fitted`.
        """
        shifts = self.shift.get(name)
        return values if shifts is None else shifts.apply(values, size)


# Sections whose numbers differ between trials at most, not between subjects.
HAPPENING = ("flare", "infection", "lysis", "survival", "conduct")
SECTIONS = ("baseline", "pharmacokinetics", "immune", "leukemia", "marrow", "kidney", "direct_kill", *HAPPENING)


@cache
def quantities() -> Mapping[str, Mapping[str, str]]:
    """The unit that the equations take each number in, by section and name."""
    table = files("trialrun.simulate").joinpath("data/quantities.csv").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(table.splitlines()):
        found.setdefault(row["section"], {})[row["name"]] = row["unit"]
    return MappingProxyType(found)


def read_population(path: Path | str) -> Population:
    """Read a population file (or `population.yaml` of that folder).

    Unknown or missing keys, numbers without unit, status or a listed source, and units other than those of the
    equations are a TrialrunError whose problems carry file and line.
    """
    file = population_file(Path(path))
    source = read_source(file)
    if isinstance(source.data, dict) and "extends" in source.data:
        from trialrun.simulate.extend import read_extension  # it reads the population that it extends

        return read_extension(source, file)
    if isinstance(source.data, dict) and "shift" in source.data:
        at = source.location(("shift",))
        message = "only a population that extends another has shifts"
        raise TrialrunError(Problem("unknown-key", message, "shift", "extends: ...", at))
    population = validate(source, Population)
    problems = [
        *_check_names(source, population),
        *_check_sources(source, population),
        *_check_tests(source, population),
        *_check_between(source, population),
        *_check_model(source, population.model, population.options),
    ]
    if not problems:  # names and units are those of the table
        problems += check_numbers(population.numbers(), lambda name, field: source.location((*name.split("."), field)))
        sds = {name: between.sd for name, between in population.between_trials.items()}
        problems += check_between(sds, population.numbers(), lambda name: source.location(("between_trials", name)))
        problems += check_bounds(population.enrolled, lambda name, field: source.location(("enrolled", name, field)))
    if problems:
        raise TrialrunError(problems)
    return population.model_copy(update={"content_hash": sha256(source.text.encode()).hexdigest()})


def _check_names(source: YamlSource, population: Population) -> Iterator[Problem]:
    for section, wanted in quantities().items():
        given = getattr(population, section)
        if section == "direct_kill" and not given:
            continue  # only a drug that kills by itself has these
        for name, entry in given.items():
            at = source.location((section, name))
            if name not in wanted:
                yield Problem("unknown-key", f"no number of {section} has this name", name, _nearest(name, wanted), at)
            elif entry.unit != wanted[name]:
                where = source.location((section, name, "unit"))
                yield Problem("unit-mismatch", f"{section}.{name} in the wrong unit", entry.unit, wanted[name], where)
        for name in wanted:
            if name not in given:
                at = source.location((section,))
                yield Problem("missing-key", f"{section} lacks the number {name!r}", None, f"{name}: ...", at)


def _check_sources(source: YamlSource, population: Population) -> Iterator[Problem]:
    for section in ("enrolled", *SECTIONS, "tests", "between_trials"):
        for name, entry in getattr(population, section).items():
            key: Key = (section, name, "source")
            cited = [entry.source] if isinstance(entry.source, str) else entry.source
            if not cited:
                yield Problem("missing-source", f"{section}.{name} cites nothing", "[]", None, source.location(key))
            for word in cited:
                if word not in population.sources:
                    known = _nearest(word, population.sources)
                    yield Problem("unknown-source", "not one of the sources", word, known, source.location(key))


def _check_tests(source: YamlSource, population: Population) -> Iterator[Problem]:
    for name, entry in population.tests.items():
        test = find_test(name)
        if test is None or test.name != name:
            expected = test.name if test else None
            yield Problem("unknown-test", "not a test's name", name, expected, source.location(("tests", name)))
        elif entry.unit != (test.unit or "1"):
            where = source.location(("tests", name, "unit"))
            yield Problem("unit-mismatch", f"{name} in the wrong unit", entry.unit, test.unit or "1", where)


def _check_between(source: YamlSource, population: Population) -> Iterator[Problem]:
    known = population.numbers()
    for name in population.between_trials:
        at = source.location(("between_trials", name))
        if name not in known:
            yield Problem(
                "unknown-number", "no number of the population has this name", name, _nearest(name, known), at
            )
    yield from _check_spread(source, population.between_trials)


def _check_spread(source: YamlSource, between_trials: Mapping[str, Between]) -> Iterator[Problem]:
    for name, between in between_trials.items():
        if between.sd <= 0:
            at = source.location(("between_trials", name))
            yield Problem("wrong-value", "what differs between trials has a spread", str(between.sd), "sd above 0", at)


def _check_model(source: YamlSource, model: str, options: Mapping[str, str]) -> Iterator[Problem]:
    """Names of a model and of its alternatives that ship; one's own model is looked for when subjects are drawn."""
    if ":" not in model and model not in SHIPPED:
        known = _nearest(model, dict.fromkeys(SHIPPED))
        yield Problem("unknown-model", "no model has this name", model, known, source.location(("model",)))
    for what, way in options.items():
        at = source.location(("options", what))
        if what not in ALTERNATIVES:
            yield Problem("unknown-option", "no such alternative", what, _nearest(what, ALTERNATIVES), at)
        elif way not in ALTERNATIVES[what]:
            yield Problem("unknown-option", f"no such way of {what}", way, " or ".join(ALTERNATIVES[what]), at)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches  # only needed once something is wrong

    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return "one of " + ", ".join(close or known)

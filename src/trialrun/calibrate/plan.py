"""The calibration file: which published facts, seen in which trials, and which numbers may move how far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from trialrun.analysis.definitions import all_outcomes
from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol import Protocol, read_protocol
from trialrun.simulate.ensemble import SHIFT, SPREAD
from trialrun.simulate.population import Population, read_population
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import YamlSource, read_yaml, validate

FloatArray = NDArray[np.float64]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Prior(BaseModel):
    """What is thought of a number before the facts: its median, and the standard deviation on the scale.

    `log`: of the logarithm; `logit`: of log(x / (1 - x)), for shares.
    """

    model_config = _STRICT

    median: float
    sd: float
    scale: Literal["log", "logit"] = "log"
    why: str

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.sd <= 0 or self.median <= 0 or (self.scale == "logit" and self.median >= 1):
            raise ValueError("sd above 0 and a median above 0 (below 1 on the logit scale)")
        return self

    def value(self, score: FloatArray) -> FloatArray:
        """The number at so many prior standard deviations from its median, (n,)."""
        if self.scale == "log":
            return np.asarray(self.median * np.exp(self.sd * score))
        return np.asarray(1.0 / (1.0 + np.exp(-(np.log(self.median / (1.0 - self.median)) + self.sd * score))))


class Seen(BaseModel):
    """A trial in which facts were seen: the study file, its version, how many cycles are simulated for it.

    `without` names co-medication of the protocol that this trial did not have.
    """

    model_config = _STRICT

    study: str
    version: str | None = None
    cycles: int
    without: list[str] = []
    note: str | None = None


class Fact(BaseModel):
    """What was published of `of` subjects of these trials (pooled in equal parts): a count, or a median.

    `events` of them had the outcome; `count: episodes` counts episodes of it over all subjects instead (its likelihood is that
    of a count whose mean varies between trials). `median`: half of them had a value up to it; so many values on either side are
    the sampling distribution of a median, the density of the value itself left out. `at_most`: so many or fewer, where a report
    bounds the count. `among` names the outcome that they all
    had. `overdispersion` is that of this fact, where trials differ more in it than in others. `report` names the
    published trial, so that all facts of one can be left out together.
    """

    model_config = _STRICT

    outcome: str
    seen_in: list[str]
    events: int | None = None
    median: float | None = None
    of: int
    among: str | None = None
    at_most: bool = False
    count: Literal["subjects", "episodes"] = "subjects"
    overdispersion: float | None = None
    report: str | None = None
    source: str
    note: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.events is None) is (self.median is None):
            raise ValueError("either events or a median")
        if self.count == "episodes" and (self.median is not None or self.among is not None):
            raise ValueError("episodes are counted over all subjects: no median, no among")
        if self.at_most and (self.events is None or self.count == "episodes"):
            raise ValueError("at_most bounds the events of a count of subjects")
        return self

    @property
    def seen(self) -> float:
        """How many of `of` were seen with the outcome; of a median, half."""
        return self.of / 2 if self.events is None else float(self.events)

    @property
    def told(self) -> str:
        """As people say it: 14/25, at most 2/30, or median 4 (19)."""
        if self.events is None:
            return f"median {self.median:g} ({self.of})"
        return f"{'at most ' if self.at_most else ''}{self.events}/{self.of}"


class CalibrationFile(BaseModel):
    """calibration.yaml beside the population."""

    model_config = _STRICT

    trialrun: Literal[1]
    study: str
    overdispersion: float
    overdispersion_why: str
    trials: dict[str, Seen]
    facts: dict[str, Fact]
    priors: dict[str, Prior]


class OtherStructure(BaseModel):
    """calibration.yaml beside a population with other equations: trials and facts are those of the calibration it extends, all
    people have the equations (`options`) of the population beside it, and priors may be added or stated anew."""

    model_config = _STRICT

    trialrun: Literal[1]
    study: str
    extends: str
    why: str
    priors: dict[str, Prior] = {}


@dataclass(frozen=True, slots=True)
class Arm:
    """A trial that is simulated for the facts seen in it."""

    name: str
    plan: Plan
    population: Population
    cycles: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration file with its trials read: facts and priors by name, arms in the order of the file; `population` is the one
    whose numbers are fitted. Facts that are `left_out` are simulated, and fitted to by nothing."""

    file: Path
    text: str
    study: str
    population: Population
    facts: dict[str, Fact]
    priors: dict[str, Prior]
    arms: tuple[Arm, ...]
    overdispersion: float
    left_out: frozenset[str] = frozenset()

    @property
    def fitted(self) -> dict[str, Fact]:
        """The facts that are not left out."""
        return {name: fact for name, fact in self.facts.items() if name not in self.left_out}

    def without(self, facts: Iterable[str]) -> Calibration:
        """The same calibration to all facts but these."""
        return replace(self, left_out=frozenset(facts))

    def values(self, scores: FloatArray) -> dict[str, FloatArray]:
        """Numbers by name, (n,) each, for scores (n, P) in prior standard deviations."""
        return {name: prior.value(scores[:, i]) for i, (name, prior) in enumerate(self.priors.items())}


def read_calibration(file: Path) -> Calibration:
    """Read calibration.yaml and the studies that it names; unknown names are a TrialrunError with file and line."""
    source = read_yaml(file, str(file))
    if isinstance(source.data, dict) and "extends" in source.data:
        return _read_other_structure(file, source)
    read = validate(source, CalibrationFile)
    arms: list[Arm] = []
    studies: dict[Path, tuple[Protocol, Population]] = {}  # each is read once
    unknown: list[Problem] = []
    for name, seen in read.trials.items():
        folder = (file.parent / seen.study).resolve()
        if folder not in studies:
            studies[folder] = read_protocol(str(folder)), read_population(folder)
        protocol, people = studies[folder]
        version = protocol.version(seen.version)
        given = [item.name for item in version.concomitant]
        for place, item in enumerate(seen.without):
            if item not in given:
                at = source.location(("trials", name, "without", place))
                unknown.append(
                    Problem("unknown-treatment", "the protocol has no such treatment", item, ", ".join(given), at)
                )
        left = tuple(item for item in version.concomitant if item.name not in seen.without)
        plan = plan_version(replace(version, concomitant=left))
        arms.append(Arm(name, plan, people, seen.cycles))
    problems = [*unknown, *_check(source, read, arms)]
    if problems:
        raise TrialrunError(problems)
    people = arms[0].population
    return Calibration(file, source.text, read.study, people, read.facts, read.priors, tuple(arms), read.overdispersion)


def _read_other_structure(file: Path, source: YamlSource) -> Calibration:
    """The calibration that a file extends, with the equations of the population beside it."""
    read = validate(source, OtherStructure)
    wanted = (file.parent / read.extends).resolve()
    at = source.location(("extends",))
    if not wanted.is_file() or wanted == file.resolve():
        expected = f"the path of another calibration.yaml, from the folder of this file ({file.parent.resolve()})"
        raise TrialrunError(
            Problem("no-file", "the calibration that is extended is not there", read.extends, expected, at)
        )
    if "extends" in (read_yaml(wanted, str(wanted)).data or {}):
        expected = "a calibration that states its own trials and facts"
        raise TrialrunError(
            Problem("extends-twice", "the calibration that is extended extends another", read.extends, expected, at)
        )
    base = read_calibration(wanted)
    population = read_population(file.parent)
    if population.model != base.population.model or population.options == base.population.options:
        found = ", ".join(f"{what} {way}" for what, way in population.options.items())
        expected = f"`options` beside it that are not those of {read.extends}, and the same model"
        raise TrialrunError(Problem("same-structure", "no other equations to calibrate", found, expected, at))
    if _people(population) != _people(base.population):
        message = "the population beside it has other people, who would not be those that are fitted"
        expected = f"`options`, and nothing else that differs from the population of {read.extends}"
        raise TrialrunError(Problem("other-people", message, population.population.id, expected, at))

    def changed(people: Population) -> Population:
        digest = sha256((people.content_hash + population.content_hash).encode()).hexdigest()
        return people.model_copy(update={"options": population.options, "content_hash": digest})

    arms = tuple(replace(arm, population=changed(arm.population)) for arm in base.arms)
    for name in read.priors:
        number = population.numbers().get(name.removesuffix(SPREAD))
        if name not in base.priors and (number is None or (name.endswith(SPREAD) and number.variability is None)):
            where = source.location(("priors", name))
            raise TrialrunError(
                Problem("unknown-number", "the population has no such number", name, "section.name", where)
            )
    text, priors = base.text + source.text, {**base.priors, **read.priors}
    return replace(base, file=file, text=text, study=read.study, population=population, priors=priors, arms=arms)


def _people(population: Population) -> Population:
    """The population without what it is called, its sources and its equations."""
    same = Population.model_construct(population=None, sources=None, options=None, content_hash="")
    return population.model_copy(update={name: getattr(same, name) for name in same.model_fields_set})


def _check(source: YamlSource, read: CalibrationFile, arms: list[Arm]) -> list[Problem]:
    problems = []
    outcomes = all_outcomes()
    shares = [key for key, outcome in outcomes.items() if outcome.is_share]
    for name, fact in read.facts.items():
        if fact.median is not None:
            what, right = (
                "not an outcome with a median",
                [key for key, outcome in outcomes.items() if outcome.kind in ("number", "time")],
            )
        elif fact.count == "episodes":
            what, right = (
                "not an outcome with episodes",
                [key for key, outcome in outcomes.items() if outcome.kind == "total"],
            )
        else:
            what, right = "not an outcome with a count", shares
        if fact.outcome not in right:
            at = source.location(("facts", name, "outcome"))
            problems.append(Problem("unknown-outcome", what, fact.outcome, ", ".join(right), at))
        if fact.among is not None and fact.among not in shares:
            at = source.location(("facts", name, "among"))
            problems.append(
                Problem("unknown-outcome", "not an outcome with a count", fact.among, ", ".join(shares), at)
            )
        for trial in fact.seen_in:
            if trial not in read.trials:
                at = source.location(("facts", name, "seen_in"))
                problems.append(Problem("unknown-trial", "not one of the trials", trial, ", ".join(read.trials), at))
        if not fact.seen >= 0 or (fact.count == "subjects" and fact.seen > fact.of):
            at = source.location(("facts", name, "events"))
            problems.append(
                Problem("impossible-count", "more events than subjects", str(fact.events), str(fact.of), at)
            )
    known = arms[0].population.numbers()
    fitted = sorted({name for arm in arms for name, shift in arm.population.shift.items() if shift.fitted})
    for name in read.priors:
        if name.endswith(SHIFT):
            shifted = name.removesuffix(SHIFT)
            if shifted not in fitted or shifted not in read.priors:
                at = source.location(("priors", name))
                said = "no population of the trials has such a fitted shift, or the number itself has no prior"
                problems.append(Problem("unknown-number", said, name, ", ".join(fitted) or "none is fitted", at))
            continue
        number = known.get(name.removesuffix(SPREAD))
        if number is None or (name.endswith(SPREAD) and number.variability is None):
            at = source.location(("priors", name))
            problems.append(Problem("unknown-number", "the population has no such number", name, "section.name", at))
    return problems

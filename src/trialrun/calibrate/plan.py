"""The calibration file: which published facts, seen in which trials, and which numbers may move how far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trialrun.analysis.published import read_published
from trialrun.calibrate.check import check_calibration, check_priors
from trialrun.calibrate.file import CalibrationFile, Fact, OtherStructure, Prior
from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol import Protocol, read_protocol
from trialrun.simulate.people import have_same_people
from trialrun.simulate.population import Population, read_population
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import YamlSource, read_yaml, validate

FloatArray = NDArray[np.float64]
PUBLISHED = "published.yaml"  # beside a protocol


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
    problems = [*unknown, *check_calibration(source, read, [arm.population for arm in arms], _read_sources(studies))]
    if problems:
        raise TrialrunError(problems)
    people = arms[0].population
    return Calibration(file, source.text, read.study, people, read.facts, read.priors, tuple(arms), read.overdispersion)


def _read_sources(studies: Mapping[Path, tuple[Protocol, Population]]) -> set[str]:
    """The sources that a fact may cite: those of the populations and of what was published of the studies."""
    cited: set[str] = set()
    for folder, (_, people) in studies.items():
        cited |= set(people.sources)
        if (folder / PUBLISHED).exists():
            cited |= set(read_published(folder / PUBLISHED).sources)
    return cited


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
    if not have_same_people(population, base.population):
        message = "the population beside it has other people, who would not be those that are fitted"
        expected = f"`options`, and nothing else that differs from the population of {read.extends}"
        raise TrialrunError(Problem("other-people", message, population.population.id, expected, at))

    def changed(people: Population) -> Population:
        digest = sha256((people.content_hash + population.content_hash).encode()).hexdigest()
        return people.model_copy(update={"options": population.options, "content_hash": digest})

    arms = tuple(replace(arm, population=changed(arm.population)) for arm in base.arms)
    everyone = [population, *(arm.population for arm in base.arms)]
    problems = list(check_priors(source, read.priors, {**base.priors, **read.priors}, everyone))
    if problems:
        raise TrialrunError(problems)
    text, priors = base.text + source.text, {**base.priors, **read.priors}
    return replace(base, file=file, text=text, study=read.study, population=population, priors=priors, arms=arms)

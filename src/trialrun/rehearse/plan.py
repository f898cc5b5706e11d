"""What to rehearse: arms, virtual trials, parameter sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trialrun import __version__
from trialrun.analysis.run import VersionInfo
from trialrun.analysis.versions import derive_version_info
from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol import read_protocol
from trialrun.protocol.version import Protocol
from trialrun.simulate.domain import refuse_other_drug
from trialrun.simulate.ensemble import Ensemble, assign_sets, check_sets, find_ensemble, numbers_for, read_ensemble
from trialrun.simulate.luck import check_seed
from trialrun.simulate.model_needs import check_model
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.subjects import Numbers
from trialrun.vocab.problems import Location, Problem, TrialrunError

IntArray = NDArray[np.int64]
SMALL_TRIAL = 10  # subjects of a virtual trial where an ensemble is spread over one big group
FEW_TRIALS = 20  # with fewer of them a group is no longer spread: it is one trial
MANY_SETS = 100  # parameter sets that are drawn before any is drawn for a second trial


@cache
def name_program() -> Mapping[str, str]:
    """The program and the libraries that results depend on, with their versions."""
    libraries = " ".join(f"{name} {installed(name)}" for name in ("llvmlite", "numpy", "polars", "scipy"))
    return MappingProxyType({"program": __version__, "libraries": libraries})


@dataclass(frozen=True, slots=True)
class Arm:
    """One version of one protocol; `label` is its name in the run, and that of its folder."""

    protocol: Protocol
    version: str
    label: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What to rehearse: `trials` virtual trials of `subjects` each, under every arm, for `cycles` cycles.

    All arms meet the same subjects with the same luck, the same parameter set and the same difference between trials: trial t
    takes set k(t) of the ensemble. Without an ensemble there is one set, the population file's own, and no difference
    between trials.
    """

    arms: tuple[Arm, ...]
    population: Population
    population_file: Path
    subjects: int
    trials: int
    seed: int
    cycles: int
    ensemble: Ensemble | None = None
    ensemble_file: Path | None = None

    @property
    def total(self) -> int:
        """Subjects of all trials."""
        return self.subjects * self.trials

    def plan(self, arm: int) -> Plan:
        """The plan of an arm."""
        return plan_version(self.arms[arm].protocol.version(self.arms[arm].version))

    def info(self, arm: int) -> VersionInfo:
        """What the analysis must know of an arm, under its label."""
        label = self.arms[arm].label
        return replace(derive_version_info(self.plan(arm), self.cycles), version=label, folder=label)

    def trial_of(self, index: IntArray) -> IntArray:
        """The trial, from 1, of each global index (n,)."""
        return index // self.subjects + 1

    def numbers(self, index: IntArray) -> tuple[Numbers | None, IntArray | None]:
        """The numbers of these subjects (n,) and the parameter set of each, where there is an ensemble."""
        if self.ensemble is None:
            return None, None
        trial = self.trial_of(index)
        sets = self.sets_of_trials()[trial - 1]
        return numbers_for(self.population, self.ensemble, self.seed, trial, sets), sets

    def sets_of_trials(self) -> IntArray:
        """The parameter set of each trial, (trials,). From MANY_SETS trials on draws serve a second trial, at most half as
        many draws as trials, so that what differs between sets and what differs between trials can be told apart."""
        assert self.ensemble is not None
        draws = max(min(self.trials, MANY_SETS), (self.trials + 1) // 2)
        return assign_sets(self.ensemble, draws)[np.arange(self.trials) % draws]

    def about(self) -> dict[str, str]:
        """Everything that decides the results, by name: the same words, the same bytes on one kind of processor."""
        ensemble = self.ensemble
        values = b"" if ensemble is None else ensemble.values.tobytes() + ensemble.weights.tobytes()
        names = "none" if ensemble is None else f"{' '.join(ensemble.names)} {sha256(values).hexdigest()}"
        return {
            **name_program(),
            "arms": ", ".join(f"{arm.label} {arm.version} {arm.protocol.hash}" for arm in self.arms),
            "population": self.population.content_hash,
            "ensemble": names,
            "subjects": str(self.subjects),
            "trials": str(self.trials),
            "seed": str(self.seed),
            "cycles": str(self.cycles),
        }


@dataclass(frozen=True, slots=True)
class Request:
    """A rehearsal by the files that it reads: `protocols` as (file, version).

    `trials` None with an ensemble spreads the subjects over trials of SMALL_TRIAL each, rounded up, so that many parameter
    sets are met; a group too small for FEW_TRIALS of them, and every group without an ensemble, is one trial. `ensemble` names
    its file; "" means the one beside the population (or beside the one that it extends), None means one parameter set.
    """

    protocols: tuple[tuple[str, str | None], ...]
    population: str | None
    subjects: int
    trials: int | None
    seed: int
    cycles: int
    ensemble: str | None = ""


def read_rehearsal(request: Request) -> Rehearsal:
    """Read what a rehearsal needs: the population is the one named, or the one beside the first protocol.

    A version named twice, a seed beyond 64 bits, and a drug that the population has no model of are a TrialrunError.
    """
    arms = _read_arms(request.protocols)
    check_seed(request.seed)
    file = Path(request.population or Path(arms[0].protocol.file).parent)
    file = file / "population.yaml" if file.is_dir() else file
    people = read_population(file)
    _check_drugs(arms, people, file)
    check_model(people, file)
    found = None
    if request.ensemble is not None:
        found = Path(request.ensemble) if request.ensemble else find_ensemble(file)
    sets = None if found is None else read_ensemble(found)
    if sets is not None and found is not None:
        check_sets(people, file, sets, found)
    subjects, trials = request.subjects, request.trials
    if trials is None:
        spread = sets is not None and subjects >= FEW_TRIALS * SMALL_TRIAL
        subjects, trials = (SMALL_TRIAL, -(-subjects // SMALL_TRIAL)) if spread else (subjects, 1)
    return Rehearsal(arms, people, file, subjects, trials, request.seed, request.cycles, sets, found)


def _read_arms(named: Sequence[tuple[str, str | None]]) -> tuple[Arm, ...]:
    """The arms with labels of their own: the version; where there are several files the study beside it; where two files
    are of one study (one is a variant of the other) the folder instead."""
    studies = {file: read_protocol(file) for file in dict.fromkeys(file for file, _ in named)}
    found = [(studies[file], studies[file].version(name).name) for file, name in named]
    ways: tuple[Callable[[Protocol, str], str], ...] = (
        lambda study, name: f"{study.study.id}@{name}",
        lambda study, name: f"{Path(study.file).resolve().parent.name}@{name}",
    )
    if len({Path(study.file).resolve() for study in studies.values()}) == 1:
        ways = (lambda study, name: name,)
    for way in ways:
        labels = [way(*arm) for arm in found]
        if len(set(labels)) == len(labels):
            return tuple(Arm(study, name, label) for (study, name), label in zip(found, labels, strict=True))
    raise TrialrunError(Problem("version-twice", "a version is named twice", ", ".join(labels), "each version once"))


def _check_drugs(arms: Sequence[Arm], population: Population, file: Path) -> None:
    """Arms share their subjects, so one model of one drug must serve them all."""
    drugs = {arm.label: arm.protocol.version(arm.version).treatment.drug for arm in arms}
    if len({drug.casefold() for drug in drugs.values()}) > 1:
        other = next(arm for arm in arms if drugs[arm.label].casefold() != drugs[arms[0].label].casefold())
        message = "schedules of one drug are compared: what the same subject would do on another is not modelled"
        found = ", ".join(f"{name} gives {drug}" for name, drug in drugs.items())
        expected = "one drug; or one run of `trialrun simulate` each"
        raise TrialrunError(Problem("drugs-differ", message, found, expected, _drug_stands(other)))
    for arm in arms:
        refuse_other_drug(population, file, plan_version(arm.protocol.version(arm.version)), arm.label)


def _drug_stands(arm: Arm) -> Location:
    return arm.protocol.version(arm.version).source.location(("treatment", "drug"))

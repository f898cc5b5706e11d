"""What to rehearse: arms, virtual trials, parameter sets."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trialrun import __version__
from trialrun.analysis.run import VersionInfo
from trialrun.analysis.versions import derive_version_info
from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol import read_protocol
from trialrun.protocol.version import Protocol
from trialrun.simulate.ensemble import Ensemble, assign_sets, numbers_for, read_ensemble
from trialrun.simulate.population import Population, read_population
from trialrun.simulate.subjects import Numbers
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import read_yaml

IntArray = NDArray[np.int64]
SMALL_TRIAL = 10  # subjects of a virtual trial where an ensemble is spread over one big group


@dataclass(frozen=True, slots=True)
class Arm:
    """One version of one protocol."""

    protocol: Protocol
    version: str


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
        """What the analysis must know of an arm; versions of several studies carry the study's name."""
        found = derive_version_info(self.plan(arm), self.cycles)
        if len({item.protocol.study.id for item in self.arms}) == 1:
            return found
        name = f"{self.arms[arm].protocol.study.id}@{self.arms[arm].version}"
        return replace(found, version=name, folder=name)

    def trial_of(self, index: IntArray) -> IntArray:
        """The trial, from 1, of each global index (n,)."""
        return index // self.subjects + 1

    def numbers(self, index: IntArray) -> tuple[Numbers | None, IntArray | None]:
        """The numbers of these subjects (n,) and the parameter set of each, where there is an ensemble."""
        if self.ensemble is None:
            return None, None
        trial = self.trial_of(index)
        sets = assign_sets(self.ensemble, self.trials)[trial - 1]
        return numbers_for(self.population, self.ensemble, self.seed, trial, sets), sets

    @property
    def spec(self) -> str:
        """A name of everything that decides the results: the same spec gives the same bytes."""
        said = [
            __version__,
            self.population.content_hash,
            *(f"{arm.protocol.hash} {arm.version}" for arm in self.arms),
            f"{self.subjects} {self.trials} {self.seed} {self.cycles}",
            ""
            if self.ensemble is None
            else sha256(self.ensemble.values.tobytes() + self.ensemble.weights.tobytes()).hexdigest(),
        ]
        return blake2b(json.dumps(said).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """A rehearsal by the files that it reads, so that any process can read them: `protocols` as (file, version).

    `trials` None spreads the subjects over small trials where there is an ensemble. `ensemble` names its file; "" means the
    one beside the population (or beside the one that it extends), None means one parameter set.
    """

    protocols: tuple[tuple[str, str | None], ...]
    population: str | None
    subjects: int
    trials: int | None
    seed: int
    cycles: int
    ensemble: str | None = ""


@cache
def read_rehearsal(request: Request) -> Rehearsal:
    """Read what a rehearsal needs: the population is the one named, or the one beside the first protocol. An ensemble is used
    where there is one; subjects without a number of trials are then spread over trials of SMALL_TRIAL each (where their
    number is a multiple of it), so that many parameter sets are met."""
    studies = {file: read_protocol(file) for file, _ in request.protocols}
    arms = tuple(Arm(studies[file], studies[file].version(version).name) for file, version in request.protocols)
    twice = [f"{arm.protocol.study.id}@{arm.version}" for arm in arms]
    if len(set(twice)) != len(twice):
        raise TrialrunError(Problem("version-twice", "a version is named twice", ", ".join(twice), "each version once"))
    if not 0 <= request.seed < 2**64:
        raise TrialrunError(Problem("wrong-seed", "not a seed", str(request.seed), "0 to 2^64 - 1"))
    file = Path(request.population or Path(arms[0].protocol.file).parent / "population.yaml")
    people = read_population(file)
    found = None
    if request.ensemble is not None:
        found = Path(request.ensemble) if request.ensemble else _beside(file)
    sets = None if found is None else read_ensemble(found)
    subjects, trials = request.subjects, request.trials
    if trials is None:
        spread = sets is not None and subjects % SMALL_TRIAL == 0 and subjects >= 20 * SMALL_TRIAL
        subjects, trials = (SMALL_TRIAL, subjects // SMALL_TRIAL) if spread else (subjects, 1)
    return Rehearsal(arms, people, file, subjects, trials, request.seed, request.cycles, sets, found)


def _beside(population: Path) -> Path | None:
    """ensemble.parquet beside a population file, or beside the one that it extends, and so on."""
    file = population
    for _ in range(20):
        if file.is_dir():
            file = file / "population.yaml"
        candidate = file.parent / "ensemble.parquet"
        if candidate.exists():
            return candidate
        data = read_yaml(file, str(file)).data
        if not isinstance(data, dict) or "extends" not in data or "model" in data:
            return None  # a drug of its own was not fitted
        file = file.parent / str(data["extends"])
    raise TrialrunError(Problem("circle", "a population extends itself", str(population), "a population that does not"))

"""A study as whole trials are run of it: versions, virtual subjects, and the way it is conducted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from trialrun import __version__
from trialrun.engine.source import IntArray
from trialrun.plan.calendar import plan_version
from trialrun.plan.checked import describe_errors
from trialrun.protocol.version import Protocol
from trialrun.rehearse.eligible import describe_ineligible
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.domain import find_notices, refuse_other_drug
from trialrun.simulate.ensemble import Ensemble, assign_sets, check_sets, find_ensemble, numbers_for, read_ensemble
from trialrun.simulate.luck import check_seed
from trialrun.simulate.model_needs import check_model
from trialrun.simulate.population import Population, read_population
from trialrun.trials.courses import Clinic, Setting
from trialrun.trials.statement import Conduct, conducted, read_conduct
from trialrun.trials.summary import Characteristic
from trialrun.vocab.problems import Location, Problem, TrialrunError


@dataclass(frozen=True, slots=True)
class TrialStudy:
    """What is run: `versions` by name, the first one at the start, the others its amendments in order."""

    protocol: Protocol
    versions: tuple[str, ...]
    population: Population
    population_file: Path
    conduct: Conduct
    conduct_file: Path
    ensemble: Ensemble | None = None
    ensemble_file: Path | None = None

    def setting(self, seed: int, cycles: int, subjects: int, trials: int, threads: int = 1) -> Setting:
        """What the courses of the virtual subjects of `trials` trials of `subjects` each depend on."""
        check_seed(seed)
        people = conducted(self.population, self.conduct)
        sets = None if self.ensemble is None else assign_sets(self.ensemble, trials)

        def clinic(index: IntArray) -> Clinic:
            trial = index // subjects
            own = None if sets is None else sets[trial]
            numbers = numbers_for(people, self.ensemble, seed, trial + 1, own)
            return VirtualClinic(people, index.size, seed, threads=threads, index=index, numbers=numbers)

        plans = tuple(plan_version(self.protocol.version(name)) for name in self.versions)
        return Setting(plans, self.conduct, clinic, seed, cycles, sets)

    def notices(self) -> list[str]:
        """What must be said beside every result: what is wrong with the protocol, and what lies outside of the model."""
        arms = [(self.protocol, plan_version(self.protocol.version(name))) for name in self.versions]
        found = find_notices(self.population, self.population_file, arms, self.ensemble, self.ensemble_file)
        ineligible = describe_ineligible(self.population, {plan.version.name: plan for _, plan in arms})
        return [*describe_errors(arms), *found, *ineligible]


def read_trial_study(
    protocol: Protocol,
    start: str,
    amend_to: Sequence[str],
    population: Path | None,
    conduct: Path | None,
    with_ensemble: bool = True,
) -> TrialStudy:
    """The study with its files, those beside the protocol unless named; the ensemble, where there is one, stands beside
    the population or the one that it extends.

    A version named twice, one without rules for the study at the start, versions of different cycle length or drug, and a
    drug that the population has no model of are a TrialrunError.
    """
    versions = tuple(protocol.version(name).name for name in (start, *amend_to))
    if len(set(versions)) != len(versions):
        raise TrialrunError(
            Problem("version-twice", "a version is named twice", ", ".join(versions), "each version once")
        )
    plans = [plan_version(protocol.version(name)) for name in versions]
    for what, found in (
        ("cycle length", [str(plan.cycle_days) for plan in plans]),
        ("drug", [plan.drug for plan in plans]),
    ):
        if len(set(found)) > 1:
            message = f"a trial cannot change its {what} on the way"
            raise TrialrunError(Problem("versions-differ", message, ", ".join(found), f"one {what}"))
    if amend_to and not plans[0].version.study_rules:
        message = f"version {versions[0]} has no rule for the study, so nothing would ever amend it"
        raise TrialrunError(Problem("no-study-rules", message, None, "study_rules", Location(protocol.file)))
    folder = Path(protocol.file).parent
    people, run = population or folder / "population.yaml", conduct or folder / "conduct.yaml"
    people = people / "population.yaml" if people.is_dir() else people
    population_read = read_population(people)
    for name, plan in zip(versions, plans, strict=True):
        refuse_other_drug(population_read, people, plan, name)
    check_model(population_read, people)
    file = find_ensemble(people) if with_ensemble else None
    ensemble = None if file is None else read_ensemble(file)
    if ensemble is not None and file is not None:
        check_sets(population_read, people, ensemble, file)
    return TrialStudy(protocol, versions, population_read, people, read_conduct(run), run, ensemble, file)


def write_trials(
    study: TrialStudy,
    out: Path,
    trials: pl.DataFrame,
    subjects: pl.DataFrame,
    summary: Sequence[Characteristic],
    seed: int,
    cycles: int,
    made_on: date,
) -> None:
    """Write trials.parquet, subjects.parquet, summary.json, summary.csv and about.json; what was there is replaced."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said, right = error.strerror or str(error), "a folder that can be written"
        raise TrialrunError(
            Problem("cannot-write", "the folder cannot be made", said, right, Location(str(out)))
        ) from None
    trials.write_parquet(out / "trials.parquet")
    subjects.write_parquet(out / "subjects.parquet")
    rows = [row.as_dict() for row in summary]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(out / "summary.csv")
    (out / "summary.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    about = {
        "study": study.protocol.study.id,
        "protocol_file": study.protocol.file,
        "protocol_hash": study.protocol.hash,
        "versions": list(study.versions),
        "population_file": str(study.population_file),
        "population_hash": study.population.content_hash,  # of what it extends as well
        "conduct_file": str(study.conduct_file),
        "conduct_hash": study.conduct.content_hash,
        "ensemble_file": None if study.ensemble_file is None else str(study.ensemble_file),
        "ensemble_hash": None
        if study.ensemble_file is None
        else hashlib.sha256(study.ensemble_file.read_bytes()).hexdigest(),
        "notices": study.notices(),
        "seed": seed,
        "trials": trials.height,
        "subjects": subjects.height // max(trials.height, 1),
        "cycles": cycles,
        "program_version": __version__,
        "made_on": made_on.isoformat(),
    }
    (out / "about.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

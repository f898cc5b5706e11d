"""What a run directory says of itself: run.json, the plan of each arm, the published facts beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from trialrun import __version__
from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.run import VersionInfo
from trialrun.plan.checked import describe_errors, describe_open_steps
from trialrun.plan.planned import plan_as_json
from trialrun.rehearse.eligible import describe_ineligible
from trialrun.rehearse.plan import Rehearsal
from trialrun.simulate.domain import find_notices
from trialrun.simulate.ensemble import Ensemble
from trialrun.simulate.people import have_same_people
from trialrun.simulate.population import read_population


def write_description(
    rehearsal: Rehearsal,
    infos: Sequence[VersionInfo],
    about: Mapping[str, str],
    notices: Sequence[str],
    out: Path,
    made_on: date,
) -> None:
    """Write plan.json into the folder of each arm, and run.json; `about` is all that decides the results, by name, and `notices`
    are those of `notices_of`."""
    for arm, info in enumerate(infos):
        grid = json.dumps(plan_as_json(rehearsal.plan(arm), rehearsal.cycles), indent=2, ensure_ascii=False)
        (out / info.folder / "plan.json").write_text(grid + "\n", encoding="utf-8")
    protocol = rehearsal.arms[0].protocol
    published = Path(protocol.file).parent / "published.yaml"
    if published.exists():
        shutil.copyfile(published, out / "published.yaml")
    ensemble = rehearsal.ensemble
    said = {
        "kind": "compare" if len(infos) > 1 else "simulate",
        "study": protocol.study.id,
        "title": protocol.study.title,
        "protocol_file": protocol.file,
        "protocol_hash": protocol.hash,
        "population_file": str(rehearsal.population_file),
        "population_hash": rehearsal.population.content_hash,  # of what it extends as well
        "seed": rehearsal.seed,
        "subjects": rehearsal.subjects,
        "trials": rehearsal.trials,
        "cycles": rehearsal.cycles,
        "program_version": __version__,
        "made_on": made_on.isoformat(),
        "published": "published.yaml" if published.exists() else None,
        "other_people": _has_other_people(rehearsal),
        "ensemble": None
        if ensemble is None or rehearsal.ensemble_file is None
        else {
            **ensemble.about,
            "file": str(rehearsal.ensemble_file),
            "hash": hashlib.sha256(rehearsal.ensemble_file.read_bytes()).hexdigest(),
            "sets": ensemble.sets,
            "sets_met": int(np.unique(rehearsal.sets_of_trials()).size),
            "effective_sample_size": ensemble.effective_size,
        },
        "notices": list(notices),
        "request": dict(about),
        "versions": [
            {
                "version": info.version,
                "study": arm.protocol.study.id,
                "study_version": arm.version,
                "protocol_file": arm.protocol.file,
                "protocol_hash": arm.protocol.hash,
                "folder": info.folder,
                "hash": info.hash,
                "levels_mg": list(info.levels_mg),
                "target_mg": info.target_mg,
                "days_on": info.days_on,
                "cycle_days": info.cycle_days,
                "planned_mg": list(info.planned_mg),
                "ctcae": info.ctcae,
                "examines_marrow": info.examines_marrow,
            }
            for info, arm in zip(infos, rehearsal.arms, strict=True)
        ],
    }
    (out / "run.json").write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _has_other_people(rehearsal: Rehearsal) -> bool:
    """Whether the people are others than those beside the first protocol, of whom its facts were published."""
    own = Path(rehearsal.arms[0].protocol.file).parent / "population.yaml"
    if not own.exists() or own.resolve() == rehearsal.population_file.resolve():
        return False
    return not have_same_people(rehearsal.population, read_population(own))


def notices_of(rehearsal: Rehearsal) -> list[str]:
    """What must be said beside every result of the rehearsal."""
    arms = [(arm.protocol, rehearsal.plan(number)) for number, arm in enumerate(rehearsal.arms)]
    ensemble, file = rehearsal.ensemble, rehearsal.ensemble_file
    found = find_notices(rehearsal.population, rehearsal.population_file, arms, ensemble, file)
    plans = {arm.label: plan for arm, (_, plan) in zip(rehearsal.arms, arms, strict=True)}
    found += describe_ineligible(rehearsal.population, plans)
    if ensemble is not None:
        found += _short(ensemble, rehearsal.cycles)
    if ensemble is not None and rehearsal.trials == 1:
        found.append("One trial: all of its subjects have one parameter set, so no prediction can be made from it.")
    untaught = [] if ensemble is None else list(_untaught(ensemble))
    if untaught:
        found.append(
            f"The parameter sets were fitted to nothing about {', '.join(untaught)}: predictions of it spread as the priors do."
        )
    return [*describe_errors(arms), *describe_open_steps(arms, rehearsal.cycles), *found]


def _short(ensemble: Ensemble, cycles: int) -> Iterator[str]:
    """Where fewer cycles are followed than for some of the facts."""
    facts = ensemble.about.get("facts") or {}
    longer = max((int(fact.get("cycles", 0)) for fact in facts.values()), default=0)
    if cycles < longer:
        yield (
            f"Of the up to {longer} cycles over which published counts were fitted {cycles} are followed: what comes later is"
            " missing from what is predicted beside them."
        )


_NOT_HARM_OR_GOOD = ("Dose", "Lymphocytes")  # groups of outcomes that follow from the others, or show the mechanism


def _untaught(ensemble: Ensemble) -> Iterator[str]:
    """The groups of outcomes of which no fact was used. Sets that do not say what they were fitted to are not judged."""
    facts = ensemble.about.get("facts")
    if not isinstance(facts, Mapping) or not facts:
        return
    outcomes = all_outcomes()
    taught = {outcomes[fact["outcome"]].group for fact in facts.values() if fact.get("outcome") in outcomes}
    for group in dict.fromkeys(outcome.group for outcome in outcomes.values()):
        if group not in taught and group not in _NOT_HARM_OR_GOOD:
            yield group.lower()

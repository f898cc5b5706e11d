"""What a run directory says of itself: run.json, the plan of each arm, the published facts beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from trialrun import __version__
from trialrun.analysis.run import VersionInfo
from trialrun.plan.planned import plan_as_json
from trialrun.rehearse.plan import Rehearsal
from trialrun.simulate.domain import check_domain
from trialrun.simulate.population import read_population


def write_description(
    rehearsal: Rehearsal, infos: Sequence[VersionInfo], about: Mapping[str, str], out: Path, made_on: date
) -> None:
    """Write plan.json into the folder of each arm, and run.json; `about` is all that decides the results, by name."""
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
        "ensemble": None
        if ensemble is None or rehearsal.ensemble_file is None
        else {
            **ensemble.about,
            "file": str(rehearsal.ensemble_file),
            "hash": hashlib.sha256(rehearsal.ensemble_file.read_bytes()).hexdigest(),
            "sets": ensemble.sets,
            "effective_sample_size": ensemble.effective_size,
        },
        "notices": find_notices(rehearsal),
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
            }
            for info, arm in zip(infos, rehearsal.arms, strict=True)
        ],
    }
    (out / "run.json").write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def find_notices(rehearsal: Rehearsal) -> list[str]:
    """What must be said beside every result: where an arm lies outside of what the population was fitted to, whose people
    it is conducted on, and where the parameter sets say less than they seem to."""
    found: dict[str, None] = {}
    for number, arm in enumerate(rehearsal.arms):
        plan, version = rehearsal.plan(number), arm.protocol.version(arm.version)
        treatments = tuple(item.name for item in version.concomitant)
        doses = tuple(float(level) for level in plan.levels)
        found |= dict.fromkeys(check_domain(rehearsal.population, version.treatment.drug, doses, treatments))
        own = Path(arm.protocol.file).parent / "population.yaml"
        if own.exists() and own.resolve() != rehearsal.population_file.resolve():
            found[
                f"{arm.protocol.study.id} is conducted on the people of {rehearsal.population_file}, not on its own"
            ] = None
    ensemble, file = rehearsal.ensemble, rehearsal.ensemble_file
    if ensemble is not None and file is not None:
        if rehearsal.trials == 1:
            found["One trial: all of its subjects have one parameter set, so no prediction can be made from it."] = None
        fitted, beside = ensemble.about.get("population_hash"), file.parent / "population.yaml"
        if fitted is not None and beside.exists() and _hash_of(beside, rehearsal) != fitted:
            found[f"{beside} has changed since the parameter sets were fitted to it; calibrate again."] = None
    return list(found)


def _hash_of(population: Path, rehearsal: Rehearsal) -> str:
    """The hash of a population file; that of the rehearsal has been read already."""
    if population.resolve() == rehearsal.population_file.resolve():
        return rehearsal.population.content_hash
    return read_population(population).content_hash

"""Which people and which trials the numbers of a population were fitted to, from the files that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun.protocol import read_protocol
from trialrun.protocol.version import Criterion, Version
from trialrun.simulate.lineage import read_source, walk_lineage
from trialrun.simulate.population import Population, read_population


@dataclass(frozen=True, slots=True)
class Fitted:
    """`people` are population files, `trials` are (protocol file, version; None for every version)."""

    people: tuple[Path, ...]
    trials: tuple[tuple[Path, str | None], ...]

    def populations(self) -> dict[Path, Population]:
        """Those whose numbers differ from each other, by file."""
        found: dict[Path, Population] = {}
        for file in self.people:
            population = read_population(file)
            if not any(same_people(population, other) for other in found.values()):
                found[file] = population
        return found

    def holds(self, version: Version) -> bool:
        """Whether this version of its protocol is one of the trials; nothing else is read to tell."""
        file = Path(version.source.file).resolve()
        return any(file == trial and name in (None, version.name) for trial, name in self.trials)

    def treatments(self) -> dict[str, list[Criterion]]:
        """The co-medication of every trial, by name."""
        found: dict[str, list[Criterion]] = {}
        for file, name in self.trials:
            protocol = read_protocol(file)
            versions = protocol.versions.values() if name is None else (protocol.version(name),)
            for version in versions:
                for item in version.concomitant:
                    found.setdefault(item.name, []).append(item)
        return found


def same_people(one: Population, other: Population) -> bool:
    """Whether two populations have the same numbers and bounds, whatever they say of them."""

    def plain(population: Population) -> tuple[object, ...]:
        numbers = {name: (number.value, number.variability) for name, number in population.numbers().items()}
        bounds = {name: (bound.low, bound.high) for name, bound in population.enrolled.items()}
        return numbers, bounds, population.model, population.options

    return plain(one) == plain(other)


def find_fitted(file: Path) -> Fitted | None:
    """What the numbers of this population file were fitted to: the people of the file that states `domain` (itself or the
    nearest that it extends), those of the trials that a calibration.yaml beside that file names, and these trials; without
    one the trial beside that file. None where no file states a domain. What a file names and is not there is left out."""
    stating = [here for here, source in walk_lineage(file) if isinstance(source.data, dict) and "domain" in source.data]
    if not stating:
        return None
    here, folder = stating[0], stating[0].parent.resolve()
    trials = list(_calibrated(folder)) or [(folder / "protocol.yaml", None)]
    people = [here.resolve(), *(trial.parent / "population.yaml" for trial, _ in trials)]
    kept = dict.fromkeys((trial, name) for trial, name in trials if trial.exists())
    return Fitted(tuple(path for path in dict.fromkeys(people) if path.exists()), tuple(kept))


def _calibrated(folder: Path) -> list[tuple[Path, str | None]]:
    file = folder / "calibration.yaml"
    if not file.exists():
        return []
    data: Any = read_source(file).data  # checked where it is used to calibrate
    named = data.get("trials") if isinstance(data, dict) else None
    if not isinstance(named, Mapping):
        return []
    seen = [trial for trial in named.values() if isinstance(trial, Mapping) and isinstance(trial.get("study"), str)]
    return [((folder / trial["study"]).resolve() / "protocol.yaml", trial.get("version")) for trial in seen]

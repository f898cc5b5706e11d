"""Ensembles of parameter sets that fit the published facts, and the numbers that each virtual trial takes from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.simulate.limits import limits
from trialrun.simulate.lineage import read_source, walk_lineage
from trialrun.simulate.luck import draw_normal
from trialrun.simulate.model.library import ALTERNATIVES, SHIPPED
from trialrun.simulate.population import Population
from trialrun.vocab.problems import Location, Problem, TrialrunError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SPREAD = ":spread"  # after the name of a number: its standard deviation between subjects
SHIFT = ":shift"  # after the name of a number: the factor by which a population that extends another shifts it
WORTH_USING = 100  # effective sample size from which an ensemble may be shipped (assumed)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """`names` (P,) numbers as `section.name`, `section.name:spread` (its spread between subjects) or `section.name:shift` (the
    factor of a shift that is `fitted`); `values` (K, P) their values, units of the population
    file; `weights` (K,) sum to 1; `about` says what it was fitted to, with which seed, population and program."""

    names: tuple[str, ...]
    values: FloatArray
    weights: FloatArray
    about: Mapping[str, Any]

    @property
    def sets(self) -> int:
        """Number of parameter sets."""
        return int(self.weights.size)

    @property
    def effective_size(self) -> float:
        """Effective sample size of the weights, (sum w)^2 / sum w^2 (Kish)."""
        return float(1.0 / np.sum(self.weights**2))


def write_ensemble(ensemble: Ensemble, file: Path) -> None:
    """Write the sets as Parquet and what is known of them beside it as JSON."""
    columns: dict[str, Any] = {"set": np.arange(ensemble.sets), "weight": ensemble.weights}
    columns |= {name: ensemble.values[:, i] for i, name in enumerate(ensemble.names)}
    file.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns).write_parquet(file)
    about = {**ensemble.about, "sets": ensemble.sets, "effective_sample_size": round(ensemble.effective_size, 1)}
    file.with_suffix(".json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_ensemble(file: Path) -> Ensemble:
    """Read an ensemble; a TrialrunError where columns are missing, a value is no number or weights do not sum to 1."""
    try:
        table = pl.read_parquet(file)
        about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, pl.exceptions.PolarsError, json.JSONDecodeError) as error:
        expected = "ensemble.parquet with ensemble.json beside it, as `trialrun calibrate` writes them"
        raise TrialrunError(_problem("cannot be read", str(error).splitlines()[0], expected, file)) from None
    names = tuple(name for name in table.columns if name not in ("set", "weight"))
    if "weight" not in table.columns or not names or not table.height:
        raise TrialrunError(
            _problem("is not one", ", ".join(table.columns), "columns set, weight and section.name", file)
        )
    values, weights = table.select(names).to_numpy().astype(np.float64), table["weight"].to_numpy().astype(np.float64)
    alone = [name for name in names if name.endswith(SHIFT) and name.removesuffix(SHIFT) not in names]
    if alone:
        raise TrialrunError(_problem("shifts a number that it does not hold", ", ".join(alone), "both", file))
    if not np.isfinite(values).all() or not np.isfinite(weights).all() or (weights < 0).any():
        raise TrialrunError(
            _problem("has values that are no numbers", None, "finite values, weights of 0 or more", file)
        )
    if abs(weights.sum() - 1.0) > 1e-9:
        raise TrialrunError(_problem("has wrong weights", f"sum {weights.sum():.6g}", "weights that sum to 1", file))
    return Ensemble(names, values, weights, MappingProxyType(about))


def _problem(what: str, found: str | None, expected: str, file: Path) -> Problem:
    return Problem("bad-ensemble", f"the ensemble {what}", found, expected, Location(str(file)))


def find_ensemble(population: Path) -> Path | None:
    """ensemble.parquet beside a population file (or in that folder), or beside the one that it extends, and so on."""
    for file, source in walk_lineage(population):
        candidate = file.parent / "ensemble.parquet"
        if candidate.exists():
            return candidate
        if isinstance(source.data, dict) and "model" in source.data:
            return None  # a drug of its own was not fitted
    return None


def assign_sets(ensemble: Ensemble, trials: int) -> IntArray:
    """The parameter set of each of so many trials, (trials,): systematic resampling, so that a set of weight w is used w x
    trials times, rounded up or down. No luck is in it; consecutive trials have different sets where weights allow."""
    edges = np.cumsum(ensemble.weights)
    edges[-1] = 1.0
    at = (np.arange(trials) + 0.5) / trials
    chosen = np.searchsorted(edges, at, side="left")
    # a stride through the sorted list spreads the sets over any part of the trials
    stride = _coprime_near(trials, 0.6180339887498949)
    order = (np.arange(trials) * stride) % trials
    return np.asarray(chosen[order], dtype=np.int64)


def _coprime_near(n: int, part: float) -> int:
    stride = max(1, round(n * part))
    while np.gcd(stride, n) != 1:
        stride += 1
    return stride


def shifted_sets(population: Population, ensemble: Ensemble, sets: IntArray) -> dict[str, FloatArray]:
    """The numbers of these sets (n,) as they are in the population: values shifted as it says, the size of a fitted shift from
    the set itself, a spread that it states instead of the set's."""
    columns = {name: ensemble.values[sets, column] for column, name in enumerate(ensemble.names)}
    numbers: dict[str, FloatArray] = {}
    for name, values in columns.items():
        if name.endswith(SHIFT) or (name.endswith(SPREAD) and states_spread(population, name.removesuffix(SPREAD))):
            continue
        numbers[name] = population.shifted(name, values, columns.get(name + SHIFT))
    return numbers


def states_spread(population: Population, name: str) -> bool:
    """Whether a population that extends another states the spread of this number between subjects, so that no set does."""
    return name in population.shift and population.shift[name].states_spread


def check_sets(population: Population, file: Path, ensemble: Ensemble, ensemble_file: Path) -> None:
    """A TrialrunError where the shifts of the population, read from `file`, take a number of some parameter sets to where it
    cannot be: it names the number, how many sets, and the line of the shift."""
    problems = []
    every = shifted_sets(population, ensemble, np.arange(ensemble.sets))
    for name, values in every.items():
        bare = name.removesuffix(SPREAD)
        if bare not in limits():
            continue  # a name that nobody has is told when subjects are drawn
        with np.errstate(invalid="ignore"):
            wrong = ~(values > 0) if name.endswith(SPREAD) else ~limits()[bare].hold(values)
        if wrong.any():
            expected = "above 0" if name.endswith(SPREAD) else f"{limits()[bare]} in every set"
            found = f"{wrong.sum()} of {ensemble.sets} sets, such as {values[wrong][0]:g}"
            shifted = bare in population.shift
            at = read_source(file).location(("shift", bare)) if shifted else Location(str(ensemble_file))
            how = ", shifted," if shifted else ""
            problems.append(Problem("impossible-number", f"{name}{how} cannot be this", found, expected, at))
    if problems:
        raise TrialrunError(problems)


def describe_structure(population: Population) -> dict[str, Any]:
    """The equations that a population is simulated by: model, drug, and the way of each structural alternative. An ensemble
    keeps that of the population it was fitted to under `structure` of ensemble.json."""
    drug = None if population.domain is None else population.domain.drug
    ways = {what: population.options.get(what, known[0]) for what, known in ALTERNATIVES.items()}
    return {"model": population.model, "drug": drug, "options": ways}


def compare_structure(population: Population, ensemble: Ensemble) -> tuple[str, ...]:
    """What differs between the equations that the sets were fitted with and those of the population, each in words. Ensembles
    that do not say it were fitted with lenalidomide-cll and the first way of each alternative."""
    shipped = {"model": SHIPPED[0], "drug": "lenalidomide", "options": {}}
    fitted = {**shipped, **ensemble.about.get("structure", {})}
    here = describe_structure(population)
    found = [
        f"{what} {fitted[what] or 'not stated'}, here {here[what] or 'not stated'}"
        for what in ("model", "drug")
        if not (what == "drug" and here["drug"] is None)  # that it is not stated is told by itself
        and str(fitted[what]).casefold() != str(here[what]).casefold()
    ]
    for what, known in ALTERNATIVES.items():
        way = fitted["options"].get(what, known[0])
        if way != here["options"][what]:
            found.append(f"{what} {way}, here {here['options'][what]}")
    return tuple(found)


def numbers_for(
    population: Population, ensemble: Ensemble | None, seed: int, trial: IntArray, sets: IntArray | None
) -> dict[str, FloatArray]:
    """The numbers of subjects (n,) that are in these trials (n,) with these parameter sets (n,): the set's values, shifted as
    the population says, and on top what differs between trials (`between_trials` of the population: the logarithm by a
    normal, one draw a trial)."""
    numbers: dict[str, FloatArray] = {}
    if ensemble is not None and sets is not None:
        numbers = shifted_sets(population, ensemble, sets)
    known = population.numbers()
    for name, between in population.between_trials.items():
        base = numbers.get(name, np.full(trial.size, known[name].value))
        numbers[name] = base * np.exp(between.sd * draw_normal(seed, f"trial.{name}", trial))
    return numbers

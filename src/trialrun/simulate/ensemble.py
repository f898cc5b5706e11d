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

from trialrun.simulate.luck import draw_normal
from trialrun.simulate.population import Population
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_source import read_yaml

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHIFT = ":shift"  # after the name of a number: the factor by which a population that extends another shifts it


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


def numbers_for(
    population: Population, ensemble: Ensemble | None, seed: int, trial: IntArray, sets: IntArray | None
) -> dict[str, FloatArray]:
    """The numbers of subjects (n,) that are in these trials (n,) with these parameter sets (n,): the set's values, shifted as
    the population says, and on top what differs between trials (`between_trials` of the population: the logarithm by a
    normal, one draw a trial)."""
    numbers: dict[str, FloatArray] = {}
    if ensemble is not None and sets is not None:
        columns = {name: ensemble.values[sets, column] for column, name in enumerate(ensemble.names)}
        for name, values in columns.items():
            if not name.endswith(SHIFT):
                numbers[name] = population.shifted(name, values, columns.get(name + SHIFT))
    known = population.numbers()
    for name, between in population.between_trials.items():
        base = numbers.get(name, np.full(trial.size, known[name].value))
        numbers[name] = base * np.exp(between.sd * draw_normal(seed, f"trial.{name}", trial))
    return numbers

"""The stages of a calibration: two designs, emulator, pilot, posterior of the emulator, direct simulation, weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm, qmc

from trialrun import __version__
from trialrun.calibrate.batches import BATCH, Counts, Progress, simulate_batches
from trialrun.calibrate.chain import Chain, sample_chain
from trialrun.calibrate.emulate import Emulator, Tally, combine, fit_emulator
from trialrun.calibrate.evidence import average_likelihood, estimate_evidence
from trialrun.calibrate.held_out import find_misfits, leave_out, predict_facts, predict_without
from trialrun.calibrate.likelihood import log_likelihood, rate_of, size_of, to_odds
from trialrun.calibrate.plan import Calibration, read_calibration
from trialrun.calibrate.smooth import largest_trusted, smooth_weights
from trialrun.simulate.ensemble import Ensemble, describe_structure

FloatArray = NDArray[np.float64]
Learnt = tuple[FloatArray, Counts, Counts]  # scores, and of each fact the events and the subjects assessed

_LEAST_ERROR = 0.05  # log-odds: no surface is known better than this (assumed)
_WIDE = 1.3  # the design reaches somewhat further than the prior


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated: for the emulator `design` sets of `few` subjects over the priors and half as many of twice as many
    subjects about its first posterior, then half of `sets` of `many` each about its second; at last `sets` of `many` each.

    Of the chain that sets are taken from `steps` are kept, which are to be some fifty times its autocorrelation; three tenths as
    many are left out before, and kept of a chain that says where to simulate next.

    With `refit` a published trial that the weights cannot leave out is left out by a calibration without it, of half of `sets`.
    """

    design: int
    few: int
    sets: int
    many: int
    seed: int
    workers: int
    refit: bool = False
    steps: int = 5000

    @property
    def fewer_steps(self) -> int:
        """Three tenths of `steps`."""
        return 3 * self.steps // 10


@dataclass(frozen=True, slots=True)
class _Fit:
    """Sets from the posterior: `scores` (sets, P), the `rate` of each fact and from how many subjects (`size`) it is known,
    (sets,) each, how much of the rate was `simulated` for the set itself (median, the rest is the emulator's), and the
    logarithm of their weights, `logs` (sets,), before they are smoothed."""

    emulator: Emulator
    scores: FloatArray
    rate: Counts
    size: Counts
    simulated: dict[str, float]
    logs: FloatArray
    chain: dict[str, Any]

    def smooth(self) -> tuple[FloatArray, float | None]:
        """The weights (sets,), smoothed, and the shape of the largest."""
        weights, shape = smooth_weights(np.exp(self.logs - logsumexp(self.logs)))
        return weights, None if np.isnan(shape) else round(shape, 2)


def calibrate(file: Path, effort: Effort, work: Path, progress: Progress) -> tuple[Ensemble, dict[str, Any]]:
    """Calibrate to the facts of a calibration file; returns the ensemble and a table of results for people.

    Each batch is kept in `work` as soon as it is done; the same call goes on from what is there. The same seed gives the
    same sets on one kind of machine, whatever the number of workers and however often it was interrupted.
    """
    calibration = read_calibration(file)
    folder = work / _name(calibration, effort)
    folder.mkdir(parents=True, exist_ok=True)
    scores: FloatArray = _WIDE * norm.ppf(qmc.Sobol(len(calibration.priors), seed=effort.seed).random(effort.design))
    design = scores, *_simulate(calibration, scores, effort.few, effort, folder, "design", progress)
    fit = _fit(calibration, design, effort, folder, progress)
    weights, shape = fit.smooth()
    names = tuple(calibration.priors)
    values = np.column_stack([calibration.values(fit.scores)[name] for name in names])
    about = _about(calibration, effort) | {"misfits": find_misfits(calibration, weights, fit.rate, fit.size)}
    ensemble = Ensemble(names, values, weights, about)
    results = _results(calibration, fit.emulator, ensemble, fit.scores, fit.rate)
    predicted = predict_facts(calibration, weights, fit.rate, fit.size)
    for name, fact in results["facts"].items():
        fact["trial"] = predicted[name]
        fact["simulated"] = round(fit.simulated[name], 3)
    return ensemble, {
        **results,
        "chain": fit.chain | {"pareto_shape": shape},
        "evidence": _find_evidence(calibration, fit.emulator, fit.scores, fit.logs, effort.seed),
        "held_out": _leave_out(calibration, fit, design, effort, folder, progress),
    }


def _fit(calibration: Calibration, design: Learnt, effort: Effort, folder: Path, progress: Progress) -> _Fit:
    """All stages after the first design."""
    learnt = [design]
    emulator = _emulate(calibration, learnt)
    first, last = (effort.fewer_steps, effort.fewer_steps), (effort.fewer_steps, effort.steps)
    near = _sample(calibration, emulator, effort.seed, "first posterior", first, progress).choose(effort.design // 2)
    near = near.mean(axis=0) + _WIDE * (near - near.mean(axis=0))
    learnt.append((near, *_simulate(calibration, near, 2 * effort.few, effort, folder, "second design", progress)))
    emulator = _emulate(calibration, learnt)
    chain = _sample(calibration, emulator, effort.seed, "second posterior", first, progress)
    pilot = chain.choose(max(8, effort.sets // 2))
    counted = _simulate(calibration, pilot, effort.many, effort, folder, "pilot", progress)
    emulator, _ = _correct(emulator, pilot, _tally(calibration, *counted))
    chain = _sample(calibration, emulator, effort.seed, "posterior", last, progress)
    posterior = chain.choose(effort.sets)
    other = _sample(calibration, emulator, effort.seed + 1, "posterior again", last, progress)
    mixing = chain.mixing | {"apart_sd": chain.distance(other)}
    events, assessed = _simulate(calibration, posterior, effort.many, effort, folder, "sets", progress)
    rate, size, simulated = _pool(calibration, emulator, posterior, events, assessed)
    logs = _weigh(calibration, emulator, posterior, rate, size)
    return _Fit(emulator, posterior, rate, size, simulated, logs, mixing)


def _leave_out(
    calibration: Calibration, fit: _Fit, design: Learnt, effort: Effort, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Each published trial as the others predict it: by weights, and where those are not to be trusted by another calibration."""
    found = leave_out(calibration, fit.logs, fit.rate, fit.size)
    for report, one in found.items() if effort.refit else ():
        shape = one["pareto_shape"]
        if shape is not None and shape <= largest_trusted(effort.sets):
            continue
        others = calibration.without(one["facts"])
        own = folder / f"without-{re.sub('[^a-z0-9]+', '-', report.lower())}"
        own.mkdir(exist_ok=True)

        def told(stage: str, done: int, of: int, report: str = report) -> None:
            progress(f"without {report}: {stage}", done, of)

        again = _fit(others, design, replace(effort, sets=effort.sets // 2), own, told)
        found[report] = predict_without(others, *again.smooth(), again.rate, again.size)
    return found


def _simulate(
    calibration: Calibration,
    scores: FloatArray,
    subjects: int,
    effort: Effort,
    folder: Path,
    stage: str,
    progress: Progress,
) -> tuple[Counts, Counts]:
    size = max(1, BATCH * effort.few // subjects)
    return simulate_batches(calibration, scores, subjects, size, effort.seed, effort.workers, folder, stage, progress)


def _name(calibration: Calibration, effort: Effort) -> str:
    parts = [calibration.text, *(arm.population.content_hash for arm in calibration.arms), __version__]
    parts += [arm.plan.version.hash for arm in calibration.arms]
    parts.append(f"{effort.design} {effort.few} {effort.sets} {effort.many} {effort.seed} {BATCH}")
    return blake2b("|".join(parts).encode(), digest_size=8).hexdigest()


def _emulate(calibration: Calibration, learnt: list[Learnt]) -> Emulator:
    """The emulator of all that was simulated for it, each set known as well as its subjects make it."""
    parts = [_tally(calibration, events, assessed) for _, events, assessed in learnt]
    tally = replace(
        parts[0],
        events=np.vstack([part.events for part in parts]),
        assessed=np.vstack([part.assessed for part in parts]),
    )
    return fit_emulator(np.vstack([scores for scores, *_ in learnt]), tally)[0]


def _tally(calibration: Calibration, events: Counts, assessed: Counts) -> Tally:
    """Counts by fact as the emulator takes them, in the order of the facts."""
    facts = calibration.facts
    return Tally(
        np.column_stack([events[name] for name in facts]),
        np.column_stack([assessed[name] for name in facts]),
        [fact.count == "episodes" for fact in facts.values()],
    )


def _correct(emulator: Emulator, scores: FloatArray, tally: Tally) -> tuple[Emulator, FloatArray]:
    """The emulator and what it was wrong by at sets near the posterior (n, P), learnt as a second one: the designs met fewer
    people, and lie wider. The error is that of the second one. And what it says of each set from the others alone."""
    near = _within(scores)
    change, others = fit_emulator(near, tally, emulator.predict(near))
    return Emulator(emulator.coefficients + change.coefficients, change.error), others


def _within(scores: FloatArray) -> FloatArray:
    """Scores no further out than the design reaches, where the quadratic means something."""
    return np.clip(scores, -3.5, 3.5)


def _emulated(calibration: Calibration, emulator: Emulator, scores: FloatArray) -> FloatArray:
    """Log-likelihood of all facts, (n,), by the emulator; its error makes a rate less well known."""
    odds = emulator.predict(scores)
    total = np.zeros(len(scores))
    for i, (name, fact) in enumerate(calibration.facts.items()):
        if name in calibration.left_out:
            continue
        rate, size = rate_of(fact, odds[:, i], emulator.error[i])
        total += log_likelihood(fact, rate, size, calibration.overdispersion)
    return total


def _sample(
    calibration: Calibration, emulator: Emulator, seed: int, stage: str, steps: tuple[int, int], progress: Progress
) -> Chain:
    """A chain from the posterior of the emulator, so many steps left out and kept."""

    def log_posterior(scores: FloatArray) -> FloatArray:
        near = -0.5 * np.sum(scores**2, axis=1)
        return np.asarray(near + _emulated(calibration, emulator, _within(scores)))

    return sample_chain(log_posterior, len(calibration.priors), seed, *steps, partial(progress, stage))


def _pool(
    calibration: Calibration, emulator: Emulator, scores: FloatArray, events: Counts, assessed: Counts
) -> tuple[Counts, Counts, dict[str, float]]:
    """The rate of each fact at each set (sets,), how many subjects it is known as well as from, and how much of the rate
    (median) is what was simulated at the set itself.

    Chance in the few subjects of a set would be taken for a better or worse fit. So the emulator is corrected once more, by what
    was simulated here, and the counts of a set change what it says of that set from all others; the emulator counts as known
    no better than `_LEAST_ERROR`.
    """
    tally = _tally(calibration, events, assessed)
    corrected, others = _correct(emulator, scores, tally)
    error = np.maximum(corrected.error, _LEAST_ERROR)
    found = combine(others, error, tally)
    rate = {name: found.rate[:, i] for i, name in enumerate(calibration.facts)}
    size = {
        name: size_of(fact, rate[name], found.variance[:, i])
        for i, (name, fact) in enumerate(calibration.facts.items())
    }
    return rate, size, dict(zip(calibration.facts, np.median(found.counted, axis=0).tolist(), strict=True))


def _weigh(calibration: Calibration, emulator: Emulator, scores: FloatArray, rate: Counts, size: Counts) -> FloatArray:
    """Logarithm of the importance weights (sets,): likelihood by simulation over that by the emulator that proposed the set."""
    direct = np.zeros(len(scores))
    for name, fact in calibration.fitted.items():
        direct = direct + log_likelihood(fact, rate[name], size[name], calibration.overdispersion)
    return np.asarray(direct - _emulated(calibration, emulator, _within(scores)))


def _find_evidence(
    calibration: Calibration, emulator: Emulator, scores: FloatArray, logs: FloatArray, seed: int
) -> dict[str, float]:
    """How well these equations and priors predict the facts: that by the emulator, times the mean weight of the sets `scores`
    drawn from its posterior."""

    def log_posterior(drawn: FloatArray) -> FloatArray:
        prior = -0.5 * np.sum(drawn**2 + np.log(2.0 * np.pi), axis=1)
        return np.asarray(prior + _emulated(calibration, emulator, _within(drawn)))

    emulated = estimate_evidence(log_posterior, scores, np.random.default_rng(seed))
    simulated = average_likelihood(logs)
    return {
        "log": round(emulated.log + simulated.log, 2),
        "standard_error": round(float(np.hypot(emulated.error, simulated.error)), 2),
        "effective_draws": round(emulated.worth),
    }


def _about(calibration: Calibration, effort: Effort) -> dict[str, Any]:
    population = calibration.population
    return {
        "study": calibration.study,
        "population": population.population.id,
        "population_hash": population.content_hash,
        "structure": describe_structure(population),
        "program_version": __version__,
        "seed": effort.seed,
        "design": effort.design,
        "subjects_a_design_set": effort.few,
        "subjects_a_set": effort.many,
        "overdispersion": calibration.overdispersion,
        "facts": describe_facts(calibration),
    }


def describe_facts(calibration: Calibration) -> dict[str, dict[str, Any]]:
    """The facts as they are kept with the sets that were fitted to them; `cycles` is how long they were followed."""
    cycles = {arm.name: arm.cycles for arm in calibration.arms}
    found: dict[str, dict[str, Any]] = {}
    for name, fact in calibration.facts.items():
        seen = {"events": fact.events} if fact.median is None else {"median": fact.median, "among": fact.among}
        followed = max(cycles[arm] for arm in fact.seen_in)
        found[name] = {
            "outcome": fact.outcome,
            "seen_in": fact.seen_in,
            **seen,
            "of": fact.of,
            "cycles": followed,
        }
    return found


def _results(
    calibration: Calibration,
    emulator: Emulator,
    ensemble: Ensemble,
    scores: FloatArray,
    rate: dict[str, FloatArray],
) -> dict[str, Any]:
    """What people want to see: each fact beside what the ensemble says, each number's prior and posterior."""
    weights = ensemble.weights

    def quantiles(values: FloatArray) -> list[float]:
        order = np.argsort(values)
        at = np.cumsum(weights[order]) - 0.5 * weights[order]
        return [float(np.interp(level, at, values[order])) for level in (0.025, 0.25, 0.5, 0.75, 0.975)]

    facts = {}
    for i, (name, fact) in enumerate(calibration.facts.items()):
        odds = emulator.predict(_within(scores))[:, i]
        facts[name] = {
            "told": fact.told,
            "at_most": fact.at_most,
            "events": fact.seen,
            "of": fact.of,
            "published": fact.seen / fact.of,
            "mean": float(weights @ rate[name]),
            "quantiles": quantiles(rate[name]),
            "sensitivity": _sensitivity(emulator.coefficients[:, i], list(calibration.priors)),
            "emulator_error_log_odds": float(emulator.error[i]),
            "emulator_bias_log_odds": float(np.mean(to_odds(fact, rate[name]) - odds)),
        }
    numbers = {}
    for i, (name, prior) in enumerate(calibration.priors.items()):
        mean = float(weights @ scores[:, i])
        sd = float(max(float(weights @ (scores[:, i] - mean) ** 2), 0.0) ** 0.5)
        numbers[name] = {
            "prior_median": prior.median,
            "prior": [float(prior.value(np.array([z]))[0]) for z in (-1.96, 1.96)],
            "posterior": quantiles(ensemble.values[:, i]),
            "shrinkage": 1.0 - sd**2,
        }
    return {"effective_sample_size": ensemble.effective_size, "facts": facts, "numbers": numbers}


def _sensitivity(coefficients: FloatArray, names: list[str]) -> dict[str, list[float]]:
    """First-order and total Sobol indices of each number, over the prior, of the emulated log-odds: exact for a quadratic of
    independent standard normal scores (variances b^2 of a score, 2 b^2 of its square, b^2 of a product)."""
    p = len(names)
    rows, columns = np.triu_indices(p)
    single, second = coefficients[1 : 1 + p] ** 2, coefficients[1 + p :] ** 2
    own = single.copy()
    np.add.at(own, rows[rows == columns], 2.0 * second[rows == columns])
    shared = np.zeros(p)
    mixed = rows != columns
    np.add.at(shared, rows[mixed], second[mixed])
    np.add.at(shared, columns[mixed], second[mixed])
    whole = own.sum() + second[mixed].sum()
    return {name: [float(own[i] / whole), float((own[i] + shared[i]) / whole)] for i, name in enumerate(names)}


def write_results(results: dict[str, Any], file: Path) -> None:
    """Keep the results beside the ensemble as JSON."""
    file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

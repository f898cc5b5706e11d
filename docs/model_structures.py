"""The same facts under other equations, for docs/model.md: how well each structure predicts them, how it fits, and what it says of
the order of the four schedules on the same people."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from model_drivers import Driver, find_drivers, score_sets
from schedules import ARMS, CYCLES, OUTCOMES, SEED, STUDIES, SUBJECTS, TRIALS, find_chance

from trialrun.analysis.prediction_text import format_probability, points
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run, read_run
from trialrun.analysis.summary import summarize_run
from trialrun.calibrate.plan import Calibration
from trialrun.rehearse import Request, Where, rehearse
from trialrun.simulate.ensemble import Ensemble
from trialrun.simulate.population import read_population

STUDY = STUDIES / "lenalidomide-cll"
AGAINST = ARMS[1][2]
SHOWN = ("amended response", "amended flare", "amended neutropenia 3-4", "amended clinical lysis", "25 mg flare onset", "25 mg flare after cycle 1")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Structure:
    """One set of equations with its ensemble: `results` of its calibration, for (outcome, schedule) the probability that the
    amended schedule does better than that one, and of the shipped equations what the difference from `AGAINST` hangs on."""

    name: str
    results: dict[str, Any]
    chances: dict[tuple[str, int], Row | None]
    drivers: dict[str, list[Driver]]

    @property
    def log_evidence(self) -> float:
        return float(self.results["evidence"]["log"])


def simulate_structures(calibration: Calibration, ensemble: Ensemble) -> list[Structure]:
    """The shipped structure first, which has this calibration and these sets."""
    base = read_population(STUDY).options
    found = []
    for folder in (STUDY, *sorted((STUDY / "structures").iterdir())):
        options = read_population(folder).options
        changed = [f"{what.replace('_', ' ')}: {way}" for what, way in options.items() if way != base[what]]
        results = json.loads((folder / "calibration_results.json").read_text(encoding="utf-8"))
        with TemporaryDirectory() as place:
            run = _simulate(folder / "population.yaml", Path(place) / "run")
            drivers = {} if changed else _find_drivers(run, calibration, ensemble)
            found.append(Structure(", ".join(changed) or "as shipped", results, _find_chances(run), drivers))
    return found


def _simulate(population: Path, out: Path) -> Run:
    arms = tuple((str(STUDIES / study), version) for study, version, _ in ARMS)
    request = Request(arms, str(population), SUBJECTS, TRIALS, SEED, CYCLES)
    rehearse(request, out, date(2000, 1, 1), where=Where(2), keep_record=False)
    return read_run(out)


def _find_chances(run: Run) -> dict[tuple[str, int], Row | None]:
    rows = summarize_run(run)
    first, *others = (info.version for info in run.versions)
    return {
        (name, place): find_chance(rows, name, first, other)
        for name in OUTCOMES
        for place, other in enumerate(others, start=1)
    }


def _find_drivers(run: Run, calibration: Calibration, ensemble: Ensemble) -> dict[str, list[Driver]]:
    scores = score_sets(calibration, ensemble)
    first, second = (run.directory / info.folder / "outcomes.parquet" for info in run.versions[:2])
    return {name: find_drivers(first, second, name, ensemble.names, scores) for name in OUTCOMES}


def describe_drivers(drivers: dict[str, list[Driver]]) -> list[str]:
    """Rows of a table."""
    lines = []
    for name, label in OUTCOMES.items():
        cells = [f"{one.number} {100 * one.share:.0f} ± {100 * one.error:.0f} %" for one in drivers[name]]
        cells = (cells or ["none is seen beyond chance"]) + [""] * 3
        lines.append(f"| {label} | " + " | ".join(cells[:3]) + " |")
    return lines


def share_belief(structures: list[Structure]) -> np.ndarray:
    """What is believed of each structure after the facts, all being believed alike before."""
    logs = np.array([one.log_evidence for one in structures])
    found: np.ndarray = np.exp(logs - logs.max())
    return found / found.sum()


def describe_structures(structures: list[Structure]) -> list[str]:
    """The section of the page."""
    belief = share_belief(structures)
    lines = [
        "",
        "## Other equations",
        "",
        "Each structural alternative has an ensemble of its own, fitted to the same facts (`trialrun calibrate studies/lenalidomide-cll/structures/...`);"
        " `--population` with its population file simulates by it. *Evidence* is the natural logarithm of the marginal likelihood: how probable the facts are under the"
        " equations and priors before anything is fitted. A difference of 1 is worth hardly a mention, of 3 it is strong, of 5 very strong (Kass and Raftery 1995). It"
        " depends on the priors as well as on the equations. *Belief* is what follows from it where all were believed alike before.",
        "",
        "| equations | evidence (standard error) | belief | sets worth | " + " | ".join(SHOWN) + " |",
        "|---|---:|---:|---:|" + "---:|" * len(SHOWN),
    ]
    facts = structures[0].results["facts"]
    lines.append("| *published* | | | | " + " | ".join(facts[name]["told"] for name in SHOWN) + " |")
    for one, share in zip(structures, belief, strict=True):
        evidence, fits = one.results["evidence"], one.results["facts"]
        cells = [f"{points(fits[name]['mean'])} %" for name in SHOWN]
        lines.append(
            f"| {one.name} | {evidence['log']:.1f} ({evidence['standard_error']:.1f}) | {_percent(float(share))} |"
            f" {one.results['effective_sample_size']:.0f} | " + " | ".join(cells) + " |"
        )
    lines += [
        "",
        "Of a median the share of people up to it is shown (half of them, if it fits).",
        "",
        f"The probability that the amended schedule (2.5, 5, 10 mg by month) does better than another one, on the same people ({TRIALS} trials of {SUBJECTS},"
        f" {CYCLES} cycles, seed {SEED}), under each structure and averaged over them by belief. Brackets hold what simulating more could still"
        " change, those of the average the averages of theirs: wide ones tell nothing. Where columns differ by more than their brackets, the order of schedules hangs on the equations.",
        "",
        "| outcome | better than | " + " | ".join(one.name for one in structures) + " | averaged |",
        "|---|---|" + "---:|" * (len(structures) + 1),
    ]
    for name, label in OUTCOMES.items():
        for place, (*_, other) in enumerate(ARMS[1:], start=1):
            chances = [one.chances[name, place] for one in structures]
            mean = _average(chances, belief)
            shown = " | ".join("-" if chance is None else format_probability(chance) for chance in (*chances, mean))
            lines.append(f"| {label} | {other} | {shown} |")
    return lines


def _average(chances: list[Row | None], belief: np.ndarray) -> Row | None:
    """The average by belief of value and bounds; None where a structure that is believed is not known."""
    known = [
        (share, row) for share, row in zip(belief, chances, strict=True) if row is not None and row.value is not None
    ]
    total = float(sum(share for share, _ in known))
    if total < 0.999:
        return None
    value, low, high = (
        float(sum(share * (getattr(row, name) or 0.0) for share, row in known)) / total
        for name in ("value", "ci_low", "ci_high")
    )
    return replace(known[0][1], value=value, ci_low=low, ci_high=high)


def _percent(share: float) -> str:
    return "<1 %" if share < 0.01 else ">99 %" if share > 0.99 else f"{100 * share:.0f} %"

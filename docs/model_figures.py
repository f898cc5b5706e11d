"""The figures of docs/model.md, drawn from the files of the study and from one run: see docs/model_report.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from model_runs import Predicted
from scipy.stats import beta

from trialrun.analysis.prediction_text import predicted
from trialrun.analysis.rows import Row

mpl.use("Agg")
import matplotlib.pyplot as plt

Facts = Mapping[str, Mapping[str, Any]]
BLUE, RED, GREY = "#1b6ca8", "#c0392b", "0.55"


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def draw_fit(facts: Facts, path: Path) -> None:
    """Each published count with its exact interval, beside the ensemble's mean and 95 % of its sets."""
    figure, ax = plt.subplots(figsize=(8, 6.4), constrained_layout=True)
    for place, fact in enumerate(facts.values()):
        q = fact["quantiles"]
        ax.plot([100 * q[0], 100 * q[-1]], [place - 0.14] * 2, color=BLUE, lw=4, solid_capstyle="butt")
        ax.plot(100 * fact["mean"], place - 0.14, "o", color=BLUE, ms=6)
        seen, of = min(fact["events"], fact["of"]), fact["of"]
        exact = [
            beta(seen, of - seen + 1).ppf(0.025) if seen else 0,
            beta(seen + 1, of - seen).ppf(0.975) if seen < of else 1,
        ]
        ax.plot([100 * exact[0], 100 * exact[1]], [place + 0.14] * 2, color=RED, lw=1.5)
        ax.plot(100 * fact["published"], place + 0.14, _mark(fact["at_most"]), color=RED, ms=5)
    names = [f"{name} ({fact['told']})" for name, fact in facts.items()]
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.grid(axis="x", color="0.92")
    ax.set_xlabel("% (episodes: per 100 subjects)")
    ax.plot([], [], "o-", color=BLUE, lw=4, label="ensemble: mean, 95 % of sets")
    ax.plot([], [], "D-", color=RED, lw=1.5, ms=5, label="published: exact 95 % interval (triangle: at most)")
    ax.legend(loc="lower right", fontsize=8)
    _save(figure, path)


def draw_facts(facts: Mapping[str, Predicted], path: Path) -> None:
    """Each fact in trials of its own size: counts, the true rate of large trials, and what was published."""
    figure, ax = plt.subplots(figsize=(8, 6.4), constrained_layout=True)
    for place, found in enumerate(facts.values()):
        of = found.fact.of
        ax.plot([100 * found.low / of, 100 * found.high / of], [place] * 2, color=GREY, lw=1.5)
        ax.plot([100 * found.large[0], 100 * found.large[1]], [place] * 2, color=BLUE, lw=5, solid_capstyle="butt")
        ax.plot(100 * found.mean, place, "o", color="w", mec=BLUE, ms=7)
        ax.plot(100 * found.fact.seen / of, place, _mark(found.fact.at_most), color=RED, ms=6)
    names = [f"{name} ({found.fact.told})" for name, found in facts.items()]
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.invert_yaxis()
    ax.set_xlim(-2, 100)
    ax.grid(axis="x", color="0.92")
    ax.set_xlabel(
        "% (blue: true rate of a large trial,\ngrey: trial of the published size, red: published, a triangle where at most so many)",
        fontsize=9,
    )
    _save(figure, path)


def _mark(at_most: bool) -> str:
    """Of a published count, or of a bound, which points to where the count may be."""
    return "<" if at_most else "D"


def is_inside(predicted: Mapping[str, float], fact: Mapping[str, Any]) -> bool:
    """Whether a published count is one that such a trial may well show; an upper bound, whether counts below it are."""
    return predicted["low"] <= fact["events"] and (fact["at_most"] or fact["events"] <= predicted["high"])


def draw_held_out(found: Mapping[str, Mapping[str, Any]], facts: Facts, path: Path) -> None:
    """Each fact as the other trials alone predict it, beside what was published."""
    rows = [(report, name, fact) for report, one in found.items() for name, fact in one["facts"].items()]
    figure, ax = plt.subplots(figsize=(8, 0.8 + 0.32 * len(rows)), constrained_layout=True)
    for place, (_, name, fact) in enumerate(rows):
        of = facts[name]["of"]
        ax.plot([100 * fact["low"] / of, 100 * fact["high"] / of], [place] * 2, color=GREY, lw=2)
        ax.plot(100 * fact["rate"], place, "o", color="w", mec=BLUE, ms=7)
        inside = is_inside(fact, facts[name])
        mark = _mark(facts[name]["at_most"])
        ax.plot(100 * facts[name]["published"], place, mark, color=RED, ms=6, mfc=RED if inside else "w", mew=1.5)
    starts = [place for place in range(1, len(rows)) if rows[place][0] != rows[place - 1][0]]
    for place in starts:
        ax.axhline(place - 0.5, color="0.85", lw=0.8)
    ax.set_yticks(
        range(len(rows)), [f"{report}: {name} ({facts[name]['told']})" for report, name, _ in rows], fontsize=8
    )
    ax.invert_yaxis()
    ax.set_xlim(-2, 102)
    ax.grid(axis="x", color="0.92")
    ax.set_xlabel(
        "% (predicted without this trial: blue rate, grey 95 % of counts;\nred: published, hollow where outside)",
        fontsize=8,
    )
    _save(figure, path)


def draw_sensitivity(facts: Facts, path: Path) -> None:
    """Total Sobol indices of each fact for each number."""
    numbers = list(next(iter(facts.values()))["sensitivity"])
    table = np.array([[fact["sensitivity"][number][1] for number in numbers] for fact in facts.values()])
    figure, ax = plt.subplots(figsize=(10, 6), constrained_layout=True)
    image = ax.imshow(table, cmap="Blues", vmin=0, vmax=float(table.max()), aspect="auto")
    ax.set_xticks(range(len(numbers)), numbers, rotation=60, ha="right", fontsize=8)
    ax.set_yticks(range(len(facts)), list(facts), fontsize=9)
    for row, column in np.argwhere(table >= 0.1):
        dark = table[row, column] > 0.6 * table.max()
        ax.text(
            column, row, f"{table[row, column]:.1f}", ha="center", va="center", fontsize=7, color="w" if dark else "k"
        )
    figure.colorbar(image, ax=ax, label="total Sobol index")
    _save(figure, path)


def draw_identifiability(numbers: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Prior and posterior 95 % intervals of each number, as multiples of the prior median."""
    figure, ax = plt.subplots(figsize=(8, 7), constrained_layout=True)
    for place, number in enumerate(numbers.values()):
        middle, q = number["prior_median"], number["posterior"]
        ax.plot(np.array(number["prior"]) / middle, [place - 0.15] * 2, color=GREY, lw=2)
        ax.plot(np.array([q[0], q[-1]]) / middle, [place + 0.15] * 2, color=BLUE, lw=4, solid_capstyle="butt")
        ax.plot(q[2] / middle, place + 0.15, "o", color=BLUE, ms=5)
    ax.set_xscale("log")
    ax.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    ax.set_yticks(range(len(numbers)), list(numbers), fontsize=8)
    ax.invert_yaxis()
    ax.axvline(1, color="0.8", lw=0.8)
    ax.set_xlabel("multiple of the prior median (grey: prior, blue: after the facts; 95 %)")
    _save(figure, path)


def draw_predictions(rows: Sequence[Row], names: Mapping[str, str], version: str, of: int, path: Path) -> None:
    """True rates of large trials and counts of trials of `of`, with the published counts."""
    figure, ax = plt.subplots(figsize=(8, 3), constrained_layout=True)
    for place, name in enumerate(names):
        large = predicted(rows, "large_trial", name, version)
        trial = predicted(rows, "trial_of_n", name, version, of)
        if large is None or trial is None or large.value is None:
            continue
        for row, width, color in ((trial, 1.5, GREY), (large, 5, BLUE)):
            ax.plot([100 * (row.ci_low or 0), 100 * (row.ci_high or 0)], [place] * 2, color=color, lw=width)
        ax.plot(100 * large.value, place, "o", color="w", mec=BLUE, ms=7)
        for row in rows:
            if (row.statistic, row.outcome, row.version, row.category) == ("published", name, version, None):
                ax.plot(100 * (row.value or 0.0), place, "D", color=RED, ms=6)
    ax.set_yticks(range(len(names)), list(names.values()))
    ax.invert_yaxis()
    ax.set_xlim(-2, 100)
    ax.grid(axis="x", color="0.92")
    ax.set_xlabel(f"% (blue: large trial, grey: trial of {of}, red: published)")
    _save(figure, path)

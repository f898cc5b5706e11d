"""Compare the four lenalidomide schedules on the same people and write docs/schedules.md: `make schedules`.

16,000 first-line subjects as 640 trials of 25, 12 cycles, seed 1; the record is not kept.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl

from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.prediction_text import (
    NOT_FITTED,
    describe_ensemble,
    format_large,
    format_parts,
    format_probability,
    points,
    predicted,
)
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run, read_run
from trialrun.analysis.summary import summarize_run
from trialrun.rehearse import Request, Where, rehearse

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ROOT / "studies"
ARMS = (
    ("lenalidomide-cll", "amendment-1", "2.5, 5, 10 mg by month, days 1-21"),
    ("lenalidomide-25mg", None, "25 mg, days 1-21"),
    ("lenalidomide-10mg-continuous", None, "10 mg daily, +5 mg by month"),
    ("lenalidomide-2.5mg-monthly", None, "2.5 mg by month to 25 mg"),
)
OUTCOMES = {
    "ctls_reported": "Clinical tumour lysis",
    "flare_any": "Flare of any grade",
    "flare_2": "Flare of grade 2 or worse",
    "neutropenia_3": "Neutropenia of grade 3 or 4",
    "febrile_neutropenia": "Febrile neutropenia",
    "death": "Death from any cause",
    "response": "Response, confirmed",
}
SUBJECTS, TRIALS, CYCLES, SEED = 25, 640, 12, 1


def main() -> None:
    from datetime import date

    request = Request(
        tuple((str(STUDIES / study), version) for study, version, _ in ARMS),
        str(STUDIES / "lenalidomide-cll" / "population.yaml"), SUBJECTS, TRIALS, SEED, CYCLES,
    )  # fmt: skip
    out = ROOT / "out" / "schedules"
    rehearse(request, out, date.today(), where=Where(2), keep_record=False)
    run = read_run(out)
    rows = summarize_run(run)
    names = [info.version for info in run.versions]
    labels = dict(zip(names, (label for *_, label in ARMS), strict=True))
    said = json.loads((out / "run.json").read_text(encoding="utf-8"))
    (ROOT / "docs" / "schedules.md").write_text(_page(run, rows, labels, said), encoding="utf-8")
    _draw(rows, labels)


def _page(run: Run, rows: list[Row], labels: dict[str, str], said: dict[str, object]) -> str:
    outcomes = all_outcomes()
    lines = [
        "# Four lenalidomide schedules on the same people",
        "",
        f"Made by `make schedules`: {TRIALS} trials of {SUBJECTS} first-line participants each, the same people with the same luck under each"
        f" schedule, {CYCLES} cycles, seed {SEED}, trialrun {said['program_version']}, population `{str(said['population_hash'])[:12]}`. {describe_ensemble(run).capitalize()}.",
        "Three of the schedules were given to relapsed participants when they were published; here they meet the first-line people of the amended",
        "trial, so nothing below is a published number.",
        "",
        "![Rates and their intervals](figures/schedules.png)",
        "",
        "Rate, its 95 % interval for a large trial, and the standard deviations (points) of parameters / trials / sampling in a trial of"
        f" {SUBJECTS}.",
        "",
        "| | " + " | ".join(labels.values()) + " |",
        "|---|" + "---|" * len(labels),
    ]
    for name in OUTCOMES:
        cells = []
        for version in labels:
            row = predicted(rows, "large_trial", name, version)
            cells.append(
                "-"
                if row is None
                else f"{points(row.value)} % ({format_large(row)})<br>sd {format_parts(rows, name, version)}"
            )
        lines.append(f"| {OUTCOMES[name]} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Which is better, and how sure is that?",
        "",
        "The probability, over the parameter sets, that the schedule of the row does better than that of the column (less harm, more responses); in",
        f"brackets what simulating more could still change. {NOT_FITTED} What other equations say of the same order is in"
        " [the credibility file](model.md#other-equations).",
    ]
    for name in OUTCOMES:
        better = "fewer" if outcomes[name].better == "low" else "more"
        lines += ["", f"**{OUTCOMES[name]}** ({better} is better)", ""]
        lines += ["| better than | " + " | ".join(labels.values()) + " |", "|---|" + "---|" * len(labels)]
        for version, label in labels.items():
            cells = ["" if other == version else _better(rows, name, version, other) for other in labels]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        first = next((row for row in rows if (row.statistic, row.outcome) == ("order", name)), None)
        if first is not None and first.category is not None and first.value is not None:
            ranked = ", then ".join(labels[version] for version in first.category.split(", then "))
            lines += ["", f"Most probable order ({100 * first.value:.0f} %), best first: {ranked}."]
    notices = said["notices"]
    assert isinstance(notices, list)
    lines += [
        "",
        "## Notices of the run",
        "",
        *(f"- {str(notice).replace(str(ROOT) + '/', '')}" for notice in notices),
        "",
    ]
    return "\n".join(lines)


def find_chance(rows: list[Row], outcome: str, version: str, other: str) -> Row | None:
    """The probability that `version` does better than `other`."""
    return _order_of(rows, outcome, version, other)


def _better(rows: list[Row], outcome: str, version: str, other: str) -> str:
    row = _order_of(rows, outcome, version, other)
    return "-" if row is None else format_probability(row)


def _order_of(rows: list[Row], outcome: str, version: str, other: str) -> Row | None:
    """The row of the one beside the other, turned round where it stands the other way."""
    for row in rows:
        if row.statistic == "probability_better" and row.outcome == outcome:
            if (row.version, row.reference) == (version, other):
                return row
            if (row.version, row.reference) == (other, version):
                turned = [None if share is None else 1.0 - share for share in (row.value, row.ci_high, row.ci_low)]
                return _with(row, turned)
    return None


def _with(row: Row, shares: list[float | None]) -> Row:
    from dataclasses import replace

    value, low, high = shares
    return replace(row, value=value, ci_low=low, ci_high=high)


def _draw(rows: list[Row], labels: dict[str, str]) -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(11, 5), sharey=True, constrained_layout=True)
    colors = ("#1b6ca8", "#c0392b", "#d68910", "#1e8449")
    for ax, name in zip(axes.flat, OUTCOMES, strict=False):
        for place, (version, color) in enumerate(zip(labels, colors, strict=True)):
            row = predicted(rows, "large_trial", name, version)
            if row is None or row.value is None or row.ci_low is None or row.ci_high is None:
                continue
            ax.plot([100 * row.ci_low, 100 * row.ci_high], [place, place], color=color, lw=2.5)
            ax.plot(100 * row.value, place, "o", color=color, ms=7)
        ax.set_title(OUTCOMES[name], fontsize=9)
        ax.set_xlim(left=0)
        ax.grid(axis="x", color="0.9")
        ax.set_xlabel("%", fontsize=8)
    for ax in axes[:, 0]:
        ax.set_yticks(range(len(labels)), list(labels.values()), fontsize=8)
    axes[0, 0].invert_yaxis()
    axes.flat[-1].axis("off")
    figure.savefig(ROOT / "docs" / "figures" / "schedules.png", dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()

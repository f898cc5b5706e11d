"""The sections of the page that rest on an ensemble of parameter sets, and published benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from trialrun.analysis.definitions import Outcome, all_outcomes
from trialrun.analysis.prediction_text import (
    NOT_FITTED,
    describe_ensemble,
    format_judgement,
    format_large,
    format_parts,
    format_probability,
    format_trial,
    points,
    predicted,
    shares_predicted,
)
from trialrun.analysis.published import Published
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run
from trialrun.analysis.wording import find_row, format_estimate
from trialrun.report import figures
from trialrun.report.comparison import PUBLISHED_COLOR, title_of, version_color
from trialrun.report.model import Cell, Figure, Mark, Section, Strip, Table, rows_of

Rows = Sequence[Row]
_ORDERS_SHOWN = 6
_ALSO = ("flare_any", "febrile_neutropenia")  # what a safety board asks for beside the headlines
_FEW_TRIALS = 200  # below it the intervals widen noticeably by the error of the spread


def make_predictions(rows: Rows, run: Run) -> Section | None:
    """Rates with the three uncertainties apart, the headline outcomes and the published ones first; None without an
    ensemble."""
    outcomes = shares_predicted(rows)
    if not outcomes or run.ensemble is None:
        return None
    published = {row.outcome for row in rows if row.statistic == "published"}
    leading = [
        outcome for outcome in outcomes if outcome.headline or outcome.name in published or outcome.name in _ALSO
    ]
    paragraphs: tuple[str, ...] = (
        f"Each trial was simulated with one parameter set: {describe_ensemble(run)}. A rate can be wrong in three ways that are "
        "held apart here: the parameters are not known, trials differ beyond chance, and a trial has few participants.",
        f"Large trial: 95 % of large trials would have a true rate in this interval (parameters and trials). Trial of "
        f"{run.subjects}: 95 % of such trials would count as many (parameters, trials and sampling). More virtual "
        "participants make neither narrower.",
        "A published count marked in-sample was used to choose the parameter sets: that it lies inside is no test.",
    )
    if run.trials < _FEW_TRIALS:
        paragraphs += (
            f"{run.trials} trials are few to tell how much parameter sets and trials differ: a standard deviation of "
            "0.0 is an estimate and no proof that they agree. The intervals hold that doubt; more trials make them surer.",
        )
    first = _table("Predicted rates", leading, rows, run)
    rest = [outcome for outcome in outcomes if outcome not in leading]
    folded = (_table("Predicted rates of the other outcomes", rest, rows, run),) if rest else ()
    return Section("predictions", "Prediction and its uncertainty", paragraphs, tables=(first,), folded=folded)


def _table(caption: str, outcomes: Sequence[Outcome], rows: Rows, run: Run) -> Table:
    lines: list[Sequence[Cell]] = []
    for outcome in outcomes:
        lines.append([title_of(outcome)])
        for info in run.versions:
            line = _line(outcome, info.version, rows, run)
            if line is not None:
                lines.append(line)
    heads = ("Version", "Mean, %", "Large trial", f"Trial of {run.subjects}", "0 to 100 %", "SD, points", "Published")
    note = (
        "Line with circle: mean and interval of a large trial; gray square: published, exact interval. SD, standard "
        "deviations: parameters / trials / sampling in a trial of this size; together: parameters and trials in one, "
        "where each parameter set made one trial."
    )
    return Table(caption, heads, rows_of(lines), keep=frozenset({1, 2, 3, 5}), note=note)


def _line(outcome: Outcome, version: str, rows: Rows, run: Run) -> list[Cell] | None:
    large = predicted(rows, "large_trial", outcome.name, version)
    trial = predicted(rows, "trial_of_n", outcome.name, version, run.subjects)
    if large is None or trial is None or large.value is None or large.ci_low is None or large.ci_high is None:
        return None
    said = f"{version}: {points(large.value)} % ({format_large(large)})"
    marks = [Mark(large.value, large.ci_low, large.ci_high, version_color(run, version), "circle", said)]
    words = []
    for row in rows:
        if (row.statistic, row.outcome, row.version, row.category) != ("published", outcome.name, version, None):
            continue
        of_size = predicted(rows, "trial_of_n", outcome.name, version, row.n)
        expected = "" if of_size is None or row.n == run.subjects else f" (predicted {format_trial(of_size)})"
        words.append(f"{row.events}/{row.n}{expected}: {format_judgement(row, run)}")
        if row.value is not None and row.ci_low is not None and row.ci_high is not None:
            told = f"published {row.events}/{row.n}"
            marks.append(Mark(row.value, row.ci_low, row.ci_high, PUBLISHED_COLOR, "square", told))
    return [
        version,
        points(large.value),
        format_large(large),
        format_trial(trial),
        Strip(tuple(marks), 0.0, 1.0),
        format_parts(rows, outcome.name, version),
        "; ".join(words),
    ]


def make_order(rows: Rows, run: Run) -> Section | None:
    """How probable it is that one version does better than another: a picture an outcome, or one for two versions."""
    pairs = [row for row in rows if row.statistic == "probability_better"]
    outcomes = [outcome for outcome in all_outcomes().values() if any(row.outcome == outcome.name for row in pairs)]
    if not outcomes:
        return None
    drawn = (_two(outcomes, pairs, run),) if len(run.versions) == 2 else _several(outcomes, pairs, rows, run)
    reading = (
        ""
        if len(run.versions) == 2
        else "A cell is the probability, in percent, that the schedule of its row is better "
        "than that of its column: blue above 50, orange below. "
    )
    words = (
        reading
        + "Better is a lower rate of harm or a higher rate of response, on the same virtual participants, over the "
        "parameter sets. The noise of few participants in a set is taken out, so that it does not draw the answer to "
        "one half; the interval in the numbers holds what it leaves open.",
        NOT_FITTED,
    )
    return Section("order", "Which schedule is better, and how probably", words, figures=drawn)


def _two(outcomes: Sequence[Outcome], pairs: Rows, run: Run) -> Figure:
    version, reference = run.versions[1].version, run.versions[0].version
    found = [row for outcome in outcomes for row in pairs if row.outcome == outcome.name]
    cells = _cells([(row.label, f"{version} better", row.value) for row in found])
    lines = [[row.label, format_probability(row), row.note or ""] for row in found]
    title = f"Probability that {version} is better than {reference}"
    spoken = "; ".join(f"{line[0]} {line[1]}" for line in lines)
    order = [row.label for row in found]
    table = Table(title, ("Outcome", "Probability (Monte Carlo)", "Difference"), rows_of(lines), keep=frozenset({1}))
    svg = figures.draw_order(cells, order, [f"{version} better"], None, None)
    return Figure(title, svg, f"{title}: {spoken}.", table)


def _several(outcomes: Sequence[Outcome], pairs: Rows, rows: Rows, run: Run) -> tuple[Figure, ...]:
    names = [info.version for info in run.versions]
    drawn = []
    for outcome in outcomes:
        if not outcome.headline and outcome.name not in _ALSO:
            continue
        found = [row for row in pairs if row.outcome == outcome.name]
        cells = []
        for row in found:
            assert row.reference is not None
            cells.append((row.version, row.reference, row.value))
            cells.append((row.reference, row.version, None if row.value is None else 1 - row.value))
        lines = [
            [f"{row.version} better than {row.reference}", format_probability(row), row.note or ""] for row in found
        ]
        lines += [
            [f"order: {row.category}", f"{points(row.value)} %", ""]
            for row in rows
            if row.statistic == "order" and row.outcome == outcome.name
        ][:_ORDERS_SHOWN]
        chain = next((line for line in lines if line[0].startswith("order: ")), None)
        likeliest = "" if chain is None else f"Likeliest {chain[0]} (best first), {chain[1]}."
        title = title_of(outcome)
        same = " =: no participant differed." if any(row.value is None for row in found) else ""
        table = Table(title, ("Statement", "Probability (Monte Carlo)", "Difference"), rows_of(lines))
        svg = figures.draw_order(_cells(cells), names, names, "better", "than")
        spoken = "; ".join(f"{line[0]} {line[1]}" for line in lines)
        drawn.append(Figure(title, svg, f"{title}: {spoken}.", table, (likeliest + same).strip() or None))
    return tuple(drawn)


def _cells(cells: Sequence[tuple[str, str, float | None]]) -> pl.DataFrame:
    shown = [
        (
            row,
            column,
            value,
            "=" if value is None else "<1" if value < 0.01 else ">99" if value > 0.99 else f"{100 * value:.0f}",
        )
        for row, column, value in cells
    ]
    kinds = {"row": pl.String, "column": pl.String, "value": pl.Float64, "says": pl.String}
    return pl.DataFrame(shown, schema=kinds, orient="row")


def make_benchmarks(rows: Rows, run: Run, published: Published) -> Section | None:
    """What is published of the treatments that a new one is held against; nothing of them is simulated."""
    if not published.benchmarks:
        return None
    tables = []
    for benchmark in published.benchmarks:
        lines = []
        for fact in benchmark.facts:
            beside = []
            for info in run.versions:
                row = None if fact.outcome is None else find_row(rows, fact.outcome, info.version, ("proportion",))
                if row is not None:
                    large = predicted(rows, "large_trial", row.outcome, info.version)
                    told = (
                        format_estimate(row)
                        if large is None
                        else f"{points(large.value)} % (large trial {format_large(large)})"
                    )
                    beside.append(f"{info.version}: {told}")
            source = published.cite(fact.source) + (f" ({fact.note})" if fact.note else "")
            lines.append([fact.label, fact.says, "; ".join(beside) or "not simulated", source])
        heads = ("Outcome", "Published", "Simulated here", "Source")
        tables.append(Table(benchmark.name, heads, rows_of(lines), note=benchmark.about))
    words = (
        "The standard that a new regimen is held against. These numbers are published; no model of that treatment is "
        "in this program. Patients, definitions and follow-up differ, so that no difference is computed.",
    )
    return Section("benchmark", "Published benchmark", words, tables=tuple(tables))

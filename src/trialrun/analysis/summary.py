"""The estimates of a run as long rows: one row a statistic."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis import survival
from trialrun.analysis.definitions import Outcome, all_outcomes
from trialrun.analysis.estimates import (
    MONTE_CARLO_ONLY,
    Interval,
    estimate_between_trials,
    estimate_mean_difference,
    estimate_median,
    estimate_median_time,
    estimate_paired_difference,
    estimate_proportion,
    estimate_quartiles,
)
from trialrun.analysis.people import Matches, read_columns, read_treated
from trialrun.analysis.predictions import judge_published, order_versions, predict_outcome
from trialrun.analysis.published import Published, name_as_run, read_published
from trialrun.analysis.rows import COLUMNS, Row, as_plain, make_row
from trialrun.analysis.run import Run, VersionInfo, published_file

Progress = Callable[[str], None]
FloatArray = NDArray[np.float64]
READ_WHOLE = 100_000  # subjects whose outcomes are read at once, in less time than one column after the other


def summarize_outcomes(
    outcomes: Mapping[str, pl.DataFrame] | Mapping[str, pl.LazyFrame], run: Run, published: Published | None
) -> list[Row]:
    """All rows from the outcomes of each version (`derive_outcomes`), the same subjects in each.

    A paired difference rests on the subjects that are assessable under both versions. Of a table only the columns of one
    outcome are in memory at a time.
    """
    if published is not None:
        published = name_as_run(published, [info.version for info in run.versions])
    rows: list[Row] = []
    tables = {version: table.lazy() for version, table in outcomes.items()}
    everybody = {name: read_treated(table) for name, table in tables.items()}
    matches = Matches(everybody)
    for outcome in all_outcomes().values():
        treated_by = {name: treated.with_columns(outcome.columns) for name, treated in everybody.items()}
        values = {name: _values(outcome, treated) for name, treated in treated_by.items()}
        for info in run.versions:
            treated, who = treated_by[info.version], everybody[info.version]
            rows += _estimates(outcome, info.version, treated, virtual=run.virtual)
            if run.trials > 1:
                rows += _between_trials(outcome, info.version, treated)
            if outcome.is_share:
                rows += predict_outcome(outcome, info.version, values[info.version], who, run, published)
        reference = run.versions[0]
        for info in run.versions[1:]:
            rows += _differences(outcome, reference, info, values, matches)
        if outcome.is_share:
            rows += order_versions(outcome, values, matches)
        if published is not None:
            rows += _published(outcome, published)
    for info in run.versions:
        followed = read_columns(tables[info.version], survival.COLUMNS)
        rows += survival.survival_rows(info.version, followed, MONTE_CARLO_ONLY if run.virtual else None)
    return judge_published(rows, run)


def _values(outcome: Outcome, treated: pl.DataFrame) -> pl.Series:
    """What can be subtracted between versions: whether it happened, or the number; else nothing is known of anybody."""
    value = outcome.happened() if outcome.is_share else pl.col(outcome.column)
    subtracted = outcome.is_share or outcome.kind == "number"
    return treated.select((value if subtracted else pl.lit(None)).alias("it"))["it"]


def _labelled(found: Interval, virtual: bool) -> Interval:
    """Intervals over virtual subjects say what they leave out; real ones are what they are."""
    return replace(found, method=f"{found.method}; {MONTE_CARLO_ONLY}") if virtual else found


def _estimates(outcome: Outcome, version: str, treated: pl.DataFrame, virtual: bool) -> Iterator[Row]:
    if outcome.is_share:
        happened = treated.select(outcome.happened().alias("it"))["it"]
        known = happened.drop_nulls()
        events = int(known.sum())
        found = _labelled(estimate_proportion(events, len(known)), virtual)
        yield make_row(
            outcome, version, "proportion", found, None, events=events, n_not_assessable=happened.null_count()
        )
    elif outcome.kind == "category":
        yield from _categories(outcome, version, treated, virtual)
    elif outcome.kind == "total":
        known = treated[outcome.column].drop_nulls()
        total = Interval(float(known.sum()) if len(known) else math.nan, math.nan, math.nan, len(known), "sum")
        yield make_row(
            outcome, version, "total", total, outcome.unit, n_not_assessable=treated[outcome.column].null_count()
        )
    elif outcome.kind == "time":
        time, reached = _times(outcome, treated)
        found = _labelled(estimate_median_time(time, reached), virtual)
        missing = treated.height - len(time)
        yield make_row(
            outcome, version, "median", found, outcome.unit, events=int(reached.sum()), n_not_assessable=missing
        )
    else:
        values = treated[outcome.column]
        known_values = values.drop_nulls().cast(pl.Float64).to_numpy()
        missing = values.null_count()
        found = _labelled(estimate_median(known_values), virtual)
        yield make_row(outcome, version, "median", found, outcome.unit, n_not_assessable=missing)
        for name, quartile in zip(("quartile_25", "quartile_75"), estimate_quartiles(known_values), strict=True):
            spread = Interval(quartile, math.nan, math.nan, len(known_values), "linear interpolation")
            yield make_row(outcome, version, name, spread, outcome.unit, n_not_assessable=missing)


def _categories(outcome: Outcome, version: str, treated: pl.DataFrame, virtual: bool) -> Iterator[Row]:
    """The share of each category that occurs, of all treated who could be assessed.

    Where only some can have a category (a reason of discontinuation), the others count as assessed and without it.
    """
    assessed = outcome.event_column or outcome.column
    known = treated.filter(pl.col(assessed).is_not_null())
    happened = known if outcome.event_column is None else known.filter(outcome.event_column)
    named = happened.select(pl.col(outcome.column).fill_null("not stated"))
    counts = named[outcome.column].value_counts().sort(["count", outcome.column], descending=[True, False])
    for category, events in counts.iter_rows():
        found = _labelled(estimate_proportion(events, known.height), virtual)
        missing = treated.height - known.height
        yield make_row(
            outcome, version, "proportion", found, None, category=category, events=events, n_not_assessable=missing
        )


def _times(outcome: Outcome, treated: pl.DataFrame) -> tuple[FloatArray, NDArray[np.bool_]]:
    assert outcome.event_column is not None
    known = treated.select(outcome.column, outcome.event_column).drop_nulls()
    return known[outcome.column].cast(pl.Float64).to_numpy(), known[outcome.event_column].to_numpy()


def _between_trials(outcome: Outcome, version: str, treated: pl.DataFrame) -> Iterator[Row]:
    if outcome.is_share:
        of_trial, what = outcome.happened().cast(pl.Float64).mean(), None
    elif outcome.kind == "number":
        of_trial, what = pl.col(outcome.column).median(), outcome.unit
    elif outcome.kind == "total":
        of_trial, what = pl.col(outcome.column).sum().cast(pl.Float64), outcome.unit
    else:
        return
    per_trial = treated.group_by("trial", maintain_order=True).agg(of_trial.alias("it"))["it"].drop_nulls().to_numpy()
    yield make_row(outcome, version, "between_trials", estimate_between_trials(per_trial), what)


def _differences(
    outcome: Outcome, reference: VersionInfo, other: VersionInfo, values: Mapping[str, pl.Series], matches: Matches
) -> Iterator[Row]:
    shares = outcome.is_share
    if not shares and outcome.kind != "number":
        return
    taken = matches.take((reference.version, other.version), values)
    kind = pl.Boolean if shares else pl.Float64
    both = pl.DataFrame({"first": taken[reference.version], "second": taken[other.version]}).cast(kind)
    paired = both.drop_nulls()
    missing = both.height - paired.height
    if shares:
        found = estimate_paired_difference(paired["first"].to_numpy(), paired["second"].to_numpy())
        statistic, unit = "difference", None
    else:
        found = estimate_mean_difference(paired["first"].to_numpy(), paired["second"].to_numpy())
        statistic, unit = "mean_difference", outcome.unit
    yield make_row(
        outcome, other.version, statistic, found, unit, reference=reference.version, n_not_assessable=missing
    )


def _published(outcome: Outcome, published: Published) -> Iterator[Row]:
    for fact in published.counts:
        if fact.outcome == outcome.name:
            notes = [part for part in (f"count derived: {fact.basis}" if fact.derived else None, fact.note) if part]
            yield make_row(
                outcome,
                fact.version,
                "published",
                estimate_proportion(fact.events, fact.of),
                None,
                category=fact.category,
                events=fact.events,
                source=published.cite(fact.source),
                note="; ".join(notes) or None,
            )
    for total in published.totals:
        if total.outcome == outcome.name:
            found = Interval(total.value, math.nan, math.nan, total.of, "as published")
            source = published.cite(total.source)
            yield make_row(outcome, total.version, "published", found, outcome.unit, source=source, note=total.note)


def summarize_run(run: Run) -> list[Row]:
    """All rows of a run directory, beside the study's published numbers where the run names them."""
    from trialrun.analysis.outcomes import scan_outcomes  # loads the criteria, which estimates do not need

    path = published_file(run)
    outcomes = {info.version: scan_outcomes(run, info) for info in run.versions}
    if (run.subjects or 0) * run.trials <= READ_WHOLE:
        outcomes = {version: table.collect().lazy() for version, table in outcomes.items()}
    return summarize_outcomes(outcomes, run, None if path is None else read_published(path))


def write_summary(run: Run, rows: list[Row]) -> tuple[Path, Path]:
    """Write summary.json (with the provenance) and summary.csv into the run directory; returns their paths."""
    said = {
        "study": run.study,
        "kind": run.kind,
        "protocol_file": run.protocol_file,
        "protocol_hash": run.protocol_hash,
        "population_hash": run.population_hash,
        "seed": run.seed,
        "subjects": run.subjects,
        "trials": run.trials,
        "cycles": run.cycles,
        "program_version": run.program_version,
        "made_on": run.made_on,
        "versions": [{"version": info.version, "hash": info.hash} for info in run.versions],
        "intervals": MONTE_CARLO_ONLY,
        "ensemble": None
        if run.ensemble is None
        else {"sets": run.ensemble.sets, "effective_sample_size": run.ensemble.effective_sample_size},
        "notices": list(run.notices),
        "rows": [as_plain(row) for row in rows],
    }
    as_json = run.directory / "summary.json"
    as_json.write_text(json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    as_csv = run.directory / "summary.csv"
    with as_csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(["" if cell is None else cell for cell in as_plain(row).values()] for row in rows)
    return as_json, as_csv

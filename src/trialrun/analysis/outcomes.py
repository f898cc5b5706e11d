"""Outcomes of a trial's record: one row a subject."""

from __future__ import annotations

from functools import reduce

import polars as pl

from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.dosing import derive_dose_outcomes
from trialrun.analysis.flare import derive_flare_course
from trialrun.analysis.lymphocytes import (
    derive_lymphocyte_outcomes,
    derive_lymphocytes_by_cycle,
    derive_normal_lymphocytes,
)
from trialrun.analysis.lysis import TESTS as LYSIS_TESTS
from trialrun.analysis.lysis import derive_lysis_outcomes
from trialrun.analysis.response import COUNTS as RESPONSE_COUNTS
from trialrun.analysis.response import EXAMINATION, SYMPTOMS, derive_response
from trialrun.analysis.run import Run, VersionInfo, read_tables
from trialrun.analysis.safety import (
    derive_creatinine,
    derive_deaths,
    derive_reviewed,
    derive_worst_count,
    derive_worst_events,
)
from trialrun.analysis.timeline import Tables, derive_timeline
from trialrun.engine.subjects import MARROW
from trialrun.vocab.tests import all_tests

EVENTS = {
    "tumor_lysis_syndrome": "ctls_reported",
    "tumor_flare": "flare",
    "febrile_neutropenia": "febrile_neutropenia",
    "infection": "infection",
}
COUNTS = {"neutrophils": "neutropenia", "platelets": "thrombocytopenia"}
TESTS = frozenset(
    {*LYSIS_TESTS, *EXAMINATION, *RESPONSE_COUNTS, SYMPTOMS, *MARROW, *COUNTS}
)  # outcomes rest on no other


def derive_outcomes(tables: Tables, info: VersionInfo) -> pl.DataFrame:
    """One row a subject, in the order of the subjects table; every column is described in docs/outcomes.md.

    `tables` are those of `record.tables` with tests by their canonical names and values in canonical units. Null means
    not known or not assessable, never no. Days are counted from the first dose (day 0).
    """
    tables = _with_numbers(_with_last_news(tables))
    timeline = derive_timeline(tables, info)
    findings = timeline.add_day(tables["findings"].select("subject", "date", "test", "value", "text", "low", "high"))
    reviewed = derive_reviewed(tables, timeline)
    parts = [
        derive_dose_outcomes(tables, timeline, info),
        derive_lysis_outcomes(tables, findings, timeline, reviewed),
        derive_worst_events(tables, timeline, EVENTS, reviewed),
        derive_flare_course(tables, timeline, info, reviewed),
        *(derive_worst_count(findings, timeline, test, name, info.ctcae) for test, name in COUNTS.items()),
        derive_deaths(tables, timeline),
        derive_response(findings, timeline, info.examines_marrow),
        derive_creatinine(findings, timeline),
        derive_normal_lymphocytes(findings, timeline),
        derive_lymphocyte_outcomes(derive_lymphocytes_by_cycle(findings, timeline, info), timeline),
    ]
    start = timeline.subjects.select("subject", "first_dose", "end_day")

    def join(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        return left.join(right, on="subject", how="left", maintain_order="left")

    return reduce(join, parts, start).with_columns(pl.col("subject").cast(pl.String))


def _with_last_news(tables: Tables) -> Tables:
    """The tables without the lines of events that a later line replaces, as a trial's engine leaves them."""
    events = tables["adverse_events"]
    if not {"entry", "corrects"} <= set(events.columns) or not events["corrects"].count():
        return tables
    replaced = pl.col("entry").is_in(events["corrects"].drop_nulls().implode()).fill_null(False)
    return {**tables, "adverse_events": events.filter(~replaced)}


def _with_numbers(tables: Tables) -> Tables:
    """The tables with subjects and tests as categories: every join and filter below is then one of numbers, not of text.

    Lines of a subject whom the subjects table does not know are left out, as the joins with it would. So are findings of a
    test that the vocabulary does not know: no outcome rests on one.
    """
    who, what = pl.Enum(tables["subjects"]["subject"].unique(maintain_order=True)), pl.Enum(list(all_tests()))
    numbered = {}
    for name in ("subjects", "visits", "findings", "exposures", "adverse_events", "dispositions"):
        known = tables[name]["subject"].cast(who, strict=False)
        table = tables[name].with_columns(known)
        numbered[name] = table.filter(known.is_not_null()) if known.null_count() else table
    findings = numbered["findings"].with_columns(pl.col("test").cast(what, strict=False))
    return {**numbered, "findings": findings}


def read_outcomes(run: Run, info: VersionInfo, tables: Tables | None = None) -> pl.DataFrame:
    """As `scan_outcomes`, the whole table in memory. `tables` are those of `read_tables`, where they have been read already."""
    return scan_outcomes(run, info, tables).collect()


def scan_outcomes(run: Run, info: VersionInfo, tables: Tables | None = None) -> pl.LazyFrame:
    """The outcomes of one version with the number of each subject's `trial`, from 1; nothing is read before it is asked for.

    They stand in outcomes.parquet in the version's folder; where they do not yet, they are derived from the record and kept
    there.
    """
    path = run.directory / info.folder / "outcomes.parquet"
    if path.exists() and _columns() <= set(pl.read_parquet_schema(path)):
        return pl.scan_parquet(path)
    outcomes = derive_outcomes(read_tables(run, info) if tables is None else tables, info)
    per_trial = run.subjects or max(outcomes.height, 1)
    # the subjects of each trial follow those of the one before
    outcomes = outcomes.with_columns(((pl.int_range(pl.len()) // per_trial) + 1).alias("trial"))
    outcomes.write_parquet(path)
    return outcomes.lazy()


def _columns() -> set[str]:
    """The columns that the estimates need."""
    return {"subject", "trial", "treated", *(name for outcome in all_outcomes().values() for name in outcome.columns)}

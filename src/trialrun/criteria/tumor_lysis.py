"""Laboratory and clinical tumour lysis by Cairo-Bishop 2004 and Howard 2011, over whole tables of subjects.

The published window (from 3 days before to 7 days after the start of therapy) and the same window around any other
start (a first higher dose, a restart: `lysis_windows`) are treated alike; `kind` says which is which.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from trialrun.criteria.lysis_clinical import add_clinical_lysis
from trialrun.criteria.lysis_values import FOUR, Population, abnormal_values, values_in_windows, window_frame
from trialrun.criteria.tables import select

CAIRO_BISHOP = "Cairo-Bishop-2004"
HOWARD = "Howard-2011"
DEFINITIONS = (CAIRO_BISHOP, HOWARD)

_NONE = pl.lit([], dtype=pl.List(pl.String))


def derive_tumor_lysis(
    labs: pl.DataFrame,
    starts: pl.DataFrame,
    *,
    events: pl.DataFrame | None = None,
    definitions: Sequence[str] = DEFINITIONS,
    population: Population = "adults",
) -> pl.DataFrame:
    """Laboratory and clinical tumour lysis for each start of therapy, by each definition.

    `labs`: subject, day (offset, float; a sample of the starting day without a time counts as taken before the dose),
    test (canonical names), value and perhaps unit (see `lysis_values`) and high (upper limit of normal, same unit).
    `starts`: subject, day, kind (start, step_up, restart; see `plan_lysis_windows`) and perhaps child (Boolean, read
    when `population` is "by subject"). `events`: see `lysis_clinical`; None means that nobody asked, so clinical
    tumour lysis stays unknown where laboratory tumour lysis is present.

    One row for each start and definition: window (row of `starts`), subject, kind, start_day, definition, ltls (null:
    not assessable, fewer than two of the four were measured), ltls_day (day on which the second criterion was met),
    met and measured (of the four), criteria, unmeasured, without_baseline (parameters whose 25 % rule could not be
    applied), ctls, ctls_day, ctls_grade (0 to 5; null where unknown or where the definition has no grades), events.

    Sources: Cairo MS, Bishop M. Br J Haematol 2004;127:3-11. Howard SC et al. N Engl J Med 2011;364:1844-54.
    """
    plan = scan_tumor_lysis(labs, starts, events=events, definitions=definitions, population=population)
    return plan.sort("window", "definition").collect()


def scan_tumor_lysis(
    labs: pl.DataFrame,
    starts: pl.DataFrame,
    *,
    events: pl.DataFrame | None = None,
    definitions: Sequence[str] = DEFINITIONS,
    population: Population = "adults",
) -> pl.LazyFrame:
    """As `derive_tumor_lysis`, in no order, and worked out only for the columns that are asked of it."""
    windows = window_frame(starts, population)
    inside = values_in_windows(labs, windows)
    laboratory = pl.concat([_laboratory(inside.lazy(), windows.lazy(), name) for name in definitions])
    return add_clinical_lysis(laboratory, windows, labs, events, definitions)


def find_lysis_values(
    labs: pl.DataFrame,
    starts: pl.DataFrame,
    *,
    definitions: Sequence[str] = DEFINITIONS,
    population: Population = "adults",
) -> pl.DataFrame:
    """Every value of the four that lies in a window, and whether it counts; arguments as for `derive_tumor_lysis`.

    One row for each window, definition and value: window (row number of `starts`), definition, parameter (uric acid,
    potassium, phosphate, calcium), item, day, value, unit, baseline (last value on or before the start; null when there
    is none), baseline_day, past_bound, past_change (both Boolean, null when not decidable), abnormal.
    """
    inside = values_in_windows(labs, window_frame(starts, population)).lazy()
    found = pl.concat([abnormal_values(inside, name) for name in definitions]).select(
        "window",
        "definition",
        "parameter",
        "item",
        "day",
        "value",
        "unit",
        "baseline",
        "baseline_day",
        "past_bound",
        "past_change",
        "abnormal",
    )
    return found.collect()


def _laboratory(inside: pl.LazyFrame, windows: pl.LazyFrame, definition: str) -> pl.LazyFrame:
    """Laboratory tumour lysis by one definition, one row for each window."""
    found = abnormal_values(inside, definition)
    is_abnormal = pl.col("abnormal").fill_null(False)
    tests = found.group_by("window", "parameter").agg(
        # a value that cannot be placed (a child's uric acid without a limit) was not measured for this purpose
        assessed=(pl.col("past_bound").is_not_null() | is_abnormal).any(),
        day=pl.when(is_abnormal).then("day").min(),
        undecided=(pl.col("past_change").is_null() & ~pl.col("past_bound").fill_null(True)).any(),
    )
    met = pl.col("day").is_not_null()
    name = pl.col("parameter").cast(pl.String)
    counts = tests.group_by("window").agg(
        measured=pl.col("assessed").sum().cast(pl.Int8),
        met=met.sum().cast(pl.Int8),
        criteria=name.filter(met).sort(),
        second_day=pl.col("day").sort(nulls_last=True).slice(1, 1).first(),
        without_baseline=name.filter(pl.col("undecided") & ~met).sort(),
        assessed=name.filter("assessed"),
    )
    numbers = {row.item: int(row.bound or 0) for row in select("tumor_lysis", definition, "number")}
    within = [row.bound for row in select("tumor_lysis", definition, "window") if row.item == "within"]
    if within:
        pairs = _pairs(found.filter(is_abnormal), within[0] or 0.0)
        counts = counts.join(pairs, on="window", how="left")
        day = pl.col("pair_day")
    else:
        day = pl.when(pl.col("met") >= numbers["met"]).then("second_day")
    enough = pl.col("measured") >= numbers["measured"]
    return (
        windows.select("window", "subject", "kind", "start_day", definition=pl.lit(definition))
        .join(counts, on="window", how="left")
        .with_columns(
            pl.col("measured", "met").fill_null(0),
            pl.col("criteria", "without_baseline", "assessed").fill_null(_NONE),
            ltls_day=day,
        )
        .with_columns(
            ltls=pl.when(pl.col("ltls_day").is_not_null()).then(True).when(enough).then(False),
            unmeasured=pl.lit(list(FOUR), dtype=pl.List(pl.String)).list.set_difference("assessed").list.sort(),
        )
        .select(
            "window",
            "subject",
            "kind",
            "start_day",
            "definition",
            "ltls",
            "ltls_day",
            "met",
            "measured",
            "criteria",
            "unmeasured",
            "without_baseline",
        )
    )


def _pairs(abnormal: pl.LazyFrame, within: float) -> pl.LazyFrame:
    """The first day on which two different parameters were past their bounds within so many days (strictly less).

    In order of time two such values of different parameters always have a neighbouring pair that differs and is no
    further apart, so looking at neighbours is enough.
    """
    same = pl.col("window") == pl.col("window").shift()
    other = pl.col("parameter") != pl.col("parameter").shift()
    near = pl.col("day") - pl.col("day").shift() < within
    ordered = abnormal.select("window", "day", pl.col("parameter").to_physical()).sort("window", "day", "parameter")
    return ordered.filter(same & other & near).group_by("window").agg(pair_day=pl.col("day").min())

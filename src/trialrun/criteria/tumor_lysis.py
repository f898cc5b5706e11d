"""Laboratory and clinical tumour lysis by Cairo-Bishop 2004 and Howard 2011, over whole tables of subjects.

The published window (from 3 days before to 7 days after the start of therapy) and the same window around any other
start (a first higher dose, a restart: `lysis_windows`) are treated alike; `kind` says which is which.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from trialrun.criteria.lysis_clinical import add_clinical_lysis
from trialrun.criteria.lysis_values import FOUR, IntArray, Population, judge_values, values_in_windows, window_frame
from trialrun.criteria.tables import select
from trialrun.criteria.truth import FALSE, TRUE, UNKNOWN, Numbers

CAIRO_BISHOP = "Cairo-Bishop-2004"
HOWARD = "Howard-2011"
DEFINITIONS = (CAIRO_BISHOP, HOWARD)

_LABORATORY = (
    *("window", "subject", "kind", "start_day", "definition", "ltls", "ltls_day"),
    *("met", "measured", "criteria", "unmeasured", "without_baseline"),
)


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
    columns = [*_LABORATORY, "ctls", "ctls_day", "ctls_grade", "events"]
    return plan.select(columns).sort("window", "definition").collect()


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
    laboratory = pl.concat(
        [_laboratory(inside, windows, name).lazy().with_columns(_in_words()) for name in definitions]
    )
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
    inside = values_in_windows(labs, window_frame(starts, population))
    return pl.concat([_judged(inside, name) for name in definitions]).select(
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


def _judged(inside: pl.DataFrame, definition: str) -> pl.DataFrame:
    """The values that the definition speaks of, in the order of time."""
    verdicts = judge_values(inside, definition)
    said = {"past_bound": verdicts.past_bound, "past_change": verdicts.past_change, "abnormal": verdicts.abnormal}
    return (
        inside[verdicts.at]
        .with_columns(
            pl.lit(definition).alias("definition"),
            *(pl.Series(name, truth == TRUE).set(pl.Series(truth == UNKNOWN), None) for name, truth in said.items()),
        )
        .sort("day", maintain_order=True)
    )


def _laboratory(inside: pl.DataFrame, windows: pl.DataFrame, definition: str) -> pl.DataFrame:
    """Laboratory tumour lysis by one definition, one row for each window; `NAME_met`, `NAME_assessed` and
    `NAME_without_baseline` say it of each of the four."""
    verdicts = judge_values(inside, definition)
    shape = (windows.height, len(FOUR))
    window = inside["window"].to_numpy()[verdicts.at].astype(np.int64)
    parameter = inside["parameter"].to_physical().to_numpy()[verdicts.at]
    abnormal = np.flatnonzero(verdicts.abnormal == TRUE)
    assessed, undecided = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    # a value that cannot be placed (a child's uric acid without a limit) was not measured for this purpose
    placed = (verdicts.past_bound != UNKNOWN) | (verdicts.abnormal == TRUE)
    assessed[window[placed], parameter[placed]] = True
    open_ = (verdicts.past_change == UNKNOWN) & (verdicts.past_bound == FALSE)
    undecided[window[open_], parameter[open_]] = True
    window, parameter = window[abnormal], parameter[abnormal]
    day = inside["day"].to_numpy()[verdicts.at[abnormal]]
    first = np.full(shape, np.inf)
    np.minimum.at(first, (window, parameter), day)
    met, measured = np.isfinite(first), assessed.sum(axis=1)
    numbers = {row.item: int(row.bound or 0) for row in select("tumor_lysis", definition, "number")}
    within = [row.bound for row in select("tumor_lysis", definition, "window") if row.item == "within"]
    if within:
        lysis_day = _pairs(window, parameter, day, within[0] or 0.0, windows.height)
    else:
        lysis_day = np.where(met.sum(axis=1) >= numbers["met"], np.sort(first, axis=1)[:, 1], np.inf)
    enough = pl.Series(measured >= numbers["measured"])
    flags = {"met": met, "assessed": assessed, "without_baseline": undecided & ~met}
    ltls_day = pl.Series(np.where(np.isinf(lysis_day), np.nan, lysis_day)).fill_nan(None)
    return windows.select("window", "subject", "kind", "start_day").with_columns(
        pl.lit(definition).alias("definition"),
        pl.when(ltls_day.is_not_null()).then(True).when(enough).then(False).alias("ltls"),
        ltls_day.alias("ltls_day"),
        pl.Series("met", met.sum(axis=1).astype(np.int8)),
        pl.Series("measured", measured.astype(np.int8)),
        *(pl.Series(f"{name}_{what}", flag[:, i]) for what, flag in flags.items() for i, name in enumerate(FOUR)),
    )


def _in_words() -> list[pl.Expr]:
    """Which of the four are meant, by name."""

    def named(what: str, *, is_so: bool = True) -> pl.Expr:
        names = (pl.when(pl.col(f"{name}_{what}") == is_so).then(pl.lit(name)) for name in FOUR)
        return pl.concat_list(names).list.drop_nulls()

    return [
        named("met").alias("criteria"),
        named("assessed", is_so=False).alias("unmeasured"),
        named("without_baseline").alias("without_baseline"),
    ]


def _pairs(window: IntArray, parameter: IntArray, day: Numbers, within: float, windows: int) -> Numbers:
    """The first day (windows,) on which two different parameters were past their bounds within so many days (strictly
    less); infinite where there is none.

    In order of time two such values of different parameters always have a neighbouring pair that differs and is no
    further apart, so looking at neighbours is enough.
    """
    order = np.lexsort((parameter, day, window))
    window, parameter, day = window[order], parameter[order], day[order]
    pair = (window[1:] == window[:-1]) & (parameter[1:] != parameter[:-1]) & (day[1:] - day[:-1] < within)
    found = np.full(windows, np.inf)
    np.minimum.at(found, window[1:][pair], day[1:][pair])
    return found

"""The four laboratory values of tumour lysis: calcium corrected for albumin, and the bounds as a frame."""

from __future__ import annotations

from typing import Literal

import polars as pl

from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import SAME
from trialrun.vocab.problems import Problem, TrialrunError

FOUR = ("calcium", "phosphate", "potassium", "uric acid")

Population = Literal["adults", "children", "by subject"]

_ITEMS = ("urate", "potassium", "phosphate", "calcium_corrected", "calcium_ionized")
_UNITS = {
    "urate": ("umol/L", "mg/dL"),
    "potassium": ("mmol/L",),
    "phosphate": ("mmol/L", "mg/dL"),
    "calcium": ("mmol/L", "mg/dL"),
    "calcium_corrected": ("mmol/L", "mg/dL"),
    "calcium_ionized": ("mmol/L", "mg/dL"),
}

_PARAMETERS = {
    "urate": "uric acid",
    "potassium": "potassium",
    "phosphate": "phosphate",
    "calcium_corrected": "calcium",
    "calcium_ionized": "calcium",
}
_ITEM = pl.Enum(list(_ITEMS))
_UNIT = pl.Enum(["umol/L", "mmol/L", "mg/dL"])
_PARAMETER = pl.Enum(list(FOUR))

# Corrected calcium: total + 0.8 mg/dL for each g/dL of albumin below 4.0 (CTCAE v3.0; Howard 2011, Table 1), which is
# 0.02 mmol/L for each g/L below 40. Applied below 40 g/L only, as CTCAE v3.0 prints it.
NORMAL_ALBUMIN = 40.0  # g/L
_CORRECTION = {"mmol/L": 0.02, "mg/dL": 0.08}  # for each g/L of albumin
ALBUMIN_WITHIN = 1.0  # days between the calcium and its albumin (assumed: the same panel or the nearest day)


def lysis_values(labs: pl.DataFrame, until: pl.DataFrame) -> pl.DataFrame:
    """The usable values of the four up to the last day that matters (`until`: subject, last). Columns: subject, item, day,
    value, unit, high (upper limit of normal; null = unknown).

    `labs` holds subject, day, test, value and perhaps unit and high. Without `unit` values are in the canonical units
    of the vocabulary (mmol/L; uric acid umol/L); a `unit` of mg/dL makes the bounds printed in mg/dL apply. A total
    calcium without an albumin (g/L) within a day stays out: whether it is low is unknown.
    """
    missing = [name for name in ("subject", "day", "test", "value") if name not in labs.columns]
    if missing:
        problem = Problem("missing-column", "labs lacks columns", ", ".join(missing), "subject, day, test, value")
        raise TrialrunError(problem)
    canonical = pl.when(pl.col("test") == "urate").then(pl.lit("umol/L")).otherwise(pl.lit("mmol/L"))
    unit = pl.coalesce(pl.col("unit"), canonical) if "unit" in labs.columns else canonical
    high = pl.col("high").cast(pl.Float64) if "high" in labs.columns else pl.lit(None, pl.Float64)
    wanted = (
        labs.filter(pl.col("test").is_in([*_UNITS, "albumin"]))
        .select(
            "subject",
            pl.col("day").cast(pl.Float64),
            "test",
            pl.col("value").cast(pl.Float64).fill_nan(None),
            unit.alias("unit"),
            high.alias("high"),
        )
        .filter(pl.col("value").is_not_null())
    )
    _check(wanted, stated="unit" in labs.columns)
    wanted = (
        wanted.join(until, on="subject", how="left", maintain_order="left")
        .filter(pl.col("day") <= pl.col("last") + ALBUMIN_WITHIN)
        .drop("last")
    )
    albumin = wanted.filter(pl.col("test") == "albumin").select("subject", "day", pl.col("value").alias("albumin"))
    total = wanted.filter(pl.col("test") == "calcium").sort("day")
    shortfall = (NORMAL_ALBUMIN - pl.col("albumin")).clip(lower_bound=0.0)
    corrected = (
        total.join_asof(
            albumin.sort("day"),
            on="day",
            by="subject",
            strategy="nearest",
            tolerance=ALBUMIN_WITHIN,
            check_sortedness=False,
        )
        .filter(pl.col("albumin").is_not_null())
        .with_columns(
            test=pl.lit("calcium_corrected"),
            value=pl.col("value") + pl.col("unit").replace_strict(_CORRECTION, return_dtype=pl.Float64) * shortfall,
        )
        .drop("albumin")
    )
    rest = wanted.filter(pl.col("test").is_in(_ITEMS))
    return pl.concat([rest, corrected]).select(
        "subject",
        pl.col("test").cast(_ITEM).alias("item"),
        pl.col("test").replace_strict(_PARAMETERS, return_dtype=_PARAMETER).alias("parameter"),
        pl.col("unit").cast(_UNIT),
        "day",
        "value",
        "high",
    )


def _check(values: pl.DataFrame, *, stated: bool) -> None:
    bad_day = values.filter(pl.col("day").is_null() | pl.col("day").is_nan())
    if not bad_day.is_empty():
        first = bad_day.row(0, named=True)
        problem = Problem("missing-day", "a laboratory value has no day", f"{first['test']} of {first['subject']}")
        raise TrialrunError(problem)
    impossible = values.filter(~((pl.col("value") > 0) & pl.col("value").is_finite()))
    if not impossible.is_empty():
        first = impossible.row(0, named=True)
        found = f"{first['test']} {first['value']} of {first['subject']}"
        raise TrialrunError(Problem("impossible-value", "a laboratory value must be above zero", found, "a number > 0"))
    for test, units in _UNITS.items() if stated else ():
        other = values.filter((pl.col("test") == test) & ~pl.col("unit").is_in(units))
        if not other.is_empty():
            raise TrialrunError(
                Problem(
                    "unknown-unit",
                    f"{test} stands in a unit without printed bounds",
                    other["unit"][0],
                    " or ".join(units),
                )
            )


def window_frame(starts: pl.DataFrame, population: Population) -> pl.DataFrame:
    """The starts, checked and numbered: window, subject, kind, start_day, child (null: age unknown)."""
    missing = [name for name in ("subject", "day", "kind") if name not in starts.columns]
    if population == "by subject" and "child" not in starts.columns:
        missing.append("child")
    if missing:
        problem = Problem(
            "missing-column", "starts lacks columns", ", ".join(missing), "subject, day, kind (and child)"
        )
        raise TrialrunError(problem)
    days = starts["day"].cast(pl.Float64)
    if days.is_null().any() or days.is_nan().any():
        raise TrialrunError(Problem("missing-day", "a start of therapy has no day", "null", "a day offset"))
    child = pl.col("child") if population == "by subject" else pl.lit(population == "children")
    return starts.with_row_index("window").select("window", "subject", "kind", start_day=days, child=child)


def window_days(definition: str) -> tuple[float, float]:
    """How many days before and after the start the window reaches."""
    rows = {row.item: row.bound or 0.0 for row in select("tumor_lysis", definition, "window")}
    return rows["before"], rows["after"]


def values_in_windows(labs: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Every usable value beside every window it lies in, with the baseline of that window.

    Columns: window, child, start_day, item, parameter, unit, day, value, high, baseline, baseline_day. Items, units and
    parameters are Enum columns.
    """
    before, after = window_days("Cairo-Bishop-2004")
    subjects = windows.select("subject").unique().with_row_index("key")  # joins and sorts on numbers, not on text
    keyed_windows = windows.join(subjects, on="subject").select("key", "window", "start_day", "child")
    # what comes later lies in no window and is no baseline
    until = windows.group_by("subject").agg(last=pl.col("start_day").max().floor() + after + 1)
    values = lysis_values(labs, until).join(subjects, on="subject", maintain_order="left").drop("subject")
    values = values.sort("day", maintain_order=True)  # of two values at one time the later line comes last
    kind = pl.col("item").to_physical() * len(_UNIT.categories) + pl.col("unit").to_physical()
    series = pl.col("window").cast(pl.UInt64) * (len(_ITEM.categories) * len(_UNIT.categories)) + kind
    beside = (
        values.lazy()
        .join(keyed_windows.lazy(), on="key", maintain_order="left")
        .drop("key")
        .with_columns(series=series)
    )
    first = pl.col("start_day").floor() - before
    last = pl.col("start_day").floor() + after
    inside = beside.filter((pl.col("day").floor() >= first) & (pl.col("day").floor() <= last)).collect()
    baselines = (  # the last value on or before the start; rows are in the order of time
        beside.filter(pl.col("day") <= pl.col("start_day"))
        .group_by("series")
        .agg(baseline_day=pl.col("day").last(), baseline=pl.col("value").last())
        .collect()
    )
    return inside.join(baselines, on="series", how="left").drop("series")


def abnormal_values(inside: pl.LazyFrame, definition: str) -> pl.LazyFrame:
    """The values of `values_in_windows` that the definition speaks of, judged.

    Adds definition, past_bound, past_change and abnormal (Boolean; null when not decidable).
    """
    adult: pl.Expr = pl.lit(None, pl.Float64)
    child: pl.Expr = pl.lit(None, pl.Float64)
    high = pl.lit(False)
    strict = pl.lit(False)
    rows = select("tumor_lysis", definition, "laboratory")
    spoken_of = pl.lit(False)
    for row in rows:
        it = pl.col("item") == row.item
        if row.unit == "ULN":
            child = pl.when(it).then("high").otherwise(child)
            continue
        here = it & (pl.col("unit") == row.unit)
        spoken_of = spoken_of | here
        if row.group in ("", "adults"):
            adult = pl.when(here).then(pl.lit(row.bound)).otherwise(adult)
        if row.group in ("", "children"):
            child = pl.when(here).then(pl.lit(row.bound)).otherwise(child)
        high = high | (here & row.operator.startswith(">"))
        strict = strict | (here & (row.operator in ("<", ">")))
    sign = pl.when(high).then(1.0).otherwise(-1.0)
    changes = {row.item: abs(row.bound or 0.0) / 100 for row in select_optional(definition, "change")}
    judged = inside.filter(spoken_of).with_columns(
        bound=pl.when(pl.col("child"))
        .then(child)
        .when(~pl.col("child"))
        .then(adult)
        .when(adult == child)  # age unknown: only a bound that holds for both
        .then(adult)
    )
    distance = (pl.col("value") - pl.col("bound")) * sign
    room = pl.col("bound").abs() * SAME
    past_bound = pl.when(strict).then(distance > room).otherwise(distance >= -room)
    past_change: pl.Expr = pl.lit(False)
    if changes:
        change = pl.col("item").cast(pl.String).replace_strict(changes, return_dtype=pl.Float64)
        target = pl.col("baseline") * (1 + sign * change)
        moved = (pl.col("value") - target) * sign >= -target.abs() * SAME
        # what precedes the start has not changed from a baseline that is the last value before it
        past_change = pl.when(pl.col("day") <= pl.col("start_day")).then(False).otherwise(moved)
    return judged.with_columns(
        definition=pl.lit(definition), past_bound=past_bound, past_change=past_change
    ).with_columns(abnormal=pl.col("past_bound") | pl.col("past_change"))


def select_optional(definition: str, part: str) -> tuple[Row, ...]:
    """Rows of a part that not every definition has."""
    return tuple(row for row in select("tumor_lysis", definition) if row.part == part)

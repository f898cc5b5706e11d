"""The four laboratory values of tumour lysis: calcium corrected for albumin, and the bounds as a frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import FALSE, SAME, TRUE, UNKNOWN, Numbers, Truths, either
from trialrun.vocab.problems import Problem, TrialrunError

FOUR = ("calcium", "phosphate", "potassium", "uric acid")

IntArray = NDArray[np.int64]
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
_KINDS = len(_ITEM.categories) * len(_UNIT.categories)

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
    value = pl.col("value").cast(pl.Float64).fill_nan(None)
    here = pl.col("test").is_in([*_UNITS, "albumin"]) & value.is_not_null()
    columns = [
        pl.col("subject"),
        pl.col("day").cast(pl.Float64),
        pl.col("test").cast(pl.String),
        value,
        unit.alias("unit"),
        high.alias("high"),
    ]
    _check(labs.lazy().filter(here).select(columns), stated="unit" in labs.columns)
    near = pl.col("day") <= pl.col("last") + ALBUMIN_WITHIN
    beside = labs.lazy().join(until.lazy(), on="subject", how="left", maintain_order="left")
    wanted = beside.filter(here & near).select(columns).collect()
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
    values = pl.concat([rest, corrected]).with_columns(pl.col("test").cast(_ITEM), pl.col("unit").cast(_UNIT))
    parameter = pl.Series([_PARAMETERS[item] for item in _ITEMS], dtype=_PARAMETER)
    return values.select(
        "subject",
        pl.col("test").alias("item"),
        parameter.gather(values["test"].to_physical()).alias("parameter"),
        "unit",
        "day",
        "value",
        "high",
    )


def _check(values: pl.LazyFrame, *, stated: bool) -> None:
    no_day = pl.col("day").is_null() | pl.col("day").is_nan()
    possible = (pl.col("value") > 0) & pl.col("value").is_finite()
    wrong = values.filter(no_day | ~possible).collect()
    for line in wrong.filter(no_day).iter_rows(named=True):
        problem = Problem("missing-day", "a laboratory value has no day", f"{line['test']} of {line['subject']}")
        raise TrialrunError(problem)
    for line in wrong.iter_rows(named=True):
        found = f"{line['test']} {line['value']} of {line['subject']}"
        raise TrialrunError(Problem("impossible-value", "a laboratory value must be above zero", found, "a number > 0"))
    for test, units in _UNITS.items() if stated else ():
        other = values.filter((pl.col("test") == test) & ~pl.col("unit").is_in(units)).collect()
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
    subjects = windows.select("subject").unique().with_row_index("key")
    # what comes later lies in no window and is no baseline
    until = windows.group_by("subject").agg(last=pl.col("start_day").max().floor() + after + 1)
    values = lysis_values(labs, until).join(subjects, on="subject", maintain_order="left")
    start, day = windows["start_day"].to_numpy(), values["day"].to_numpy()
    first, stop = np.floor(start) - before, np.floor(start) + after + 1
    days = np.unique(np.concatenate([day, start, first, stop]))
    # a series is what one subject has of one item in one unit; series and day are put into one number, to be bisected
    kinds = _kind(values)
    present = np.unique(kinds)
    series = (values["key"].to_numpy().astype(np.int64) * _KINDS + kinds) * days.size
    order = np.argsort(
        series + np.searchsorted(days, day), kind="stable"
    )  # of two at one time the later line comes last
    ordered = (series + np.searchsorted(days, day))[order]
    whose = windows.join(subjects, on="subject", how="left", maintain_order="left")["key"].to_numpy().astype(np.int64)
    beside = (whose[:, None] * _KINDS + present) * days.size
    low, high, last = (
        np.searchsorted(ordered, beside + place[:, None]).ravel()
        for place in (np.searchsorted(days, first), np.searchsorted(days, stop), np.searchsorted(days, start) + 1)
    )
    known = np.flatnonzero(np.append(ordered, -1)[last - 1] >= beside.ravel())  # the last value on or before the start
    baseline, baseline_day = np.full(low.size, np.nan), np.full(low.size, np.nan)
    baseline[known] = values["value"].to_numpy()[order[last[known] - 1]]
    baseline_day[known] = day[order[last[known] - 1]]
    count = high - low
    which = np.repeat(np.arange(low.size), count)
    lines = order[np.arange(which.size) + np.repeat(low - (count.cumsum() - count), count)]
    parts: list[pl.DataFrame] = [
        windows.select("window", "child", "start_day")[which // max(present.size, 1)],
        values.select("item", "parameter", "unit", "day", "value", "high")[lines],
        pl.DataFrame({"baseline": baseline[which], "baseline_day": baseline_day[which]}, nan_to_null=True),
    ]
    return pl.concat(parts, how="horizontal")


def _kind(values: pl.DataFrame) -> IntArray:
    """Item and unit as one number below `_KINDS`."""
    item, unit = (values[name].to_physical().to_numpy().astype(np.int64) for name in ("item", "unit"))
    return item * len(_UNIT.categories) + unit


@dataclass(frozen=True)
class Verdicts:
    """What a definition says of values: `at` (m,) their rows, `past_bound`, `past_change` and `abnormal` (m,)."""

    at: IntArray
    past_bound: Truths
    past_change: Truths
    abnormal: Truths


@dataclass(frozen=True)
class _Bounds:
    """The bounds of a definition by kind: `child_limit` where that of a child is the upper limit of normal, `sign` 1 where
    high values count and -1 where low ones do, `change` as a share."""

    spoken_of: NDArray[np.bool_]
    adult: Numbers
    child: Numbers
    child_limit: NDArray[np.bool_]
    sign: Numbers
    strict: NDArray[np.bool_]
    change: Numbers | None


@cache
def _bounds(definition: str) -> _Bounds:
    items, units = list(_ITEM.categories), list(_UNIT.categories)
    shape = (len(items), len(units))
    adult, child = np.full(shape, np.nan), np.full(shape, np.nan)
    spoken_of, child_limit, strict = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    sign = np.full(shape, -1.0)
    for row in select("tumor_lysis", definition, "laboratory"):
        if row.unit == "ULN":
            child_limit[items.index(row.item)] = True
            continue
        here = items.index(row.item), units.index(row.unit)
        spoken_of[here] = True
        if row.group in ("", "adults"):
            adult[here] = row.bound
        if row.group in ("", "children"):
            child[here], child_limit[here] = row.bound, False
        if row.operator.startswith(">"):
            sign[here] = 1.0
        strict[here] |= row.operator in ("<", ">")
    changes = select_optional(definition, "change")
    change = np.full(shape, np.nan)
    for row in changes:
        change[items.index(row.item)] = abs(row.bound or 0.0) / 100
    return _Bounds(
        spoken_of.ravel(),
        adult.ravel(),
        child.ravel(),
        child_limit.ravel(),
        sign.ravel(),
        strict.ravel(),
        change.ravel() if changes else None,
    )


def judge_values(inside: pl.DataFrame, definition: str) -> Verdicts:
    """The values of `values_in_windows` that the definition speaks of, judged."""
    bounds, kind = _bounds(definition), _kind(inside)
    at = np.flatnonzero(bounds.spoken_of[kind])
    kind = kind[at]
    is_child = inside["child"].cast(pl.Int8).fill_null(UNKNOWN).to_numpy()[at]
    value, limit, day, start, baseline = (
        inside[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[at]
        for name in ("value", "high", "day", "start_day", "baseline")
    )
    adult, sign = bounds.adult[kind], bounds.sign[kind]
    child = np.where(bounds.child_limit[kind], limit, bounds.child[kind])
    either_age = np.where(adult == child, adult, np.nan)  # age unknown: only a bound that holds for both
    bound = np.where(is_child == TRUE, child, np.where(is_child == FALSE, adult, either_age))
    distance, room = (value - bound) * sign, np.abs(bound) * SAME
    past = np.where(bounds.strict[kind], distance > room, distance >= -room)
    past_bound = np.where(np.isnan(bound), UNKNOWN, past).astype(np.int8)
    past_change = np.zeros(at.size, dtype=np.int8)
    if bounds.change is not None:
        target = baseline * (1 + sign * bounds.change[kind])
        moved = (value - target) * sign >= -np.abs(target) * SAME
        # what precedes the start has not changed from a baseline that is the last value before it
        moved = np.where(np.isnan(target), UNKNOWN, moved)
        past_change = np.where(day <= start, FALSE, moved).astype(np.int8)
    return Verdicts(at, past_bound, past_change, either(past_bound, past_change))


def select_optional(definition: str, part: str) -> tuple[Row, ...]:
    """Rows of a part that not every definition has."""
    return tuple(row for row in select("tumor_lysis", definition) if row.part == part)

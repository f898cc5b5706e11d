"""What a table of results says beside the result itself: baselines, and the albumin that corrects a calcium."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae.engine import Bools, Floats
from trialrun.criteria.ctcae.findings import Findings
from trialrun.criteria.ctcae.groups import Group
from trialrun.criteria.ctcae.values import correct_calcium
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import factor

CORRECTED, UNCORRECTED = 1, 2


def _carried(groups: list[Group], n: int) -> Floats:
    """For each row what its numbers are multiplied by to be in the unit the test is carried in; NaN without a unit."""
    size = np.full(n, np.nan)
    for group in groups:
        if group.problem is None:
            unit = get_test(group.test).unit
            # without a unit results of one test are taken to be in one unit: only ratios are graded then
            size[group.rows] = 1.0 if group.unit is None or unit is None else factor(group.unit, unit, group.test)
    return size


def find_baselines(
    table: pl.DataFrame, groups: list[Group], numbers: dict[str, Floats], at_baseline: Bools, findings: Findings
) -> None:
    """Fill missing baselines, in place, from the flagged baseline record of the same subject and test.

    Two flagged records that differ leave the baseline missing, and are told.
    """
    if not at_baseline.any():
        return
    n = table.height
    size = _carried(groups, n)
    test, unitless = np.full(n, -1, np.int32), np.zeros(n, bool)
    for index, group in enumerate(groups):
        if group.problem is None:
            test[group.rows] = _test_index(groups, index)
            unitless[group.rows] = group.unit is None
    rows = (
        table.lazy()
        .select("subject")
        .with_columns(
            pl.Series("test", test),
            pl.Series("unitless", unitless),
            pl.Series("row", np.arange(n, dtype=np.uint32)),
            pl.Series("flagged", at_baseline),
            *(pl.Series(name, numbers[name] * size).fill_nan(None) for name in ("value", "low", "high")),
        )
    )
    usable = pl.col("subject").is_not_null() & (pl.col("test") >= 0)
    key = ["subject", "test", "unitless"]
    found = (
        rows.filter(usable & pl.col("flagged") & pl.col("value").is_not_null() & (pl.col("value") > 0))
        .group_by(key)
        .agg(
            pl.col("value", "low", "high").first(),
            pl.col("value").round_sig_figs(12).n_unique().alias("different"),
            pl.col("row").alias("rows"),
        )
        .collect()
    )
    unclear = found.filter(pl.col("different") > 1)
    findings.add(
        unclear["rows"].explode().drop_nulls().to_numpy().astype(np.intp),
        "unclear-baseline",
        "several baseline records of the subject and test that differ: no baseline is used",
    )
    clear = found.filter(pl.col("different") == 1).drop("rows", "different").lazy()
    joined = rows.select("row", *key).join(clear, on=key, how="left", maintain_order="left").collect()
    for name, source in (("baseline", "value"), ("baseline_low", "low"), ("baseline_high", "high")):
        own = joined[source].fill_null(np.nan).to_numpy() / size
        numbers[name] = np.where(np.isnan(numbers[name]), own, numbers[name])


def _test_index(groups: list[Group], index: int) -> int:
    """The first group of the same test: one number for a test whatever its unit."""
    return next(i for i, group in enumerate(groups) if group.test == groups[index].test)


def find_albumin(table: pl.DataFrame, groups: list[Group], numbers: dict[str, Floats]) -> Floats:
    """For each row the albumin (g/L) of the same subject at the same time, or else of the same day; NaN where there is
    none, or where several that differ are all there is."""
    albumin = np.full(table.height, np.nan)
    calcium = [group for group in groups if group.test == "calcium" and group.problem is None]
    sources = [group for group in groups if group.test == "albumin" and group.unit is not None]
    if not calcium or not sources:
        return albumin
    keyed = table.select("subject", "date").with_columns(
        pl.col("date").str.slice(0, 10).alias("day"), row=pl.int_range(pl.len(), dtype=pl.UInt32)
    )
    parts = [
        keyed[group.rows].with_columns(
            pl.Series("albumin", numbers["value"][group.rows] * factor(group.unit or "g/L", "g/L", "albumin")).fill_nan(
                None
            )
        )
        for group in sources
    ]
    measured = pl.concat(parts).filter(pl.col("albumin").is_between(5, 80) & pl.col("date").is_not_null())
    rows = np.concatenate([group.rows for group in calcium])
    wanted = keyed[rows]
    for key in (["subject", "date"], ["subject", "day"]):
        one = (
            measured.group_by(key)
            .agg(pl.col("albumin").first(), pl.col("albumin").n_unique().alias("different"))
            .filter(pl.col("different") == 1)
        )
        # subjects may be absent from a table of one subject: then the time alone tells
        found = wanted.join(one, on=key, how="left", nulls_equal=True, maintain_order="left")["albumin"]
        values = found.fill_null(np.nan).to_numpy()
        albumin[rows] = np.where(np.isnan(albumin[rows]), values, albumin[rows])
    return albumin


def calcium_to_grade(
    group: Group, value: Floats, albumin: Floats, version: str, uncorrected: bool
) -> tuple[Floats, NDArray[np.int8], tuple[str, Bools] | None]:
    """Total calcium as the value that is graded, in the group's unit: corrected where albumin is known, uncorrected by
    choice, otherwise missing with the reason."""
    own = albumin[group.rows]
    unit = group.unit or "mmol/L"
    kind = "mg/dL" if "g/" in unit else "mmol/L"
    size = factor(unit, kind, "calcium")
    corrected = correct_calcium(value * size, own, version, kind) / size
    known = ~np.isnan(corrected)
    used = np.where(known, CORRECTED, 0).astype(np.int8)
    if group.unit is None:
        return (
            np.full(value.shape, np.nan),
            np.zeros(value.shape, np.int8),
            (
                "unit missing, and the grades have fixed cut points",
                ~np.isnan(value),
            ),
        )
    without = ~known & ~np.isnan(value)
    if uncorrected:
        used[without] = UNCORRECTED
        return np.where(known, corrected, value), used, None
    return corrected, used, ("albumin of the day missing: calcium cannot be corrected", without)

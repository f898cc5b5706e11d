"""What a table of results says beside the result itself: baselines, and the albumin that corrects a calcium."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae.engine import Bools, Floats
from trialrun.criteria.ctcae.findings import Findings
from trialrun.criteria.ctcae.groups import Group
from trialrun.criteria.ctcae.tables import terms_of
from trialrun.criteria.ctcae.values import correct_calcium
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import factor

CORRECTED, UNCORRECTED = 1, 2


def _uses_baseline(test: str, version: str) -> bool:
    return any(term is not None and term.uses_baseline for term in terms_of(test, version))


def find_baselines(
    table: pl.DataFrame,
    groups: list[Group],
    numbers: dict[str, Floats],
    at_baseline: Bools,
    version: str,
    findings: Findings,
) -> None:
    """Fill missing baselines, in place, from the flagged baseline record of the same subject and test.

    Only tests with a term that looks at the baseline are gone through. Two flagged records that differ leave the
    baseline missing, and are told.
    """
    wanted = [group for group in groups if group.problem is None and _uses_baseline(group.test, version)]
    if not wanted or not at_baseline.any():
        return
    tests = list(dict.fromkeys(group.test for group in wanted))
    parts = []
    for group in wanted:
        unit = get_test(group.test).unit
        # without a unit results of one test are taken to be in one unit: only ratios are graded then
        size = 1.0 if group.unit is None or unit is None else factor(group.unit, unit, group.test)
        parts.append((group, size))
    place = np.concatenate([group.rows for group in wanted])
    sizes = np.concatenate([np.full(len(group.rows), size) for group, size in parts])
    rows = (
        table[place]
        .select("subject")
        .with_columns(
            pl.Series("test", np.concatenate([np.full(len(g.rows), tests.index(g.test), np.int32) for g in wanted])),
            pl.Series("unitless", np.concatenate([np.full(len(g.rows), g.unit is None) for g in wanted])),
            pl.Series("row", place),
            *(pl.Series(name, numbers[name][place] * sizes).fill_nan(None) for name in ("value", "low", "high")),
        )
    )
    key = ["subject", "test", "unitless"]
    found = (
        rows.filter(pl.Series(at_baseline[place]))
        .filter(pl.col("subject").is_not_null() & (pl.col("value") > 0))
        .group_by(key)
        .agg(
            pl.col("value", "low", "high").first(),
            pl.col("value").round_sig_figs(12).n_unique().alias("different"),
            pl.col("row").alias("rows"),
        )
    )
    findings.add(
        found.filter(pl.col("different") > 1)["rows"].explode().drop_nulls().to_numpy().astype(np.intp),
        "unclear-baseline",
        "several baseline records of the subject and test that differ: no baseline is used",
    )
    clear = found.filter(pl.col("different") == 1).drop("rows", "different")
    joined = rows.select(key).join(clear, on=key, how="left", maintain_order="left")
    for name, source in (("baseline", "value"), ("baseline_low", "low"), ("baseline_high", "high")):
        own = joined[source].fill_null(np.nan).to_numpy() / sizes
        given = numbers[name][place]
        numbers[name][place] = np.where(np.isnan(given), own, given)


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

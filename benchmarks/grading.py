"""Speed of CTCAE grading: one million laboratory results on one core, beside a plain Python grader row by row.

    POLARS_MAX_THREADS=1 python benchmarks/grading.py [rows]

The plain grader applies the same rule tables (versions and units resolved once, as a careful author would) to one row
at a time. Both give the same grades; the script stops if they do not.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from trialrun.criteria.ctcae import grade_labs, terms_of
from trialrun.criteria.ctcae.engine import cut_in_unit
from trialrun.criteria.ctcae.tables import Arm, Comparison, Term
from trialrun.criteria.ctcae.values import check_unit
from trialrun.vocab.units import factor

VERSION = "5.0"
TESTS = (  # code, unit, lower and upper limit, centre and spread (log scale) of made-up values
    ("NEUT", "10^9/L", 1.8, 7.5, 2.0, 0.9),
    ("PLAT", "10^9/L", 150.0, 400.0, 120.0, 0.8),
    ("HGB", "g/dL", 12.0, 16.0, 11.0, 0.2),
    ("LYM", "10^9/L", 1.0, 4.0, 8.0, 1.5),
    ("WBC", "10^3/uL", 4.0, 11.0, 12.0, 1.2),
    ("CREAT", "umol/L", 45.0, 90.0, 90.0, 0.5),
    ("ALT", "U/L", 7.0, 40.0, 45.0, 0.9),
    ("AST", "U/L", 5.0, 35.0, 40.0, 0.9),
    ("BILI", "umol/L", 3.0, 21.0, 15.0, 0.7),
    ("URATE", "umol/L", 150.0, 420.0, 380.0, 0.4),
    ("K", "mmol/L", 3.5, 5.1, 4.3, 0.15),
    ("CACR", "mmol/L", 2.15, 2.55, 2.3, 0.12),
    ("SODIUM", "mmol/L", 135.0, 145.0, 138.0, 0.04),
)


def make_labs(rows: int, seed: int = 1) -> pl.DataFrame:
    """Made-up results: 13 tests, 100 subjects a thousand rows or so, limits on most rows, a flagged first record."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, len(TESTS), rows)
    table = [np.asarray([test[i] for test in TESTS]) for i in range(6)]
    subject = rng.integers(0, max(rows // 100, 1), rows)
    value = np.round(
        np.exp(np.log(table[4][which].astype(float)) + table[5][which].astype(float) * rng.standard_normal(rows)), 2
    )
    limits = rng.random(rows) < 0.95
    frame = pl.DataFrame(
        {
            "USUBJID": pl.Series(subject).cast(pl.String),
            "LBDTC": pl.Series(rng.integers(0, 10_000_000, rows)).cast(pl.String),
            "LBTESTCD": table[0][which],
            "LBSTRESN": np.where(rng.random(rows) < 0.01, np.nan, value),
            "LBSTRESU": table[1][which],
            "LBSTNRLO": np.where(limits, table[2][which].astype(float), np.nan),
            "LBSTNRHI": np.where(limits, table[3][which].astype(float), np.nan),
        }
    )
    first = pl.struct("USUBJID", "LBTESTCD").is_first_distinct()
    return frame.with_columns(pl.when(first).then(pl.lit("Y")).otherwise(None).alias("LBBLFL"))


def _round(number: float) -> float:
    return number if number == 0 or math.isnan(number) or math.isinf(number) else float(f"{number:.14e}")


_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _bound(comparison: Comparison, row: dict[str, float], test: str, unit: str) -> float:
    bound = comparison.bound
    if bound.reference is None:
        cut = cut_in_unit(bound, unit, test)
        assert cut is not None
        return _round(cut[0])
    step = 0.0 if bound.offset_unit is None else bound.offset * factor(bound.offset_unit, unit, test)
    return _round(bound.factor * row[{"LLN": "low", "ULN": "high", "baseline": "baseline"}[bound.reference]] + step)


def _three(comparison: Comparison, row: dict[str, float], test: str, unit: str, flagged: bool) -> bool | None:
    if comparison.subject == "baseline":
        if flagged:
            return comparison.operator == "<="
        limit = row["baseline_low" if comparison.bound.reference == "LLN" else "baseline_high"]
        left, right = row["baseline"], comparison.bound.factor * limit
    else:
        left, right = row["value"], _bound(comparison, row, test, unit)
    if math.isnan(left) or math.isnan(right):
        return None
    return _OPERATORS[comparison.operator](_round(left), _round(right))


def _arm(arm: Arm, row: dict[str, float], test: str, unit: str, flagged: bool) -> bool | None:
    if arm.near.bound.reference == "baseline" and flagged:
        return False
    verdict = _three(arm.near, row, test, unit, flagged)
    if verdict is None and arm.needs_high_baseline and math.isnan(row["baseline"]):
        least = row["baseline_high"] * arm.near.bound.factor
        if not math.isnan(least) and not _round(row["value"]) > _round(least):
            return False
    for comparison in arm.when:
        other = _three(comparison, row, test, unit, flagged)
        if other is False or verdict is False:
            return False
        verdict = None if other is None or verdict is None else True
    return verdict


def _grade_by(term: Term, row: dict[str, float], test: str, unit: str, flagged: bool) -> int | None:
    ends = []
    for end in ("best", "worst"):
        low = high = 0
        for arm in term.arms:
            if arm.end not in ("", end):
                continue
            verdict = _arm(arm, row, test, unit, flagged)
            if verdict is not False:
                high = max(high, arm.grade)
                if verdict:
                    low = max(low, arm.grade)
        ends.append((low, high))
    (low, high), worst = ends
    if (low, high) != worst:
        return None
    return low if low == high or low >= term.floor else None


def grade_rows(frame: pl.DataFrame) -> list[int | None]:
    """The plain grader: one row at a time."""
    names = {test[0]: test[0] for test in TESTS}
    terms = {}
    for code, spelling, *_ in TESTS:
        from trialrun.vocab.tests import get_test

        test = get_test(names[code]).name
        terms[code, spelling] = (test, check_unit(spelling, test) or "", [t for t in terms_of(test, VERSION) if t])
    baselines = {
        (row["USUBJID"], row["LBTESTCD"]): row
        for row in frame.filter(pl.col("LBBLFL") == "Y").iter_rows(named=True)
        if not math.isnan(row["LBSTRESN"])
    }
    grades: list[int | None] = []
    for given in frame.iter_rows(named=True):
        test, unit, both = terms[given["LBTESTCD"], given["LBSTRESU"]]
        base = baselines.get((given["USUBJID"], given["LBTESTCD"]), {})
        row = {"value": given["LBSTRESN"], "low": given["LBSTNRLO"], "high": given["LBSTNRHI"]}
        row["baseline"] = base.get("LBSTRESN", math.nan)
        for ours, theirs in (("low", "LBSTNRLO"), ("high", "LBSTNRHI")):
            own = base.get(theirs, math.nan)
            row[f"baseline_{ours}"] = row[ours] if math.isnan(own) else own
        if math.isnan(row["value"]):
            grades.append(None)
            continue
        found = {term.direction: _grade_by(term, row, test, unit, given["LBBLFL"] == "Y") for term in both}
        worse = next((found[way] for way in ("low", "high") if found.get(way)), None)
        grades.append(worse if worse else (0 if all(grade == 0 for grade in found.values()) else None))
    return grades


def main() -> None:
    """Time both and print the ratio."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    grade_labs(make_labs(1000), VERSION)  # tables and units are read once
    frame = make_labs(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times, busy = [], []
    for _ in range(5):
        start, start_busy = time.perf_counter(), time.process_time()
        graded = grade_labs(frame, VERSION)
        times.append(time.perf_counter() - start)
        busy.append(time.process_time() - start_busy)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    few = min(rows, 20_000)
    sample = make_labs(few, seed=2)
    ours = grade_labs(sample, VERSION)["grade"].to_list()
    start = time.perf_counter()
    theirs = grade_rows(sample)
    plain = time.perf_counter() - start
    if ours != theirs:
        first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        sys.exit(
            f"the two graders differ, first at row {first}: {sample[first].to_dicts()}: {ours[first]}, {theirs[first]}"
        )
    print(f"columns: {rows:,} rows in {min(times):.2f} s (best of 5), {rows / min(times):,.0f} rows a second")
    print(f"processor time: {min(busy):.2f} s of one core")
    print(f"memory: {peak:.0f} MiB at the peak, {before:.0f} MiB before grading (table included)")
    print(f"plain Python: {few:,} rows in {plain:.2f} s, {few / plain:,.0f} rows a second; same grades")
    print(f"ratio: {(rows / min(times)) / (few / plain):.0f}")
    print(f"graded: {graded['grade'].is_not_null().mean():.1%} of rows")


if __name__ == "__main__":
    main()

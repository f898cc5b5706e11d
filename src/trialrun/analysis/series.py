"""Results of one test over the days of all subjects, as sorted arrays in which a day is found by bisection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.timeline import Timeline

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SPAN, ORIGIN = 2**32, 2**31  # a subject's row and a day in one number: days of -2^31 to 2^31 keep their order


@dataclass(frozen=True, slots=True)
class Series:
    """The results of one test: `row_days` (m,) row of the subject x SPAN + day + ORIGIN, ascending; `values` (m,). Of several
    on one day the last line comes last."""

    row_days: IntArray
    values: FloatArray

    def last(self, until: IntArray, reach: int | IntArray) -> FloatArray:
        """The last value up to each of these row-days (k,), at most so many days before it; NaN where there is none."""
        found = np.full(until.size, np.nan)
        at = np.searchsorted(self.row_days, until, side="right") - 1
        since = np.maximum(until - reach, until // SPAN * SPAN)
        near = np.flatnonzero((at >= 0) & (self.row_days[at] >= since)) if self.row_days.size else np.zeros(0, np.int64)
        found[near] = self.values[at[near]]
        return found

    def first_on(self, when: IntArray) -> FloatArray:
        """The first value of each of these row-days (k,); NaN where there is none."""
        found = np.full(when.size, np.nan)
        at = np.searchsorted(self.row_days, when)
        there = np.flatnonzero(at < self.row_days.size)
        there = there[self.row_days[at[there]] == when[there]]
        found[there] = self.values[at[there]]
        return found


def derive_series(findings: pl.DataFrame, timeline: Timeline, tests: Sequence[str]) -> dict[str, Series]:
    """The results of each of these tests; a finding of yes or no as 1 and 0. `findings` carries day, test, value and, where
    there are such findings, text. A line without a result is none."""
    columns = [name for name in ("subject", "day", "test", "value", "text") if name in findings.columns]
    lines = findings.lazy().filter(pl.col("test").is_in(tests)).select(columns).collect()
    value = lines["value"]
    if "text" in columns and value.null_count():
        silent = value.is_null().arg_true()
        said = (
            lines["text"]
            .gather(silent)
            .cast(pl.String)
            .str.to_lowercase()
            .replace_strict({"yes": 1.0, "no": 0.0}, default=None)
        )
        value = value.scatter(silent, said)
    row_days = timeline.rows(lines["subject"]).cast(pl.Int64).to_numpy() * SPAN + lines["day"].to_numpy() + ORIGIN
    test_of = lines["test"] if isinstance(lines["test"].dtype, pl.Enum) else lines["test"].cast(pl.Enum(tests))
    assert isinstance(test_of.dtype, pl.Enum)
    numbers = {test: number for number, test in enumerate(test_of.dtype.categories)}
    code = test_of.to_physical().to_numpy()
    there, values = value.is_not_null().to_numpy(), value.to_numpy()
    found = {}
    for test in tests:
        at = np.flatnonzero((code == numbers[test]) & there)
        order = at[np.argsort(row_days[at], kind="stable")]
        found[test] = Series(row_days[order], values[order])
    return found

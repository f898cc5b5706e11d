"""Reference limits from a separate table, for results that carry none."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae.columns import standardise
from trialrun.criteria.ctcae.engine import Floats
from trialrun.criteria.ctcae.groups import Group
from trialrun.criteria.ctcae.values import check_unit
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.tests import get_test
from trialrun.vocab.units import factor


def read_limits(table: pl.DataFrame) -> dict[str, tuple[str, float, float]]:
    """Test -> unit, lower and upper limit (NaN = none); a limit that cannot be used is a TrialrunError."""
    if "value" not in {name.casefold() for name in table.columns}:
        table = table.with_columns(pl.lit(None, dtype=pl.Float64).alias("value"))
    rows, wrong = standardise(table)
    problems = [
        Problem("not-a-number", f"row {row} of the limits: text where a number belongs, column {column}", found)
        for row, column, found in wrong.iter_rows()
    ]
    limits: dict[str, tuple[str, float, float]] = {}
    for number, row in enumerate(rows.iter_rows(named=True), 1):
        try:
            test = get_test(row["test"] or "").name
            unit = check_unit(row["unit"], test)
        except TrialrunError as error:
            problems += error.problems
            continue
        low = np.nan if row["low"] is None else row["low"]
        high = np.nan if row["high"] is None else row["high"]
        if unit is None:
            problems.append(Problem("missing-unit", f"row {number} of the limits: no unit for {test}", None, "a unit"))
        elif low > high:
            problems.append(Problem("reversed-limits", f"row {number} of the limits: {test}", f"{low} > {high}"))
        elif test in limits:
            problems.append(Problem("duplicate-row", f"row {number} of the limits: {test} stands there twice", test))
        else:
            limits[test] = (unit, low, high)
    if problems:
        raise TrialrunError(problems)
    return limits


def fill_limits(limits: pl.DataFrame | None, groups: list[Group], numbers: dict[str, Floats]) -> NDArray[np.bool_]:
    """Fill the limits that are missing from the table of limits, converted to each group's unit; returns which rows."""
    filled = np.zeros(len(numbers["value"]), bool)
    if limits is None:
        return filled
    known = read_limits(limits)
    for group in groups:
        if group.problem is not None or group.unit is None or group.test not in known:
            continue
        unit, low, high = known[group.test]
        size = factor(unit, group.unit, group.test)
        neither = np.isnan(numbers["low"][group.rows]) & np.isnan(numbers["high"][group.rows])
        rows = group.rows[neither]
        numbers["low"][rows], numbers["high"][rows] = low * size, high * size
        filled[rows] = True
    return filled

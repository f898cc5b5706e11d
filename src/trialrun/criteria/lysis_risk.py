"""Tumour-lysis risk before venetoclax in CLL: low, medium, high, over whole columns."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import TRUE, UNKNOWN, Operator, Truths, as_numbers, both, compare, either


def _holds(row: Row, values: ArrayLike) -> Truths:
    return compare(as_numbers(values), cast(Operator, row.operator), row.bound or 0.0)


def derive_lysis_risk(
    node_longest: ArrayLike, lymphocytes: ArrayLike, creatinine_clearance: ArrayLike = np.nan
) -> tuple[NDArray[np.str_], Truths]:
    """The risk category (low, medium, high; "NE" where what is unknown could change it), and renal risk.

    `node_longest` largest diameter of any node in cm, `lymphocytes` in 10*9/L, `creatinine_clearance` in mL/min; NaN =
    unknown. The second answer says whether the clearance raises the risk within the category (1, 0, -1 unknown).
    Source: venetoclax labelling (`data/lysis_risk.csv`).
    """
    rows = {(row.part, row.parameter): row for row in select("lysis_risk", "venetoclax")}
    many = _holds(rows["medium", "lymphocytes"], lymphocytes)
    large = _holds(rows["medium", "nodes"], node_longest)
    high = either(_holds(rows["high", "nodes"], node_longest), both(large, many))
    medium = either(large, many)
    at_most_medium = np.where(
        medium == TRUE, np.where(high == UNKNOWN, "NE", "medium"), np.where(medium == UNKNOWN, "NE", "low")
    )
    return np.where(high == TRUE, "high", at_most_medium), _holds(
        rows["renal", "creatinine clearance"], creatinine_clearance
    )

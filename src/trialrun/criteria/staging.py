"""Rai and modified Rai stage, Binet stage, over whole columns."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import FALSE, TRUE, UNKNOWN, Operator, as_numbers, as_truths, compare, either
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.units import factor

Text = NDArray[np.str_]

NOT_STAGEABLE = "NE"
_RAI = ("0", "I", "II", "III", "IV")
_RISK = {"0": "low", "I": "intermediate", "II": "intermediate", "III": "high", "IV": "high"}


def _bound(row: Row) -> float:
    bound = row.bound or 0.0
    return bound * factor("g/dL", "g/L") if row.unit == "g/dL" else bound


def _row(version: str, part: str, item: str) -> Row:
    return next(row for row in select("staging", version, part) if row.item == item)


def derive_rai_stage(
    hemoglobin: ArrayLike,
    platelets: ArrayLike,
    nodes_enlarged: ArrayLike,
    spleen_enlarged: ArrayLike,
    liver_enlarged: ArrayLike,
    autoimmune_cytopenia: ArrayLike = FALSE,
) -> tuple[Text, Text]:
    """Rai stage (0, I, II, III, IV) and modified Rai risk (low, intermediate, high) of each subject with CLL.

    Haemoglobin in g/L, platelets in 10*9/L (NaN = unknown), the rest truths (1, 0, -1 unknown). `autoimmune_cytopenia`:
    the cytopenia is autoimmune and does not raise the stage. The highest stage that holds counts, whatever is unknown
    below it; where an unknown could raise the stage, the answer is "NE". Source: Rai 1975 (`data/staging.csv`).
    """
    hb, plt = as_numbers(hemoglobin), as_numbers(platelets)
    row_iii, row_iv = _row("Rai-1975", "stage III", "hemoglobin"), _row("Rai-1975", "stage IV", "platelets")
    autoimmune = as_truths(autoimmune_cytopenia)
    not_counted = autoimmune == TRUE
    iii = np.where(not_counted, FALSE, compare(hb, cast(Operator, row_iii.operator), _bound(row_iii)))
    iv = np.where(not_counted, FALSE, compare(plt, cast(Operator, row_iv.operator), _bound(row_iv)))
    doubtful = autoimmune == UNKNOWN
    iii = np.where(doubtful & (iii == TRUE), UNKNOWN, iii)
    iv = np.where(doubtful & (iv == TRUE), UNKNOWN, iv)
    organs = either(as_truths(spleen_enlarged), as_truths(liver_enlarged))
    conditions = np.broadcast_arrays(as_truths(nodes_enlarged), organs, iii, iv)
    stage = np.zeros(conditions[0].shape, dtype=np.int64)
    unknown = np.zeros(stage.shape, dtype=np.bool_)
    for number, holds in enumerate(conditions, start=1):
        unknown = np.where(holds == TRUE, False, unknown | (holds == UNKNOWN))
        stage = np.where(holds == TRUE, number, stage)
    names = np.where(unknown, NOT_STAGEABLE, np.array(_RAI)[stage])
    high_anyway = (stage == 3) & unknown  # III or IV: high either way
    risk = np.array([_RISK[name] for name in _RAI])[stage]
    return names, np.where(unknown & ~high_anyway, NOT_STAGEABLE, risk)


def derive_binet_stage(hemoglobin: ArrayLike, platelets: ArrayLike, areas: ArrayLike) -> Text:
    """Binet stage (A, B, C) of each subject; "NE" where what is missing could change it.

    Haemoglobin in g/L, platelets in 10*9/L, `areas` the number (0 to 5) of areas involved by palpation: head and neck,
    axillae, groins, spleen, liver. NaN = unknown. Source: Binet 1981 (`data/staging.csv`).
    """
    hb, plt, count = np.broadcast_arrays(as_numbers(hemoglobin), as_numbers(platelets), as_numbers(areas))
    known = count[~np.isnan(count)]
    if ((known < 0) | (known > 5) | (known != np.floor(known))).any():
        raise TrialrunError(Problem("impossible-value", "Binet counts whole areas", str(areas)[:60], "0 to 5"))
    low = either(
        *(
            compare(values, cast(Operator, row.operator), _bound(row))
            for values, row in (
                (hb, _row("Binet-1981", "stage C", "hemoglobin")),
                (plt, _row("Binet-1981", "stage C", "platelets")),
            )
        )
    )
    row = _row("Binet-1981", "stage B", "areas")
    many = compare(count, cast(Operator, row.operator), row.bound or 0.0)
    below_c = np.where(many == UNKNOWN, NOT_STAGEABLE, np.where(many == TRUE, "B", "A"))
    return np.where(low == TRUE, "C", np.where(low == UNKNOWN, NOT_STAGEABLE, below_c))

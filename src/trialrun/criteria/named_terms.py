"""Named CTCAE terms that join findings: tumour flare, febrile neutropenia, tumour lysis.

Grades are int8 arrays: 0 (not a case) to 5, -1 unknown. Truths are 1, 0, -1 (unknown). Sources: `data/named_terms.csv`.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import (
    FALSE,
    TRUE,
    UNKNOWN,
    Operator,
    Truths,
    as_numbers,
    as_truths,
    both,
    compare,
    every,
    negate,
    some,
)
from trialrun.vocab.problems import Problem, TrialrunError

Grades = NDArray[np.int8]

FLARE_VERSIONS = ("CTCAE-3.0",)
FEBRILE_VERSIONS = ("CTCAE-3.0", "CTCAE-4.03", "CTCAE-5.0", "CTCAE-6.0")
LYSIS_VERSIONS = FEBRILE_VERSIONS


def _rows(term: str, version: str) -> tuple[Row, ...]:
    return select("named_terms", f"{term} {version}")


def _highest(steps: list[tuple[int, Truths]]) -> Grades:
    """The highest grade that holds; unknown where a higher one may hold."""
    shape = np.broadcast_shapes(*(truth.shape for _, truth in steps))
    grade = np.zeros(shape, dtype=np.int8)
    for number, truth in sorted(steps, key=lambda step: step[0]):
        grade = np.where(truth == TRUE, number, np.where(truth == UNKNOWN, -1, grade)).astype(np.int8)
    return grade


def grade_tumor_flare(
    pain: ArrayLike,
    interferes_with_function: ArrayLike,
    interferes_with_daily_living: ArrayLike,
    disabling: ArrayLike,
    death: ArrayLike = FALSE,
    *,
    version: str = "CTCAE-3.0",
) -> Grades:
    """Tumour flare by CTCAE 3.0: pain (or another sign of flare in direct relation to starting therapy) and its effect.

    All arguments are truths of one length. CTCAE 4.03 and later have no such term: a TrialrunError that says so.
    """
    if version not in FLARE_VERSIONS:
        problem = Problem("no-such-term", f"{version} has no term tumour flare", version, "CTCAE-3.0, or Tumor pain")
        raise TrialrunError(problem)
    columns = (pain, interferes_with_function, interferes_with_daily_living, disabling, death)
    return _highest([(number, as_truths(column)) for number, column in enumerate(columns, start=1)])


def grade_febrile_neutropenia(
    version: str,
    neutrophils: ArrayLike,
    temperature: ArrayLike,
    *,
    sustained_temperature: ArrayLike = np.nan,
    documented_infection: ArrayLike = UNKNOWN,
    life_threatening: ArrayLike = FALSE,
    death: ArrayLike = FALSE,
) -> Grades:
    """Febrile neutropenia: 0 no case, 3, 4 (life-threatening), 5 (death), -1 unknown.

    `neutrophils` in 10*9/L, `temperature` the highest single one in Cel, `sustained_temperature` the one held for more
    than an hour (4.03 and later; NaN unknown), `documented_infection` (3.0 only: such a case is coded otherwise).
    """
    rows = [row for row in _rows("febrile neutropenia", version) if row.part == "grade 3"]
    values = {
        "neutrophils": as_numbers(neutrophils),
        "temperature": as_numbers(temperature),
        "sustained_temperature": as_numbers(sustained_temperature),
    }
    conditions: list[Truths] = []
    fever: list[Truths] = []
    for row in rows:
        if row.item == "documented_infection":
            conditions.append(negate(as_truths(documented_infection)))
            continue
        held = compare(values[row.item], cast(Operator, row.operator), row.bound or 0.0)
        (fever if row.parameter == "temperature" else conditions).append(held)
    if version != "CTCAE-3.0":
        # a highest temperature under 38 cannot hide a sustained one of 38
        floor = next(row.bound or 0.0 for row in rows if row.item == "sustained_temperature")
        never = compare(values["temperature"], "<", floor) == TRUE
        fever = [np.where(never & (truth == UNKNOWN), FALSE, truth).astype(np.int8) for truth in fever]
    case = every([*conditions, some(fever)])
    return _highest([(3, case), (4, both(case, as_truths(life_threatening))), (5, both(case, as_truths(death)))])


def grade_tumor_lysis(
    version: str,
    laboratory: ArrayLike,
    *,
    creatinine_x_uln: ArrayLike = np.nan,
    event_grade: ArrayLike = np.nan,
    life_threatening: ArrayLike = FALSE,
    death: ArrayLike = FALSE,
) -> Grades:
    """Tumour lysis syndrome as CTCAE grades it; `laboratory` is laboratory tumour lysis (1, 0, -1).

    3.0: 3 present, 5 death. 4.03 and 5.0: 3 present, 4 life-threatening, 5 death. 6.0: by creatinine (multiple of the
    upper limit) and the grade of an arrhythmia or seizure (`event_grade`, 0 = none, NaN = unknown), 1 to 5; 0 where
    creatinine is not above its limit and there is no event.
    """
    present = as_truths(laboratory)
    rows = _rows("tumour lysis", version)
    steps: list[tuple[int, Truths]] = []
    for row in rows:
        number = int(row.part[-1])
        if row.item == "present":
            held = present
        elif row.item in ("life_threatening", "death"):
            held = as_truths(life_threatening if row.item == "life_threatening" else death)
        elif row.item == "creatinine_x_uln":
            held = compare(as_numbers(creatinine_x_uln), cast(Operator, row.operator), row.bound or 0.0)
        else:
            held = compare(as_numbers(event_grade), ">=", float(number))
        steps.append((number, both(present, held)))
    joined = [(number, some(truth for n, truth in steps if n == number)) for number in sorted({n for n, _ in steps})]
    return _highest(joined)

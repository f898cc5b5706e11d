"""iwCLL haematological toxicity of one situation."""

from __future__ import annotations

import numpy as np

from trialrun.criteria.explanation import Explanation, number
from trialrun.criteria.hematologic_toxicity import NOT_EVALUABLE, NOT_KNOWN, Parameter, grade_hematologic_toxicity
from trialrun.criteria.situations.findings import NORMAL_COUNTS
from trialrun.criteria.situations.vocabulary import Inputs
from trialrun.criteria.tables import select

# A value below these is below normal in any laboratory (assumed): platelets 10*9/L, haemoglobin g/dL.
_LOWEST_LIMITS = {"platelets": 100.0, "hemoglobin": 11.0}
_NAMES: dict[str, Parameter] = {"platelets": "platelets", "hb": "hemoglobin", "anc": "neutrophils"}


def assess_toxicity(inputs: Inputs) -> tuple[int | str, Explanation]:
    """The grade 0 to 4, NE (not evaluable) or not_graded, and why."""
    rows = select("hematologic_toxicity", "iwCLL")
    if inputs.parameter == "wbc":
        return "not_graded", Explanation(tuple(row.wording for row in rows if row.part == "not graded"))
    name = _NAMES[inputs.parameter]
    baseline, nadir, after_transfusion = _values(inputs)
    notes: list[str] = []
    limit = inputs.lln
    if limit is None and nadir is not None and nadir < _LOWEST_LIMITS.get(name, 0.0):
        limit = _LOWEST_LIMITS[name]
        notes.append(f"lln is not stated; {number(nadir)} is below any usual lower limit of normal")
    if name == "neutrophils" and baseline is None:
        baseline = NORMAL_COUNTS["anc"]
        notes.append("the pretreatment neutrophil count is not mentioned, so it was normal")
    unit = "g/dL" if name == "hemoglobin" else "10*9/L"
    missing = [
        what
        for what, value in (("baseline", baseline), ("nadir", nadir), ("lln", limit))
        if value is None and not (what == "lln" and name == "neutrophils")
    ]
    if after_transfusion:
        missing.append("haemoglobin before transfusion")
    code = int(
        grade_hematologic_toxicity(
            name,
            np.nan if baseline is None else baseline,
            np.nan if nadir is None or after_transfusion else nadir,
            np.nan if limit is None else limit,
        )[0]
    )
    values = f"{name}: baseline {_told(baseline, unit)}, nadir {_told(nadir, unit)}"
    if name != "neutrophils":
        values += f", lower limit of normal {_told(limit, unit)}"
    if baseline and nadir is not None:
        values += f" (change {100 * (nadir - baseline) / baseline:+.4g} %)"
    if code == NOT_KNOWN:
        return "NE", Explanation((values,), tuple(missing), ("the missing values",), tuple(notes))
    if code == NOT_EVALUABLE:
        told = [row.wording for row in rows if row.part == "not evaluable" and row.parameter == name]
        return "NE", Explanation((values, *told), (), ("a pretreatment value that is not severely low",), tuple(notes))
    told = [row.wording for row in rows if row.part == f"grade {code}" and row.parameter in _family(name)]
    if code == 0 and name != "neutrophils" and nadir is not None and limit is not None and nadir >= limit:
        told = ["not below normal, so grade 0 whatever the fall"]
    elif code == 0:
        told = ["fall under 11 %" if name != "neutrophils" else "neutrophils at or above 2.0"]
    if code == 4 and name == "platelets":
        told = told if nadir is not None and nadir < 20 else told[:1]
    above = [row.wording for row in rows if row.part == f"grade {code + 1}" and row.parameter in _family(name)]
    return code, Explanation((values, *told), tuple(missing), tuple(above), tuple(notes))


def _family(name: str) -> tuple[str, ...]:
    return (name,) if name == "neutrophils" else ("platelets or hemoglobin", name)


def _told(value: float | None, unit: str) -> str:
    return "not known" if value is None else number(value, unit)


def _values(inputs: Inputs) -> tuple[float | None, float | None, bool]:
    """Baseline, nadir, and whether the nadir is known only after a transfusion.

    Haemoglobin counts before transfusion: a number under before_transfusion or nadir_before_transfusion is that value;
    the value after a transfusion is never used.
    """
    baseline, nadir = inputs.baseline, inputs.nadir
    if inputs.parameter == "anc":
        baseline = inputs.anc_baseline if inputs.anc_baseline is not None else baseline
        nadir = inputs.anc_nadir if inputs.anc_nadir is not None else nadir
        return baseline, nadir, False
    denied = False
    for stated in (inputs.before_transfusion, inputs.nadir_before_transfusion):
        if isinstance(stated, bool):
            denied = denied or not stated
        elif stated is not None:
            nadir = stated
            denied = False
    return baseline, nadir, denied and inputs.parameter == "hb"

"""The keys of a situation, each with its kind; an unknown key is a problem that names it.

Units: counts in 10^9/L, hb in g/dL, node and organ sizes in cm, marrow lymphocytes in percent, urate in umol/L,
potassium, phosphate and calcium (corrected for albumin) in mmol/L, creatinine as a multiple of the upper limit.
What is not mentioned is normal, absent and was assessed, unless it is listed under not_done.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

STANDARDS = (
    "iwCLL-2018",
    "iwCLL-2008",
    "NCI-WG-1996",
    "Cairo-Bishop-2004",
    "Howard-2011",
    "iwCLL-haematologic-toxicity",
)

_NO = frozenset({"no", "none", "absent", "negative", "not_present"})
_YES = frozenset({"yes", "present", "positive"})


def _read_flag(value: Any) -> Any:
    """true/false, or the words yes, no, present, absent, positive, negative, none."""
    if isinstance(value, str):
        word = value.strip().casefold().replace(" ", "_")
        if word in _NO:
            return False
        if word in _YES:
            return True
    return value


def _read_flag_or_name(value: Any) -> Any:
    """As a flag, or the name of what is there (prednisone, pneumonia), which means that it is there."""
    flag = _read_flag(value)
    return True if isinstance(flag, str) and flag.strip() else flag


Number = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
Flag = Annotated[StrictBool, BeforeValidator(_read_flag)]
NamedFlag = Annotated[StrictBool, BeforeValidator(_read_flag_or_name)]
Diameters = Annotated[list[Number], Field(min_length=2, max_length=2)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Therapy(_Part):
    """What is or was given."""

    class_: StrictStr | None = Field(None, alias="class")
    agent: StrictStr | None = None
    months_since_last_dose: Number | None = None
    on_treatment_months: Number | None = None
    best_response: StrictStr | None = None


class Marrow(_Part):
    """A marrow biopsy."""

    cellularity: Literal["normal", "hypocellular", "hypercellular"] | None = None
    cll_cells: Flag | None = None
    lymphocyte_pct: Percent | None = None
    nodules: Literal["none", "lymphoid", "clonal_B_lymphoid"] | None = None
    erythroid: StrictStr | None = None


class Moment(_Part):
    """What was found at one time point."""

    nodes: list[Diameters] | None = None
    new_nodes: StrictBool | StrictInt | Number | Diameters | list[Diameters] | None = None
    new_node_confirmed_persistent: Flag | None = None
    growth_confirmed: Flag | None = None
    growth_seen_on_two_scans_months_apart: Flag | None = None
    nodes_palpable: Flag | None = None
    spleen_ct: Positive | None = None
    spleen_bcm: Number | None = None
    liver: Literal["normal", "enlarged"] | None = None
    liver_bcm: Number | None = None
    alc: Number | None = None
    alc_is_clonal_B: Flag | None = None  # noqa: N815 - the key of the format
    anc: Number | None = None
    platelets: Number | None = None
    hb: Positive | None = None
    transfused: NamedFlag | None = None
    bleeding: NamedFlag | None = None
    haemolysis: NamedFlag | None = None
    direct_antiglobulin: Flag | None = None
    symptoms: NamedFlag | None = None
    symptoms_cause: StrictStr | None = None
    infection: NamedFlag | None = None
    steroids: NamedFlag | None = None
    cytopenia_cause: Literal["CLL", "study_drug", "drug_toxicity_not_CLL", "autoimmune_haemolysis"] | None = None
    marrow: Marrow | None = None
    prolymphocyte_pct: Percent | None = None
    biopsy: StrictStr | StrictBool | None = None
    confirmed: Flag | None = None
    maintained_months: Number | None = None
    not_done: list[StrictStr] = Field(default_factory=list)
    week: float | None = Field(None, strict=True)


class Patient(_Part):
    """Who: age in years decides between the bounds of adults and of children."""

    age: Number | None = None


class Panel(_Part):
    """Laboratory values of one day; day 0 is the day therapy starts. A value that is not named was not measured."""

    day: float = Field(strict=True)
    urate: Positive | None = None
    potassium: Positive | None = None
    phosphate: Positive | None = None
    calcium: Positive | None = None


class Clinical(_Part):
    """Clinical findings in the window."""

    creatinine_x_uln: Positive | None = None
    creatinine_cause: StrictStr | None = None
    arrhythmia: StrictStr | StrictBool | int | None = None
    seizure: StrictStr | StrictBool | int | None = None
    attributable_to_other_drug: Flag | None = None
    death: Flag | None = None


class Inputs(_Part):
    """One haematologic toxicity; counts in 10^9/L, hb in g/dL."""

    parameter: Literal["platelets", "hb", "anc", "wbc"]
    baseline: Number | None = None
    nadir: Number | None = None
    lln: Positive | None = None
    before_transfusion: StrictBool | Number | None = None
    nadir_before_transfusion: StrictBool | Number | None = None
    value_after_transfusion: Number | None = None
    gcsf: Flag | None = None
    alc_baseline: Number | None = None
    alc_nadir: Number | None = None
    anc_baseline: Number | None = None
    anc_nadir: Number | None = None


class Situation(_Part):
    """One situation. The keys title, expected, accept, decides and expected_howard_2011 never influence the verdict."""

    id: StrictStr | int
    standard: Literal[
        "iwCLL-2018", "iwCLL-2008", "NCI-WG-1996", "Cairo-Bishop-2004", "Howard-2011", "iwCLL-haematologic-toxicity"
    ]
    title: Any = None
    expected: Any = None
    accept: Any = None
    decides: Any = None
    expected_howard_2011: Any = None
    therapy: Therapy | None = None
    baseline: Moment | None = None
    assessment: Moment | None = None
    best_response_assessment: Moment | None = None
    assessments: list[Moment] | None = None
    question: Literal["best_response"] | None = None
    patient: Patient | None = None
    labs: list[Panel] | None = None
    clinical: Clinical | None = None
    inputs: Inputs | None = None

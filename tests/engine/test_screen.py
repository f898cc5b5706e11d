"""Eligibility of made-up candidates and of real ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.engine.screen import screen
from trialrun.protocol import Protocol
from trialrun.record.screening import Screening, read_screening
from trialrun.vocab.problems import TrialrunError

ROOT = Path(__file__).resolve().parents[2]
CANDIDATES = ROOT / "examples" / "screening" / "candidates.csv"


def test_example_candidates(protocol: Protocol) -> None:
    found = {item.subject: item for item in screen(protocol.version(), read_screening(CANDIDATES))}
    assert {name: item.verdict for name, item in found.items()} == {
        "SC-01": "eligible",
        "SC-02": "eligible",
        "SC-03": "not eligible",
        "SC-04": "undetermined",
        "SC-05": "not eligible",
        "SC-06": "not eligible",
        "SC-07": "undetermined",
        "SC-08": "not eligible",
    }
    assert found["SC-06"].failed == ("consent", "neutrophils", "platelets", "performance")
    assert found["SC-04"].missing == ("lymphocyte_doubling_time", "constitutional_symptoms")
    assert "ULN of bilirubin" in found["SC-07"].missing


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("hemoglobin [g/dL]", "hemoglobin", "missing-unit", "hemoglobin [g/L]"),
        ("hemoglobin [g/dL]", "hemoglobin [mmHg]", "unit-mismatch", "mm[Hg]"),
        ("ecog", "ecgo", "unknown-column", "ecog"),
    ],
)
def test_a_bad_header_is_an_error_that_says_what_is_right(
    tmp_path: Path, old: str, new: str, code: str, said: str
) -> None:
    file = tmp_path / "candidates.csv"
    file.write_text(CANDIDATES.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(TrialrunError) as caught:
        read_screening(file)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert said in str(problem)
    assert problem.location.line == 1


def test_a_bad_cell_sets_only_that_person_aside(tmp_path: Path) -> None:
    file = tmp_path / "candidates.csv"
    text = (
        CANDIDATES.read_text(encoding="utf-8")
        .replace("SC-02,F,1951-11-20", "SC-02,F,20.11.1951")
        .replace(",3.2,0.7,", ",-3,0.7,")
    )
    file.write_text(text, encoding="utf-8")
    found = read_screening(file)
    assert [item.line for item in found.rejected] == [2, 3]
    assert len(found.subjects) == 6
    assert {problem.code for problem in found.problems if problem.severity == "error"} == {
        "not-a-date",
        "implausible-value",
    }


@pytest.mark.shared
def test_real_patients_for_the_doubling_time_criterion(protocol: Protocol) -> None:
    folder = Path(os.environ.get("TRIALRUN_DATA", "")) / "cll-cohort-heidelberg"
    if not (folder / "patients.csv").exists():
        pytest.skip("TRIALRUN_DATA does not hold cll-cohort-heidelberg (GPL-3 data, not shipped)")
    patients = pl.read_csv(folder / "patients.csv", infer_schema_length=None)
    doubling = patients["ldt_days"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    n = patients.height
    no_age = np.full(n, np.nan)
    candidates = Screening(
        tuple(patients["patientID"].cast(pl.String)),
        {"lymphocyte_doubling_time": doubling},
        {},
        {},
        no_age,
        no_age,
        (),
        (),
    )
    verdicts = [item.criteria["need_for_treatment"] for item in screen(protocol.version(), candidates)]
    short = int((doubling < 365.25).sum())
    assert (n, int((~np.isnan(doubling)).sum())) == (276, 90)
    # a short doubling time is enough; a long or missing one leaves the other reasons unknown
    assert verdicts.count("true") == short
    assert verdicts.count("unknown") == n - short
    assert verdicts.count("false") == 0

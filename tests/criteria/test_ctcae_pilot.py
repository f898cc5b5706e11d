"""The CDISC pilot study: laboratory data (SDTM LB) against the grades of its analysis data set (ADLB, CTCAE 4.03)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from trialrun.criteria.ctcae import grade_labs

ON_PAGE = Path(__file__).parents[2] / "docs" / "criteria" / "ctcae.md"
ADLB = ("AVAL", "BASE", "ANRLO", "ANRHI", "ABLFL", "ATOXGRL", "ATOXGRH", "ATOXDSCL", "ATOXDSCH")

# Why a grade of ours can differ from that of the analysis data set; each row that differs must fall under one of them.
HEMOGLOBIN = "hemoglobin in mmol/L: not graded there (its table takes g/L only)"
CALCIUM = "calcium: total there, corrected for albumin here"
LYMPHOCYTES = "lymphocytes: graded there by CD4 lymphocytes decreased"
GLUCOSE = "glucose: taken there as not fasting, here as not known (worst assumed)"
BASELINE = "creatinine: baseline of ADLB differs from the baseline flag of LB, or LB has none"


def _why(row: dict[str, object]) -> str | None:
    test = row["LBTESTCD"]
    if test == "HGB" and row["theirs"] is None:
        return HEMOGLOBIN
    if test == "CA":
        return CALCIUM
    if test == "LYM" and row["their_term"] == "CD4 lymphocytes decreased":
        return LYMPHOCYTES
    if test == "GLUC" and row["ours"] == 2 and row["theirs"] == "0":
        return GLUCOSE
    if test == "CREAT" and {row["ours"], row["theirs"]} <= {0, None, "0", "1", 1}:
        return BASELINE
    return None


@pytest.fixture(scope="module")
def graded() -> pl.DataFrame:
    folder = os.environ.get("TRIALRUN_DATA")
    files = [Path(folder or "", part) for part in ("pharmaversesdtm/lb.parquet", "pharmaverseadam/adlb.parquet")]
    if folder is None or not all(file.is_file() for file in files):
        pytest.skip("TRIALRUN_DATA does not name a folder with pharmaversesdtm/ and pharmaverseadam/")
    lb, adlb = (pl.read_parquet(file) for file in files)
    labs = grade_labs(lb, "4.03", assume="worst")
    theirs = adlb.filter(pl.col("DTYPE").is_null() & pl.col("LBSEQ").is_not_null()).select(
        "USUBJID", pl.col("LBSEQ").cast(pl.Int64), *ADLB
    )
    return labs.join(theirs, on=["USUBJID", "LBSEQ"], how="left", maintain_order="left")


def _compare(graded: pl.DataFrame, side: str) -> pl.DataFrame:
    letter = "L" if side == "low" else "H"
    return graded.filter(pl.col(f"ATOXDSC{letter}").is_not_null()).select(
        "LBTESTCD",
        pl.col(f"grade_{side}").alias("ours"),
        pl.col(f"ATOXGR{letter}").alias("theirs"),
        pl.col(f"ATOXDSC{letter}").alias("their_term"),
        same=pl.col(f"grade_{side}").cast(pl.String).eq_missing(pl.col(f"ATOXGR{letter}")),
    )


@pytest.mark.shared
@pytest.mark.oracle
def test_every_disagreement_is_explained_and_counted(graded: pl.DataFrame) -> None:
    assert graded.height == 59580
    page = ON_PAGE.read_text(encoding="utf-8")
    for side in ("low", "high"):
        compared = _compare(graded, side)
        agree = int(compared["same"].sum())
        assert f"| {side} | {compared.height:,} | {agree:,} |" in page
        reasons = Counter(_why(row) for row in compared.filter(~pl.col("same")).iter_rows(named=True))
        assert None not in reasons
        assert agree + reasons.total() == compared.height
        for why, rows in reasons.items():
            assert f"| {side} | {rows:,} | {why} |" in page


@pytest.mark.shared
@pytest.mark.oracle
def test_with_its_own_baselines_and_total_calcium_only_three_reasons_are_left(graded: pl.DataFrame) -> None:
    """Values, limits and baselines of ADLB itself, albumin left out so that total calcium is graded."""
    own = graded.filter(pl.col("AVAL").is_not_null() & (pl.col("LBTESTCD") != "ALB")).select(
        "USUBJID",
        "LBTESTCD",
        "LBDTC",
        "LBCAT",
        *ADLB,
        pl.col("LBSTRESU").alias("unit"),
    )
    again = grade_labs(own.drop("ABLFL"), "4.03", assume="worst", uncorrected_calcium=True)
    left: Counter[str] = Counter()
    for side in ("low", "high"):
        differing = _compare(again, side).filter(~pl.col("same"))
        for row in differing.iter_rows(named=True):
            left[_why(row) or f"unexplained {row}"] += 1
    assert set(left) == {HEMOGLOBIN, LYMPHOCYTES, GLUCOSE}

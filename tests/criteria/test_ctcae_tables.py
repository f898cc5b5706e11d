"""The rule tables themselves: complete, as printed, without unknown gaps or dead rows."""

from __future__ import annotations

import csv
import json
import os
import re
from importlib.resources import files
from pathlib import Path

import pytest

from trialrun.criteria.ctcae import all_terms, check_tables, find_term, list_terms, read_version, rule_table, rule_text
from trialrun.criteria.ctcae.gaps import gap_table
from trialrun.criteria.ctcae.tables import BASES, REFER, VERSIONS, Term, terms_of
from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.tests import find_test
from trialrun.vocab.units import find_unit

DATA = files("trialrun.criteria.ctcae").joinpath("data")
ALL = list(all_terms().values())


def _ids(term: Term) -> str:
    return f"{term.version}-{term.id}"


# Numbers that stand in the tables and not in the printed grade, and why.
NOT_PRINTED = {
    "ionized": "4 mg/dL for one mmol/L, not printed in mg/dL",
    "fibrinogen_decreased": "percentages are held as multiples",
    "glomerular_filtration": "percentages are held as multiples",
}


@pytest.mark.parametrize("term", ALL, ids=_ids)
def test_every_number_is_printed_in_its_grade(term: Term) -> None:
    """Near and far bounds against the printed text: 1.5 10*9/L also as 1500/mm3; gap rows excepted."""
    if any(mark in term.id for mark in NOT_PRINTED):
        pytest.skip("not printed in this form: " + next(why for mark, why in NOT_PRINTED.items() if mark in term.id))
    for arm in term.arms:
        if arm.is_gap or arm.grade == REFER:
            continue
        text = term.wording[arm.grade - 1].replace(",", "")
        printed = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}
        for bound in (arm.near.bound, arm.far):
            if bound is None:
                continue
            numbers = [number for _, number in bound.cuts]
            if bound.factor != 1.0:
                numbers.append(bound.factor)
            if bound.offset:
                numbers.append(bound.offset)
            for number in numbers:
                assert {number, number * 1000} & printed, (term.name, arm.grade, number, text)


@pytest.mark.parametrize("term", ALL, ids=_ids)
def test_terms_name_known_tests_and_units(term: Term) -> None:
    assert term.basis in BASES
    for name in term.tests:
        test = find_test(name)
        assert test is not None
        assert test.name == name
    for arm in term.arms:
        for unit, _ in arm.near.bound.cuts:
            assert find_unit(unit) == unit
        assert arm.near.operator[0] == ("<" if term.direction == "low" else ">")


def test_each_grade_with_numbers_is_coded() -> None:
    """A grade whose printed text compares with a limit, a baseline or a number has an arm, and no other grade has."""
    clinical = {
        "hyperphosphatemia",
        "hypophosphatemia",
        "hyperglycemia",
        "hyperglycemia_fasting",
        "hyperglycemia_random",
    }
    for term in ALL:
        graded = {arm.grade for arm in term.arms if arm.grade != REFER}
        for grade in range(1, 5):
            text = term.wording[grade - 1]
            numeric = bool(re.search(r"[<>≥]|LLN|ULN|Present|\d+ ?- ?\d+|150 mg|above baseline", text))
            if term.id in clinical and (term.version == "5.0" or term.id.endswith("phosphatemia")):
                continue
            if term.id == "hyperglycemia_random" and grade < 3:
                continue
            assert (grade in graded) == numeric, (term.version, term.name, grade, text)


def test_gaps_are_the_published_ones() -> None:
    found = {(f.term.version, f.term.id, f.text) for f in check_tables() if f.kind == "gap"}
    unit = "mL/min/{1.73_m2}"
    above = "between 2 and 4 x baseline, baseline above 5 x ULN"
    assert found == {
        ("4.03", "chronic_kidney_disease", f"between 29 and 30 {unit}"),
        ("4.03", "chronic_kidney_disease", f"between 59 and 60 {unit}"),
        ("4.03", "proteinuria", "between 3.4 and 3.5 g/d"),
        ("5.0", "chronic_kidney_disease", f"between 29 and 30 {unit}"),
        ("5.0", "chronic_kidney_disease", f"between 59 and 60 {unit}"),
        ("5.0", "hyponatremia", "between 124 and 125 mmol/L"),
        ("5.0", "hyponatremia", "between 129 and 130 mmol/L"),
        ("6.0", "creatinine_clearance_decreased", "between 25 and 26 mL/min"),
        ("6.0", "alt_increased", above),
        ("6.0", "ast_increased", above),
    }


def test_no_contradictions_and_only_the_published_redundancy() -> None:
    """In versions 5.0 and 6.0 fibrinogen below LLN is grade 1 already: its baseline arm of grade 1 adds nothing."""
    findings = check_tables()
    assert [f.text for f in findings if f.kind == "contradiction"] == []
    assert {(f.term.version, f.term.id) for f in findings if f.kind == "dead"} == {
        ("5.0", "fibrinogen_decreased"),
        ("6.0", "fibrinogen_decreased"),
    }


def test_a_gap_and_a_dead_row_would_be_found() -> None:
    """The check is not blind: the table with one arm taken out, and one put above another, is not passed."""
    from dataclasses import replace

    from trialrun.criteria.ctcae.gaps import check_term

    term = find_term("hyperkalemia", "5.0")
    without = replace(term, arms=tuple(arm for arm in term.arms if arm.grade != 2))
    assert any(f.kind == "gap" and "5.5 and 6" in f.text for f in check_term(without))
    buried = replace(term.arms[1], grade=1)
    assert any(f.kind == "dead" for f in check_term(replace(term, arms=(buried, *term.arms))))


def test_the_documentation_lists_the_gaps() -> None:
    page = Path(__file__).parents[2] / "docs" / "criteria" / "ctcae.md"
    text = page.read_text(encoding="utf-8")
    for line in gap_table():
        assert line in text


def test_no_meddra_codes() -> None:
    for name in ("rules.csv", "terms.csv", "wording.csv"):
        assert not re.search(r"\b100\d{5}\b", DATA.joinpath(name).read_text(encoding="utf-8"))


def test_listing_and_rule_tables() -> None:
    rows = list_terms()
    assert {row["version"] for row in rows} == set(VERSIONS)
    assert all(row["source"] and row["basis"] in BASES for row in rows)
    assert len(list_terms("6.0")) < len(rows)
    assert {"Febrile neutropenia", "Tumor lysis syndrome"} <= {row["name"] for row in list_terms("5.0")}
    table = rule_table(find_term("Anemia", "5.0"))
    assert [row["grade"] for row in table] == ["1", "2", "3", "4", "5"]
    assert table[2]["tested"] == "< 8.0 g/dL; < 4.9 mmol/L"
    assert table[2]["printed"].endswith("transfusion indicated")
    assert table[3]["tested"] == "not decided by a laboratory value"
    assert "basis R" in rule_text(find_term("Hemoglobin", "3.0"))


def test_marks_of_version_3() -> None:
    """Only the rows that a reprint shows are marked as read there."""
    bases = {term.id: term.basis for term in ALL if term.version == "3.0"}
    assert {name for name, basis in bases.items() if basis == "T"} == {
        "alt_increased",
        "ast_increased",
        "creatinine_increased",
    }
    assert set(bases.values()) == {"T", "R"}


@pytest.mark.parametrize(
    ("text", "version"),
    [("ctcae-5.0", "5.0"), ("CTCAE v4.03", "4.03"), ("4", "4.03"), ("v6", "6.0"), (" 3.0 ", "3.0"), ("4.0", "4.03")],
)
def test_versions(text: str, version: str) -> None:
    assert read_version(text) == version


def test_unknown_version_and_term() -> None:
    with pytest.raises(TrialrunError, match=r"one of ctcae-3\.0, ctcae-4\.03"):
        read_version("ctcae-7")
    with pytest.raises(TrialrunError, match="Neutrophil count decreased"):
        find_term("Neutrophil decreased", "5.0")


def test_one_term_for_each_test_and_direction() -> None:
    for version in VERSIONS:
        for test in {name for term in ALL for name in term.tests}:
            low, high = terms_of(test, version)
            both = [t for t in ALL if t.version == version and test in t.tests and not t.optional]
            assert len(both) == (low is not None) + (high is not None), (version, test)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "version"), [("v4_03", "4.03"), ("v5", "5.0"), ("v6", "6.0")])
def test_wording_is_that_of_the_institute(name: str, version: str) -> None:
    """Every record of the NCI tables, word for word, and every one of them in the listing."""
    folder = os.environ.get("TRIALRUN_DATA")
    if folder is None or not Path(folder, "ctcae").is_dir():
        pytest.skip("TRIALRUN_DATA does not name a folder with ctcae/")
    printed = json.loads(Path(folder, "ctcae", f"ctcae_{name}_nci_text.json").read_text(encoding="utf-8"))
    rows = csv.DictReader(DATA.joinpath("wording.csv").read_text(encoding="utf-8").splitlines())
    ours = {row["term"]: row for row in rows if row["version"] == version}
    beyond = {"Disease progression", "Treatment related secondary malignancy"}  # no laboratory terms
    for record in printed["records"]:
        if record["term"] not in beyond:
            row = ours[record["term"]]
            assert [row[f"grade_{grade}"] for grade in range(1, 6)] == list(record["grade_text"].values())
    assert len(ours) == len({record["term"] for record in printed["records"]} - beyond)

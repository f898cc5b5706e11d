"""Agreement with the cases of pharmaverse/admiral's test suite, and with its rule tables over drawn values."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from trialrun.criteria.ctcae import find_term
from trialrun.criteria.ctcae.engine import Columns, grade_term
from trialrun.criteria.ctcae.peer import Outcome, compare, count, grade_case, main, read_cases
from trialrun.criteria.ctcae.values import check_unit

CASES = {"text": 2100, "missing_data": 662, "api": 652, "peer_assumption": 128, "peer_deviation": 7}


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return compare()


def test_all_cases_ship() -> None:
    assert Counter(case["basis"] for case in read_cases()) == CASES


@pytest.mark.oracle
@pytest.mark.parametrize("basis", ["text", "missing_data", "api", "peer_assumption"])
def test_every_case_agrees(outcomes: list[Outcome], basis: str) -> None:
    differing = [o.case["case_id"] for o in outcomes if o.case["basis"] == basis and not o.agrees]
    assert differing == []


@pytest.mark.oracle
def test_departures_of_the_peer_follow_the_text(outcomes: list[Outcome]) -> None:
    """GGT of 2.0 x baseline and triglycerides of 150 mg/dL are inside what CTCAE prints for grade 1."""
    departures = [o for o in outcomes if o.case["basis"] == "peer_deviation"]
    assert {(o.case["expected_grade"], o.ours) for o in departures} == {("0", "1")}


def test_assumption_cases_are_not_decided_without_the_assumption(outcomes: list[Outcome]) -> None:
    """Most of them; the rest need no assumption by our reading (Hemoglobin increased, fibrinogen)."""
    undecided = {
        case["term"].lower()
        for case in read_cases()
        if case["basis"] == "peer_assumption" and case["expected_grade"] != "NA" and grade_case(case, "") == "NA"
    }
    assert undecided == {
        "hyperuricemia",
        "hypokalemia",
        "hyponatremia",
        "inr increased",
        "lipase increased",
        "serum amylase increased",
    }


def test_command_prints_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    printed = capsys.readouterr().out
    assert "all      text               2100   2100      0" in printed
    assert printed.count("differs:") == 7


def test_counts_in_the_documentation(outcomes: list[Outcome]) -> None:
    page = Path(__file__).parents[2] / "docs" / "criteria" / "ctcae.md"
    text = page.read_text(encoding="utf-8")
    for row in count(outcomes):
        if row["version"] == "all":
            assert f"| {row['basis']} | {row['cases']:,} | {row['agree']:,} |" in text


# Where the peer's tables depart from the text for values that its cases do not touch: the reasons are in the docs.
LEFT_OUT = {
    ("5.0", "GGT increased"),
    ("6.0", "Alanine aminotransferase increased"),
    ("6.0", "Aspartate aminotransferase increased"),
    ("5.0", "Hyponatremia"),
    ("6.0", "Creatinine clearance decreased"),
    ("5.0", "Hyperglycemia"),
    ("4.03", "Hypertriglyceridemia"),
    ("5.0", "Hypertriglyceridemia"),
    ("6.0", "Hypertriglyceridemia"),
}
NAMES = {
    "Hyperglycemia": "hyperglycemia_random",
    "Hyperglycemia (Fasting)": "hyperglycemia_fasting",
    "Hypercalcemia (Ionized)": "hypercalcemia_ionized",
    "Hypocalcemia (Ionized)": "hypocalcemia_ionized",
}
Tree = dict[str, object]


def _value(tree: object, row: dict[str, object]) -> object:
    """A node of the peer's rules; None = missing, three-valued as in R."""
    if not isinstance(tree, dict):
        return tree
    if "var" in tree:
        return row[tree["var"]]
    arguments = [_value(argument, row) for argument in tree["args"]]
    match tree["op"]:
        case "is_missing":
            return arguments[0] is None
        case "not":
            return None if arguments[0] is None else not arguments[0]
        case "and":
            return False if False in arguments else None if None in arguments else True
        case "or":
            return True if True in arguments else None if None in arguments else False
        case "in":
            return arguments[0] == arguments[1]
        case operator:
            if None in arguments:
                return None
            left, right = arguments
            if operator in ("mul", "add", "sub"):
                return {"mul": left * right, "add": left + right, "sub": left - right}[operator]
            left, right = float(f"{left:.14e}"), float(f"{right:.14e}")
            return {"lt": left < right, "le": left <= right, "gt": left > right, "ge": left >= right}[operator]


def _peer_grade(record: dict[str, object], row: dict[str, object]) -> int:
    for rule in record["rules"]:
        if _value(rule["when"], row) is True:
            return -1 if rule["grade"] is None else int(rule["grade"])
    return int(record["otherwise_grade"])


def _numbers(tree: object) -> list[float]:
    if isinstance(tree, dict):
        return [number for argument in tree.get("args", []) for number in _numbers(argument)]
    return [float(tree)]


@pytest.mark.oracle
@pytest.mark.shared
@pytest.mark.parametrize("table", ["v4_si", "v4_us", "v5_si", "v5_us", "v6_si", "v6_us"])
def test_rule_tables_of_the_peer_over_drawn_values(table: str) -> None:
    """With everything known, every record of the peer gives the grade the engine gives under `worst`."""
    folder = os.environ.get("TRIALRUN_DATA")
    if folder is None or not Path(folder, "ctcae").is_dir():
        pytest.skip("TRIALRUN_DATA does not name a folder with ctcae/")
    tables = json.loads(Path(folder, "ctcae", f"ctcae_{table}.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(20)
    compared = 0
    for record in tables["records"]:
        version, name = tables["version"], record["term"]
        if (version, name) in LEFT_OUT:
            continue
        term = find_term(NAMES.get(name, name), version)
        unit = check_unit(record["unit"], term.tests[0])
        cuts = [n for rule in record["rules"] for n in _numbers(rule["when"]) if n > 0]
        fixed = record["unit"] is not None or name in ("INR increased", "Acidosis", "Alkalosis")
        for _ in range(60):
            high = float(
                rng.uniform(0.5, 1.0) * min(cuts) if fixed and term.direction == "high" else rng.uniform(30, 60)
            )
            low = float(rng.uniform(1.0, 1.4) * max(cuts) if fixed and term.direction == "low" else high * 0.4)
            baseline = float(rng.choice([low * 0.7, high * 0.8, high * 1.7]))
            near = [
                high,
                low,
                baseline,
                *(n for n in cuts if fixed),
                *(n * high for n in cuts),
                *(n * baseline for n in cuts),
            ]
            value = float(rng.choice(near) * rng.choice([0.9, 1.0, 1.0, 1.1]))
            row: dict[str, object] = {
                "value": value,
                "low": low,
                "high": high,
                "baseline": baseline,
                "baseline_indicator": "LOW" if baseline < low else "HIGH" if baseline > high else "NORMAL",
                "high_indicator": "HIGH",
                "low_indicator": "LOW",
                "percent_change_from_baseline": (value - baseline) / baseline * 100,
            }
            if record["applies_when"] is not None and _value(record["applies_when"], row) is not True:
                continue
            columns = Columns.of(np.asarray([value]), low, high, baseline)
            ours = int(grade_term(term, columns, unit, assume="worst").grade[0])
            assert ours == _peer_grade(record, row), (version, name, row)
            compared += 1
    assert compared > 2000

"""Comparison with the test suite of pharmaverse/admiral: `python -m trialrun.criteria.ctcae.peer`.

The cases are rows of that suite (Apache-2.0, see `data/NOTICE.md`), each with the part of CTCAE it rests on: the
text, missing data, an unknown term or unit (`api`), an assumption of the peer where the text needs a clinical fact, or
a departure of the peer from the text.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from trialrun.criteria.ctcae.engine import Columns, grade_term
from trialrun.criteria.ctcae.tables import End, find_term
from trialrun.criteria.ctcae.values import check_unit, implausible
from trialrun.vocab.problems import TrialrunError

# The peer grades any glucose by grades 3 and 4 alone and calls that Hyperglycemia: here the term of a value known not
# to be fasting.
_NAMES = {
    "hyperglycemia": "hyperglycemia_random",
    "hyperglycemia (fasting)": "hyperglycemia_fasting",
    "hypercalcemia (ionized)": "hypercalcemia_ionized",
    "hypocalcemia (ionized)": "hypocalcemia_ionized",
}

Case = dict[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case with the grade the peer expects, ours ("NA" = not gradable) and whether they agree."""

    case: Case
    ours: str
    agrees: bool


@cache
def read_cases() -> tuple[Case, ...]:
    """The cases that ship with the package, as they were recorded."""
    packed = files("trialrun.criteria.ctcae").joinpath("data/peer_cases.csv.gz").read_bytes()
    text = io.StringIO(gzip.decompress(packed).decode("utf-8"))
    return tuple(csv.DictReader(text))


def _number(text: str) -> float:
    return float(text) if text else np.nan


def _columns(case: Case, direction: str) -> Columns:
    """The case as one row; only the limit its term looks at, since the other one is a filler in the suite."""
    context = json.loads(case["context"]) if case["context"] else {}
    value, baseline = _number(case["value"]), _number(case["baseline"])
    low = _number(case["low"]) if direction == "low" else np.nan
    high = _number(case["high"]) if direction == "high" else np.nan
    change = context.get("percent_change_from_baseline")
    if change is not None:
        baseline = value / (1 + change / 100)
    own_low = own_high = np.nan
    indicator = context.get("baseline_indicator")
    if indicator is not None and not np.isnan(baseline):
        # the suite says where the baseline lies; limits that say the same
        own_low = baseline * 2 if indicator == context["low_indicator"] else baseline
        own_high = baseline / 2 if indicator == context["high_indicator"] else max(baseline, own_low)
    return Columns.of(np.asarray([value]), low, high, baseline, own_low, own_high)


def grade_case(case: Case, assume: End) -> str:
    """Our grade of one case; "NA" for a term or unit that is refused and for what cannot be graded."""
    name = case["term"].strip().casefold()
    try:
        term = find_term(_NAMES.get(name, name), case["version"])
        unit = check_unit(case["unit"] or None, term.tests[0])
    except TrialrunError:
        return "NA"
    columns = _columns(case, term.direction)
    if implausible(term.tests[0], unit, columns.value)[0]:
        return "NA"
    found = grade_term(term, columns, unit, assume=assume)
    grade = int(found.grade[0])
    return "NA" if grade < 0 else str(grade)


def compare() -> list[Outcome]:
    """Every case: cases that rest on a clinical assumption under `worst`, all others without any assumption."""
    outcomes = []
    for case in read_cases():
        ours = grade_case(case, "worst" if case["basis"] == "peer_assumption" else "")
        outcomes.append(Outcome(case, ours, ours == case["expected_grade"]))
    return outcomes


def count(outcomes: list[Outcome]) -> list[dict[str, str | int]]:
    """Agreement by version and basis."""
    total: Counter[tuple[str, str]] = Counter()
    agree: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        for version in (outcome.case["version"], "all"):
            key = (version, outcome.case["basis"])
            total[key] += 1
            agree[key] += outcome.agrees
    return [
        {
            "version": version,
            "basis": basis,
            "cases": n,
            "agree": agree[version, basis],
            "differ": n - agree[version, basis],
        }
        for (version, basis), n in sorted(total.items())
    ]


def main() -> int:
    """Print the counts and every case that differs; 1 if one differs that rests on the text."""
    outcomes = compare()
    print(f"{'version':8} {'basis':16} {'cases':>6} {'agree':>6} {'differ':>6}")
    for row in count(outcomes):
        print(f"{row['version']:8} {row['basis']:16} {row['cases']:>6} {row['agree']:>6} {row['differ']:>6}")
    for outcome in outcomes:
        if not outcome.agrees:
            case = outcome.case
            print(
                f"differs: {case['case_id']} ({case['basis']}) CTCAE {case['version']} {case['term']} {case['value']}"
                f" {case['unit']} limits {case['low']}..{case['high']} baseline {case['baseline']}:"
                f" peer {case['expected_grade']}, here {outcome.ours}"
            )
    return int(any(not o.agrees and o.case["basis"] != "peer_deviation" for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())

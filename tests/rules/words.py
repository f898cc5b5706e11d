"""A small vocabulary for the tests of the rule language."""

from __future__ import annotations

from trialrun.rules import Rule, Term, Vocabulary, read_rule
from trialrun.vocab.problems import Location

RESPONSES = ("not assessed", "CR", "PR", "PD")


def _vocabulary() -> Vocabulary:
    def test(name: str, unit: str, worst: str | None, high: float, current_for: float, low: float = 0) -> Term:
        return Term(
            name, "number", unit, "finding", name, worst=worst, low=low, high=high, limits=True,  # type: ignore[arg-type]
            current_for=current_for,
        )  # fmt: skip

    words = [
        test("neutrophils", "10*9/L", "low", 500, 3),
        test("platelets", "10*9/L", "low", 5000, 2),
        test("hemoglobin", "g/L", "low", 300, 3, low=10),
        test("lymphocytes", "10*9/L", None, 3000, 4),
        test("alt", "U/L", "high", 20000, 3),
        test("urate", "umol/L", "high", 3000, 3),
        Term("ecog", "number", "1", "finding", "ECOG", worst="high", low=0, high=5, current_for=14, whole=True),
        Term("doubling_time", "number", "d", "finding", "doubling time", worst="low", low=1, high=1e5, current_for=14),
        Term("b_cell_cll", "truth", None, "finding", "CLL", current_for=30),
        Term("flare", "truth", None, "event", "flare", current_for=2),
        Term("infection", "truth", None, "event", "infection"),
        Term("dose", "number", "mg", "state", "dose", low=0, high=1000),
        Term("cycle", "number", "1", "state", "cycle", low=0, high=500),
        Term("response", "category", None, "state", "response", values=RESPONSES),
        Term("consented", "truth", None, "state", "consented"),
    ]
    vocabulary = {term.name: term for term in words}
    low_counts = read_rule("any of (neutrophils < 1 x10^9/L, platelets < 50 x10^9/L)", vocabulary)
    vocabulary["low_counts"] = Term("low_counts", "truth", None, "derived", "low counts", definition=low_counts)
    return vocabulary


WORDS = _vocabulary()


def rule(text: str) -> Rule:
    """The rule, read against the vocabulary of the tests."""
    return read_rule(text, WORDS, Location("protocol.yaml", 7))

"""CTCAE laboratory grading, versions 3.0, 4.03, 5.0 and 6.0: rule tables as data and one engine over whole columns."""

from trialrun.criteria.ctcae.explain import Explanation, grade_one
from trialrun.criteria.ctcae.gaps import TableFinding, check_tables
from trialrun.criteria.ctcae.labs import GradedLabs, grade_labs, grade_table
from trialrun.criteria.ctcae.listing import list_terms, rule_table, rule_text
from trialrun.criteria.ctcae.tables import VERSIONS, Term, all_terms, find_term, read_version, terms_of
from trialrun.criteria.ctcae.values import TestGrades, correct_calcium, grade_values

__all__ = [
    "VERSIONS",
    "Explanation",
    "GradedLabs",
    "TableFinding",
    "Term",
    "TestGrades",
    "all_terms",
    "check_tables",
    "correct_calcium",
    "find_term",
    "grade_labs",
    "grade_one",
    "grade_table",
    "grade_values",
    "list_terms",
    "read_version",
    "rule_table",
    "rule_text",
    "terms_of",
]

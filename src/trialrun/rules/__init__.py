"""The rule language: parse, check, evaluate in three values, tables, explain."""

from trialrun.rules.actions import Action, read_action
from trialrun.rules.cases import RequiredCase, required_cases
from trialrun.rules.check import check_rule, check_rules_overlap, check_table
from trialrun.rules.columns import Column, Columns
from trialrun.rules.evaluate import evaluate
from trialrun.rules.explain import Explanation, Used, explain
from trialrun.rules.history import History
from trialrun.rules.reading import read_rule
from trialrun.rules.rule import Rule
from trialrun.rules.tables import Row, Table, TableResult, evaluate_table
from trialrun.rules.terms import Input, Term, Vocabulary, Window
from trialrun.rules.truth import FALSE, TRUE, UNKNOWN

__all__ = [
    "FALSE",
    "TRUE",
    "UNKNOWN",
    "Action",
    "Column",
    "Columns",
    "Explanation",
    "History",
    "Input",
    "RequiredCase",
    "Row",
    "Rule",
    "Table",
    "TableResult",
    "Term",
    "Used",
    "Vocabulary",
    "Window",
    "check_rule",
    "check_rules_overlap",
    "check_table",
    "evaluate",
    "evaluate_table",
    "explain",
    "read_action",
    "read_rule",
    "required_cases",
]

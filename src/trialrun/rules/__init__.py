"""The rule language: parse, check, evaluate in three values, tables, explain."""

from trialrun.rules.accumulate import Column, Columns
from trialrun.rules.actions import Action, read_action
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
    "Row",
    "Rule",
    "Table",
    "TableResult",
    "Term",
    "Used",
    "Vocabulary",
    "Window",
    "evaluate",
    "evaluate_table",
    "explain",
    "read_action",
    "read_rule",
]

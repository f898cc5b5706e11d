"""The reference page of the words that every protocol may use: tests and states."""

from __future__ import annotations

from trialrun.protocol.vocabulary import state_terms
from trialrun.vocab.tests import all_tests

_HEAD = """# Terms

<!-- Written by docs/generate.py; do not edit. -->

The words that rules of every protocol may use. A protocol adds its own: events, choices of the investigator, derived
terms (see [the protocol file](protocol-file.md)).

## Tests

Values are carried in the unit given here (UCUM) and may be written in any unit that converts to it, between molar and
mass units too. A threshold outside the plausible range is an error of `trialrun check`. *Worse* says which of two
results of one day counts.

| name | test | code | unit | worse | plausible | also read as |
|---|---|---|---|---|---|---|
"""
_STATES = """
## States

What the system keeps for every subject, as it is on the day before the dose of that day.

| name | state | unit | which means |
|---|---|---|---|
"""


def terms_page() -> str:
    """The page as Markdown."""
    tests = []
    for test in all_tests().values():
        plausible = "" if test.low is None or test.high is None else f"{test.low:g} to {test.high:g}"
        unit = test.unit if test.unit is not None else {"truth": "yes or no"}.get(test.kind, "")
        also = ", ".join(test.synonyms)
        tests.append(
            f"| `{test.name}` | {test.label} | {test.code} | {unit} | {test.worst or ''} | {plausible} | {also} |"
        )
    states = []
    for term, says in state_terms():
        unit = {"truth": "yes or no", "category": ""}.get(term.kind, term.unit or "")
        values = ", ".join(term.values) if term.values else says
        label = f"{term.label}: {says}" if term.values else term.label
        states.append(f"| `{term.name}` | {label} | {unit} | {values} |")
    return _HEAD + "\n".join(tests) + "\n" + _STATES + "\n".join(states) + "\n"

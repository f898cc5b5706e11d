"""The words a protocol's rules may use: tests, states that the system keeps, and the protocol's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trialrun.protocol.document import TermPart
from trialrun.rules import Term, read_rule
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.tests import all_tests
from trialrun.vocab.yaml_source import YamlSource

RESPONSES = ("not assessed", "CR", "CRi", "nPR", "PR", "PR-L", "SD", "PD", "NE")


def _number(name: str, label: str, unit: str, low: float, high: float) -> Term:
    return Term(name=name, kind="number", unit=unit, source="state", label=label, low=low, high=high)


_STATES: tuple[Term, ...] = (
    _number("age", "age in completed years on the day", "a", 0, 130),
    _number("day", "days since the first dose (first dose = 0, the day before = -1)", "d", -1000, 10000),
    _number("cycle", "cycle number; 0 before the first dose; on the day a cycle starts, that cycle", "1", 0, 500),
    _number("cycle_day", "day of the cycle, counted from 1; 0 before the first dose", "1", 0, 1000),
    _number("dose", "dose given on the last day or ordered now, a day", "mg", 0, 1000),
    _number("level_dose", "dose of the present level, whether it is given or held", "mg", 0, 1000),
    _number("days_at_level", "days on which the present level was taken", "d", 0, 10000),
    _number("cycles_at_level", "cycles begun at the present level and left behind", "1", 0, 500),
    _number("days_held", "days of the present hold; 0 when there is none", "d", 0, 10000),
    _number("days_off_unplanned", "planned dosing days without drug since the last dose", "d", 0, 10000),
    _number("reductions", "dose reductions so far", "1", 0, 100),
    _number("cycles_since_cr", "cycles begun since complete response was first found; 0 without one", "1", 0, 500),
    Term(
        name="response",
        kind="category",
        unit=None,
        source="state",
        label="response at the last assessment",
        values=RESPONSES,
    ),
    Term(name="consented", kind="truth", unit=None, source="state", label="consent to this version is on record"),
)


def state_terms() -> tuple[Term, ...]:
    """The states that the system keeps for every subject, with their units."""
    return _STATES


def read_vocabulary(
    source: YamlSource, terms: Mapping[str, TermPart], current_for: Mapping[str, float]
) -> Mapping[str, Term]:
    """All words that rules about one subject may use.

    `current_for` gives for each test how many days a result stays current: the part of the visit window that lies
    before the visit (docs/concepts.md). A test that no visit measures has no entry and is never current.
    """
    vocabulary: dict[str, Term] = {
        test.name: Term(
            name=test.name,
            kind=test.kind,
            unit=test.unit,
            source="finding",
            label=test.label,
            worst=test.worst,
            low=test.low,
            high=test.high,
            limits=test.kind == "number",
            current_for=current_for.get(test.name),
        )
        for test in all_tests().values()
    }
    vocabulary.update((term.name, term) for term in _STATES)
    for name, part in terms.items():
        location = source.location(("terms", name))
        if name in vocabulary:
            raise TrialrunError(
                Problem(
                    "term-defined-twice", "this name is already a test or a state", repr(name), "another name", location
                )
            )
        if part.kind == "derived":
            definition = read_rule(
                part.means or "", MappingProxyType(vocabulary), source.location(("terms", name, "means"))
            )
            vocabulary[name] = Term(
                name=name, kind="truth", unit=None, source="derived", label=part.label, definition=definition
            )
        else:
            kind = "event" if part.kind == "event" else "state"
            vocabulary[name] = Term(name=name, kind="truth", unit=None, source=kind, label=part.label)
    return MappingProxyType(vocabulary)


def study_vocabulary(terms: Mapping[str, TermPart]) -> Mapping[str, Term]:
    """The words that rules about the whole study may use: counts of subjects."""
    counts = [_number("subjects_treated", "subjects who have had a dose", "1", 0, 1e6)]
    counts.append(_number("subjects_dead_of_toxicity", "subjects whose death is not from their disease", "1", 0, 1e6))
    counts += [
        _number(f"subjects_with_{name}", f"subjects with at least one {part.label}", "1", 0, 1e6)
        for name, part in terms.items()
        if part.kind == "event"
    ]
    return MappingProxyType({term.name: term for term in counts})

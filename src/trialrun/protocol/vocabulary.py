"""The words a protocol's rules may use: tests, states that the system keeps, and the protocol's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trialrun.protocol.document import TermPart
from trialrun.rules import Rule, Term, read_rule
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.tests import all_tests
from trialrun.vocab.yaml_source import YamlSource

EVENTS = "adverse events"  # in the place of a test where visits that ask for adverse events are meant
RESPONSES = ("not assessed", "CR", "CRi", "nPR", "PR", "PR-L", "SD", "PD", "NE")


def _number(name: str, label: str, unit: str, low: float, high: float) -> Term:
    return Term(name=name, kind="number", unit=unit, source="state", label=label, low=low, high=high)


_STATES: tuple[tuple[Term, str], ...] = (
    (_number("age", "age", "a", 0, 130), "age in completed years on the day"),
    (
        _number("day", "days since the first dose", "d", -1000, 10000),
        "the day of the first dose is 0, the day before -1",
    ),
    (_number("cycle", "cycle", "1", 0, 500), "0 before the first dose; on the day a cycle starts, that cycle"),
    (_number("cycle_day", "day of the cycle", "1", 0, 1000), "counted from 1; 0 before the first dose"),
    (_number("dose", "dose of the day", "mg", 0, 1000), "what was given last or is ordered now, a day; 0 while held"),
    (_number("level_dose", "dose of the present level", "mg", 0, 1000), "a day, whether it is given or held"),
    (_number("days_at_level", "days taken at the present level", "d", 0, 10000), "days on which the drug was taken"),
    (_number("cycles_at_level", "cycles begun at the present level", "1", 0, 500), "by taking a dose of that level"),
    (_number("days_held", "days of the present hold", "d", 0, 10000), "0 when there is none"),
    (
        _number("days_off_unplanned", "planned dosing days without drug since the last dose", "d", 0, 10000),
        "held, withheld or missed",
    ),
    (_number("reductions", "dose reductions so far", "1", 0, 100), "each fall to a lower level"),
    (
        _number("cycles_since_cr", "cycles begun since complete response was found", "1", 0, 500),
        "0 without complete response",
    ),
    (
        Term(name="response", kind="category", unit=None, source="state", label="response", values=RESPONSES),
        "at the last assessment; `not assessed` before the first",
    ),
    (
        Term(name="consented", kind="truth", unit=None, source="state", label="consent is on record"),
        "to the version that would hold",
    ),
)


def state_terms() -> tuple[tuple[Term, str], ...]:
    """The states that the system keeps for every subject, with their units and what exactly they say."""
    return _STATES


def read_vocabulary(
    source: YamlSource, terms: Mapping[str, TermPart], current_for: Mapping[str, float]
) -> tuple[Mapping[str, Term], list[Problem]]:
    """All words that rules about one subject may use, and what is wrong with the protocol's own ones.

    `current_for` gives for each test how many days a result stays current: the part of the visit window that lies
    before the visit (docs/concepts.md); under EVENTS, for how many days the absence of events that were asked for
    holds. A test that no visit measures has no entry and counts on its own day only. A derived
    term that cannot be read is still a word, so that rules that use it are not reported for it as well.
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
    vocabulary.update((term.name, term) for term, _ in _STATES)
    problems: list[Problem] = []
    for name, part in terms.items():
        location = source.location(("terms", name))
        if name in vocabulary:
            message = "this name is already a test or a state"
            problems.append(Problem("term-defined-twice", message, repr(name), "another name", location))
            continue
        if part.kind == "derived":
            definition: Rule | None = None
            try:
                definition = read_rule(
                    part.means or "", MappingProxyType(vocabulary), source.location(("terms", name, "means"))
                )
            except TrialrunError as error:
                problems.extend(error.problems)
            vocabulary[name] = Term(
                name=name,
                kind="truth",
                unit=None,
                source="state" if definition is None else "derived",
                label=part.label,
                definition=definition,
            )
        else:
            vocabulary[name] = Term(
                name=name,
                kind="truth",
                unit=None,
                source="event" if part.kind == "event" else "state",
                label=part.label,
                current_for=current_for.get(EVENTS) if part.kind == "event" else None,
            )
    return MappingProxyType(vocabulary), problems


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

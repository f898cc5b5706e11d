"""Checks of what a version says: rules, tables, sources, reasons, and what nothing uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trialrun.protocol.names import cited_sources
from trialrun.protocol.version import Protocol, Version
from trialrun.rules import Rule
from trialrun.rules.check import check_rule, check_rules_overlap, check_table
from trialrun.rules.nodes import Compare, Constant, Multiple, Named, Value, walk
from trialrun.vocab.problems import Problem

NO_SOURCE = "assumed"  # the key of `study.sources` under which a file says that there is no source

_FACTORS = (0.05, 100.0)  # multiples of a limit or of baseline outside this are slips (assumed)
_DOSES = ("dose", "level_dose")


def check_content(version: Version, quick: bool = False) -> list[Problem]:
    """Rules and tables that cannot be meant, statements without a source, reasons that are not listed. `quick` leaves tables
    out that tell very many situations apart."""
    problems = [problem for rule in all_rules(version) for problem in _check_thresholds(version, rule)]
    return [*_check_rules(version, quick), *problems, *_check_sources(version), *_check_reasons(version)]


def check_unused(protocol: Protocol) -> list[Problem]:
    """Notes on what stands in the file and is used by no version: sources, terms, activities."""
    versions = protocol.versions.values()
    cited = {key for version in versions for _, key in cited_sources(version.source.data)}
    cited |= {word for version in versions for note in _notes(version.source.data) for word in _words(note)}
    used = {name for version in versions for rule in all_rules(version) for name in _named(version, rule)}
    problems = [
        _unused(protocol, ("study", "sources", key), "the source is never cited", key)
        for key in protocol.study.sources
        if key not in cited and key != NO_SOURCE
    ]
    problems += [
        _unused(protocol, ("terms", name), "no rule of any version uses this word", name)
        for name in protocol.terms
        if name not in used
    ]
    for version in versions:
        done = {activity for visit in version.visits.values() for activity in visit.does}
        for name in version.activities:
            if name not in done:
                location = version.source.location(("activities", name))
                problems.append(
                    Problem("unused", "no visit does this activity", name, "a visit with it", location, "note")
                )
    return problems


def all_rules(version: Version) -> list[Rule]:
    """Every rule of a version: about one subject, derived terms, about the study."""
    derived = [term.definition for term in version.vocabulary.values() if term.definition is not None]
    return [*version.rules().values(), *derived, *(item.criterion.rule for item in version.study_rules)]


def _unused(protocol: Protocol, path: tuple[str, ...], message: str, name: str) -> Problem:
    return Problem("unused", message, name, "a use of it, or its removal", protocol.source.location(path), "note")


def _notes(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("note", "because") and isinstance(value, str):
                yield value
            else:
                yield from _notes(value)
    elif isinstance(data, list):
        for value in data:
            yield from _notes(value)


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter in "_-" else " " for letter in text).split()


def _named(version: Version, rule: Rule) -> set[str]:
    """Terms by their own names, derived ones included, and the events that study rules count."""
    found = set(rule.terms) | {node.text for node in walk(rule.node) if isinstance(node, Named)}
    prefix = "subjects_with_"
    return found | {name.removeprefix(prefix) for name in found if name.startswith(prefix)}


def _check_rules(version: Version, quick: bool) -> Iterable[Problem]:
    for table in version.tables:
        yield from check_table(table.table, version.vocabulary, quick)
    for criterion in (*version.eligibility, *version.concomitant):
        yield from check_rule(criterion.rule, version.vocabulary)
    for term in version.vocabulary.values():
        if term.definition is not None:
            yield from check_rule(term.definition, version.vocabulary)
    for item in version.study_rules:
        yield from check_rule(item.criterion.rule, version.study_words)
    together = [(f"study_rules.{item.criterion.name}", item.criterion.rule, item.action)
                for item in version.study_rules]  # fmt: skip
    yield from check_rules_overlap(together, version.study_words)


def _check_thresholds(version: Version, rule: Rule) -> Iterable[Problem]:
    levels = [level.value for level in version.treatment.levels]
    for node in walk(rule.node):
        if not isinstance(node, Compare):
            continue
        for side, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(side, Multiple) and not _FACTORS[0] <= side.factor <= _FACTORS[1]:
                yield Problem(
                    "implausible-threshold",
                    "the multiple lies outside what is plausible",
                    node.text,
                    f"a multiple from {_FACTORS[0]:g} to {_FACTORS[1]:g}",
                    rule.location,
                )
            if not isinstance(side, Constant) or not isinstance(other, Value) or other.input.term not in _DOSES:
                continue
            if side.value != 0 and side.value not in levels:
                shown = ", ".join(map(str, version.treatment.levels))
                yield Problem(
                    "dose-off-levels",
                    "the rule compares the dose with one that is not a level",
                    node.text,
                    f"one of {shown}",
                    rule.location,
                    "warning",
                )


def _check_sources(version: Version) -> Iterable[Problem]:
    for path, key in cited_sources(version.source.data):
        parent = version.source.data
        for part in path[:-1]:
            parent = parent[part]
        if parent.get("status") in ("published", "derived") and key == NO_SOURCE:
            yield Problem(
                "no-source",
                f"it is said to be {parent['status']} but names no source",
                key,
                "the key of a source, or `status: assumed`",
                version.source.location(path),
            )


def _check_reasons(version: Version) -> Iterable[Problem]:
    known = version.part.disposition_reasons
    for number, (row, reason) in enumerate(
        zip(version.discontinuation.table.rows, version.discontinuation.reasons, strict=True)
    ):
        at = ("discontinuation", "rows", number)
        if reason is not None and reason not in known:
            yield Problem(
                "unknown-reason",
                "the reason is not one of the disposition reasons",
                repr(reason),
                "one of " + "; ".join(known),
                version.source.location((*at, "reason")),
            )
        if row.then.verb == "stop" and reason is None:
            yield Problem(
                "no-reason",
                "the row ends treatment without saying for which reason",
                row.then.text,
                "`reason:` with one of " + "; ".join(known),
                version.source.location(at),
                "warning",
            )

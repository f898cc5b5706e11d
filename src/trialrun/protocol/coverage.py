"""Which cases are still missing: every rule needs true, false, unknown and each boundary; every row of a table one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from trialrun.protocol.cases import UNDETERMINED, CaseResult, named_rules
from trialrun.protocol.version import Protocol, Version
from trialrun.rules.cases import required_cases
from trialrun.rules.nodes import Named, Predicate, children
from trialrun.vocab.problems import Location, Problem


def check_coverage(protocol: Protocol, results: Sequence[CaseResult]) -> list[Problem]:
    """One warning for each case that is missing."""
    problems: list[Problem] = []
    for version in protocol.versions.values():
        of_version = [result for result in results if result.case.version == version.name]
        problems += _of_rules(version, of_version)
        problems += _of_tables(version, of_version)
    return problems


def _of_rules(version: Version, results: Iterable[CaseResult]) -> Iterator[Problem]:
    by_rule: dict[str, list[CaseResult]] = {}
    for result in results:
        by_rule.setdefault(result.case.subject, []).append(result)
    for name, (rule, words) in named_rules(version).items():
        mine = by_rule.get(name, [])
        own = list(_own(rule.node))
        for required in required_cases(rule, words):
            if required.compare is not None and required.compare not in own:
                continue  # a boundary of a derived term belongs to the cases of that term
            if not any(bool(required.met_by(result.columns)[0]) for result in mine):
                answer = f"it is {required.text}" if required.compare is None else required.text
                yield _missing(name, answer, rule.location)


def _own(node: Predicate) -> Iterator[Predicate]:
    """A predicate and what is below it, without the insides of derived terms."""
    yield node
    if not isinstance(node, Named):
        for child in children(node):
            yield from _own(child)


def _of_tables(version: Version, results: Iterable[CaseResult]) -> Iterator[Problem]:
    answered: dict[str, set[str]] = {}
    for result in results:
        answered.setdefault(result.case.subject, set()).add(result.answered)
    for table in version.tables:
        mine = answered.get(table.name, set())
        for name, row in zip(table.row_names, table.table.rows, strict=True):
            if name not in mine:
                yield _missing(table.name, f"its row {name} decides", row.location)
        # a table that only has `otherwise` waits for nothing
        if UNDETERMINED not in mine and len(table.row_names) > 1:
            yield _missing(table.name, "it is undetermined", table.location)


def _missing(name: str, where: str, location: Location) -> Problem:
    return Problem(
        "missing-case", f"cases.yaml has no case of {name} in which {where}", None, None, location, "warning"
    )

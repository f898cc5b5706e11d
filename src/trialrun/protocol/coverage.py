"""Which cases are still missing: every rule needs true, false, unknown and each boundary; every row of a table one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from trialrun.protocol.cases import UNDETERMINED, CaseResult, named_rules
from trialrun.protocol.version import Protocol, Version
from trialrun.rules.evaluate import value_of
from trialrun.rules.nodes import Compare, Constant, Multiple, Named, Predicate, children
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
    for name, (rule, _) in named_rules(version).items():
        mine = by_rule.get(name, [])
        for answer in ("true", "false", "unknown"):
            if all(result.answered != answer for result in mine):
                yield _missing(name, f"it is {answer}", rule.location)
        for node in boundaries(rule.node):
            if not any(_at_boundary(node, result) for result in mine):
                yield _missing(name, f"both sides of {node.text} are equal", rule.location)


def boundaries(node: Predicate) -> Iterator[Compare]:
    """The comparisons with a number or a multiple; those of a derived term belong to the cases of that term."""
    if isinstance(node, Compare) and isinstance(node.right, Constant | Multiple):
        yield node
    if not isinstance(node, Named):
        for child in children(node):
            yield from boundaries(child)


def _at_boundary(node: Compare, result: CaseResult) -> bool:
    left, right = (float(value_of(side, result.columns)[0]) for side in (node.left, node.right))
    return bool(np.isclose(left, right, rtol=1e-9, atol=0.0))


def _of_tables(version: Version, results: Iterable[CaseResult]) -> Iterator[Problem]:
    answered: dict[str, set[str]] = {}
    for result in results:
        answered.setdefault(result.case.subject, set()).add(result.answered)
    for table in version.tables:
        mine = answered.get(table.name, set())
        for name, row in zip(table.row_names, table.table.rows, strict=True):
            if name not in mine:
                yield _missing(table.name, f"its row {name} decides", row.location)
        if UNDETERMINED not in mine:
            yield _missing(table.name, "it is undetermined", table.location)


def _missing(name: str, where: str, location: Location) -> Problem:
    return Problem(
        "missing-case", f"cases.yaml has no case of {name} in which {where}", None, None, location, "warning"
    )

"""Which dose levels a subject can ever reach, walking the step-up rows with their caps and the reductions."""

from __future__ import annotations

from trialrun.protocol.version import RuleTable, Version
from trialrun.rules.nodes import Compare, Constant, Group, Named, Not, Predicate, Value
from trialrun.vocab.problems import Problem

_CAN = frozenset({True, False})


def check_levels(version: Version) -> list[Problem]:
    """Levels that no row ever leads to, and a target that no row leads to."""
    levels = version.treatment.levels
    reachable = _reachable(version)
    problems = []
    for number, level in enumerate(levels):
        if number in reachable:
            continue
        is_target = level == version.treatment.target
        problems.append(
            Problem(
                "unreachable-level",
                f"version {version.name}: no row of its tables ever leads to this dose"
                + (", the target" if is_target else ""),
                str(level),
                "a step-up row that reaches it (see `up_to`), or no such level",
                version.source.location(("treatment", "levels", number)),
            )
        )
    return problems


def _reachable(version: Version) -> set[int]:
    levels = [level.value for level in version.treatment.levels]
    start = version.treatment.levels.index(version.treatment.start)
    found, open_ = {start}, [start]
    falls = {
        row.then.resume if row.then.verb == "hold" else "one level lower"
        for table in (version.discontinuation, version.dose_modification)
        for row in table.table.rows
        if row.then.verb == "reduce" or (row.then.verb == "hold" and row.then.resume is not None)
    }
    while open_:
        here = open_.pop()
        ways = set()
        if here + 1 < len(levels) and _steps_up(version.step_up, levels[here], levels[here + 1]):
            ways.add(here + 1)
        if "one level lower" in falls and here > 0:
            ways.add(here - 1)
        if "first level" in falls:
            ways.add(0)
        open_ += [way for way in ways if way not in found]
        found |= ways
    return found


def _steps_up(table: RuleTable, level: float, upper: float) -> bool:
    """Whether some row may raise the dose at this level: it may hold while no row above it holds for certain."""
    for row, cap in zip(table.table.rows, table.caps, strict=True):
        can = frozenset({True}) if row.when is None else possible(row.when.node, level)
        high_enough = cap is None or upper <= cap.value * (1 + 1e-9)
        if row.then.verb == "step_up" and True in can and high_enough:
            return True
        if False not in can:
            return False
    return False


def possible(node: Predicate, level: float) -> frozenset[bool]:
    """The verdicts that a predicate can have at this level when everything else is free.

    It may say too much (parts are taken as independent), never too little: a level called unreachable is.
    """
    if isinstance(node, Not):
        return frozenset(not verdict for verdict in possible(node.child, level))
    if isinstance(node, Named):
        return possible(node.child, level)
    if isinstance(node, Group) and node.how in ("all", "any"):
        parts = [possible(member, level) for member in node.members]
        decisive = node.how == "any"
        verdicts = set()
        if any(decisive in part for part in parts):
            verdicts.add(decisive)
        if all((not decisive) in part for part in parts):
            verdicts.add(not decisive)
        return frozenset(verdicts)
    if isinstance(node, Compare):
        return _compare(node, level)
    return _CAN


def _compare(node: Compare, level: float) -> frozenset[bool]:
    left, operator, right = node.left, node.operator, node.right
    if isinstance(left, Constant) and isinstance(right, Value):
        turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
        left, right, operator = right, left, turned.get(operator, operator)  # type: ignore[assignment]
    if not (isinstance(left, Value) and isinstance(right, Constant)) or left.input.term != "level_dose":
        return _CAN
    bound = right.value
    verdicts = {
        "<": level < bound,
        "<=": level <= bound,
        ">": level > bound,
        ">=": level >= bound,
        "=": level == bound,
        "!=": level != bound,
    }
    return frozenset({verdicts[operator]})

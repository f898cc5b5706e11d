"""Static checks: what is wrong with rules and tables before any subject is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.actions import Action
from trialrun.rules.evaluate import evaluate
from trialrun.rules.nodes import Compare, Constant, Predicate, Value, walk
from trialrun.rules.regions import LARGEST, IntArray, Space, make_space, plausible
from trialrun.rules.rule import Rule
from trialrun.rules.tables import Table
from trialrun.rules.terms import Vocabulary
from trialrun.rules.truth import FALSE, TRUE, Truth
from trialrun.vocab.problems import Location, Problem, Severity

_STARTS = 512  # points from which a space too large to be looked at in full is searched
_SWEEPS = 2
_QUICK = 20_000  # situations that are looked at within a few hundredths of a second


@dataclass(frozen=True, slots=True)
class _Look:
    """The points that were looked at: all possible ones of a space, or those that a search came by."""

    space: Space
    points: IntArray
    complete: bool

    def say(self, at: int, matters: Sequence[int]) -> str:
        """A point in words, by the axes that matter."""
        said = [self.space.axes[axis].say(int(self.points[axis, at])) for axis in matters]
        return " and ".join(said) if said else "in every situation"


def check_rule(rule: Rule, vocabulary: Vocabulary) -> list[Problem]:
    """What is wrong with one rule by itself: implausible thresholds, a verdict that is always the same."""
    problems = _thresholds(rule, vocabulary)
    look = _look([rule.node], vocabulary, [rule])
    verdict = evaluate(rule, look.space.columns(look.points))
    for never, word in ((TRUE, "hold"), (FALSE, "fail")):
        if not problems and not (verdict == never).any():
            message = f"the rule can never {word} for plausible values" + _unproven(look)
            problems.append(
                Problem("constant-rule", message, repr(rule.text), None, rule.location, _severity(look.complete))
            )
    return problems


def check_table(table: Table, vocabulary: Vocabulary, quick: bool = False) -> list[Problem]:
    """What is wrong with a first-row table.

    Rows after `otherwise`, situations in which no row holds, rows that the rows above always forestall, holds that can
    never end or that end at once, thresholds outside what is plausible. Rows are evaluated by the one evaluator at a
    point of every situation that their thresholds tell apart; where those are too many, they are searched and a note
    says so. `quick` does without where they are not few.
    """
    problems: list[Problem] = []
    for row in table.rows:
        for rule in (row.when, row.then.until):
            if rule is not None:
                problems += _thresholds(rule, vocabulary)
    last = next((number for number, row in enumerate(table.rows) if row.when is None), None)
    if last is not None:
        problems += [
            Problem(
                "row-after-otherwise",
                f"row {number + 1} of {table.name} stands below `otherwise` and is never reached",
                _row_text(table, number),
                "`otherwise` as the last row",
                table.rows[number].location,
            )
            for number in range(last + 1, len(table.rows))
        ]
    rules = [row.when for row in table.rows[:last] if row.when is not None]
    if rules and not (quick and _is_large(rules, vocabulary)):
        look = _look([rule.node for rule in rules], vocabulary, rules)
        verdicts = _verdicts(rules, look)
        if not look.complete:
            problems.append(
                Problem(
                    "table-searched",
                    f"{table.name} tells more situations apart than can be looked at one by one "
                    f"({look.space.size:.3g}): they were searched",
                    None,
                    None,
                    table.rows[0].location,
                    "note",
                )
            )
        problems += _dead_rows(table, verdicts, look)
        problems += _gaps(table, verdicts, look, has_otherwise=last is not None)
    for number, row in enumerate(table.rows):
        if row.when is None or row.then.until is None:
            continue
        if not (quick and _is_large([row.when, row.then.until], vocabulary)):
            problems += _hold(table, number, row.when, row.then.until, vocabulary)
    return list(dict.fromkeys(problems))


def check_rules_overlap(rules: Sequence[tuple[str, Rule, Action]], vocabulary: Vocabulary) -> list[Problem]:
    """Situations in which two rules of equal rank hold and do different things; each is (name, condition, action).

    Where one does what the other does and more, it wins and both may hold; a rule that never holds without such a
    stronger one is never the one that acts.
    """
    problems = []
    for number, (name, rule, action) in enumerate(rules):
        for other_name, other, other_action in rules[:number]:
            if action.does_same_as(other_action):
                continue
            look = _look([rule.node, other.node], vocabulary, [rule, other])
            first, second = _verdicts([rule, other], look)
            both = np.flatnonzero((first == TRUE) & (second == TRUE))
            if action.includes(other_action):
                problems += _never_alone(other_name, other, second, name, first) if look.complete else []
            elif other_action.includes(action):
                problems += _never_alone(name, rule, first, other_name, second) if look.complete else []
            elif both.size:
                where = look.say(int(both[0]), range(len(look.space.axes)))
                problems.append(
                    Problem(
                        "contradictory-overlap",
                        f"{other_name} and {name} can hold together and do different things, for example where {where}",
                        f"{other_action.text!r} and {action.text!r}",
                        "conditions that exclude each other; only one that stops the study may hold together with one that "
                        "pauses enrolment, and wins",
                        rule.location,
                    )
                )
    return problems


def _never_alone(name: str, rule: Rule, holds: Truth, other_name: str, other_holds: Truth) -> list[Problem]:
    """Whether a rule holds only where the stronger one does."""
    if not (holds == TRUE).any() or (other_holds[holds == TRUE] != TRUE).any():
        return []
    message = f"{name} never acts: {other_name}, which does more, holds wherever it does"
    return [
        Problem(
            "dead-rule", message, repr(rule.text), "the stronger action at the higher count", rule.location, "warning"
        )
    ]


def _thresholds(rule: Rule, vocabulary: Vocabulary) -> list[Problem]:
    problems = []
    for node in walk(rule.node):
        if not isinstance(node, Compare):
            continue
        for value, bound in ((node.left, node.right), (node.right, node.left)):
            if not isinstance(value, Value) or not isinstance(bound, Constant):
                continue
            term = vocabulary[value.input.term]
            low, high = plausible(value.input, term)
            if not low <= bound.value <= high:
                unit = "" if value.unit in (None, "1") else f" {value.unit}"
                problems.append(
                    Problem(
                        "implausible-threshold",
                        f"the threshold of {value.text} lies outside what is plausible",
                        f"{bound.text!r}" + (f" ({bound.value:.6g}{unit})" if unit else ""),
                        f"{low:.6g} to {high:.6g}{unit}",
                        rule.location,
                    )
                )
    return problems


def _is_large(rules: Sequence[Rule], vocabulary: Vocabulary) -> bool:
    return make_space([rule.node for rule in rules], vocabulary).size > _QUICK


def _look(predicates: Sequence[Predicate], vocabulary: Vocabulary, rules: Sequence[Rule]) -> _Look:
    """All possible points of the space of these predicates, or a search of it."""
    space = make_space(predicates, vocabulary)
    if space.size <= LARGEST:
        points = space.all_points()
        return _Look(space, points[:, space.possible(points)], space.exact)
    found = [_search(space, rules, number) for number in range(len(rules) + 1)]
    points = np.unique(np.concatenate(found, axis=1), axis=1)
    return _Look(space, points[:, space.possible(points)], False)


def _search(space: Space, rules: Sequence[Rule], number: int) -> IntArray:
    """Points at which rule `number` holds and as few as can be of those above do (past the last rule: none at all).

    From random points each axis in turn moves to its best value, so a point that is sought is rarely missed.
    """
    luck = np.random.default_rng(number)
    points = np.stack([luck.integers(0, length, _STARTS) for length in space.shape])
    visited = [points.copy()]
    best = _cost(space, rules, number, points)
    for _ in range(_SWEEPS):
        for axis, length in enumerate(space.shape):
            for value in range(length):
                moved = points.copy()
                moved[axis] = value
                cost = _cost(space, rules, number, moved)
                better = cost < best
                points[:, better] = moved[:, better]
                best = np.minimum(cost, best)
        visited.append(points.copy())
    return np.concatenate(visited, axis=1)


def _cost(space: Space, rules: Sequence[Rule], number: int, points: IntArray) -> NDArray[np.int64]:
    columns = space.columns(points)
    cost = np.where(space.possible(points), 0, 10_000).astype(np.int64)
    for rule in rules[:number]:
        cost += evaluate(rule, columns) != FALSE
    if number < len(rules):
        cost += 100 * (evaluate(rules[number], columns) != TRUE)
    return cost


def _verdicts(rules: Sequence[Rule], look: _Look) -> list[Truth]:
    columns = look.space.columns(look.points)
    return [evaluate(rule, columns) for rule in rules]


def _unproven(look: _Look) -> str:
    return "" if look.complete else " (searched, not proven)"


def _severity(proven: bool) -> Severity:
    return "error" if proven else "warning"


def _row_text(table: Table, number: int) -> str:
    when = table.rows[number].when
    return repr(when.text) if when is not None else "`otherwise`"


def _dead_rows(table: Table, verdicts: Sequence[Truth], look: _Look) -> list[Problem]:
    problems = []
    above = np.zeros(look.points.shape[1], dtype=np.bool_)
    for number, verdict in enumerate(verdicts):
        holds = verdict == TRUE
        location = table.rows[number].location
        if not holds.any():
            message = f"row {number + 1} of {table.name} can never hold for plausible values" + _unproven(look)
            problems.append(
                Problem("dead-row", message, _row_text(table, number), None, location, _severity(look.complete))
            )
        elif not (holds & ~above).any():
            by = [other + 1 for other in range(number) if (holds & (verdicts[other] == TRUE)).any()]
            rows = "row " + str(by[0]) if len(by) == 1 else "rows " + ", ".join(map(str, by))
            message = f"row {number + 1} of {table.name} never applies: {rows} above always hold first"
            problems.append(
                Problem(
                    "dead-row",
                    message.replace(" hold first", " holds first" if len(by) == 1 else " hold first") + _unproven(look),
                    _row_text(table, number),
                    "the narrower condition above the wider one",
                    location,
                    _severity(look.complete),
                )
            )
        above |= holds
    return problems


def _gaps(table: Table, verdicts: Sequence[Truth], look: _Look, has_otherwise: bool) -> list[Problem]:
    uncovered = np.logical_and.reduce([verdict != TRUE for verdict in verdicts])
    if has_otherwise:
        if uncovered.any() or not look.complete:
            return []
        otherwise = next(row for row in table.rows if row.when is None)
        message = f"`otherwise` of {table.name} is never reached: the rows above cover every known situation"
        return [Problem("otherwise-never", message, None, None, otherwise.location, "note")]
    none_holds = np.flatnonzero(uncovered & np.logical_and.reduce([verdict == FALSE for verdict in verdicts]))
    if none_holds.size == 0:
        return []
    at = int(none_holds[0])
    location = table.rows[-1].location if table.rows else Location()
    return [
        Problem(
            "gap",
            f"no row of {table.name} holds where {look.say(at, _matters(look, uncovered, at))}",
            None,
            "a row for it, or `otherwise`",
            location,
        )
    ]


def _matters(look: _Look, uncovered: NDArray[np.bool_], at: int) -> list[int]:
    """The axes that a gap depends on: those that it is not open along for all their values."""
    axes = range(len(look.space.axes))
    if not look.complete:
        return list(axes)
    place = np.full(look.space.shape, True)
    place[tuple(look.points)] = uncovered
    cut: list[int | slice] = [int(index) for index in look.points[:, at]]
    for axis in axes:
        held, cut[axis] = cut[axis], slice(None)
        if not place[tuple(cut)].all():
            cut[axis] = held
    return [axis for axis in axes if not isinstance(cut[axis], slice)]


def _hold(table: Table, number: int, when: Rule, until: Rule, vocabulary: Vocabulary) -> list[Problem]:
    """A hold must be able to end, and not everywhere it begins."""
    look = _look([when.node, until.node], vocabulary, [until, when])
    begins, ends = _verdicts([when, until], look)
    where = f"row {number + 1} of {table.name}"
    location = table.rows[number].location
    severity = _severity(look.complete)
    if not (ends == TRUE).any():
        message = f"the hold of {where} can never end" + _unproven(look)
        return [Problem("hold-never-ends", message, repr(until.text), None, location, severity)]
    if (begins == TRUE).any() and (ends[begins == TRUE] == TRUE).all():
        message = f"the hold of {where} ends wherever it begins" + _unproven(look)
        expected = "a condition that is not met while the hold begins"
        return [Problem("hold-ends-at-once", message, repr(until.text), expected, location, severity)]
    return []

"""Which cases a rule should have beside it: every verdict it can give, and each threshold met exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialrun.rules.columns import Columns
from trialrun.rules.evaluate import SAME, evaluate, value_of
from trialrun.rules.nodes import Compare, Constant, walk
from trialrun.rules.regions import LARGEST, make_space
from trialrun.rules.rule import Rule
from trialrun.rules.terms import Vocabulary
from trialrun.rules.truth import FALSE, NAMES, TRUE, UNKNOWN


@dataclass(frozen=True, slots=True)
class RequiredCase:
    """One case that a rule should have: a verdict, or the two sides of a comparison exactly equal.

    `text` says it in words (`true`, `neutrophils = 0.5 x10^9/L`).
    """

    kind: Literal["true", "false", "unknown", "boundary"]
    text: str
    rule: Rule
    compare: Compare | None = None

    def met_by(self, columns: Columns) -> NDArray[np.bool_]:
        """Which situations (m,) are this case."""
        if self.compare is None:
            wanted = {"true": TRUE, "false": FALSE, "unknown": UNKNOWN}[self.kind]
            return np.asarray(evaluate(self.rule, columns) == wanted)
        left, right = value_of(self.compare.left, columns), value_of(self.compare.right, columns)
        return np.asarray(np.abs(left - right) <= SAME * np.maximum(np.abs(left), np.abs(right)))


def required_cases(rule: Rule, vocabulary: Vocabulary) -> tuple[RequiredCase, ...]:
    """The cases a rule should have: true, false and unknown as far as it can give them, and each boundary once."""
    cases = [RequiredCase(_kind(verdict), NAMES[verdict], rule) for verdict in _possible(rule, vocabulary)]
    boundaries: dict[str, Compare] = {}
    for node in walk(rule.node):
        if isinstance(node, Compare):
            left, right = (node.right, node.left) if isinstance(node.left, Constant) else (node.left, node.right)
            boundaries.setdefault(f"{left.text} = {right.text}", node)
    cases += [RequiredCase("boundary", text, rule, node) for text, node in boundaries.items()]
    return tuple(cases)


def _kind(verdict: int) -> Literal["true", "false", "unknown"]:
    return "true" if verdict == TRUE else "false" if verdict == FALSE else "unknown"


def _possible(rule: Rule, vocabulary: Vocabulary) -> list[int]:
    """The verdicts that the rule can give, unknown values included."""
    space = make_space([rule.node], vocabulary, unknown=True)
    if space.size <= LARGEST:
        points = space.all_points()
    else:
        luck = np.random.default_rng(0)
        points = np.stack([luck.integers(0, length, LARGEST // 10) for length in space.shape])
        every_unknown = np.array([[axis.points.size - 1] for axis in space.axes])
        points = np.concatenate([points, every_unknown], axis=1)
    verdict = evaluate(rule, space.columns(points))
    return [each for each in (TRUE, FALSE, UNKNOWN) if (verdict == each).any()]

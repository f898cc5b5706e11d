"""A rule: its text, its parsed and checked form, the accumulators it needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from trialrun.rules.nodes import Predicate, inputs_of
from trialrun.rules.terms import Input
from trialrun.vocab.problems import Location


@dataclass(frozen=True)
class Rule:
    """A condition read from text against a vocabulary; frozen, compared by its text and parsed form."""

    text: str
    node: Predicate
    location: Location

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The accumulators the rule needs, those that others rest on included, each once."""
        found: dict[Input, None] = {}
        for item in inputs_of(self.node):
            found[item] = None
        return tuple(found)

    @property
    def terms(self) -> frozenset[str]:
        """The names of the tests, events and states that the rule looks at (derived terms resolved)."""
        return frozenset(item.term for item in self.inputs if item.remember != "lasting")

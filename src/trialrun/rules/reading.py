"""From text to a checked rule: every word known, every number with a unit that fits."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from trialrun.rules.nodes import (
    Change,
    Compare,
    Constant,
    Group,
    Holds,
    Known,
    Lasting,
    Member,
    Multiple,
    Named,
    Not,
    Predicate,
    Quantity,
    Value,
    inputs_of,
    walk,
)
from trialrun.rules.rule import Rule
from trialrun.rules.syntax import parse_rule
from trialrun.rules.terms import Input, Remember, Term, Vocabulary, Window
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.units import convert, find_unit

if TYPE_CHECKING:
    from lark import Token, Tree  # takes its time to load, and a worker parses nothing; a token is a str

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(.*)", re.DOTALL)
_MULTIPLE = re.compile(r"x\s*(ULN|LLN|baseline)")


def read_rule(text: str, vocabulary: Vocabulary, location: Location | None = None) -> Rule:
    """Read a condition. What is wrong with it is a TrialrunError at `location`: a word that the vocabulary does not
    have, a number without its unit or with a wrong one, a sentence that the language does not have."""
    where = location or Location()
    tree = parse_rule(text, where)
    return Rule(" ".join(text.split()), _Reader(text, vocabulary, where).predicate(tree), where)


def _is_current(tree: Any) -> bool:
    return getattr(tree, "data", None) == "current"


class _Reader:
    """Turns a parse tree into nodes, checking words and units."""

    def __init__(self, text: str, vocabulary: Vocabulary, where: Location) -> None:
        self._text = text
        self._vocabulary = vocabulary
        self._where = where

    def _error(self, code: str, message: str, found: str | None, expected: str | None) -> TrialrunError:
        return TrialrunError(Problem(code, message, found, expected, self._where))

    def _quote(self, tree: Any) -> str:
        if isinstance(tree, str):
            return str(tree)
        return " ".join(self._text[tree.meta.start_pos : tree.meta.end_pos].split())

    def _term(self, name: str) -> Term:
        term = self._vocabulary.get(name)
        if term is None:
            close = get_close_matches(name, self._vocabulary.keys(), n=3, cutoff=0.6)
            expected = "one of " + ", ".join(close) if close else "a term of the vocabulary (docs/reference/terms.md)"
            raise self._error("unknown-term", "unknown term", repr(name), expected)
        return term

    def predicate(self, tree: Tree[Token]) -> Predicate:
        parts: Any = tree.children
        text = self._quote(tree)
        match tree.data:
            case "disjunction" | "conjunction" if len(parts) == 1:
                return self.predicate(parts[0])
            case "disjunction":
                return Group(text, "any", tuple(self.predicate(part) for part in parts))
            case "conjunction":
                return Group(text, "all", tuple(self.predicate(part) for part in parts))
            case "negation":
                return Not(text, self.predicate(parts[0]))
            case "any_of" | "all_of" | "each_measured":
                members = tuple(self.predicate(part) for part in parts[0].children)
                how = {"any_of": "any", "all_of": "all", "each_measured": "each measured"}[str(tree.data)]
                return Group(text, how, members)  # type: ignore[arg-type]
            case "at_least":
                return self._at_least(text, str(parts[0]), parts[1])
            case "lasting":
                return self._lasting(text, parts[0], str(parts[1]))
            case "comparison":
                return self._comparison(text, parts[0], str(parts[1]), parts[2])
            case "between":
                return self._between(text, *parts)
            case "membership":
                return self._membership(text, parts[0], [str(word.children[0]).strip('"') for word in parts[1:]], False)
            case "known" | "not_known":
                return Known(text, self._whatever(parts[0]), tree.data == "known")
            case "truth":
                return self._truth(text, str(parts[0]))
        raise AssertionError(tree.data)

    def _at_least(self, text: str, count: str, members: Tree[Token]) -> Predicate:
        read = tuple(self.predicate(part) for part in members.children)  # type: ignore[arg-type]
        if not count.isdigit() or not 1 <= int(count) <= len(read):
            raise self._error(
                "rule-count", "the count does not fit the list", count, f"a whole number from 1 to {len(read)}"
            )
        return Group(text, "at least", read, int(count))

    def _between(self, text: str, value: Tree[Token], low: Tree[Token], high: Tree[Token]) -> Predicate:
        quoted = self._quote(value)
        bounds = []
        for operator, bound in ((">=", low), ("<=", high)):
            bounds.append(Compare(f"{quoted} {operator} {self._quote(bound)}", *self._pair(value, operator, bound)))
        least, most = bounds[0].right, bounds[1].right
        if isinstance(least, Constant) and isinstance(most, Constant) and least.value > most.value:
            found = f"{least.text} and {most.text}"
            raise self._error("bounds-reversed", "the lower bound is above the upper one", found, "the lower one first")
        return Group(text, "all", tuple(bounds))

    def _lasting(self, text: str, inside: Tree[Token], length: str) -> Predicate:
        child = self.predicate(inside)
        while inside.data in ("disjunction", "conjunction") and len(inside.children) == 1:
            inside = inside.children[0]  # type: ignore[assignment]
        quoted = self._quote(inside)
        if inside.data in ("disjunction", "conjunction", "negation"):
            quoted = f"({quoted})"
        for node in walk(child):
            if isinstance(node, Known | Lasting):
                raise self._error(
                    "not-lasting", "only a comparison of results can last", repr(quoted), "for example platelets < ..."
                )
        for item in inputs_of(child):
            if item.remember in ("event", "count", "worst grade", "since"):
                expected = f"{item.term} and days since {item.term} >= {length}"
                raise self._error("not-lasting", "how long an event lasts is asked otherwise", repr(quoted), expected)
            if item.remember not in ("current", "baseline"):
                raise self._error(
                    "not-lasting",
                    "a state or a window has no days of its own to last over",
                    repr(quoted),
                    "comparisons of test results",
                )
        return Lasting(text, Input("lasting", quoted, predicate=child, days=self._duration(length)), child)

    def _duration(self, text: str) -> float:
        match = _QUANTITY.fullmatch(text)
        unit = find_unit(match.group(2)) if match and match.group(2) else None
        if match is None or unit not in ("d", "wk", "mo", "a"):
            raise self._error(
                "missing-unit", "a length of time needs its unit", repr(text), "days, weeks, months or years: 7 days"
            )
        days = convert(float(match.group(1)), unit, "d")
        if days <= 0:
            raise self._error("no-duration", "a length of time must be above 0", repr(text), "for example 7 days")
        return days

    def _truth(self, text: str, name: str) -> Predicate:
        term = self._term(name)
        if term.definition is not None:
            return Named(name, term.definition.node)
        if term.kind != "truth":
            example = f"{name} < ... {term.unit or ''}" if term.kind == "number" else f"{name} = {term.values[0]}"
            raise self._error("not-a-condition", f"{name} is no condition by itself", repr(name), example.strip())
        return Holds(text, self._current(term))

    def _current(self, term: Term) -> Input:
        if term.source == "event":
            return Input("event", term.name, None, term.current_for)
        if term.source == "state":
            return Input("state", term.name)
        return Input("current", term.name, None, term.current_for, term.worst)

    def _comparison(self, text: str, left: Any, operator: str, right: Any) -> Predicate:
        category = self._category(left)
        if category is not None:
            if operator not in ("=", "!="):
                raise self._error(
                    "category-order", f"{category.name} is a category and has no order", operator, "= or !="
                )
            word = str(right.children[0]) if _is_current(right) else str(right)
            return self._membership(text, left, [word.strip('"')], operator == "!=")
        if isinstance(right, str):
            raise self._error(
                "not-a-category", "only a category is compared with a quoted word", str(right), "a number with its unit"
            )
        return Compare(text, *self._pair(left, operator, right))

    def _category(self, tree: Any) -> Term | None:
        if _is_current(tree):
            term = self._term(str(tree.children[0]))
            return term if term.kind == "category" else None
        return None

    def _membership(self, text: str, left: Any, words: list[str], negated: bool) -> Predicate:
        term = self._category(left)
        if term is None:
            raise self._error("not-a-category", "only a category can be `in` a list", self._quote(left), None)
        unknown = [word for word in words if word not in term.values]
        if unknown:
            raise self._error(
                "unknown-value", f"{term.name} has no such value", repr(unknown[0]), "one of " + ", ".join(term.values)
            )
        value = Value(term.name, self._current(term), None, term.values)
        return Member(text, value, tuple(term.values.index(word) for word in words), negated, tuple(words))

    def _pair(self, left: Any, operator: str, right: Any) -> tuple[Quantity, Any, Quantity]:
        """Both sides in one unit: that of the side which is not a plain number."""
        if left.data == "constant" and right.data == "constant":
            raise self._error(
                "no-term",
                "two numbers are compared",
                f"{self._quote(left)} {operator} {self._quote(right)}",
                "a term on one side",
            )
        if left.data == "constant":
            second = self._quantity(right)
            return self._constant(self._quote(left), second), operator, second
        first = self._quantity(left)
        if right.data == "constant":
            return first, operator, self._constant(self._quote(right), first)
        second = self._quantity(right)
        if first.unit != second.unit:
            raise self._error(
                "unit-mismatch", "the two sides have different units",
                f"{first.unit or 'no unit'} and {second.unit or 'no unit'}", "quantities of one kind",
            )  # fmt: skip
        return first, operator, second

    def _constant(self, text: str, other: Quantity) -> Quantity:
        match = _QUANTITY.fullmatch(text)
        assert match is not None  # the grammar's QUANTITY
        number, spelled = float(match.group(1)), match.group(2).strip()
        multiple = _MULTIPLE.fullmatch(spelled)
        if multiple is not None:
            return self._multiple(text, number, multiple.group(1), other)
        unit = other.unit
        if unit is None or unit == "1":
            if spelled:
                raise self._error("unit-mismatch", f"{other.text} has no unit", repr(text), f"{match.group(1)} alone")
            return Constant(text, number, unit)
        if not spelled:
            raise self._error("missing-unit", "a number without its unit", repr(text), f"for example {text} {unit}")
        code = find_unit(spelled)
        if code is None:
            raise self._error("unknown-unit", "unknown unit", repr(spelled), f"a unit that converts to {unit}")
        name = other.input.term if isinstance(other, Value | Multiple) else None
        try:
            return Constant(text, convert(number, code, unit, name), unit)
        except TrialrunError as error:
            problem = error.problems[0]
            raise self._error(problem.code, problem.message, repr(text), f"a unit that converts to {unit}") from None

    def _multiple(self, text: str, factor: float, of: str, other: Quantity) -> Multiple:
        term = self._term(other.input.term) if isinstance(other, Value) else None
        if term is None or term.source != "finding" or not isinstance(other, Value):
            raise self._error("no-limits", f"{other.text} has no {of}", repr(text), "a test that is measured")
        if of == "baseline":
            return Multiple(text, factor, "baseline", Input("baseline", term.name, None, None, term.worst), other.unit)
        if not term.limits:
            raise self._error(
                "no-limits",
                f"{term.name} has no reference range",
                repr(text),
                "a plain number" if term.unit == "1" else f"a number of {term.unit}",
            )
        return Multiple(text, factor, "ULN" if of == "ULN" else "LLN", other.input, other.unit)

    def _window(self, tree: Tree[Token]) -> Window:
        match tree.data:
            case "this_cycle":
                return Window("cycle")
            case "since_first_dose":
                return Window("treatment")
            case "ever":
                return Window("ever")
        return Window("last", self._duration(str(tree.children[0])))

    def _number(self, name: str) -> Term:
        term = self._term(name)
        if term.kind != "number":
            raise self._error("not-a-number", f"{name} is not a number", repr(name), "a test or state that is measured")
        return term

    def _measured(self, name: str) -> Term:
        term = self._number(name)
        if term.source != "finding":
            raise self._error("not-a-finding", f"{name} is a state: it has no history", repr(name), "a test")
        return term

    def _event(self, name: str) -> Term:
        term = self._term(name)
        if term.source != "event":
            raise self._error("not-an-event", f"{name} is not an event", repr(name), "an adverse event term")
        return term

    def _about(self, name: str, remember: Remember, window: Tree[Token] | None) -> Input:
        term = self._event(name)
        return Input(remember, term.name, None if window is None else self._window(window), term.current_for)

    def _whatever(self, tree: Any) -> Quantity:
        """A quantity, or a term of any kind: all of them can be known."""
        if tree.data != "current":
            return self._quantity(tree)
        term = self._term(str(tree.children[0]))
        if term.definition is not None:
            raise self._error(
                "derived-known",
                f"{term.name} follows from others",
                repr(term.name),
                "one of " + ", ".join(sorted(term.definition.terms)),
            )
        return Value(term.name, self._current(term), term.unit, term.values)

    def _quantity(self, tree: Any) -> Quantity:
        parts: Any = tree.children
        text = self._quote(tree)
        match tree.data:
            case "current":
                term = self._number(str(parts[0]))
                return Value(text, self._current(term), term.unit)
            case "reduced" | "reduced_ever" | "worst" | "worst_ever":
                word = str(parts[0]) if str(tree.data).startswith("reduced") else "worst"
                term = self._measured(str(parts[-1] if isinstance(parts[-1], str) else parts[-2]))
                window = Window("ever") if isinstance(parts[-1], str) else self._window(parts[-1])
                return Value(text, Input(self._direction(word, term), term.name, window), term.unit)
            case "nadir":
                term = self._measured(str(parts[0]))
                return Value(text, Input("lowest", term.name, Window("treatment")), term.unit)
            case "first" | "last" | "baseline":
                term = self._measured(str(parts[0]))
                return Value(text, Input(tree.data, term.name, None, None, term.worst), term.unit)
            case "count":
                return Value(text, self._about(str(parts[0]), "count", parts[1]), "1")
            case "grade":
                return Value(text, self._current(self._event(str(parts[0]))), "1")
            case "worst_grade":
                return Value(text, self._about(str(parts[0]), "worst grade", parts[1]), "1")
            case "days_since":
                return Value(text, self._about(str(parts[0]), "since", None), "d")
            case "change" | "percent_change":
                term = self._measured(str(parts[0]))
                percent = tree.data == "percent_change"
                before = Input("baseline", term.name, None, None, term.worst)
                return Change(text, self._current(term), before, percent, "%" if percent else term.unit, term.unit)
            case "constant":
                raise self._error("no-term", "a number stands where a term should", text, "a term")
        raise AssertionError(tree.data)

    def _direction(self, word: str, term: Term) -> Any:
        if word != "worst":
            return word
        if term.worst is None:
            raise self._error(
                "no-worst", f"neither direction of {term.name} is the bad one", "worst", "lowest or highest"
            )
        return "lowest" if term.worst == "low" else "highest"

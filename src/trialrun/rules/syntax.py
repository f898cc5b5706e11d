"""From text to a parse tree, and what to say where there is none."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from trialrun.vocab.problems import Location, Problem, TrialrunError

if TYPE_CHECKING:  # lark is loaded where a rule is parsed, which workers do not
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

_WORDS = {
    "NAME": "a term",
    "QUANTITY": "a number with its unit",
    "COMPARE": "a comparison such as <",
    "STRING": "a quoted word",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": "a comma",
    "$END": "the end",
}


@cache
def _parser() -> Lark:
    from lark import Lark

    grammar = files("trialrun.rules").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def parse_rule(text: str, where: Location) -> Tree[Token]:
    """The parse tree of the expression of a rule; text that is no rule is a TrialrunError at `where`."""
    from lark import Tree
    from lark.exceptions import UnexpectedInput

    try:
        tree = _parser().parse(text)
        rule = tree.children[0]
        assert isinstance(rule, Tree)  # the grammar's start has one expression
        return rule
    except UnexpectedInput as error:
        raise TrialrunError(_syntax(error, text, where)) from None


def _syntax(error: UnexpectedInput, text: str, where: Location) -> Problem:
    from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

    if not text.strip():
        return Problem("rule-syntax", "the rule is empty", None, "a condition such as neutrophils < 0.5 x10^9/L", where)
    expected = _expected(error)
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        return Problem("rule-syntax", "the rule ends too early", repr(text.strip()[-30:]), expected, where)
    position = error.pos_in_stream or 0
    found = repr(text[position : position + 20].split("\n")[0])
    if isinstance(error, UnexpectedCharacters):
        return Problem("rule-syntax", "a sign that a rule cannot have here", found, expected, where)
    return Problem("rule-syntax", "the rule cannot be read from here on", found, expected, where)


def _expected(error: UnexpectedInput) -> str:
    names = getattr(error, "accepts", None) or getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    words = sorted(_WORDS[name] for name in names if name in _WORDS)
    keywords = sorted(name.lower() for name in names if name not in _WORDS and name.isalpha())
    words += keywords if len(words) + len(keywords) <= 8 else []
    if not words:
        return "see docs/reference/rule-language.md"
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]

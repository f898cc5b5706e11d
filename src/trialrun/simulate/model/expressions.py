"""Expressions of equations: plain arithmetic over names, and what is wrong with one that is not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeGuard

from trialrun.vocab.problems import Problem

FUNCTIONS = ("exp", "log", "max", "min", "where")


def names_in(text: str) -> tuple[str, ...]:
    """Names that an expression uses, each once, functions apart."""
    found = (node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name))
    return tuple(dict.fromkeys(name for name in found if name not in FUNCTIONS))


def check_expression(where: str, text: str, known: set[str]) -> Iterator[Problem]:
    """What is wrong with the expression `text`, which stands at `where` and may use the names `known`."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        yield Problem("not-an-expression", f"{where}: {error.msg}", text, "one expression")
        return
    wrong = next((found for node in ast.walk(tree) if (found := _not_arithmetic(node))), None)
    asked = {id(node.args[0]) for node in ast.walk(tree) if _calls(node, "where")}
    if wrong is None and any(isinstance(node, ast.Compare) and id(node) not in asked for node in ast.walk(tree)):
        wrong = "a comparison that is not the condition of where()"
    if wrong is not None:
        expected = "numbers, names, + - * /, ** by a whole number, where(a > b, then, else), " + ", ".join(
            FUNCTIONS[:-1]
        )
        yield Problem("not-arithmetic", f"{where}: {wrong}", text, expected)
        return
    for name in names_in(text):
        if name not in known:
            from difflib import get_close_matches

            close = ", ".join(get_close_matches(name, known, 3)) or "a state, signal, constant, input or term seen here"
            yield Problem("unknown-name", f"{where}: a name that is not seen here", name, close)


_ALLOWED = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.Compare, ast.Load),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.Gt, ast.Lt, ast.GtE, ast.LtE),
)
_ARGUMENTS = {"exp": 1, "log": 1, "max": 2, "min": 2, "where": 3}


def _calls(node: ast.AST, function: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function


def _not_arithmetic(node: ast.AST) -> str | None:
    """What is wrong with this node by itself, if anything."""
    match node:
        case ast.Constant(value=value) if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{value!r} is not a number"
        case ast.BinOp(op=ast.Pow(), right=power):
            whole = isinstance(power, ast.Constant) and isinstance(power.value, int) and 0 < power.value <= 8
            return None if whole else "a power that is not a whole number from 1 to 8: write exp(power * log(x))"
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value=0) | ast.UnaryOp(operand=ast.Constant(value=0))):
            return "a division by 0"
        case ast.Compare(ops=ops) if len(ops) != 1:
            return "more than one comparison at once"
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in _ARGUMENTS:
            if len(arguments) != _ARGUMENTS[function]:
                return f"{function}() takes {_ARGUMENTS[function]} values, not {len(arguments)}"
            if function == "where" and not isinstance(arguments[0], ast.Compare):
                return "where() asks no comparison"
            return None
        case ast.Call(func=called):
            return f"no function is named {ast.unparse(called)}"
    return None if isinstance(node, _ALLOWED) else f"{type(node).__name__} is not plain arithmetic"

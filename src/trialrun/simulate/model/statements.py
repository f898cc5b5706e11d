"""Text of equations as statements over rows of the working array of a block."""

from __future__ import annotations

import ast
from collections.abc import Mapping

LANES = 64  # subjects in a block; one word of bits, and loops long enough that calls and ends cost little
NODES = ("0", "1", "2")


class Expression:
    """Text of an expression with its names replaced; whole powers are written out, `where` becomes a choice."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def __call__(self, text: str) -> str:
        """The expression as source."""
        return self._of(ast.parse(text, mode="eval").body)

    def _of(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=value):
                return repr(float(value))  # type: ignore[arg-type]
            case ast.Name(id=name):
                return self._names[name]
            case ast.UnaryOp(operand=operand):
                return f"(-{self._of(operand)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))) if power > 0:
                return "(" + " * ".join([self._of(left)] * power) + ")"
            case ast.BinOp(left=left, op=op, right=right):
                sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}[type(op)]
                return f"({self._of(left)} {sign} {self._of(right)})"
            case ast.Call(func=ast.Name(id="where"), args=[ast.Compare() as condition, then, other]):
                sign = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<="}[type(condition.ops[0])]
                asked = f"{self._of(condition.left)} {sign} {self._of(condition.comparators[0])}"
                return f"({self._of(then)} if {asked} else {self._of(other)})"
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return f"{function}({', '.join(self._of(argument) for argument in arguments)})"
        raise ValueError(ast.dump(node))  # the model has been checked before


class Rows:
    """Where each row of LANES numbers begins: in the working array of a block, or among the numbers of its subjects."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.numbers: dict[str, int] = {}

    def add(self, *names: str) -> int:
        """Append rows to the working array; returns where the first begins."""
        first = self.size
        for name in names:
            self.at[name] = self.size
        return first

    def add_numbers(self, *names: str) -> None:
        """Append rows of what is the same on every day."""
        for name in names:
            self.numbers[name] = len(self.numbers) * LANES

    def __getitem__(self, name: str) -> str:
        return f"w[{self.at[name]} + l]" if name in self.at else f"c[{self.numbers[name]} + l]"

    def exact(self, name: str) -> str:
        """The row in double precision, whatever that of the function."""
        return f"d[{self.at[name]} + l]" if name in self.at else f"e[{self.numbers[name]} + l]"

    def names(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Every row that an equation may name, and what stands in the place of some."""
        named = (*self.at, *self.numbers)
        return {**{name: self[name] for name in named if "@" not in name}, **(extra or {})}

    @property
    def size(self) -> int:
        """Length of the working array."""
        return len(self.at) * LANES

"""Vectors of numbers in LLVM IR, in double or single precision, and the functions that equations may use of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

FLAGS = ("contract", "nsz")  # products may be fused into sums; nothing is reordered


@dataclass(frozen=True, slots=True)
class _Format:
    """Of a kind of number: its bits, the greatest and least powers of e that are normal numbers, ln 2 in two parts of which
    whole multiples of the first are exact, the sum that rounds to whole numbers, and how many terms the series need."""

    number: Any
    integer: Any
    bits: int
    mantissa: int
    most: float
    least: float
    ln2: tuple[float, float]
    shift: float
    exp_terms: int
    log_terms: int
    root_half: int  # the bits of sqrt(1/2)
    one: int  # the bits of 1


_DOUBLE = _Format(
    *(ir.DoubleType(), ir.IntType(64), 64, 52, 709.0, -700.0, (0.693147180369123816490, 1.90821492927058770002e-10)),
    *(6755399441055744.0, 12, 10, 0x3FE6A09E667F3BCD, 0x3FF0000000000000),
)
_SINGLE = _Format(
    *(ir.FloatType(), ir.IntType(32), 32, 23, 88.0, -87.0, (0.693359375, -2.12194440e-4)),
    *(12582912.0, 7, 5, 0x3F3504F3, 0x3F800000),
)


class Vectors:
    """Constants and functions of vectors of `width` numbers."""

    def __init__(self, builder: Any, width: int, single: bool = False) -> None:
        self.b, self.width = builder, width
        self._format = _SINGLE if single else _DOUBLE
        self.number_type = self._format.number
        self.size = self._format.bits // 8  # bytes of a number
        self.type = ir.VectorType(self._format.number, width)
        self._bits = ir.VectorType(self._format.integer, width)

    def number(self, value: float) -> Any:
        """The same number in every place."""
        return ir.Constant(self.type, [value] * self.width)

    def _integer(self, value: int) -> Any:
        return ir.Constant(self._bits, [value] * self.width)

    def spread(self, number: Any) -> Any:
        """A number that the program has, in every place."""
        first = self.b.insert_element(ir.Constant(self.type, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return self.b.shuffle_vector(first, first, mask)

    def _series(self, x: Any, terms: list[float]) -> Any:
        total = self.number(terms[0])
        for term in terms[1:]:
            total = self.b.fadd(self.b.fmul(total, x, flags=FLAGS), self.number(term), flags=FLAGS)
        return total

    def exp(self, x: Any) -> Any:
        """e^x to 2 units in the last place: 2^n e^r, e^r by its series. Below e^-700 (single precision: e^-87) it is that,
        above e^709 (e^88) infinite."""
        b, f = self.b, self._format
        too_large = b.fcmp_ordered(">", x, self.number(f.most))
        x = b.select(b.fcmp_ordered(">", x, self.number(f.least)), x, self.number(f.least))
        shifted = b.fadd(b.fmul(x, self.number(1.4426950408889634)), self.number(f.shift))
        n = b.fsub(shifted, self.number(f.shift))
        r = b.fsub(x, b.fmul(n, self.number(f.ln2[0])))
        r = b.fsub(r, b.fmul(n, self.number(f.ln2[1])))
        factorials = [1]
        for i in range(1, f.exp_terms + 1):
            factorials.append(factorials[-1] * i)
        p = self._series(r, [1.0 / factorial for factorial in reversed(factorials)])
        power = b.shl(b.bitcast(shifted, self._bits), self._integer(f.mantissa))
        found = b.bitcast(b.add(b.bitcast(p, self._bits), power), self.type)
        return b.select(too_large, self.number(float("inf")), found)

    def log(self, x: Any) -> Any:
        """Natural logarithm of a normal positive number, to 2 units in the last place: x = m 2^e, 2 artanh((m-1)/(m+1))."""
        b, f = self.b, self._format
        bits = b.add(b.bitcast(x, self._bits), self._integer(f.one - f.root_half))
        m = b.add(b.and_(bits, self._integer((1 << f.mantissa) - 1)), self._integer(f.root_half))
        m = b.bitcast(m, self.type)
        exponent = self._exponent(b.lshr(bits, self._integer(f.mantissa)))
        s = b.fdiv(b.fsub(m, self.number(1.0)), b.fadd(m, self.number(1.0)))
        z = b.fmul(s, s)
        p = self._series(z, [2.0 / (2 * i + 1) for i in range(f.log_terms, 0, -1)])
        tail = b.fadd(b.fmul(self.number(2.0), s), b.fmul(b.fmul(s, z), p))
        tail = b.fadd(b.fmul(exponent, self.number(f.ln2[1])), tail)
        return b.fadd(b.fmul(exponent, self.number(f.ln2[0])), tail)

    def _exponent(self, biased: Any) -> Any:
        """The exponent as a number: of whole numbers of 64 bits by way of the bits of 2^52, few processors convert them."""
        b, f = self.b, self._format
        bias = (1 << (f.bits - f.mantissa - 2)) - 1
        if f is _SINGLE:
            return b.fsub(b.sitofp(biased, self.type), self.number(float(bias)))
        joined = b.bitcast(b.or_(biased, self._integer(0x4330000000000000)), self.type)
        return b.fsub(joined, self.number(4503599627370496.0 + bias))

    def larger(self, x: Any, y: Any) -> Any:
        """Of each two numbers the larger one."""
        return self.b.select(self.b.fcmp_ordered(">", x, y), x, y)

    def smaller(self, x: Any, y: Any) -> Any:
        """Of each two numbers the smaller one."""
        return self.b.select(self.b.fcmp_ordered("<", x, y), x, y)

    def size_of(self, x: Any) -> Any:
        """Each number without its sign."""
        bits = self.b.and_(self.b.bitcast(x, self._bits), self._integer((1 << (self._format.bits - 1)) - 1))
        return self.b.bitcast(bits, self.type)

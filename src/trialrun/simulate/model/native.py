"""The program of a kernel as LLVM IR: each statement works on all lanes of a block at once, in vectors of WIDTH numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from trialrun.simulate.model.generate import LANES, Program

_DOUBLE, _INT, _BYTE = ir.DoubleType(), ir.IntType(64), ir.IntType(8)
_POINTER = ir.PointerType()
_FLAGS = ("contract", "nsz")  # products may be fused into sums; nothing is reordered
_ALIGN = 64
_BINARY = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_COMPARE = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "=="}


class _Lanes:
    """Writes the statements of one function for the lanes from `lane` on."""

    def __init__(self, builder: Any, work: Any, lane: Any, names: Mapping[str, Any], width: int) -> None:
        self.b, self.work, self.lane, self.width = builder, work, lane, width
        self.vector = ir.VectorType(_DOUBLE, width)
        self.bits = ir.VectorType(_INT, width)
        self.names = dict(names)
        self.rows: dict[int, Any] = {}

    def number(self, value: float) -> Any:
        return ir.Constant(self.vector, [value] * self.width)

    def integer(self, value: int) -> Any:
        return ir.Constant(self.bits, [value] * self.width)

    def statement(self, line: str) -> None:
        (assign,) = ast.parse(line).body
        assert isinstance(assign, ast.Assign)
        value = self.value(assign.value)
        for target in assign.targets:
            if isinstance(target, ast.Name):
                self.names[target.id] = value
            else:
                row = _row(target)
                self.rows[row] = value
                self.b.store(value, self._address(row), align=8 * self.width)

    def _address(self, row: int) -> Any:
        at = self.b.add(self.lane, ir.Constant(_INT, row))
        return self.b.gep(self.work, [at], inbounds=True, source_etype=_DOUBLE)

    def value(self, node: ast.expr) -> Any:
        b = self.b
        match node:
            case ast.Constant(value=value):
                return self.number(float(value))  # type: ignore[arg-type]
            case ast.Name(id=name):
                return self.names[name]
            case ast.Subscript():
                row = _row(node)
                if row not in self.rows:
                    self.rows[row] = b.load(self._address(row), typ=self.vector, align=8 * self.width)
                return self.rows[row]
            case ast.UnaryOp(operand=operand):
                return b.fsub(self.number(0.0), self.value(operand), flags=_FLAGS)
            case ast.BinOp(left=left, op=op, right=right):
                return getattr(b, _BINARY[type(op)])(self.value(left), self.value(right), flags=_FLAGS)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return b.fcmp_ordered(_COMPARE[type(op)], self.value(left), self.value(right))
            case ast.IfExp(test=test, body=then, orelse=other):
                return b.select(self.value(test), self.value(then), self.value(other))
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return _FUNCTIONS[function](self, *(self.value(argument) for argument in arguments))
        raise ValueError(ast.dump(node))  # generate() writes nothing else

    def mul(self, x: Any, y: Any) -> Any:
        return self.b.fmul(x, y, flags=_FLAGS)

    def add(self, x: Any, y: Any) -> Any:
        return self.b.fadd(x, y, flags=_FLAGS)

    def sub(self, x: Any, y: Any) -> Any:
        return self.b.fsub(x, y)  # exact where exp and log count on it

    def series(self, x: Any, terms: list[float]) -> Any:
        total = self.number(terms[0])
        for term in terms[1:]:
            total = self.add(self.mul(total, x), self.number(term))
        return total

    def exp(self, x: Any) -> Any:
        """e^x for |x| < 700 to 2 units in the last place: 2^n e^r, e^r by its series. Below -700 it is e^-700."""
        b, shift = self.b, self.number(6755399441055744.0)
        x = b.select(b.fcmp_ordered(">", x, self.number(-700.0)), x, self.number(-700.0))
        shifted = b.fadd(b.fmul(x, self.number(1.4426950408889634)), shift)
        n = self.sub(shifted, shift)
        r = self.sub(x, b.fmul(n, self.number(0.693147180369123816490)))
        r = self.sub(r, b.fmul(n, self.number(1.90821492927058770002e-10)))
        factorials = [479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1]
        p = self.series(r, [1.0 / f for f in factorials])
        power = b.shl(b.bitcast(shifted, self.bits), self.integer(52))
        return b.bitcast(b.add(b.bitcast(p, self.bits), power), self.vector)

    def log(self, x: Any) -> Any:
        """Natural logarithm of a normal positive number, to 2 units in the last place: x = m 2^e, 2 artanh((m-1)/(m+1))."""
        b = self.b
        bits = b.add(b.bitcast(x, self.bits), self.integer(0x95F619980C433))
        exponent = b.bitcast(b.or_(b.lshr(bits, self.integer(52)), self.integer(0x4330000000000000)), self.vector)
        exponent = self.sub(exponent, self.number(4503599627371519.0))
        m = b.add(b.and_(bits, self.integer(0xFFFFFFFFFFFFF)), self.integer(0x3FE6A09E667F3BCD))
        m = b.bitcast(m, self.vector)
        s = b.fdiv(self.sub(m, self.number(1.0)), b.fadd(m, self.number(1.0)))
        z = b.fmul(s, s)
        p = self.series(z, [2.0 / odd for odd in (21, 19, 17, 15, 13, 11, 9, 7, 5, 3)])
        tail = b.fadd(b.fmul(self.number(2.0), s), b.fmul(b.fmul(s, z), p))
        tail = b.fadd(b.fmul(exponent, self.number(1.90821492927058770002e-10)), tail)
        return b.fadd(b.fmul(exponent, self.number(0.693147180369123816490)), tail)

    def larger(self, x: Any, y: Any) -> Any:
        return self.b.select(self.b.fcmp_ordered(">", x, y), x, y)

    def smaller(self, x: Any, y: Any) -> Any:
        return self.b.select(self.b.fcmp_ordered("<", x, y), x, y)

    def size(self, x: Any) -> Any:
        bits = self.b.and_(self.b.bitcast(x, self.bits), self.integer(0x7FFFFFFFFFFFFFFF))
        return self.b.bitcast(bits, self.vector)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "exp": _Lanes.exp,
    "log": _Lanes.log,
    "max": _Lanes.larger,
    "min": _Lanes.smaller,
    "abs": _Lanes.size,
}


def _row(node: ast.expr) -> int:
    """Where the row of `w[row + l]` begins."""
    match node:
        case ast.Subscript(slice=ast.BinOp(left=ast.Constant(value=int(row)))):
            return row
    raise ValueError(ast.dump(node))


def write_ir(program: Program, width: int) -> str:
    """LLVM IR with `advance(states, constants, inputs, blocks, days, ends)`: see compiled.py. `width` divides LANES."""
    module = ir.Module(name="kernel")
    functions = {name: _function(module, name, lines, width) for name, lines in program.functions.items()}
    _advance(module, program, functions)
    return str(module)


def _function(module: Any, name: str, lines: tuple[str, ...], width: int) -> Any:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER, _DOUBLE]), name=name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    work, h = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    with _loop(builder, ir.Constant(_INT, LANES // width)) as group:
        lane = builder.mul(group, ir.Constant(_INT, width))
        lanes = _Lanes(builder, work, lane, {}, width)
        spread = builder.insert_element(ir.Constant(lanes.vector, ir.Undefined), h, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
        lanes.names["h"] = builder.shuffle_vector(spread, spread, mask)
        for line in lines:
            lanes.statement(line)
    builder.ret_void()
    return function


@contextmanager
def _loop(b: Any, count: Any) -> Any:
    """Statements inside are repeated `count` times; gives the counter."""
    before, body, after = b.block, b.append_basic_block(), b.append_basic_block()
    b.cbranch(b.icmp_signed(">", count, ir.Constant(_INT, 0)), body, after)
    b.position_at_end(body)
    counter = b.phi(_INT)
    counter.add_incoming(ir.Constant(_INT, 0), before)
    yield counter
    following = b.add(counter, ir.Constant(_INT, 1))
    counter.add_incoming(following, b.block)
    b.cbranch(b.icmp_signed("<", following, count), body, after)
    b.position_at_end(after)


def _advance(module: Any, program: Program, functions: Mapping[str, Any]) -> None:
    """Blocks, days, doublings and steps; a lane's states are kept from the first attempt that it accepts."""
    kind = ir.FunctionType(_INT, [_POINTER, _POINTER, _POINTER, _INT, _INT, _POINTER])
    function = ir.Function(module, kind, name="advance")
    states, constants, inputs, blocks, days, ends = function.args
    b = ir.IRBuilder(function.append_basic_block())
    wanted = b.icmp_unsigned("!=", b.ptrtoint(ends, _INT), ir.Constant(_INT, 0))
    rows = program.rows * LANES

    def room(kind: Any, count: int) -> Any:
        made = b.alloca(kind, size=ir.Constant(_INT, count))
        made.align = _ALIGN
        return made

    work, start = room(_DOUBLE, rows), room(_DOUBLE, program.states * LANES)
    done, steps, most, left = room(_INT, LANES), room(_INT, 1), room(_INT, 1), room(_INT, 1)
    bad, fixed_for = room(_INT, 1), room(_DOUBLE, 1)

    def whole(value: int) -> Any:
        return ir.Constant(_INT, value)

    def at(base: Any, index: Any) -> Any:
        return b.gep(base, [index], inbounds=True, source_etype=_DOUBLE)

    def copy(to: Any, source: Any, count: int) -> None:
        with _loop(b, whole(count)) as i:
            b.store(b.load(at(source, i), typ=_DOUBLE), at(to, i))

    with _loop(b, whole(rows)) as i:
        b.store(ir.Constant(_DOUBLE, 0.0), at(work, i))
    b.store(whole(0), most)
    b.store(whole(0), bad)
    with _loop(b, blocks) as block:
        own = at(states, b.mul(block, whole(program.states * LANES)))
        for source, first, count in (
            (constants, program.constants_at, program.constants),
            (inputs, program.inputs_at, program.inputs),
        ):
            copy(at(work, whole(first * LANES)), at(source, b.mul(block, whole(count * LANES))), count * LANES)
        copy(work, own, program.states * LANES)
        b.store(ir.Constant(_DOUBLE, 0.0), fixed_for)
        with _loop(b, days) as day:
            b.call(functions["give"], [work, ir.Constant(_DOUBLE, 0.0)])
            copy(start, work, program.states * LANES)
            with _loop(b, whole(LANES)) as lane:
                b.store(whole(0), at(done, lane))
            b.store(whole(LANES), left)
            b.store(whole(1), steps)
            with (
                _loop(b, whole(program.doublings + 1)) as doubling,
                b.if_then(b.icmp_signed(">", b.load(left, typ=_INT), whole(0))),
            ):
                count = b.load(steps, typ=_INT)
                part = b.fdiv(ir.Constant(_DOUBLE, 1.0), b.sitofp(count, _DOUBLE))
                with b.if_then(b.fcmp_unordered("!=", b.load(fixed_for, typ=_DOUBLE), part)):
                    b.call(functions["fixed"], [work, part])
                    b.store(part, fixed_for)
                b.call(functions["begin"], [work, part])
                for length, names in program.steps:
                    h = b.fmul(part, ir.Constant(_DOUBLE, length))
                    with _loop(b, count):
                        for name in names:
                            b.call(functions[name], [work, h])
                b.call(functions["end"], [work, part])
                with _loop(b, whole(LANES)) as lane:
                    error = b.load(at(work, b.add(lane, whole(program.errors_at * LANES))), typ=_DOUBLE)
                    fine = b.fcmp_ordered("<=", error, ir.Constant(_DOUBLE, 0.0))
                    waiting = b.icmp_signed("==", b.load(at(done, lane), typ=_INT), whole(0))
                    with b.if_then(b.and_(fine, waiting)):
                        b.store(whole(1), at(done, lane))
                        b.store(b.sub(b.load(left, typ=_INT), whole(1)), left)
                        with _loop(b, whole(program.states)) as state:
                            place = b.add(b.mul(state, whole(LANES)), lane)
                            b.store(b.load(at(work, place), typ=_DOUBLE), at(own, place))
                b.store(b.mul(count, whole(2)), steps)
                deeper = b.icmp_signed(">", doubling, b.load(most, typ=_INT))
                b.store(b.select(deeper, doubling, b.load(most, typ=_INT)), most)
                with b.if_then(b.icmp_signed(">", b.load(left, typ=_INT), whole(0))):
                    copy(work, start, program.states * LANES)
            unsolved = b.icmp_signed(">", b.load(left, typ=_INT), whole(0))
            first_bad = b.and_(unsolved, b.icmp_signed("==", b.load(bad, typ=_INT), whole(0)))
            b.store(b.select(first_bad, b.sub(whole(-1), block), b.load(bad, typ=_INT)), bad)
            copy(work, own, program.states * LANES)
            with b.if_then(wanted):
                place = b.add(b.mul(block, days), day)
                copy(at(ends, b.mul(place, whole(program.states * LANES))), own, program.states * LANES)
    failed = b.load(bad, typ=_INT)
    b.ret(b.select(b.icmp_signed("<", failed, whole(0)), failed, b.load(most, typ=_INT)))

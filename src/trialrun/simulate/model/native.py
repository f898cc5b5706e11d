"""The program of a kernel as LLVM IR: each statement works on all lanes of a block at once, in vectors of WIDTH numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from trialrun.simulate.model.generate import LANES, Program
from trialrun.simulate.model.vectors import FLAGS, Vectors

_DOUBLE, _FLOAT, _INT = ir.DoubleType(), ir.FloatType(), ir.IntType(64)
_POINTER = ir.PointerType()
_ALIGN = 64
_TINY = 1e-30  # a state in single precision below it becomes 0: products of such would be denormal, and slow
_BINARY = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_COMPARE = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "=="}


class _Lanes:
    """Writes the statements of one function for the lanes from `lane` on. `arrays` are those of rows `w` and `c`, in the
    precision of the function, and of `d` and `e`, in double precision."""

    def __init__(self, builder: Any, arrays: Sequence[Any], lane: Any, width: int, single: bool) -> None:
        self.b, self.lane, self.width = builder, lane, width
        self.double = Vectors(builder, width)
        self.working = Vectors(builder, width, single=True) if single else self.double
        kinds = (self.working, self.working, self.double, self.double)
        self.arrays = dict(zip("wcde", zip(arrays, kinds, strict=True), strict=True))
        self.names: dict[str, Any] = {}
        self.rows: dict[tuple[str, int], Any] = {}

    def statement(self, line: str) -> None:
        (assign,) = ast.parse(line).body
        assert isinstance(assign, ast.Assign)
        exact = any(isinstance(target, ast.Subscript) and _row(target)[0] in "de" for target in assign.targets)
        value = self.value(assign.value, self.double if exact else self.working)
        for target in assign.targets:
            if isinstance(target, ast.Name):
                self.names[target.id] = value
            else:
                self.rows[_row(target)] = value
                address, _, align = self._place(_row(target))
                self.b.store(value, address, align=align)

    def _place(self, row: tuple[str, int]) -> tuple[Any, Any, int]:
        """Address, kind and alignment of what stands there for these lanes."""
        array, kind = self.arrays[row[0]]
        at = self.b.add(self.lane, ir.Constant(_INT, row[1]))
        address = self.b.gep(array, [at], inbounds=True, source_etype=kind.number_type)
        # numbers come from outside and may begin anywhere
        return address, kind.type, kind.size if row[0] in "ce" else min(kind.size * self.width, _ALIGN)

    def value(self, node: ast.expr, kind: Vectors) -> Any:
        b = self.b
        match node:
            case ast.Constant(value=value):
                return kind.number(float(value))  # type: ignore[arg-type]
            case ast.Name(id=name):
                return self.names[name]
            case ast.Subscript():
                row = _row(node)
                if row not in self.rows:
                    address, what, align = self._place(row)
                    self.rows[row] = b.load(address, typ=what, align=align)
                return self.rows[row]
            case ast.UnaryOp(operand=operand):
                return b.fsub(kind.number(0.0), self.value(operand, kind), flags=FLAGS)
            case ast.BinOp(left=left, op=op, right=right):
                return getattr(b, _BINARY[type(op)])(self.value(left, kind), self.value(right, kind), flags=FLAGS)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return b.fcmp_ordered(_COMPARE[type(op)], self.value(left, kind), self.value(right, kind))
            case ast.IfExp(test=test, body=then, orelse=other):
                return b.select(self.value(test, kind), self.value(then, kind), self.value(other, kind))
            case ast.Call(func=ast.Name(id="working"), args=[argument]):
                found = self.value(argument, self.double)
                return found if self.working is self.double else b.fptrunc(found, self.working.type)
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return _FUNCTIONS[function](kind, *(self.value(argument, kind) for argument in arguments))
        raise ValueError(ast.dump(node))  # generate() writes nothing else


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "exp": Vectors.exp,
    "log": Vectors.log,
    "max": Vectors.larger,
    "min": Vectors.smaller,
    "abs": Vectors.size_of,
}


def _row(node: ast.expr) -> tuple[str, int]:
    """The array of `w[row + l]`, and where the row begins."""
    match node:
        case ast.Subscript(value=ast.Name(id=array), slice=ast.BinOp(left=ast.Constant(value=int(row)))):
            return array, row
    raise ValueError(ast.dump(node))


def write_ir(program: Program, width: int) -> str:
    """LLVM IR with `prepare(constants, numbers, blocks)` and `advance(states, numbers, inputs, blocks, used, days, ends, first,
    last, waiting)`: see compiled.py. Vectors have `width` numbers in double precision, twice as many in single; both divide
    LANES."""
    module = ir.Module(name="kernel")
    stepping = {"start", *(name for _, names in program.steps for name in names)}
    functions = {
        name: _function(module, name, lines, width, program.single and name in stepping)
        for name, lines in program.functions.items()
    }
    _prepare(module, program, functions)
    _advance(module, program, functions)
    return str(module)


def _function(module: Any, name: str, lines: tuple[str, ...], width: int, single: bool) -> Any:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*[_POINTER] * 4, _DOUBLE, _INT]), name=name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    *arrays, h, used = function.args
    for array in arrays:  # what a function writes it reads from nowhere else
        array.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block())
    width *= 2 if single else 1
    groups = builder.udiv(builder.add(used, ir.Constant(_INT, width - 1)), ir.Constant(_INT, width))
    with _loop(builder, groups) as group:
        lane = builder.mul(group, ir.Constant(_INT, width))
        lanes = _Lanes(builder, arrays, lane, width, single)
        lanes.names["h"] = lanes.working.spread(builder.fptrunc(h, _FLOAT) if single else h)
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


class _Rows:
    """Rows of a block moved whole: a vector of LANES numbers at once."""

    def __init__(self, builder: Any) -> None:
        self.b, self.double, self.single = builder, Vectors(builder, LANES), Vectors(builder, LANES, single=True)

    def room(self, count: int, kind: Vectors | None = None) -> Any:
        """An array of the function itself, with 0 in all places."""
        kind = kind or self.double
        made = self.b.alloca(kind.type, size=ir.Constant(_INT, count))
        made.align = _ALIGN
        with _loop(self.b, ir.Constant(_INT, count)) as row:
            self.store(kind.number(0.0), made, row, kind)
        return made

    def load(self, base: Any, row: Any, kind: Vectors | None = None) -> Any:
        kind = kind or self.double
        address = self.b.gep(base, [row], inbounds=True, source_etype=kind.type)
        return self.b.load(address, typ=kind.type, align=kind.size)  # arrays from outside may begin anywhere

    def store(self, value: Any, base: Any, row: Any, kind: Vectors | None = None) -> None:
        kind = kind or self.double
        address = self.b.gep(base, [row], inbounds=True, source_etype=kind.type)
        self.b.store(value, address, align=kind.size)

    def at(self, base: Any, row: Any) -> Any:
        return self.b.gep(base, [row], inbounds=True, source_etype=self.double.type)

    def copy(self, to: Any, source: Any, count: int) -> None:
        with _loop(self.b, ir.Constant(_INT, count)) as row:
            self.store(self.load(source, row), to, row)

    def narrow(self, to: Any, source: Any, count: int) -> None:
        with _loop(self.b, ir.Constant(_INT, count)) as row:
            self.store(self.b.fptrunc(self.load(source, row), self.single.type), to, row, self.single)

    def widen(self, to: Any, source: Any, first: int, count: int) -> None:
        with _loop(self.b, ir.Constant(_INT, count)) as i:
            row = self.b.add(i, ir.Constant(_INT, first))
            found = self.b.fpext(self.load(source, row, self.single), self.double.type)
            tiny = self.b.fcmp_ordered("<", self.double.size_of(found), self.double.number(_TINY))
            self.store(self.b.select(tiny, self.double.number(0.0), found), to, row)


def _prepare(module: Any, program: Program, functions: Mapping[str, Any]) -> None:
    """What is the same on every day, behind the constants of each block."""
    kind = ir.FunctionType(ir.VoidType(), [_POINTER, _POINTER, _INT])
    function = ir.Function(module, kind, name="prepare")
    constants, numbers, blocks = function.args
    b = ir.IRBuilder(function.append_basic_block())
    r = _Rows(b)
    with _loop(b, blocks) as block:
        own = r.at(numbers, b.mul(block, ir.Constant(_INT, program.stride)))
        r.copy(own, r.at(constants, b.mul(block, ir.Constant(_INT, program.constants))), program.constants)
        near = r.at(own, ir.Constant(_INT, program.numbers))
        _fix(b, r, program, functions, own, near, ir.Constant(_DOUBLE, 1.0))
    b.ret_void()


def _fix(b: Any, r: _Rows, program: Program, functions: Mapping[str, Any], own: Any, near: Any, part: Any) -> None:
    """What follows from the constants of a block, for steps cut into 1 / `part`, and all of it in single precision."""
    b.call(functions["fixed"], [own, own, own, own, part, ir.Constant(_INT, LANES)])
    if program.single:
        r.narrow(near, own, program.numbers)


def _advance(module: Any, program: Program, functions: Mapping[str, Any]) -> None:
    """Blocks, days, doublings and steps; a lane's states are kept from the first attempt that it accepts."""
    kind = ir.FunctionType(_INT, [_POINTER, _POINTER, _POINTER, _INT, _INT, _INT, _POINTER, _INT, _INT, _POINTER])
    function = ir.Function(module, kind, name="advance")
    states, numbers, inputs, blocks, used, days, ends, first, last, waiting = function.args
    b = ir.IRBuilder(function.append_basic_block())
    r = _Rows(b)
    wanted, told = (b.icmp_unsigned("!=", b.ptrtoint(place, _INT), ir.Constant(_INT, 0)) for place in (ends, waiting))
    lanes = ir.IntType(LANES)  # a bit for each lane
    everyone = b.lshr(ir.Constant(lanes, -1), b.sub(ir.Constant(lanes, LANES), b.trunc(used, lanes)))

    work, start, cut = r.room(program.rows), r.room(program.states), r.room(program.numbers)
    cut_near = r.room(program.numbers, r.single) if program.single else cut
    stepped = r.room(program.stepped, r.single) if program.single else work
    left, steps, most, bad, cut_for = (b.alloca(kind) for kind in (lanes, _INT, _INT, _INT, _DOUBLE))
    exact, near = b.alloca(_POINTER), b.alloca(_POINTER)  # the numbers of the block, or those for shorter steps

    def whole(value: int) -> Any:
        return ir.Constant(_INT, value)

    def waits() -> Any:
        return b.icmp_unsigned("!=", b.load(left, typ=lanes), ir.Constant(lanes, 0))

    def goes_on(doubling: Any) -> Any:
        """Lanes wait, and so many doublings are wanted; or all of them wait, so that none waits for the others of its block."""
        all_wait = b.icmp_unsigned("==", b.load(left, typ=lanes), everyone)
        return b.and_(waits(), b.or_(b.icmp_signed("<=", doubling, last), all_wait))

    def fine() -> Any:
        error = r.load(work, whole(program.errors_at))
        return b.bitcast(b.fcmp_ordered("<=", error, r.double.number(0.0)), lanes)

    def call(name: str, length: Any) -> None:
        in_steps = name not in ("give", "begin", "end")
        given = [b.load(place, typ=_POINTER) for place in (near if in_steps else exact, exact)]
        b.call(functions[name], [stepped if in_steps else work, given[0], work, given[1], length, used])

    def take(*places: Any) -> None:
        for place, of in zip(places, (exact, near), strict=True):
            b.store(place, of)

    b.store(whole(0), most)
    b.store(whole(0), bad)
    with _loop(b, blocks) as block:
        own = r.at(states, b.mul(block, whole(program.states)))
        given = r.at(numbers, b.mul(block, whole(program.stride)))
        given_near = r.at(given, whole(program.numbers)) if program.single else given
        fed = r.at(inputs, b.mul(block, whole(program.inputs)))
        r.copy(r.at(work, whole(program.inputs_at)), fed, program.inputs)
        r.copy(work, own, program.states)
        b.store(ir.Constant(_DOUBLE, 1.0), cut_for)
        with _loop(b, days) as day:
            take(given, given_near)
            call("give", ir.Constant(_DOUBLE, 0.0))
            r.copy(start, work, program.states)
            b.store(everyone, left)
            b.store(b.shl(whole(1), first), steps)
            with (
                _loop(b, b.sub(whole(program.doublings + 1), first)) as attempt,
                b.if_then(goes_on(b.add(first, attempt))),
            ):
                doubling, count = b.add(first, attempt), b.load(steps, typ=_INT)
                part = b.fdiv(ir.Constant(_DOUBLE, 1.0), b.sitofp(count, _DOUBLE))
                with b.if_then(b.fcmp_ordered("!=", part, ir.Constant(_DOUBLE, 1.0))):
                    with b.if_then(b.fcmp_ordered("!=", b.load(cut_for, typ=_DOUBLE), part)):
                        r.copy(cut, given, program.constants)
                        _fix(b, r, program, functions, cut, cut_near, part)
                        b.store(part, cut_for)
                    take(cut, cut_near)
                call("begin", part)
                if program.single:
                    r.narrow(stepped, work, program.fed)
                call("start", part)
                for length, names in program.steps:
                    h = b.fmul(part, ir.Constant(_DOUBLE, length))
                    with _loop(b, count):
                        for name in names:
                            call(name, h)
                if program.single:
                    r.widen(work, stepped, program.drug_states, program.states - program.drug_states)
                    r.widen(work, stepped, program.errors_at, 1)
                call("end", part)
                taken = b.and_(fine(), b.load(left, typ=lanes))
                chosen = b.bitcast(taken, ir.VectorType(ir.IntType(1), LANES))
                with _loop(b, whole(program.states)) as row:
                    r.store(b.select(chosen, r.load(work, row), r.load(own, row)), own, row)
                b.store(b.xor(b.load(left, typ=lanes), taken), left)
                b.store(b.mul(count, whole(2)), steps)
                deeper = b.icmp_signed(">", doubling, b.load(most, typ=_INT))
                b.store(b.select(deeper, doubling, b.load(most, typ=_INT)), most)
                with b.if_then(waits()):
                    r.copy(work, start, program.states)
            with b.if_then(told):
                b.store(b.load(left, typ=lanes), b.gep(waiting, [block], inbounds=True, source_etype=lanes))
            first_bad = b.and_(waits(), b.icmp_signed("==", b.load(bad, typ=_INT), whole(0)))
            b.store(b.select(first_bad, b.sub(whole(-1), block), b.load(bad, typ=_INT)), bad)
            r.copy(work, own, program.states)
            with b.if_then(wanted):
                place = b.add(b.mul(block, days), day)
                r.copy(r.at(ends, b.mul(place, whole(program.states))), own, program.states)
    failed = b.load(bad, typ=_INT)
    b.ret(b.select(b.icmp_signed("<", failed, whole(0)), failed, b.load(most, typ=_INT)))

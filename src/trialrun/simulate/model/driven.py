"""States that only fall by themselves and are driven from above: solved exactly for what the nodes of a step say.

y' = goal - rate y, the goal a quadratic over the step: y(1) = y + h (p1 (g0 - rate y) + p2 b + 2 p3 c) for g0 + b x + c x^2, with
p_k of z = h rate: p1 = (1 - e^-z) / z, p_(k+1) = (1 / k! - p_k) / z.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trialrun.simulate.model.exact_drug import nodes_of
from trialrun.simulate.model.statements import NODES, Rows

DRIVEN = ("p4",)  # the others follow from it; what rounding takes grows with the cube of z
LARGEST = {True: 4.0, False: 1000.0}  # z of a step in single and in double precision: 1e-5 and 1e-7 at worst
# Points of a step at which a signal is averaged, and what each adds to the nodes: the rule of Boole.
_POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)
AVERAGED = (_POINTS, nodes_of(_POINTS, (7 / 90, 32 / 90, 12 / 90, 32 / 90, 7 / 90)))
# Parts of a state, the largest with which what rules see of 200 subjects of each study stays within 1e-4
# (benchmarks/accuracy.py).
AVERAGE_TOLERANCE = 3e-6  # of the state that an averaged signal drives, a step
BEND_TOLERANCE = 3e-5  # of the state that a term with a kink drives, a step: its own error is a small part of it
APART = (1.0, -4.0, 6.0, -4.0, 1.0)  # 180 times the difference of Simpson's rule over the same points
_SERIES = 10  # terms for z to 0.5; the next is below 1e-12 of the first


def driven_weights(rows: Rows, name: str, rate: str, size: int, length: float) -> Iterator[str]:
    """Before a day's steps: p4 of steps of this length."""
    yield f"z = h * {length!r} * {rate}"
    terms = [1.0]
    for i in range(1, _SERIES):
        terms.append(-terms[-1] / (i + 4))
    series = repr(terms[-1] / 24.0)
    for term in reversed(terms[:-1]):
        series = f"({series} * z + {term / 24.0!r})"
    yield "far = z if abs(z) > 0.5 else 0.5"
    yield "exact = (1.0 - exp(-far)) / far"
    for one_over in (1.0, 0.5, 1.0 / 6.0):
        yield f"exact = ({one_over!r} - exact) / far"
    yield f"{rows[f'{name}@p4{size}']} = {series} if abs(z) < 0.5 else exact"


def driven_step(rows: Rows, name: str, rate: str, goal: Sequence[str], size: int) -> Iterator[str]:
    """The state at the end of the step, and where others read it in the middle: so that Simpson's rule over the nodes gives
    the exact mean of the state."""
    noded = f"{name}@1" in rows.at
    yield f"y = {rows[name]}"
    yield f"rate = {rate}"
    yield "z = h * rate"
    yield f"p4 = {rows[f'{name}@p4{size}']}"
    yield f"p3 = {1.0 / 6.0!r} - z * p4"
    yield "p2 = 0.5 - z * p3"
    yield "p1 = 1.0 - z * p2"
    steady = len(set(goal)) == 1
    yield from (f"g{node} = {text}" for node, text in zip(NODES, goal, strict=True) if not steady or node == "0")
    yield "slope = g0 - rate * y"
    inside, mean = "p1 * slope", "p2 * slope"
    if not steady:
        yield "b = 4.0 * g1 - 3.0 * g0 - g2"
        yield "twice_c = 4.0 * (g0 + g2) - 8.0 * g1"
        inside, mean = f"{inside} + p2 * b + p3 * twice_c", f"{mean} + p3 * b + p4 * twice_c"
    yield f"end = y + h * ({inside})"
    if noded:
        yield f"mean = y + h * ({mean})"
        yield f"{rows[f'{name}@0']} = y"
        yield f"{rows[f'{name}@1']} = 1.5 * mean - 0.25 * (y + end)"
        yield f"{rows[f'{name}@2']} = end"
    yield f"{rows[name]} = end"


def between(nodes: Sequence[str], x: float) -> str:
    """The quadratic through the nodes of a step at `x` of the step."""
    weights = (1 - x) * (1 - 2 * x), 4 * x * (1 - x), x * (2 * x - 1)
    terms = [(w, node) for w, node in zip(weights, nodes, strict=True) if w]
    return " + ".join(f"{w!r} * {node}" if w != 1.0 else node for w, node in terms)

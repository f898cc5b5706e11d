"""The drug, exact between doses, and what its fast signals are at the nodes of a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.model.expressions import names_in
from trialrun.simulate.model.module import Drug
from trialrun.simulate.model.statements import NODES, Expression, Rows


def nodes_of(points: Sequence[float], weights: Sequence[float]) -> list[list[float]]:
    """What each point of a quadrature rule on [0, 1] adds to the three nodal values that keep three moments.

    The quadratic with the moments m0, m1 (about 1/2) and m2 (of (x - 1/2)^2 - 1/12) is
    m0 + 12 m1 (x - 1/2) + 180 m2 ((x - 1/2)^2 - 1/12); it is read at 0, 1/2 and 1.
    """
    x, w = np.asarray(points) - 0.5, np.asarray(weights)
    first, second = w * x, w * (x * x - 1.0 / 12.0)
    nodes = (w - 6 * first + 30 * second, w - 15 * second, w + 6 * first + 30 * second)
    return [node.tolist() for node in nodes]


def _gauss(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, w = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, w / 2


Rule = tuple[list[float], list[list[float]]]


@cache
def rule_of(first: bool) -> Rule:
    """Points (in steps) and their shares in the nodes. In the step after the dose the concentration rises within the hour,
    and what saturates with it within minutes: there the points of Gauss stand at u^3, close together at the start."""
    u, w = _gauss(8 if first else 3)
    points, weights = (u**3, 3 * u**2 * w) if first else (u, w)
    return points.tolist(), nodes_of(points.tolist(), weights.tolist())


# The drug as a sum of three exponentials, gut, compartment and effect site: its shares at the start of each step, and
# what each exponential falls to at the points of the quadrature and at the end of the step.
_PARTS = ("gut", "out", "site")


def _points(size: int) -> list[str]:
    return [f"{size}p{i}" for i in range(len(rule_of(size == 0)[0]))]


def fall_rows(drug: Drug, sizes: int, parts: Sequence[str]) -> list[str]:
    """Rows of the rates of these exponentials, and of what they fall to."""
    own = drug.states[1]
    points = [point for size in range(sizes) for point in (*_points(size), f"{size}end")]
    return [name for part in parts for name in (f"@rate_{own}_{part}", *(f"@fall_{own}_{part}_{at}" for at in points))]


def share_rows(drug: Drug) -> list[str]:
    """Rows of the shares of the exponentials, and what came in."""
    own = drug.states[1]
    shares = [f"@{kind}_{own}_{part}" for kind in ("blood", "effect") for part in _PARTS]
    return [*shares, f"@scale_{own}", f"@entry_{own}"]


def parts_of(drug: Drug) -> tuple[str, ...]:
    """The exponentials that the drug needs: the effect site only where something asks for it."""
    asked = any("effect_site" in names_in(text) for text in drug.fast.values())
    return _PARTS if asked else _PARTS[:2]


def rates_of(drug: Drug) -> dict[str, tuple[str, ...]]:
    """The rate of each exponential, and the rates from which it is kept apart."""
    gut, site = drug.absorption, drug.effect
    rates = {"gut": (gut,), "site": (site, gut), "out": (drug.elimination, gut, site)}
    return {part: rates[part] if part != "out" or "site" in parts_of(drug) else rates[part][:2]
            for part in ("gut", "site", "out") if part in parts_of(drug)}  # fmt: skip


def drug_falls(
    drug: Drug, rows: Rows, write: Expression, sizes: Sequence[float], known: Sequence[str], fixed: bool
) -> Iterator[str]:
    """Rates, and what each exponential falls to at the points of the steps: of the parts `known` before the first day, or
    of the others. Rates that nearly agree are moved apart by a few 1e-8 of themselves."""
    own = drug.states[1]
    for part, (text, *others) in rates_of(drug).items():
        row = rows[f"@rate_{own}_{part}"]
        if (part in known) is not fixed:
            continue
        yield f"rate = {write(text)}"
        apart = zip(("gut", "site"), others, strict=False)
        for move, (other, _) in zip(("1.00000002", "1.00000006"), apart, strict=False):
            near = f"abs({rows[f'@rate_{own}_{other}']} - rate) < 2e-8 * rate"
            yield f"rate = rate * {move} if {near} else rate"
        yield f"{row} = rate"
        for size, length in enumerate(sizes):
            points, _ = rule_of(size == 0)
            for point, x in zip(_points(size), points, strict=True):
                yield f"{rows[f'@fall_{own}_{part}_{point}']} = exp(-rate * (h * {length * x!r}))"
            yield f"{rows[f'@fall_{own}_{part}_{size}end']} = exp(-rate * (h * {length!r}))"


def drug_begin(drug: Drug, rows: Rows, write: Expression) -> Iterator[str]:
    """Shares at the start of the day."""
    own = drug.states[1]
    depot, central, effect = (rows[name] for name in drug.states[:3])
    parts = parts_of(drug)
    for part in parts:
        yield f"{part} = {rows[f'@rate_{own}_{part}']}"
    yield f"scale = {write(drug.scale)}"
    yield f"entry = scale * gut / (gut - out) * {depot}"
    yield f"blood_out = scale * {central} + entry"
    values = {"blood_gut": "-entry", "blood_out": "blood_out"}
    if "site" in parts:
        yield "effect_gut = -entry * site / (site - gut)"
        yield "effect_out = blood_out * site / (site - out)"
        values |= {"effect_gut": "effect_gut", "effect_out": "effect_out"}
        values |= {"effect_site": f"{effect} - effect_gut - effect_out"}
    for name, value in values.items():
        kind, part = name.split("_")
        yield f"{rows[f'@{kind}_{own}_{part}']} = {value}"
    yield f"{rows[f'@scale_{own}']} = scale"
    yield f"{rows[f'@entry_{own}']} = {depot}"
    # what was taken up to today's end; the rest of the day's exposure follows from the drug that is left
    last = drug.states[3]
    yield f"{rows[last]} = {rows[last]} + {central} / out * scale"


def drug_signals(drug: Drug, rows: Rows, names: Mapping[str, str], size: int) -> Iterator[str]:
    _, shares = rule_of(size == 0)
    own = drug.states[1]
    asked = {name for text in drug.fast.values() for name in names_in(text)}
    for name in drug.fast:
        yield f"{name}__0 = {name}__1 = {name}__2 = 0.0"
    for i, point in enumerate(_points(size)):
        fall = {part: rows.exact(f"@fall_{own}_{part}_{point}") for part in parts_of(drug)}
        for name, kind, parts in (("concentration", "blood", _PARTS[:2]), ("effect_site", "effect", _PARTS)):
            if name in asked:
                # exponentials of nearly equal rates cancel
                sums = " + ".join(f"{rows.exact(f'@{kind}_{own}_{part}')} * {fall[part]}" for part in parts)
                yield f"{name} = working({sums})"
        for name, text in drug.fast.items():
            yield f"value = {Expression({**names, 'concentration': 'concentration', 'effect_site': 'effect_site'})(text)}"
            for node in NODES:
                yield f"{name}__{node} = {name}__{node} + {shares[int(node)][i]!r} * value"
    for name in drug.fast:
        yield from (f"{rows[f'{name}@{node}']} = {name}__{node}" for node in NODES)


def drug_advance(drug: Drug, rows: Rows, size: int) -> Iterator[str]:
    own = drug.states[1]
    for kind, parts in (("blood", _PARTS[:2]), ("effect", _PARTS if "site" in parts_of(drug) else ())):
        for part in parts:
            row = rows.exact(f"@{kind}_{own}_{part}")
            yield f"{row} = {row} * {rows.exact(f'@fall_{own}_{part}_{size}end')}"


def drug_end(drug: Drug, rows: Rows) -> Iterator[str]:
    """The drug at the end of the day from its shares; its exposure is what came in less what is left, over clearance."""
    own = drug.states[1]
    depot, central, effect, exposure = (rows[name] for name in drug.states)
    gut, out = rows[f"@rate_{own}_gut"], rows[f"@rate_{own}_out"]
    scale, entry = rows[f"@scale_{own}"], rows[f"@entry_{own}"]
    yield f"{depot} = {entry} * exp(-{gut})"
    yield f"blood = {rows[f'@blood_{own}_gut']} + {rows[f'@blood_{own}_out']}"
    yield f"{central} = blood / {scale}"
    if "site" in parts_of(drug):
        yield f"{effect} = " + " + ".join(rows[f"@effect_{own}_{part}"] for part in _PARTS)
    yield f"{exposure} = {exposure} + ({scale} * ({entry} - {depot}) - blood) / {out}"

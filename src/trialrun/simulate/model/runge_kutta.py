"""Statements of the classical Runge-Kutta method of order 4, also for states of which a fall is taken out."""

from __future__ import annotations

from collections.abc import Iterator

from trialrun.simulate.model.module import Module
from trialrun.simulate.model.statements import Rows

# Of a state that also falls at a constant rate: what is left of it after half a step and a step, and the weights of the
# slopes (Cox SM, Matthews PC. J Comput Phys 2002;176:430-55, fourth-order exponential Runge-Kutta).
EXPONENTIAL = ("half", "whole", "q", "f1", "f2", "f3")


def exponential(rows: Rows, name: str, rate: str, size: int, length: float) -> Iterator[str]:
    half, whole, q, f1, f2, f3 = (rows[f"{name}@{part}{size}"] for part in EXPONENTIAL)
    yield f"step = h * {length!r}"
    yield f"z = -step * {rate}"
    yield "near = z if abs(z) > 0.02 else 0.02"  # below, the series to the fourth power
    yield f"{half} = exp(0.5 * z)"
    yield f"{whole} = {half} * {half}"
    yield "grown = exp(near)"
    yield "cubed = step / (near * near * near)"
    yield "small = abs(z) <= 0.02"
    yield f"{q} = step * (0.5 + z * (0.125 + z * (1.0 / 48.0 + z / 384.0))) if small else step * ({half} - 1.0) / near"
    series = {
        f1: "1.0 / 6.0 + z * (1.0 / 6.0 + z * (3.0 / 40.0 + z / 45.0))",
        f2: "1.0 / 6.0 + z * (1.0 / 12.0 + z * (1.0 / 40.0 + z / 180.0))",
        f3: "1.0 / 6.0 + z * (0.0 - z * (1.0 / 120.0 + z / 360.0))",
    }
    exact = {
        f1: "-4.0 - near + grown * (4.0 - 3.0 * near + near * near)",
        f2: "2.0 + near + grown * (near - 2.0)",
        f3: "-4.0 - 3.0 * near - near * near + grown * (4.0 - near)",
    }
    for row in (f1, f2, f3):
        yield f"{row} = step * ({series[row]}) if small else cubed * ({exact[row]})"


def guess(rows: Rows, module: Module, name: str, stage: int, size: int) -> str:
    """The state at which the slopes of a stage are taken."""
    if stage == 1:
        return f"y__{name}"
    if name in module.decay:
        half, q = rows[f"{name}@half{size}"], rows[f"{name}@q{size}"]
        if stage == 4:
            return f"{half} * {name}__2 + {q} * (2.0 * k3__{name} - k1__{name})"
        return f"{half} * y__{name} + {q} * k{stage - 1}__{name}"
    if name in module.lost:
        early, late = f"early__{name}", f"late__{name}"
        return {
            2: f"{early} * (y__{name} + 0.5 * h * k1__{name})",
            3: f"{early} * y__{name} + 0.5 * h * k2__{name}",
            4: f"{late} * ({early} * y__{name} + h * k3__{name})",
        }[stage]
    return f"y__{name} + {'h' if stage == 4 else '0.5 * h'} * k{stage - 1}__{name}"


def rise(name: str) -> str:
    """What a step adds to a state without a fall."""
    return f"h / 6.0 * (k1__{name} + 2.0 * (k2__{name} + k3__{name}) + k4__{name})"


def stages_sum(name: str) -> str:
    """Six times the mean of a state without a fall over a step, with the weights by which its slopes are taken."""
    return f"({name}__1 + 2.0 * ({name}__2 + {name}__3) + {name}__4)"


def step_end(rows: Rows, module: Module, name: str, size: int) -> str:
    """The state at the end of the step."""
    k1, k2, k3, k4 = (f"k{stage}__{name}" for stage in (1, 2, 3, 4))
    if name in module.decay:
        whole, f1, f2, f3 = (rows[f"{name}@{part}{size}"] for part in ("whole", "f1", "f2", "f3"))
        return f"{whole} * y__{name} + {f1} * {k1} + 2.0 * {f2} * ({k2} + {k3}) + {f3} * {k4}"
    if name in module.lost:
        early, late = f"early__{name}", f"late__{name}"
        return f"{late} * ({early} * (y__{name} + h / 6.0 * {k1}) + h / 3.0 * ({k2} + {k3})) + h / 6.0 * {k4}"
    return f"y__{name} + {rise(name)}"


def step_middle(rows: Rows, module: Module, name: str, size: int) -> str:
    """The state in the middle of the step, to third order."""
    plain = f"y__{name} + h / 24.0 * (5.0 * k1__{name} + 4.0 * (k2__{name} + k3__{name}) - k4__{name})"
    if name not in module.decay and name not in module.lost:
        return plain
    if name in module.decay:
        # so that Simpson's rule over the nodes gives the exact mean of the state: what came in less what it rose by
        rate = f"(1.0 - {rows[f'{name}@half{size}']}) / {rows[f'{name}@q{size}']}"
        mean = f"({rise(name)} - {rows[name]} + y__{name}) / ({rate} * h)"
        # what hardly falls has no such mean
        return f"1.5 * {mean} - 0.25 * (y__{name} + {rows[name]}) if {rate} * h > 0.001 else {plain}"
    first, last = f"k1__{name} - u0__{name} * y__{name}", f"k4__{name} - u2__{name} * {name}__4"
    return f"0.5 * (y__{name} + {rows[name]}) + 0.125 * h * ({first} - ({last}))"

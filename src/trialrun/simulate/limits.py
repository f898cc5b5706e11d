"""What each number of a population can be at all: shares from 0 to 1, rates of 0 or more, and so on (data/quantities.csv)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.number import Bound, Number
from trialrun.vocab.problems import Location, Problem

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
MIDDLE = 1.959964  # standard deviations: 95 % lie within
FAR_TRIALS = 3.29  # standard deviations: one trial in a thousand lies beyond
FAR = 4.753424  # standard deviations: one subject in a million lies beyond on each side
Where = Callable[[str, str], Location]  # of a number's name and one of its fields
# Numbers that only make sense beside each other: the first of each stands below the second.
_IN_ORDER = (("flare.flare_1", "flare.flare_2"), ("flare.flare_2", "flare.flare_3"))


@dataclass(frozen=True, slots=True)
class Limits:
    """From `low` to `high`, each with the edge itself unless it is open; infinite where there is none."""

    low: float
    high: float
    low_open: bool
    high_open: bool

    def hold(self, values: FloatArray | float) -> BoolArray:
        """Whether each of the values lies within; one that is no number does not."""
        found = np.asarray(values)
        above = found > self.low if self.low_open else found >= self.low
        below = found < self.high if self.high_open else found <= self.high
        return np.asarray(above & below)

    def __str__(self) -> str:
        if np.isinf(self.high):
            return f"above {self.low:g}" if self.low_open else f"at least {self.low:g}"
        edges = [f"above {self.low:g}"] * self.low_open + [f"below {self.high:g}"] * self.high_open
        return f"{self.low:g} to {self.high:g}" + (f", {' and '.join(edges)}" if edges else "")


@cache
def limits() -> Mapping[str, Limits]:
    """By `section.name`, in the unit of the number."""
    table = files("trialrun.simulate").joinpath("data/quantities.csv").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            f"{row['section']}.{row['name']}": _read(row["low"], row["high"])
            for row in csv.DictReader(table.splitlines())
        }
    )


def _read(low: str, high: str) -> Limits:
    """`>0` and `<1` are open edges; nothing is no edge."""
    return Limits(
        float(low.removeprefix(">") or "-inf"),
        float(high.removeprefix("<") or "inf"),
        low.startswith(">"),
        high.startswith("<"),
    )


def check_numbers(
    numbers: Mapping[str, Number],
    where: Where,
    came: Callable[[str], str] = lambda name: "",
    of: Collection[str] | None = None,
) -> Iterator[Problem]:
    """A Problem for each number that nothing can be: its value, where its distribution is cut off, how far it reaches, and
    numbers that do not go together. `came` says how a value came about, after what was found; `of` are the names to check."""
    wanted = [name for name in numbers if of is None or name in of]
    for name in wanted:
        number, legal = numbers[name], limits()[name]
        unit = "" if number.unit == "1" else f" {number.unit}"
        if not legal.hold(number.value):
            found = f"{number.value:g}{unit}{came(name)}"
            yield Problem("impossible-number", f"{name} cannot be this", found, f"{legal}{unit}", where(name, "value"))
            continue
        varies = number.variability
        if varies is None:
            continue
        for edge, side in (("low", -1.0), ("high", 1.0)):
            cut = getattr(varies, edge)
            if cut is not None:
                if not legal.hold(cut):
                    message = f"{name} cannot be what its distribution is cut off at"
                    found, expected = f"{edge} {cut:g}{unit}", f"{legal}{unit}"
                    yield Problem("impossible-number", message, found, expected, where(name, edge))
                continue
            far = side * FAR * varies.spread
            reached = number.value * np.exp(far) if varies.distribution == "lognormal" else number.value + far
            if not legal.hold(reached):
                message = f"{name} differs so much that some subjects would have what cannot be"
                found = f"{reached:.4g}{unit} in one of a million{came(name)}"
                expected = f"{legal}{unit}: less spread, or `{edge}` of the distribution"
                yield Problem("impossible-number", message, found, expected, where(name, edge))
    yield from _check_together(numbers, where, wanted)


def _check_together(numbers: Mapping[str, Number], where: Where, wanted: Collection[str]) -> Iterator[Problem]:
    first, second = "baseline.ecog_0", "baseline.ecog_1"
    for name in (name for name in (second, first) if name in wanted):
        parts = numbers[first].value, numbers[second].value
        if sum(parts) > 1.0 + 1e-9:
            message, found = "the parts with ECOG 0 and 1 are more than everybody", f"{parts[0]:g} and {parts[1]:g}"
            yield Problem("impossible-number", message, found, "a sum of at most 1", where(name, "value"))
        break
    lymphocytes, normal = "baseline.lymphocytes", "leukemia.normal_lymphocytes"
    for name in (name for name in (lymphocytes, normal) if name in wanted):
        varies, floor = numbers[lymphocytes].variability, numbers[lymphocytes].value
        if varies is not None:
            floor = varies.low if varies.low is not None else floor * float(np.exp(-FAR * varies.spread))
        if floor <= numbers[normal].value:
            message = "some subjects would have fewer lymphocytes than those that are not CLL"
            found = f"lymphocytes from {floor:.3g}, of which {numbers[normal].value:g} are not CLL"
            expected = f"`low` of {lymphocytes} above {normal}"
            yield Problem("impossible-number", message, found, expected, where(name, "low"))
        break
    for below, above in _IN_ORDER:
        for name in (name for name in (above, below) if name in wanted):
            if numbers[below].value > numbers[above].value:
                message, found = f"{below} lies above {above}", f"{numbers[below].value:g}, {numbers[above].value:g}"
                yield Problem("impossible-number", message, found, "rising thresholds", where(name, "value"))
            break


def check_between(
    sds: Mapping[str, float], numbers: Mapping[str, Number], where: Callable[[str], Location]
) -> Iterator[Problem]:
    """A Problem for each number that differs so much between trials that it is impossible in some, or beyond where its
    distribution between subjects is cut off; `sds` are of the logarithm."""
    for name, sd in sds.items():
        number, legal = numbers[name], limits()[name]
        cuts, varies = legal, number.variability
        if varies is not None and varies.low is not None:
            cuts = replace(cuts, low=varies.low, low_open=False)
        if varies is not None and varies.high is not None:
            cuts = replace(cuts, high=varies.high, high_open=False)
        for within, far, often in ((legal, FAR_TRIALS, "999 of 1,000"), (cuts, MIDDLE, "95 of 100")):
            reached = np.sort(number.value * np.exp(np.array([-1.0, 1.0]) * far * sd))
            if not within.hold(reached).all():
                unit = "" if number.unit == "1" else f" {number.unit}"
                found = f"sd {sd:g}: {reached[0]:.3g} to {reached[1]:.3g}{unit} in {often} trials"
                message = f"{name} differs so much between trials that some would have what cannot be"
                yield Problem("impossible-number", message, found, f"{within}{unit}: a smaller sd", where(name))
                break


def check_bounds(enrolled: Mapping[str, Bound], where: Where) -> Iterator[Problem]:
    """A Problem for each bound of who was enrolled that nothing can be."""
    for name, bound in enrolled.items():
        legal = limits()[f"enrolled.{name}"]
        for edge in ("low", "high"):
            value = getattr(bound, edge)
            if value is not None and not legal.hold(value):
                message = f"enrolled.{name} cannot be this"
                yield Problem("impossible-number", message, f"{edge} {value:g}", str(legal), where(name, edge))

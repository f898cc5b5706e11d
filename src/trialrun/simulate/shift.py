"""How a number of a population differs from the one that it extends, and from the one that that extends, and so on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError, model_validator

from trialrun.simulate.number import STRICT, Number, Sources, Status

FloatArray = NDArray[np.float64]
WAYS = ("factor", "odds", "add", "value")  # of moving the centre
SPREADS = ("omega", "sd")
CUTS = ("low", "high")


class Shift(BaseModel):
    """One statement of how a number differs from that of the population that is extended: its centre by a factor, by a factor
    of its odds (a share), by a sum, or replaced; its spread between subjects and where its distribution is cut off, replaced.

    What is not said stays as it was. `fitted`: an ensemble that holds `section.name:shift` has the factor (of the odds) of
    each parameter set.
    """

    model_config = STRICT

    factor: float | None = None
    odds: float | None = None
    add: float | None = None
    value: float | None = None
    omega: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    fitted: bool = False
    status: Status
    source: Sources
    note: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        stated = [name for name in (*WAYS, *SPREADS, *CUTS) if getattr(self, name) is not None]
        if len([name for name in stated if name in WAYS]) > 1:
            raise ValueError("a shift takes one of factor, odds, add and value")
        if not stated:
            raise ValueError("a shift says what differs: factor, odds, add, value, omega, sd, low or high")
        if self.odds is not None and self.odds <= 0:
            raise ValueError("a factor of odds is above 0")
        if self.fitted and (self.factor or self.odds or 0.0) <= 0:
            raise ValueError("only a factor or odds above 0 can be fitted")
        return self

    def apply(self, values: FloatArray, size: FloatArray | None = None) -> FloatArray:
        """The shifted values, shape of `values`; `size` (the same shape) stands instead of the file's factor (of the odds)."""
        if self.value is not None:
            return np.full_like(values, self.value)
        if self.add is not None:
            return np.asarray(values + self.add)
        if self.odds is not None:
            odds = values / (1.0 - values) * (self.odds if size is None else size)
            return np.asarray(odds / (1.0 + odds))
        if self.factor is not None:
            return np.asarray(values * (self.factor if size is None else size))
        return values.copy()

    def describe(self) -> str:
        """What it says, as it stands in the file: `factor 2, low 30`."""
        named = ((name, getattr(self, name)) for name in (*WAYS, *SPREADS, *CUTS))
        said = ", ".join(f"{name} {value:g}" for name, value in named if value is not None)
        return f"{said} (fitted)" if self.fitted else said


@dataclass(frozen=True, slots=True)
class Step:
    """One shift of a number: `of` is the id of the population that states it; `before` and `after` are the centre in the
    unit of the number, with the sizes that the files state."""

    of: str
    shift: Shift
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Shifts:
    """Every shift of one number in the order of extension, each applied to what the one before it left."""

    steps: tuple[Step, ...]

    @property
    def replaced(self) -> tuple[Step, ...]:
        """Steps that no longer move the centre, because a later one replaces it by a value."""
        return self.steps[: self._last_value()]

    @property
    def replaced_by(self) -> str | None:
        """The id of the population whose value replaced the steps before it."""
        return self.steps[self._last_value()].of if self.replaced else None

    @property
    def fitted(self) -> bool:
        """Whether the size of one of the steps in effect is that of each parameter set."""
        return any(step.shift.fitted for step in self.steps[self._last_value() :])

    @property
    def states_value(self) -> bool:
        """Whether the centre was replaced, so that no parameter set decides it."""
        return any(step.shift.value is not None for step in self.steps)

    @property
    def states_spread(self) -> bool:
        """Whether the spread between subjects was replaced, so that no parameter set decides it."""
        return any(step.shift.omega is not None or step.shift.sd is not None for step in self.steps)

    def apply(self, values: FloatArray, size: FloatArray | None = None) -> FloatArray:
        """Values (n,) of the number of the file that states all numbers, as they are after every step; `size` (n,) is the size
        of the step that is fitted."""
        for step in self.steps:
            values = step.shift.apply(values, size if step.shift.fitted else None)
        return values

    def _last_value(self) -> int:
        return max((place for place, step in enumerate(self.steps) if step.shift.value is not None), default=0)


class ImpossibleShiftError(ValueError):
    """A shift that its number cannot take: what is wrong, what was found, what would be right."""

    def __init__(self, what: str, found: str, expected: str, field: str | None = None) -> None:
        super().__init__(what)
        self.found, self.expected, self.field = found, expected, field


def shift_number(name: str, old: Number, shift: Shift, before: Shifts | None) -> Number:
    """The number after the shift, with its status; sources and notes of the steps that are still in effect, in order.
    ImpossibleShiftError where the shift does not go with the number or with the shifts before it."""
    if shift.odds is not None and not 0.0 < old.value < 1.0:
        raise ImpossibleShiftError(f"{name} is no share: it has no odds", f"{old.value:g}", "factor or add", "odds")
    if shift.fitted and before is not None and before.fitted:
        (other,) = [step.of for step in before.steps if step.shift.fitted and step not in before.replaced]
        found, expected = f"the shift of {other} is fitted", "`fitted` left out: this shift comes on top of that one"
        raise ImpossibleShiftError(f"an ensemble holds one fitted shift of {name}", found, expected, "fitted")
    plain = old.model_dump()
    plain["value"] = float(shift.apply(np.array([old.value]))[0])
    moves = any(getattr(shift, way) is not None for way in WAYS)
    plain["variability"] = _spread(name, old, shift, shift.status if moves else old.status)
    earlier = () if before is None or shift.value is not None else before.steps[len(before.replaced) :]
    plain |= {"status": shift.status, **_told(shift, earlier)} if moves else _also_told(shift, old)
    try:
        return Number.model_validate(plain)
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ImpossibleShiftError(f"{name}: {what}", *_right(plain["value"], plain["variability"], shift)) from None


def _right(value: float, varies: dict[str, object] | None, shift: Shift) -> tuple[str, str]:
    """What was found where a number and its distribution do not go together after a shift, and what would be right."""
    low, high = ((varies or {}).get(edge) for edge in CUTS)
    cuts = " and ".join(
        f"{edge} {cut:g}" for edge, cut in zip(CUTS, (low, high), strict=True) if isinstance(cut, float)
    )
    if isinstance(low, float) and isinstance(high, float) and low >= high:
        return cuts, "`low` below `high`"
    if varies is not None and varies["distribution"] == "lognormal":
        if value <= 0:
            way = next(way for way in WAYS if getattr(shift, way) is not None)
            right = "a sum that leaves it above 0" if way == "add" else f"a {way} above 0"
            return f"{way} {getattr(shift, way):g}", right
        if any(isinstance(cut, float) and cut <= 0 for cut in (low, high)):
            return cuts, "cuts above 0"
    return f"{value:g}, cut off at {cuts}", "a shift within the cuts, or `low` and `high` in the shift"


def _spread(name: str, old: Number, shift: Shift, status: Status) -> dict[str, object] | None:
    """The distribution after the shift, which says its own status where that is not the `status` of the number."""
    changed = {key: getattr(shift, key) for key in (*SPREADS, *CUTS) if getattr(shift, key) is not None}
    if old.variability is None:
        if changed:
            said = ", ".join(f"{key} {value:g}" for key, value in changed.items())
            expected = "a shift of its value alone"
            raise ImpossibleShiftError(
                f"{name} is the same for all subjects: it has no distribution", said, expected, next(iter(changed))
            )
        return None
    wanted, other = SPREADS if old.variability.distribution == "lognormal" else SPREADS[::-1]
    if other in changed:
        what = f"{name} has a {old.variability.distribution} distribution: its spread is {wanted}, not {other}"
        raise ImpossibleShiftError(what, f"{other} {changed[other]:g}", f"{wanted}: ...", other)
    if changed.get(wanted, 1.0) <= 0:
        raise ImpossibleShiftError(
            f"a spread of {name} is above 0", f"{changed[wanted]:g}", f"{wanted} above 0", wanted
        )
    own = shift.status if wanted in changed else old.variability.status or old.status
    return {**old.variability.model_dump(), **changed, "status": None if own == status else own}


def _told(shift: Shift, earlier: tuple[Step, ...]) -> dict[str, object]:
    """Source and note after this shift: its own, and those of the steps that it comes on top of."""
    if not earlier:
        return {"source": shift.source, "note": shift.note}
    sources: dict[str, None] = {}
    for step in (*(step.shift for step in earlier), shift):
        sources |= dict.fromkeys([step.source] if isinstance(step.source, str) else step.source)
    notes = [f"{step.shift.describe()} ({step.of}{_colon(step.shift.note)})" for step in earlier]
    note = f"{'; '.join(notes)}; then {shift.describe()}{_colon(shift.note)}"
    return {"source": list(sources), "note": note}


def _also_told(shift: Shift, old: Number) -> dict[str, object]:
    """Source and note where only the spread or the cuts differ: what is said of the centre stays."""
    both = [
        cited for part in (old, shift) for cited in ([part.source] if isinstance(part.source, str) else part.source)
    ]
    said = f"{shift.describe()} ({shift.status}){_colon(shift.note)}"
    return {"source": list(dict.fromkeys(both)), "note": said if old.note is None else f"{old.note}; {said}"}


def _colon(note: str | None) -> str:
    return "" if note is None else f": {note}"

"""One number of a population file: its value, unit, spread between subjects, status and source."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Status = Literal["published", "derived", "tuned", "assumed"]
Sources = str | list[str]
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Variability(BaseModel):
    """How a number differs between subjects: see the head of the population file.

    `status` is that of the spread, where it is another one than that of the value.
    """

    model_config = STRICT

    distribution: Literal["lognormal", "normal"]
    omega: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    factor: Literal["burden"] | None = None
    correlation: float | None = None
    status: Status | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wanted, other = ("omega", "sd") if self.distribution == "lognormal" else ("sd", "omega")
        spread = getattr(self, wanted)
        if spread is None or spread <= 0 or getattr(self, other) is not None:
            raise ValueError(f"a {self.distribution} distribution takes {wanted} above 0 and no {other}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")
        if self.distribution == "lognormal" and any(cut is not None and cut <= 0 for cut in (self.low, self.high)):
            raise ValueError("the cuts of a lognormal distribution must be above 0")
        if (self.factor is None) != (self.correlation is None):
            raise ValueError("factor and correlation stand together")
        if self.correlation is not None and not 0 <= self.correlation < 1:
            raise ValueError("correlation must be at least 0 and below 1")
        return self

    @property
    def spread(self) -> float:
        """Standard deviation: of the logarithm (lognormal) or in the unit of the number (normal)."""
        spread = self.omega if self.distribution == "lognormal" else self.sd
        assert spread is not None  # the validator has seen to it
        return spread


class Number(BaseModel):
    """One number of the model with what is known of it."""

    model_config = STRICT

    symbol: str | None = None
    label: str
    value: float
    unit: str
    variability: Variability | None = None
    status: Status
    source: Sources
    note: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        varies = self.variability
        if varies is None:
            return self
        if varies.distribution == "lognormal" and self.value <= 0:
            raise ValueError("the median of a lognormal distribution must be above 0")
        if (varies.low is not None and self.value <= varies.low) or (
            varies.high is not None and self.value >= varies.high
        ):
            raise ValueError("the value must lie between low and high")
        return self


class Bound(BaseModel):
    """What is true of everyone who was enrolled."""

    model_config = STRICT

    low: float | None = None
    high: float | None = None
    unit: str
    status: Status
    source: Sources
    note: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")
        return self

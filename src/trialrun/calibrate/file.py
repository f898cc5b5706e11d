"""What may stand in calibration.yaml: trials, facts seen in them, and priors."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

FloatArray = NDArray[np.float64]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Prior(BaseModel):
    """What is thought of a number before the facts: its median, and the standard deviation on the scale.

    `log`: of the logarithm; `logit`: of log(x / (1 - x)), for shares.
    """

    model_config = _STRICT

    median: float
    sd: float
    scale: Literal["log", "logit"] = "log"
    why: str

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.sd <= 0 or self.median <= 0 or (self.scale == "logit" and self.median >= 1):
            raise ValueError("sd above 0 and a median above 0 (below 1 on the logit scale)")
        return self

    def value(self, score: FloatArray) -> FloatArray:
        """The number at so many prior standard deviations from its median, (n,)."""
        if self.scale == "log":
            return np.asarray(self.median * np.exp(self.sd * score))
        return np.asarray(1.0 / (1.0 + np.exp(-(np.log(self.median / (1.0 - self.median)) + self.sd * score))))


class Seen(BaseModel):
    """A trial in which facts were seen: the study file, its version, how many cycles are simulated for it.

    `without` names co-medication of the protocol that this trial did not have.
    """

    model_config = _STRICT

    study: str
    version: str | None = None
    cycles: int = Field(ge=1)
    without: list[str] = []
    note: str | None = None


class Fact(BaseModel):
    """What was published of `of` subjects of these trials (pooled in equal parts): a count, or a median.

    `events` of them had the outcome; `count: episodes` counts episodes of it over all subjects instead (its likelihood is that
    of a count whose mean varies between trials). `median`: half of them had a value up to it; so many values on either side are
    the sampling distribution of a median, the density of the value itself left out. `at_most`: so many or fewer, where a report
    bounds the count. `among` names the outcome that they all
    had. `overdispersion` is that of this fact, where trials differ more in it than in others. `report` names the
    published trial, so that all facts of one can be left out together.
    """

    model_config = _STRICT

    outcome: str
    seen_in: list[str] = Field(min_length=1)
    events: int | None = None
    median: float | None = None
    of: int = Field(ge=1)
    among: str | None = None
    at_most: bool = False
    count: Literal["subjects", "episodes"] = "subjects"
    overdispersion: float | None = Field(default=None, ge=0, lt=1)
    report: str | None = None
    source: str
    note: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.events is None) is (self.median is None):
            raise ValueError("either events or a median")
        if self.count == "episodes" and (self.median is not None or self.among is not None):
            raise ValueError("episodes are counted over all subjects: no median, no among")
        if self.at_most and (self.events is None or self.count == "episodes"):
            raise ValueError("at_most bounds the events of a count of subjects")
        return self

    @property
    def seen(self) -> float:
        """How many of `of` were seen with the outcome; of a median, half."""
        return self.of / 2 if self.events is None else float(self.events)

    @property
    def told(self) -> str:
        """As people say it: 14/25, at most 2/30, or median 4 (19)."""
        if self.events is None:
            return f"median {self.median:g} ({self.of})"
        return f"{'at most ' if self.at_most else ''}{self.events}/{self.of}"


class CalibrationFile(BaseModel):
    """calibration.yaml beside the population."""

    model_config = _STRICT

    trialrun: Literal[1]
    study: str
    overdispersion: float = Field(ge=0, lt=1)
    overdispersion_why: str
    trials: dict[str, Seen]
    facts: dict[str, Fact]
    priors: dict[str, Prior]


class OtherStructure(BaseModel):
    """calibration.yaml beside a population with other equations: trials and facts are those of the calibration it extends, all
    people have the equations (`options`) of the population beside it, and priors may be added or stated anew."""

    model_config = _STRICT

    trialrun: Literal[1]
    study: str
    extends: str
    why: str
    priors: dict[str, Prior] = {}

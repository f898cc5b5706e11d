"""The protocol file as it is written: its keys and their types, before any rule is read."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from trialrun.vocab.units import find_unit

Status = Literal["published", "derived", "assumed"]


class Part(BaseModel):
    """Base of every part: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, defer_build=True)


def _read_days(text: Any) -> Any:
    match = re.fullmatch(r"\s*(\d+)\s+days?\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("should be a whole number of days such as '28 days'")
    return int(match.group(1))


def _read_amount(text: Any) -> Any:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-zµ]\S*)\s*", text) if isinstance(text, str) else None
    unit = find_unit(match.group(2)) if match else None
    if match is None or unit is None:
        raise ValueError("should be an amount with its unit such as '2.5 mg'")
    return Amount(float(match.group(1)), unit)


def _read_given(text: Any) -> Any:
    match = re.fullmatch(r"\s*days?\s+(\d+)\s+to\s+(\d+)\s*", text) if isinstance(text, str) else None
    if match is None or not 1 <= int(match.group(1)) <= int(match.group(2)):
        raise ValueError("should be the dosing days of a cycle such as 'days 1 to 21'")
    return int(match.group(1)), int(match.group(2))


def _read_cycles(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value, value
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+)\s+(?:to\s+(\d+)|(onwards))\s*", value)
        if match:
            first = int(match.group(1))
            last = None if match.group(3) else int(match.group(2))
            if first >= 1 and (last is None or last >= first):
                return first, last
    raise ValueError("should be cycles such as '1', '1 to 3' or '2 onwards'")


def _read_window(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        before = re.fullmatch(r"\s*(\d+)\s+days?\s+before\s*", value[0])
        after = re.fullmatch(r"\s*(\d+)\s+days?\s+after\s*", value[1])
        if before and after:
            return int(before.group(1)), int(after.group(1))
    raise ValueError("should be a window such as [2 days before, 1 days after]")


def _read_date(value: Any) -> Any:
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("should be a date such as 2007-03-01")


class Amount(NamedTuple):
    """A dose with its UCUM unit."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else _read_amount(value),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return _text(r"^\s*\d+(\.\d+)?\s*[A-Za-zµ]\S*\s*$", "an amount with its unit", "2.5 mg")


def _text(pattern: str, says: str, example: str) -> dict[str, Any]:
    """JSON Schema of a value written as text, for editors."""
    return {"type": "string", "pattern": pattern, "description": f"{says}, such as {example}", "examples": [example]}


_DAYS = r"^\s*\d+\s+days?\s*$"
_BEFORE = _text(r"^\s*\d+\s+days?\s+before\s*$", "how early", "2 days before")
_AFTER = _text(r"^\s*\d+\s+days?\s+after\s*$", "how late", "1 days after")
_WINDOW = {"type": "array", "prefixItems": [_BEFORE, _AFTER], "minItems": 2, "maxItems": 2}
_GIVEN = r"^\s*days?\s+\d+\s+to\s+\d+\s*$"
_CYCLES = r"^\s*\d+\s+(to\s+\d+|onwards)\s*$"
_DATE = {"type": "string", "format": "date"}

Days = Annotated[int, BeforeValidator(_read_days), WithJsonSchema(_text(_DAYS, "a number of days", "28 days"))]
GivenDays = Annotated[
    tuple[int, int],
    BeforeValidator(_read_given),
    WithJsonSchema(_text(_GIVEN, "the dosing days of a cycle", "days 1 to 21")),
]
Cycles = Annotated[
    tuple[int, int | None],
    BeforeValidator(_read_cycles),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, _text(_CYCLES, "cycles", "1 to 3")]}),
]
Window = Annotated[tuple[int, int], BeforeValidator(_read_window), WithJsonSchema(_WINDOW)]
CalendarDate = Annotated[date, BeforeValidator(_read_date), WithJsonSchema(_DATE)]


class Sourced(Part):
    """A part whose words or numbers come from somewhere: `source` is a key of `study.sources`."""

    status: Status
    source: str
    note: str | None = None


class Study(Part):
    id: str
    title: str
    registry: str | None = None
    phase: str
    condition: str
    sources: dict[str, str]


class TermPart(Part):
    """A word of this protocol: an adverse event, a choice of the investigator, or a derived term."""

    kind: Literal["event", "choice", "derived"]
    label: str
    says: str
    means: str | None = None
    unless_entered: Literal["no"] | None = None

    @model_validator(mode="after")
    def _complete(self) -> TermPart:
        if (self.kind == "derived") != (self.means is not None):
            raise ValueError("a derived term needs `means`, and no other term may have it")
        if (self.kind == "choice") != (self.unless_entered is not None):
            raise ValueError("a choice needs `unless_entered: no`, and no other term may have it")
        return self


class EligibilityPart(Sourced):
    section: str
    kind: Literal["inclusion", "exclusion"]
    says: str
    when: str


class TreatmentPart(Sourced):
    drug: str
    route: str
    section: str
    says: str
    levels: list[Amount] = Field(min_length=1)
    start: Amount
    target: Amount
    cycle: Days
    give: GivenDays
    missed_dose: Literal["not made up"]
    below_lowest_level: Literal["stop treatment", "stay at the lowest level"]


class RowPart(Part):
    """One row of a table: `when` and `then`, or `otherwise` alone."""

    name: str | None = None
    when: str | None = None
    then: str | None = None
    otherwise: str | None = None
    up_to: Amount | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> RowPart:
        if self.otherwise is not None:
            if (self.when, self.then, self.up_to) != (None, None, None):
                raise ValueError("`otherwise` stands alone in its row")
        elif self.when is None or self.then is None or self.name is None:
            raise ValueError("a row needs `name`, `when` and `then`, or `otherwise` alone")
        return self


class TablePart(Sourced):
    section: str
    says: str
    rows: list[RowPart] = Field(min_length=1)


class StepUpPart(TablePart):
    at: Literal["decision visits", "cycle start"]


class ConcomitantPart(Sourced):
    section: str
    says: str
    dose: Amount | None = None
    while_: str = Field(alias="while")


class ActivityPart(Part):
    label: str
    tests: list[str] = []
    samples: list[str] = []
    asks_for_events: bool = False
    assesses_response: bool = False
    when_complete_for: Days | None = None
    again_after: Days | None = None

    @model_validator(mode="after")
    def _both(self) -> ActivityPart:
        if (self.when_complete_for is None) != (self.again_after is None):
            raise ValueError("`when_complete_for` and `again_after` stand together")
        if self.when_complete_for is not None and (self.asks_for_events or self.assesses_response or not self.tests):
            raise ValueError("an activity with `when_complete_for` has `tests` and does nothing else")
        return self


class SamplePart(Sourced):
    """A sample for the laboratory of the study: at which visits it is taken from which tissue.

    `comparison` names two of the visits, `after - before`: the change within subjects that is analysed.
    """

    section: str
    says: str
    tissue: str
    visits: list[str] = Field(min_length=1)
    comparison: str | None = None


class VisitPart(Part):
    """A visit: on a day of some cycles, or repeated while a state lasts, or once after it began."""

    does: list[str] = Field(min_length=1)
    day: int | None = None
    window: Window | None = None
    cycles: Cycles | None = None
    every: Days | None = None
    after: Days | None = None
    when: Literal["held", "treatment ended"] | None = None
    decides_dose: bool = False

    @model_validator(mode="after")
    def _complete(self) -> VisitPart:
        if self.when is None:
            if self.day is None or self.window is None:
                raise ValueError("a visit needs `day` and `window`, or `when` with `every` or `after`")
            if self.day == 0:
                raise ValueError("there is no study day 0: the day of the first dose is day 1, the day before day -1")
            if self.day > 0 and self.cycles is None:
                raise ValueError("a visit on or after day 1 needs `cycles` such as '1 to 3' or '2 onwards'")
            if self.day < 0 and self.cycles is not None:
                raise ValueError("a visit before the first dose belongs to no cycle")
        elif (self.every is None) == (self.after is None):
            raise ValueError("a visit with `when` needs either `every` or `after`")
        elif self.every == 0:
            raise ValueError("a visit cannot repeat every 0 days")
        return self


class SchedulePart(Sourced):
    """Where the visits, their days and their windows come from."""

    section: str
    says: str


class ResponsePart(Part):
    standard: Literal["NCI-WG-1996", "iwCLL-2008", "iwCLL-2018"]
    status: Status
    source: str


class StandardPart(Part):
    standard: str
    status: Status
    source: str


class StudyRulePart(Sourced):
    section: str
    says: str
    when: str
    then: str


class VersionPart(Sourced):
    """One version in full."""

    date: CalendarDate
    objectives: dict[str, str]
    eligibility: dict[str, EligibilityPart]
    treatment: TreatmentPart
    step_up: StepUpPart
    dose_modification: TablePart
    discontinuation: TablePart
    concomitant: dict[str, ConcomitantPart] = {}
    activities: dict[str, ActivityPart]
    samples: dict[str, SamplePart] = {}
    visits: dict[str, VisitPart]
    schedule: SchedulePart
    response: ResponsePart
    criteria: dict[str, StandardPart]
    study_rules: dict[str, StudyRulePart]
    disposition_reasons: list[str]


class ChangePart(Part):
    """One change of an amendment: the dotted path that is set (or removed, where `to` is null), to what, and why."""

    set: str
    because: str
    to: Any


class AmendmentPart(Sourced):
    """A version written as its difference from another one."""

    amends: str
    date: CalendarDate
    reason: str
    applies_to: str
    changes: list[ChangePart] = Field(min_length=1)


class ProtocolDocument(Part):
    """The whole file. `versions` are read one by one, since an amendment is complete only after its changes."""

    trialrun: Literal[1]
    study: Study
    terms: dict[str, TermPart]
    versions: dict[str, Any]

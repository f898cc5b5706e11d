"""The tables of a record directory and their columns: what a line of the record can say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from trialrun.vocab.codes import DECISION, DISPOSITION, SEX, YES_NO

Codes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Polars type, whether a line must have it, what it means, and its code list where it has one."""

    name: str
    dtype: pl.DataType
    required: bool
    meaning: str
    codes: Codes | None = None


def _text(name: str, meaning: str, required: bool = False, codes: Codes | None = None) -> Column:
    return Column(name, pl.String(), required, meaning, codes)


def _date(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, pl.Date(), required, meaning)


def _number(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, pl.Float64(), required, meaning)


_ENTRY = _text("entry", "identifier of the line, unique in the record", required=True)
_SUBJECT = _text("subject", "subject identifier, one of subjects.csv", required=True)
_CORRECTION = (
    _date("known", "when it became known to the site; empty: on the day it happened"),
    _text("corrects", "the entry that this line replaces; empty: none"),
    _text("why_corrected", "reason of the correction; required where `corrects` is given"),
)

TABLES: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "subjects": (
            _ENTRY,
            _SUBJECT,
            _text("site", "site identifier", required=True),
            _text("sex", "sex (CDISC SEX)", required=True, codes=SEX),
            _date("birth_date", "date of birth", required=True),
            *_CORRECTION,
        ),
        "consents": (
            _ENTRY,
            _SUBJECT,
            _date("date", "when the subject consented", required=True),
            _text("version", "protocol version consented to", required=True),
            *_CORRECTION,
        ),
        "approvals": (
            _ENTRY,
            _text("site", "site identifier", required=True),
            _date("date", "when the site activated the version after approval", required=True),
            _text("version", "protocol version activated", required=True),
            *_CORRECTION,
        ),
        "findings": (
            _ENTRY,
            _SUBJECT,
            _date("date", "when the sample was taken or the finding made", required=True),
            Column("time", pl.Time(), False, "time of day, where hours matter"),
            _text("visit", "visit name of the plan; empty: unscheduled"),
            _text("test", "what was measured: a test name, code or synonym", required=True),
            _number("value", "the result, when it is a number"),
            _text("text", "the result, when it is not a number (yes, no, a category)"),
            _text("unit", "unit of value, low and high; required where the test has one"),
            _number("low", "lower limit of the reference range"),
            _number("high", "upper limit of the reference range"),
            *_CORRECTION,
        ),
        "exposures": (
            _ENTRY,
            _SUBJECT,
            _date("date", "first day of this dose", required=True),
            _date("end_date", "last day of this dose, inclusive; empty: the same day"),
            _text("drug", "drug name of the protocol", required=True),
            _number("dose", "dose taken a day; 0 = held or missed", required=True),
            _text("unit", "unit of the dose", required=True),
            _text("reason", "why the dose was held, missed or changed"),
            *_CORRECTION,
        ),
        "adverse_events": (
            _ENTRY,
            _SUBJECT,
            _date("date", "start", required=True),
            _date("end_date", "end; empty: going on"),
            _text("term", "event term", required=True),
            _number("grade", "severity grade 1 to 5", required=True),
            _text("serious", "whether it is serious (ICH E2A)", codes=YES_NO),
            _text("related", "whether it may be due to the study drug", codes=YES_NO),
            *_CORRECTION,
        ),
        "concomitant": (
            _ENTRY,
            _SUBJECT,
            _date("date", "start", required=True),
            _date("end_date", "end; empty: going on"),
            _text("treatment", "treatment name", required=True),
            _number("dose", "dose a day"),
            _text("unit", "unit of the dose"),
            _text("indication", "why it is given"),
            *_CORRECTION,
        ),
        "dispositions": (
            _ENTRY,
            _SUBJECT,
            _date("date", "when it happened", required=True),
            _text("event", "what happened to the subject", required=True, codes=DISPOSITION),
            _text("reason", "disposition reason of the protocol"),
            *_CORRECTION,
        ),
        "visits": (
            _ENTRY,
            _SUBJECT,
            _date("date", "when the visit took place", required=True),
            _text("visit", "visit name of the plan; empty: unscheduled"),
            *_CORRECTION,
        ),
        "decisions": (
            _ENTRY,
            _SUBJECT,
            _date("date", "day the decision is for", required=True),
            _text("action", "what was decided", required=True, codes=DECISION),
            _number("dose", "dose decided, a day; empty where none is"),
            _text("unit", "unit of the dose"),
            _text("version", "protocol version that decided", required=True),
            _text("rule", "the rule that decided", required=True),
            _text("reason", "in words, why"),
            _text("waits_for", "what an undetermined decision waits for"),
            *_CORRECTION,
        ),
    }
)


# Written and read beside the columns above: what was entered, where the line is in the unit of the test by now.
KEPT: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "findings": (
            _number("value_as_recorded", "the result as it was entered, where `value` was converted"),
            _text("unit_as_recorded", "the unit as it was entered"),
        )
    }
)


def schema(table: str) -> dict[str, pl.DataType]:
    """Column names and types of a table of the record."""
    return {column.name: column.dtype for column in TABLES[table]}

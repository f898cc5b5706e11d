"""A situation written in a few words, as the observations of one subject."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from trialrun.rules import Columns, History, Term
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.units import convert, find_unit
from trialrun.vocab.yaml_source import Key, YamlSource

_ROW = np.zeros(1, dtype=np.int64)
_NUMBER = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*(.*?)\s*", re.DOTALL)
_GRADE = re.compile(r"\s*grade\s+([1-5])\s*")
_FINDING_KEYS = ("value", "low", "high", "ago")
_EVENT_KEYS = ("grade", "ago", "ended")


@dataclass(frozen=True, slots=True)
class Finding:
    """A result with its reference range, in the term's unit, `day` days from the day of the situation."""

    term: str
    day: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Event:
    """An event that began on `day`; `end` NaN while it goes on."""

    term: str
    day: float
    grade: float
    end: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of one subject on one day. What is not in it is unknown.

    Days count from the day of the situation (0). `asked` lists the days on which a completed visit asked for events.
    """

    findings: tuple[Finding, ...]
    baseline: tuple[Finding, ...]
    events: tuple[Event, ...]
    states: Mapping[str, float]
    asked: tuple[float, ...]
    first_dose: float | None
    cycle_start: float | None

    def tell(self, history: History) -> Columns:
        """Enter the situation into a history of one subject, in order of days, and give its columns."""
        news: list[tuple[float, int, Finding | Event | str]] = [(item.day, 1, item) for item in self.findings]
        news += [(item.day, -2, item) for item in self.baseline]
        if self.first_dose is not None or self.baseline:
            news.append(((self.first_dose or 0.0) - 1.0, -1, "baseline"))
        news += [(item.day, 2, item) for item in self.events]
        news += [(day, 3, "asked") for day in self.asked]
        if self.first_dose is not None:
            news.append((self.first_dose, 0, "first dose"))
        if self.cycle_start is not None:
            news.append((self.cycle_start, 0, "cycle start"))
        for day, _, item in sorted(news, key=lambda entry: entry[:2]):
            if isinstance(item, Finding):
                _observe(history, item)
            elif isinstance(item, Event):
                history.event(item.term, _ROW, item.day, np.array([item.grade]), np.array([item.end]))
            elif item == "asked":
                history.reviewed(_ROW, day)
            elif item == "baseline":
                history.set_baseline(_ROW)
            elif item == "first dose":
                history.start_treatment(_ROW, day)
            else:
                history.start_cycle(_ROW, day)
        for name, value in self.states.items():
            history.set_state(name, _ROW, np.array([value]))
        return history.columns(0.0, _ROW)


def _observe(history: History, finding: Finding) -> None:
    history.observe(
        finding.term,
        _ROW,
        finding.day,
        np.array([finding.value]),
        np.array([finding.low]),
        np.array([finding.high]),
    )


def read_situation(
    source: YamlSource,
    at: Key,
    given: Mapping[str, Any],
    baseline: Mapping[str, Any],
    since: tuple[int | None, int | None],
    vocabulary: Mapping[str, Term],
) -> Situation:
    """The situation that stands at path `at` of a cases file; everything wrong with it is one TrialrunError."""
    reader = _Reader(source, vocabulary)
    reader.choices()
    for name, value in given.items():
        reader.read((*at, "given", name), name, value)
    findings = tuple(reader.findings)
    reader.findings.clear()
    for name, value in baseline.items():
        reader.baseline((*at, "baseline", name), name, value, since[0] or 0)
    if reader.problems:
        raise TrialrunError(reader.problems)
    return Situation(
        findings=findings,
        baseline=tuple(reader.findings),
        events=tuple(reader.events),
        states=dict(reader.states),
        asked=tuple(reader.asked),
        first_dose=None if since[0] is None else -float(since[0]),
        cycle_start=None if since[1] is None else -float(since[1]),
    )


class _Reader:
    """Reads values as they are written in a case: with units, or `unknown`."""

    def __init__(self, source: YamlSource, vocabulary: Mapping[str, Term]) -> None:
        self._source = source
        self._vocabulary = vocabulary
        self.findings: list[Finding] = []
        self.events: list[Event] = []
        self.states: dict[str, float] = {}
        self.asked: list[float] = []
        self.problems: list[Problem] = []

    def choices(self) -> None:
        """A choice that is not entered was not exercised (`unless_entered: no`)."""
        for name, term in self._vocabulary.items():
            if term.source == "state" and term.kind == "truth" and name != "consented":
                self.states[name] = 0.0

    def _wrong(self, path: Key, message: str, found: Any, expected: str | None, code: str = "case-value") -> float:
        self.problems.append(Problem(code, message, repr(found), expected, self._source.location(path)))
        return np.nan

    def read(self, path: Key, name: str, value: Any) -> None:
        """One entry of `given`."""
        if name == "events":
            self._asked(path, value)
            return
        term = self._vocabulary.get(name)
        if term is None or term.source == "derived":
            close = get_close_matches(name, [*self._vocabulary, "events"], n=3)
            expected = "one of " + ", ".join(close) if close else "a test, state or event (docs/reference/terms.md)"
            message = "a derived term is not given: it follows from others" if term else "unknown term"
            self._wrong(path, message, name, expected, "unknown-term")
        elif value == "unknown":
            self.states.pop(name, None)
        elif term.source == "state":
            self.states[name] = self._plain(path, term, value)
        else:
            for number, item in enumerate(value if isinstance(value, list) else [value]):
                here = (*path, number) if isinstance(value, list) else path
                (self._event if term.source == "event" else self._finding)(here, term, item)

    def baseline(self, path: Key, name: str, value: Any, first_dose_ago: int) -> None:
        """One entry of `baseline`: the last result before the first dose."""
        term = self._vocabulary.get(name)
        if term is None or term.source != "finding":
            self._wrong(path, "only a test has a baseline", name, "a test (docs/reference/terms.md)", "unknown-term")
            return
        nan = float("nan")
        self.findings.append(Finding(name, -first_dose_ago - 1.0, self._plain(path, term, value), nan, nan))

    def _asked(self, path: Key, value: Any) -> None:
        days = {"asked": 0.0}.get(value) if isinstance(value, str) else None
        if days is None and isinstance(value, dict) and list(value) == ["asked"]:
            ago = self._ago((*path, "asked"), value["asked"])
            days = -ago
        if days is None:
            self._wrong(path, "whether a visit asked for events", value, "`asked` or `{asked: 3 days}` for days ago")
        else:
            self.asked.append(days)

    def _finding(self, path: Key, term: Term, value: Any) -> None:
        if not isinstance(value, dict):
            value = {"value": value}
        if not self._keys(path, value, _FINDING_KEYS, "value"):
            return
        limits = [self._plain((*path, key), term, value[key]) if key in value else np.nan for key in ("low", "high")]
        ago = self._ago((*path, "ago"), value["ago"]) if "ago" in value else 0.0
        if value["value"] == "unknown":
            return
        number = self._plain((*path, "value"), term, value["value"])
        self.findings.append(Finding(term.name, 0.0 - ago, number, limits[0], limits[1]))

    def _event(self, path: Key, term: Term, value: Any) -> None:
        if isinstance(value, str):
            value = {"grade": value}
        if not isinstance(value, dict):
            self._wrong(path, "an event needs its grade", value, "for example `grade 3`")
            return
        if not self._keys(path, value, _EVENT_KEYS, "grade"):
            return
        text = value["grade"] if isinstance(value["grade"], str) else f"grade {value['grade']}"
        match = _GRADE.fullmatch(text)
        if match is None:
            self._wrong((*path, "grade"), "not a grade of an event", value["grade"], "grade 1 to grade 5")
            return
        ago = self._ago((*path, "ago"), value["ago"]) if "ago" in value else 0.0
        ended = -self._ago((*path, "ended"), value["ended"]) if "ended" in value else np.nan
        self.events.append(Event(term.name, 0.0 - ago, float(match.group(1)), ended))

    def _keys(self, path: Key, value: Mapping[str, Any], known: tuple[str, ...], needed: str) -> bool:
        for key in value:
            if key not in known:
                self._wrong((*path, key), "unknown key", key, "one of " + ", ".join(known), "unknown-key")
                return False
        if needed not in value:
            self._wrong(path, f"the key {needed!r} is missing", sorted(value), f"{needed}: ...", "missing-key")
            return False
        return True

    def _ago(self, path: Key, value: Any) -> float:
        match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
        unit = find_unit(match.group(2)) if match and match.group(2) else None
        if match is None or unit != "d" or float(match.group(1)) < 0:
            return self._wrong(path, "how long ago needs days", value, "for example 3 days")
        return float(match.group(1))

    def _plain(self, path: Key, term: Term, value: Any) -> float:
        """A number in the term's unit, a truth as 0 or 1, a category as its index."""
        if term.kind == "truth":
            if isinstance(value, bool):
                return float(value)
            return self._wrong(path, f"{term.name} is true or false", value, "true, false or unknown")
        if term.kind == "category":
            if value in term.values:
                return float(term.values.index(value))
            return self._wrong(path, f"{term.name} has no such value", value, "one of " + ", ".join(term.values))
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
        unit = term.unit or "1"
        example = f"for example 1 {unit}" if unit != "1" else "a plain number"
        if match is None:
            return self._wrong(path, f"not a value of {term.name}", value, example)
        number, spelled = float(match.group(1)), match.group(2)
        if not spelled:
            return number if unit == "1" else self._wrong(path, "a number without its unit", value, example)
        code = find_unit(spelled)
        if code is None:
            return self._wrong(path, "unknown unit", spelled, f"a unit that converts to {unit}")
        try:
            return convert(number, code, unit, term.name)
        except TrialrunError as error:
            return self._wrong(path, error.problems[0].message, value, f"a unit that converts to {unit}")

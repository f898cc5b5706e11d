"""What differs between two versions, rule by rule, in words: from their contents, not from what was announced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from pydantic import BaseModel

from trialrun.protocol.document import Amount
from trialrun.protocol.prose import window_text
from trialrun.protocol.version import Protocol, Version
from trialrun.vocab.problems import Problem

Kind = Literal["added", "removed", "changed", "moved"]

_HEADINGS = {
    "objectives": "Objectives",
    "eligibility": "Who may take part",
    "treatment": "Treatment",
    "step_up": "Raising the dose",
    "dose_modification": "Holding, lowering and stopping",
    "discontinuation": "End of treatment",
    "concomitant": "Other treatments",
    "activities": "Activities",
    "visits": "Visits",
    "schedule": "Visits",
    "response": "Response",
    "criteria": "Criteria used",
    "study_rules": "Rules for the study as a whole",
    "disposition_reasons": "How participation may end",
}
_FIELDS = {
    "says": "sentence",
    "when": "rule",
    "while": "given while",
    "then": "action",
    "otherwise": "otherwise",
    "up_to": "up to",
    "at": "looked at on",
    "start": "first dose",
    "target": "target dose",
    "levels": "dose levels",
    "give": "dosing days",
    "missed_dose": "a missed dose",
    "below_lowest_level": "below the lowest level",
    "does": "activities",
    "decides_dose": "decides the dose",
    "asks_for_events": "asks for adverse events",
    "assesses_response": "assesses response",
    "when_complete_for": "once all else of a complete response has held for",
    "again_after": "not again for",
}


@dataclass(frozen=True, slots=True)
class Detail:
    """One field of a changed part: its name in words and what stood and stands there (None = nothing)."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One part that differs. `path` is its dotted path, `because` the reason that the amendment states for it."""

    path: str
    heading: str
    name: str
    kind: Kind
    details: tuple[Detail, ...]
    because: str | None
    line: int | None

    def as_text(self) -> str:
        """The change in one sentence without its reason."""
        if self.kind == "moved":
            return f"{self.name}: moved from {self.details[0].before} to {self.details[0].after}"
        if self.kind in ("added", "removed"):
            shown = "; ".join(f"{item.field}: {item.after or item.before}" for item in self.details)
            return f"{self.name}: {self.kind}" + (f" ({shown})" if shown else "")
        return f"{self.name}: " + "; ".join(
            f"{item.field} from {item.before or 'nothing'} to {item.after or 'nothing'}" for item in self.details
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs from one version to another.

    `amendments` are the versions that lead from the first to the second, oldest first (empty where neither amends the
    other); `idle` lists stated changes that change nothing.
    """

    before: Version
    after: Version
    amendments: tuple[Version, ...]
    changes: tuple[Change, ...]
    idle: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "from": self.before.name,
            "to": self.after.name,
            "amendments": [
                {
                    "version": version.name,
                    "date": version.date.isoformat(),
                    "reason": _flow(version.amendment.reason),
                    "applies_to": _flow(version.amendment.applies_to),
                }
                for version in self.amendments
                if version.amendment is not None
            ],
            "changes": [asdict(change) for change in self.changes],
            "idle": [problem.as_dict() for problem in self.idle],
        }


def compare_versions(protocol: Protocol, before: str, after: str) -> Difference:
    """The difference from one version to another; an unknown name is a TrialrunError."""
    old, new = protocol.version(before), protocol.version(after)
    amendments = _way(protocol, old, new)
    reasons = [
        (tuple(change.set.split(".")), _flow(change.because))
        for version in amendments
        if version.amendment is not None
        for change in version.amendment.changes
    ]
    changes = tuple(
        Change(
            path=".".join(path),
            heading=_HEADINGS.get(path[0], path[0]),
            name=name,
            kind=kind,
            details=details,
            because=_because(reasons, path),
            line=(old if kind == "removed" else new).source.location(_key(new, path)).line,
        )
        for path, name, kind, details in _changes(_content(old), _content(new))
    )
    idle = tuple(problem for version in amendments for problem in idle_changes(protocol, version))
    return Difference(old, new, amendments, changes, idle)


def idle_changes(protocol: Protocol, version: Version) -> list[Problem]:
    """Stated changes of an amendment that leave its base as it was."""
    amendment = version.amendment
    if amendment is None:
        return []
    data = protocol.version(amendment.amends).source.data
    problems = []
    for number, change in enumerate(amendment.changes):
        there: Any = data
        for part in change.set.split("."):
            there = there.get(part) if isinstance(there, dict) else None
        if there is not None and _normal(there) == _normal(change.to):
            location = protocol.source.location(("versions", version.name, "changes", number, "set"))
            message = "the stated change changes nothing: the amended version says the same already"
            problems.append(
                Problem("idle-change", message, repr(change.set), "another value, or no such change", location,
                        "warning")
            )  # fmt: skip
    return problems


def _way(protocol: Protocol, old: Version, new: Version) -> tuple[Version, ...]:
    way: list[Version] = []
    version = new
    while version.name != old.name:
        if version.amendment is None:
            return ()
        way.insert(0, version)
        version = protocol.version(version.amendment.amends)
    return tuple(way)


def _because(reasons: list[tuple[tuple[str, ...], str]], path: tuple[str, ...]) -> str | None:
    """The reasons stated for this path, for a part of it or for what it is part of."""
    found = [why for stated, why in reasons if stated[: len(path)] == path[: len(stated)]]
    return " ".join(dict.fromkeys(found)) or None


def _key(version: Version, path: tuple[str, ...]) -> tuple[str | int, ...]:
    """The path of keys in the file: a row of a table is found by its place, not by its name."""
    if len(path) == 3 and path[1] == "rows":
        names = [row.name or "otherwise" for row in getattr(version.part, path[0]).rows]
        return (path[0], "rows", names.index(path[2])) if path[2] in names else (path[0], "rows")
    return path


def _content(version: Version) -> dict[tuple[str, ...], tuple[str, dict[str, Any]]]:
    """Every part of a version by its path: its name in words and its fields."""
    parts: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
    for field, value in version.part:
        if field in ("date", "status", "source", "note"):
            continue
        if field in ("step_up", "dose_modification", "discontinuation"):
            fields = _fields(value)
            fields.pop("rows")
            parts[(field,)] = ("the table", fields)
            for row in value.rows:
                name = row.name or "otherwise"
                row_fields = _fields(row)
                row_fields.pop("name")
                parts[(field, "rows", name)] = (f"row '{name.replace('_', ' ')}'", row_fields)
        elif isinstance(value, BaseModel):
            parts[(field,)] = (field.replace("_", " "), _fields(value))
        elif isinstance(value, dict):
            for key, item in value.items():
                fields = _fields(item) if isinstance(item, BaseModel) else {"says": item}
                parts[(field, key)] = (key.replace("_", " "), fields)
        elif value is not None:
            parts[(field,)] = (field.replace("_", " "), {"says": value})
    return parts


def _fields(part: BaseModel) -> dict[str, Any]:
    return {(info.alias or name): getattr(part, name) for name, info in type(part).model_fields.items()}


def _changes(
    old: dict[tuple[str, ...], tuple[str, dict[str, Any]]], new: dict[tuple[str, ...], tuple[str, dict[str, Any]]]
) -> Iterator[tuple[tuple[str, ...], str, Kind, tuple[Detail, ...]]]:
    order = list(_HEADINGS)
    paths = sorted({**old, **new}, key=lambda path: order.index(path[0]) if path[0] in order else len(order))
    for path in paths:
        name, after = new.get(path, ("", {}))
        old_name, before = old.get(path, ("", {}))
        details = tuple(
            Detail(_FIELDS.get(field, field.replace("_", " ")), _shown(field, before.get(field)),
                   _shown(field, after.get(field)))
            for field in sorted({**before, **after}, key=_rank)
            if _normal(before.get(field)) != _normal(after.get(field))
        )  # fmt: skip
        if path not in old or path not in new:
            # what a part does not have needs no line when the whole part comes or goes
            told = tuple(item for item in details if "no" not in (item.before, item.after))
            yield path, name or old_name, "removed" if path in old else "added", told
        elif details:
            yield path, name, "changed", details
        elif len(path) == 3 and (move := _move(path, list(old), list(new))) is not None:
            yield path, name, "moved", (move,)


def _move(path: tuple[str, ...], old: list[tuple[str, ...]], new: list[tuple[str, ...]]) -> Detail | None:
    """A row that stands in another order among the rows that both tables have: the first row that holds applies."""
    both = [item for item in old if item in new and item[:2] == path[:2]]
    again = [item for item in new if item in both]
    blocks = SequenceMatcher(None, both, again, autojunk=False).get_matching_blocks()
    if any(block.b <= again.index(path) < block.b + block.size for block in blocks):
        return None
    return Detail("place among the kept rows", str(both.index(path) + 1), str(again.index(path) + 1))


_SECONDARY = ("says", "status", "source", "note")


def _rank(field: str) -> int:
    """What decides first, then the sentence and where it comes from; otherwise as in the file."""
    return _SECONDARY.index(field) + 1 if field in _SECONDARY else 0


def _normal(value: Any) -> Any:
    """A value with what makes no difference taken away: line breaks and repeated blanks in text."""
    if isinstance(value, str):
        return _flow(value)
    if isinstance(value, Amount):
        return value.value, value.unit
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    return value


def _shown(field: str, value: Any) -> str | None:
    if value is None or value == []:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Amount):
        return str(value)
    if field == "give":
        return f"days {value[0]} to {value[1]}"
    if field == "window":
        return window_text(*value)
    if field == "cycles":
        return f"{value[0]} onwards" if value[1] is None else f"{value[0]} to {value[1]}"
    if field in ("cycle", "every", "after"):
        return f"{value} days"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _flow(str(value))


def _flow(text: str) -> str:
    return " ".join(text.split())

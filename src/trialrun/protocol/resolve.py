"""An amendment applied: the text of the version it amends with its changes set, every value still knowing its line."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from trialrun.protocol.document import AmendmentPart
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import Key, YamlSource, validate

_OWN_KEYS = ("date", "status", "source", "note")  # what every version says of itself and inherits from none


def read_amendment(
    source: YamlSource, name: str, data: Any, resolved: Mapping[str, YamlSource]
) -> tuple[AmendmentPart | None, list[Problem]]:
    """The version as an amendment, or None where it stands in full (or cannot be read), with what is wrong."""
    if not isinstance(data, dict) or "amends" not in data:
        return None, []
    try:
        amendment = validate(source, AmendmentPart, data, ("versions", name))
    except TrialrunError as error:
        return None, list(error.problems)
    if amendment.amends in resolved:
        return amendment, []
    location = source.location(("versions", name, "amends"))
    expected = "one of " + ", ".join(resolved) if resolved else "a version that stands earlier in the file"
    return None, [
        Problem("unknown-version", "it amends an unknown version", repr(amendment.amends), expected, location)
    ]


def resolve_version(source: YamlSource, name: str, data: Any) -> YamlSource:
    """A version that stands in full, as a document of its own."""
    return YamlSource(source.file, source.text, data, lines_below(source.lines, ("versions", name)))


def resolve_amendment(
    source: YamlSource, name: str, amendment: AmendmentPart, base: YamlSource
) -> tuple[YamlSource, list[Problem]]:
    """The amended version as a document of its own; a change that cannot be applied is a problem and left out."""
    data = source.data["versions"][name]
    content = deepcopy(base.data)
    lines = dict(base.lines)
    problems: list[Problem] = []
    for key in _OWN_KEYS:
        content.pop(key, None)
        _forget(lines, (key,))
        if key in data:
            content[key] = data[key]
            lines[(key,)] = source.lines[("versions", name, key)]
    for number, change in enumerate(amendment.changes):
        at: Key = ("versions", name, "changes", number)
        path: Key = tuple(change.set.split("."))
        problem = _apply(content, path, change.to)
        if problem is not None:
            message, expected = problem
            location = source.location((*at, "set"))
            problems.append(Problem("unknown-path", message, repr(change.set), expected, location))
            continue
        _forget(lines, path)
        if change.to is not None:
            lines.update({(*path, *key): place for key, place in lines_below(source.lines, (*at, "to")).items()})
            lines[path] = source.lines[(*at, "to")]
    return YamlSource(source.file, source.text, content, lines), problems


def lines_below(lines: Mapping[Key, tuple[int, int]], prefix: Key) -> dict[Key, tuple[int, int]]:
    """The places of everything at and below a path, by its path from there on."""
    return {key[len(prefix) :]: place for key, place in lines.items() if key[: len(prefix)] == prefix}


def _apply(content: Any, path: Key, to: Any) -> tuple[str, str | None] | None:
    """Set (or, where `to` is None, remove) what stands at the path; what is wrong and what would be right, or None."""
    parent = content
    for length, part in enumerate(path[:-1]):
        if not isinstance(parent, dict) or part not in parent:
            known = list(parent) if isinstance(parent, dict) else []
            return "the change names a part that the amended version does not have", _offer(path[:length], part, known)
        parent = parent[part]
    if not isinstance(parent, dict):
        return "the change names a part that the amended version does not have", None
    if to is not None:
        parent[path[-1]] = deepcopy(to)
        return None
    if path[-1] not in parent:
        expected = _offer(path[:-1], path[-1], list(parent))
        return "the change removes what the amended version does not have", expected
    del parent[path[-1]]
    return None


def _offer(before: Key, part: str | int, known: list[Any]) -> str:
    close = get_close_matches(str(part), [str(key) for key in known], n=1)
    names = [repr(".".join(map(str, (*before, name)))) for name in close or known]
    return (
        "one of " + ", ".join(names) if len(names) > 1 else (names[0] if names else "a dotted path such as treatment")
    )


def _forget(lines: dict[Key, tuple[int, int]], path: Key) -> None:
    for old in [key for key in lines if key[: len(path)] == path]:
        del lines[old]

"""YAML files whose every value knows its line: read with YAML 1.2, checked against a pydantic model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_kept import Key as Key
from trialrun.vocab.yaml_kept import recall, remember

Model = TypeVar("Model", bound=BaseModel)
_SHOWN = 100  # characters of what was found, in a message


@dataclass(frozen=True, slots=True)
class YamlSource:
    """The plain values of one YAML document and where each stands.

    `file` is how the file is named in messages; `data` holds dicts, lists and scalars; `lines` maps a path of keys to
    (line, column), both counted from 1.
    """

    file: str
    text: str
    data: Any
    lines: Mapping[Key, tuple[int, int]]

    def location(self, path: Key) -> Location:
        """Where the value at this path stands; for a missing key, where its nearest parent stands."""
        shown = ".".join(str(part) for part in path) or None
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                line, column = self.lines[path[:length]]
                return Location(self.file, line, column, shown)
        return Location(self.file, 1, 1, shown)


def read_yaml(path: Path | str, shown_as: str | None = None, keep: bool = True) -> YamlSource:
    """Read one YAML 1.2 document. Unreadable files are a TrialrunError that says where.

    What is read is kept in the cache folder, so that the same text need not be parsed again; not without `keep`, for files
    that tell of people.
    """
    file = Path(path)
    name = shown_as or str(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TrialrunError(Problem("no-file", "no such file", name, "the path of a YAML file")) from None
    except UnicodeDecodeError as error:
        problem = Problem("encoding", "the file is not UTF-8", f"byte {error.start}", "a file in UTF-8", Location(name))
        raise TrialrunError(problem) from None
    except OSError as error:
        raise TrialrunError(
            Problem("no-file", "the file cannot be read", error.strerror, None, Location(name))
        ) from None
    return parse_yaml(text, name, keep)


def parse_yaml(text: str, name: str, keep: bool = True) -> YamlSource:
    """As `read_yaml`, from text."""
    kept = recall(text) if keep else None
    if kept is None:
        from trialrun.vocab.yaml_parse import parse  # ruamel takes its time to load

        kept = parse(text, name)
        if keep:
            remember(text, *kept)
    return YamlSource(name, text, *kept)


def validate(source: YamlSource, model: type[Model], data: Any = None, at: Key = ()) -> Model:
    """The document (or the part `data` that stands at path `at`) as `model`; each misfit a Problem with its line."""
    try:
        return model.model_validate(source.data if data is None else data)
    except ValidationError as error:
        problems = [_problem(source, model, at, dict(item)) for item in error.errors(include_url=False)]
        raise TrialrunError(problems) from None


def _problem(source: YamlSource, model: type[BaseModel], at: Key, item: dict[str, Any]) -> Problem:
    path: Key = (*at, *(part for part in item["loc"] if not str(part).startswith(("function-", "tagged-union"))))
    location = source.location(path)
    kind = item["type"]
    if kind == "extra_forbidden":
        known = _fields_at(model, item["loc"][:-1])
        close = get_close_matches(str(path[-1]), known, n=1)
        expected = f"{close[0]!r}" if close else ("one of " + ", ".join(known) if known else None)
        return Problem("unknown-key", "unknown key", repr(path[-1]), expected, location)
    if kind == "missing":
        return Problem("missing-key", f"the key {path[-1]!r} is missing", None, f"{path[-1]}: ...", location)
    found = item.get("input")
    shown = _show(found)
    message = str(item["msg"]).removeprefix("Value error, ")
    return Problem("invalid-value", message[0].lower() + message[1:], shown, None, location)


def _show(found: Any) -> str:
    """What stands in the file, on one line: the words of a mapping or list, of those inside only that they are there."""
    if isinstance(found, dict):
        text = "{" + ", ".join(f"{key}: {_show_inside(value)}" for key, value in found.items()) + "}"
    elif isinstance(found, list):
        text = "[" + ", ".join(map(_show_inside, found)) + "]"
    else:
        return repr(found)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]} ...{text[-1]}"


def _show_inside(value: Any) -> str:
    if isinstance(value, dict | list):
        return "{...}" if isinstance(value, dict) else "[...]"
    return str(value)


def _fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The field names of the model that stands at this path of keys, as far as the annotations tell."""
    current: Any = model
    for part in path:
        current = _step(current, part)
        if current is None:
            return []
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [field.alias or name for name, field in current.model_fields.items()]
    return []


def _step(current: Any, part: str | int) -> Any:
    arguments = getattr(current, "__args__", None)
    if isinstance(current, type) and issubclass(current, BaseModel):
        for name, field in current.model_fields.items():
            if part in (name, field.alias):
                return _unwrap(field.annotation)
        return None
    return _unwrap(arguments[-1]) if arguments else None


def _unwrap(annotation: Any) -> Any:
    """The class inside Optional; a container stays itself."""
    arguments = [a for a in getattr(annotation, "__args__", ()) if a is not type(None)]
    origin = getattr(annotation, "__origin__", None)
    if origin is None and len(arguments) >= 1 and type(None) in getattr(annotation, "__args__", ()):
        return arguments[0]
    return annotation

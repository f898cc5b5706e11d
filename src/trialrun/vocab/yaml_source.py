"""YAML files whose every value knows its line: read with YAML 1.2, checked against a pydantic model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from trialrun.vocab.problems import Location, Problem, TrialrunError

Key = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


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


class _Constructor(RoundTripConstructor):
    """As ruamel's, but a date stays text: whoever reads it can then say where a wrong one stands."""


_Constructor.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda constructor, node: str(constructor.construct_scalar(node))
)

_MOST = 200_000  # values in one document; aliases that multiply would otherwise fill the memory


class _Walk:
    """Plain values of a ruamel tree, with the line of each."""

    def __init__(self, name: str) -> None:
        self.lines: dict[Key, tuple[int, int]] = {}
        self._name = name

    def value(self, node: Any, path: Key) -> Any:
        if isinstance(node, CommentedMap | CommentedSeq):
            if len(self.lines) > _MOST:
                where = Location(self._name, node.lc.line + 1, node.lc.col + 1)
                raise TrialrunError(Problem("yaml", "the YAML is too large", f"over {_MOST} values", None, where))
            return self._map(node, path) if isinstance(node, CommentedMap) else self._list(node, path)
        if isinstance(node, bool) or node is None:
            return node
        for plain_type in (int, float, str):
            if isinstance(node, plain_type):
                return plain_type(node)
        if isinstance(node, TaggedScalar):
            return str(node.value)
        return node

    def _map(self, node: CommentedMap, path: Key) -> dict[Any, Any]:
        plain: dict[Any, Any] = {}
        for key, value in node.items():
            try:
                line, column = node.lc.key(key)
            except (KeyError, AttributeError, TypeError):  # a key that came by `<<` stands elsewhere
                line, column = node.lc.line, node.lc.col
            self.lines[(*path, key)] = (line + 1, column + 1)
            plain[key] = self.value(value, (*path, key))
        return plain

    def _list(self, node: CommentedSeq, path: Key) -> list[Any]:
        plain = []
        for index, value in enumerate(node):
            line, column = node.lc.item(index)
            self.lines[(*path, index)] = (line + 1, column + 1)
            plain.append(self.value(value, (*path, index)))
        return plain


def read_yaml(path: Path | str, shown_as: str | None = None) -> YamlSource:
    """Read one YAML 1.2 document. Unreadable files are a TrialrunError that says where."""
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
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> YamlSource:
    """As `read_yaml`, from text."""
    yaml = YAML(typ="rt")  # YAML 1.2: NO, on and yes stay text
    yaml.Constructor = _Constructor
    try:
        node = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        location = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        said = " ".join(str(error.problem or error.context or "not readable").split())
        raise TrialrunError(Problem("yaml", "the YAML cannot be read", said, "valid YAML 1.2", location)) from None
    except (YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        # ruamel reports signs that YAML forbids, and some impossible tags, without a mark or in Python's own words
        said = " ".join(str(error).split())[:200]
        raise TrialrunError(
            Problem("yaml", "the YAML cannot be read", said, "valid YAML 1.2", Location(name))
        ) from None
    if node is None:
        raise TrialrunError(Problem("empty-file", "the file is empty", None, "a YAML document", Location(name)))
    walk = _Walk(name)
    return YamlSource(name, text, walk.value(node, ()), walk.lines)


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
    shown = repr(found) if not isinstance(found, dict | list) else f"a {type(found).__name__}"
    message = str(item["msg"]).removeprefix("Value error, ")
    return Problem("invalid-value", message[0].lower() + message[1:], shown, None, location)


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

"""YAML 1.2 text to plain values and the place of each, by ruamel.yaml. Loaded only where a text has not been read before."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_kept import Key, Lines


class _Constructor(RoundTripConstructor):
    """As ruamel's, but a date stays text: whoever reads it can then say where a wrong one stands."""


_Constructor.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda constructor, node: str(constructor.construct_scalar(node))
)

_MOST = 200_000  # values in one document; aliases that multiply would otherwise fill the memory


class _Walk:
    """Plain values of a ruamel tree, with the line of each."""

    def __init__(self, name: str) -> None:
        self.lines: Lines = {}
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


def parse(text: str, name: str) -> tuple[Any, Lines]:
    """The plain values, and for each path of keys the (line, column) counted from 1; a TrialrunError says what is wrong where."""
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
    return walk.value(node, ()), walk.lines

"""What was read from a YAML text, kept on disk: the second reading of the same text takes a fortieth of the time.

A file is named by the text, the code that reads it and the version of ruamel.yaml. It holds JSON, which can do nothing but be
read, behind its own digest. Whatever is wrong with it, it is passed over and the text is read anew.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from trialrun.vocab.cache import cache_folder, keep_newest, name_content, write_whole

Key = tuple[str | int, ...]
Lines = dict[Key, tuple[int, int]]

_LARGEST = 4_000_000  # bytes of one file; aliases that multiply make a small text large
_MOST = 200  # files
_PLAIN = (str, int, float, bool, type(None))
_DAMAGED = (OSError, ValueError, TypeError, KeyError, RecursionError)


class _NotPlainError(TypeError):
    """A value that JSON would not give back as it was."""


def recall(text: str) -> tuple[Any, Lines] | None:
    """The plain values of a text and the place of each, where they were kept."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        said, _, content = (folder / _name(text)).read_bytes().partition(b"\n")
        if said != _digest(content):
            return None
        lines: Lines = {}
        return _from_json(json.loads(content), (), lines), lines
    except _DAMAGED:
        return None


def remember(text: str, data: Any, lines: Lines) -> None:
    """Keep what was read from a text, unless it holds what JSON does not."""
    folder = cache_folder()
    if folder is None:
        return
    with suppress(*_DAMAGED):
        content = json.dumps(_as_json(data, (), lines), separators=(",", ":")).encode()
        if len(content) <= _LARGEST:
            write_whole(folder / _name(text), _digest(content) + b"\n" + content)
            keep_newest(folder, "yaml-*.json", _MOST)


def _name(text: str) -> str:
    return f"yaml-{name_content(_reader(), text.encode())}.json"


@cache
def _reader() -> bytes:
    """All that decides what a text is read as."""
    code = [files("trialrun.vocab").joinpath(name).read_bytes() for name in ("yaml_parse.py", "yaml_kept.py")]
    return b"\n".join([*code, version("ruamel.yaml").encode()])


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).hexdigest().encode()


def _as_json(value: Any, path: Key, lines: Lines) -> Any:
    """Scalars as they are; a mapping as {"map": [[key, line, column, value], ...]}, a list likewise: keys keep their types."""
    if type(value) is dict:
        return {"map": [[_plain(key), *lines[*path, key], _as_json(value[key], (*path, key), lines)] for key in value]}
    if type(value) is list:
        return {"list": [[*lines[*path, n], _as_json(item, (*path, n), lines)] for n, item in enumerate(value)]}
    return _plain(value)


def _plain(value: Any) -> Any:
    if type(value) not in _PLAIN:
        raise _NotPlainError(type(value).__name__)
    return value


def _from_json(kept: Any, path: Key, lines: Lines) -> Any:
    if type(kept) is not dict:
        return kept
    if "list" in kept:
        items: list[Any] = []
        for line, column, value in kept["list"]:
            here = (*path, len(items))
            lines[here] = line, column
            items.append(_from_json(value, here, lines))
        return items
    plain: dict[Any, Any] = {}
    for key, line, column, value in kept["map"]:
        lines[*path, key] = line, column
        plain[key] = _from_json(value, (*path, key), lines)
    return plain

"""Which population file extends which: from a file to the one that states every number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import YamlSource, parse_yaml, read_yaml


def population_file(path: Path) -> Path:
    """The file itself, or `population.yaml` of a folder."""
    return path / "population.yaml" if path.is_dir() else path


def read_source(file: Path) -> YamlSource:
    """The file as read now; one that others extend is parsed once in a process as long as its text stays the same."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return read_yaml(file, str(file))  # which says what is wrong
    try:
        return replace(_parse(text), file=str(file))
    except TrialrunError:
        return parse_yaml(text, str(file))  # says it of this file


@lru_cache(maxsize=16)
def _parse(text: str) -> YamlSource:
    return parse_yaml(text, "")


def walk_lineage(file: Path) -> Iterator[tuple[Path, YamlSource]]:
    """The file, the one that it extends, and so on; a TrialrunError where one is not there or extends itself."""
    here, seen = population_file(file), set()
    while True:
        source = read_source(here)
        yield here, source
        seen.add(here.resolve())
        if not isinstance(source.data, dict) or "extends" not in source.data:
            return
        target = population_file((here.parent / str(source.data["extends"])).resolve())
        at = source.location(("extends",))
        if target in seen:
            raise TrialrunError(
                Problem("circle", "a population extends itself", str(target), "a population that does not", at)
            )
        if not target.exists():
            expected = f"the path of a population file, from the folder of this file ({here.parent.resolve()})"
            raise TrialrunError(
                Problem("no-file", "the population that is extended is not there", str(target), expected, at)
            )
        here = target

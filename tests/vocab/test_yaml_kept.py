"""YAML that was read before: the same values, types, order and places as read anew; damage is passed over."""

import json
from pathlib import Path

import pytest

from trialrun.vocab import yaml_kept, yaml_parse
from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.yaml_source import parse_yaml, read_yaml

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "studies").rglob("*.yaml"), *(ROOT / "examples").rglob("*.yaml")])
STRANGE = """\
text: "yes"
date: 2007-09-17
time: 2007-09-17T10:00:00Z
numbers: [1, 1.0, 0x1F, 1e3, -0.0, .nan, .inf, -.inf, 12345678901234567890123, 0.1]
truth: [true, no, null, ~]
7: a whole number
true: a truth
null: nothing
base: &base {a: 1, b: [x, {c: 2}]}
again: *base
merged:
  <<: *base
  d: 3
tagged: !mine word
empty: [{}, [], ""]
signs: "µ – \\u2028 \\x07"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIALRUN_CACHE", str(tmp_path))
    return tmp_path


def spell(value: object) -> object:
    """A value with the types of all its parts, so that 1, 1.0 and true differ, and NaN is NaN."""
    if isinstance(value, dict):
        return [type(value), [(spell(key), spell(inner)) for key, inner in value.items()]]
    if isinstance(value, list | tuple):
        return [type(value), [spell(inner) for inner in value]]
    return type(value), repr(value)


def check_same(text: str) -> None:
    data, lines = yaml_parse.parse(text, "f.yaml")
    yaml_kept.remember(text, data, lines)
    kept = yaml_kept.recall(text)
    assert kept is not None
    assert spell(kept[0]) == spell(data)
    assert spell(kept[1]) == spell(lines)


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_every_file_that_ships_comes_back_as_it_was_read(file: Path) -> None:
    check_same(file.read_text(encoding="utf-8"))


def test_types_keys_and_aliases_come_back() -> None:
    check_same(STRANGE)


def test_the_second_reading_does_not_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    first = parse_yaml(STRANGE, "f.yaml")
    monkeypatch.setattr(yaml_parse, "parse", None)
    second = parse_yaml(STRANGE, "another.yaml")
    assert spell(second.data) == spell(first.data)
    assert str(second.location(("base", "b", 0))) == "another.yaml:9:24 (base.b.0)"


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "no folder"])
def test_a_damaged_file_is_passed_over(damage: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = parse_yaml(STRANGE, "f.yaml")
    (file,) = folder.glob("yaml-*.json")
    content = file.read_bytes()
    if damage == "no folder":
        (folder / "file").touch()
        monkeypatch.setenv("TRIALRUN_CACHE", str(folder / "file"))
    else:
        file.write_bytes({"cut": content[:-9], "changed": content.replace(b"10", b"11"), "empty": b""}[damage])
    assert yaml_kept.recall(STRANGE) is None
    assert spell(parse_yaml(STRANGE, "f.yaml").data) == spell(good.data)


def test_what_is_kept_is_json_and_no_more_than_so_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_kept, "_MOST", 3)
    for number in range(6):
        parse_yaml(f"a: {number}", "f.yaml")
    files = list(folder.glob("yaml-*.json"))
    assert len(files) == 3
    assert json.loads(files[0].read_bytes().partition(b"\n")[2])["map"][0][0] == "a"


def test_what_json_does_not_hold_and_what_is_wrong_is_not_kept(folder: Path) -> None:
    parse_yaml("a: !!set {x, y}", "f.yaml")
    assert [type(key) for key in parse_yaml("1.5: a number", "f.yaml").data] != [float]  # ruamel keeps its own class
    for _ in range(2):  # the second time as well, at its line
        with pytest.raises(TrialrunError, match=r"f\.yaml:2"):
            parse_yaml("a: 1\nb: [1", "f.yaml")
    assert not list(folder.glob("yaml-*.json"))


def test_files_that_tell_of_people_are_not_kept(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("a: 1")
    assert read_yaml(tmp_path / "s.yaml", keep=False).data == {"a": 1}
    assert not list(folder.glob("yaml-*.json"))

"""The real study file, and edited copies of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trialrun.protocol import Protocol, read_protocol
from trialrun.vocab.problems import Problem, TrialrunError

STUDY = Path(__file__).parents[2] / "studies" / "lenalidomide-cll"


@pytest.fixture(scope="session")
def study() -> Protocol:
    return read_protocol(STUDY)


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the study with pieces of its text replaced: each (old, new) must be found; `cases` likewise."""

    def edit(*pairs: tuple[str, str], cases: tuple[tuple[str, str], ...] = ()) -> Path:
        for name, changes in (("protocol.yaml", pairs), ("cases.yaml", cases)):
            text = (STUDY / name).read_text(encoding="utf-8")
            for old, new in changes:
                assert old in text, old
                text = text.replace(old, new, 1)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return edit


@pytest.fixture
def problems_of() -> Callable[[Path], tuple[Problem, ...]]:
    """What reading a file that must not be readable finds."""

    def read(path: Path) -> tuple[Problem, ...]:
        with pytest.raises(TrialrunError) as caught:
            read_protocol(path)
        return caught.value.problems

    return read

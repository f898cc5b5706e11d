from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from trialrun.analysis.run import Run, VersionInfo, read_run
from trialrun.record.tables import TABLES, schema

DAY_0 = date(2031, 3, 3)
INFO = VersionInfo(
    version="stepwise",
    folder="stepwise",
    levels_mg=(10.0, 15.0, 20.0, 25.0),
    target_mg=25.0,
    days_on=21,
    cycle_days=28,
    planned_mg=tuple([10.0] * 7 + [15.0] * 7 + [20.0] * 7 + [0.0] * 7 + ([25.0] * 21 + [0.0] * 7) * 2),
)

Lines = Sequence[dict[str, Any]]


def made_up() -> ModuleType:
    """The module that writes a run directory with made-up numbers."""
    spec = importlib.util.spec_from_file_location("made_up_run", Path(__file__).with_name("made_up_run.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A made-up run of both versions on 60 subjects over 4 cycles."""
    return read_run(made_up().write_made_up_run(tmp_path_factory.mktemp("run"), subjects=60, cycles=4))


@pytest.fixture
def info() -> VersionInfo:
    return INFO


@pytest.fixture
def make_tables() -> Callable[..., dict[str, pl.DataFrame]]:
    """Tables of a record from short lines: `day` counts from day 0 and becomes a date; subjects come from the lines."""

    def make(**lines: Lines) -> dict[str, pl.DataFrame]:
        subjects = dict.fromkeys(line["subject"] for table in lines.values() for line in table)
        lines.setdefault("subjects", [{"subject": subject} for subject in subjects])
        return {table: _frame(table, lines.get(table, ())) for table in TABLES}

    return make


def _frame(table: str, lines: Lines) -> pl.DataFrame:
    columns = schema(table)
    rows = [
        {
            **dict.fromkeys(columns),
            **{key: value for key, value in line.items() if key not in ("day", "end_day")},
            **({"date": DAY_0 + timedelta(days=line["day"])} if "day" in line else {}),
            **({"end_date": DAY_0 + timedelta(days=line["end_day"])} if "end_day" in line else {}),
        }
        for line in lines
    ]
    return pl.DataFrame(rows, schema=columns)

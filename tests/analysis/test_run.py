"""Reading run directories, whole and broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trialrun.analysis.run import Run, read_run, read_tables
from trialrun.record.tables import TABLES
from trialrun.vocab.problems import TrialrunError


def test_a_run_is_described(run: Run) -> None:
    assert run.kind == "compare"
    assert [info.version for info in run.versions] == ["original", "amendment-1"]
    assert run.versions[1].levels_mg[0] == 2.5
    assert len(run.versions[0].planned_mg) == 4 * 28
    tables = read_tables(run, run.versions[0])
    assert set(tables) == set(TABLES)
    assert tables["subjects"].height == 60
    assert tables["concomitant"].height == 0


def no_file(run: dict[str, Any]) -> str | None:
    return None


def no_json(run: dict[str, Any]) -> str:
    return json.dumps(run)[:-20]


def a_list(run: dict[str, Any]) -> str:
    return "[]"


def no_seed(run: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in run.items() if key != "seed"})


def a_seed_in_words(run: dict[str, Any]) -> str:
    return json.dumps({**run, "seed": "seven"})


def no_versions(run: dict[str, Any]) -> str:
    return json.dumps({**run, "versions": []})


def levels_in_words(run: dict[str, Any]) -> str:
    return json.dumps({**run, "versions": [{**run["versions"][0], "levels_mg": ["10 mg"]}]})


@pytest.mark.parametrize(
    ("broken", "code", "path"),
    [
        (no_file, "not-a-run-directory", None),
        (no_json, "unreadable-run-description", None),
        (a_list, "wrong-type", None),
        (no_seed, "missing-key", "seed"),
        (a_seed_in_words, "wrong-type", "seed"),
        (no_versions, "wrong-type", "versions"),
        (levels_in_words, "wrong-type", "versions[0].levels_mg"),
    ],
)
def test_a_broken_description_is_told(
    run: Run, tmp_path: Path, broken: Callable[[dict[str, Any]], str | None], code: str, path: str | None
) -> None:
    text = broken(json.loads((run.directory / "run.json").read_text()))
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(TrialrunError) as caught:
        read_run(tmp_path)
    assert [problem.code for problem in caught.value.problems] == [code]
    assert caught.value.problems[0].location.path == path


def test_missing_and_broken_tables_are_told(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.directory, tmp_path / "copy")
    copy = read_run(tmp_path / "copy")
    record = tmp_path / "copy/original/record"
    (record / "visits.parquet").unlink()
    with pytest.raises(TrialrunError, match=r"missing; right would be visits\.parquet"):
        read_tables(copy, copy.versions[0])
    (record / "visits.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(TrialrunError) as caught:
        read_tables(copy, copy.versions[0])
    assert caught.value.problems[0].code == "unreadable-table"
    pl.DataFrame({"subject": ["A"]}).write_parquet(record / "visits.parquet")
    with pytest.raises(TrialrunError) as caught:
        read_tables(copy, copy.versions[0])
    assert caught.value.problems[0].expected == "date"

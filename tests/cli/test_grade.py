"""`trialrun grade` as it is called."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import polars as pl
import pytest

from trialrun.cli import main

SMALL = Path(__file__).parents[2] / "examples" / "labs" / "small.csv"
CLEAN = "test,value,unit,low,high\nNEUT,0.9,10^9/L,1.8,7.5\nHGB,13,g/dL,12,16\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["trialrun", "grade", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.fixture
def clean(tmp_path: Path) -> str:
    path = tmp_path / "clean.csv"
    path.write_text(CLEAN, encoding="utf-8")
    return str(path)


def test_summary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, str(SMALL)) == 1
    said = capsys.readouterr().out
    assert "small.csv: CSV, UTF-8, comma separated, 21 rows, graded by CTCAE 5.0" in said
    assert "findings: 2" in said
    assert "published gap" in said


def test_clean_table_is_exit_code_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clean: str
) -> None:
    assert run(monkeypatch, clean) == 0
    assert "findings" not in capsys.readouterr().out


def test_json_has_every_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, str(SMALL), "--format", "json", "--criteria", "ctcae-6.0") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["criteria"] == "CTCAE 6.0"
    assert len(answer["rows"]) == 21
    assert answer["rows"][7]["grade"] == 2  # 0.9 x10^9/L is one grade lower in 6.0
    assert {finding["code"] for finding in answer["findings"]} == {"mixed-units"}


def test_csv_with_adam_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, str(SMALL), "--format", "csv", "--adam", "--assume", "worst")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 21
    assert [row["ATOXGR"] for row in rows if row["test"] == "K"] == ["-2"]
    assert [row["ATOXGR"] for row in rows if row["test"] == "URATE"] == ["3"]
    assert rows[0]["ATOXGRH"] == ""


def test_out_and_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labs = tmp_path / "labs.csv"
    labs.write_text("test;value;unit\nPLAT;140;10^9/L\n", encoding="utf-8")
    out = tmp_path / "graded.parquet"
    limits = SMALL.with_name("assumed_limits.csv")
    assert run(monkeypatch, str(labs), "--limits", str(limits), "--out", str(out)) == 0
    assert pl.read_parquet(out)["grade"].to_list() == [1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--criteria", "ctcae-2"), "unknown grading criteria"),
        (("--out", "graded.xlsx"), "cannot tell the format"),
        (("--limits", "nowhere.csv"), "no such file"),
    ],
)
def test_bad_calls(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    clean: str,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert run(monkeypatch, clean, *arguments) == 2
    assert said in capsys.readouterr().err


def test_cut_off_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    labs = tmp_path / "labs.csv"
    labs.write_text(CLEAN + "PLAT,60,10", encoding="utf-8")
    assert run(monkeypatch, str(labs)) == 1
    caught = capsys.readouterr()
    assert "labs.csv:4" in caught.err
    assert "3 rows" in caught.out

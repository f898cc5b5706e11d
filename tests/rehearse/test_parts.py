"""Chunks on disk: whole or not there, merged to the same bytes however they were cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.rehearse.parts import ROWS, Parts, open_parts, write_table
from trialrun.vocab.problems import TrialrunError

ABOUT = {"seed": "1"}
N = 2 * ROWS + 12_345  # three row groups


def _table(first: int, n: int) -> bytes:
    """Some lines a subject, with nulls and words, as any chunk with these subjects has them."""
    index = np.arange(first, first + n)
    lines = np.repeat(index, 1 + index % 3)
    value = np.sin(lines.astype(np.float64))
    return write_table(
        pl.DataFrame(
            {
                "subject": pl.Series([f"S{i:07d}" for i in lines]),
                "value": pl.Series(np.where(lines % 7 == 0, np.nan, value)).fill_nan(None),
                "word": pl.Series(["yes", "no", None]).gather((lines % 3).astype(np.uint32)),
                "yes": pl.Series(lines % 2 == 0),
            }
        )
    )


def _merged(folder: Path, chunk: int, total: int = N) -> bytes:
    parts = open_parts(folder / "parts", ABOUT, resume=False)
    for first, n in parts.missing("arm", total, chunk):
        parts.keep("arm", first, n, {"outcomes": _table(first, n)})
    parts.merge("arm", total, {"outcomes": folder / "outcomes.parquet"})
    return (folder / "outcomes.parquet").read_bytes()


def test_merged_files_do_not_show_how_they_were_cut(tmp_path: Path) -> None:
    whole = _merged(tmp_path / "whole", N)
    lines = pl.read_parquet(whole)
    assert lines.height > 4 * ROWS
    assert lines["subject"].is_sorted()
    for chunk in (2048, 5000, ROWS + 1):
        assert _merged(tmp_path / str(chunk), chunk) == whole, chunk


def _open(folder: Path, resume: bool = True) -> Parts:
    return open_parts(folder, ABOUT, resume)


def test_only_what_is_not_there_is_missing(tmp_path: Path) -> None:
    parts = _open(tmp_path / "parts")
    assert list(parts.missing("arm", 10, 4)) == [(0, 4), (4, 4), (8, 2)]
    parts.keep("arm", 3, 4, {"outcomes": _table(3, 4)})
    again = _open(tmp_path / "parts")
    assert list(again.missing("arm", 10, 2)) == [(0, 2), (2, 1), (7, 2), (9, 1)]
    assert list(again.missing("other", 3, 4)) == [(0, 3)]


@pytest.mark.parametrize("how", ["torn", "gone", "unnamed", "another"])
def test_a_chunk_that_is_not_whole_counts_as_missing_and_is_made_again(tmp_path: Path, how: str) -> None:
    parts = _open(tmp_path / "parts")
    parts.keep("arm", 0, 4, {"outcomes": _table(0, 4)})
    assert list(parts.missing("arm", 4, 4)) == []
    (chunk,) = (tmp_path / "parts" / "arm").iterdir()
    file, said = chunk / "outcomes.parquet", chunk / "chunk.json"
    match how:
        case "torn":
            file.write_bytes(file.read_bytes()[:-1])
        case "gone":
            file.unlink()
        case "unnamed":
            said.write_text("{", encoding="utf-8")
        case "another":
            said.write_text(said.read_text(encoding="utf-8").replace(parts.spec, "0" * 24), encoding="utf-8")
    assert list(parts.missing("arm", 4, 4)) == [(0, 4)]
    parts.keep("arm", 0, 4, {"outcomes": _table(0, 4)})
    assert list(parts.missing("arm", 4, 4)) == []


def test_chunks_that_leave_a_gap_are_not_merged(tmp_path: Path) -> None:
    parts = _open(tmp_path / "parts")
    parts.keep("arm", 0, 4, {"outcomes": _table(0, 4)})
    parts.keep("arm", 6, 2, {"outcomes": _table(6, 2)})
    with pytest.raises(TrialrunError, match="subjects from 4 on"):
        parts.merge("arm", 8, {"outcomes": tmp_path / "outcomes.parquet"})
    assert not (tmp_path / "outcomes.parquet").exists()


def test_chunks_of_another_request_are_refused_or_removed(tmp_path: Path) -> None:
    parts = _open(tmp_path / "parts")
    parts.keep("arm", 0, 4, {"outcomes": _table(0, 4)})
    with pytest.raises(TrialrunError, match=r"seed: 1.*seed: 2"):
        open_parts(tmp_path / "parts", {"seed": "2"}, resume=True)
    assert _open(tmp_path / "parts").kept("arm") == [(0, 4)]
    assert _open(tmp_path / "parts", resume=False).kept("arm") == []

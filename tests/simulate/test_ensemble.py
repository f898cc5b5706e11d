"""An ensemble on disk: what is written is read, and a table that is none is refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.simulate.ensemble import Ensemble, read_ensemble, write_ensemble
from trialrun.vocab.problems import TrialrunError

NAMES = ("leukemia.nonresponder", "leukemia.nonresponder:shift")
VALUES = np.array([[0.1, 2.0], [0.2, 3.0]])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ensemble.parquet"
    write_ensemble(Ensemble(NAMES, VALUES, np.array([0.25, 0.75]), {"study": "made up"}), file)
    read = read_ensemble(file)
    assert read.names == NAMES
    assert np.array_equal(read.values, VALUES)
    assert read.weights.tolist() == [0.25, 0.75]
    assert (read.about["study"], read.about["sets"]) == ("made up", 2)
    assert read.about["effective_sample_size"] == pytest.approx(1 / (0.25**2 + 0.75**2), abs=0.05)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"set": [0], "weight": [1.0]}, "is not one"),
        ({"set": [0], NAMES[0]: [0.1]}, "is not one"),
        ({"set": [0, 1], "weight": [0.5, 0.4], NAMES[0]: [0.1, 0.2]}, "wrong weights"),
        ({"set": [0, 1], "weight": [1.5, -0.5], NAMES[0]: [0.1, 0.2]}, "no numbers"),
        ({"set": [0], "weight": [1.0], NAMES[0]: [float("nan")]}, "no numbers"),
        ({"set": [0], "weight": [1.0], NAMES[1]: [2.0]}, "shifts a number that it does not hold"),
    ],
)
def test_what_is_no_ensemble_is_refused(tmp_path: Path, columns: dict[str, list[float]], said: str) -> None:
    file = tmp_path / "ensemble.parquet"
    pl.DataFrame(columns).write_parquet(file)
    file.with_suffix(".json").write_text("{}", encoding="utf-8")
    with pytest.raises(TrialrunError, match=said) as caught:
        read_ensemble(file)
    assert caught.value.problems[0].location is not None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrialrunError, match="cannot be read"):
        read_ensemble(tmp_path / "ensemble.parquet")

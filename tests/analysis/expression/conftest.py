"""Made-up tables, recorded answers, and the place of data that does not ship."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(scope="session")
def recorded() -> Path:
    return RECORDED


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of data that does not ship."""
    folder = os.environ.get("TRIALRUN_DATA")
    if not folder or not Path(folder, "paired-expression-flu-challenge").is_dir():
        pytest.skip("environment variable TRIALRUN_DATA does not name a folder with the shared data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def answers() -> pl.DataFrame:
    return pl.read_csv(RECORDED / "answers.csv.gz", null_values=["NA"], infer_schema_length=None)


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Path, Path]:
    """A small paired log2 table of real gene symbols and its sheet, written as CSV."""
    return write_pairs(tmp_path)


def write_pairs(folder: Path, subjects: int = 5, genes: int = 120) -> tuple[Path, Path]:
    generator = np.random.Generator(np.random.Philox(5))
    names = pl.read_csv(RECORDED.parent / "symbols.csv")["symbol"].to_list()[:genes]
    n = subjects * 2
    values = generator.uniform(4, 12, genes)[:, None] + generator.normal(0, 0.2, (genes, n))
    values[:15, 1::2] += 1.5
    values[15:25, 1::2] -= 1.5
    samples = [f"{'after' if i % 2 else 'before'}_{i // 2 + 1}" for i in range(n)]
    frame = pl.DataFrame({"gene": names} | {s: np.round(values[:, i], 4) for i, s in enumerate(samples)})
    frame.write_csv(folder / "expression.csv")
    sheet = pl.DataFrame(
        {
            "sample": samples,
            "subject": [f"S{i // 2 + 1}" for i in range(n)],
            "time": ["after" if i % 2 else "before" for i in range(n)],
            "response": ["R" if i // 2 < 3 else "NR" for i in range(n)],
        }
    )
    sheet.write_csv(folder / "samples.csv")
    return folder / "expression.csv", folder / "samples.csv"

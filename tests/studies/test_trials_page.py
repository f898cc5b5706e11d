"""What docs/trials.md says to write works: every block is put into files as the page says, checked and simulated."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from trialrun.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "trials.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
VERSIONS = {match[1]: block for block in BLOCKS if (match := re.match(r"  ([\w-]+):\n    amends:", block))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with every version of the page."""
    made = tmp_path_factory.mktemp("page") / "lenalidomide-cll"
    shutil.copytree(ROOT / "studies" / "lenalidomide-cll", made)
    with (made / "protocol.yaml").open("a", encoding="utf-8") as file:
        file.write("".join(VERSIONS.values()))
    (made / "cases.yaml").unlink()  # the page says so: they state what the rules of the study answer
    return made


def _run(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def _outcomes(out: Path, version: str) -> pl.DataFrame:
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    (place,) = [item["folder"] for item in run["versions"] if item["version"] == version]
    return pl.read_parquet(out / place / "outcomes.parquet")


def _values(out: Path, version: str, test: str) -> pl.Series:
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    (place,) = [item["folder"] for item in run["versions"] if item["version"] == version]
    table = pl.read_parquet(next((out / place).rglob("findings.parquet")))
    return table.filter(pl.col("test") == test)["value"].drop_nulls()


def test_the_page_has_versions() -> None:
    assert set(VERSIONS) == {"five-mg-daily", "steroid-cover", "rasburicase-and-gcsf"}


def test_versions_of_the_page_are_sound(folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(folder)])
    assert "error:" not in done.output
    assert done.output.count("warning:") == 1, "only that there are no cases"
    assert "there are no cases" in done.output


def test_versions_of_the_page_do_what_they_say(folder: Path, tmp_path: Path) -> None:
    names = ("original", *VERSIONS)
    arms = [f"{folder}@{name}" for name in names]
    _run("compare", *arms, "--subjects", "300", "--cycles", "3", "--out", tmp_path / "out", "--one-set")
    found = {name: _outcomes(tmp_path / "out", name) for name in names}
    flare = {name: (outcomes["flare_grade"] >= 2).mean() for name, outcomes in found.items()}
    assert flare["steroid-cover"] < flare["original"]
    # rasburicase oxidises urate; with G-CSF fewer counts of neutrophils are below 0.5 than would be
    urate = {
        name: _values(tmp_path / "out", name, "urate").quantile(0.1) for name in ("original", "rasburicase-and-gcsf")
    }
    assert urate["rasburicase-and-gcsf"] < 0.5 * urate["original"]
    counts = {name: _values(tmp_path / "out", name, "neutrophils") for name in ("original", "rasburicase-and-gcsf")}
    deep = {name: float((values < 0.5).mean()) for name, values in counts.items()}
    assert deep["rasburicase-and-gcsf"] < deep["original"]
    assert found["five-mg-daily"]["dose_total"].max() <= 5.0 * 28 + 10.0 * 56 + 10.0
    assert found["five-mg-daily"]["dose_total"].median() > 5.0 * 28


def test_people_of_the_page_differ_as_they_say(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "extends:" in block]
    shutil.copytree(ROOT / "studies" / "lenalidomide-cll", tmp_path / "studies" / "lenalidomide-cll")
    (tmp_path / "high-counts").mkdir()
    people = tmp_path / "high-counts" / "population.yaml"
    people.write_text(block, encoding="utf-8")
    medians = []
    for number, where in enumerate((tmp_path / "studies" / "lenalidomide-cll" / "population.yaml", people)):
        out = tmp_path / f"out-{number}"
        study = tmp_path / "studies" / "lenalidomide-cll"
        _run(
            "simulate",
            f"{study}@amendment-1",
            "--population",
            where,
            "--subjects",
            "200",
            "--cycles",
            "1",
            "--out",
            out,
        )
        table = pl.read_parquet(next(out.rglob("findings.parquet")))
        first = (
            table.filter(pl.col("test") == "lymphocytes")
            .group_by("subject")
            .agg(pl.col("value").sort_by("date").first())
        )
        medians.append(first["value"].median())
    assert medians[1] > 1.3 * medians[0]

"""`trialrun population`: what it prints of the people, of what was published, and of every shift."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.simulate.baseline import read_published_baseline
from trialrun.vocab.problems import TrialrunError

STUDIES = Path(__file__).parents[2] / "studies"
RUN = CliRunner()


def _run(*words: str) -> str:
    done = RUN.invoke(app, ["population", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_people_stand_beside_those_who_were_published() -> None:
    said = _run(str(STUDIES / "lenalidomide-cll"), "--subjects", "300")
    assert "300 virtual subjects before treatment" in said
    assert "60 (33 to 78)" in said
    assert "9 of 25, 36 %" in said
    assert "need for treatment" in said
    assert "Shifts" not in said, "a whole file has none"


def test_json_has_every_number_and_every_step() -> None:
    said = json.loads(_run(str(STUDIES / "venetoclax-rampup"), "--subjects", "400", "--format", "json"))
    rows = {row["name"]: row for row in said["baseline"]}
    assert {"age", "male", "weight", "crcl", "creatinine", "lymphocytes", "node_longest", "spleen"} <= set(rows)
    assert {"hemoglobin", "platelets", "neutrophils"} <= set(rows)
    for row in rows.values():
        if row["percent"] is None:
            assert row["low"] <= row["p5"] <= row["median"] <= row["p95"] <= row["high"]
        assert row["published"] is None, "the relapsed of another study are not these"
    steps = {shift["number"]: shift for shift in said["shifts"]}
    assert steps["baseline.age"]["population"] == "lenalidomide-cll-relapsed"
    assert steps["pharmacokinetics.volume"]["population"] == "venetoclax-cll"
    assert said["subjects"] == 400
    assert all(0 < part <= 100 for part in said["refused_percent"].values())


def test_csv_is_the_table() -> None:
    file = str(STUDIES / "lenalidomide-25mg" / "population.yaml")
    rows = list(csv.DictReader(StringIO(_run(file, "--subjects", "50", "--format", "csv"))))
    assert [row["name"] for row in rows[:2]] == ["male", "age"]
    assert rows[1]["published"] == "64 (42 to 75)"


def test_the_same_seed_gives_the_same_people() -> None:
    words = (str(STUDIES / "lenalidomide-cll"), "--subjects", "50", "--format", "json", "--seed")
    assert _run(*words, "2") == _run(*words, "2")
    assert _run(*words, "2") != _run(*words, "3")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("  size: {median: 60, of: 25, source: a}\n", "no characteristic"),
        ("  age: {median: 60, of: 25, source: b}\n", "not one of the sources"),
        ("  age: {events: 6, of: 25, source: a}\n", "a quantity has a median"),
        ("  male: {events: 26, of: 25, source: a}\n", "between 0 and of"),
        ("  male: {of: 25, source: a}\n", "a share has events"),
    ],
)
def test_a_slip_in_what_was_published_is_an_error_at_its_line(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "baseline.yaml").write_text(f"trialrun: 1\nsources: {{a: b}}\nbaseline:\n{text}", encoding="utf-8")
    with pytest.raises(TrialrunError, match=word) as caught:
        read_published_baseline(tmp_path / "population.yaml")
    assert caught.value.problems[0].location.line == 4


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TrialrunError, match="no such file"):
        RUN.invoke(app, ["population", "nowhere"], catch_exceptions=False)


def test_what_ships_can_be_read() -> None:
    found = [read_published_baseline(file) for file in STUDIES.glob("*/population.yaml")]
    assert sum(part is not None for part in found) == len(list(STUDIES.glob("*/baseline.yaml"))) == 3

"""`trialrun mechanism`: every part with its place, both directions where sources disagree, and no other model."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.simulate.mechanism import PARTS
from trialrun.vocab.problems import TrialrunError

STUDIES = Path(__file__).parents[2] / "studies"


def test_the_command_shows_every_part_and_both_directions() -> None:
    asked = ["mechanism", str(STUDIES / "lenalidomide-cll"), "--subjects", "50"]
    run = CliRunner().invoke(app, [*asked, "--format", "json"])
    assert run.exit_code == 0, run.output
    said = {row["part"]: row for row in json.loads(run.output)["parts"]}
    assert set(said) == {part.label for part in PARTS}
    assert said["interleukin 6 in serum"]["day 7"] > 1.0 > said["interleukin 6 of the stroma"]["day 7"]
    assert said["TNF-alpha in serum"]["day 7"] > 1.0 > said["TNF-alpha of the stroma"]["day 7"]
    assert said["Akt signalling"]["day 7"] is None  # lumped: nothing to show
    text = CliRunner().invoke(app, asked)
    assert text.exit_code == 0
    for part in PARTS:
        assert part.label.split()[0] in text.output


def test_without_a_dose_nothing_moves() -> None:
    asked = ["mechanism", str(STUDIES / "lenalidomide-cll"), "--subjects", "20", "--dose", "0", "--format", "json"]
    rows = json.loads(CliRunner().invoke(app, asked).output)["parts"]
    moved = [row["part"] for row in rows if row["day 28"] not in (None, 1.0)]
    assert moved == []


def test_the_command_refuses_a_model_without_it() -> None:
    run = CliRunner().invoke(app, ["mechanism", str(STUDIES / "venetoclax-rampup"), "--subjects", "5"])
    assert isinstance(run.exception, TrialrunError)
    assert run.exception.problems[0].code == "no-mechanism"

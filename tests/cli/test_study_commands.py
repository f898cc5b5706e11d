"""check, show, diff and plan as a user calls them: what they print, in which form, with which exit code."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.vocab.problems import TrialrunError

STUDY = str(Path(__file__).parents[2] / "studies" / "lenalidomide-cll")
RUN = CliRunner()


@pytest.fixture
def spoiled(tmp_path: Path) -> str:
    text = (Path(STUDY) / "protocol.yaml").read_text(encoding="utf-8")
    (tmp_path / "protocol.yaml").write_text(text.replace("hemoglobin < 110 g/L", "hemoglobin < 1.1 g/L", 1))
    return str(tmp_path)


def test_check_of_the_study_is_fine() -> None:
    result = RUN.invoke(app, ["check", STUDY])
    assert result.exit_code == 0, result.output
    assert "0 errors, 0 warnings" in result.output
    assert "original: 11 criteria" in result.output
    assert "cases pass" in result.output


def test_check_with_findings_ends_with_1(spoiled: str) -> None:
    result = RUN.invoke(app, ["check", spoiled])
    assert result.exit_code == 1
    assert "implausible" in result.output or "outside what is plausible" in result.output
    assert "protocol.yaml:" in result.output


def test_check_as_json_and_csv(spoiled: str) -> None:
    told = json.loads(RUN.invoke(app, ["check", spoiled, "--format", "json"]).stdout)
    rows = list(csv.DictReader(StringIO(RUN.invoke(app, ["check", spoiled, "--format", "csv"]).stdout)))
    assert [problem["code"] for problem in told] == [row["code"] for row in rows]
    assert {"implausible-threshold", "no-cases"} <= {problem["code"] for problem in told}
    assert all(problem["line"] for problem in told)


def test_check_of_what_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "protocol.yaml").write_text("trialrun: 1\n")
    result = RUN.invoke(app, ["check", str(tmp_path), "--format", "json"])
    assert result.exit_code == 2
    assert {problem["code"] for problem in json.loads(result.stdout)} == {"missing-key"}
    assert isinstance(RUN.invoke(app, ["check", str(tmp_path)]).exception, TrialrunError)  # main() ends it with 2
    assert RUN.invoke(app, ["check"]).exit_code == 2


def test_check_prints_the_schema() -> None:
    schema = json.loads(RUN.invoke(app, ["check", "--schema"]).stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "AmendmentPart" in schema["$defs"]


def test_show_as_text_html_and_json(tmp_path: Path) -> None:
    text = RUN.invoke(app, ["show", STUDY, "--version", "original"])
    assert text.exit_code == 0
    assert "ASSUMED" in text.output
    assert "PLANNED DOSES" in text.output
    page = tmp_path / "page.html"
    assert RUN.invoke(app, ["show", STUDY, "--format", "html", "--out", str(page)]).exit_code == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads(RUN.invoke(app, ["show", STUDY, "--format", "json"]).stdout)["version"] == "amendment-1"
    wrong = RUN.invoke(app, ["show", STUDY, "--out", str(tmp_path / "none" / "page.txt")])
    assert isinstance(wrong.exception, TrialrunError)
    assert isinstance(RUN.invoke(app, ["show", STUDY, "--version", "v9"]).exception, TrialrunError)


def test_diff_in_each_form() -> None:
    text = RUN.invoke(app, ["diff", STUDY, "original", "amendment-1"])
    assert text.exit_code == 0
    assert "first dose: 10 mg → 2.5 mg" in text.output
    assert "because: Start at 2.5 mg" in text.output
    told = json.loads(RUN.invoke(app, ["diff", STUDY, "original", "amendment-1", "--format", "json"]).stdout)
    assert told["amendments"][0]["applies_to"].startswith("Participants enrolled after")
    rows = list(
        csv.DictReader(StringIO(RUN.invoke(app, ["diff", STUDY, "original", "amendment-1", "--format", "csv"]).stdout))
    )
    assert ("treatment", "first dose", "10 mg", "2.5 mg") in {
        (row["path"], row["field"], row["from"], row["to"]) for row in rows
    }
    assert "nothing differs" in RUN.invoke(app, ["diff", STUDY, "original", "original"]).output


def test_plan_in_each_form() -> None:
    text = RUN.invoke(app, ["plan", STUDY, "--version", "original", "--cycles", "2"])
    assert text.exit_code == 0
    assert "8 to 14" in text.output
    told = json.loads(RUN.invoke(app, ["plan", STUDY, "--cycles", "2", "--format", "json"]).stdout)
    rows = list(csv.DictReader(StringIO(RUN.invoke(app, ["plan", STUDY, "--cycles", "2", "--format", "csv"]).stdout)))
    assert [visit["study_day"] for visit in told["visits"]] == [int(row["study_day"]) for row in rows]
    assert RUN.invoke(app, ["plan", STUDY, "--cycles", "0"]).exit_code == 2


@pytest.mark.parametrize("study", ["lenalidomide-cll", "venetoclax-rampup"])
def test_the_names_of_visits_are_whole_on_80_columns(study: str) -> None:
    folder = Path(STUDY).parent / study
    told = RUN.invoke(app, ["plan", str(folder), "--cycles", "2"], env={"COLUMNS": "80"}).output
    schedule = told.split("Planned doses")[0]
    assert "…" not in schedule
    rows = csv.DictReader(StringIO(RUN.invoke(app, ["plan", str(folder), "--cycles", "2", "--format", "csv"]).stdout))
    names = {row["visit"].replace("_", " ") for row in rows}
    assert len(names) > 5
    assert all(f" {name} " in schedule for name in names)


@pytest.mark.parametrize("command", ["check", "show", "diff", "plan"])
def test_help_teaches_with_an_example(command: str) -> None:
    result = RUN.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"trialrun {command} studies/lenalidomide-cll" in " ".join(result.output.split())


@pytest.fixture
def stepping_by_count(tmp_path: Path) -> Path:
    """The original version, whose steps also ask for neutrophils, with its population."""
    text = (Path(STUDY) / "protocol.yaml").read_text(encoding="utf-8")
    old = "when: days_at_level >= 7 days and reductions = 0"
    assert text.count(old) == 1
    (tmp_path / "protocol.yaml").write_text(
        text.replace(old, f"{old} and neutrophils >= 1.0 x10^9/L"), encoding="utf-8"
    )
    (tmp_path / "population.yaml").write_bytes((Path(STUDY) / "population.yaml").read_bytes())
    return tmp_path


def test_plan_says_that_steps_on_findings_are_left_out(stepping_by_count: Path) -> None:
    said = " ".join(RUN.invoke(app, ["plan", str(stepping_by_count), "--version", "original"]).output.split())
    assert "NOTE: steps are left out of these doses: from study day 8 on the dose depends on what is found" in said
    assert "NOTE" not in RUN.invoke(app, ["plan", STUDY, "--version", "original"]).output


def test_intensity_of_the_planned_dose_is_not_assessed_where_steps_depend_on_findings(stepping_by_count: Path) -> None:
    out = stepping_by_count / "out"
    words = ["simulate", f"{stepping_by_count}@original", "--subjects", "20", "--cycles", "2", "--out", str(out)]
    result = RUN.invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    outcomes = pl.read_parquet(out / "original" / "outcomes.parquet")
    assert outcomes["dose_intensity"].null_count() == outcomes.height
    assert outcomes["dose_intensity_target"].null_count() < outcomes.height
    assert RUN.invoke(app, ["report", str(out)], catch_exceptions=False).exit_code == 0
    assert "depends on what is found: neutrophils" in (out / "report.html").read_text(encoding="utf-8")

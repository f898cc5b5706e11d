"""Bad calls and bad records, as a user meets them: what is said, with which exit code, and that nothing is guessed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.vocab.problems import TrialrunError

ROOT = Path(__file__).parents[2]
STUDY = str(ROOT / "studies" / "lenalidomide-cll")
EXAMPLE = ROOT / "examples" / "records" / "lenalidomide-cll"
CANDIDATES = str(ROOT / "examples" / "screening" / "candidates.csv")
RUN = CliRunner()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "record"))


def call(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and what was said about the trouble."""
    result = RUN.invoke(app, list(words))
    if isinstance(result.exception, TrialrunError):
        return 2, result.stdout, str(result.exception)  # main() ends it with 2
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def decisions(record: Path) -> tuple[int, dict[str, dict[str, str]], str]:
    code, out, said = call("decide", STUDY, str(record), "--on", "2007-09-17", "--format", "csv")
    return code, {row["subject"]: row for row in csv.DictReader(StringIO(out))}, said


def _append(file: str, line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / file).open("a", encoding="utf-8") as table:
            table.write(line + "\n")

    return change


def _replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


# what makes the decision about EX-05 impossible, and the words that say so
WITHHELD = {
    "a misspelt event": (_append("adverse_events.csv", "A9,EX-05,2007-09-16,,tumor flair,4,N,Y"), "tumor_flare"),
    "a grade that is none": (_append("adverse_events.csv", "A9,EX-05,2007-09-16,,tumor_flare,7,N,Y"), "line 4"),
    "an event without grade": (_append("adverse_events.csv", "A9,EX-05,2007-09-16,,tumor_flare,,N,Y"), "line 4"),
    "an unknown disposition": (_append("dispositions.csv", "D9,EX-05,2007-09-16,dead,"), "line 10 of dispositions"),
    "an impossible exposure": (
        _replace("exposures.csv", "2007-08-06,2007-08-26", "2007-08-06,2197-08-26"),
        "line 7 of exposures",
    ),
    "a dose in mL": (
        _replace("exposures.csv", "2007-08-26,lenalidomide,2.5,mg", "2007-08-26,lenalidomide,2.5,mL"),
        "mL",
    ),
    "another drug": (
        _replace("exposures.csv", "2007-08-26,lenalidomide,2.5", "2007-08-26,ibrutinib,2.5"),
        "ibrutinib",
    ),
    "a dose off the levels": (
        _replace("exposures.csv", "2007-08-26,lenalidomide,2.5", "2007-08-26,lenalidomide,3"),
        "3 mg",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHHELD)
def test_what_cannot_be_read_withholds_the_dose_and_the_others_go_on(record: Path, name: str) -> None:
    change, words = WITHHELD[name]
    change(record)
    code, found, _ = decisions(record)
    assert code == 1
    assert (found["EX-05"]["action"], found["EX-05"]["dose"]) == ("undetermined", "")
    assert words in found["EX-05"]["waits_for"]
    assert (found["EX-01"]["action"], found["EX-01"]["dose"]) == ("step up", "5.0")


def test_a_dose_in_grams_is_the_same_dose(record: Path) -> None:
    _, before, _ = decisions(record)
    _replace("exposures.csv", "2007-08-26,lenalidomide,2.5,mg", "2007-08-26,lenalidomide,0.0025,g")(record)
    assert decisions(record)[1] == before


def test_an_event_by_its_label_counts(record: Path) -> None:
    _append("adverse_events.csv", "A9,EX-05,2007-09-16,,Tumour Flare,4,N,Y")(record)
    found = decisions(record)[1]["EX-05"]
    assert (found["action"], found["rule"]) == ("hold", "dose_modification.severe_flare")


def test_discontinued_treatment_is_not_dosed_again(record: Path) -> None:
    _append("dispositions.csv", "D9,EX-05,2007-09-10,treatment discontinued,physician decision")(record)
    found = decisions(record)[1]["EX-05"]
    assert found["action"] == "off treatment"
    assert "physician decision" in found["reason"]


def test_the_choice_of_the_investigator_is_read(record: Path) -> None:
    _append("findings.csv", "F999,EX-01,2007-09-17,cycle_start,investigator_keeps_level,,yes,,,,,,")(record)
    assert decisions(record)[1]["EX-01"]["rule"] == "step_up.investigator_keeps_level"


def test_a_second_result_of_the_same_moment_is_told(record: Path) -> None:
    _append("findings.csv", "F999,EX-01,2007-09-17,cycle_start,neutrophils,0.3,,x10^9/L,2.0,7.5,,,")(record)
    code, _, said = decisions(record)
    assert code == 1
    assert "findings.csv:268" in said


@pytest.mark.parametrize("name", ["finding.csv", "Findings.csv", "adverse-events.csv"])
def test_a_table_under_another_name_is_not_read_as_empty(record: Path, name: str) -> None:
    (record / ("adverse_events.csv" if "adverse" in name else "findings.csv")).rename(record / name)
    code, out, said = call("decide", STUDY, str(record), "--on", "2007-09-17")
    assert (code, out) == (2, "")
    assert Path(name).stem in said


def test_a_folder_where_a_table_should_be(record: Path) -> None:
    (record / "findings.csv").unlink()
    (record / "findings.csv").mkdir()
    assert call("decide", STUDY, str(record), "--on", "2007-09-17")[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("decide", STUDY, str(EXAMPLE), "--on", "2007-09-17", "--subject", "EX-1"), "EX-01"),
        (("decide", STUDY, str(EXAMPLE), "--on", "17.9.2007"), "%Y-%m-%d"),
        (("decide", STUDY, str(EXAMPLE / "subjects.csv"), "--on", "2007-09-17"), "no such record directory"),
        (("decide", STUDY, "nowhere", "--on", "2007-09-17"), "nowhere"),
        (("decide", "nowhere", str(EXAMPLE), "--on", "2007-09-17"), "no such file"),
        (("replay", STUDY, str(EXAMPLE), "--under", "amendment-2"), "original, amendment-1"),
        (("screen", STUDY, "nowhere.csv"), "nowhere.csv"),
        (("screen", STUDY, str(EXAMPLE)), "no such file"),
        (("screen", STUDY, CANDIDATES, "--version", "v2"), "original, amendment-1"),
        (("grade", CANDIDATES, "--criteria", "ctcae-9"), "ctcae-5.0"),
        (("simulate", STUDY, "--subjects", "0", "--out", "x"), "greater than or equal to 1"),
        (("simulate", STUDY + "@v2", "--out", "x"), "original, amendment-1"),
        (("simulate", STUDY, "--population", "nowhere.yaml", "--out", "x"), "nowhere.yaml"),
        (("simulate", STUDY, "--one-set", "--ensemble", "nowhere.parquet", "--out", "x"), "one of them"),
        (("calibrate", STUDY, "--design", "64", "--sets", "20"), "--design 64 (there: 1024), --sets 20 (there: 640)"),
        (("calibrate", STUDY), "no --refit (there: trials left out by a calibration of their own)"),
        (("compare", STUDY + "@original", "--out", "x"), "two or more"),
        (("compare", STUDY + "@original", STUDY + "@original", "--out", "x"), "twice"),
        (("compare", STUDY + "@original", "elsewhere@v2", "--out", "x"), "elsewhere"),
    ],
)
def test_a_bad_call_ends_with_2_and_says_what_would_be_right(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    code, out, told = call(*words)
    assert (code, out) == (2, "")
    assert said in told
    assert not os.listdir(tmp_path)


def test_a_candidate_with_a_cell_that_does_not_read_is_told_and_the_others_are_screened(tmp_path: Path) -> None:
    text = "subject,age [a],neutrophils [x10^9/L]\nA,60,1.5\nA,61,2\nB,abc,3\nC,40,low\nD,50,0.4\n"
    (tmp_path / "candidates.csv").write_text(text)
    code, out, said = call("screen", STUDY, str(tmp_path / "candidates.csv"), "--format", "csv")
    found = {row["subject"]: row["verdict"] for row in csv.DictReader(StringIO(out))}
    assert code == 1
    assert found == {"A": "undetermined", "D": "not eligible"}
    assert all(f"candidates.csv:{line}" in said for line in (3, 4, 5))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    there = str(tmp_path / "file" / "folder")
    assert call("decide", STUDY, str(EXAMPLE), "--on", "2007-09-17", "--certificate", there)[0] == 2
    assert call("simulate", STUDY, "--subjects", "1", "--cycles", "1", "--out", there)[0] == 2


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "amendment-1").mkdir()
    (tmp_path / "amendment-1" / "thesis.txt").write_text("years of work")
    code, _, said = call("simulate", STUDY, "--subjects", "1", "--cycles", "1", "--out", str(tmp_path))
    assert code == 2
    assert "thesis.txt" in said
    assert (tmp_path / "amendment-1" / "thesis.txt").read_text() == "years of work"


def test_json_has_decisions_study_and_findings(record: Path) -> None:
    _append("adverse_events.csv", "A9,EX-05,2007-09-16,,tumor_lysis_syndrome,2,Y,Y")(record)
    code, out, _ = call("decide", STUDY, str(record), "--on", "2007-09-17", "--format", "json")
    told = json.loads(out)
    assert code == 1
    assert {item["subject"]: item["dose"] for item in told["decisions"]}["EX-01"] == 5.0
    assert told["study"][0]["verdict"] == "true"
    text = call("decide", STUDY, str(record), "--on", "2007-09-17")[1]
    assert "study: pause enrolment (section 9.2)" in text


def test_certificates_are_written_one_a_subject(tmp_path: Path) -> None:
    code, _, _ = call("decide", STUDY, str(EXAMPLE), "--on", "2007-09-17", "--subject", "EX-01", "--certificate",
                      str(tmp_path / "certificates"))  # fmt: skip
    assert code == 0
    (file,) = (tmp_path / "certificates").iterdir()
    assert json.loads(file.read_text(encoding="utf-8"))["action"] == "step up"


def test_replay_as_json_is_typed(tmp_path: Path) -> None:
    code, out, _ = call("replay", STUDY, str(EXAMPLE), "--under", "amendment-1", "--format", "json")
    rows = json.loads(out)
    assert code == 1
    assert (rows[0]["dose"], rows[0]["other_dose"], rows[0]["changed"]) == (10.0, 2.5, True)


@pytest.mark.parametrize("command", ["decide", "replay", "screen", "simulate", "compare", "grade"])
def test_help_teaches_with_an_example(command: str) -> None:
    result = RUN.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"trialrun {command} " in " ".join(result.output.split())


def test_a_day_that_has_not_come_is_refused(record: Path) -> None:
    code, out, said = call("decide", STUDY, str(record), "--on", "2999-01-01")
    assert (code, out) == (2, "")
    assert "the day has not come" in said
    assert "2999-01-01" in said


def test_python_runs_the_package_as_the_command() -> None:
    shown = [subprocess.run([*call, "--version"], capture_output=True, text=True, check=True).stdout
             for call in ([sys.executable, "-m", "trialrun"], [str(Path(sys.executable).with_name("trialrun"))])]  # fmt: skip
    assert shown[0] == shown[1] != ""

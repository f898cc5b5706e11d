"""Errors of a protocol are told beside the results of a run of it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trialrun.cli import app
from trialrun.plan.calendar import Plan, plan_version
from trialrun.plan.checked import describe_errors, describe_open_steps
from trialrun.protocol import Protocol, read_protocol

STUDIES = Path(__file__).parents[2] / "studies"
CLL = STUDIES / "lenalidomide-cll"


@pytest.fixture
def capped(tmp_path: Path) -> Path:
    """The study with a cap of the original version below its target, and a case that no longer passes for it."""
    for file in ("population.yaml", "conduct.yaml", "cases.yaml"):
        shutil.copy(CLL / file, tmp_path / file)
    text = (CLL / "protocol.yaml").read_text(encoding="utf-8")
    old = "up_to: 25 mg\n        - otherwise: continue\n      status: published\n      source: ash2007"
    assert text.count(old) == 1
    (tmp_path / "protocol.yaml").write_text(text.replace(old, old.replace("25 mg", "15 mg")), encoding="utf-8")
    return tmp_path


def _arms(protocol: Protocol, *names: str) -> list[tuple[Protocol, Plan]]:
    return [(protocol, plan_version(protocol.version(name))) for name in names]


def test_a_protocol_without_errors_has_no_notice() -> None:
    for folder in (CLL, STUDIES / "venetoclax-rampup"):
        protocol = read_protocol(folder)
        assert list(describe_errors(_arms(protocol, *protocol.versions))) == []


def test_errors_are_told_of_the_versions_that_are_run_alone(capped: Path) -> None:
    protocol = read_protocol(capped)
    assert list(describe_errors(_arms(protocol, "amendment-1"))) == []
    (told,) = describe_errors(_arms(protocol, "original", "amendment-1"))
    assert told == (
        "A quick check of version original finds 2 errors and 1 warning; it is run as it stands. To see them: "
        f"trialrun check {capped / 'protocol.yaml'}"
    )


def test_a_case_that_fails_is_an_error(capped: Path) -> None:
    (capped / "protocol.yaml").write_text(
        (CLL / "protocol.yaml")
        .read_text(encoding="utf-8")
        .replace("neutrophils < 0.5 x10^9/L", "neutrophils < 0.4 x10^9/L"),
        encoding="utf-8",
    )
    (told,) = describe_errors(_arms(read_protocol(capped), "original"))
    assert "version original finds" in told


@pytest.mark.parametrize("command", ["simulate", "compare", "trials"])
def test_every_kind_of_run_prints_and_keeps_the_notice(capped: Path, command: str) -> None:
    words = {
        "simulate": [f"{capped}@original", "--subjects", "4"],
        "compare": [f"{capped}@original", f"{capped}@amendment-1", "--subjects", "4"],
        "trials": [str(capped), "--start", "original", "--trials", "2", "--subjects", "3"],
    }[command]
    result = CliRunner().invoke(
        app, [command, *words, "--cycles", "1", "--out", str(capped / "out")], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert "NOTICE: A quick check of version original finds 2 errors" in " ".join(result.stdout.split())
    kept = json.loads(
        (capped / "out" / ("about.json" if command == "trials" else "run.json")).read_text(encoding="utf-8")
    )
    assert any("A quick check of version original" in said for said in kept["notices"])


def test_steps_on_findings_are_told_where_the_run_comes_to_them(tmp_path: Path) -> None:
    text = (CLL / "protocol.yaml").read_text(encoding="utf-8")
    old = "when: days_at_level >= 7 days and reductions = 0"
    (tmp_path / "protocol.yaml").write_text(
        text.replace(old, f"{old} and neutrophils >= 1.0 x10^9/L"), encoding="utf-8"
    )
    arms = _arms(read_protocol(tmp_path), "original", "amendment-1")
    (told,) = describe_open_steps(arms, 2)
    assert told.startswith("Version original plans no doses: from study day 8 on the dose depends on")
    assert "neutrophils. Dose intensity, of the dose planned, is not assessable." in told


@pytest.mark.parametrize("study", ["lenalidomide-cll", "venetoclax-rampup"])
def test_it_takes_about_a_tenth_of_a_second_at_most(study: str) -> None:
    protocol = read_protocol(STUDIES / study)
    arms = _arms(protocol, next(iter(protocol.versions)))

    def seconds() -> float:
        start = time.process_time()
        list(describe_errors(arms))
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 0.1

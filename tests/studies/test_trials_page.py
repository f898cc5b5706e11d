"""What docs/trials.md says to write and to type works: its files are made and its commands given in order, as from a fresh clone."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from engine.scripted import Scripted, doses, run
from trialrun.cli import app
from trialrun.plan.calendar import plan_version
from trialrun.protocol import read_protocol
from trialrun.simulate.people import realise_people
from trialrun.simulate.population import read_population

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "trials.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(yaml|sh)\n(.*?)```", PAGE, flags=re.DOTALL)
# What the page tells is proved with a few subjects and cycles; the commands stay otherwise as they are printed.
FEW = ((r"--subjects \d+", "--subjects 20"), (r"--trials \d+", "--trials 2"), (r"--cycles \d+", "--cycles 1"))


def _commands(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The studies of a fresh clone, after every block of the page in its order; (command, output) in `said.json`."""
    made = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "studies", made / "studies")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for kind, block in BLOCKS:
            if kind == "yaml":
                _write(block)
            for command in _commands(block) if kind == "sh" else ():
                said.append((command, _run(command)))
    (made / "said.json").write_text(json.dumps(said), encoding="utf-8")
    return made


def _write(block: str) -> None:
    first, _, rest = block.partition("\n")
    at_end = re.fullmatch(r"# at the end of (\S+)", first)
    if at_end:
        with Path(at_end[1]).open("a", encoding="utf-8") as file:
            file.write(rest)
        return
    named = re.fullmatch(r"# (\S+\.yaml)", first)
    assert named, f"a block says which file it is: {first}"
    Path(named[1]).parent.mkdir(parents=True, exist_ok=True)
    Path(named[1]).write_text(block, encoding="utf-8")


def _run(command: str) -> str:
    words = shlex.split(command)
    if words[0] != "trialrun":
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout
    small = command
    for long, short in FEW:
        small = re.sub(long, short, small)
    if words[1] in ("simulate", "compare") and "--cycles" not in small:
        small += " --cycles 1"
    result = CliRunner().invoke(app, shlex.split(small)[1:], catch_exceptions=False)
    alone = words[1] == "check" and result.output.count("warning:") == 1 and "there are no cases" in result.output
    assert result.exit_code == (1 if alone else 0), f"{command}: {result.output}"
    return result.output


def _said(clone: Path, start: str) -> str:
    said = json.loads((clone / "said.json").read_text(encoding="utf-8"))
    (found,) = [output for command, output in said if command.startswith(start)]
    return " ".join(str(found).split())  # lines are wrapped


def test_every_command_of_the_page_works_as_printed(clone: Path) -> None:
    said = json.loads((clone / "said.json").read_text(encoding="utf-8"))
    assert {command.split()[1] for command, _ in said if command.startswith("trialrun")} >= {
        *("check", "population", "simulate", "compare", "report", "plan", "diff")
    }
    assert len(said) > 25


def test_the_page_has_the_statements_that_it_should(clone: Path) -> None:
    made = {path.parent.name for path in (clone / "studies").glob("*/population.yaml")}
    assert {"my-trial", "high-counts", "bulky-covered", "elderly", "renal"} <= made
    versions = set(read_protocol(clone / "studies" / "my-versions").versions)
    assert {"five-mg-daily", "steroid-cover", "rasburicase-and-gcsf"} <= versions
    assert "slow" in read_protocol(clone / "studies" / "slow-ramp").versions


def test_notices_are_those_that_the_page_promises(clone: Path) -> None:
    versions = _said(clone, "trialrun compare studies/my-versions@original")
    assert "gave rasburicase, gcsf" in versions
    assert "A steroid is on or off" in versions
    assert "Age: median" in _said(clone, "trialrun simulate studies/elderly")
    assert "creatinine clearance outside of the 45" in _said(clone, "trialrun simulate studies/renal")
    assert "Lymphocytes: median" in _said(clone, "trialrun simulate studies/lenalidomide-cll@amendment-1")


def test_a_copy_of_a_study_has_no_notice_of_its_people(clone: Path) -> None:
    assert "fitted people" not in _said(clone, "trialrun simulate studies/my-trial")


def test_people_of_the_page_are_those_whom_they_describe(clone: Path) -> None:
    people = {
        name: realise_people(read_population(clone / "studies" / name), 1000).values
        for name in ("lenalidomide-cll", "lenalidomide-25mg", "high-counts", "bulky-covered", "elderly", "renal")
    }

    def median(name: str, quantity: str) -> float:
        return float(pl.Series(people[name][quantity]).median())  # type: ignore[arg-type]

    assert median("high-counts", "lymphocytes") > 1.5 * median("lenalidomide-cll", "lymphocytes")
    assert median("bulky-covered", "node_longest") > median("lenalidomide-25mg", "node_longest") + 1
    assert (people["bulky-covered"]["node_longest"] >= 5).mean() > 0.85
    assert people["elderly"]["age"].min() >= 65
    assert 68 < median("elderly", "age") < 74
    for part, expected in ((0.05, 29), (0.5, 41), (0.95, 59)):
        assert pl.Series(people["renal"]["crcl"]).quantile(part) == pytest.approx(expected, abs=1.5), part


def _outcomes(out: Path, version: str) -> pl.DataFrame:
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    (place,) = [item["folder"] for item in run["versions"] if item["version"] == version]
    return pl.read_parquet(out / place / "outcomes.parquet")


def _values(out: Path, version: str, test: str) -> pl.Series:
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    (place,) = [item["folder"] for item in run["versions"] if item["version"] == version]
    table = pl.read_parquet(next((out / place).rglob("findings.parquet")))
    return table.filter(pl.col("test") == test)["value"].drop_nulls()


def test_versions_of_the_page_do_what_they_say(clone: Path, tmp_path: Path) -> None:
    names = ("original", "five-mg-daily", "steroid-cover", "rasburicase-and-gcsf")
    arms = " ".join(f"{clone / 'studies' / 'my-versions'}@{name}" for name in names)
    people = clone / "studies" / "lenalidomide-cll"
    words = f"compare {arms} --population {people} --subjects 300 --cycles 3 --out {tmp_path / 'out'} --one-set"
    done = CliRunner().invoke(app, shlex.split(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
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


@pytest.mark.parametrize(
    ("study", "version", "days", "expected"),
    [
        ("elderly", "five-mg-steps", 28, [5, 5, 10, 15, 20, 25, 25]),
        ("renal", "renal", 28, [2.5, 5, 7.5, 7.5]),
        ("slow-ramp", "slow", 14, [10, 20, 50, 100, 200, 400, 400]),
    ],
)
def test_schedules_of_the_page_give_the_doses_that_they_say(
    clone: Path, study: str, version: str, days: int, expected: list[float]
) -> None:
    """The dose of someone without events on the first of so many days, again and again."""
    plan = plan_version(read_protocol(clone / "studies" / study).version(version))
    _, log = run(plan, Scripted(1), days * len(expected) + 1)
    taken = doses(log, 1, days * len(expected))[0].reshape(len(expected), days)
    assert taken[:, 0].tolist() == expected

"""Each error that docs/reference/population-file.md lists is the one that a file with that mistake gets, with its line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from trialrun.simulate.file_page import MISTAKES, Mistake
from trialrun.simulate.limits import limits
from trialrun.simulate.population import read_population
from trialrun.vocab.problems import TrialrunError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "population-file.md").read_text(encoding="utf-8")
WHOLE = (ROOT / "studies" / "lenalidomide-cll" / "population.yaml").read_text(encoding="utf-8")
HEAD = "trialrun: 1\nextends: {base}\npopulation: {{id: a, title: b, describes: c}}\nsources: {{here: d}}\n"
KNOWN = "status: assumed, source: here"
# One file for each row of MISTAKES, in its order: what is replaced in the whole file by what, or what an extension says.
WRONG: list[tuple[str, str] | str] = [
    (r"  crcl_per_year: .*\n", ""),
    ("  crcl_per_year: ", "  crcl_per_yaer: "),
    f"enrolled:\n  age: {{low: 18, unit: a, {KNOWN}}}\n",
    f"enrolled:\n  hemoglobin: {{low: 8, unit: g/dL, {KNOWN}}}\n",
    (r"(  crcl_per_year: .*source: )assumed", r"\1[]"),
    ("shift:\n  baseline.age: {add: 1, status: assumed, source: nowhere}\n"),
    (r"\ntests:\n", "\ntests:\n  neutrofils: {unit: 10*9/L, error: none, status: assumed, source: assumed}\n"),
    (r"  lysis\.hit_rate: ", "  lysis.hit_rat: "),
    f"shift:\n  baseline.agee: {{add: 1, {KNOWN}}}\n",
    f"between_trials:\n  baseline.age: {{sd: 0, {KNOWN}}}\n",
    f"between_trials:\n  baseline.age: {{sd: 1, {KNOWN}}}\n",
    f"shift:\n  baseline.age: {{add: 1, factor: 2, {KNOWN}}}\n",
    f"shift:\n  baseline.age: {{{KNOWN}}}\n",
    f"shift:\n  leukemia.nonresponder: {{odds: 0, {KNOWN}}}\n",
    f"shift:\n  baseline.age: {{add: 1, fitted: true, {KNOWN}}}\n",
    f"shift:\n  baseline.age: {{odds: 2, {KNOWN}}}\n",
    f"shift:\n  baseline.age: {{add: 100, {KNOWN}}}\n",
    f"shift:\n  baseline.age: {{omega: 0.2, {KNOWN}}}\n",
    f"shift:\n  baseline.male_fraction: {{sd: 0.2, {KNOWN}}}\n",
    "SECOND",
    f"shift:\n  baseline.male_fraction: {{factor: 2, {KNOWN}}}\n",
    f"shift:\n  baseline.age: {{value: 70, high: 150, {KNOWN}}}\n",
    f"shift:\n  marrow.hemoglobin_setpoint: {{omega: 0.5, {KNOWN}}}\n",
    f"shift:\n  baseline.ecog_0: {{value: 0.9, {KNOWN}}}\n",
    f"shift:\n  baseline.lymphocytes: {{low: 1, {KNOWN}}}\n",
    (r"\noptions: ", "\nshift:\n  baseline.age: {add: 1, status: assumed, source: assumed}\noptions: "),
    "CIRCLE",
    "ABSENT",
    "model: lenalidomid-cll\n",
    "options: {renal: power}\n",
    "options: {renal_clearance: cubic}\n",
]


def _write(folder: Path, wrong: tuple[str, str] | str) -> Path:
    shutil.copy(ROOT / "studies" / "lenalidomide-cll" / "population.yaml", folder / "base.yaml")
    file = folder / "population.yaml"
    if isinstance(wrong, tuple):
        text, times = re.subn(*wrong, WHOLE, count=1)
        assert times == 1
    elif wrong == "SECOND":
        shift = f"shift:\n  leukemia.nonresponder: {{odds: 2, fitted: true, {KNOWN}}}\n"
        (folder / "first.yaml").write_text(HEAD.format(base="base.yaml") + shift, encoding="utf-8")
        text = HEAD.format(base="first.yaml") + shift
    elif wrong in ("CIRCLE", "ABSENT"):
        text = HEAD.format(base="population.yaml" if wrong == "CIRCLE" else "none.yaml")
    else:
        text = HEAD.format(base="base.yaml") + wrong
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("mistake", "wrong"),
    list(zip(MISTAKES, WRONG, strict=True)),
    ids=[f"{mistake.code}-{place}" for place, mistake in enumerate(MISTAKES)],
)
def test_a_mistake_gets_the_error_of_the_page(tmp_path: Path, mistake: Mistake, wrong: tuple[str, str] | str) -> None:
    with pytest.raises(TrialrunError) as raised:
        read_population(_write(tmp_path, wrong))
    wanted = ".*".join(re.escape(part) for part in mistake.message.split("..."))
    fitting = [
        problem
        for problem in raised.value.problems
        if problem.code == mistake.code and re.fullmatch(f".*{wanted}", problem.message)
    ]
    assert fitting, [(problem.code, problem.message) for problem in raised.value.problems]
    assert fitting[0].location is not None
    assert fitting[0].location.line is not None


def test_a_correct_extension_of_the_page_is_read(tmp_path: Path) -> None:
    """The example at the head of the page."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "lenalidomide-cll").mkdir()
    shutil.copy(ROOT / "studies" / "lenalidomide-cll" / "population.yaml", tmp_path / "lenalidomide-cll")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "population.yaml").write_text(block, encoding="utf-8")
    base, mine = read_population(tmp_path / "lenalidomide-cll"), read_population(tmp_path / "mine")
    assert mine.line_of_therapy == "relapsed"
    assert mine.numbers()["baseline.age"].value == base.numbers()["baseline.age"].value + 6
    crcl = mine.numbers()["baseline.crcl"]
    assert crcl.variability is not None
    assert crcl.variability.low == 30


def test_every_number_that_can_be_shifted_is_on_the_page() -> None:
    for file in ("lenalidomide-cll", "venetoclax-rampup"):
        for name, number in read_population(ROOT / "studies" / file).numbers().items():
            section, _, word = name.partition(".")
            part = PAGE.split(f"## Numbers of `{section}`")[1].split("\n## ")[0]
            assert f"| `{word}` | {number.unit} | {limits()[name]} |" in part

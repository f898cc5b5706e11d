"""The conduct file: what is refused, with file and line; what it replaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.simulate.population import read_population
from trialrun.trials.statement import conducted, read_conduct
from trialrun.vocab.problems import TrialrunError

STUDY = Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll"


def _changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (STUDY / "conduct.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    (tmp_path / "conduct.yaml").write_text(text.replace(old, new), encoding="utf-8")
    return tmp_path / "conduct.yaml"


def test_every_number_of_the_study_has_unit_status_and_source() -> None:
    conduct = read_conduct(STUDY)
    numbers = conduct.numbers()
    assert set(numbers) == {
        "accrual.rate", "accrual.sites", "reports.late", "reports.delay", "visits.missed",
        "board.notice", "board.review", "board.activation",
    }  # fmt: skip
    for name, number in numbers.items():
        assert all((number.unit, number.status, number.source)), name
        if number.status != "assumed":
            assert number.source != "assumed", name
    assert conduct.value("board.review") == numbers["board.review"].value
    assert conduct.value("cohorts.size") == 0.0  # there are none


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("value: 28, unit: d", "value: 4, unit: wk", "unit-mismatch"),
        ("value: 28, unit: d", "value: 28.5, unit: d", "out-of-range"),
        ("value: 0.2, unit: \"1\"", "value: 1.2, unit: \"1\"", "out-of-range"),
        ("value: 1.5, unit: /mo", "value: 0, unit: /mo", "out-of-range"),
        ("value: 28, unit: d, status: assumed, source: assumed", "value: 28, unit: d, status: assumed, source: nobody", "unknown-source"),
        ("pattern: poisson", "pattern: sometimes", "literal_error"),
        ("  notice:", "  noticed:", "extra_forbidden"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, old: str, new: str, code: str) -> None:
    path = _changed(tmp_path, old, new)
    with pytest.raises(TrialrunError) as error:
        read_conduct(path)
    problem = error.value.problems[0]
    text = (STUDY / "conduct.yaml").read_text(encoding="utf-8")
    assert problem.location is not None
    assert problem.location.file == str(path)
    if code in ("unit-mismatch", "out-of-range", "unknown-source"):
        assert problem.code == code
        assert problem.location.line == text[: text.index(old)].count("\n") + 1


def test_a_study_without_the_file_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(TrialrunError, match="nothing says how the trial is run"):
        read_conduct(tmp_path)


def test_numbers_of_the_file_replace_those_of_the_population(tmp_path: Path) -> None:
    more = (
        'doses:\n  missed: {label: doses, value: 0.2, unit: "1", status: assumed, source: assumed}\n'
        "dropout:\n  rate: {label: dropout, value: 0.001, unit: /d, status: assumed, source: assumed}\n"
        "other_deaths:\n  rate: {label: deaths, value: 0.5, unit: /a, status: assumed, source: assumed}\nboard:\n"
    )
    conduct = read_conduct(_changed(tmp_path, "board:\n", more))
    population = read_population(STUDY)
    changed = conducted(population, conduct)
    assert (changed.conduct["missed_dose"].value, changed.conduct["dropout_rate"].value) == (0.2, 0.001)
    assert changed.survival["death_rate_other"].value == pytest.approx(0.5 / 365.25)
    assert (changed.survival["death_rate_other"].unit, population.survival["death_rate_other"].unit) == ("/d", "/d")
    others = set(population.conduct) - {"missed_dose", "dropout_rate"}
    assert all(changed.conduct[name] == population.conduct[name] for name in others)
    as_it_is = conducted(population, read_conduct(STUDY))
    assert (as_it_is.conduct, as_it_is.survival) == (population.conduct, population.survival)

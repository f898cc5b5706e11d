"""The answer on two screens: short, in words, and with the numbers of the summary."""

from __future__ import annotations

import sys
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path

import polars as pl
import pytest

from trialrun.analysis.answer import KEY, format_answer
from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.outcomes import read_outcomes
from trialrun.analysis.prediction_text import format_large, format_trial, predicted
from trialrun.analysis.published import read_published
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Ensemble, Run
from trialrun.analysis.summary import summarize_outcomes
from trialrun.analysis.wording import WIDTH, find_row, phrase
from trialrun.cli.output import print_text

STUDY = Path(__file__).parents[2] / "studies/lenalidomide-cll/published.yaml"
FITTED = Ensemble(20, 15.0, frozenset({("flare_any", 22, 25)}))


@pytest.fixture(scope="module")
def outcomes(run: Run) -> dict[str, pl.DataFrame]:
    """In 20 trials of 3, each with a parameter set of its own."""
    trial = (pl.int_range(pl.len()) // 3 + 1).alias("trial")
    return {info.version: read_outcomes(run, info).with_columns(trial, trial.alias("set")) for info in run.versions}


@pytest.fixture(scope="module")
def many(run: Run) -> Run:
    return replace(run, subjects=3, trials=20, ensemble=FITTED, notices=("Here is something to know.",))


@pytest.fixture(scope="module")
def rows(many: Run, outcomes: dict[str, pl.DataFrame]) -> list[Row]:
    return summarize_outcomes(outcomes, many, read_published(STUDY))


def line_of(text: str, start: str, count: int = 0) -> str:
    return [line for line in text.splitlines() if line.strip().startswith(start)][count]


def check_form(text: str, most: int) -> None:
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= most
    shown = " ".join(lines)
    assert not [name for name in all_outcomes() if "_" in name and name in shown], "a column's name, not words"


def test_two_arms_fit_two_screens_with_the_numbers_of_the_summary(many: Run, rows: list[Row]) -> None:
    text = format_answer(rows, many)
    check_form(text, 60)
    line = line_of(text, "Flare of grade 2 or worse")
    for version in ("original", "amendment-1"):
        large = predicted(rows, "large_trial", "flare_2", version)
        assert large is not None
        assert f"% ({format_large(large).removesuffix(' %')})" in line
    difference = find_row(rows, "flare_2", "amendment-1", ("difference",))
    better = predicted(rows, "probability_better", "flare_2", "amendment-1")
    assert difference is not None
    assert difference.value is not None
    assert better is not None
    assert better.value is not None
    assert f"{100 * difference.value:+.1f}".replace("-", "−") in line
    assert 0.5 < better.value < 1
    assert line.endswith(">99 %" if better.value > 0.99 else f"{100 * better.value:.0f} %")
    assert "20 parameter sets that fit the published facts, worth 15" in text
    assert "NOTICE: Here is something to know." in text


def test_key_outcomes_exist_and_are_named_in_words() -> None:
    names = [name for names in KEY.values() for name in names]
    assert set(names) <= set(all_outcomes())
    assert all(len(phrase(name)) <= 36 and phrase(name)[0].isupper() for name in names)


def test_every_published_number_has_its_line(many: Run, rows: list[Row]) -> None:
    text = format_answer(rows, many)
    block = text[text.index("Published beside predicted") :].split("\n\n")[0].splitlines()[1:]
    published = [row for row in rows if row.statistic == "published"]
    assert len(block) == len(published) > 3
    flare = next(line for line in block if "Flare of any grade" in line)
    trial = predicted(rows, "trial_of_n", "flare_any", "amendment-1", 25)
    assert trial is not None
    assert "22/25 (88 %)" in flare
    assert format_trial(trial) in flare
    assert flare.endswith(", fitted")
    assert next(line for line in block if "Febrile neutropenia episodes" in line).endswith("no interval")


def test_one_arm_has_counts_in_a_trial_and_no_difference(many: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    alone = replace(many, kind="simulate", versions=many.versions[:1])
    rows = summarize_outcomes(outcomes, alone, None)
    text = format_answer(rows, alone)
    check_form(text, 50)
    trial = predicted(rows, "trial_of_n", "flare_any", "original", 3)
    assert trial is not None
    assert line_of(text, "Flare of any grade").endswith(format_trial(trial))
    assert "ifference" not in text


def test_three_arms_have_orders_and_a_long_name_a_letter(many: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    third = replace(many.versions[0], version="another-one-with-a-long-name")
    three = replace(many, versions=(*many.versions, third))
    rows = summarize_outcomes({**outcomes, third.version: outcomes["amendment-1"]}, three, None)
    text = format_answer(rows, three)
    check_form(text, 70)
    assert "C: another-one-with-a-long-name" in text
    assert "Likeliest order, best first" in text
    assert line_of(text, "Flare of grade 2 or worse", 1).endswith("none: two of them never differed")
    assert "2nd better" not in text


def test_without_an_ensemble_it_says_that_intervals_are_of_the_simulation(
    run: Run, outcomes: dict[str, pl.DataFrame]
) -> None:
    plain = {name: table.drop("set") for name, table in outcomes.items()}
    rows = summarize_outcomes(plain, run, read_published(STUDY))
    text = format_answer(rows, run)
    check_form(text, 60)
    assert "Monte Carlo only" in text
    assert "2nd better" not in text
    assert "Published beside simulated" in text
    difference = find_row(rows, "flare_any", "amendment-1", ("difference",))
    assert difference is not None
    assert difference.ci_low is not None
    assert f"{100 * difference.ci_low:+.1f}".replace("-", "−") in line_of(text, "Flare of any grade")


def test_what_many_lack_is_told(many: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    lost = {
        name: table.with_columns(pl.when(pl.col("trial") > 10).then(pl.col("flare_grade")).alias("flare_grade"))
        for name, table in outcomes.items()
    }
    rows = summarize_outcomes(lost, many, None)
    text = format_answer(rows, many)
    row = find_row(rows, "flare_any", "original", ("proportion",))
    assert row is not None
    assert row.n_not_assessable is not None
    share = row.n_not_assessable / (row.n + row.n_not_assessable)
    assert share > 0.4
    assert "*" in line_of(text, "Flare of any grade")
    assert f"Flare of any grade: original {100 * share:.0f} %" in " ".join(text.split())


def test_a_terminal_without_a_minus_sign_still_gets_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    page = TextIOWrapper(BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", page)
    print_text("−3.7 (1–2) µg ≥")
    page.flush()
    assert page.buffer.getvalue() == b"-3.7 (1-2) ug ?\n"  # type: ignore[attr-defined]

"""The rows of a summary, and the text that is printed of them."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trialrun.analysis import summary
from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.estimates import MONTE_CARLO_ONLY
from trialrun.analysis.outcomes import read_outcomes
from trialrun.analysis.published import read_published
from trialrun.analysis.rows import COLUMNS, Row
from trialrun.analysis.run import Run
from trialrun.analysis.summary import summarize_outcomes, summarize_run, write_summary
from trialrun.analysis.survival import OS, PFS
from trialrun.analysis.wording import WIDTH, find_row, format_estimate, format_summary, name_columns

STUDY = Path(__file__).parents[2] / "studies/lenalidomide-cll/published.yaml"


@pytest.fixture(scope="module")
def outcomes(run: Run) -> dict[str, pl.DataFrame]:
    return {info.version: read_outcomes(run, info) for info in run.versions}


@pytest.fixture(scope="module")
def rows(run: Run, outcomes: dict[str, pl.DataFrame]) -> list[Row]:
    return summarize_outcomes(outcomes, run, read_published(STUDY))


def test_every_outcome_has_a_column_and_is_estimated(rows: list[Row], outcomes: dict[str, pl.DataFrame]) -> None:
    assert {*all_outcomes(), PFS.name, OS.name} >= {row.outcome for row in rows}
    for outcome in all_outcomes().values():
        column = f"{outcome.column}_low" if outcome.kind == "count" else outcome.column
        assert column in outcomes["original"].columns
        if outcome.kind != "category":
            assert find_row(rows, outcome.name, "original", ("proportion", "median", "total")) is not None


def test_shares_are_counts_over_the_assessable(rows: list[Row], outcomes: dict[str, pl.DataFrame]) -> None:
    row = find_row(rows, "flare_2", "original", ("proportion",))
    assert row is not None
    grades = outcomes["original"].filter("treated")["flare_grade"].to_list()
    known = [grade for grade in grades if grade is not None]
    assert (row.events, row.n) == (sum(grade >= 2 for grade in known), len(known))
    assert row.n_not_assessable == len(grades) - len(known)
    assert MONTE_CARLO_ONLY in row.method


def test_differences_rest_on_the_subjects_known_under_both(rows: list[Row], outcomes: dict[str, pl.DataFrame]) -> None:
    row = find_row(rows, "ltls_howard_step_up", "amendment-1", ("difference",))
    assert row is not None
    pairs = list(
        zip(
            outcomes["original"]["ltls_howard_step_up"].to_list(),
            outcomes["amendment-1"]["ltls_howard_step_up"].to_list(),
            strict=True,
        )
    )
    known = [(first, second) for first, second in pairs if first is not None and second is not None]
    assert row.n == len(known)
    assert row.value == pytest.approx(sum(second - first for first, second in known) / len(known))
    assert row.reference == "original"


def test_published_numbers_stand_beside_with_their_exact_interval(rows: list[Row]) -> None:
    row = find_row(rows, "response", "amendment-1", ("published",))
    assert row is not None
    assert (row.events, row.n) == (14, 25)
    assert (round(row.ci_low or 0, 3), round(row.ci_high or 0, 3)) == (0.349, 0.756)
    assert row.source is not None
    assert "2011" in row.source
    assert MONTE_CARLO_ONLY not in row.method


def test_an_unknown_outcome_is_not_counted_as_no(run: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    blind = {
        version: table.with_columns(pl.lit(None, dtype=pl.Boolean).alias("ltls_howard_step_up"))
        for version, table in outcomes.items()
    }
    found = summarize_outcomes(blind, run, None)
    row = find_row(found, "ltls_howard_step_up", "original", ("proportion",))
    assert row is not None
    assert (row.value, row.n) == (None, 0)
    assert row.n_not_assessable == outcomes["original"]["treated"].sum()
    assert format_estimate(row) == "not assessable"


def test_the_summary_is_written_as_json_and_csv(run: Run) -> None:
    rows = summarize_run(run)
    as_json, as_csv = write_summary(run, rows)
    said = json.loads(as_json.read_text(encoding="utf-8"))
    assert said["protocol_hash"] == run.protocol_hash
    assert said["population_hash"] == run.population_hash
    assert said["seed"] == run.seed
    assert said["program_version"] == run.program_version
    assert said["intervals"] == MONTE_CARLO_ONLY
    with as_csv.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(COLUMNS)
    assert len(lines) == len(said["rows"]) == len(rows)
    assert {line["value"] for line in lines if line["statistic"] == "difference"} != {""}


def test_many_subjects_are_read_column_by_column_to_the_same_summary(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = summarize_run(run)
    monkeypatch.setattr(summary, "READ_WHOLE", 0)
    assert summarize_run(run) == whole


def test_the_text_fits_a_terminal_and_says_what_it_is(run: Run, rows: list[Row]) -> None:
    text = format_summary(rows, run)
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert MONTE_CARLO_ONLY in text
    assert "not assessable: original" in text
    for outcome in all_outcomes().values():
        if outcome.kind != "category":
            assert outcome.short in text
    assert "published, amendment-1: 14/25, 56.0 % (34.9 to 75.6)" in text


def test_long_names_become_letters_and_are_told_whole(run: Run, rows: list[Row]) -> None:
    longer = {info.version: f"{info.version}-of-the-longer-study@first" for info in run.versions}
    renamed = replace(run, versions=tuple(replace(info, version=longer[info.version]) for info in run.versions))
    again = [
        replace(row, version=longer[row.version], reference=longer.get(row.reference or "", row.reference))
        for row in rows
    ]
    text = format_summary(again, renamed)
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    for letter, name in zip("AB", longer.values(), strict=True):
        assert f"{letter}: {name}" in text.splitlines()
    assert "not assessable: A " in text
    assert [name_columns([letter * size for letter in "xyz"])["z" * size] for size in (5, 40)] == ["zzzzz", "C"]


def test_one_version_has_no_difference(run: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    alone = replace(run, kind="simulate", versions=run.versions[:1])
    rows = summarize_outcomes(outcomes, alone, None)
    assert not {row.statistic for row in rows} & {"difference", "mean_difference"}
    assert "ifference" not in format_summary(rows, alone)


def test_several_trials_have_their_spread(run: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    split = {
        version: table.with_columns((pl.int_range(pl.len()) // 20 + 1).alias("trial"))
        for version, table in outcomes.items()
    }
    rows = summarize_outcomes(split, replace(run, subjects=20, trials=3), None)
    row = find_row(rows, "flare_any", "original", ("between_trials",))
    assert row is not None
    assert row.n == 3
    assert f"between trials: original {format_estimate(row)}" in format_summary(rows, run)
    shares = [
        (part["flare_grade"] >= 1).drop_nulls().mean()
        for _, part in split["original"].filter("treated").group_by("trial")
    ]
    assert row.value == pytest.approx(sum(float(share) for share in shares if share is not None) / 3)  # type: ignore[arg-type]


def test_a_real_record_is_not_called_monte_carlo(run: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    real = replace(run, kind="record", versions=run.versions[:1])
    assert not any(MONTE_CARLO_ONLY in row.method for row in summarize_outcomes(outcomes, real, None))


def test_outcomes_are_derived_once_and_again_when_their_columns_are_old(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.directory, tmp_path / "copy")
    copy = replace(run, directory=tmp_path / "copy")
    info = run.versions[0]
    path = tmp_path / "copy/original/outcomes.parquet"
    first = read_outcomes(copy, info)
    marked = first.with_columns(pl.lit(7).alias("trial"))
    marked.write_parquet(path)
    assert_frame_equal(read_outcomes(copy, info), marked)
    marked.drop("death").write_parquet(path)
    assert_frame_equal(read_outcomes(copy, info), first)


def test_a_bound_that_is_not_reached_is_said_in_words(rows: list[Row]) -> None:
    row = find_row(rows, "target_day", "original", ("median",))
    assert row is not None
    assert format_estimate(replace(row, value=42.0, ci_low=35.0, ci_high=None)) == "42 (35 or more)"
    assert format_estimate(replace(row, value=None, ci_low=None, ci_high=None)) == "not reached"
    difference = find_row(rows, "flare_2", "amendment-1", ("difference",))
    assert difference is not None
    assert format_estimate(replace(difference, value=-0.1, ci_low=-0.2, ci_high=0.0)) == "−10.0 (−20.0 to 0.0)"


def test_one_trial_predicts_nothing_two_do(run: Run, outcomes: dict[str, pl.DataFrame]) -> None:
    for trials in (1, 2):
        split = {
            version: table.with_columns((pl.int_range(pl.len()) % trials + 1).alias("trial")).with_columns(
                pl.col("trial").alias("set")
            )
            for version, table in outcomes.items()
        }
        rows = summarize_outcomes(split, replace(run, subjects=30, trials=trials), None)
        assert {row.statistic for row in rows if row.statistic == "large_trial"} == (
            {"large_trial"} if trials > 1 else set()
        )

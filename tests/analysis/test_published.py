"""The study's published facts: its own file, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.analysis.estimates import estimate_proportion
from trialrun.analysis.published import name_as_run, read_published
from trialrun.vocab.problems import TrialrunError

STUDY = Path(__file__).parents[2] / "studies/lenalidomide-cll/published.yaml"
GOOD = """trialrun: 1
study: s
sources: {a: "A 2011"}
counts:
  - {outcome: response, version: v, events: 3, of: 5, source: a}
"""


def test_the_study_file_reads_and_every_fact_has_its_source() -> None:
    published = read_published(STUDY)
    facts = {(fact.outcome, fact.version): (fact.events, fact.of) for fact in published.counts if not fact.category}
    assert facts[("response", "amendment-1")] == (14, 25)
    assert facts[("flare_any", "amendment-1")] == (22, 25)
    assert facts[("neutropenia_3", "amendment-1")] == (18, 25)
    assert facts[("ctls_reported", "amendment-1")] == (0, 25)
    assert facts[("ctls_reported", "original")] == (1, 2)
    assert all(published.cite(fact.source) for fact in (*published.counts, *published.totals, *published.statements))
    # 56 %, 88 % and 72 % were published; the counts behind them are arithmetic and say so
    assert all(fact.derived for fact in published.counts if fact.events not in (0, 1))
    assert round(100 * estimate_proportion(14, 25).value) == 56


@pytest.mark.parametrize(
    ("was", "now", "code", "line"),
    [
        ("outcome: response", "outcome: respons", "unknown-outcome", 5),
        ("source: a}", "source: b}", "unknown-source", 5),
        ("events: 3", "events: 7", "impossible-count", 5),
        ("events: 3", "events: -3", "invalid-value", 5),
        ("events: 3, ", "", "missing-key", 5),
        ("events: 3", "event: 3", "unknown-key", 5),
        ('"A 2011"}', '"A 2011"', "yaml", None),
    ],
)
def test_wrong_files_are_told_with_their_place(tmp_path: Path, was: str, now: str, code: str, line: int | None) -> None:
    path = tmp_path / "published.yaml"
    path.write_text(GOOD.replace(was, now))
    with pytest.raises(TrialrunError) as caught:
        read_published(path)
    problem = next(problem for problem in caught.value.problems if problem.code == code)
    assert problem.location.file == "published.yaml"
    assert line is None or problem.location.line == line


def test_the_good_file_is_good(tmp_path: Path) -> None:
    path = tmp_path / "published.yaml"
    path.write_text(GOOD)
    assert read_published(path).counts[0].events == 3


def test_a_run_of_several_studies_finds_the_facts_of_its_own() -> None:
    """There a version is called study@version; facts of other versions keep their names."""
    published = name_as_run(read_published(STUDY), ["lenalidomide-cll@amendment-1", "lenalidomide-25mg@published"])
    assert {fact.version for fact in published.counts} == {"lenalidomide-cll@amendment-1", "original"}
    assert {total.version for total in published.totals} == {"lenalidomide-cll@amendment-1"}

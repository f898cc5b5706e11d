"""What a request means: arms and their names, trials, parameter sets, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from rehearse.tasks import STUDIES
from trialrun.analysis.answer import format_answer
from trialrun.analysis.run import read_run
from trialrun.rehearse import Request, read_rehearsal, rehearse
from trialrun.rehearse.describe import notices_of
from trialrun.simulate.ensemble import Ensemble, assign_sets, read_ensemble, write_ensemble
from trialrun.vocab.problems import TrialrunError

CLL, DAILY, VENETOCLAX = (
    str(STUDIES / name) for name in ("lenalidomide-cll", "lenalidomide-25mg", "venetoclax-rampup")
)


def _request(*protocols: tuple[str, str | None], population: str | None = None, ensemble: str | None = None) -> Request:
    return Request(protocols, population, 20, 1, 1, 1, ensemble)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The study in another folder, to be changed."""
    return shutil.copytree(STUDIES / "lenalidomide-cll", tmp_path / "mine" / "lenalidomide-cll")


def test_a_group_is_spread_over_small_trials_where_there_is_an_ensemble(request_of: Request) -> None:
    spread = read_rehearsal(replace(request_of, subjects=2000, trials=None))
    assert (spread.subjects, spread.trials) == (10, 200)
    uneven = read_rehearsal(replace(request_of, subjects=2001, trials=None))
    assert (uneven.subjects, uneven.trials) == (10, 201)
    few = read_rehearsal(replace(request_of, subjects=199, trials=None))
    assert (few.subjects, few.trials) == (199, 1)
    alone = read_rehearsal(replace(request_of, subjects=2000, trials=None, ensemble=None))
    assert (alone.subjects, alone.trials) == (2000, 1)


def test_one_trial_over_an_ensemble_says_that_it_predicts_nothing(request_of: Request) -> None:
    few = notices_of(read_rehearsal(replace(request_of, subjects=150, trials=None)))
    assert any(said.startswith("One trial") for said in few)
    assert not any(said.startswith("One trial") for said in notices_of(read_rehearsal(request_of)))
    alone = notices_of(read_rehearsal(replace(request_of, subjects=150, trials=None, ensemble=None)))
    assert not any(said.startswith("One trial") for said in alone)


def test_a_drug_that_the_people_have_no_model_of_is_refused_by_line() -> None:
    people = str(STUDIES / "lenalidomide-cll" / "population.yaml")
    with pytest.raises(TrialrunError, match="react to lenalidomide") as error:
        read_rehearsal(_request((VENETOCLAX, None), population=people))
    problem = error.value.problems[0]
    assert problem.code == "wrong-drug"
    assert problem.location.file == str(STUDIES / "venetoclax-rampup" / "protocol.yaml")
    text = Path(problem.location.file).read_text(encoding="utf-8").splitlines()
    assert text[(problem.location.line or 0) - 1].strip() == "drug: venetoclax"


def test_schedules_of_two_drugs_are_not_compared() -> None:
    with pytest.raises(TrialrunError, match="schedules of one drug") as error:
        read_rehearsal(_request((CLL, None), (VENETOCLAX, None)))
    assert (error.value.problems[0].location.file or "").startswith(VENETOCLAX)


def test_a_version_named_twice_and_a_wrong_seed_are_refused() -> None:
    with pytest.raises(TrialrunError, match="named twice"):
        read_rehearsal(_request((CLL, "original"), (CLL, "original")))
    with pytest.raises(TrialrunError, match="not a seed"):
        read_rehearsal(replace(_request((CLL, None)), seed=2**64))


def test_arms_are_named_by_version_study_or_folder(copy: Path) -> None:
    def labels(*protocols: tuple[str, str | None]) -> list[str]:
        return [arm.label for arm in read_rehearsal(_request(*protocols)).arms]

    assert labels((CLL, "original"), (CLL, "amendment-1")) == ["original", "amendment-1"]
    assert labels((CLL, "original"), (DAILY, None)) == ["lenalidomide-cll@original", "lenalidomide-25mg@published"]
    # one study in two folders, one being a variant of the other
    variant = copy.rename(copy.with_name("shorter"))
    assert labels((CLL, "original"), (str(variant), "original")) == ["lenalidomide-cll@original", "shorter@original"]


def test_a_file_that_changed_is_read_again(copy: Path) -> None:
    request = _request((str(copy), "original"))
    before = read_rehearsal(request)
    file = copy / "population.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "\n# looked at\n", encoding="utf-8")
    assert read_rehearsal(request).about()["population"] != before.about()["population"]


def test_a_population_may_be_named_by_its_folder() -> None:
    named = read_rehearsal(_request((DAILY, None), population=CLL))
    assert named.population_file == STUDIES / "lenalidomide-cll" / "population.yaml"


def test_the_ensemble_of_the_population_that_is_extended_is_found_but_not_for_another_drug() -> None:
    def sets(study: str) -> object:
        return read_rehearsal(replace(_request((study, None)), ensemble="")).ensemble_file

    beside = STUDIES / "lenalidomide-cll" / "ensemble.parquet"
    assert Path(str(sets(CLL))).samefile(beside)
    assert Path(str(sets(DAILY))).samefile(beside)
    assert Path(str(sets(VENETOCLAX))).samefile(STUDIES / "venetoclax-rampup" / "ensemble.parquet"), "its own"


def test_people_changed_since_the_sets_were_fitted_are_told(copy: Path) -> None:
    fitted = read_rehearsal(replace(_request((str(copy), None)), ensemble=""))
    assert fitted.ensemble is not None
    about = {**fitted.ensemble.about, "population_hash": fitted.population.content_hash}
    write_ensemble(replace(fitted.ensemble, about=about), copy / "ensemble.parquet")
    request = replace(_request((str(copy), None)), ensemble="", trials=2, cycles=8)
    assert notices_of(read_rehearsal(request)) == []
    (short,) = notices_of(read_rehearsal(replace(request, cycles=7)))
    assert "up to 8 cycles over which published counts were fitted 7 are followed" in short
    file = copy / "population.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "\n# another number\n", encoding="utf-8")
    assert any("has changed since" in said for said in notices_of(read_rehearsal(request)))


def test_sets_serve_a_second_trial_so_that_both_spreads_can_be_told(tmp_path: Path, request_of: Request) -> None:
    ensemble = Ensemble(("lysis.hit_rate",), np.full((640, 1), 0.001), np.full(640, 1 / 640), {})
    write_ensemble(ensemble, tmp_path / "ensemble.parquet")
    few, many = (
        read_rehearsal(replace(request_of, ensemble=str(tmp_path / "ensemble.parquet"), trials=trials))
        for trials in (60, 400)
    )
    assert len(set(few.sets_of_trials().tolist())) == 60
    assert set(np.unique(many.sets_of_trials(), return_counts=True)[1].tolist()) == {2}
    # a trial of the second half has the set of one of the first, with luck of its own between trials
    numbers, sets = many.numbers(np.array([0, 200 * many.subjects]))
    assert sets is not None
    assert sets[0] == sets[1]
    between = [name for name in many.population.between_trials if name != "lysis.hit_rate"]
    assert between
    assert numbers is not None
    assert all(numbers[name][0] != numbers[name][1] for name in between)


def test_all_subjects_of_a_trial_share_its_numbers(request_of: Request) -> None:
    plan = read_rehearsal(request_of)
    numbers, sets = plan.numbers(np.arange(plan.total))
    assert numbers is not None
    assert sets is not None
    trials = plan.trial_of(np.arange(plan.total))
    for values in (sets, *numbers.values()):
        for trial in range(1, plan.trials + 1):
            assert np.unique(values[trials == trial]).size == 1


def test_systematic_resampling_uses_each_set_as_often_as_it_weighs() -> None:
    weights = np.array([0.5, 0.26, 0.14, 0.1])
    ensemble = Ensemble(("immune.inflammation_gain",), np.ones((4, 1)), weights, {})
    for trials in (1, 7, 40, 333):
        counts = np.bincount(assign_sets(ensemble, trials), minlength=4)
        assert counts.sum() == trials
        assert (np.abs(counts - weights * trials) < 1.0 + 1e-9).all()


def test_an_ensemble_that_is_none_is_refused(tmp_path: Path, request_of: Request) -> None:
    assert read_ensemble(Path(request_of.ensemble or "")).sets == 5
    with pytest.raises(TrialrunError, match="cannot be read"):
        read_rehearsal(replace(request_of, ensemble=str(tmp_path / "nothing.parquet")))


def test_a_model_that_asks_for_a_section_that_is_not_there_is_told_by_line(copy: Path) -> None:
    file = copy / "population.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "\nmodel: venetoclax-cll\n", encoding="utf-8")
    with pytest.raises(TrialrunError, match="asks for what nobody has") as error:
        read_rehearsal(_request((str(copy), None)))
    (problem,) = error.value.problems
    assert problem.expected == "its section direct_kill"
    line = file.read_text(encoding="utf-8").splitlines()[(problem.location.line or 0) - 1]
    assert line == "model: venetoclax-cll"


def test_an_input_that_no_protocol_gives_is_refused(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "misspelled.py").write_text(
        "from trialrun.simulate.model.module import Model, Module\n"
        'MINE = Model("mine", (Module("a", "", inputs=("doose",), states={"x": "doose - x"}),))\n',
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = copy / "population.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "\nmodel: misspelled:MINE\n", encoding="utf-8")
    with pytest.raises(TrialrunError, match="takes what no protocol can give") as error:
        read_rehearsal(_request((str(copy), None)))
    assert error.value.problems[0].found == "doose"


def test_published_of_other_people_is_known_and_not_judged(tmp_path: Path) -> None:
    for people, other in ((None, False), (STUDIES / "lenalidomide-25mg", True)):
        request = Request(((CLL, None),), people and str(people), 10, 12, 1, 1)
        out = tmp_path / str(other)
        rows = rehearse(request, out, date(2026, 1, 1), keep_record=False)
        said = json.loads((out / "run.json").read_text(encoding="utf-8"))
        assert said["other_people"] is other
        assert said["ensemble"]["sets_met"] == 12
        judged = [row for row in rows if row.statistic == "published" and row.inside is not None]
        assert bool(judged) is not other
        text = format_answer(rows, read_run(out))
        assert ("Published of other people, so not judged" in text) is other
        assert "12 of 640 parameter sets" in text


def test_other_equations_are_of_the_same_people(tmp_path: Path) -> None:
    people = STUDIES / "lenalidomide-cll" / "structures" / "power-clearance"
    request = Request(((CLL, None),), str(people), 10, 12, 1, 1)
    rehearse(request, tmp_path, date(2026, 1, 1), keep_record=False)
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["other_people"] is False

"""Which files a study of whole trials is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.protocol import Protocol
from trialrun.simulate.ensemble import find_ensemble
from trialrun.trials.study import read_trial_study
from trialrun.vocab.problems import TrialrunError

STUDIES = Path(__file__).resolve().parents[2] / "studies"
FITTED = STUDIES / "lenalidomide-cll" / "ensemble.parquet"


def test_the_ensemble_of_the_population_that_is_extended_is_used(protocol: Protocol) -> None:
    relapsed = STUDIES / "lenalidomide-25mg" / "population.yaml"
    study = read_trial_study(protocol, "original", (), relapsed, None)
    assert study.ensemble is not None
    assert study.ensemble_file is not None
    assert study.ensemble_file.resolve() == FITTED
    assert read_trial_study(protocol, "original", (), relapsed, None, with_ensemble=False).ensemble is None


def test_a_drug_that_the_people_have_no_model_of_is_refused() -> None:
    from trialrun.protocol import read_protocol

    cll = STUDIES / "lenalidomide-cll"
    venetoclax = read_protocol(str(STUDIES / "venetoclax-rampup"))
    with pytest.raises(TrialrunError, match="react to lenalidomide") as caught:
        read_trial_study(venetoclax, next(iter(venetoclax.versions)), (), cll / "population.yaml", cll / "conduct.yaml")
    where = caught.value.problems[0].location
    assert where is not None
    assert (where.file or "").endswith("protocol.yaml")
    assert where.line is not None


def test_a_seed_of_more_than_64_bits_is_refused(protocol: Protocol) -> None:
    study = read_trial_study(protocol, "original", (), None, None)
    with pytest.raises(TrialrunError, match="not a seed"):
        study.setting(2**64, 1, 2, 1)


def test_what_lies_outside_is_told_of_whole_trials_as_well(protocol: Protocol) -> None:
    assert read_trial_study(protocol, "original", ("amendment-1",), None, None).notices() == []
    folder = STUDIES / "lenalidomide-25mg"
    own, shifted, refused = read_trial_study(protocol, "original", (), folder, None).notices()
    assert "not on its own" in own
    assert "untreated 100 %" in refused
    assert "immune.activation_ec50" in shifted
    assert "from the parameter sets" in shifted
    own, refused = read_trial_study(protocol, "original", (), folder, None, with_ensemble=False).notices()
    assert "not on its own" in own
    assert "untreated 100 %" in refused


def test_a_folder_names_its_population() -> None:
    found = find_ensemble(STUDIES / "lenalidomide-25mg")
    assert found is not None
    assert found.resolve() == FITTED


def test_another_drug_does_not_take_the_sets_of_the_people_that_it_extends(tmp_path: Path) -> None:
    own = STUDIES / "venetoclax-rampup"
    assert find_ensemble(own / "population.yaml") == own / "ensemble.parquet"
    text = (own / "population.yaml").read_text(encoding="utf-8")
    file = tmp_path / "population.yaml"
    file.write_text(text.replace("extends: ..", f"extends: {STUDIES}"), encoding="utf-8")
    assert find_ensemble(file) is None


def test_a_population_that_extends_itself_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "population.yaml"
    file.write_text("trialrun: 1\nextends: population.yaml\n", encoding="utf-8")
    with pytest.raises(TrialrunError, match="extends itself"):
        find_ensemble(file)

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


def test_a_folder_names_its_population() -> None:
    found = find_ensemble(STUDIES / "lenalidomide-25mg")
    assert found is not None
    assert found.resolve() == FITTED


def test_a_drug_of_its_own_was_not_fitted() -> None:
    assert find_ensemble(STUDIES / "venetoclax-rampup" / "population.yaml") is None


def test_a_population_that_extends_itself_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "population.yaml"
    file.write_text("trialrun: 1\nextends: population.yaml\n", encoding="utf-8")
    with pytest.raises(TrialrunError, match="extends itself"):
        find_ensemble(file)

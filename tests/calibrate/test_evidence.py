"""The marginal likelihood, against one that is known; and calibrations with other equations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from trialrun.calibrate.evidence import average_likelihood, estimate_evidence
from trialrun.calibrate.plan import read_calibration
from trialrun.simulate.model.library import ALTERNATIVES
from trialrun.simulate.population import read_population
from trialrun.vocab.problems import TrialrunError

STUDY = Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll"


@pytest.mark.parametrize("seen", [3, 12])
def test_the_marginal_likelihood_of_a_linear_normal_model_is_the_known_one(seen: int) -> None:
    """Scores x ~ N(0, I) in 38 dimensions, y = A x + noise: y ~ N(0, A A' + s2 I)."""
    luck, p, s2 = np.random.default_rng(5), 38, 0.3
    a, y = luck.standard_normal((seen, p)) / 3.0, luck.standard_normal(seen)
    right = multivariate_normal(np.zeros(seen), a @ a.T + s2 * np.eye(seen)).logpdf(y)
    precision = np.eye(p) + a.T @ a / s2
    spread = np.linalg.inv(precision)
    draws = multivariate_normal(spread @ a.T @ y / s2, spread, seed=luck).rvs(640)

    def log_posterior(x: np.ndarray) -> np.ndarray:
        prior = -0.5 * np.sum(x**2 + np.log(2 * np.pi), axis=1)
        return prior + multivariate_normal(np.zeros(seen), s2 * np.eye(seen)).logpdf(y - x @ a.T)

    found = estimate_evidence(log_posterior, draws, np.random.default_rng(1))
    assert found.error < 0.05
    assert found.log == pytest.approx(right, abs=4 * found.error)
    assert found.worth > 500


def test_the_mean_of_likelihoods_and_its_error() -> None:
    assert average_likelihood(np.full(50, -800.0)).log == pytest.approx(-800.0)
    assert average_likelihood(np.full(50, -800.0)).error == pytest.approx(0.0, abs=1e-7)
    luck = np.random.default_rng(2)
    found = [average_likelihood(luck.normal(0.0, 0.7, 400)) for _ in range(400)]
    logs = np.array([one.log for one in found])
    assert logs.mean() == pytest.approx(0.5 * 0.49, abs=0.01)
    assert np.mean([one.error for one in found]) == pytest.approx(logs.std(), rel=0.1)


def test_every_alternative_that_ships_has_a_calibration_of_its_own() -> None:
    base = read_calibration(STUDY / "calibration.yaml")
    ways = set()
    for folder in sorted((STUDY / "structures").iterdir()):
        other = read_calibration(folder / "calibration.yaml")
        assert other.facts == base.facts
        assert [arm.plan.version.hash for arm in other.arms] == [arm.plan.version.hash for arm in base.arms]
        assert {tuple(arm.population.options.items()) for arm in other.arms} == {
            tuple(other.population.options.items())
        }
        assert {arm.population.content_hash for arm in other.arms}.isdisjoint(
            arm.population.content_hash for arm in base.arms
        )
        assert other.population.content_hash == read_population(folder).content_hash
        ways |= {(what, way) for what, way in other.population.options.items() if way != base.population.options[what]}
    assert ways == {(what, way) for what, known in ALTERNATIVES.items() for way in known[1:]}


POPULATION = """\
trialrun: 1
extends: {study}/population.yaml
population: {{id: other, title: other, describes: other}}
options: {{marrow_effect: {way}}}
"""
OTHER = "trialrun: 1\nstudy: other\nextends: {extends}\nwhy: a test\n"


@pytest.mark.parametrize(
    ("way", "extends", "more", "code", "line"),
    [
        ("maturation", "nowhere.yaml", "", "no-file", 3),
        ("maturation", "calibration.yaml", "", "no-file", 3),  # itself
        ("proliferation", "{study}/calibration.yaml", "", "same-structure", 3),
        ("maturation", "{study}/structures/no-tolerance/calibration.yaml", "", "extends-twice", 3),
        (
            "maturation}}\nshift: {{pharmacokinetics.volume: {{factor: 2, status: assumed, source: LIA}}",
            "{study}/calibration.yaml",
            "",
            "other-people",
            3,
        ),
        (
            "maturation",
            "{study}/calibration.yaml",
            "priors:\n  marrow.nothing: {median: 1, sd: 1, why: a test}\n",
            "unknown-number",
            6,
        ),
    ],
)
def test_what_is_wrong_with_other_equations_is_told_with_its_line(
    tmp_path: Path, way: str, extends: str, more: str, code: str, line: int
) -> None:
    people = POPULATION.format(study=STUDY, way=way.replace("{{", "{").replace("}}", "}"))
    (tmp_path / "population.yaml").write_text(people, encoding="utf-8")
    file = tmp_path / "calibration.yaml"
    file.write_text(OTHER.format(extends=extends.format(study=STUDY)) + more, encoding="utf-8")
    with pytest.raises(TrialrunError) as caught:
        read_calibration(file)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert (problem.location.file, problem.location.line) == (str(file), line)

"""A small calibration from end to end: same bytes after an interruption, facts move the numbers, errors name the line."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trialrun.calibrate.emulate import Emulator, Tally, combine
from trialrun.calibrate.plan import read_calibration
from trialrun.calibrate.run import Effort, _correct, _emulated, _name, _pool, _tally, _weigh, calibrate, describe_facts
from trialrun.simulate.ensemble import read_ensemble
from trialrun.vocab.problems import TrialrunError

ROOT = Path(__file__).resolve().parents[2]
FEWER, MORE = 10, 150  # subjects of 200 with neutropenia
EFFORT = Effort(design=64, few=20, sets=24, many=40, seed=1, workers=1, steps=250)
TEXT = """\
trialrun: 1
study: small
overdispersion: 0.02
overdispersion_why: assumed for a test
trials:
  amended: {{study: {studies}/lenalidomide-cll, version: amendment-1, cycles: 1}}
  without: {{study: {studies}/lenalidomide-cll, version: amendment-1, cycles: 1, without: [hydration, allopurinol]}}
facts:
  neutropenia: {{outcome: neutropenia_3, seen_in: [amended], events: {events}, of: 200, source: chen2011}}
  lysis: {{outcome: ctls_reported, seen_in: [without], events: 0, of: 20, source: chen2011}}
priors:
  marrow.neutrophil_emax: {{median: 0.51, sd: 0.6, scale: logit, why: a test}}
  marrow.neutrophil_ec50: {{median: 40, sd: 0.4, why: a test}}
"""


def _file(folder: Path, events: int = 40, text: str = TEXT) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "calibration.yaml"
    file.write_text(text.format(studies=ROOT / "studies", events=events), encoding="utf-8")
    return file


def _nothing(stage: str, done: int, of: int) -> None:
    assert 0 <= done <= of, stage


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def test_an_interrupted_calibration_ends_with_the_same_sets(work: Path, tmp_path: Path) -> None:
    file = _file(tmp_path, FEWER)
    whole, results = calibrate(file, EFFORT, work, _nothing)
    parts = sorted(work.rglob("*.npz"))
    assert len(parts) >= 4
    kept = {path: path.stat().st_mtime_ns for path in parts[:-1]}
    parts[-1].unlink()
    again, results_again = calibrate(file, EFFORT, work, _nothing)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "finished batches are not made again"
    assert again.values.tobytes() == whole.values.tobytes()
    assert again.weights.tobytes() == whole.weights.tobytes()
    assert results_again == results
    assert whole.weights.sum() == pytest.approx(1.0)
    assert 1 <= whole.effective_size <= 24
    assert results["effective_sample_size"] == pytest.approx(1 / np.sum(whole.weights**2))


def test_a_batch_of_other_sets_is_made_again(work: Path, tmp_path: Path) -> None:
    """Such a batch stays behind where another release of a library has moved the posterior."""
    file = _file(tmp_path, FEWER)
    whole, _ = calibrate(file, EFFORT, work, _nothing)
    for folder in work.iterdir():
        shutil.copytree(folder, tmp_path / "kept" / folder.name)
    batch = tmp_path / "kept" / _name(read_calibration(file), EFFORT) / "sets-000000.npz"
    with np.load(batch) as part:
        stale = dict(part)
    stale["scores"] = stale["scores"] + 0.1
    stale["events/neutropenia"] = np.zeros_like(stale["events/neutropenia"])
    np.savez(batch, **stale)
    again, _ = calibrate(file, EFFORT, tmp_path / "kept", _nothing)
    assert again.weights.tobytes() == whole.weights.tobytes()


def test_facts_pull_the_numbers_their_way(work: Path, tmp_path: Path) -> None:
    means = []
    for events in (FEWER, MORE):
        ensemble, results = calibrate(_file(tmp_path / str(events), events), EFFORT, work, _nothing)
        means.append(float(ensemble.weights @ ensemble.values[:, 0]))
        assert results["facts"]["neutropenia"]["published"] == events / 200
    assert means[1] > means[0] + 0.05, "more neutropenia means a larger effect on its precursors"


def test_a_trial_that_weights_cannot_leave_out_is_predicted_by_a_calibration_without_it(
    work: Path, tmp_path: Path
) -> None:
    """So few sets have no shape of their weights, so both are fitted again."""
    said = []
    predicted = []
    for events in (FEWER, MORE):
        file = _file(tmp_path / str(events), events)
        plain, by_weights = calibrate(file, EFFORT, work, _nothing)
        refitted, results = calibrate(
            file, replace(EFFORT, refit=True), work, lambda stage, done, of: said.append(stage)
        )
        assert refitted.weights.tobytes() == plain.weights.tobytes()
        assert {report: one["by"] for report, one in by_weights["held_out"].items()} == {
            "neutropenia": "weights",
            "lysis": "weights",
        }
        assert {report: one["by"] for report, one in results["held_out"].items()} == {
            "neutropenia": "refit",
            "lysis": "refit",
        }
        predicted.append(results["held_out"]["neutropenia"]["facts"]["neutropenia"])
    assert predicted[0]["rate"] == predicted[1]["rate"], "what was left out is not looked at"
    assert predicted[0]["tail"] != predicted[1]["tail"]
    assert "without neutropenia: sets" in said


def _simulated(luck: np.random.Generator, odds: np.ndarray, names: list[str], of: int) -> tuple[dict, dict]:
    events = {name: luck.binomial(of, 1 / (1 + np.exp(-odds[:, i]))).astype(float) for i, name in enumerate(names)}
    return events, {name: np.full(len(odds), float(of)) for name in names}


def test_the_emulator_is_corrected_where_it_was_wrong(tmp_path: Path) -> None:
    calibration = read_calibration(_file(tmp_path))
    luck = np.random.default_rng(3)
    scores = luck.standard_normal((60, 2))
    emulator = Emulator(0.3 * luck.standard_normal((6, 2)), np.zeros(2))
    right = emulator.predict(scores) + np.array([0.5, -1.0]) + scores @ np.array([[0.2, 0.0], [0.0, -0.3]])
    counted = _tally(calibration, *_simulated(luck, right, list(calibration.facts), 4000))
    moved, _ = _correct(emulator, scores, counted)
    assert np.sqrt(np.mean((moved.predict(scores) - right) ** 2, axis=0)) == pytest.approx([0, 0], abs=0.06)


def test_the_weights_take_back_what_the_emulator_proposed_wrongly(tmp_path: Path) -> None:
    """Sets drawn from the posterior of an emulator that is wrong, weighted by rates that are right, have the mean of the right
    posterior (by a grid)."""
    calibration = read_calibration(_file(tmp_path))
    wrong, right = (
        Emulator(np.array([[level, -9.0], [1.0, 0], [0, 0], [0, 0], [0, 0], [0, 0]]), np.full(2, 0.01))
        for level in (-1.2, -0.6)
    )
    at = np.linspace(-4, 4, 4001)
    grid = np.column_stack([at, np.zeros(at.size)])

    def density(emulator: Emulator) -> np.ndarray:
        logs = -0.5 * at**2 + _emulated(calibration, emulator, grid)
        return np.asarray(np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum())

    luck = np.random.default_rng(6)
    scores = grid[luck.choice(at.size, 20_000, p=density(wrong))]
    facts = list(calibration.facts)
    rate = {name: 1 / (1 + np.exp(-right.predict(scores)[:, i])) for i, name in enumerate(facts)}
    logs = _weigh(calibration, wrong, scores, rate, {name: np.full(len(scores), 1e5) for name in facts})
    weights = np.exp(logs - logs.max())
    proposed, wanted = at @ density(wrong), at @ density(right)
    assert abs(proposed - wanted) > 0.2
    assert weights @ scores[:, 0] / weights.sum() == pytest.approx(wanted, abs=0.05)


def test_a_set_is_not_pooled_with_what_the_emulator_learnt_from_it(tmp_path: Path) -> None:
    """Sets fewer than features: an emulator that has seen them says nearly what was counted, and would be taken at its word."""
    calibration = read_calibration(_file(tmp_path))
    luck = np.random.default_rng(5)
    scores = luck.standard_normal((12, 2))
    events, assessed = _simulated(luck, np.zeros((12, 2)), list(calibration.facts), 30)
    rate, *_ = _pool(calibration, Emulator(np.zeros((6, 2)), np.zeros(2)), scores, events, assessed)
    counted = _tally(calibration, events, assessed)
    corrected, others = _correct(Emulator(np.zeros((6, 2)), np.zeros(2)), scores, counted)
    for i, name in enumerate(calibration.facts):
        error = max(float(corrected.error[i]), 0.05)
        right = combine(
            others[:, i : i + 1],
            np.array([error]),
            Tally(counted.events[:, i : i + 1], counted.assessed[:, i : i + 1], [False]),
        )
        assert rate[name] == pytest.approx(right.rate[:, 0])
    seen = corrected.predict(scores)
    assert not np.allclose(seen, others, atol=0.02), "what it says with and without a set differs"


def test_pooled_rates_are_nearer_the_truth_than_simulated_ones(tmp_path: Path) -> None:
    calibration = read_calibration(_file(tmp_path))
    luck = np.random.default_rng(4)
    scores = luck.standard_normal((300, 2))
    emulator = Emulator(0.3 * luck.standard_normal((6, 2)), np.zeros(2))
    right = emulator.predict(scores) + 0.2
    names = list(calibration.facts)
    events, assessed = _simulated(luck, right, names, 100)
    rate, size, simulated = _pool(calibration, emulator, scores, events, assessed)
    for i, name in enumerate(names):
        truth = 1 / (1 + np.exp(-right[:, i]))
        alone = np.abs((events[name] + 0.5) / 101 - truth).mean()
        assert np.abs(rate[name] - truth).mean() < 0.5 * alone
        assert 0 < simulated[name] < 0.5, "most of it is what 300 sets tell of each other"
        assert (size[name] > 100).all(), "known better than from the subjects of the set alone"
        off = (rate[name] - truth) / np.sqrt(truth * (1 - truth) / size[name])
        assert np.sqrt(np.mean(off**2)) < 1.3, "and told honestly how well"


def test_other_trials_leave_out_what_they_did_not_have(tmp_path: Path) -> None:
    amended, without = read_calibration(_file(tmp_path)).arms
    given = {arm.name: {item.name for item in arm.plan.version.concomitant} for arm in (amended, without)}
    assert given["amended"] - given["without"] == {"hydration", "allopurinol"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("marrow.neutrophil_ec50:", "marrow.neutrophil_ec5:", "no such number"),
        ("outcome: neutropenia_3", "outcome: neutropenia_9", "not an outcome"),
        ("seen_in: [without]", "seen_in: [elsewhere]", "not one of the trials"),
        ("without: [hydration, allopurinol]", "without: [insulin]", "no such treatment"),
        ("events: 0, of: 20", "events: 21, of: 20", "more events than subjects"),
        ("sd: 0.4", "sd: 0", "sd above 0"),
        ("sd: 0.6, scale: logit", "sd: 0.6", "be what nothing can be"),
        ("source: chen2011", "source: chen1911", "not one of the sources"),
        ("overdispersion: 0.02", "overdispersion: -0.5", "greater than or equal to 0"),
        ("overdispersion: 0.02", "overdispersion: 1.5", "less than 1"),
        ("cycles: 1}}", "cycles: 0}}", "greater than or equal to 1"),
        ("seen_in: [without]", "seen_in: []", "at least 1 item"),
        (
            "marrow.neutrophil_ec50:",
            "marrow.neutrophil_ec50:shift:",
            "no population of the trials has such a fitted shift",
        ),
    ],
)
def test_what_does_not_exist_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    file = _file(tmp_path, text=TEXT.replace(old, new))
    with pytest.raises(TrialrunError, match=said) as error:
        read_calibration(file)
    problem = error.value.problems[0]
    assert problem.location is not None
    assert problem.location.file == str(file)
    assert problem.location.line is not None


SHIPPED = sorted(file.parent for file in (ROOT / "studies").rglob("calibration.yaml"))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: str(folder.relative_to(ROOT / "studies")))
def test_the_shipped_ensembles_were_fitted_to_the_shipped_files(folder: Path) -> None:
    from trialrun.simulate.ensemble import describe_structure
    from trialrun.simulate.population import read_population

    ensemble, calibration = read_ensemble(folder / "ensemble.parquet"), read_calibration(folder / "calibration.yaml")
    population = read_population(folder)
    assert ensemble.about["population_hash"] == population.content_hash
    assert ensemble.about["structure"] == describe_structure(population)
    assert ensemble.names == tuple(calibration.priors)
    assert ensemble.sets >= 200
    if folder.parent.name != "structures":  # equations that the facts speak against may leave few
        assert ensemble.effective_size >= 100
    assert ensemble.about["facts"] == describe_facts(calibration)
    assert set(ensemble.about["misfits"]) <= {f"{name} ({fact.told})" for name, fact in calibration.facts.items()}


def test_the_page_says_what_each_fact_is_worth() -> None:
    calibration = read_calibration(ROOT / "studies" / "lenalidomide-cll" / "calibration.yaml")
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8").splitlines()
    head = page.index("| fact | published | overdispersion | worth |")
    table = page[head + 2 : head + 2 + len(calibration.facts)]
    expected = []
    for name, fact in calibration.facts.items():
        alike = calibration.overdispersion if fact.overdispersion is None else fact.overdispersion
        worth = "a count" if fact.count == "episodes" else f"{fact.of / (1 + (fact.of - 1) * alike):.1f}"
        expected.append(f"| {name} | {fact.told} | {alike:g} | {worth} |")
    assert table == expected

"""Agreement with limma 3.54.1 and edgeR 3.40.2, recorded by recorded/record_answers.R on made-up data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.analysis.expression import ComparisonRequest, estimate_signature
from trialrun.analysis.expression.correlation import estimate_consensus_correlation
from trialrun.analysis.expression.counts import (
    compute_normalization_factors,
    compute_precision_weights,
    compute_smallest_information,
    select_expressed,
)
from trialrun.analysis.expression.enrichment import compute_camera, compute_rank_test, estimate_set_correlation
from trialrun.analysis.expression.fit import Block, ContrastFit, compute_residual_effects, fit_contrast
from trialrun.analysis.expression.gene_sets import find_members, read_gene_sets
from trialrun.analysis.expression.moderation import (
    compute_moderated,
    compute_q_values,
    compute_t_as_z,
    compute_t_quantile,
)

pytestmark = pytest.mark.oracle


class Arrays:
    def __init__(self, folder: Path) -> None:
        table = pl.read_csv(folder / "arrays.csv", null_values="NA", infer_schema_length=None)
        sheet = pl.read_csv(folder / "arrays_samples.csv")
        self.genes = np.array(table["gene"].to_list())
        self.holes = table.drop("gene").to_numpy().astype(np.float64)
        self.whole = np.isfinite(self.holes).all(axis=1)
        self.whole[100:171] = False
        self.full = self.holes[self.whole]
        self.block = Block(np.unique(sheet["subject"].to_numpy(), return_inverse=True)[1])
        self.late = (sheet["time"] == "after").to_numpy().astype(np.float64)[:, None]
        self.batch = (sheet["batch"] == "B2").to_numpy().astype(np.float64)[:, None]
        self.age = sheet["age"].to_numpy().astype(np.float64)[:, None]
        self.one = np.ones_like(self.late)


class Counts:
    def __init__(self, folder: Path) -> None:
        table, sheet = pl.read_csv(folder / "counts.csv"), pl.read_csv(folder / "counts_samples.csv")
        self.all = table.drop("gene").to_numpy().astype(np.float64)
        self.block = Block(np.unique(sheet["subject"].to_numpy(), return_inverse=True)[1])
        self.late = (sheet["time"] == "after").to_numpy().astype(np.float64)[:, None]
        self.group = np.hstack([np.ones_like(self.late), self.late])
        self.kept = select_expressed(self.all, 6)
        self.counts = self.all[self.kept]
        self.factors = compute_normalization_factors(self.counts)
        self.library = self.counts.sum(axis=0) * self.factors


@pytest.fixture(scope="module")
def arrays(recorded: Path) -> Arrays:
    return Arrays(recorded)


@pytest.fixture(scope="module")
def counts(recorded: Path) -> Counts:
    return Counts(recorded)


@pytest.fixture(scope="module")
def correlations(recorded: Path) -> dict[str, float]:
    return dict(pl.read_csv(recorded / "correlations.csv").iter_rows())


def agree(
    answers: pl.DataFrame,
    name: str,
    fit: ContrastFit,
    trend: bool = False,
    robust: bool = False,
    rtol: float = 1e-8,
    atol: float = 1e-12,
) -> None:
    """Every number of the recorded table; `atol` for changes that are themselves almost zero."""
    moderated = compute_moderated(fit, trend, robust)
    expected = answers.filter(pl.col("analysis") == name)
    assert expected.height == len(fit.estimate)
    half = compute_t_quantile(0.975, moderated.df_total) * moderated.standard_error
    columns = {
        "estimate": fit.estimate,
        "low": fit.estimate - half,
        "high": fit.estimate + half,
        "mean": fit.mean,
        "t": moderated.t,
        "p": moderated.p_value,
        "q": compute_q_values(moderated.p_value),
        "df_total": moderated.df_total,
        "prior_df": moderated.prior.df,
        "prior_var": moderated.prior.variance,
    }
    for column, ours in columns.items():
        theirs = expected[column].to_numpy().astype(np.float64)
        np.testing.assert_allclose(
            np.broadcast_to(ours, theirs.shape),
            theirs,
            rtol=rtol,
            atol=atol,
            equal_nan=True,
            err_msg=f"{name} {column}",
        )


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("trend", [False, True])
def test_paired_with_trend_and_robust(answers: pl.DataFrame, arrays: Arrays, trend: bool, robust: bool) -> None:
    tag = "_trend" * trend + "_robust" * robust
    for name, values in (("paired", arrays.full), ("paired_missing", arrays.holes)):
        fit = fit_contrast(values, arrays.late, np.ones(1), block=arrays.block)
        # The reference finds the robust prior by a root search that stops within 1e-8.
        agree(answers, name + tag, fit, trend, robust, *((1e-7, 1e-10) if robust else (1e-8, 1e-12)))


def test_robust_prior_gives_hypervariable_genes_fewer_degrees_of_freedom(arrays: Arrays) -> None:
    fit = fit_contrast(arrays.full, arrays.late, np.ones(1), block=arrays.block)
    prior = compute_moderated(fit, robust=True).prior
    fewer = np.asarray(prior.df) < prior.common_df
    assert fewer[:9].all()
    assert fewer[9:].mean() < 0.1


def test_unpaired_and_covariates(answers: pl.DataFrame, arrays: Arrays) -> None:
    design = np.hstack([arrays.one, arrays.late])
    agree(answers, "unpaired", fit_contrast(arrays.full, design, np.array([0.0, 1.0])))
    design = np.hstack([arrays.one, arrays.batch, arrays.age, arrays.late])
    agree(answers, "unpaired_covariates", fit_contrast(arrays.full, design, np.array([0.0, 0.0, 0.0, 1.0])))
    design = np.hstack([arrays.batch, arrays.late])
    fit = fit_contrast(arrays.holes, design, np.array([0.0, 1.0]), block=arrays.block)
    agree(answers, "paired_missing_batch", fit)


def test_random_subject_effect(answers: pl.DataFrame, arrays: Arrays, correlations: dict[str, float]) -> None:
    design, contrast = np.hstack([arrays.one, arrays.late]), np.array([0.0, 1.0])
    for name, values, key in (("random", arrays.full, "rho"), ("random_missing", arrays.holes, "rho_missing")):
        rho = estimate_consensus_correlation(values, design, arrays.block)
        # The reference stops iterating at a relative change of 1e-6 a gene.
        assert rho == pytest.approx(correlations[key], rel=5e-6)
        agree(answers, name, fit_contrast(values, design, contrast, block=Block(arrays.block.codes, correlations[key])))


def test_filter_of_counts(recorded: Path, counts: Counts) -> None:
    kept = pl.read_csv(recorded / "counts_kept.csv", schema_overrides={"by_group": pl.String, "by_design": pl.String})
    assert counts.kept.tolist() == (kept["by_group"].str.to_uppercase() == "TRUE").to_list()
    needed = compute_smallest_information(np.hstack([counts.block.indicator(), counts.late]))
    by_design = select_expressed(counts.all, needed)
    assert by_design.tolist() == (kept["by_design"].str.to_uppercase() == "TRUE").to_list()
    assert by_design.sum() > counts.kept.sum()


def test_normalisation_factors(recorded: Path, counts: Counts) -> None:
    expected = pl.read_csv(recorded / "counts_libraries.csv")["norm_factor"].to_numpy()
    np.testing.assert_allclose(counts.factors, expected, rtol=1e-11)
    assert np.ptp(expected) > 0.01


def test_precision_weights(recorded: Path, counts: Counts) -> None:
    weighted = compute_precision_weights(counts.counts, counts.library, counts.late, counts.block)
    expected = pl.read_csv(recorded / "voom.csv.gz")
    np.testing.assert_allclose(weighted.values, expected.select(pl.col("^E.*$")).to_numpy(), rtol=1e-10)
    np.testing.assert_allclose(weighted.weights, expected.select(pl.col("^W.*$")).to_numpy(), rtol=1e-8)


def test_counts_from_weights_to_p_values(answers: pl.DataFrame, counts: Counts, correlations: dict[str, float]) -> None:
    weighted = compute_precision_weights(counts.counts, counts.library, counts.late, counts.block)
    fit = fit_contrast(weighted.values, counts.late, np.ones(1), weighted.weights, counts.block)
    agree(answers, "voom", fit, rtol=1e-7, atol=1e-9)
    agree(answers, "voom_robust", fit, robust=True, rtol=1e-7, atol=1e-9)
    unpaired = compute_precision_weights(counts.counts, counts.library, counts.group)
    contrast = np.array([0.0, 1.0])
    fit = fit_contrast(unpaired.values, counts.group, contrast, unpaired.weights)
    agree(answers, "voom_unpaired", fit, rtol=1e-7, atol=1e-9)
    rho = estimate_consensus_correlation(unpaired.values, counts.group, counts.block, unpaired.weights)
    assert rho == pytest.approx(correlations["rho_counts"], rel=5e-5)
    block = Block(counts.block.codes, correlations["rho_counts"])
    fit = fit_contrast(unpaired.values, counts.group, contrast, unpaired.weights, block)
    agree(answers, "voom_random", fit, rtol=1e-7, atol=1e-9)


def test_gene_set_tests(recorded: Path, arrays: Arrays) -> None:
    expected = pl.read_csv(recorded / "sets_answers.csv", null_values="NA")
    sets = read_gene_sets(recorded / "sets.gmt")
    members = find_members(sets, arrays.genes[arrays.whole].tolist(), 1, 1000).matrix
    fit = fit_contrast(arrays.full, arrays.late, np.ones(1), block=arrays.block)
    moderated = compute_moderated(fit)
    z = compute_t_as_z(moderated.t, moderated.df_total)
    effects = compute_residual_effects(arrays.full, arrays.late, block=arrays.block)
    estimated = estimate_set_correlation(effects, fit.variance, members)
    genes = len(z)
    few = float(min(fit.df_residual[0], genes - 2))
    results = {
        "camera_preset": compute_camera(z, members, 0.01, genes - 2),
        "camera_estimated": compute_camera(z, members, estimated, few),
        "camera_negative": compute_camera(z, members, estimated, few, allow_negative=True),
        "rank_preset": compute_rank_test(moderated.t, members, 0.01, np.inf),
        "rank_estimated": compute_rank_test(moderated.t, members, estimated, few),
    }
    for name, ours in results.items():
        theirs = expected.filter(pl.col("analysis") == name)
        np.testing.assert_allclose(ours.p_value, theirs["p"].to_numpy(), rtol=1e-9, err_msg=name)
        assert np.where(ours.direction > 0, "Up", "Down").tolist() == theirs["direction"].to_list()
        assert ours.size.tolist() == theirs["size"].to_list()
        if name.endswith("estimated"):
            np.testing.assert_allclose(estimated, theirs["correlation"].to_numpy(), rtol=1e-9)


def test_counts_through_the_whole_analysis(recorded: Path, answers: pl.DataFrame) -> None:
    """The defaults of the command are filterByExpr by group, TMM, voom, lmFit with subjects, eBayes."""
    request = ComparisonRequest("after-before", pairs="subject")
    signature = estimate_signature(recorded / "counts.csv", recorded / "counts_samples.csv", request)
    both = signature.genes.filter(pl.col("tested")).join(answers.filter(pl.col("analysis") == "voom"), on="gene")
    assert both.height == int(signature.model.tested.sum()) == 397
    for ours, theirs in (("log2_fold_change", "estimate"), ("ci_low", "low"), ("p_value", "p"), ("q_value", "q")):
        np.testing.assert_allclose(both[ours].to_numpy(), both[theirs].to_numpy(), rtol=1e-6, atol=1e-8)

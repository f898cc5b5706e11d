"""What must hold of the statistics themselves, on simulated data: uniform p-values, FDR, bias, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from trialrun.analysis.expression.counts import compute_normalization_factors, compute_precision_weights
from trialrun.analysis.expression.enrichment import compute_camera, compute_over_representation, compute_rank_test
from trialrun.analysis.expression.fit import Block, fit_contrast
from trialrun.analysis.expression.moderation import (
    compute_moderated,
    compute_q_values,
    compute_t_as_z,
    compute_t_quantile,
)

SUBJECTS = 6
BLOCK = Block(np.repeat(np.arange(SUBJECTS), 2))
LATE = np.tile([0.0, 1.0], SUBJECTS)[:, None]


def simulate(genes: int, seed: int, effect: np.ndarray | float = 0.0, d0: float = 6.0) -> np.ndarray:
    """Paired log2 values whose variances follow the model: s0^2 d0 / chi^2(d0), s0 = 0.3."""
    generator = np.random.Generator(np.random.Philox(seed))
    sd = 0.3 * np.sqrt(d0 / generator.chisquare(d0, genes))[:, None]
    subject = np.repeat(generator.normal(0, 1, (genes, SUBJECTS)), 2, axis=1)
    return (
        8
        + subject
        + generator.normal(0, 1, (genes, 2 * SUBJECTS)) * sd
        + np.outer(np.broadcast_to(effect, genes), LATE)
    )


def test_no_effect_gives_uniform_p_values() -> None:
    values = simulate(20_000, 1)
    moderated = compute_moderated(fit_contrast(values, LATE, np.ones(1), block=BLOCK))
    assert stats.kstest(moderated.p_value, "uniform").pvalue > 0.01
    # The moderated p-values are calibrated in the tail as well: 20 expected below 0.001, Poisson.
    assert (
        stats.poisson(20).interval(0.999)[0]
        <= (moderated.p_value < 0.001).sum()
        <= stats.poisson(20).interval(0.999)[1]
    )


def test_prior_is_recovered() -> None:
    moderated = compute_moderated(fit_contrast(simulate(20_000, 2), LATE, np.ones(1), block=BLOCK))
    assert moderated.prior.common_df == pytest.approx(6.0, rel=0.1)
    assert moderated.prior.typical_variance == pytest.approx(0.09, rel=0.05)


def test_false_discovery_rate_is_held() -> None:
    truth = np.zeros(2_000)
    truth[:200] = np.where(np.arange(200) % 2, 0.8, -0.8)
    shares = []
    for seed in range(20):
        moderated = compute_moderated(fit_contrast(simulate(2_000, 100 + seed, truth), LATE, np.ones(1), block=BLOCK))
        hit = compute_q_values(moderated.p_value) <= 0.1
        shares.append((hit & (truth == 0)).sum() / max(hit.sum(), 1))
        assert (hit & (truth != 0)).sum() > 100
    # Benjamini-Hochberg holds the mean at 0.1 x the share of true nulls; allow three standard errors.
    assert np.mean(shares) <= 0.1 * 0.9 + 3 * np.std(shares) / np.sqrt(len(shares))


@pytest.mark.parametrize("robust", [False, True])
def test_estimates_are_unbiased_and_intervals_cover(robust: bool) -> None:
    generator = np.random.Generator(np.random.Philox(3))
    truth = generator.normal(0, 1, 10_000)
    fit = fit_contrast(simulate(10_000, 4, truth), LATE, np.ones(1), block=BLOCK)
    moderated = compute_moderated(fit, robust=robust)
    error = fit.estimate - truth
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error))
    half = compute_t_quantile(0.975, moderated.df_total) * moderated.standard_error
    assert np.mean(np.abs(error) <= half) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 10_000))
    # Coverage does not depend on how variable a gene looks.
    order = np.argsort(fit.variance)
    for part in np.array_split(order, 2):
        assert np.mean((np.abs(error) <= half)[part]) == pytest.approx(0.95, abs=0.03)


def test_counts_without_effect_keep_their_error_rate() -> None:
    generator = np.random.Generator(np.random.Philox(6))
    mean = np.exp(generator.normal(5, 1, 5_000))[:, None] * np.tile(generator.uniform(0.5, 2, 2 * SUBJECTS), (5_000, 1))
    mean = mean * np.exp(np.repeat(generator.normal(0, 0.4, (5_000, SUBJECTS)), 2, axis=1))
    shape = 1 / (0.1 * 8 / generator.chisquare(8, 5_000))[:, None]
    counts = generator.poisson(mean * generator.gamma(shape, 1 / shape, mean.shape)).astype(float)
    counts = counts[counts.sum(axis=1) > 50]
    library = counts.sum(axis=0) * compute_normalization_factors(counts)
    weighted = compute_precision_weights(counts, library, LATE, BLOCK)
    moderated = compute_moderated(fit_contrast(weighted.values, LATE, np.ones(1), weighted.weights, BLOCK))
    assert np.mean(moderated.p_value < 0.05) == pytest.approx(0.05, abs=0.015)
    assert (compute_q_values(moderated.p_value) < 0.05).sum() <= 2


def test_camera_and_rank_test_hold_their_level_where_genes_are_correlated() -> None:
    """The plain Wilcoxon test rejects too often in correlated sets; the two set tests used here do not."""
    generator = np.random.Generator(np.random.Philox(8))
    genes, size, runs = 1_000, 50, 300
    members = sparse.csr_matrix((np.ones(size), (np.zeros(size, dtype=int), np.arange(size))), shape=(1, genes))
    rejected = {"camera": 0, "rank": 0, "plain": 0}
    for _ in range(runs):
        z = generator.normal(0, 1, genes)
        z[:size] = np.sqrt(0.9) * z[:size] + np.sqrt(0.1) * generator.normal()
        rejected["camera"] += compute_camera(z, members, 0.1, genes - 2).p_value[0] < 0.05
        rejected["rank"] += compute_rank_test(z, members, 0.1, np.inf).p_value[0] < 0.05
        rejected["plain"] += stats.mannwhitneyu(z[:size], z[size:]).pvalue < 0.05
    high = stats.binom(runs, 0.05).ppf(0.999)
    assert rejected["camera"] <= high
    assert rejected["rank"] <= high
    assert rejected["plain"] > 2 * high


def test_rank_test_without_correlation_is_wilcoxons() -> None:
    generator = np.random.Generator(np.random.Philox(9))
    z = np.round(generator.normal(0, 1, 200), 1)
    members = sparse.csr_matrix((np.ones(30), (np.zeros(30, dtype=int), np.arange(30))), shape=(1, 200))
    expected = stats.mannwhitneyu(z[:30], z[30:], method="asymptotic", use_continuity=True).pvalue
    assert compute_rank_test(z, members, 0.0, np.inf).p_value[0] == pytest.approx(expected, rel=1e-9)


def test_over_representation_is_fishers_upper_tail() -> None:
    members = sparse.csr_matrix((np.ones(12), (np.zeros(12, dtype=int), np.arange(12))), shape=(1, 100))
    selected = np.zeros(100, dtype=bool)
    selected[5:25] = True
    size, overlap, p = compute_over_representation(members, selected)
    assert (size[0], overlap[0]) == (12, 7)
    assert p[0] == pytest.approx(stats.fisher_exact([[7, 5], [13, 75]], alternative="greater").pvalue, rel=1e-10)


def test_q_values_agree_with_scipy_and_skip_missing() -> None:
    p = np.random.Generator(np.random.Philox(10)).uniform(0, 1, 500) ** 2
    np.testing.assert_allclose(compute_q_values(p), stats.false_discovery_control(p))
    holes = p.copy()
    holes[::5] = np.nan
    q = compute_q_values(holes)
    np.testing.assert_allclose(q[np.isfinite(holes)], stats.false_discovery_control(holes[np.isfinite(holes)]))
    assert np.isnan(q[::5]).all()


def test_moderated_t_as_normal_deviate() -> None:
    t, df = np.array([-5.0, -1.0, 0.3, 2.0, 6.0]), np.array([8.0, 10.0, 20.0, 50.0, 12.0])
    exact = stats.norm.isf(stats.t.sf(np.abs(t), df)) * np.sign(t)
    np.testing.assert_allclose(compute_t_as_z(t, df), exact, atol=1e-4)
    assert np.isfinite(compute_t_as_z(np.array([300.0]), np.array([4.0]))).all()

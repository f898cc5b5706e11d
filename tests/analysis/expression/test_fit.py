"""The model against ordinary least squares written out gene by gene, whatever is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialrun.analysis.expression.correlation import estimate_consensus_correlation
from trialrun.analysis.expression.fit import Block, check_estimable, compute_residual_effects, fit_contrast
from trialrun.vocab.problems import TrialrunError


def by_hand(y: np.ndarray, x: np.ndarray, c: np.ndarray, v: np.ndarray) -> tuple[float, float, float, int]:
    """Generalised least squares of one gene with covariance `v`, by the textbook formulas and a pseudo-inverse."""
    there = np.isfinite(y)
    y, x, inverse = y[there], x[there], np.linalg.inv(v[np.ix_(there, there)])
    bread = np.linalg.pinv(x.T @ inverse @ x)
    beta = bread @ x.T @ inverse @ y
    df = int(there.sum() - np.linalg.matrix_rank(x))
    residual = y - x @ beta
    if not np.allclose(bread @ (x.T @ inverse @ x) @ c, c, atol=1e-6):
        return np.nan, np.nan, (residual @ inverse @ residual) / df if df else np.nan, df
    return c @ beta, np.sqrt(c @ bread @ c), (residual @ inverse @ residual) / df if df else np.nan, df


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.0, 0.15, 0.4]),
    kind=st.sampled_from(["fixed", "random", "none"]),
)
def test_agrees_with_least_squares_by_hand(seed: int, share: float, kind: str) -> None:
    generator = np.random.Generator(np.random.Philox(seed))
    codes = np.repeat(np.arange(5), 2)
    late, age = np.tile([0.0, 1.0], 5), generator.normal(0, 1, 10)
    y = generator.normal(8, 1, (6, 10))
    y[generator.uniform(size=y.shape) < share] = np.nan
    weights = generator.uniform(0.5, 2, y.shape)
    rho = 0.4 if kind == "random" else None
    block = None if kind == "none" else Block(codes, rho)
    fixed = kind == "fixed"
    x = np.column_stack([age, late] if fixed else [np.ones(10), age, late])
    c = np.eye(x.shape[1])[-1]
    full = np.column_stack([block.indicator(), x]) if fixed and block is not None else x
    c_full = np.eye(full.shape[1])[-1]
    same = (codes[:, None] == codes[None, :]) & ~np.eye(10, dtype=bool)
    for w in (None, weights):
        fit = fit_contrast(y, x, c, w, block)
        for g in range(len(y)):
            scale = 1 / np.sqrt(np.ones(10) if w is None else w[g])
            v = (np.eye(10) + (rho or 0.0) * same) * np.outer(scale, scale)
            expected = by_hand(y[g], full, c_full, v)
            ours = fit.estimate[g], fit.unscaled_sd[g], fit.variance[g], fit.df_residual[g]
            if expected[3] == 0:
                assert ours[3] == 0
                assert np.isnan(ours[2])
            else:
                np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)


def test_a_gene_without_pairs_has_no_estimate() -> None:
    y = np.arange(12.0).reshape(1, 12) % 5
    y[0, 1::2] = np.nan
    fit = fit_contrast(
        np.vstack([y, y * 0 + 1]), np.tile([0.0, 1.0], 6)[:, None], np.ones(1), block=Block(np.repeat(np.arange(6), 2))
    )
    assert np.isnan(fit.estimate[0])
    assert fit.df_residual[0] == 0


def test_common_and_gene_wise_paths_agree() -> None:
    y = np.random.Generator(np.random.Philox(2)).normal(0, 1, (50, 12))
    block, x = Block(np.repeat(np.arange(6), 2)), np.tile([0.0, 1.0], 6)[:, None]
    plain = fit_contrast(y, x, np.ones(1), block=block)
    weighted = fit_contrast(y, x, np.ones(1), np.full(y.shape, 3.0), block)
    np.testing.assert_allclose(plain.estimate, weighted.estimate, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(plain.variance * 3, weighted.variance, rtol=1e-10)


def test_residual_effects_hold_the_residual_variance() -> None:
    y = np.random.Generator(np.random.Philox(3)).normal(0, 1, (30, 12))
    block, x = Block(np.repeat(np.arange(6), 2)), np.tile([0.0, 1.0], 6)[:, None]
    weights = np.random.Generator(np.random.Philox(4)).uniform(0.5, 2, y.shape)
    for w in (None, weights):
        effects = compute_residual_effects(y, x, w, block)
        assert effects.shape == (30, 5)
        np.testing.assert_allclose((effects**2).mean(axis=1), fit_contrast(y, x, np.ones(1), w, block).variance)


@pytest.mark.parametrize(
    ("design", "block", "code"),
    [
        (
            np.column_stack([np.repeat([1.0, 2.0, 3.0], 2), np.tile([0.0, 1.0], 3)]),
            Block(np.repeat(np.arange(3), 2)),
            "not-estimable",
        ),
        (np.column_stack([np.ones(4), [0.0, 0, 1, 1], [0.0, 0, 2, 2]]), None, "not-estimable"),
        (np.array([[0.0], [1.0]]), Block(np.array([0, 0])), "no-residual-degrees-of-freedom"),
    ],
)
def test_designs_that_cannot_be_fitted(design: np.ndarray, block: Block | None, code: str) -> None:
    names = tuple(f"column {i}" for i in range(design.shape[1]))
    with pytest.raises(TrialrunError) as caught:
        check_estimable(design, np.eye(design.shape[1])[-1], block, names)
    assert caught.value.problems[0].code == code


def test_intra_subject_correlation_by_both_routes_and_recovered() -> None:
    generator = np.random.Generator(np.random.Philox(12))
    codes = np.repeat(np.arange(8), 2)
    y = np.repeat(generator.normal(0, 0.8, (2_000, 8)), 2, axis=1) + generator.normal(0, 0.6, (2_000, 16))
    design = np.column_stack([np.ones(16), np.tile([0.0, 1.0], 8)])
    whole = estimate_consensus_correlation(y, design, Block(codes))
    gene_by_gene = estimate_consensus_correlation(y, design, Block(codes), np.ones(y.shape))
    assert whole == pytest.approx(gene_by_gene, rel=1e-7)
    assert whole == pytest.approx(0.64, abs=0.03)

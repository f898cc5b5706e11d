"""A linear model for every gene at once: ordinary, weighted, with missing values, paired within subjects.

Subjects enter as a *block*. As a fixed effect the block is swept out before the rest is fitted (Frisch-Waugh-Lovell),
as a random effect with intra-block correlation rho each value loses the fraction k of its block's mean, which is the
inverse square root of the compound-symmetric correlation matrix:

    V^(-1/2) y = (y - k mean_block(y)) / sqrt(1 - rho),  k = 1 - sqrt((1 - rho) / (1 + (m - 1) rho)),  m values a block

Both work on whole arrays with any pattern of missing values, and cost genes x samples whatever the number of subjects.

The model is that of Smyth (2004) Stat Appl Genet Mol Biol 3:3; the common intra-block correlation that of Smyth,
Michaud & Scott (2005) Bioinformatics 21:2067.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialrun.vocab.problems import Problem, TrialrunError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Genes with weights or missing values are solved in stacks of at most this many numbers (512 kB a working array keeps
# the stacks in the processor's cache).
_STACK = 65_536
# A direction of the design whose singular value is below this fraction of the largest one is not estimable.
_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class ContrastFit:
    """The fit of one contrast to every gene; every array has shape (genes,).

    `estimate` is in the unit of the values (log2 fold change for log2 values); NaN where a gene's missing values leave
    the contrast without an estimate. `unscaled_sd` times the square root of a variance is a standard error. `variance`
    is the residual variance (NaN where `df_residual` is 0), `mean` the mean of the gene's values that are there.
    """

    estimate: Floats
    unscaled_sd: Floats
    variance: Floats
    df_residual: Floats
    mean: Floats


@dataclass(frozen=True, slots=True)
class Block:
    """Which samples belong together: `codes` (samples,) from 0; `correlation` None = fixed effect, else random."""

    codes: Integers
    correlation: float | None = None

    @property
    def count(self) -> int:
        return int(self.codes.max()) + 1 if self.codes.size else 0

    def indicator(self) -> Floats:
        """One column a block, shape (samples, blocks)."""
        return np.asarray(self.codes[:, None] == np.arange(self.count)[None, :], dtype=np.float64)


def fit_contrast(
    values: Floats,
    design: Floats,
    contrast: Floats,
    weights: Floats | None = None,
    block: Block | None = None,
) -> ContrastFit:
    """Estimate `contrast` (design columns,) for every gene.

    `values` (genes, samples), NaN = missing; `design` (samples, columns) of full rank, without columns for the blocks
    when `block` is a fixed effect; `weights` (genes, samples) positive precision weights. The contrast is estimated
    with each gene's own weights and missing values, not carried over from a common design.
    """
    genes = len(values)
    there = np.isfinite(values)
    whole = there.all(axis=1)
    estimate, unscaled, variance = (np.full(genes, np.nan) for _ in range(3))
    df_residual = np.zeros(genes)
    if weights is None and whole.any():
        rows = slice(None) if whole.all() else np.flatnonzero(whole)
        estimate[rows], unscaled[rows], variance[rows], df_residual[rows] = _fit_common(
            values[rows], design, contrast, block
        )
        rest = np.flatnonzero(~whole)
    else:
        rest = np.arange(genes)
    for rows in _stacks(rest, values.shape[1] * design.shape[1]):
        stack_weights = there[rows].astype(np.float64) if weights is None else np.where(there[rows], weights[rows], 0.0)
        estimate[rows], unscaled[rows], variance[rows], df_residual[rows] = _fit_stack(
            values[rows], stack_weights, design, contrast, block
        )
    return ContrastFit(estimate, unscaled, variance, df_residual, compute_row_means(values))


def compute_row_means(values: Floats) -> Floats:
    """The mean of the values that are there in each row; NaN where none is."""
    there = np.isfinite(values)
    counts = there.sum(axis=1)
    sums = np.where(there, values, 0.0).sum(axis=1) if not there.all() else values.sum(axis=1)
    return np.asarray(np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0))


def fit_values(values: Floats, design: Floats, block: Block | None = None) -> Floats:
    """Fitted values (genes, samples) of the unweighted model on complete values."""
    full = design if block is None else np.hstack([block.indicator(), design])
    left, singular, _ = np.linalg.svd(full, full_matrices=False)
    basis = left[:, singular > _RANK_TOLERANCE * singular[0]]
    return np.asarray((values @ basis) @ basis.T)


def compute_residual_effects(
    values: Floats, design: Floats, weights: Floats | None = None, block: Block | None = None
) -> Floats:
    """Orthonormal residuals (genes, residual degrees of freedom) of complete values, for correlation between genes.

    Unit: that of the values. With weights every gene has its own orthonormal basis, aligned column by column through
    the same elimination order. Missing values are an error: a common basis does not exist.
    """
    if not np.isfinite(values).all():
        raise TrialrunError(
            Problem(
                "correlation-needs-complete-values",
                "the correlation between genes cannot be estimated while values are missing",
                found=f"{int((~np.isfinite(values)).any(axis=1).sum())} genes with missing values",
                expected="a preset inter-gene correlation, or genes without missing values",
            )
        )
    full = design if block is None else np.hstack([block.indicator(), design])
    full = full[:, _independent(full)]
    rank = full.shape[1]
    if weights is None:
        orthonormal = np.linalg.qr(full, mode="complete")[0]
        return np.asarray(values @ orthonormal[:, rank:])
    effects = np.empty((len(values), full.shape[0] - rank))
    for rows in _stacks(np.arange(len(values)), full.shape[0] ** 2):
        root = np.sqrt(weights[rows])
        orthonormal = np.linalg.qr(full[None] * root[:, :, None], mode="complete")[0]
        effects[rows] = np.einsum("gn,gnk->gk", values[rows] * root, orthonormal[:, :, rank:])
    return effects


def check_estimable(design: Floats, contrast: Floats, block: Block | None, names: tuple[str, ...]) -> None:
    """Raise when columns of the design (after sweeping out a fixed block) depend on each other or no df is left."""
    swept = design
    blocks = 0
    if block is not None and block.correlation is None:
        blocks = block.count
        swept = design - _block_means(design.T, block.codes, blocks).T
    scale = np.linalg.norm(design, axis=0)
    gone = [names[j] for j in range(design.shape[1]) if np.linalg.norm(swept[:, j]) <= 1e-9 * max(scale[j], 1e-300)]
    if gone:
        raise TrialrunError(
            Problem(
                "not-estimable",
                "some effects do not vary within any subject, so the pairing leaves nothing of them to estimate",
                found=", ".join(gone),
                expected="leave them out (the pairing already takes them into account) or a random subject effect",
            )
        )
    kept = _independent(swept)
    if len(kept) < design.shape[1]:
        lost = [names[j] for j in range(design.shape[1]) if j not in set(kept)]
        raise TrialrunError(
            Problem(
                "not-estimable",
                "some effects are combinations of the others and cannot be told apart",
                found=", ".join(lost),
                expected="a design in which group, covariates and subjects are not confounded",
            )
        )
    if design.shape[0] - blocks - design.shape[1] < 1:
        raise TrialrunError(
            Problem(
                "no-residual-degrees-of-freedom",
                "there are no replicates: nothing is left to estimate the variance from",
                found=f"{design.shape[0]} samples for {blocks + design.shape[1]} coefficients",
                expected="at least one sample more than coefficients (two complete pairs, or two samples in a group)",
            )
        )
    if not np.any(contrast):
        raise TrialrunError(Problem("empty-contrast", "the contrast compares nothing: all its coefficients are zero"))


def _independent(design: Floats) -> list[int]:
    """Columns that are not combinations of earlier ones, in order."""
    kept: list[int] = []
    basis = np.empty((design.shape[0], 0))
    for j in range(design.shape[1]):
        column = design[:, j]
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        length = float(np.linalg.norm(rest))
        if length > _RANK_TOLERANCE * max(float(np.linalg.norm(column)), 1e-300):
            kept.append(j)
            basis = np.column_stack([basis, rest / length])
    return kept


def _stacks(rows: Integers, numbers_per_row: int) -> Iterator[Integers]:
    step = max(1, _STACK // max(1, numbers_per_row))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _block_means(rows: Floats, codes: Integers, count: int) -> Floats:
    """Each value replaced by the mean of its block; `rows` (rows, samples)."""
    indicator = (codes[:, None] == np.arange(count)[None, :]).astype(np.float64)
    means = (rows @ indicator) / indicator.sum(axis=0)
    return np.asarray(means[:, codes])


def _fit_common(
    values: Floats, design: Floats, contrast: Floats, block: Block | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Complete values, no weights: one decomposition serves every gene."""
    samples, columns = design.shape
    x, y, lost = design, values, 0
    if block is not None and block.correlation is None:
        lost = block.count
        x = x - _block_means(x.T, block.codes, lost).T
        y = y - _block_means(y, block.codes, lost)
    elif block is not None and block.correlation is not None:
        shrink, scale = _partial(np.bincount(block.codes, minlength=block.count).astype(float), block.correlation)
        shrink = shrink[block.codes]
        x = (x - shrink[:, None] * _block_means(x.T, block.codes, block.count).T) / scale
        y = (y - shrink[None, :] * _block_means(y, block.codes, block.count)) / scale
    orthonormal, triangle = np.linalg.qr(x)
    direction = np.linalg.solve(triangle.T, contrast)
    effects = y @ orthonormal
    estimate = effects @ direction
    df = samples - lost - columns
    residual = y - effects @ orthonormal.T
    variance = np.einsum("gn,gn->g", residual, residual) / df
    genes = len(values)
    return estimate, np.full(genes, np.linalg.norm(direction)), variance, np.full(genes, float(df))


def _partial(sizes: Floats, correlation: float | Floats) -> tuple[Floats, Floats]:
    """Fraction k of the block mean to take off, and the divisor sqrt(1 - rho); see the module's head."""
    k = 1.0 - np.sqrt((1.0 - correlation) / (1.0 + (np.maximum(sizes, 1.0) - 1.0) * correlation))
    return np.asarray(k), np.sqrt(np.asarray(1.0 - correlation, dtype=np.float64))


def _fit_stack(
    values: Floats, weights: Floats, design: Floats, contrast: Floats, block: Block | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Genes that each have their own weights (0 = missing); `values`, `weights` (genes, samples)."""
    root = np.sqrt(weights)
    y = np.where(weights > 0, values, 0.0) * root
    x = design[None, :, :] * root[:, :, None]
    lost: Floats | float = 0.0
    if block is not None and block.correlation is None:
        indicator = block.indicator()
        totals = weights @ indicator
        lost = (totals > 0).sum(axis=1).astype(np.float64)
        inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
        y = y - root * ((((root * y) @ indicator) * inverse)[:, block.codes])
        sums = np.einsum("gnq,nb->gbq", root[:, :, None] * x, indicator, optimize=True)
        x = x - root[:, :, None] * (sums * inverse[:, :, None])[:, block.codes, :]
    elif block is not None and block.correlation is not None:
        y, x = whiten_blocks(y, x, (weights > 0).astype(np.float64), block.codes, block.count, block.correlation)
    return _solve_stack(y, x, contrast, (weights > 0).sum(axis=1) - lost)


def whiten_blocks(
    y: Floats, x: Floats, there: Floats, codes: Integers, count: int, correlation: float | Floats
) -> tuple[Floats, Floats]:
    """Take the correlation within blocks out of `y` (genes, samples) and `x` (genes, samples, columns).

    Values that are missing are 0 in `y`, `x` and `there`. `correlation` is one number or one a gene (genes, 1).
    """
    indicator = (codes[:, None] == np.arange(count)[None, :]).astype(np.float64)
    sizes = there @ indicator
    shrink, scale = _partial(sizes, correlation)
    factor = shrink / np.maximum(sizes, 1.0)
    y_star = (y - there * ((y @ indicator) * factor)[:, codes]) / scale
    sums = np.einsum("gnq,nb->gbq", x, indicator, optimize=True) * factor[:, :, None]
    x_star = (x - there[:, :, None] * sums[:, codes, :]) / (scale[..., None] if np.ndim(scale) else scale)
    return y_star, x_star


def _solve_stack(y: Floats, x: Floats, contrast: Floats, observed: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    usable = singular > _RANK_TOLERANCE * np.maximum(singular[:, :1], 1e-300)
    inverse = np.divide(1.0, singular, out=np.zeros_like(singular), where=usable)
    projected = np.einsum("gkq,q->gk", right, contrast)
    # A contrast is estimable when it lies in the space of the directions that are left.
    inside = np.linalg.norm(np.where(usable, projected, 0.0), axis=1)
    estimable = inside > (1 - 1e-9) * np.linalg.norm(contrast)
    effects = np.einsum("gnk,gn->gk", left, y)
    direction = projected * inverse
    estimate = np.where(estimable, np.einsum("gk,gk->g", effects, direction), np.nan)
    unscaled = np.where(estimable, np.linalg.norm(direction, axis=1), np.nan)
    df = np.maximum(observed - usable.sum(axis=1), 0).astype(np.float64)
    residual = y - np.einsum("gnk,gk->gn", left, np.where(usable, effects, 0.0))
    squares = np.einsum("gn,gn->g", residual, residual)
    variance = np.divide(squares, df, out=np.full(len(y), np.nan), where=df > 0)
    return estimate, unscaled, variance, df

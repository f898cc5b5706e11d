"""The correlation between samples of one subject, common to all genes, for a random subject effect.

For each gene the intra-block correlation maximises the restricted likelihood; the consensus is the back-transformed
trimmed mean of Fisher's z over genes. Smyth GK, Michaud J, Scott HS (2005) Bioinformatics 21:2067-2075.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trialrun.analysis.expression.fit import Block, whiten_blocks
from trialrun.vocab.problems import Problem, TrialrunError

Floats = NDArray[np.float64]

# Share of genes trimmed from each end before averaging (Smyth et al. 2005).
TRIM = 0.15
_HIGHEST = 0.99
_GRID, _GOLDEN_STEPS = 25, 40
_STACK = 262_144


def estimate_consensus_correlation(
    values: Floats, design: Floats, block: Block, weights: Floats | None = None
) -> float:
    """The consensus intra-block correlation; `values` (genes, samples) with NaN for missing, `design` of full rank."""
    sizes = np.bincount(block.codes, minlength=block.count).astype(np.int64)
    if sizes.max() < 2:
        raise TrialrunError(
            Problem(
                "no-repeated-subjects",
                "every subject has one sample only, so there is no correlation within subjects to estimate",
                expected="subjects with two or more samples, or an unpaired comparison",
            )
        )
    lowest = 1.0 / (1.0 - float(sizes.max())) + 0.01
    whole = np.isfinite(values).all(axis=1) if weights is None else np.zeros(len(values), dtype=bool)
    estimates = [_estimate_whole(values[whole], design, block, sizes, lowest)] if whole.any() else []
    rest = np.flatnonzero(~whole)
    step = max(1, _STACK // (values.shape[1] * (design.shape[1] + 1)))
    for start in range(0, len(rest), step):
        rows = rest[start : start + step]
        own = None if weights is None else weights[rows]
        estimates.append(_estimate_stack(values[rows], design, block, own, lowest))
    z = np.sort(np.arctanh(np.concatenate(estimates)))
    z = z[np.isfinite(z)]
    if len(z) == 0:
        raise TrialrunError(
            Problem("no-correlation", "no gene has enough values for an estimate of the correlation within subjects")
        )
    cut = int(np.floor(len(z) * TRIM))
    return float(np.tanh(z[cut : len(z) - cut].mean()))


def _estimate_stack(values: Floats, design: Floats, block: Block, weights: Floats | None, lowest: float) -> Floats:
    there = np.isfinite(values).astype(np.float64)
    root = there if weights is None else there * np.sqrt(weights)
    y = np.where(there > 0, values, 0.0) * root
    x = design[None] * root[:, :, None]
    sizes = there @ block.indicator()
    used = (sizes > 0).sum(axis=1)
    observed = there.sum(axis=1)
    enough = (observed > design.shape[1] + 2) & (used > 1) & (used < observed - 1)
    rho = _minimise(lambda rho: _deviance(y, x, there, sizes, block, rho), len(y), lowest)
    return np.where(enough, rho, np.nan)


def _estimate_whole(values: Floats, design: Floats, block: Block, sizes: NDArray[np.int64], lowest: float) -> Floats:
    """Complete values without weights: one decomposition turns the likelihood into sums over the residual df.

    The orthonormal residuals have covariance sigma^2 ((1 - rho) I + rho A), A the projected block structure; in the
    directions of A's eigenvectors they are independent with variances sigma^2 (1 - rho + rho lambda).
    """
    df = values.shape[1] - design.shape[1]
    used = int((sizes > 0).sum())
    if df <= 2 or not 1 < used < values.shape[1] - 1:
        return np.full(len(values), np.nan)
    rest = np.linalg.qr(design, mode="complete")[0][:, design.shape[1] :]
    projected = rest.T @ block.indicator()
    lambdas, directions = np.linalg.eigh(projected @ projected.T)
    squares = (values @ (rest @ directions)) ** 2

    def deviance(rho: Floats) -> Floats:
        variances = np.maximum(1 - rho + rho * lambdas, 1e-12)
        total = np.maximum((squares / variances).sum(axis=1), 1e-300)
        return np.asarray(df * np.log(total) + np.log(variances).sum(axis=1))

    return _minimise(deviance, len(values), lowest)


def _minimise(deviance: Callable[[Floats], Floats], genes: int, lowest: float) -> Floats:
    """The correlation of least deviance for every gene: a grid, then golden sections around its best point."""
    grid = np.linspace(lowest, _HIGHEST, _GRID)
    best = np.stack([deviance(np.full((genes, 1), rho)) for rho in grid]).argmin(axis=0)
    low, high = grid[np.maximum(best - 1, 0)][:, None], grid[np.minimum(best + 1, _GRID - 1)][:, None]
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    a, b = high - golden * (high - low), low + golden * (high - low)
    f_a, f_b = deviance(a)[:, None], deviance(b)[:, None]
    for _ in range(_GOLDEN_STEPS):
        left = f_a < f_b
        low, high = np.where(left, low, a), np.where(left, b, high)
        new = np.where(left, high - golden * (high - low), low + golden * (high - low))
        f_new = deviance(new)[:, None]
        a, b, f_a, f_b = (
            np.where(left, new, b),
            np.where(left, a, new),
            np.where(left, f_new, f_b),
            np.where(left, f_a, f_new),
        )
    return np.asarray(((low + high) / 2)[:, 0])


def _deviance(y: Floats, x: Floats, there: Floats, sizes: Floats, block: Block, rho: Floats) -> Floats:
    """-2 log restricted likelihood (up to constants) of every gene at its own correlation `rho` (genes, 1)."""
    y_star, x_star = whiten_blocks(y, x, there, block.codes, block.count, rho)
    gram = np.einsum("gnp,gnq->gpq", x_star, x_star, optimize=True)
    cross = np.einsum("gnp,gn->gp", x_star, y_star)
    sign, log_det = np.linalg.slogdet(gram)
    usable = sign > 0
    safe = np.where(usable[:, None, None], gram, np.eye(gram.shape[1]))
    solved = np.linalg.solve(safe, cross[..., None])[..., 0]
    residual = y_star - np.einsum("gnp,gp->gn", x_star, solved)
    df = there.sum(axis=1) - x.shape[2]
    squares = np.maximum(np.einsum("gn,gn->g", residual, residual), 1e-300)
    spread = np.where(sizes > 0, (sizes - 1) * np.log1p(-rho) + np.log1p((np.maximum(sizes, 1) - 1) * rho), 0.0)
    return np.where(usable, df * np.log(squares) + spread.sum(axis=1) + log_det, np.nan)

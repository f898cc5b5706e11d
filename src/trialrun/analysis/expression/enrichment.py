"""Gene sets: over-representation, a competitive test that respects correlation between genes, and a rank test.

Over-representation: the hypergeometric upper tail. Competitive test: camera, Wu D, Smyth GK (2012) Nucleic Acids Res
40:e133. Rank test: the Wilcoxon sum of ranks with a variance that allows for correlation in the set, Barry WT, Nobel
AB, Wright FA (2008) Ann Appl Stat 2:286, also in Wu & Smyth; its p-value is a formula: there is no seed to depend on.
Leading edge: Subramanian A et al. (2005) PNAS 102:15545, the genes up to the peak of the running sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special, stats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

# Correlation assumed between genes of a set when it is not estimated (Wu & Smyth 2012, discussion of camera's default).
PRESET_CORRELATION = 0.01


@dataclass(frozen=True, slots=True)
class SetTests:
    """One line a set, arrays of shape (sets,); `direction` is +1 up or -1 down."""

    size: Integers
    correlation: Floats
    direction: Integers
    p_value: Floats


def compute_over_representation(members: sparse.csr_matrix, selected: Truths) -> tuple[Integers, Integers, Floats]:
    """Set sizes, overlaps and hypergeometric p-values; `members` (sets, universe) of 0 and 1."""
    size = _sizes(members)
    overlap = members @ selected.astype(np.float64)
    p = stats.hypergeom.sf(overlap - 1, members.shape[1], int(selected.sum()), size)
    return size.astype(np.int64), overlap.astype(np.int64), np.asarray(p, dtype=np.float64)


def estimate_set_correlation(effects: Floats, variance: Floats, members: sparse.csr_matrix) -> Floats:
    """Mean correlation between the residuals of a set's genes, from variance inflation (Wu & Smyth 2012, equation 4).

    `effects` (genes, residual df) orthonormal residuals, `variance` (genes,) of the residuals, `members` (sets, genes).
    """
    scaled = effects / np.sqrt(variance)[:, None]
    size = _sizes(members)
    sums = members @ scaled
    inflation = (sums**2).mean(axis=1) / np.maximum(size, 1)
    return np.asarray(np.divide(inflation - 1, size - 1, out=np.zeros(len(size)), where=size > 1))


def compute_camera(
    z: Floats, members: sparse.csr_matrix, correlation: Floats | float, df: float, allow_negative: bool = False
) -> SetTests:
    """camera: is the mean of `z` (genes,) in a set different from that outside it?

    `z` are normal deviates of the moderated t; `correlation` preset, or estimated a set; `df` genes - 2 with a preset
    correlation, otherwise min(residual df, genes - 2).
    """
    genes = len(z)
    size = _sizes(members)
    outside = genes - size
    rho = np.broadcast_to(np.asarray(correlation, dtype=np.float64), size.shape)
    inflation = 1 + (size - 1) * rho
    if not allow_negative:
        inflation = np.maximum(inflation, 1.0)
    mean, variance = float(z.mean()), float(z.var(ddof=1))
    delta = genes / outside * ((members @ z) / size - mean)
    pooled = ((genes - 1) * variance - delta**2 * size * outside / genes) / (genes - 2)
    t = delta / np.sqrt(pooled * (inflation / size + 1 / outside))
    lower, upper = special.stdtr(df, t), special.stdtr(df, -t)
    direction = np.where(lower < upper, -1, 1)
    return SetTests(size.astype(np.int64), np.array(rho), direction, 2 * np.minimum(lower, upper))


def compute_rank_test(
    statistic: Floats, members: sparse.csr_matrix, correlation: Floats | float, df: float, allow_negative: bool = False
) -> SetTests:
    """The rank test: are the genes of a set ranked higher or lower by `statistic` (genes,) than those outside it?

    `df` infinite with a preset correlation, otherwise min(residual df, genes - 2). Ties share their mean rank.
    """
    n = len(statistic)
    ranks = stats.rankdata(statistic)
    n1 = _sizes(members)
    n2 = n - n1
    rho = np.array(np.broadcast_to(np.asarray(correlation, dtype=np.float64), n1.shape))
    if not allow_negative:
        rho = np.maximum(rho, 0.0)
    u = n1 * n2 + n1 * (n1 + 1) / 2 - members @ ranks
    plain = n1 * n2 * (n + 1) / 12
    inflated = (
        np.arcsin(1.0) * n1 * n2
        + np.arcsin(0.5) * n1 * n2 * (n2 - 1)
        + np.arcsin(rho / 2) * n1 * (n1 - 1) * n2 * (n2 - 1)
        + np.arcsin((rho + 1) / 2) * n1 * (n1 - 1) * n2
    ) / (2 * np.pi)
    spread = np.where((rho == 0) | (n1 == 1), plain, inflated)
    tied = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    spread = np.sqrt(spread * (1 - (tied * (tied + 1) * (tied - 1)).sum() / (n * (n + 1.0) * (n - 1))))
    centre = n1 * n2 / 2
    less, greater = _upper_tail((u - 0.5 - centre) / spread, df), _upper_tail(-(u + 0.5 - centre) / spread, df)
    direction = np.where(less < greater, -1, 1)
    return SetTests(n1.astype(np.int64), rho, direction, np.minimum(2 * np.minimum(less, greater), 1.0))


def _upper_tail(z: Floats, df: float) -> Floats:
    return np.asarray(special.ndtr(-z) if not np.isfinite(df) else special.stdtr(df, -z))


def find_leading_edge(statistic: Floats, members: sparse.csr_matrix, direction: Integers) -> list[Integers]:
    """Genes (indices, strongest first) before the peak of each set's running sum, in the direction of its test.

    The running sum goes up at a gene of the set by its share of |statistic| and down at any other by 1 / their number,
    so it peaks at a gene of the set.
    """
    genes = len(statistic)
    down_order = np.argsort(statistic, kind="stable")
    rank = np.empty(genes, dtype=np.int64)
    rank[down_order] = np.arange(genes)
    weight = np.abs(statistic)
    edges = []
    for i, sign in enumerate(direction):
        inside = members.indices[members.indptr[i] : members.indptr[i + 1]]
        places = genes - 1 - rank[inside] if sign > 0 else rank[inside]
        order = np.argsort(places)
        hits = weight[inside[order]]
        misses = places[order] - np.arange(len(inside))
        running = np.cumsum(hits) / max(float(hits.sum()), 1e-300) - misses / max(genes - len(inside), 1)
        edges.append(inside[order][: int(np.argmax(running)) + 1].astype(np.int64))
    return edges


def _sizes(members: sparse.csr_matrix) -> Floats:
    return np.asarray(np.diff(members.indptr), dtype=np.float64)

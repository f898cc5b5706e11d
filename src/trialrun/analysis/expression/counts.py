"""From read counts to log2 counts per million with precision weights (voom).

Library sizes are normalised by trimmed means of M values: Robinson MD, Oshlack A (2010) Genome Biol 11:R25. The weights
come from the mean-variance trend of log counts: Law CW, Chen Y, Shi W, Smyth GK (2014) Genome Biol 15:R29. Genes with
too few reads are set aside as in Chen Y, Lun ATL, Smyth GK (2016) F1000Research 5:1438. Written from these papers; the
tests compare every step with the reference implementations in R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trialrun.analysis.expression.fit import Block, fit_contrast, fit_values
from trialrun.vocab.problems import Problem, TrialrunError

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

# Shares trimmed from the log ratios and from the mean abundances (Robinson & Oshlack 2010: 30 % and 5 %).
TRIM_RATIO, TRIM_ABUNDANCE = 0.30, 0.05
# A gene is kept with this many reads in a library of median size in enough samples, and this many in all
# (Chen et al. 2016); "enough" is the smallest group, of which beyond ten samples only 70 % count.
MIN_COUNT, MIN_TOTAL_COUNT, LARGE_GROUP, LARGE_SHARE = 10.0, 15.0, 10.0, 0.7
# Added to each count, and to each library size, before logarithms (Law et al. 2014, equation 1).
OFFSET_COUNT, OFFSET_LIBRARY = 0.5, 1.0
_SPAN = 0.5


@dataclass(frozen=True, slots=True)
class VoomTrend:
    """Points and curve of the mean-variance trend, for the picture: log2(count + 0.5) and sqrt(standard deviation)."""

    log2_count: Floats
    root_sd: Floats
    curve_x: Floats
    curve_y: Floats


@dataclass(frozen=True, slots=True)
class WeightedLogCounts:
    """`values` log2 counts per million and `weights` (genes, samples); `library_sizes` are the effective ones."""

    values: Floats
    weights: Floats
    library_sizes: Floats
    trend: VoomTrend


def select_expressed(counts: Floats, min_samples: float) -> Truths:
    """Genes with enough reads in at least `min_samples` samples; `counts` (genes, samples)."""
    if min_samples > LARGE_GROUP:
        min_samples = LARGE_GROUP + (min_samples - LARGE_GROUP) * LARGE_SHARE
    library = counts.sum(axis=0)
    cutoff = MIN_COUNT / float(np.median(library)) * 1e6
    per_million = counts / library * 1e6
    enough = (per_million >= cutoff).sum(axis=1) >= min_samples - 1e-14
    return np.asarray(enough & (counts.sum(axis=1) >= MIN_TOTAL_COUNT - 1e-14))


def compute_smallest_information(design: Floats) -> float:
    """The reciprocal of the largest leverage: the effective size of the smallest group of any design."""
    left, singular, _ = np.linalg.svd(design, full_matrices=False)
    basis = left[:, singular > 1e-9 * singular[0]]
    return float(1.0 / (basis**2).sum(axis=1).max())


def check_libraries(counts: Floats, samples: tuple[str, ...]) -> None:
    """Raise when a sample has no reads at all, or a count is negative."""
    if (counts < 0).any():
        raise TrialrunError(
            Problem("negative-count", "counts cannot be negative", found=f"{counts.min():g}", expected="0 or more")
        )
    empty = [name for name, total in zip(samples, counts.sum(axis=0), strict=True) if total == 0]
    if empty:
        raise TrialrunError(
            Problem(
                "empty-library",
                "every count of some samples is zero",
                found=", ".join(empty),
                expected="samples with reads; leave these samples out of the sample sheet if they failed",
            )
        )


def compute_normalization_factors(counts: Floats) -> Floats:
    """Trimmed-mean-of-M-values factors (samples,), of geometric mean 1, that multiply the library sizes."""
    counts = counts[(counts > 0).any(axis=1)]
    library = counts.sum(axis=0)
    if counts.shape[0] < 2 or counts.shape[1] < 2:
        return np.ones(counts.shape[1])
    upper = np.quantile(counts, 0.75, axis=0) / library
    if np.median(upper) < 1e-20:
        reference = int(np.argmax(np.sqrt(counts).sum(axis=0)))
    else:
        reference = int(np.argmin(np.abs(upper - upper.mean())))
    factors = np.array(
        [_trimmed_mean(counts[:, j], counts[:, reference], library[j], library[reference]) for j in range(len(library))]
    )
    return np.asarray(factors / np.exp(np.log(factors).mean()))


def _trimmed_mean(counts: Floats, reference: Floats, library: float, reference_library: float) -> float:
    both = (counts > 0) & (reference > 0)
    here, there = counts[both], reference[both]
    if not both.any():
        return 1.0
    ratio = np.log2((here / library) / (there / reference_library))
    abundance = (np.log2(here / library) + np.log2(there / reference_library)) / 2
    spread = (library - here) / library / here + (reference_library - there) / reference_library / there
    if np.abs(ratio).max() < 1e-6:
        return 1.0
    n = len(ratio)
    kept = np.ones(n, dtype=bool)
    for column, share in ((ratio, TRIM_RATIO), (abundance, TRIM_ABUNDANCE)):
        low = np.floor(n * share) + 1
        ranks = stats.rankdata(column)
        kept &= (ranks >= low) & (ranks <= n + 1 - low)
    weights = 1.0 / spread[kept]
    mean = float((weights * ratio[kept]).sum() / weights.sum()) if kept.any() else 0.0
    return float(2.0 ** (mean if np.isfinite(mean) else 0.0))


def compute_log_counts(counts: Floats, library_sizes: Floats) -> Floats:
    """log2 counts per million with the offsets of voom; shapes (genes, samples) and (samples,)."""
    return np.asarray(np.log2((counts + OFFSET_COUNT) / (library_sizes + OFFSET_LIBRARY) * 1e6))


def compute_precision_weights(
    counts: Floats, library_sizes: Floats, design: Floats, block: Block | None = None
) -> WeightedLogCounts:
    """voom: log2 counts per million, each with the reciprocal of its variance read off the mean-variance trend.

    `design` without columns for subjects when `block` is a fixed effect. A random block does not enter the trend here
    (its correlation is taken out afterwards), as in the reference implementation without `block`.
    """
    values = compute_log_counts(counts, library_sizes)
    fixed = block if block is not None and block.correlation is None else None
    fit = fit_contrast(values, design, np.ones(design.shape[1]), block=fixed)
    to_counts = float(np.log2(library_sizes + OFFSET_LIBRARY).mean()) - float(np.log2(1e6))
    seen = counts.sum(axis=1) > 0
    x, y = (fit.mean + to_counts)[seen], np.sqrt(np.sqrt(fit.variance))[seen]
    order = np.argsort(x, kind="stable")
    curve_x, curve_y = x[order], _lowess(y[order], x[order])
    # One value for genes of the same mean, as interpolation needs a function.
    knots, first, sizes = np.unique(curve_x, return_index=True, return_counts=True)
    heights = np.add.reduceat(curve_y, first) / sizes
    fitted = fit_values(values, design, fixed)
    fitted_counts = fitted - np.log2(1e6) + np.log2(library_sizes + OFFSET_LIBRARY)
    root_sd = np.interp(fitted_counts, knots, heights)
    if not (root_sd > 0).all():
        raise TrialrunError(
            Problem(
                "no-mean-variance-trend",
                "the mean-variance trend of the counts falls to zero, so precision weights cannot be given",
                found=f"{counts.shape[0]} genes",
                expected="raw counts of a whole transcriptome with replicates that are not copies of each other",
            )
        )
    return WeightedLogCounts(values, root_sd**-4.0, library_sizes, VoomTrend(x, y, knots, heights))


def _lowess(y: Floats, x: Floats) -> Floats:
    """Locally weighted regression of sorted points (Cleveland 1979), three robust steps, span a half."""
    from statsmodels.nonparametric.smoothers_lowess import lowess

    return np.asarray(
        lowess(y, x, frac=_SPAN, it=3, delta=0.01 * float(np.ptp(x)), is_sorted=True, return_sorted=False)
    )

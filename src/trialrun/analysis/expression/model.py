"""The model of a comparison: weights where the values are counts, the subjects' correlation, the moderated fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialrun.analysis.expression.comparison import Comparison
from trialrun.analysis.expression.correlation import estimate_consensus_correlation
from trialrun.analysis.expression.counts import (
    VoomTrend,
    check_libraries,
    compute_normalization_factors,
    compute_precision_weights,
    compute_smallest_information,
    select_expressed,
)
from trialrun.analysis.expression.fit import Block, ContrastFit, fit_contrast
from trialrun.analysis.expression.moderation import Moderated, compute_moderated
from trialrun.vocab.problems import Problem, TrialrunError

Floats = NDArray[np.float64]
CountFilter = Literal["group", "design", "none"]


@dataclass(frozen=True, slots=True)
class Model:
    """What was fitted. `tested` (rows of the matrix,) says which rows; all other arrays have one row a tested row.

    `values` are log2 (for counts log2 counts per million), `weights` None for arrays, `block` carries the estimated
    correlation of a random subject effect, `library_sizes` and `factors` belong to counts.
    """

    tested: NDArray[np.bool_]
    values: Floats
    weights: Floats | None
    block: Block | None
    fit: ContrastFit
    moderated: Moderated
    voom: VoomTrend | None
    library_sizes: Floats | None
    factors: Floats | None
    notes: tuple[Problem, ...]


def fit_model(
    comparison: Comparison, trend: bool = False, robust: bool = False, count_filter: CountFilter = "group"
) -> Model:
    """Fit the comparison; counts go through normalisation and precision weights."""
    values, notes = comparison.matrix.values, []
    tested = np.ones(len(values), dtype=bool)
    weights, voom, library, factors = None, None, None, None
    fixed = comparison.block if comparison.block is not None and comparison.block.correlation is None else None
    if comparison.matrix.scale == "counts":
        check_libraries(values, comparison.matrix.samples)
        tested = _select(comparison, count_filter)
        notes.append(
            Problem(
                "expressed-genes",
                f"{int(tested.sum())} of {len(tested)} rows have enough reads to be tested (filter: {count_filter})",
                severity="note",
            )
        )
        values = values[tested]
        factors = compute_normalization_factors(values)
        library = values.sum(axis=0) * factors
        weighted = compute_precision_weights(values, library, comparison.design, fixed)
        values, weights, voom = weighted.values, weighted.weights, weighted.trend
    block = comparison.block
    if block is not None and block.correlation is not None:
        rho = estimate_consensus_correlation(values, comparison.design, block, weights)
        block = replace(block, correlation=rho)
        notes.append(
            Problem("subject-correlation", f"correlation between samples of one subject: {rho:.4f}", severity="note")
        )
    fit = fit_contrast(values, comparison.design, comparison.contrast, weights, block)
    lost = int(np.isnan(fit.estimate).sum())
    if lost:
        notes.append(
            Problem(
                "not-estimable-rows",
                f"{lost} rows have too few values for the change to be estimated; they stay in the table without one",
                severity="warning",
            )
        )
    moderated = compute_moderated(fit, trend, robust)
    notes += [Problem("variance-prior", text, severity="warning") for text in moderated.prior.notes]
    return Model(tested, values, weights, block, fit, moderated, voom, library, factors, tuple(notes))


def _select(comparison: Comparison, count_filter: CountFilter) -> NDArray[np.bool_]:
    counts = comparison.matrix.values
    if count_filter == "none":
        tested = np.asarray((counts > 0).any(axis=1))
    else:
        groups = (int(comparison.is_after.sum()), int((~comparison.is_after).sum()))
        full = comparison.design
        if comparison.block is not None and comparison.block.correlation is None:
            full = np.hstack([comparison.block.indicator(), full])
        needed = float(min(groups)) if count_filter == "group" else compute_smallest_information(full)
        tested = select_expressed(counts, needed)
    if tested.sum() < 10:
        raise TrialrunError(
            Problem(
                "too-few-expressed-genes",
                "almost no gene has enough reads to be tested",
                found=f"{int(tested.sum())} of {len(tested)} rows; library sizes {counts.sum(axis=0).min():g} to "
                f"{counts.sum(axis=0).max():g}",
                expected="raw counts of a whole library",
            )
        )
    return tested

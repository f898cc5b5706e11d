"""The three set tests on one comparison, as one table."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.expression.comparison import Comparison
from trialrun.analysis.expression.enrichment import (
    SetTests,
    compute_camera,
    compute_over_representation,
    compute_rank_test,
    estimate_set_correlation,
    find_leading_edge,
)
from trialrun.analysis.expression.fit import compute_residual_effects
from trialrun.analysis.expression.gene_names import find_representatives
from trialrun.analysis.expression.gene_sets import GeneSets, Membership, find_members
from trialrun.analysis.expression.model import Model
from trialrun.analysis.expression.moderation import compute_q_values, compute_t_as_z
from trialrun.analysis.expression.options import SignatureOptions
from trialrun.vocab.problems import Problem, TrialrunError

Floats = NDArray[np.float64]

SETS_SCHEMA = {
    "test": pl.String,
    "set": pl.String,
    "description": pl.String,
    "theme": pl.String,
    "size": pl.Int64,
    "selected": pl.Int64,
    "expected": pl.Float64,
    "correlation": pl.Float64,
    "direction": pl.String,
    "p_value": pl.Float64,
    "q_value": pl.Float64,
    "leading_edge": pl.String,
}


def estimate_sets(
    sets: GeneSets,
    comparison: Comparison,
    model: Model,
    q: Floats,
    symbols: list[str | None],
    options: SignatureOptions,
) -> tuple[pl.DataFrame, list[Problem]]:
    """camera, the rank test and over-representation (up, down, either) for every set of usable size."""
    t = model.moderated.t
    rows = find_representatives(symbols, np.where(np.isfinite(t), model.fit.mean, -np.inf))
    rows = rows[np.isfinite(t[rows])]
    members = find_members(sets, [symbols[i] for i in rows], options.smallest_set, options.largest_set)
    notes = list(members.notes)
    if len(members.kept) == 0:
        problem = Problem(
            "no-set-measured",
            f"no gene set of {sets.source} has {options.smallest_set} measured genes",
            found="genes " + ", ".join([symbols[i] or comparison.matrix.features[i] for i in rows[:3]]),
            expected="sets of the same kind of gene name; --genes with a mapping file turns probes into symbols",
            severity="error" if options.sets else "warning",
        )
        if options.sets:
            raise TrialrunError(problem)
        return pl.DataFrame(schema=SETS_SCHEMA), [*notes, problem]
    names = [symbols[i] or comparison.matrix.features[i] for i in rows]
    tables = [*_competitive(sets, members, comparison, model, rows, names, options)]
    tables += _over_representation(sets, members, t, q, rows, symbols, options)
    return pl.concat(tables), notes


def _competitive(
    sets: GeneSets,
    members: Membership,
    comparison: Comparison,
    model: Model,
    rows: NDArray[np.int64],
    names: list[str],
    options: SignatureOptions,
) -> list[pl.DataFrame]:
    t = model.moderated.t[rows]
    genes = len(rows)
    z = compute_t_as_z(t, np.broadcast_to(model.moderated.df_total, model.moderated.t.shape)[rows])
    correlation: Floats | float
    if options.set_correlation is None:
        correlation = _estimate_correlation(comparison, model, rows, members)
        df_camera = df_rank = float(min(np.max(model.fit.df_residual), genes - 2))
    else:
        correlation, df_camera, df_rank = options.set_correlation, float(genes - 2), np.inf
    tables = []
    for test, result in (
        ("camera", compute_camera(z, members.matrix, correlation, df_camera)),
        ("rank", compute_rank_test(t, members.matrix, correlation, df_rank)),
    ):
        edges = find_leading_edge(t, members.matrix, result.direction)
        tables.append(_tabulate(test, sets, members, result, [";".join(names[i] for i in edge) for edge in edges]))
    return tables


def _estimate_correlation(comparison: Comparison, model: Model, rows: NDArray[np.int64], members: Membership) -> Floats:
    if model.block is not None and model.block.correlation is not None:
        raise TrialrunError(
            Problem(
                "correlation-needs-fixed-subjects",
                "the correlation between genes cannot be estimated beside a random subject effect",
                expected="a preset set correlation, or --subject-effect fixed",
            )
        )
    weights = None if model.weights is None else model.weights[rows]
    effects = compute_residual_effects(model.values[rows], comparison.design, weights, model.block)
    return estimate_set_correlation(effects, model.fit.variance[rows], members.matrix)


def _tabulate(test: str, sets: GeneSets, members: Membership, result: SetTests, edges: list[str]) -> pl.DataFrame:
    kept = members.kept.tolist()
    n = len(kept)
    return pl.DataFrame(
        {
            "test": [test] * n,
            "set": [sets.names[i] for i in kept],
            "description": [sets.descriptions[i] for i in kept],
            "theme": [sets.themes[i] for i in kept],
            "size": result.size,
            "selected": [None] * n,
            "expected": [None] * n,
            "correlation": result.correlation,
            "direction": np.where(result.direction > 0, "up", "down"),
            "p_value": result.p_value,
            "q_value": compute_q_values(result.p_value),
            "leading_edge": edges,
        },
        schema=SETS_SCHEMA,
    ).sort(["p_value", "set"])


def _over_representation(
    sets: GeneSets,
    members: Membership,
    t: Floats,
    q: Floats,
    rows: NDArray[np.int64],
    symbols: list[str | None],
    options: SignatureOptions,
) -> list[pl.DataFrame]:
    """Universe: genes with a symbol; a gene is selected when any of its rows is."""
    significant = np.isfinite(q) & (q <= options.alpha)
    changed = {1: {symbols[i] for i in np.flatnonzero(significant & (t > 0))}}
    changed[-1] = {symbols[i] for i in np.flatnonzero(significant & (t < 0))}
    named = np.array([symbols[i] is not None for i in rows])
    matrix = members.matrix[:, np.flatnonzero(named)]
    universe = [str(symbols[i]) for i in rows[named]]
    strength = dict(zip(universe, np.abs(t[rows[named]]).tolist(), strict=True))
    tables = []
    kept = members.kept.tolist()
    for direction, wanted in (("up", changed[1]), ("down", changed[-1]), ("either", changed[1] | changed[-1])):
        chosen = np.array([name in wanted for name in universe], dtype=bool)
        size, overlap, p = compute_over_representation(matrix, chosen)
        edges = []
        for i in range(len(kept)):
            inside = matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]
            hits = [universe[j] for j in inside if chosen[j]]
            edges.append(";".join(sorted(hits, key=lambda name: (-strength[name], name))))
        tables.append(
            pl.DataFrame(
                {
                    "test": ["over-representation"] * len(kept),
                    "set": [sets.names[i] for i in kept],
                    "description": [sets.descriptions[i] for i in kept],
                    "theme": [sets.themes[i] for i in kept],
                    "size": size,
                    "selected": overlap,
                    "expected": size * chosen.sum() / len(universe),
                    "correlation": [None] * len(kept),
                    "direction": [direction] * len(kept),
                    "p_value": p,
                    "q_value": compute_q_values(p),
                    "leading_edge": edges,
                },
                schema=SETS_SCHEMA,
            ).sort(["p_value", "set"])
        )
    return tables

"""From an expression table and a sample sheet to the molecular signature: one call, every result in one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.expression.comparison import Comparison, ComparisonRequest, plan_comparison
from trialrun.analysis.expression.fit import Floats
from trialrun.analysis.expression.gene_names import merge_rows, name_genes
from trialrun.analysis.expression.gene_sets import read_gene_sets, read_shipped_gene_sets
from trialrun.analysis.expression.matrix import read_expression
from trialrun.analysis.expression.model import Model, fit_model
from trialrun.analysis.expression.moderation import compute_q_values, compute_t_quantile
from trialrun.analysis.expression.options import SignatureOptions, check_options
from trialrun.analysis.expression.provenance import describe_run
from trialrun.analysis.expression.sample_sheet import find_column, read_sample_sheet
from trialrun.analysis.expression.score import (
    FEWEST_GENES,
    SignatureDefinition,
    define_signature,
    estimate_response_relation,
    score_held_out,
    score_samples,
)
from trialrun.analysis.expression.set_results import SETS_SCHEMA, estimate_sets
from trialrun.vocab.problems import Problem


@dataclass(frozen=True, slots=True)
class Signature:
    """The result. Tables are described column by column in docs/expression.md.

    `genes` one row a row of the table (ordered by p-value), `sets` one row a test and set, `definition` the genes of
    the score, `scores` one row a sample, `response` the relation of the score to response.
    """

    comparison: Comparison
    model: Model
    options: SignatureOptions
    genes: pl.DataFrame
    sets: pl.DataFrame
    definition: pl.DataFrame
    scores: pl.DataFrame
    response: pl.DataFrame
    symbols: tuple[str | None, ...]
    notes: tuple[Problem, ...]
    provenance: dict[str, object] = field(default_factory=dict)

    def count_changed(self) -> tuple[int, int]:
        """Rows of the table up and down at the false discovery rate asked for."""
        changed = self.genes.filter(pl.col("q_value") <= self.options.alpha)
        up = int((changed["log2_fold_change"] > 0).sum())
        return up, changed.height - up

    def label_rows(self) -> list[str]:
        """A name for each tested row: its symbol, or its name in the table."""
        tested = np.flatnonzero(self.model.tested)
        return [self.symbols[i] or self.comparison.matrix.features[i] for i in tested]


def estimate_signature(
    expression: Path, samples: Path, request: ComparisonRequest, options: SignatureOptions | None = None
) -> Signature:
    """Read, check, fit, test and score. Everything recognised or left out is in `notes`."""
    options = options if options is not None else SignatureOptions()
    check_options(options)
    sheet = read_sample_sheet(samples)
    matrix = read_expression(expression, sheet, options.scale, options.id_column, options.sample_column, options.layer)
    names = name_genes(matrix, options.mapping, options.gene_column)
    matrix, names, merged = merge_rows(matrix, names, options.several_probes)
    comparison = plan_comparison(matrix, sheet, request)
    response = None if options.response is None else find_column(sheet, options.response, "response")
    model = fit_model(comparison, options.trend, options.robust, options.count_filter)
    q = compute_q_values(model.moderated.p_value)
    genes = tabulate_genes(comparison, model, q, names.symbols, options.confidence)
    notes = [*sheet.table.notes, *matrix.notes, *names.notes, *merged, *comparison.notes, *model.notes]
    given = [read_gene_sets(path) for path in options.sets] or [read_shipped_gene_sets()]
    tested_symbols = [names.symbols[i] for i in np.flatnonzero(model.tested)]
    tables = []
    for sets in given:
        table, set_notes = estimate_sets(sets, comparison, model, q, tested_symbols, options)
        tables.append(table)
        notes += set_notes
    definition = define_signature(model.values, comparison.is_after, model.moderated.t, q, options.alpha)
    held_out = np.full(len(comparison.is_after), np.nan)
    if definition is None:
        text = f"fewer than {FEWEST_GENES} genes at q <= {options.alpha:g}: no signature score is defined"
        notes.append(Problem("no-signature", text, severity="warning"))
    else:
        held_out = score_held_out(comparison, model, options.alpha, options.trend, options.robust)
    relation = pl.DataFrame()
    if response is not None and definition is not None:
        relation, relation_notes = estimate_response_relation(
            comparison, held_out, response, options.responder, options.confidence
        )
        notes += relation_notes
    labels = [comparison.matrix.features[i] for i in np.flatnonzero(model.tested)]
    return Signature(
        comparison,
        model,
        options,
        genes,
        pl.concat(tables) if tables else pl.DataFrame(schema=SETS_SCHEMA),
        _tabulate_definition(definition, labels, tested_symbols),
        _tabulate_scores(comparison, model, definition, held_out, response),
        relation,
        names.symbols,
        tuple(notes),
        describe_run(expression, samples, request, options, comparison, model),
    )


def tabulate_genes(
    comparison: Comparison, model: Model, q: Floats, symbols: tuple[str | None, ...], confidence: float
) -> pl.DataFrame:
    """One row a row of the expression table; rows not tested have no statistics."""
    moderated, fit = model.moderated, model.fit
    half = compute_t_quantile(0.5 + confidence / 2, moderated.df_total) * moderated.standard_error
    columns = {
        "mean_log2": fit.mean,
        "log2_fold_change": fit.estimate,
        "standard_error": moderated.standard_error,
        "ci_low": fit.estimate - half,
        "ci_high": fit.estimate + half,
        "t": moderated.t,
        "df": np.broadcast_to(moderated.df_total, fit.estimate.shape),
        "p_value": moderated.p_value,
        "q_value": q,
    }
    spread = {name: _spread(values, model.tested) for name, values in columns.items()}
    frame = pl.DataFrame(
        {
            "gene": list(comparison.matrix.features),
            "symbol": pl.Series(list(symbols), dtype=pl.String),
            "tested": model.tested & np.isfinite(spread["p_value"]),
            "n_values": np.isfinite(comparison.matrix.values).sum(axis=1),
            **spread,
        }
    )
    frame = frame.with_columns(pl.col(name).fill_nan(None) for name in columns)
    return (
        frame.with_columns(pl.col("t").abs().alias("size"))
        .sort(["p_value", "size", "gene"], descending=[False, True, False], nulls_last=True)
        .drop("size")
    )


def _spread(values: Floats, tested: NDArray[np.bool_]) -> Floats:
    everywhere = np.full(len(tested), np.nan)
    everywhere[tested] = values
    return everywhere


def _tabulate_definition(
    definition: SignatureDefinition | None, genes: list[str], symbols: list[str | None]
) -> pl.DataFrame:
    if definition is None:
        schema = {
            "gene": pl.String,
            "symbol": pl.String,
            "direction": pl.Int64,
            "centre": pl.Float64,
            "scale": pl.Float64,
        }
        return pl.DataFrame(schema=schema)
    frame = definition.as_frame([genes[i] for i in definition.rows])
    return frame.insert_column(1, pl.Series("symbol", [symbols[i] for i in definition.rows], dtype=pl.String))


def _tabulate_scores(
    comparison: Comparison,
    model: Model,
    definition: SignatureDefinition | None,
    held_out: Floats,
    response: str | None,
) -> pl.DataFrame:
    n = len(comparison.is_after)
    score = np.full(n, np.nan)
    if definition is not None:
        score = score_samples(definition, model.values[definition.rows])
    columns: dict[str, object] = {
        "sample": list(comparison.matrix.samples),
        "subject": pl.Series(list(comparison.subjects) or [None] * n, dtype=pl.String),
        "level": [comparison.after if late else comparison.before for late in comparison.is_after],
        "score": score,
        "score_held_out": held_out,
    }
    if response is not None:
        columns["response"] = comparison.sheet[response].to_list()
    if model.library_sizes is not None and model.factors is not None:
        columns["library_size"] = model.library_sizes / model.factors
        columns["normalization_factor"] = model.factors
    return pl.DataFrame(columns).with_columns(pl.col("score", "score_held_out").fill_nan(None))

"""Scores of samples that came after the signature was defined: later visits, later subjects of the trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from trialrun.analysis.expression.counts import check_libraries, compute_log_counts, compute_normalization_factors
from trialrun.analysis.expression.fit import Floats
from trialrun.analysis.expression.matrix import ExpressionMatrix, Scale, read_expression
from trialrun.analysis.expression.sample_sheet import read_sample_sheet
from trialrun.analysis.expression.score import SignatureDefinition, score_samples
from trialrun.analysis.expression.table_file import parse_numbers, read_table_file
from trialrun.vocab.problems import Problem, TrialrunError

_COLUMNS = ("gene", "direction", "centre", "scale")


def score_later_samples(
    definition: Path, expression: Path, samples: Path, scale: Scale | None = None, id_column: str | None = None
) -> tuple[pl.DataFrame, list[Problem]]:
    """Score every sample of the sheet by a written definition (`signature_definition.csv` or `.parquet`).

    One row a sample: `sample`, the sheet's other columns, `genes_used`, `score` in standard deviations from the samples
    before treatment in which the signature was found; null where half of the genes are missing. The samples must have
    been measured and processed in the same way as those, or the score measures the difference between laboratories.
    """
    table = read_table_file(definition)
    absent = [name for name in _COLUMNS if name not in table.frame.columns]
    if absent:
        raise TrialrunError(
            Problem(
                "not-a-definition",
                "the file is no signature definition",
                found="no column " + ", ".join(absent),
                expected="signature_definition.csv as trialrun signature writes it",
                location=table.locate(),
            )
        )
    numbers = parse_numbers(table, list(_COLUMNS[1:]))
    genes = [str(name) for name in table.frame["gene"].to_list()]
    sheet = read_sample_sheet(samples)
    matrix = read_expression(expression, sheet, scale, id_column)
    values, notes = _as_log2(matrix)
    place = {name: i for i, name in reversed(list(enumerate(matrix.features)))}
    rows = np.full((len(genes), len(matrix.samples)), np.nan)
    found = [i for i, name in enumerate(genes) if name in place]
    rows[found] = values[[place[genes[i]] for i in found]]
    if len(found) < len(genes):
        text = f"{len(genes) - len(found)} of {len(genes)} genes of the signature are not in the table"
        lost = ", ".join([name for name in genes if name not in place][:20])
        notes.append(Problem("genes-absent", text, found=lost, severity="warning"))
    direction, centre, scales = (numbers[name].to_numpy() for name in _COLUMNS[1:])
    score = score_samples(SignatureDefinition(np.arange(len(genes)), direction, centre, scales), rows)
    frame = sheet.frame[list(matrix.sheet_rows)].rename({matrix.sample_column: "sample"})
    frame = frame.select("sample", pl.exclude("sample", "score", "genes_used")).with_columns(
        pl.Series("sample", list(matrix.samples)),
        pl.Series("genes_used", np.isfinite(rows).sum(axis=0)),
        pl.Series("score", score).fill_nan(None),
    )
    return frame, [*matrix.notes, *notes]


def _as_log2(matrix: ExpressionMatrix) -> tuple[Floats, list[Problem]]:
    if matrix.scale == "log2":
        return matrix.values, []
    check_libraries(matrix.values, matrix.samples)
    library = matrix.values.sum(axis=0) * compute_normalization_factors(matrix.values)
    text = "counts were normalised among these samples; a definition from counts was normalised among its own"
    note = Problem("normalised-apart", text, severity="warning")
    return compute_log_counts(matrix.values, library), [note]

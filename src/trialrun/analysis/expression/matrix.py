"""The expression matrix: read, turned the right way round, and its scale recognised and said."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.expression.orientation import OrientedTable, orient_table, read_anndata
from trialrun.analysis.expression.sample_sheet import SampleSheet
from trialrun.analysis.expression.table_file import note, read_table_file
from trialrun.vocab.problems import Location, Problem, TrialrunError

Floats = NDArray[np.float64]
Scale = Literal["log2", "counts"]

# Rows that read counters add below the genes (HTSeq, STAR).
_COUNTER_ROW = re.compile(r"^(__\w+|N_(unmapped|multimapping|noFeature|ambiguous))$")
_EXCEL_DATE = re.compile(
    r"^(\d{1,2}-(Mar|Sep|Dec|Apr|Oct|Nov|Feb)|(Mar|Sep|Dec|Apr|Oct|Nov|Feb)-\d{1,2})$", re.IGNORECASE
)
# Above this, non-integer values cannot be logarithms to base 2 of any measured abundance.
HIGHEST_LOG2 = 40.0
# Integers up to this could be rounded logarithms as well as small counts.
_AMBIGUOUS = 25.0


@dataclass(frozen=True, slots=True)
class ExpressionMatrix:
    """`values` (features, samples), NaN = missing, with the sheet row of every sample in `sheet_rows`.

    `annotation` holds the other columns of the table, one row a feature. `only_in_matrix` are samples that the sheet
    does not name, `only_in_sheet` the sheet rows (from 0) that name samples which the matrix has not.
    """

    path: Path
    features: tuple[str, ...]
    samples: tuple[str, ...]
    values: Floats
    annotation: pl.DataFrame
    scale: Scale
    sheet_rows: tuple[int, ...]
    sample_column: str
    only_in_matrix: tuple[str, ...]
    only_in_sheet: tuple[int, ...]
    notes: tuple[Problem, ...]


def read_expression(
    path: Path,
    sheet: SampleSheet,
    scale: Scale | None = None,
    id_column: str | None = None,
    sample_column: str | None = None,
    layer: str | None = None,
) -> ExpressionMatrix:
    """Read an expression table against its sample sheet; which way round it lies follows from the sample names."""
    if path.name.lower().endswith(".h5ad"):
        table = read_anndata(path, sheet, sample_column, layer)
    else:
        table = orient_table(read_table_file(path), sheet, id_column, sample_column)
    match, notes = table.match, list(table.notes)
    if not match.exact:
        notes.append(
            note(
                path,
                "names-matched-loosely",
                "sample names match after folders, file endings and R's changes to names are taken off",
                f"{match.names[0]} for row {match.rows[0] + 1} of the sheet",
            )
        )
    notes.append(
        note(path, "samples-matched", f"{len(match.names)} samples matched through column {match.column} of the sheet")
    )
    features, values, annotation = _set_aside_counter_rows(path, table, notes)
    values = _restore_decimals(values, notes, path)
    found = recognise_scale(values, path) if scale is None else scale
    if found == "counts":
        _check_counts(values, features, match.names, path)
    said = "given" if scale is not None else "recognised"
    notes.append(
        note(
            path,
            "scale",
            f"values taken as {'raw counts' if found == 'counts' else 'log2 expression'} ({said})",
            _range(values),
        )
    )
    notes += _describe(path, features, values)
    return ExpressionMatrix(
        path,
        tuple(features),
        match.names,
        values,
        annotation,
        found,
        match.rows,
        match.column,
        table.others,
        match.only_in_sheet,
        tuple(notes),
    )


def select_samples(matrix: ExpressionMatrix, keep: list[int]) -> ExpressionMatrix:
    """The matrix with the samples at these positions, in this order."""
    return replace(
        matrix,
        samples=tuple(matrix.samples[i] for i in keep),
        values=np.ascontiguousarray(matrix.values[:, keep]),
        sheet_rows=tuple(matrix.sheet_rows[i] for i in keep),
    )


def recognise_scale(values: Floats, path: Path | None = None) -> Scale:
    """Counts or log2 values; anything else, or what could be both, is an error that says how to go on."""
    finite = values[np.isfinite(values)]
    location = Location(file=None if path is None else str(path))
    if finite.size == 0:
        raise TrialrunError(Problem("no-values", "the expression table holds no number at all", location=location))
    whole = bool((finite == np.rint(finite)).all())
    low, high = float(finite.min()), float(finite.max())
    if whole and low >= 0 and high > _AMBIGUOUS:
        return "counts"
    if whole and low >= 0 and high == 0:
        raise TrialrunError(Problem("all-zero", "every value of the expression table is zero", location=location))
    if whole:
        raise TrialrunError(
            Problem(
                "scale-unclear",
                "the values are whole numbers too small to tell counts from rounded logarithms",
                found=_range(values),
                expected="--scale counts or --scale log2",
                location=location,
            )
        )
    if high <= HIGHEST_LOG2:
        return "log2"
    raise TrialrunError(
        Problem(
            "scale-unclear",
            "the values are neither whole numbers (counts) nor small enough to be log2 expression",
            found=_range(values),
            expected="raw counts, or the values after log2; for expected counts (RSEM, Salmon) --scale counts",
            location=location,
        )
    )


def _set_aside_counter_rows(
    path: Path, table: OrientedTable, notes: list[Problem]
) -> tuple[list[str], Floats, pl.DataFrame]:
    features, values, annotation = table.features, table.values, table.annotation
    marks = np.array([bool(_COUNTER_ROW.match(name)) for name in features])
    if not marks.any():
        return features, values, annotation
    names = [name for name, mark in zip(features, marks, strict=True) if mark]
    kept = [name for name, mark in zip(features, marks, strict=True) if not mark]
    notes.append(
        note(path, "counter-rows", "rows that a read counter adds are no genes and were set aside", ", ".join(names))
    )
    return kept, values[~marks], annotation.filter(pl.Series(~marks)) if annotation.width else annotation


def _restore_decimals(values: Floats, notes: list[Problem], path: Path) -> Floats:
    """Single-precision values that are short decimals (7.5973 kept as 7.59730005) become these decimals again."""
    finite = np.isfinite(values)
    if not np.array_equal(values[finite], values[finite].astype(np.float32)) or np.array_equal(
        values[finite], np.rint(values[finite])
    ):
        return values
    single = values.astype(np.float32)
    for places in range(1, 7):
        rounded = np.round(values, places)
        if np.array_equal(rounded.astype(np.float32)[finite], single[finite]):
            notes.append(
                note(
                    path,
                    "single-precision",
                    f"single-precision values read as the decimals of {places} places that they stand for",
                )
            )
            return rounded
    return values


def _check_counts(values: Floats, features: list[str], samples: tuple[str, ...], path: Path) -> None:
    location = Location(file=str(path))
    missing = np.argwhere(~np.isfinite(values))
    if len(missing):
        row, column = missing[0]
        raise TrialrunError(
            Problem(
                "missing-count",
                "counts are missing",
                found=f"{len(missing)} cells, first {features[row]} in {samples[column]}",
                expected="a number in every cell: zero where no read was seen",
                location=location,
            )
        )
    if (values < 0).any():
        row, column = np.argwhere(values < 0)[0]
        raise TrialrunError(
            Problem(
                "negative-count",
                "counts cannot be negative",
                found=f"{features[row]} in {samples[column]}: {values[row, column]:g}",
                expected="raw counts, or --scale log2",
                location=location,
            )
        )


def _describe(path: Path, features: list[str], values: Floats) -> list[Problem]:
    notes = []
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise TrialrunError(
            Problem(
                "infinite-value",
                "the table holds infinite values",
                found=f"{infinite} cells",
                expected="finite numbers; the logarithm of zero needs an offset",
                location=Location(file=str(path)),
            )
        )
    missing = np.isnan(values)
    if missing.any():
        rows, empty = int(missing.any(axis=1).sum()), int(missing.all(axis=1).sum())
        text = f"{int(missing.sum())} values are missing in {rows} rows; {empty} rows have none at all"
        notes.append(note(path, "missing-values", text, severity="warning"))
    spread = np.where(missing, -np.inf, values).max(axis=1) - np.where(missing, np.inf, values).min(axis=1)
    constant = int((spread == 0).sum())
    if constant:
        notes.append(
            note(path, "constant-rows", f"{constant} rows have the same value in every sample", severity="warning")
        )
    repeated = len(features) - len(set(features))
    if repeated:
        notes.append(
            note(path, "repeated-genes", f"{repeated} rows repeat the name of an earlier row", severity="warning")
        )
    dates = [name for name in features if _EXCEL_DATE.match(name)]
    if dates:
        notes.append(
            note(
                path,
                "gene-names-as-dates",
                "some gene names look like dates made by a spreadsheet (MARCHF1, SEPTIN2)",
                ", ".join(dates[:5]),
                "warning",
            )
        )
    return notes


def _range(values: Floats) -> str:
    finite = values[np.isfinite(values)]
    return (
        f"{values.shape[0]} rows x {values.shape[1]} samples, values from {finite.min():g} to {finite.max():g}"
        if finite.size
        else "no values"
    )

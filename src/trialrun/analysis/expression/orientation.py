"""Which way round an expression table lies, which columns are samples, and which one names the genes."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.expression.sample_sheet import NameMatch, SampleSheet, check_unique_samples, match_names
from trialrun.analysis.expression.table_file import TableFile, note, parse_numbers
from trialrun.vocab.problems import Location, Problem, TrialrunError

Floats = NDArray[np.float64]

# Columns that describe a gene and hold numbers: never samples.
_DESCRIPTIVE = re.compile(
    r"^(chr|chrom|chromosome|seqnames?|start|end|stop|strand|length|gene_?length|width|gc|gc_?content|exons?|n_?exons|"
    r"entrez\w*|num(ber)?_?of_?\w+|n_?exons?|ncbi\w*|hgnc\w*|effective_?length|biotype|row_?index|cytoband|map|tax_?id)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class OrientedTable:
    """Genes by samples: `values` (features, samples of `match`), the other columns, and samples the sheet lacks."""

    features: list[str]
    values: Floats
    annotation: pl.DataFrame
    match: NameMatch
    others: tuple[str, ...]
    notes: tuple[Problem, ...]


def read_anndata(path: Path, sheet: SampleSheet, sample_column: str | None, layer: str | None) -> OrientedTable:
    """Read an AnnData file: observations are samples, variables genes; `layer` instead of X when it is named."""
    if not path.is_file():
        raise TrialrunError(Problem("no-such-file", "there is no such file", found=str(path)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anndata

        try:
            data = anndata.read_h5ad(path)
        except (OSError, KeyError, ValueError) as error:
            raise TrialrunError(
                Problem(
                    "unreadable-table",
                    "the AnnData file cannot be read",
                    found=str(error).splitlines()[0],
                    location=Location(file=str(path)),
                )
            ) from None
    if layer is not None and layer not in data.layers:
        raise TrialrunError(
            Problem(
                "no-such-layer",
                "the AnnData file has no such layer",
                found=layer,
                expected=", ".join(data.layers) or "no --layer: there are none",
                location=Location(file=str(path)),
            )
        )
    block = data.X if layer is None else data.layers[layer]
    if block is None:
        raise TrialrunError(
            Problem(
                "no-values",
                "the AnnData file holds no matrix X",
                expected="one of its layers: " + ", ".join(data.layers),
                location=Location(file=str(path)),
            )
        )
    dense = np.asarray(block.toarray() if hasattr(block, "toarray") else block)
    names = [str(name) for name in data.obs_names]
    match = _match(path, sheet, names, sample_column)
    check_unique_samples(sheet, match)
    place = {name: i for i, name in enumerate(names)}
    values = _widen(dense[[place[name] for name in match.names]]).T
    annotation = pl.DataFrame(
        {str(c): [None if v != v else str(v) for v in data.var[c]] for c in data.var.columns},
        schema={str(c): pl.String for c in data.var.columns},
    )
    others = tuple(n for n in names if n not in set(match.names))
    return OrientedTable([str(name) for name in data.var_names], values, annotation, match, others, ())


def orient_table(
    file: TableFile, sheet: SampleSheet, id_column: str | None, sample_column: str | None
) -> OrientedTable:
    """Find samples among the columns (or the rows) of a table, the column of gene names, and what else there is."""
    frame, notes = file.frame, list(file.notes)
    if id_column is not None and id_column not in frame.columns:
        raise TrialrunError(
            Problem(
                "no-such-column",
                "the expression table has no such column for the gene names",
                found=id_column,
                expected=", ".join(frame.columns[:10]),
                location=file.locate(),
            )
        )
    across = match_names(sheet, frame.columns, sample_column)
    down: tuple[str, NameMatch] | None = None
    for name in frame.columns[:5]:
        found = match_names(sheet, [str(v) for v in frame[name].to_list()], sample_column)
        if found is not None and found.exact and (down is None or len(found.names) > len(down[1].names)):
            down = (name, found)
    if down is not None and (across is None or len(down[1].names) > len(across.names)):
        check_unique_samples(sheet, down[1])
        return _transpose(file, down[0], down[1])
    match = across if across is not None else _match(file.path, sheet, frame.columns, sample_column, frame)
    check_unique_samples(sheet, match)
    chosen = set(match.names)
    rest = [name for name in frame.columns if name not in chosen]
    if not rest:
        raise TrialrunError(
            Problem(
                "no-gene-names",
                "every column of the expression table is a sample: no column names the genes",
                expected="a column of gene or probe names",
                location=file.locate(),
            )
        )
    identifier = id_column if id_column is not None else _find_identifier(frame, rest)
    others = tuple(name for name in rest if name != identifier and _is_sample(frame, name))
    first = min(frame.columns.index(name) for name in chosen)
    left = [name for name in others if frame.columns.index(name) < first]
    if left:
        # Tables put what they say of a gene before its samples; said as a warning because a sample could stand there.
        others = tuple(name for name in others if name not in left)
        text = "numbers to the left of all samples of the sheet are taken to describe genes, not as samples"
        notes.append(note(file.path, "columns-left-of-samples", text, ", ".join(left), "warning"))
    features = _name_features(file, frame[identifier], notes)
    values = _widen(parse_numbers(file, list(match.names)).fill_null(np.nan).to_numpy())
    annotation = frame.select(name for name in rest if name != identifier and name not in others)
    notes.append(note(file.path, "gene-column", f"genes are named by column {identifier}"))
    if annotation.width:
        notes.append(
            note(file.path, "annotation-columns", "columns that describe genes", ", ".join(annotation.columns))
        )
    return OrientedTable(features, values, annotation.select(pl.all().cast(pl.String)), match, others, tuple(notes))


def _transpose(file: TableFile, key: str, match: NameMatch) -> OrientedTable:
    names = [str(v) for v in file.frame[key].to_list()]
    twice = sorted({n for n in match.names if names.count(n) > 1})
    if twice:
        raise TrialrunError(
            Problem(
                "duplicate-sample",
                "samples stand in the expression table more than once",
                found=", ".join(twice[:10]),
                location=file.locate(),
            )
        )
    place = {name: i for i, name in enumerate(names)}
    columns = [name for name in file.frame.columns if name != key]
    numeric = [name for name in columns if _holds_numbers(file.frame[name])]
    values = _widen(parse_numbers(file, numeric).fill_null(np.nan).to_numpy()[[place[n] for n in match.names]]).T
    others = tuple(n for n in names if n not in set(match.names))
    turned = note(file.path, "transposed", "samples are the rows of the table; it was turned round")
    return OrientedTable(numeric, values, pl.DataFrame(), match, others, (*file.notes, turned))


def _match(
    path: Path, sheet: SampleSheet, names: list[str], column: str | None, frame: pl.DataFrame | None = None
) -> NameMatch:
    match = match_names(sheet, names, column)
    if match is not None:
        return match
    if frame is not None:
        listed = {str(v) for name in frame.columns for v in frame[name].head(5000).to_list()}
        if len(listed & set(sheet.frame.columns)) >= 2:
            raise TrialrunError(
                Problem(
                    "swapped-inputs",
                    "the two files look swapped: the first lists samples that are columns of the second",
                    found=f"{path.name}, then {sheet.path.name}",
                    expected="the expression table first, then the sample sheet",
                    location=Location(file=str(path)),
                )
            )
    first = sheet.frame[column if column is not None else sheet.frame.columns[0]].drop_nulls().head(3).to_list()
    raise TrialrunError(
        Problem(
            "no-sample-matches",
            "no sample of the sheet is in the expression table",
            found=f"{', '.join(names[1:4])} in the table; {', '.join(map(str, first))} in the sheet",
            expected="a sheet column with the names of the table's samples",
            location=Location(file=str(path)),
        )
    )


def _find_identifier(frame: pl.DataFrame, rest: list[str]) -> str:
    text = [name for name in rest if not _is_sample(frame, name)]
    full = [name for name in text if frame[name].null_count() == 0]
    for name in full:
        if frame[name].n_unique() == frame.height:
            return name
    return (full or text or rest)[0]


def _is_sample(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column that the sheet does not name looks like one more sample."""
    return frame.columns.index(name) > 0 and not _DESCRIPTIVE.match(name) and _holds_numbers(frame[name])


def _holds_numbers(column: pl.Series) -> bool:
    if column.dtype.is_numeric():
        return True
    if column.dtype != pl.String:
        return False
    return bool(
        column.cast(pl.Float64, strict=False).is_not_null().sum() * 2 > max(column.len() - column.null_count(), 1)
    )


def _name_features(file: TableFile, column: pl.Series, notes: list[Problem]) -> list[str]:
    unnamed = column.is_null().arg_true().to_list()
    names = [str(v).strip() if v is not None else f"unnamed_row_{i + 1}" for i, v in enumerate(column.to_list())]
    if unnamed:
        notes.append(
            note(
                file.path,
                "unnamed-genes",
                f"{len(unnamed)} rows have no gene name; kept as unnamed_row_N",
                f"first at data row {unnamed[0] + 1}",
                "warning",
            )
        )
    return names


def _widen(values: NDArray[np.generic]) -> Floats:
    """float64; NaN for missing."""
    return np.asarray(values, dtype=np.float64)

"""From rows of the table (probes, Ensembl or Entrez numbers) to gene symbols, and several rows of a gene to one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.expression.fit import compute_row_means
from trialrun.analysis.expression.matrix import ExpressionMatrix
from trialrun.analysis.expression.table_file import read_table_file
from trialrun.vocab.problems import Location, Problem, TrialrunError

SeveralProbes = Literal["each", "highest-mean", "mean", "sum"]

_SYMBOL_COLUMNS = (
    "symbol",
    "genesymbol",
    "hgncsymbol",
    "externalgenename",
    "genename",
    "nameofgene",
    "symbols",
    "genesymbols",
    "gene",
)
_SEPARATORS = re.compile(r"\s*(?:///|//|\||;|,)\s*")


@dataclass(frozen=True, slots=True)
class GeneNames:
    """The symbol of every row (None = unknown, or several), where it comes from, and what was met."""

    symbols: tuple[str | None, ...]
    source: str
    notes: tuple[Problem, ...]


def name_genes(matrix: ExpressionMatrix, mapping: Path | None = None, gene_column: str | None = None) -> GeneNames:
    """Symbols from a mapping file, else from a column of the table, else from the shipped table, else the names."""
    if mapping is not None:
        return _from_mapping(matrix, mapping, gene_column)
    columns = {re.sub(r"[^a-z]", "", name.casefold()): name for name in matrix.annotation.columns}
    if gene_column is not None and gene_column not in matrix.annotation.columns:
        raise TrialrunError(
            Problem(
                "no-such-column",
                "the expression table has no such column of gene symbols",
                found=gene_column,
                expected=", ".join(matrix.annotation.columns) or "no --gene-column: the table has gene names only",
                location=Location(file=str(matrix.path)),
            )
        )
    chosen = gene_column or next((columns[name] for name in _SYMBOL_COLUMNS if name in columns), None)
    if chosen is not None:
        return _told([_single(v) for v in matrix.annotation[chosen].to_list()], f"column {chosen} of the table", matrix)
    plain = [name.split(".")[0] for name in matrix.features]
    n = max(len(plain), 1)
    if sum(name.startswith("ENSG") for name in plain) * 2 > n:
        return _told([_shipped("ensembl").get(name) for name in plain], "Ensembl numbers, shipped table", matrix)
    if sum(name.isdigit() for name in plain) * 10 > 9 * n:
        return _told([_shipped("entrez").get(name) for name in plain], "Entrez numbers, shipped table", matrix)
    return GeneNames(matrix.features, "names in the table", ())


def merge_rows(
    matrix: ExpressionMatrix, names: GeneNames, rule: SeveralProbes
) -> tuple[ExpressionMatrix, GeneNames, tuple[Problem, ...]]:
    """One row a gene by `rule`; with `each` every row stays. Rows without a symbol stay under their own names."""
    if rule == "each":
        return matrix, names, ()
    if rule == "sum" and matrix.scale != "counts":
        raise TrialrunError(
            Problem("sum-of-logs", "rows of log2 values cannot be summed", expected="highest-mean or mean")
        )
    if rule == "mean" and matrix.scale == "counts":
        raise TrialrunError(Problem("mean-of-counts", "counts of one gene are summed, not averaged", expected="sum"))
    keys = [symbol if symbol is not None else name for symbol, name in zip(names.symbols, matrix.features, strict=True)]
    unique, first, group = np.unique(np.array(keys), return_index=True, return_inverse=True)
    if rule == "highest-mean":
        means = np.nan_to_num(compute_row_means(matrix.values), nan=-np.inf)
        order = np.lexsort((-means, group))
        rows = order[np.unique(group[order], return_index=True)[1]]
        values = matrix.values[rows]
    else:
        there = np.isfinite(matrix.values)
        sums, counts = (np.zeros((len(unique), matrix.values.shape[1])) for _ in range(2))
        np.add.at(sums, group, np.where(there, matrix.values, 0.0))
        np.add.at(counts, group, there.astype(np.float64))
        values = sums if rule == "sum" else np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    place = np.argsort(first, kind="stable")
    values = values[place]
    labels = tuple(str(unique[i]) for i in place)
    known = {symbol for symbol in names.symbols if symbol is not None}
    note = Problem(
        "rows-merged",
        f"{len(keys)} rows became {len(labels)} genes by the rule {rule}",
        location=Location(file=str(matrix.path)),
        severity="note",
    )
    merged = replace(matrix, features=labels, values=values, annotation=pl.DataFrame())
    return merged, replace(names, symbols=tuple(label if label in known else None for label in labels)), (note,)


def find_representatives(symbols: Sequence[str | None], mean: NDArray[np.float64]) -> NDArray[np.int64]:
    """One row a symbol, that of the highest mean, and every row without a symbol; indices in order."""
    best: dict[str, int] = {}
    rest = []
    for i, symbol in enumerate(symbols):
        if symbol is None:
            rest.append(i)
        elif symbol not in best or mean[i] > mean[best[symbol]]:
            best[symbol] = i
    return np.array(sorted([*best.values(), *rest]), dtype=np.int64)


@cache
def _shipped(key: str) -> dict[str, str]:
    """Symbol by Entrez or Ensembl number; a number of several genes is left out."""
    with files("trialrun.analysis.expression").joinpath("data/gene_names.parquet").open("rb") as source:
        table = pl.read_parquet(source).with_columns(pl.col("entrez").cast(pl.String), pl.col("ensembl").str.split("|"))
    table = table.explode("ensembl").select(key, "symbol").drop_nulls().unique()
    single = table.group_by(key).agg(pl.col("symbol").n_unique().alias("n"), pl.col("symbol").first())
    single = single.filter(pl.col("n") == 1)
    return dict(zip(single[key].to_list(), single["symbol"].to_list(), strict=True))


def _single(value: str | None) -> str | None:
    if value is None or not value.strip() or value.strip() in ("---", "-"):
        return None
    parts = {part for part in _SEPARATORS.split(value.strip()) if part}
    return parts.pop() if len(parts) == 1 else None


def _from_mapping(matrix: ExpressionMatrix, path: Path, gene_column: str | None) -> GeneNames:
    table = read_table_file(path)
    frame = table.frame.select(pl.all().cast(pl.String).str.strip_chars())
    wanted = set(matrix.features)
    hits = {name: len(wanted & set(frame[name].drop_nulls().to_list())) for name in frame.columns}
    key = max(frame.columns, key=lambda name: hits[name])
    if hits[key] == 0:
        raise TrialrunError(
            Problem(
                "mapping-does-not-match",
                "no row of the expression table is in the mapping file",
                found=f"{matrix.features[0]}, {matrix.features[-1]}",
                expected="a column with the table's row names",
                location=table.locate(),
            )
        )
    if gene_column is None:
        plain = {re.sub(r"[^a-z]", "", name.casefold()): name for name in frame.columns if name != key}
        gene_column = next((plain[name] for name in _SYMBOL_COLUMNS if name in plain), None)
        if gene_column is None and frame.width == 2:
            gene_column = next(name for name in frame.columns if name != key)
    if gene_column is None or gene_column not in frame.columns:
        raise TrialrunError(
            Problem(
                "no-such-column",
                "which column of the mapping file holds the genes is not clear",
                found=gene_column,
                expected="--gene-column with one of " + ", ".join(frame.columns),
                location=table.locate(),
            )
        )
    genes: dict[str, set[str]] = {}
    for probe, gene in frame.select(key, gene_column).iter_rows():
        if probe is not None and gene is not None:
            genes.setdefault(probe, set()).update(part for part in _SEPARATORS.split(gene) if part and part != "---")
    symbols = [next(iter(g)) if len(g := genes.get(name, set())) == 1 else None for name in matrix.features]
    return _told(symbols, f"column {gene_column} of {path.name}", matrix)


def _told(symbols: list[str | None], source: str, matrix: ExpressionMatrix) -> GeneNames:
    unknown = sum(symbol is None for symbol in symbols)
    note = Problem(
        "gene-symbols",
        f"gene symbols from {source}: {len(symbols) - unknown} rows of {len({s for s in symbols if s})} genes; "
        f"{unknown} rows have no single symbol, are tested, and belong to no gene set",
        location=Location(file=str(matrix.path)),
        severity="note",
    )
    return GeneNames(tuple(symbols), source, (note,))

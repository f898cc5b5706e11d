"""The molecular signature in the report of a trial: a section from what `trialrun signature` wrote to a folder."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import polars as pl

from trialrun.report.model import Figure, Section, Table
from trialrun.vocab.problems import Location, Problem, TrialrunError

_PICTURES = (
    (
        "volcano",
        "Change of each gene",
        "Change of each gene against its p-value; the genes that change most are named.",
    ),
    ("heat-map", "Genes that change most", "Heat map of the genes that change most, one column a sample."),
    ("gene-lines", "Single genes, participant by participant", "One line a participant from one sample to the other."),
    ("sets", "Gene sets", "Gene sets that change together, with their p-values."),
)
_SHOWN = 15  # lines of a table on the page; all are in the folder's files


def make_signature(folder: Path) -> Section:
    """The section from the folder that `trialrun signature --out` wrote; TrialrunError where it is no such folder."""
    provenance, genes, sets = _provenance(folder), _table(folder, "genes"), _table(folder, "sets")
    compared = provenance["comparison"]
    alpha = float(provenance["options"]["alpha"])
    found = genes.filter(pl.col("q_value") <= alpha)
    up = int((found["log2_fold_change"] > 0).sum())
    subjects = compared.get("subjects")
    among = f" of {subjects} participants" if subjects else ""
    summary = (
        f"Change of gene expression, {compared['after']} minus {compared['before']}, in {compared['samples']} "
        f"samples{among}: of {int(genes['tested'].sum())} genes {up} are up and {found.height - up} down at a false "
        f"discovery rate of {100 * alpha:g} %."
    )
    inputs = "; ".join(f"{item['file']}, SHA-256 {item['sha256'][:16]}" for item in provenance["inputs"].values())
    made = f"Made by {provenance['program']} {provenance['version']} from {inputs}."
    return Section(
        name="signature",
        title="Molecular signature",
        paragraphs=(summary, made),
        figures=tuple(_figure(folder, *picture) for picture in _PICTURES if _picture(folder, picture[0]).exists()),
        tables=(_gene_table(genes, provenance), _set_table(sets)),
        pairs=True,
    )


def _provenance(folder: Path) -> dict[str, Any]:
    path = folder / "provenance.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _not_a_signature(path) from None
    if not isinstance(said, dict) or not {"comparison", "options", "inputs", "random_numbers"} <= set(said):
        raise _not_a_signature(path)
    return said


def _not_a_signature(path: Path) -> TrialrunError:
    return TrialrunError(
        Problem(
            "not-a-signature",
            "this is not the folder of a signature",
            str(path),
            "the folder that `trialrun signature --out` wrote",
            Location(str(path)),
        )
    )


def _table(folder: Path, name: str) -> pl.DataFrame:
    path = folder / f"{name}.parquet"
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError):
        raise _not_a_signature(path) from None


def _picture(folder: Path, name: str) -> Path:
    return folder / "pictures" / f"{name}.svg"


def _figure(folder: Path, name: str, title: str, alt: str) -> Figure:
    """The picture as an image of its own, so that names inside it cannot meet those of other pictures on the page."""
    data = base64.b64encode(_picture(folder, name).read_bytes()).decode("ascii")
    return Figure(title, f'<img src="data:image/svg+xml;base64,{data}" alt="{alt}" style="width:100%">', alt)


def _gene_table(genes: pl.DataFrame, provenance: dict[str, Any]) -> Table:
    confidence = 100 * float(provenance["options"]["confidence"])
    rows = tuple(
        (
            str(row["symbol"] or row["gene"]),
            f"{row['log2_fold_change']:+.2f}",
            f"{row['ci_low']:+.2f} to {row['ci_high']:+.2f}",
            f"{row['p_value']:.1e}",
            f"{row['q_value']:.1e}",
        )
        for row in genes.filter(pl.col("p_value").is_not_null()).sort("p_value").head(_SHOWN).iter_rows(named=True)
    )
    columns = ("Gene", "log2 fold change", f"{confidence:g} % interval", "p", "q (false discovery rate)")
    return Table(f"The {len(rows)} genes with the smallest p", columns, rows, frozenset({1, 2, 3, 4}), frozenset({2}))


def _set_table(sets: pl.DataFrame) -> Table:
    shown = sets.filter(pl.col("test") == "camera").sort("p_value").head(_SHOWN)
    rows = tuple(
        (
            str(row["description"] or row["set"]),
            str(row["size"]),
            str(row["direction"] or ""),
            f"{row['p_value']:.1e}",
            f"{row['q_value']:.1e}",
        )
        for row in shown.iter_rows(named=True)
    )
    columns = ("Gene set", "Genes", "Direction", "p", "q (false discovery rate)")
    return Table("Gene sets that change most (camera)", columns, rows, frozenset({1, 3, 4}))

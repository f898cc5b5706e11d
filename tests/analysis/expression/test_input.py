"""Tables as they come: every shape gives the same result, and says what was recognised."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.analysis.expression import ComparisonRequest, Signature, SignatureOptions, estimate_signature
from trialrun.analysis.expression.matrix import recognise_scale

REQUEST = ComparisonRequest("after-before", pairs="subject")


def run(expression: Path, samples: Path, request: ComparisonRequest = REQUEST, **options: object) -> Signature:
    return estimate_signature(expression, samples, request, SignatureOptions(**options))  # type: ignore[arg-type]


def codes(signature: Signature) -> set[str]:
    return {note.code for note in signature.notes}


@pytest.fixture
def plain(pairs: tuple[Path, Path]) -> Signature:
    return run(*pairs)


def same(ours: Signature, plain: Signature) -> None:
    a = ours.genes.sort("gene")["t"].to_numpy()
    b = plain.genes.sort("gene")["t"].to_numpy()
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_plain_table(plain: Signature) -> None:
    assert plain.comparison.matrix.scale == "log2"
    assert plain.comparison.subjects == tuple(f"S{i // 2 + 1}" for i in range(10))
    changed = plain.genes.filter(pl.col("q_value") <= 0.05)
    symbols = pl.read_csv(Path(__file__).parent / "symbols.csv")["symbol"].to_list()
    assert set(symbols[:15]) <= set(changed.filter(pl.col("log2_fold_change") > 0)["gene"])
    assert set(symbols[15:25]) <= set(changed.filter(pl.col("log2_fold_change") < 0)["gene"])
    assert {"scale", "samples-matched", "gene-column", "pairs", "comparison"} <= codes(plain)


def test_samples_as_rows(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    table = pl.read_csv(pairs[0])
    table.transpose(include_header=True, header_name="id", column_names="gene").write_csv(tmp_path / "turned.csv")
    turned = run(tmp_path / "turned.csv", pairs[1])
    same(turned, plain)
    assert "transposed" in codes(turned)


def test_tab_gzip_and_r_row_names(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    lines = pl.read_csv(pairs[0]).write_csv(separator="\t").splitlines()
    lines[0] = lines[0].split("\t", 1)[1]
    (tmp_path / "table.txt.gz").write_bytes(gzip.compress("\r\n".join(lines).encode()))
    ours = run(tmp_path / "table.txt.gz", pairs[1])
    same(ours, plain)
    assert "short-header" in codes(ours)


def test_semicolons_with_decimal_commas(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    text = pairs[0].read_text().replace(",", ";").replace(".", ",")
    (tmp_path / "table.csv").write_text(text, encoding="utf-8-sig")
    same(run(tmp_path / "table.csv", pairs[1]), plain)


def test_parquet_in_single_precision(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    table = pl.read_csv(pairs[0])
    table.with_columns(pl.col(table.columns[1:]).cast(pl.Float32)).write_parquet(tmp_path / "table.parquet")
    ours = run(tmp_path / "table.parquet", pairs[1])
    same(ours, plain)
    assert "single-precision" in codes(ours)


def test_anndata_with_a_layer(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    table = pl.read_csv(pairs[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anndata
        import pandas as pd
        import scipy.sparse

        values = table.drop("gene").to_numpy().T
        data = anndata.AnnData(
            X=scipy.sparse.csr_matrix(np.rint(2**values)),
            obs=pd.DataFrame(index=table.columns[1:]),
            var=pd.DataFrame(index=table["gene"].to_list()),
            layers={"log2": values},
        )
        data.write_h5ad(tmp_path / "table.h5ad")
    same(run(tmp_path / "table.h5ad", pairs[1], layer="log2"), plain)
    assert run(tmp_path / "table.h5ad", pairs[1]).comparison.matrix.scale == "counts"


def test_names_that_programs_change(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    sheet = pl.read_csv(pairs[1])
    names = {f"{level}_{i}": f"{i}-{level}" for level in ("before", "after") for i in range(1, 6)}
    sheet.with_columns(pl.col("sample").replace(names)).write_csv(tmp_path / "sheet.csv")
    table = pl.read_csv(pairs[0])
    mangled = {old: f"/data/run/X{new.replace('-', '.')}.sorted.bam" for old, new in names.items()}
    table.rename(mangled).write_csv(tmp_path / "table.csv")
    ours = run(tmp_path / "table.csv", tmp_path / "sheet.csv")
    same(ours, plain)
    assert "names-matched-loosely" in codes(ours)


def counts_table(folder: Path, recorded: Path) -> tuple[pl.DataFrame, Path]:
    return pl.read_csv(recorded / "counts.csv"), recorded / "counts_samples.csv"


def test_read_counter_output(recorded: Path, tmp_path: Path) -> None:
    """A counter's comment line, columns of places and lengths, and summary rows are no samples and no genes."""
    table = pl.read_csv(recorded / "counts.csv")
    plain = run(recorded / "counts.csv", recorded / "counts_samples.csv")
    extra = pl.DataFrame({"gene": ["__no_feature", "__ambiguous"]} | {c: [9_000_000, 5] for c in table.columns[1:]})
    full = pl.concat([table, extra])
    places = {"Chr": "chr1", "Start": 5, "End": 900, "Strand": "+", "Length": 895}
    full = full.select("gene", *(pl.lit(v).alias(k) for k, v in places.items()), *table.columns[1:])
    (tmp_path / "counts.txt").write_text("# Program: counter\n" + full.write_csv(separator="\t"))
    ours = run(tmp_path / "counts.txt", recorded / "counts_samples.csv")
    assert {"counter-rows", "annotation-columns", "comment-lines"} <= codes(ours)
    assert ours.genes.height == 500
    same_p = ours.genes.sort("gene")["p_value"].to_list() == plain.genes.sort("gene")["p_value"].to_list()
    assert same_p


def test_untested_genes_stay_in_the_table(recorded: Path) -> None:
    signature = run(recorded / "counts.csv", recorded / "counts_samples.csv")
    assert signature.genes.height == 500
    untested = signature.genes.filter(~pl.col("tested"))
    assert untested.height == 500 - int(signature.model.tested.sum())
    assert untested["p_value"].null_count() == untested.height


def test_ensembl_numbers_reach_the_shipped_sets(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    from trialrun.analysis.expression import gene_names

    by_symbol = {symbol: number for number, symbol in gene_names._shipped("ensembl").items()}
    table = pl.read_csv(pairs[0])
    numbers = [f"{by_symbol[s]}.7" if s in by_symbol else f"unknown{i}" for i, s in enumerate(table["gene"].to_list())]
    table.with_columns(pl.Series("gene", numbers)).write_csv(tmp_path / "table.csv")
    ours = run(tmp_path / "table.csv", pairs[1])
    camera = ours.sets.filter((pl.col("test") == "camera") & (pl.col("set") == "GO:0015629"))
    assert camera.height == 1
    assert camera["direction"][0] == "up"


@pytest.mark.parametrize(("rule", "kept"), [("each", 121), ("highest-mean", 120), ("mean", 120)])
def test_several_probes_of_a_gene(pairs: tuple[Path, Path], tmp_path: Path, rule: str, kept: int) -> None:
    table = pl.read_csv(pairs[0])
    symbols = table["gene"].to_list()
    twin = table[:1].with_columns(pl.col(table.columns[1:]) - 1.0)
    probes = [f"p{i}" for i in range(121)]
    pl.concat([table, twin]).with_columns(pl.Series("gene", probes)).write_csv(tmp_path / "table.csv")
    pl.DataFrame({"probe": probes, "symbol": [*symbols, symbols[0]]}).write_csv(tmp_path / "map.csv")
    ours = run(tmp_path / "table.csv", pairs[1], mapping=tmp_path / "map.csv", several_probes=rule)
    assert ours.genes.height == kept
    first = ours.genes.filter(pl.col("symbol") == symbols[0])
    expected = {"each": [0.0, -1.0], "highest-mean": [0.0], "mean": [-0.5]}[rule]
    plain_mean = table[:1].drop("gene").to_numpy().mean()
    assert sorted(first["mean_log2"].to_list()) == pytest.approx(sorted(plain_mean + d for d in expected))


def test_missing_values_are_said_and_used(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    table = pl.read_csv(pairs[0])
    holed = table.with_columns(
        pl.when(pl.int_range(pl.len()) < 10).then(None).otherwise(pl.col("after_1")).alias("after_1")
    )
    holed.write_csv(tmp_path / "table.csv", null_value="NA")
    ours = run(tmp_path / "table.csv", pairs[1])
    assert "missing-values" in codes(ours)
    assert sorted(ours.genes["n_values"].unique().to_list()) == [9, 10]
    assert ours.genes.filter(pl.col("n_values") == 9)["p_value"].null_count() == 0


def test_scale_is_recognised() -> None:
    generator = np.random.Generator(np.random.Philox(1))
    assert recognise_scale(generator.uniform(2, 15, (20, 4))) == "log2"
    assert recognise_scale(np.rint(generator.uniform(0, 500, (20, 4)))) == "counts"


def test_result_does_not_depend_on_the_order_of_samples_or_genes(
    pairs: tuple[Path, Path], plain: Signature, tmp_path: Path
) -> None:
    table, sheet = pl.read_csv(pairs[0]), pl.read_csv(pairs[1])
    table.select("gene", *reversed(table.columns[1:])).reverse().write_csv(tmp_path / "t.csv")
    sheet.sample(fraction=1.0, shuffle=True, seed=4).write_csv(tmp_path / "s.csv")
    ours = run(tmp_path / "t.csv", tmp_path / "s.csv")
    a, b = (s.genes.sort("gene").select("t", "p_value", "q_value").to_numpy() for s in (ours, plain))
    np.testing.assert_allclose(a, b, rtol=1e-9)


def test_swapped_contrast_turns_signs(pairs: tuple[Path, Path], plain: Signature) -> None:
    back = run(*pairs, ComparisonRequest("before-after", pairs="subject"))
    a, b = (s.genes.sort("gene") for s in (back, plain))
    np.testing.assert_allclose(a["log2_fold_change"].to_numpy(), -b["log2_fold_change"].to_numpy(), rtol=1e-10)
    np.testing.assert_allclose(a["p_value"].to_numpy(), b["p_value"].to_numpy(), rtol=1e-10)


def test_levels_with_hyphens(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    levels = {"before": "Pre-dose", "after": "On-drug"}
    pl.read_csv(pairs[1]).with_columns(pl.col("time").replace(levels)).write_csv(tmp_path / "s.csv")
    same(run(pairs[0], tmp_path / "s.csv", ComparisonRequest("on-drug-pre-dose", pairs="subject")), plain)


def test_numbers_left_of_the_samples_describe_genes(pairs: tuple[Path, Path], plain: Signature, tmp_path: Path) -> None:
    table = pl.read_csv(pairs[0])
    described = table.select("gene", pl.lit(3).alias("score of something"), *table.columns[1:])
    described.write_csv(tmp_path / "t.csv")
    ours = run(tmp_path / "t.csv", pairs[1])
    same(ours, plain)
    note = next(n for n in ours.notes if n.code == "columns-left-of-samples")
    assert (note.severity, note.found) == ("warning", "score of something")

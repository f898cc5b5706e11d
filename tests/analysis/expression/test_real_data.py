"""Agreement with limma on real data that does not ship (TRIALRUN_DATA), through the same calls as the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.analysis.expression import ComparisonRequest, Signature, SignatureOptions, estimate_signature
from trialrun.analysis.expression.correlation import estimate_consensus_correlation
from trialrun.analysis.expression.fit import Block, fit_contrast
from trialrun.analysis.expression.moderation import compute_moderated, compute_t_p_values, moderate_variances

pytestmark = [pytest.mark.shared, pytest.mark.oracle]


def write_gmt(folder: Path, terms: pl.DataFrame, gene: str) -> Path:
    lines = [
        f"{go}\t{go}\t" + "\t".join(map(str, genes)) for go, genes in terms.group_by("go_id").agg(gene).iter_rows()
    ]
    (folder / "go.gmt").write_text("\n".join(lines) + "\n")
    return folder / "go.gmt"


def read_prior(data: Path, folder: str, analysis: str) -> dict[str, float]:
    table = pl.read_csv(data / folder / "reference_results.csv").filter(pl.col("analysis") == analysis)
    return dict(table.select("quantity", "value").iter_rows())


def check_genes(signature: Signature, reference: pl.DataFrame, key: str) -> None:
    both = signature.genes.join(reference, left_on="gene", right_on=key)
    assert both.height == reference.height == signature.genes.height
    for ours, theirs in (
        ("log2_fold_change", "logFC"),
        ("t", "t_right"),
        ("p_value", "P.Value"),
        ("q_value", "adj.P.Val"),
        ("mean_log2", "AveExpr"),
    ):
        np.testing.assert_allclose(both[ours].to_numpy(), both[theirs].to_numpy(), rtol=1e-6, atol=1e-12, err_msg=ours)


@pytest.fixture(scope="module")
def leukaemia(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Signature:
    folder = data / "all-leukaemia-expression"
    sheet = pl.read_csv(folder / "samples.csv", infer_schema=False).filter(pl.col("BT").str.starts_with("B"))
    out = tmp_path_factory.mktemp("all")
    sheet.write_csv(out / "samples.csv")
    return estimate_signature(
        folder / "expression.parquet",
        out / "samples.csv",
        ComparisonRequest("BCR/ABL-NEG", group="mol_biol", unmatched="leave-out"),
        SignatureOptions(mapping=folder / "probes.csv", gene_column="entrez", smallest_set=10),
    )


def test_leukaemia_unpaired(data: Path, leukaemia: Signature) -> None:
    folder = data / "all-leukaemia-expression"
    check_genes(leukaemia, pl.read_parquet(folder / "reference_limma_bcrabl_vs_neg.parquet"), "probe")
    expected = read_prior(data, folder.name, "ALL B-cell BCR/ABL (37) v NEG (42), lmFit+eBayes")
    prior = leukaemia.model.moderated.prior
    assert prior.common_df == pytest.approx(expected["df.prior"], rel=1e-6)
    assert prior.typical_variance == pytest.approx(expected["s2.prior"], rel=1e-6)
    assert sum(leukaemia.count_changed()) == expected["probes BH<=0.05"]


def test_leukaemia_over_representation(data: Path, leukaemia: Signature, tmp_path: Path) -> None:
    reference = pl.read_parquet(data / "all-leukaemia-expression" / "reference_go_ora.parquet")
    terms = pl.read_parquet(data / "go-human" / "go_gene_propagated.parquet")
    sizes = terms.group_by("go_id").len().filter(pl.col("len").is_between(10, 500))
    gmt = write_gmt(tmp_path, terms.join(sizes, on="go_id"), "entrez")
    sheet = tmp_path / "samples.csv"
    leukaemia.comparison.sheet.write_csv(sheet)
    again = estimate_signature(
        leukaemia.comparison.matrix.path,
        sheet,
        ComparisonRequest("BCR/ABL-NEG", group="mol_biol", unmatched="leave-out"),
        SignatureOptions(
            mapping=data / "all-leukaemia-expression" / "probes.csv", gene_column="entrez", sets=(gmt,), largest_set=500
        ),
    )
    ours = again.sets.filter((pl.col("test") == "over-representation") & (pl.col("direction") == "either"))
    both = ours.join(reference, left_on="set", right_on="go_id")
    assert both.height == reference.height == ours.height
    assert both["size"].to_list() == both["set_size"].to_list()
    assert both["selected"].to_list() == both["overlap"].to_list()
    np.testing.assert_allclose(both["p_value"].to_numpy(), both["p"].to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(both["q_value"].to_numpy(), both["fdr"].to_numpy(), rtol=1e-9)


def test_prior_and_p_values_from_estimates_and_standard_errors(data: Path) -> None:
    folder = data / "cll-ibrutinib-limma"
    table = pl.read_parquet(folder / "ibrutinib_limma.parquet")
    expected = dict(pl.read_csv(folder / "reference_results.csv").iter_rows())
    whole = table.filter(pl.col("residual_dof") == 11)
    variance = whole["se_hat"].to_numpy() ** 2
    _, prior = moderate_variances(variance, np.full(whole.height, 11.0))
    recomputed = "limma squeezeVar(se_hat^2, 11) on the residual_dof=11 rows: df.prior"
    assert prior.common_df == pytest.approx(expected[recomputed], rel=1e-8)
    assert prior.typical_variance == pytest.approx(expected["same: var.prior (scale of se_hat^2)"], rel=1e-6)
    d0 = expected["df.prior that reproduces limma_pvalue exactly (fit on all 48107 genes)"]
    s0 = expected["var.prior that reproduces limma_pvalue exactly (scale of se_hat^2)"]
    posterior = (11 * variance + d0 * s0) / (11 + d0)
    p = compute_t_p_values(whole["mu_hat"].to_numpy() / np.sqrt(posterior), np.full(whole.height, 11 + d0))
    np.testing.assert_allclose(p, whole["limma_pvalue"].to_numpy(), atol=1e-9)


@pytest.fixture(scope="module")
def influenza(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Signature:
    folder = data / "paired-expression-flu-challenge"
    genes = pl.read_parquet(data / "go-human" / "genes.parquet").select("entrez", "symbol")
    terms = pl.read_parquet(data / "go-human" / "go_gene_propagated.parquet").join(genes, on="entrez")
    sizes = terms.group_by("go_id").len().filter(pl.col("len").is_between(10, 500))
    gmt = write_gmt(tmp_path_factory.mktemp("flu"), terms.join(sizes, on="go_id"), "symbol")
    return estimate_signature(
        folder / "expression.parquet",
        folder / "samples.csv",
        ComparisonRequest("77-0", pairs="subject", where=(("condition", "sx"),)),
        SignatureOptions(sets=(gmt,)),
    )


def test_influenza_paired(data: Path, influenza: Signature) -> None:
    folder = data / "paired-expression-flu-challenge"
    check_genes(influenza, pl.read_parquet(folder / "reference_limma_paired_symptomatic.parquet"), "symbol")
    assert sum(influenza.count_changed()) == 1002
    expected = read_prior(data, folder.name, "flu sx, 77 h v 0 h, paired, 9 subjects")
    assert influenza.model.moderated.prior.common_df == pytest.approx(expected["df.prior"], rel=1e-6)


def test_influenza_camera(data: Path, influenza: Signature) -> None:
    reference = pl.read_parquet(data / "paired-expression-flu-challenge" / "reference_camera_symptomatic.parquet")
    both = influenza.sets.filter(pl.col("test") == "camera").join(reference, left_on="set", right_on="go_id")
    assert both.height > 0.98 * reference.height
    same = both.filter(pl.col("size") == pl.col("NGenes"))
    assert same.height > 0.98 * both.height
    np.testing.assert_allclose(same["p_value"].to_numpy(), same["PValue"].to_numpy(), rtol=1e-6)
    assert same["direction"].to_list() == same["Direction"].str.to_lowercase().to_list()


def test_negative_control_yields_nothing(data: Path) -> None:
    folder = data / "paired-expression-flu-challenge"
    signature = estimate_signature(
        folder / "expression.parquet",
        folder / "samples.csv",
        ComparisonRequest("77-0", pairs="subject", where=(("condition", "asx"),)),
    )
    check_genes(signature, pl.read_parquet(folder / "reference_limma_paired_asymptomatic.parquet"), "symbol")
    assert signature.count_changed() == (0, 0)
    assert signature.definition.height == 0
    assert "no-signature" in {note.code for note in signature.notes}


def test_interaction_with_random_subjects(data: Path) -> None:
    folder = data / "paired-expression-flu-challenge"
    sheet = pl.read_csv(folder / "samples.csv").filter(pl.col("hours").is_in([0, 77]))
    table = pl.read_parquet(folder / "expression.parquet")
    values = np.round(table.select(sheet["sample"].to_list()).to_numpy().astype(np.float64), 4)
    groups = [("sx", 0), ("sx", 77), ("asx", 0), ("asx", 77)]
    design = np.column_stack(
        [((sheet["condition"] == c) & (sheet["hours"] == h)).to_numpy() for c, h in groups]
    ).astype(float)
    codes = np.unique(sheet["subject"].to_numpy(), return_inverse=True)[1]
    expected = read_prior(data, folder.name, "flu (sx_77-sx_0)-(asx_77-asx_0), duplicateCorrelation by subject")
    rho = estimate_consensus_correlation(values, design, Block(codes))
    assert rho == pytest.approx(expected["consensus correlation"], rel=1e-6)
    block = Block(codes, expected["consensus correlation"])
    moderated = compute_moderated(fit_contrast(values, design, np.array([-1.0, 1.0, 1.0, -1.0]), block=block))
    assert moderated.prior.common_df == pytest.approx(expected["df.prior"], rel=1e-6)
    reference = table.select("symbol").join(
        pl.read_parquet(folder / "reference_limma_interaction.parquet"), on="symbol", maintain_order="left"
    )
    np.testing.assert_allclose(moderated.t, reference["t"].to_numpy(), rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(moderated.p_value, reference["P.Value"].to_numpy(), rtol=1e-6)

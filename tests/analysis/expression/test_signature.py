"""The whole signature: tables, score, pictures, page and command."""

from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats
from typer.testing import CliRunner

from trialrun.analysis.expression import (
    ComparisonRequest,
    Signature,
    SignatureOptions,
    estimate_signature,
    gene_pictures,
    page,
    quality_pictures,
    score_later_samples,
    set_pictures,
    signature_section,
)
from trialrun.analysis.expression.gene_pictures import draw_paired_lines
from trialrun.analysis.expression.picture import place_labels, settle_layout, start_figure, style
from trialrun.analysis.expression.score import define_signature, score_samples
from trialrun.cli import app
from trialrun.vocab.problems import TrialrunError

from .conftest import write_pairs

GENES = ["gene", "symbol", "tested", "n_values", "mean_log2", "log2_fold_change", "standard_error", "ci_low", "ci_high"]
GENES += ["t", "df", "p_value", "q_value"]
SETS = ["test", "set", "description", "theme", "size", "selected", "expected", "correlation", "direction", "p_value"]
SETS += ["q_value", "leading_edge"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def signature(files: tuple[Path, Path]) -> Signature:
    options = SignatureOptions(response="response")
    return estimate_signature(*files, ComparisonRequest("after-before", pairs="subject"), options)


@pytest.fixture(scope="module")
def written(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes."""
    folder = tmp_path_factory.mktemp("out") / "result"
    call = ["signature", *map(str, files), "--pairs", "subject", "--contrast", "after-before", "--out", str(folder)]
    result = CliRunner().invoke(app, [*call, "--response", "response"])
    assert result.exit_code == 0, result.output
    assert "log2 expression, 10 samples, change after - before in column time" in result.output
    return folder


def test_tables_have_the_documented_columns(signature: Signature) -> None:
    assert signature.genes.columns == GENES
    assert signature.sets.columns == SETS
    assert signature.genes["p_value"].is_sorted()
    changed = signature.genes.filter(pl.col("tested"))
    inside = (changed["ci_low"] < changed["log2_fold_change"]) & (changed["log2_fold_change"] < changed["ci_high"])
    assert inside.all()
    # An interval leaves out zero exactly when the p-value is below one minus its level.
    assert ((changed["ci_low"] > 0) | (changed["ci_high"] < 0)).to_list() == (changed["p_value"] < 0.05).to_list()


def test_sets_find_the_planted_change(signature: Signature) -> None:
    camera = signature.sets.filter(pl.col("test") == "camera")
    actin = camera.filter(pl.col("set") == "GO:0015629").row(0, named=True)
    assert actin["theme"] == "cytoskeleton"
    planted = pl.read_csv(Path(__file__).parent / "symbols.csv")["symbol"].to_list()[:15]
    assert set(actin["leading_edge"].split(";")) >= set(planted)
    up = signature.sets.filter((pl.col("test") == "over-representation") & (pl.col("direction") == "up"))
    row = up.filter(pl.col("set") == "GO:0015629").row(0, named=True)
    universe, chosen = 120, int((signature.genes.filter(pl.col("q_value") <= 0.05)["log2_fold_change"] > 0).sum())
    expected = stats.hypergeom.sf(row["selected"] - 1, universe, chosen, row["size"])
    assert row["p_value"] == pytest.approx(expected, rel=1e-9)
    assert row["expected"] == pytest.approx(row["size"] * chosen / universe)


def test_shipped_sets_name_cytoskeleton_and_immunity() -> None:
    from trialrun.analysis.expression.gene_sets import read_shipped_gene_sets

    sets = read_shipped_gene_sets()
    assert len(sets.names) == 78
    assert None not in sets.themes
    assert sum(theme == "cytoskeleton" for theme in sets.themes) == 9
    assert "CRBN" in sets.members[sets.names.index("GO:0080008")]


def test_score_follows_the_definition(signature: Signature, files: tuple[Path, Path]) -> None:
    """The written definition scores samples by itself, as later subjects will be."""
    definition = signature.definition
    table = pl.read_csv(files[0]).join(definition, on="gene", maintain_order="right")
    for row in signature.scores.iter_rows(named=True):
        z = table["direction"] * (table[row["sample"]] - table["centre"]) / table["scale"]
        assert z.mean() == pytest.approx(row["score"], rel=1e-9)
    before = signature.scores.filter(pl.col("level") == "before")["score"]
    assert before.mean() == pytest.approx(0.0, abs=1e-9)
    assert signature.scores.filter(pl.col("level") == "after")["score"].min() > 2.0


def test_held_out_score_does_not_see_its_own_subject(signature: Signature) -> None:
    values, late = signature.model.values, signature.comparison.is_after
    kept = np.array([subject != "S1" for subject in signature.comparison.subjects])
    from trialrun.analysis.expression.fit import Block, fit_contrast
    from trialrun.analysis.expression.moderation import compute_moderated, compute_q_values

    codes = np.unique(np.array(signature.comparison.subjects)[kept], return_inverse=True)[1]
    design = late[kept].astype(float)[:, None]
    moderated = compute_moderated(fit_contrast(values[:, kept], design, np.ones(1), block=Block(codes)))
    definition = define_signature(values[:, kept], late[kept], moderated.t, compute_q_values(moderated.p_value), 0.05)
    assert definition is not None
    expected = score_samples(definition, values[definition.rows][:, ~kept])
    ours = signature.scores.filter(pl.col("subject") == "S1")["score_held_out"].to_numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_samples_with_few_of_the_genes_get_no_score(signature: Signature) -> None:
    values = signature.model.values
    from trialrun.analysis.expression.moderation import compute_q_values

    q = compute_q_values(signature.model.moderated.p_value)
    definition = define_signature(values, signature.comparison.is_after, signature.model.moderated.t, q, 0.05)
    assert definition is not None
    some = values[definition.rows][:, :2].copy()
    some[: int(0.6 * len(some)), 0] = np.nan
    scores = score_samples(definition, some)
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1])


def test_relation_to_response_is_welchs(signature: Signature) -> None:
    table = signature.response
    assert table["measure"].to_list() == ["score at before", "score at after", "change after - before"]
    wide = signature.scores.pivot("level", index=["subject", "response"], values="score_held_out")
    change = wide.with_columns(change=pl.col("after") - pl.col("before"))
    groups = [change.filter(pl.col("response") == level)["change"].to_numpy() for level in ("R", "NR")]
    test = stats.ttest_ind(*groups, equal_var=False)
    row = table.row(2, named=True)
    assert (row["n_responders"], row["n_non_responders"]) == (3, 2)
    assert row["difference"] == pytest.approx(groups[0].mean() - groups[1].mean())
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(test.confidence_interval()))
    assert 0 <= row["auc"] <= 1


def test_response_that_is_not_clear(files: tuple[Path, Path], tmp_path: Path) -> None:
    request = ComparisonRequest("after-before", pairs="subject")
    sheet = pl.read_csv(files[1])
    cases = {
        "response-varies": sheet.with_columns(response=pl.col("time").replace("before", "pre")),
        "response-levels": sheet.with_columns(response=pl.col("subject")),
    }
    for code, edited in cases.items():
        edited.write_csv(tmp_path / "s.csv")
        with pytest.raises(TrialrunError) as caught:
            estimate_signature(files[0], tmp_path / "s.csv", request, SignatureOptions(response="response"))
        assert caught.value.problems[0].code == code


def test_labels_do_not_overlap() -> None:
    generator = np.random.Generator(np.random.Philox(3))
    x, y = generator.normal(0, 1, 40), generator.normal(0, 1, 40)
    with style():
        figure = start_figure(5)
        axes = figure.subplots()
        axes.scatter(x, y)
        placed = place_labels(axes, x, y, [f"GENE{i}" for i in range(40)])
        figure.draw_without_rendering()
        texts = [Text.get_window_extent(text) for text in placed]
    assert len(texts) > 20
    for i, one in enumerate(texts):
        assert not any(one.overlaps(other) for other in texts[i + 1 :])
        points = axes.transData.transform(np.column_stack([x, y]))
        assert not ((points > one.min) & (points < one.max)).all(axis=1).any()


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.outside: list[str] = []
        self.unnamed = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [str(found["id"])] if "id" in found else []
        if tag == "a":
            self.links.append(str(found.get("href")))
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg" and not found.get("aria-label"):
            self.unnamed += 1
        for name in ("src", "href"):
            value = found.get(name) or ""
            if tag in ("script", "link", "img", "iframe") or value.startswith(("http", "//")):
                self.outside.append(f"{tag} {value[:60]}")


def test_page_stands_alone_and_can_be_read_by_everyone(written: Path) -> None:
    text = (written / "signature.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.outside == []
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert reader.unnamed == 0
    assert reader.headings[0] == 1
    assert all(b <= a + 1 for a, b in zip(reader.headings, reader.headings[1:], strict=False))
    assert 'name="viewport"' in text
    assert '<html lang="en">' in text
    for pointer in re.findall(r'(?:href="#|url\(#)([^")]+)', text):
        assert pointer in reader.ids
    assert len(text) < 3_000_000


def test_files_are_written_in_both_forms(signature: Signature, written: Path) -> None:
    for name in ("genes", "sets", "signature_definition", "scores", "response", "notes"):
        table = pl.read_parquet(written / f"{name}.parquet")
        csv = pl.read_csv(written / f"{name}.csv", infer_schema_length=None)
        assert table.height == csv.height
        assert table.columns == csv.columns
    for picture in ("volcano", "heat-map", "gene-lines", "sets", "score", "components", "mean-variance", "p-values"):
        ElementTree.parse(written / "pictures" / f"{picture}.svg")
        assert (written / "pictures" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_provenance_names_inputs_version_and_choices(
    signature: Signature, files: tuple[Path, Path], written: Path
) -> None:
    facts = json.loads((written / "provenance.json").read_text())
    assert facts["inputs"]["expression"]["sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert facts["request"]["pairs"] == "subject"
    assert facts["options"]["alpha"] == 0.05
    assert facts["estimated"]["residual_df"] == 4.0
    assert facts["version"]


def test_equal_inputs_give_equal_results(signature: Signature, written: Path) -> None:
    """The library's result and the command's files are the same, to the last digit and dot."""
    assert signature.genes.equals(pl.read_parquet(written / "genes.parquet"))
    assert signature.sets.equals(pl.read_parquet(written / "sets.parquet"))
    assert signature.scores.equals(pl.read_parquet(written / "scores.parquet"))
    for draw in (gene_pictures.draw_volcano, set_pictures.draw_set_bars, quality_pictures.draw_score):
        picture = draw(signature)
        assert picture is not None
        assert (written / "pictures" / f"{picture.name}.svg").read_text(encoding="utf-8") == picture.svg
        assert (written / "pictures" / f"{picture.name}.png").read_bytes() == picture.png


def test_section_for_a_report(signature: Signature, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "draw_pictures", lambda signature: [])
    title, html, pictures = signature_section(signature)
    assert title == "Molecular signature"
    reader = Reader()
    reader.feed(html)
    assert min(reader.headings) == 3
    assert reader.outside == []
    assert pictures == []


def test_a_gene_that_is_not_there(files: tuple[Path, Path]) -> None:
    options = SignatureOptions(genes_shown=("NOGENE",))
    result = estimate_signature(*files, ComparisonRequest("after-before", pairs="subject"), options)
    with pytest.raises(TrialrunError) as caught:
        draw_paired_lines(result)
    assert caught.value.problems[0].code == "no-such-gene"


def test_correlation_of_each_set_can_be_estimated(files: tuple[Path, Path]) -> None:
    options = SignatureOptions(set_correlation=None, trend=True, robust=True)
    result = estimate_signature(*files, ComparisonRequest("after-before", pairs="subject"), options)
    assert result.sets.filter(pl.col("test") == "camera")["correlation"].n_unique() > 1


@pytest.mark.parametrize("extra", [["--where", "time"], ["--set-correlation", "some"], ["--alpha", "2"]])
def test_bad_calls(files: tuple[Path, Path], tmp_path: Path, extra: list[str]) -> None:
    call = ["signature", *map(str, files), "--contrast", "after-before", "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(app, [*call, *extra])
    assert isinstance(result.exception, TrialrunError)
    assert not (tmp_path / "o").exists()


def test_later_samples_are_scored_by_the_written_definition(
    files: tuple[Path, Path], signature: Signature, written: Path, tmp_path: Path
) -> None:
    call = ["signature-score", str(written / "signature_definition.csv"), *map(str, files), "--format", "json"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    again = {row["sample"]: row["score"] for row in json.loads(result.stdout)}
    expected = dict(signature.scores.select("sample", "score").iter_rows())
    assert again == pytest.approx(expected, rel=1e-9)
    fewer = pl.read_csv(files[0]).filter(~pl.col("gene").is_in(signature.definition["gene"][:3].to_list()))
    fewer.write_csv(tmp_path / "later.csv")
    table, notes = score_later_samples(written / "signature_definition.parquet", tmp_path / "later.csv", files[1])
    assert table["genes_used"].unique().to_list() == [signature.definition.height - 3]
    assert "genes-absent" in {note.code for note in notes}
    with pytest.raises(TrialrunError) as caught:
        score_later_samples(files[1], files[0], files[1])
    assert caught.value.problems[0].code == "not-a-definition"


def test_nothing_is_cut_off_at_the_edges(leukaemia_like: Signature, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long names of sets, genes and levels stay inside every picture."""
    cut = []

    def look(figure: Figure, name: str, title: str, caption: str) -> None:
        settle_layout(figure)
        width, height = figure.get_size_inches()
        box = figure.get_tightbbox()
        if box.x0 < -0.01 or box.y0 < -0.01 or box.x1 > width + 0.01 or box.y1 > height + 0.01:
            cut.append((name, box.extents, width, height))

    for draw in (gene_pictures.draw_heat_map, gene_pictures.draw_paired_lines, set_pictures.draw_set_bars):
        monkeypatch.setitem(draw.__globals__, "finish_picture", look)
        draw(leukaemia_like)
    assert cut == []


@pytest.fixture
def leukaemia_like(tmp_path: Path) -> Signature:
    """Unpaired, long level names, twelve samples and probes that share symbols."""
    expression, samples = write_pairs(tmp_path, subjects=6)
    table = pl.read_csv(expression)
    probes = [f"{40_000 + i}_s_at" for i in range(table.height)]
    symbols = table["gene"].to_list()
    symbols[1] = symbols[0]
    pl.DataFrame({"probe": probes, "symbol": symbols}).write_csv(tmp_path / "map.csv")
    table.with_columns(gene=pl.Series(probes)).write_csv(expression)
    names = {"before": "before first dose of the drug", "after": "cycle 1 day 28"}
    pl.read_csv(samples).with_columns(pl.col("time").replace(names)).write_csv(samples)
    request = ComparisonRequest(f"{names['after']}-{names['before']}")
    return estimate_signature(
        expression, samples, request, SignatureOptions(mapping=tmp_path / "map.csv", smallest_set=5)
    )

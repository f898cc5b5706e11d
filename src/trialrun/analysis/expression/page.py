"""The signature as one self-contained page, as a section of a report, and as files."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trialrun.analysis.expression.signature import Signature
from trialrun.vocab.problems import Location, Problem, TrialrunError

if TYPE_CHECKING:
    from trialrun.analysis.expression.picture import Picture

# Rows of each table on the page; the files hold all.
GENES_ON_PAGE, SETS_ON_PAGE = 50, 30
_PICTURES = ("volcano", "heat-map", "gene-lines", "sets", "score", "components", "mean-variance", "p-values")
_CONTENTS = (
    ("summary", "Summary"),
    ("genes", "Genes"),
    ("gene-sets", "Gene sets"),
    ("signature-score", "Score"),
    ("quality", "Quality"),
    ("notes", "Notes"),
    ("method", "Method"),
)
_TEST_NAMES = {
    "camera": "camera: mean of the set against all other genes, correlation between genes allowed for",
    "rank": "rank test: ranks of the set against all other genes, correlation between genes allowed for",
    "over-representation": "over-representation: hypergeometric test among the changed genes",
}


def draw_pictures(signature: Signature) -> list[Picture]:
    """Every picture that the result has data for."""
    from trialrun.analysis.expression import gene_pictures, quality_pictures, set_pictures

    drawn = [
        gene_pictures.draw_volcano(signature),
        gene_pictures.draw_heat_map(signature),
        gene_pictures.draw_paired_lines(signature),
        set_pictures.draw_set_bars(signature),
        quality_pictures.draw_score(signature),
        quality_pictures.draw_principal_components(signature),
        quality_pictures.draw_mean_variance(signature),
        quality_pictures.draw_p_values(signature),
    ]
    return [picture for picture in drawn if picture is not None]


def signature_section(signature: Signature) -> tuple[str, str, list[Picture]]:
    """For a report: the section's title, its HTML (headings from h3, no pictures in it), and the pictures.

    Pictures carry SVG text and PNG bytes with title and caption; the report places them after the HTML.
    """
    body = _body(signature, None)
    for low, high in (("h3", "h4"), ("h2", "h3")):
        body = body.replace(f"<{low}", f"<{high}").replace(f"</{low}>", f"</{high}>")
    return "Molecular signature", body, draw_pictures(signature)


def write_signature(signature: Signature, folder: Path) -> list[Path]:
    """Write the page, the tables (CSV and Parquet), the pictures (SVG and PNG) and provenance.json; paths written."""
    pictures = draw_pictures(signature)
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrialrunError(
            Problem(
                "cannot-write", "the output folder cannot be made", found=str(error), location=Location(str(folder))
            )
        ) from None
    written: list[Path] = []
    tables = {
        "genes": signature.genes,
        "sets": signature.sets,
        "signature_definition": signature.definition,
        "scores": signature.scores,
        "response": signature.response,
        "notes": pl.DataFrame([note.as_dict() for note in signature.notes], infer_schema_length=None),
    }
    for name, table in tables.items():
        if table.width == 0:
            continue
        table.write_csv(folder / f"{name}.csv")
        table.write_parquet(folder / f"{name}.parquet")
        written += [folder / f"{name}.csv", folder / f"{name}.parquet"]
    for picture in pictures:
        (folder / "pictures" / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
        (folder / "pictures" / f"{picture.name}.png").write_bytes(picture.png)
        written += [folder / "pictures" / f"{picture.name}{end}" for end in (".svg", ".png")]
    page = folder / "signature.html"
    page.write_text(render_page(signature, pictures), encoding="utf-8")
    provenance = folder / "provenance.json"
    provenance.write_text(json.dumps(signature.provenance, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [page, *written, provenance]


def render_page(signature: Signature, pictures: list[Picture]) -> str:
    """One HTML file without outside references: readable on a phone, by keyboard and by screen reader, and in print."""
    frame = files("trialrun.analysis.expression").joinpath("data/page.html").read_text(encoding="utf-8")
    title = f"Molecular signature: {signature.comparison.label}"
    body = _body(signature, pictures)
    links = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in _CONTENTS if f"id='{name}'" in body)
    return frame.replace("{{title}}", escape(title)).replace("{{contents}}", links).replace("{{body}}", body)


def _body(signature: Signature, pictures: list[Picture] | None) -> str:
    drawn = {picture.name: picture for picture in pictures or []}
    shown = {name: _show(drawn, name) for name in _PICTURES}
    parts = [
        _summary(signature),
        _genes(signature, shown["volcano"] + shown["heat-map"] + shown["gene-lines"]),
        _sets(signature, shown["sets"]),
        _score(signature, shown["score"]),
    ]
    quality = shown["components"] + shown["mean-variance"] + shown["p-values"]
    if quality:
        parts += ["<h2 id='quality'>Quality</h2>", quality]
    parts += [_notes(signature), _method(signature)]
    return "\n".join(part for part in parts if part)


def _show(drawn: dict[str, Picture], name: str) -> str:
    if name not in drawn:
        return ""
    picture = drawn[name]
    # Identifiers inside a picture are made its own, so that several pictures can stand in one page.
    svg = picture.svg
    for mark in ('id="', "url(#", 'href="#'):
        svg = svg.replace(mark, f"{mark}{name}-")
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(picture.caption, quote=True)}"', 1)
    return (
        f'<figure id="{name}"><h3>{escape(picture.title)}</h3><div class="wide" tabindex="0" role="group" '
        f'aria-label="{escape(picture.title, quote=True)}, picture">{svg}</div>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _summary(signature: Signature) -> str:
    comparison, model = signature.comparison, signature.model
    up, down = signature.count_changed()
    who = f"{len(set(comparison.subjects))} subjects, " if comparison.subjects else ""
    design = "unpaired"
    if comparison.block is not None:
        design = "paired within subjects" if comparison.block.correlation is None else "subjects as a random effect"
    kind = "read counts with precision weights (voom)" if comparison.matrix.scale == "counts" else "log2 expression"
    sentence = (
        f"<strong>{up} genes up and {down} down</strong> at a false discovery rate of {signature.options.alpha:g}, "
        f"of {int(signature.genes['tested'].sum())} tested. Change: {escape(comparison.label)} "
        f"({escape(comparison.group)}); {who}{len(comparison.is_after)} samples, {design}; {kind}."
    )
    prior = model.moderated.prior
    facts = f"Prior: {prior.common_df:.4g} degrees of freedom, variance {prior.typical_variance:.4g}."
    return f"<h2 id='summary'>Summary</h2><p class='lead'>{sentence}</p><p>{facts} {_themes(signature)}</p>"


def _themes(signature: Signature) -> str:
    camera = signature.sets.filter((pl.col("test") == "camera") & pl.col("theme").is_not_null())
    if camera.height == 0:
        return ""
    alpha = signature.options.alpha
    told = []
    for theme in ("cytoskeleton", "immune", "migration and adhesion"):
        mine = camera.filter(pl.col("theme") == theme)
        hits = mine.filter(pl.col("q_value") <= alpha)
        up = int((hits["direction"] == "up").sum())
        told.append(f"{theme}: {hits.height} of {mine.height} ({up} up, {hits.height - up} down)")
    return f"Gene sets with q at most {alpha:g} by camera: {'; '.join(told)}."


def _genes(signature: Signature, pictures: str) -> str:
    top = signature.genes.filter(pl.col("tested")).head(GENES_ON_PAGE)
    head = ["gene", "symbol", "log2 fold change", f"{signature.options.confidence:.0%} interval", "t", "p", "q"]
    rows = [
        [
            escape(row["gene"]),
            escape(row["symbol"] or ""),
            f"{row['log2_fold_change']:.3f}",
            f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
            f"{row['t']:.2f}",
            f"{row['p_value']:.2g}",
            f"{row['q_value']:.2g}",
        ]
        for row in top.iter_rows(named=True)
    ]
    return "<h2 id='genes'>Genes</h2>" + pictures + _table("The genes of smallest p-value", head, rows, 2)


def _sets(signature: Signature, pictures: str) -> str:
    if signature.sets.height == 0:
        return ""
    parts = ["<h2 id='gene-sets'>Gene sets</h2>", pictures]
    for test in signature.sets["test"].unique(maintain_order=True).to_list():
        table = signature.sets.filter(pl.col("test") == test)
        if test == "over-representation":
            table = table.filter(pl.col("direction") != "either")
        top = table.sort(["p_value", "set"]).head(SETS_ON_PAGE)
        head = ["set", "name", "theme", "direction", "size", "p", "q", "leading genes"]
        rows = [
            [
                escape(row["set"]),
                escape(row["description"] or ""),
                escape(row["theme"] or ""),
                row["direction"],
                str(row["size"]) if row["selected"] is None else f"{row['selected']} of {row['size']}",
                f"{row['p_value']:.2g}",
                f"{row['q_value']:.2g}",
                escape(", ".join((row["leading_edge"] or "").split(";")[:8])),
            ]
            for row in top.iter_rows(named=True)
        ]
        opened = " open" if test == "camera" else ""
        caption = _TEST_NAMES[test]
        parts.append(f"<details{opened}><summary>{escape(caption)}</summary>{_table(caption, head, rows, 4)}</details>")
    return "\n".join(parts)


def _score(signature: Signature, pictures: str) -> str:
    if signature.definition.height == 0:
        return ""
    text = (
        f"<h2 id='signature-score'>Signature score</h2><p>{signature.definition.height} genes make the score; "
        "<code>signature_definition.csv</code> keeps them for later subjects.</p>" + pictures
    )
    if signature.response.height == 0:
        return text
    rows = []
    for row in signature.response.iter_rows(named=True):
        interval = "" if row["ci_low"] is None else f"{row['ci_low']:.2f} to {row['ci_high']:.2f}"
        cells = [row[name] for name in ("difference", "p_value", "auc", "rank_p_value")]
        difference, p, auc, rank_p = ("" if cell is None else f"{cell:.2g}" for cell in cells)
        numbers = f"{row['n_responders']} and {row['n_non_responders']}"
        rows.append([escape(row["measure"]), numbers, difference, interval, p, auc, rank_p])
    first = signature.response.row(0, named=True)
    caption = f"Held-out score, {first['responders']} minus {first['non_responders']} (standard deviations)"
    head = ["measure", "subjects", "difference", f"{signature.options.confidence:.0%} interval", "p", "AUC", "rank p"]
    return text + _table(caption, head, rows, 1)


def _notes(signature: Signature) -> str:
    items = "".join(
        f"<li><strong>{note.severity}</strong>: {escape(note.message)}"
        + (f" ({escape(note.found)})" if note.found else "")
        + "</li>"
        for note in sorted(signature.notes, key=lambda note: note.severity != "warning")
    )
    return f"<h2 id='notes'>What was recognised and left out</h2><ul>{items}</ul>"


def _method(signature: Signature) -> str:
    inputs = signature.provenance["inputs"]
    assert isinstance(inputs, dict)
    rows = [[escape(role), escape(item["file"]), f"<code>{item['sha256']}</code>"] for role, item in inputs.items()]
    return (
        "<h2 id='method'>Method and provenance</h2><p>Linear model with empirical-Bayes moderated variances (Smyth "
        "2004; robust option Phipson et al. 2016), counts by voom (Law et al. 2014) after TMM normalisation (Robinson "
        "and Oshlack 2010); Benjamini-Hochberg q-values; camera (Wu and Smyth 2012). No random numbers are drawn. "
        f"trialrun {escape(str(signature.provenance['version']))}.</p>"
        + _table("Inputs (SHA-256)", ["role", "file", "hash"], rows, 3)
    )


def _table(caption: str, head: list[str], rows: list[list[str]], text_columns: int) -> str:
    """A table that scrolls by itself; `text_columns` columns from the left are text, the others numbers."""
    marks = ["" if i < text_columns or name == "leading genes" else ' class="n"' for i, name in enumerate(head)]
    top = "".join(f'<th scope="col"{mark}>{escape(name)}</th>' for name, mark in zip(head, marks, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{cell}</th>' if i == 0 else f"<td{marks[i]}>{cell}</td>" for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    label = escape(caption, quote=True)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )

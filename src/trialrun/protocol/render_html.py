"""Prose as one self-contained HTML page without scripts: for the screen, the phone, the keyboard and print."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from trialrun.protocol.prose import Grid, Mark, Paragraph, Prose, Section, Statement

_WIDE = 5  # columns from which a table scrolls sideways on a narrow screen instead of being stacked


def render_html(prose: Prose) -> str:
    """The page as text; every word of the protocol is escaped."""
    style = files("trialrun.protocol").joinpath("data/page.css").read_text(encoding="utf-8")
    title = f"{escape(prose.title)}: {escape(prose.version)}"
    contents = "".join(
        f'<li><a href="#{_id(section.name)}">{escape(section.title)}</a></li>' for section in prose.sections
    )
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in prose.facts)
    body = "".join(_section(section) for section in prose.sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the protocol</a>
<div class="page">
<header>
<h1>{escape(prose.title)}</h1>
<p class="version">Version {escape(prose.version)}</p>
<dl class="facts">{facts}</dl>
<p class="legend">{_legend(prose.marks)}</p>
</header>
<nav aria-label="Sections"><h2>Sections</h2><ol>{contents}</ol></nav>
<main id="content">
{body}</main>
<footer>Made by trialrun from the protocol file; the rules shown are the rules that decide.</footer>
</div>
</body>
</html>
"""


def _legend(marks: tuple[Mark, ...]) -> str:
    assumed = sum(mark.status == "assumed" for mark in marks)
    return (
        f'{assumed} of {len(marks)} statements are <span class="chip assumed">assumed</span>: no public source was '
        "found, and they must be replaced by the words of the protocol document. "
        'The others are <span class="chip published">published</span> or '
        '<span class="chip derived">derived</span> from what is.'
    )


def _id(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _section(section: Section) -> str:
    blocks = "\n".join(_block(section, block) for block in section.blocks)
    name = _id(section.name)
    title = escape(section.title)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{title}</h2>\n{blocks}\n</section>\n'
    )


def _block(section: Section, block: Statement | Grid | Paragraph) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{escape(block.text)}</p>"
    if isinstance(block, Grid):
        return _grid(block)
    return _statement(section, block)


def _statement(section: Section, block: Statement) -> str:
    status = block.mark.status if block.mark else ""
    number = f'<span class="number">{escape(block.section)}</span>' if block.section else ""
    chip = f'<span class="chip {status}">{status}</span>' if status else ""
    lines = [f"<p>{escape(block.says)}</p>"]
    if block.reads and block.reads != block.expression:
        lines.append(f'<p class="reads">{escape(block.reads)}</p>')
    if block.expression:
        lines.append(f"<p><code>{escape(block.expression)}</code></p>")
    if block.mark:
        note = f" {escape(block.mark.note)}" if block.mark.note else ""
        lines.append(f'<p class="source">Source: {escape(block.mark.citation)}.{note}</p>')
    return (
        f'<article class="statement {status}" id="{_id(section.name)}-{_id(block.name)}">'
        f'<div class="head">{number}<h3>{escape(block.name)}</h3>{chip}</div>{"".join(lines)}</article>'
    )


def _grid(grid: Grid) -> str:
    marks = all(cell in ("", "×") for row in grid.rows for cell in row[1:])
    kind = "wide marks" if marks else ("wide" if len(grid.columns) > _WIDE else "stack")
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in grid.columns)
    rows = []
    for row in grid.rows:
        cells = "".join(
            f'<td data-label="{escape(column)}">{_cell(column, cell)}</td>'
            for column, cell in zip(grid.columns[1:], row[1:], strict=True)
        )
        rows.append(f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>')
    caption = escape(grid.caption)
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table class="{kind}">'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(column: str, cell: str) -> str:
    if column == "Status":
        return f'<span class="chip {escape(cell)}">{escape(cell)}</span>'
    if cell and column in ("As written in the file", "Rule"):
        return f"<code>{escape(cell)}</code>"
    return escape(cell)

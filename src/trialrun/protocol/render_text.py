"""Prose for the terminal."""

from __future__ import annotations

from typing import TextIO

from trialrun.protocol.prose import Grid, Paragraph, Prose, Statement


def print_prose(prose: Prose, file: TextIO | None = None, width: int | None = None) -> None:
    """Print a version: headings, sentences with rule and source, tables; ASSUMED is a word, not only a colour."""
    from rich import box
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, width=width, highlight=False)

    def say(text: Text, indent: int) -> None:
        console.print(Padding(text, (0, 0, 0, indent), expand=False))

    console.print(Text(prose.title, style="bold"))
    facts = Table.grid(padding=(0, 2))
    for name, value in prose.facts:
        facts.add_row(Text(name, style="dim"), Text(value))
    console.print(facts)
    assumed = sum(mark.status == "assumed" for mark in prose.marks)
    console.print(Text(f"{assumed} of {len(prose.marks)} statements are assumed.", style="yellow"))
    for section in prose.sections:
        console.print()
        console.print(Text(section.title.upper(), style="bold"))
        for block in section.blocks:
            if isinstance(block, Paragraph):
                say(Text(block.text), 2)
            elif isinstance(block, Grid):
                table = Table(*block.columns[:1], box=box.SIMPLE_HEAD, title=block.caption, title_justify="left")
                for column in block.columns[1:]:
                    table.add_column(column, overflow="fold")
                for row in block.rows:
                    table.add_row(*(Text(cell) for cell in row))
                console.print(table)
            elif isinstance(block, Statement):
                head = Text()
                if block.section:
                    head.append(f"{block.section} ", style="dim")
                head.append(block.name, style="bold")
                if block.mark is not None and block.mark.status == "assumed":
                    head.append("  ASSUMED", style="bold yellow")
                elif block.mark is not None:
                    head.append(f"  {block.mark.status}", style="green")
                say(head, 2)
                say(Text(block.says), 4)
                if block.expression:
                    say(Text(block.expression, style="cyan"), 4)
                if block.mark is not None:
                    note = f" {block.mark.note}" if block.mark.note else ""
                    say(Text(f"Source: {block.mark.citation}.{note}", style="dim"), 4)

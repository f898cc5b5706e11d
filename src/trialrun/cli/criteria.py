"""`trialrun criteria`: every published criterion, and each as a table to check against its paper."""

from __future__ import annotations

from typing import Annotated

import typer

from trialrun.cli.output import Cell, Format, print_rows


def criteria(
    name: Annotated[str | None, typer.Argument(help="A name from the list; empty: all.", show_default=False)] = None,
    form: Annotated[Format, typer.Option("--format", help="text, json or csv.")] = Format.text,
) -> None:
    """List the published clinical criteria, or print one as a table that a clinician can check.

    The list gives name, version, source and basis of each criterion: tumour lysis, CLL response, haematological
    toxicity, staging, doubling time, renal function, tumour-lysis risk, named terms and the CTCAE laboratory terms.
    Basis: N text of the NCI read; T published table read; S restated elsewhere; R recalled, to be checked; D decided
    by this project.

    Example: `trialrun criteria cll-response-iwcll-2018`
    """
    from trialrun.criteria.catalog import describe_criterion, get_criterion
    from trialrun.criteria.ctcae import all_terms, rule_table
    from trialrun.criteria.tables import BASES

    if name is None:
        rows = _all_rows()
        shown = ["name", "title", "version", "basis", "source"]
        print_rows(rows, shown[:4] if form is Format.text else shown, form)
        if form is Format.text:
            typer.echo("Basis: " + "; ".join(f"{mark} = {meaning}" for mark, meaning in BASES.items()))
            typer.echo("Sources: --format csv, or trialrun criteria NAME")
        return
    terms = [term for term in all_terms().values() if name in (term.id, _term_name(term.id, term.version))]
    if terms:
        rule = [{"version": term.version, **row} for term in terms for row in rule_table(term)]
        print_rows(rule, list(rule[0]), form, terms[0].name)
        if form is Format.text:
            for term in terms:
                typer.echo(f"Source: {term.source}; basis {term.basis} = {BASES[term.basis]}")
        return
    criterion = get_criterion(name)
    columns = ["part", "parameter", "rule", "wording", "basis"]
    if form is not Format.text:
        columns.append("source")
    print_rows(describe_criterion(criterion), columns, form, criterion.title)
    if form is Format.text:
        typer.echo(f"Source: {criterion.source or 'this project'}")
        typer.echo(f"Code: {criterion.code}")
        marks = {row.basis for row in criterion.rows}
        typer.echo("Basis: " + "; ".join(f"{mark} = {BASES[mark]}" for mark in BASES if mark in marks))


def _term_name(term: str, version: str) -> str:
    return f"{term.replace('_', '-')}-ctcae-{version}"


def _all_rows() -> list[dict[str, Cell]]:
    from trialrun.criteria.catalog import list_criteria
    from trialrun.criteria.ctcae import list_terms

    columns = ("name", "title", "version", "basis", "source")
    rows: list[dict[str, Cell]] = [{name: getattr(item, name) for name in columns} for item in list_criteria()]
    for term in list_terms():
        if term["id"]:
            rows.append(
                {
                    "name": _term_name(term["id"], term["version"]),
                    "title": f"{term['name']} ({term['direction']})",
                    "version": f"CTCAE-{term['version']}",
                    "basis": term["basis"],
                    "source": term["source"],
                }
            )
    return rows

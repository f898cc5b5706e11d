"""`trialrun signature`: from an expression table and a sample sheet to the molecular signature."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from trialrun.cli.output import Format, print_rows


class ScaleChoice(StrEnum):
    """What the numbers of the expression table are."""

    auto = "auto"
    log2 = "log2"
    counts = "counts"


_SCALES: dict[ScaleChoice, Literal["log2", "counts"] | None] = {
    ScaleChoice.auto: None,
    ScaleChoice.log2: "log2",
    ScaleChoice.counts: "counts",
}


class ProbeChoice(StrEnum):
    """What becomes of several rows of one gene."""

    each = "each"
    highest_mean = "highest-mean"
    mean = "mean"
    sum = "sum"


class FilterChoice(StrEnum):
    """Which genes of a count table are tested."""

    group = "group"
    design = "design"
    none = "none"


class SubjectChoice(StrEnum):
    """How subjects enter the model."""

    fixed = "fixed"
    random = "random"


class StopOrLeave(StrEnum):
    """Stop, or leave out and say so."""

    stop = "stop"
    leave_out = "leave-out"


class UnpairedChoice(StrEnum):
    """What becomes of subjects that have one of the two levels only."""

    stop = "stop"
    leave_out = "leave-out"
    keep = "keep"


class DuplicateChoice(StrEnum):
    """What becomes of several samples of one subject and level."""

    stop = "stop"
    merge = "merge"
    keep = "keep"


def signature(
    expression: Annotated[
        Path,
        typer.Argument(
            help="Expression table: CSV, TSV (also .gz), Parquet or AnnData (.h5ad); genes x samples or turned."
        ),
    ],
    samples: Annotated[
        Path, typer.Argument(help="Sample sheet: one row a sample, with its group or time and subject.")
    ],
    contrast: Annotated[str, typer.Option(help="Two levels A-B of the group column: the change from B to A.")],
    out: Annotated[Path, typer.Option(help="Folder for page, tables and pictures.")],
    pairs: Annotated[str | None, typer.Option(help="Column of subjects: compare within subjects.")] = None,
    group: Annotated[str | None, typer.Option(help="Column with the two levels, where several have them.")] = None,
    covariate: Annotated[list[str] | None, typer.Option(help="Column to adjust for; repeat for more.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Keep samples with COLUMN=VALUE; repeat for more.")] = None,
    sets: Annotated[
        list[Path] | None,
        typer.Option(help="Gene sets in GMT; repeat for more. Without: 78 Gene Ontology terms that ship."),
    ] = None,
    genes: Annotated[Path | None, typer.Option(help="Mapping from rows (probes) to genes: a table with both.")] = None,
    gene_column: Annotated[
        str | None, typer.Option(help="Column of gene symbols, in the mapping or the table.")
    ] = None,
    several_probes: Annotated[ProbeChoice, typer.Option(help="Several rows of one gene.")] = ProbeChoice.each,
    scale: Annotated[ScaleChoice, typer.Option(help="What the numbers are.")] = ScaleChoice.auto,
    id_column: Annotated[str | None, typer.Option(help="Column of the table that names the rows.")] = None,
    sample_column: Annotated[str | None, typer.Option(help="Column of the sheet that names the samples.")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of an AnnData file instead of X.")] = None,
    unmatched: Annotated[StopOrLeave, typer.Option(help="Samples that one file lacks.")] = StopOrLeave.stop,
    unpaired: Annotated[UnpairedChoice, typer.Option(help="Subjects with one level only.")] = UnpairedChoice.stop,
    duplicates: Annotated[
        DuplicateChoice, typer.Option(help="Samples of the same subject and level.")
    ] = DuplicateChoice.stop,
    subject_effect: Annotated[
        SubjectChoice, typer.Option(help="Subjects as fixed or random effect.")
    ] = SubjectChoice.fixed,
    trend: Annotated[bool, typer.Option("--trend", help="Let the prior variance follow the mean expression.")] = False,
    robust: Annotated[bool, typer.Option("--robust", help="Protect the prior from hypervariable genes.")] = False,
    count_filter: Annotated[FilterChoice, typer.Option(help="Which genes of counts to test.")] = FilterChoice.group,
    smallest_set: Annotated[int, typer.Option(help="Fewest measured genes of a set.")] = 10,
    largest_set: Annotated[int, typer.Option(help="Most measured genes of a set.")] = 5000,
    set_correlation: Annotated[
        str, typer.Option(help="Correlation between genes of a set: a number, or `estimated`.")
    ] = "0.01",
    alpha: Annotated[float, typer.Option(help="False discovery rate of the signature's genes.")] = 0.05,
    confidence: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    response: Annotated[str | None, typer.Option(help="Column of response: relate the score to it.")] = None,
    responder: Annotated[str | None, typer.Option(help="The value that means response.")] = None,
    show: Annotated[list[str] | None, typer.Option(help="Gene to draw as lines; repeat for more.")] = None,
) -> None:
    """Find what changes in the cells, gene by gene and set by set, and write a page, tables and pictures.

    Log2 arrays and raw counts are told apart and the result says which was taken. Everything that is recognised or
    left out is written to notes.csv. Nothing random is done: equal inputs give equal files.

    Example:

        trialrun signature expression.csv samples.csv --pairs subject --contrast after-before --out signature
    """
    from trialrun.analysis.expression import ComparisonRequest, SignatureOptions, estimate_signature, write_signature

    request = ComparisonRequest(
        contrast=contrast,
        group=group,
        pairs=pairs,
        covariates=tuple(covariate or ()),
        where=tuple(_split_condition(text) for text in where or ()),
        subject_effect=subject_effect.value,
        unmatched=unmatched.value,
        unpaired=unpaired.value,
        duplicates=duplicates.value,
    )
    options = SignatureOptions(
        scale=_SCALES[scale],
        id_column=id_column,
        sample_column=sample_column,
        layer=layer,
        mapping=genes,
        gene_column=gene_column,
        several_probes=several_probes.value,
        trend=trend,
        robust=robust,
        count_filter=count_filter.value,
        sets=tuple(sets or ()),
        smallest_set=smallest_set,
        largest_set=largest_set,
        set_correlation=_read_correlation(set_correlation),
        alpha=alpha,
        confidence=confidence,
        response=response,
        responder=responder,
        genes_shown=tuple(show or ()),
    )
    result = estimate_signature(expression, samples, request, options)
    written = write_signature(result, out)
    for note in result.notes:
        if note.severity == "warning":
            typer.echo(f"warning: {note}", err=True)
    up, down = result.count_changed()
    comparison = result.comparison
    kind = "raw counts" if comparison.matrix.scale == "counts" else "log2 expression"
    typer.echo(f"{kind}, {len(comparison.is_after)} samples, change {comparison.label} in column {comparison.group}")
    typer.echo(f"{int(result.genes['tested'].sum())} genes tested: {up} up, {down} down at q <= {alpha:g}")
    typer.echo(f"page: {written[0]}")


def signature_score(
    definition: Annotated[Path, typer.Argument(help="signature_definition.csv of an earlier `trialrun signature`.")],
    expression: Annotated[Path, typer.Argument(help="Expression table of the later samples.")],
    samples: Annotated[Path, typer.Argument(help="Their sample sheet.")],
    scale: Annotated[ScaleChoice, typer.Option(help="What the numbers are.")] = ScaleChoice.auto,
    id_column: Annotated[str | None, typer.Option(help="Column of the table that names the rows.")] = None,
    form: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.text,
) -> None:
    """Follow a signature in later samples: one score a sample, by the definition that an earlier analysis wrote.

    The score is the mean distance of the signature's genes, in their direction of change, from the samples before
    treatment in which the signature was found, in standard deviations.

    Example:

        trialrun signature-score signature/signature_definition.csv later.csv later_samples.csv --format csv
    """
    from trialrun.analysis.expression import score_later_samples

    table, notes = score_later_samples(definition, expression, samples, _SCALES[scale], id_column)
    for note in notes:
        if note.severity == "warning":
            typer.echo(f"warning: {note}", err=True)
    rows = table.to_dicts()
    if form is Format.text:
        rows = [row | {"score": None if row["score"] is None else f"{row['score']:.3f}"} for row in rows]
    print_rows(rows, table.columns, form)


def _split_condition(text: str) -> tuple[str, str]:
    from trialrun.vocab.problems import Problem, TrialrunError

    name, mark, value = text.partition("=")
    if not mark or not name.strip() or not value.strip():
        raise TrialrunError(
            Problem("bad-condition", "--where needs a column and a value", found=text, expected="COLUMN=VALUE")
        )
    return name.strip(), value.strip()


def _read_correlation(text: str) -> float | None:
    from trialrun.vocab.problems import Problem, TrialrunError

    if text == "estimated":
        return None
    try:
        return float(text)
    except ValueError:
        raise TrialrunError(
            Problem("bad-correlation", "--set-correlation is a number or `estimated`", found=text, expected="0.01")
        ) from None

"""`trialrun assess`: published criteria applied to described situations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Format, print_json, print_rows

if TYPE_CHECKING:
    from trialrun.criteria.situations import Answer


def assess(
    file: Annotated[Path, typer.Argument(help="YAML file with the key `situations:`", show_default=False)],
    why: Annotated[bool, typer.Option("--why", help="Everything that decided, is missing or would change it.")] = False,
    form: Annotated[Format, typer.Option("--format", help="text for people, json or csv for programs.")] = Format.text,
) -> None:
    """Judge clinical situations by published criteria: CLL response, tumour lysis, haematological toxicity.

    The file lists situations under `situations:`, each with `id`, `standard` (iwCLL-2018, iwCLL-2008, NCI-WG-1996,
    Cairo-Bishop-2004, Howard-2011, iwCLL-haematologic-toxicity) and what was found. What is not mentioned is normal,
    absent and was assessed, unless it is listed under `not_done`. Counts are in 10^9/L, hb in g/dL, sizes in cm, urate
    in umol/L, other chemistry in mmol/L. One line answers a situation with its verdict and what decided; `--why` and
    `--format json` add all that decided, what is missing and what would change it.

    Example: `trialrun assess examples/situations/worked.yaml --format json`

    Exit code 1 when a situation could not be judged; the others are answered all the same.
    """
    from trialrun.criteria.situations import assess_file

    answers = assess_file(file)
    if form is Format.json:
        print_json([answer.as_dict() for answer in answers])
    elif form is Format.csv:
        print_rows([_row(answer) for answer in answers], ["id", "verdict", "decided_by", "missing"], form)
    else:
        for answer in answers:
            _print_text(answer, why)
    if any(answer.problems for answer in answers):
        raise typer.Exit(1)


def _verdict(answer: Answer) -> str:
    if answer.verdict is None:
        return ""
    return str(answer.verdict) if isinstance(answer.verdict, str | int) else json.dumps(dict(answer.verdict))


def _row(answer: Answer) -> dict[str, str]:
    return {
        "id": answer.id,
        "verdict": _verdict(answer),
        "decided_by": " | ".join(answer.explanation.decided_by or map(str, answer.problems)),
        "missing": " | ".join(answer.explanation.missing),
    }


def _print_text(answer: Answer, why: bool) -> None:
    if answer.problems:
        typer.echo(f"{answer.id}: not judged")
        for problem in answer.problems:
            typer.echo(f"  {problem.severity}: {problem}")
        return
    explanation = answer.explanation
    if not why:
        missing = f"; missing: {'; '.join(explanation.missing)}" if explanation.missing else ""
        decided = "; ".join(explanation.decided_by)
        typer.echo(f"{answer.id}: {_verdict(answer)} ({answer.standard}) decided by: {decided}{missing}")
        return
    typer.echo(f"{answer.id}: {_verdict(answer)} ({answer.standard})")
    for title, sentences in (
        ("decided by", explanation.decided_by),
        ("missing", explanation.missing),
        ("would change it", explanation.would_change),
        ("note", explanation.notes),
    ):
        for sentence in sentences:
            typer.echo(f"  {title}: {sentence}")
    for name, verdict in answer.side_by_side.items():
        typer.echo(f"  {name}: {json.dumps(dict(verdict))}")

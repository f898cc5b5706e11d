"""`trialrun simulate` and `trialrun compare`: a protocol conducted on virtual subjects."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Format, print_json, print_rows
from trialrun.vocab.problems import Problem, TrialrunError

if TYPE_CHECKING:
    from trialrun.analysis.rows import Row

Subjects = Annotated[int, typer.Option("--subjects", min=1, help="Virtual subjects of one trial.")]
Trials = Annotated[int, typer.Option("--trials", min=1, help="How many such trials.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Luck: the same seed gives the same subjects and the same bytes.")
]
Cycles = Annotated[int, typer.Option("--cycles", min=1, help="How many cycles to follow each subject.")]
PopulationFile = Annotated[
    Path | None, typer.Option("--population", help="Population file; else population.yaml beside the protocol.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the record (Parquet), the outcomes and the summary.")]
Form = Annotated[Format, typer.Option("--format", help="text for people, json or csv for programs.")]


def _split(protocol: str) -> tuple[str, str | None]:
    """`PROTOCOL@VERSION` into its parts; a path may have an @ of its own."""
    if Path(protocol).exists():
        return protocol, None
    path, at, version = protocol.rpartition("@")
    return (path, version) if at else (protocol, None)


def simulate(
    protocol: Annotated[
        str, typer.Argument(help="Protocol file or study folder, @VERSION for one that is not the last.")
    ],
    out: Out,
    subjects: Subjects = 100,
    trials: Trials = 1,
    seed: Seed = 1,
    cycles: Cycles = 12,
    population: PopulationFile = None,
    format: Form = Format.text,  # noqa: A002
) -> None:
    """Conduct one version of a protocol on virtual subjects and write the record as if the trial had been run.

    The record has the tables of a real one (docs/reference/record.md), as Parquet; `trialrun report OUT` draws it. What
    the virtual subjects are, and what is wrong with them, is in docs/simulate.md.

    Example: `trialrun simulate studies/lenalidomide-cll@amendment-1 --subjects 25 --trials 40 --out out/amended`
    """
    path, version = _split(protocol)
    _rehearse([(path, version)], out, subjects, trials, seed, cycles, population, format)


def compare(
    protocols: Annotated[list[str], typer.Argument(help="PROTOCOL@VERSION, two or more of the same study.")],
    subjects: Subjects = 2000,
    trials: Trials = 1,
    seed: Seed = 1,
    cycles: Cycles = 12,
    population: PopulationFile = None,
    out: Out = Path("out/compare"),
    format: Form = Format.text,  # noqa: A002
) -> None:
    """Conduct several versions on the same virtual subjects with the same luck, and compare them.

    Tumour lysis by both definitions and in both windows, flare, cytopenias, response, time to target dose, dose
    intensity and discontinuation, each with its paired difference from the first version named; published numbers
    stand beside.
    Intervals are Monte Carlo only: they do not hold the uncertainty of the model's parameters.

    Example: `trialrun compare studies/lenalidomide-cll@original studies/lenalidomide-cll@amendment-1 --subjects 2000`
    """
    named = [_split(protocol) for protocol in protocols]
    if len(named) < 2:
        message, right = "there is nothing to compare with", "two or more PROTOCOL@VERSION"
        raise TrialrunError(Problem("one-version", message, ", ".join(protocols), right))
    _rehearse(named, out, subjects, trials, seed, cycles, population, format)


def _rehearse(
    named: list[tuple[str, str | None]],
    out: Path,
    subjects: int,
    trials: int,
    seed: int,
    cycles: int,
    population: Path | None,
    form: Format,
) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from trialrun.protocol import read_protocol
    from trialrun.rehearse import Rehearsal, read_study_population, rehearse

    files = list(dict.fromkeys(path for path, _ in named))
    if len(files) > 1:
        raise TrialrunError(
            Problem(
                "several-studies",
                "versions of one study are compared",
                ", ".join(files),
                "the same protocol file with @VERSION",
            )
        )
    study = read_protocol(files[0])
    versions = tuple(study.version(version).name for _, version in named)
    if len(set(versions)) != len(versions):
        raise TrialrunError(
            Problem("version-twice", "a version is named twice", ", ".join(versions), "each version once")
        )
    people, file = read_study_population(study, population)
    plan = Rehearsal(study, versions, people, file, subjects, trials, seed, cycles)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("virtual subjects", total=subjects * trials * len(versions))
        rows = rehearse(plan, out, date.today(), progress=lambda n: bar.advance(task, n))
    _print(rows, form, out)


def _print(rows: list[Row], form: Format, out: Path) -> None:
    from dataclasses import asdict

    from trialrun.analysis.run import read_run
    from trialrun.analysis.wording import format_summary

    plain = [asdict(row) for row in rows]
    if form is Format.json:
        print_json(plain)
    elif form is Format.csv:
        print_rows(plain, list(plain[0]), form)
    else:
        typer.echo(format_summary(rows, read_run(out)))
        typer.echo(f"\nRecord, outcomes and summary are in {out}; draw them with: trialrun report {out}")

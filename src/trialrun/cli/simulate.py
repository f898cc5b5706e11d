"""`trialrun simulate` and `trialrun compare`: a protocol conducted on virtual subjects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Format, print_json, print_rows, print_text
from trialrun.vocab.problems import Problem, TrialrunError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from trialrun.analysis.rows import Row
    from trialrun.rehearse import Rehearsal
    from trialrun.workers import Where


class Place(StrEnum):
    """Where chunks are simulated."""

    here = "here"
    dask = "dask"


class Kept(StrEnum):
    """What a run keeps."""

    record = "record"
    outcomes = "outcomes"


Subjects = Annotated[int, typer.Option("--subjects", min=1, help="Virtual subjects of one trial.")]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials", min=1, help="How many such trials; without it, from 200 subjects on over an ensemble, trials of 10."
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Luck: the same seed gives the same subjects and the same bytes.")
]
Cycles = Annotated[int, typer.Option("--cycles", min=1, help="How many cycles to follow each subject.")]
PopulationFile = Annotated[
    Path | None, typer.Option("--population", help="Population file; else population.yaml beside the protocol.")
]
EnsembleFile = Annotated[
    Path | None,
    typer.Option("--ensemble", help="Parameter sets; else ensemble.parquet beside the population, where it is."),
]
OneSet = Annotated[bool, typer.Option("--one-set", help="Only the population file's own numbers, no ensemble.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes, or workers of a local Dask cluster; else one a processor where it is worth it.",
    ),
]
On = Annotated[Place, typer.Option("--on", help="Where chunks are simulated.")]
Scheduler = Annotated[str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, tcp://host:port.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the same request that was interrupted.")]
Keep = Annotated[Kept, typer.Option("--keep", help="The whole record, or outcomes only (for very many subjects).")]
Chunk = Annotated[
    int | None,
    typer.Option(
        "--chunk",
        min=1,
        help="Subjects simulated at once, else 2048, or 12288 with --keep outcomes, at most; no result depends on it.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the record (Parquet), the outcomes and the summary.")]
All = Annotated[
    bool, typer.Option("--all", help="Print every outcome, window and part of the uncertainty, not the key ones alone.")
]
Form = Annotated[Format, typer.Option("--format", help="text for people, json or csv for programs.")]


def _split(protocol: str) -> tuple[str, str | None]:
    """`PROTOCOL@VERSION` into its parts; a path may have an @ of its own."""
    if Path(protocol).exists():
        return protocol, None
    path, at, version = protocol.rpartition("@")
    return (path, version) if at else (protocol, None)


def _sets(ensemble: Path | None, one_set: bool) -> str | None:
    """The file of the parameter sets; "" means the one beside the population, None that there are none."""
    if one_set and ensemble is not None:
        message = "parameter sets are named, and it is said to use none"
        raise TrialrunError(
            Problem("options-contradict", message, f"--one-set and --ensemble {ensemble}", "one of them")
        )
    return None if one_set else str(ensemble or "")


def simulate(
    protocol: Annotated[
        str, typer.Argument(help="Protocol file or study folder, @VERSION for one that is not the last.")
    ],
    subjects: Subjects = 100,
    trials: Trials = None,
    seed: Seed = 1,
    cycles: Cycles = 12,
    population: PopulationFile = None,
    ensemble: EnsembleFile = None,
    one_set: OneSet = False,
    workers: Workers = None,
    on: On = Place.here,
    scheduler: Scheduler = None,
    resume: Resume = False,
    keep: Keep = Kept.record,
    chunk: Chunk = None,
    out: Out = Path("out/simulate"),
    everything: All = False,
    format: Form = Format.text,  # noqa: A002
) -> None:
    """Conduct one version of a protocol on virtual subjects and write the record as if the trial had been run.

    The record has the tables of a real one (docs/reference/record.md), as Parquet; `trialrun report OUT` draws it. What
    the virtual subjects are, and what is wrong with them, is in docs/simulate.md and docs/model.md. Errors of the version
    that a quick `trialrun check` finds do not stop the run: a notice counts them.

    Example: `trialrun simulate studies/lenalidomide-cll@amendment-1 --subjects 25 --trials 40 --out out/amended`
    """
    settings = _Settings(workers, on, scheduler, resume, keep, chunk)
    _rehearse(
        [_split(protocol)],
        out,
        subjects,
        trials,
        seed,
        cycles,
        population,
        _sets(ensemble, one_set),
        settings,
        format,
        everything,
    )


def compare(
    protocols: Annotated[list[str], typer.Argument(help="PROTOCOL@VERSION, two or more; studies may differ.")],
    subjects: Subjects = 2000,
    trials: Trials = None,
    seed: Seed = 1,
    cycles: Cycles = 12,
    population: PopulationFile = None,
    ensemble: EnsembleFile = None,
    one_set: OneSet = False,
    workers: Workers = None,
    on: On = Place.here,
    scheduler: Scheduler = None,
    resume: Resume = False,
    keep: Keep = Kept.record,
    chunk: Chunk = None,
    out: Out = Path("out/compare"),
    everything: All = False,
    format: Form = Format.text,  # noqa: A002
) -> None:
    """Conduct several schedules on the same virtual subjects with the same luck, and compare them.

    Tumour lysis by both definitions and in both windows, flare, cytopenias, response, time to target dose, dose
    intensity and discontinuation, each with its paired difference from the first one named; published numbers stand beside.
    Over an ensemble, intervals hold the uncertainty of parameters, of trials and of sampling apart, and the probability
    is told that one schedule is better than another. The people are those of the first protocol, or --population.

    Example: `trialrun compare studies/lenalidomide-cll@original studies/lenalidomide-cll@amendment-1 --subjects 2000`
    """
    named = [_split(protocol) for protocol in protocols]
    if len(named) < 2:
        message, right = "there is nothing to compare with", "two or more PROTOCOL@VERSION"
        raise TrialrunError(Problem("one-version", message, ", ".join(protocols), right))
    settings = _Settings(workers, on, scheduler, resume, keep, chunk)
    _rehearse(
        named,
        out,
        subjects,
        trials,
        seed,
        cycles,
        population,
        _sets(ensemble, one_set),
        settings,
        format,
        everything,
    )


@dataclass(frozen=True, slots=True)
class _Settings:
    workers: int | None
    on: Place
    scheduler: str | None
    resume: bool
    keep: Kept
    chunk: int | None


def _rehearse(
    named: list[tuple[str, str | None]],
    out: Path,
    subjects: int,
    trials: int | None,
    seed: int,
    cycles: int,
    population: Path | None,
    ensemble: str | None,
    settings: _Settings,
    form: Format,
    everything: bool,
) -> None:
    from trialrun.workers import Where, start_early, suggest_workers

    workers = settings.workers or suggest_workers(subjects * (trials or 1) * len(named) * cycles)
    where = Where(workers, settings.on is Place.dask, settings.scheduler)
    with start_early(1 if where.dask else workers, "trialrun.rehearse.run") as started:
        from trialrun.rehearse import Request, read_rehearsal

        people = None if population is None else str(population)
        plan = read_rehearsal(Request(tuple(named), people, subjects, trials, seed, cycles, ensemble))
        rows = _conduct(plan, out, subjects * (trials or 1), where, settings, started)
    _print(rows, form, out, everything)


def _conduct(
    plan: Rehearsal, out: Path, asked: int, where: Where, settings: _Settings, started: ProcessPoolExecutor | None
) -> list[Row]:
    """Rehearse under a progress bar."""
    from rich.console import Console
    from rich.progress import Progress

    from trialrun.rehearse import rehearse

    if plan.total != asked:
        typer.echo(f"{asked:,} subjects are rounded up to {plan.trials:,} trials of {plan.subjects}", err=True)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("virtual subjects", total=plan.total * len(plan.arms))
        return rehearse(
            plan,
            out,
            date.today(),
            chunk=settings.chunk,
            progress=lambda n: bar.advance(task, n),
            where=where,
            resume=settings.resume,
            keep_record=settings.keep is Kept.record,
            started=started,
        )


def _print(rows: list[Row], form: Format, out: Path, everything: bool) -> None:
    from trialrun.analysis.answer import format_answer
    from trialrun.analysis.rows import COLUMNS, as_plain
    from trialrun.analysis.run import read_run
    from trialrun.analysis.wording import format_summary

    if form is Format.json:
        print_json([as_plain(row) for row in rows])
    elif form is Format.csv:
        print_rows([as_plain(row) for row in rows], COLUMNS, form)
    else:
        run = read_run(out)
        print_text(format_summary(rows, run) if everything else format_answer(rows, run))
        print_text(f"\nRecord, outcomes and summary are in {out}; draw them with: trialrun report {out}")
        if not everything:
            print_text("Every outcome and its parts: the same command with --resume --all, or summary.csv.")

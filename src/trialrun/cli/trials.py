"""`trialrun trials`: whole trials in calendar time, whose own rules pause, stop and amend them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trialrun.cli.output import Cell, Format, print_json, print_rows
from trialrun.cli.simulate import Cycles, Form, PopulationFile, Seed
from trialrun.vocab.problems import Problem, TrialrunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trialrun.trials.courses import Setting
    from trialrun.trials.study import TrialStudy
    from trialrun.trials.summary import Characteristic


def trials(
    protocol: Annotated[Path, typer.Argument(help="Protocol file or study folder.")],
    start: Annotated[str | None, typer.Option("--start", help="Version at the start; else the first one.")] = None,
    amend_to: Annotated[
        list[str] | None,
        typer.Option("--amend-to", help="Version that answers the first pause; may be given again for the next ones."),
    ] = None,
    subjects: Annotated[int, typer.Option("--subjects", min=1, help="Participants of one trial.")] = 27,
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many trials.")] = 1000,
    seed: Seed = 1,
    cycles: Cycles = 12,
    population: PopulationFile = None,
    conduct: Annotated[
        Path | None, typer.Option("--conduct", help="How the trial is run; else conduct.yaml beside the protocol.")
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option(
            "--ensemble/--one-set",
            help="Each trial with a parameter set of ensemble.parquet beside the population, if any.",
        ),
    ] = True,
    trial: Annotated[
        int | None,
        typer.Option("--trial", min=1, help="Only this trial (from 1), its record written to --out as of a real one."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw participants harmed and pauses to this file, .png or .svg.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of the disease model.")] = 1,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the tables of trials and subjects and the summary.")
    ] = Path("out/trials"),
    format: Form = Format.text,  # noqa: A002
) -> None:
    """Run whole trials in calendar time; the protocol's rules for the study act inside each of them.

    Participants come by chance or evenly, alone or in cohorts; events are reported late, visits and doses missed. When
    a rule for the study becomes true, enrolment pauses until the safety board has decided; with `--amend-to` the
    decision is the amendment, later participants are enrolled on it, and those on treatment change to it with their
    next cycle. Printed are the operating characteristics, each with its Monte Carlo interval. What is assumed of the
    conduct stands in conduct.yaml (docs/whole-trials.md).

    With `--trial N` the N-th of these trials alone is run and its record written: consents and approvals show the
    amendment, and `trialrun decide`, `replay` and `report` take it as they take a real one.

    Example: `trialrun trials studies/lenalidomide-cll --start original --amend-to amendment-1 --trials 2000`
    """
    from textwrap import fill

    from rich.console import Console
    from rich.progress import Progress

    from trialrun.analysis.wording import WIDTH
    from trialrun.protocol import read_protocol
    from trialrun.trials.run import run_trials
    from trialrun.trials.study import read_trial_study, write_trials
    from trialrun.trials.summary import summarize_trials
    from trialrun.trials.tables import tabulate_subjects, tabulate_trials

    whole = read_protocol(protocol)
    study = read_trial_study(whole, start or next(iter(whole.versions)), amend_to or (), population, conduct, ensemble)
    if figure is not None:
        from trialrun.trials.figure import check_picture, draw_trials, write_picture

        check_picture(figure)
    for notice in study.notices():  # beside the results, which others than people may read
        typer.echo(fill(f"NOTICE: {notice}", WIDTH, subsequent_indent="  "), err=format is not Format.text)
    if trial is not None:
        _write_one(study, study.setting(seed, cycles, subjects, trials, threads), trial, subjects, trials, out, format)
        return
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("courses", total=subjects * trials)
        setting = study.setting(seed, cycles, subjects, trials, threads)
        done = run_trials(setting, trials, subjects, progress=lambda n: bar.advance(task, n))
    of_trials, of_subjects = tabulate_trials(done), tabulate_subjects(done)
    summary = summarize_trials(of_trials, of_subjects)
    write_trials(study, out, of_trials, of_subjects, summary, seed, cycles, date.today())
    if figure is not None:
        write_picture(draw_trials(of_trials, " to ".join(study.versions)), figure)
    title = f"{trials} trials of {subjects} participants, {' -> '.join(study.versions)}"
    _print(summary, format, title, out, study.ensemble is not None)


def _write_one(
    study: TrialStudy, setting: Setting, trial: int, subjects: int, trials: int, out: Path, form: Format
) -> None:
    from trialrun.trials.record import make_folder_for_record, write_trial
    from trialrun.trials.run import run_trials
    from trialrun.trials.tables import tabulate_trials

    if trial > trials:
        raise TrialrunError(Problem("no-such-trial", "the run has no such trial", f"--trial {trial}", f"1 to {trials}"))
    make_folder_for_record(out)
    done = run_trials(setting, 1, subjects, first_trial=trial - 1)
    write_trial(done, trial, out)
    row: dict[str, Cell] = tabulate_trials(done).row(0, named=True)
    if form is Format.json:
        print_json(row)
    elif form is Format.csv:
        print_rows([row], list(row), form)
    else:
        start = study.protocol.version(study.versions[0]).date
        for name, day in row.items():
            if name.endswith("_day") and isinstance(day, int):
                row[name] = f"{start + timedelta(days=day)} (day {day} of the trial)"
        shown: list[dict[str, Cell]] = [
            {"of the trial": name.replace("_", " "), "": value} for name, value in row.items() if value is not None
        ]
        print_rows(shown, ["of the trial", ""], form, f"Trial {trial}: {' -> '.join(study.versions)}")
        typer.echo(f"The record is in {out}; read it with: trialrun replay PROTOCOL {out} --under VERSION")


def _print(summary: Sequence[Characteristic], form: Format, title: str, out: Path, ensemble: bool) -> None:
    plain: list[dict[str, Cell]] = [dict(row.as_dict()) for row in summary]  # type: ignore[arg-type]
    if form is Format.json:
        print_json(plain)
    elif form is Format.csv:
        print_rows(plain, list(plain[0]), form)
    else:
        typer.echo(title)
        for of in dict.fromkeys(row.of for row in summary if row.kind != "rate"):
            rows = [_shown(row, ensemble) for row in summary if row.of == of and row.kind != "rate"]
            print_rows(rows, list(rows[0]), form, f"{of} ({max(row.n for row in summary if row.of == of)})")
        rates = _rates(summary, ensemble)
        print_rows(rates, list(rates[0]), form, "Share of participants, with its 95 % Monte Carlo interval")
        typer.echo(_untold(ensemble))
        typer.echo(f"Tables of trials and subjects and the summary are in {out}.")


def _untold(ensemble: bool) -> str:
    from textwrap import fill

    from trialrun.analysis.wording import WIDTH
    from trialrun.trials.uncertainty import LEAST_UNLIKE

    told = "An interval of -: these trials tell none, because all of them have the same number, or there is but one"
    if ensemble:
        told += (
            f"; over the parameter sets also where fewer than {LEAST_UNLIKE} trials (of a share: participants) have another "
            "value than most, or where too few trials share a set. More trials (--trials) tell more"
        )
    return fill(f"{told}.", WIDTH)


def _text(row: Characteristic, value: float | None) -> str:
    if value is None:
        return "-"
    if row.kind == "mean":
        return f"{value:.0f}" if row.unit == "d" else f"{value:.2f}"
    from trialrun.trials.summary import percent

    return percent(value)


def _span(row: Characteristic, low: float | None, high: float | None) -> str:
    return "-" if low is None and high is None else f"{_text(row, low)} to {_text(row, high)}"


def _shown(row: Characteristic, ensemble: bool) -> dict[str, Cell]:
    sets = {"95 % of parameter sets": _span(row, row.sets_low, row.sets_high)} if ensemble else {}
    return {
        "what": row.label,
        "value": _text(row, row.value),
        "95 % (Monte Carlo)": _span(row, row.low, row.high),
        **sets,
        "5 / 50 / 95 % of trials": "" if row.q05 is None else f"{row.q05:g} / {row.q50:g} / {row.q95:g}",
    }


def _rates(summary: Sequence[Characteristic], ensemble: bool) -> list[dict[str, Cell]]:
    """One line an outcome, one column a group of participants."""
    rows: dict[str, dict[str, Cell]] = {}
    for row in summary:
        if row.kind == "rate":
            told = f"{_text(row, row.value)} ({_span(row, row.low, row.high)})"
            if ensemble:
                told += f", sets {_span(row, row.sets_low, row.sets_high)}"
            rows.setdefault(row.label, {"outcome": row.label})[row.of] = told
    return list(rows.values())

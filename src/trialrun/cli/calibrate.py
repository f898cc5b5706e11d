"""`trialrun calibrate`: parameter sets of the virtual subjects that fit the published facts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trialrun.vocab.problems import Location, Problem, TrialrunError

RESULTS = "calibration_results.json"  # beside the ensemble

if TYPE_CHECKING:
    from rich.progress import TaskID

    from trialrun.calibrate.run import Effort


def calibrate(
    study: Annotated[Path, typer.Argument(help="Study folder with calibration.yaml, or that file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write ensemble.parquet; else the study folder.")
    ] = None,
    sets: Annotated[int, typer.Option("--sets", min=20, help="Parameter sets to ship.")] = 640,
    design: Annotated[int, typer.Option("--design", min=64, help="Parameter sets to learn from.")] = 1024,
    few: Annotated[int, typer.Option("--few", min=10, help="Subjects of each trial for each set to learn from.")] = 40,
    many: Annotated[int, typer.Option("--many", min=10, help="Subjects of each trial for each set shipped.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Luck: the same seed gives the same sets.")] = 1,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Calibrate again without each published trial that the weights cannot leave out: some 7 minutes each.",
        ),
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 2,
    work: Annotated[
        Path, typer.Option("--work", help="Where finished batches are kept; the same call goes on from them.")
    ] = Path("out/calibrate"),
) -> None:
    """Fit the numbers of the virtual subjects to published facts and write a weighted ensemble of parameter sets.

    What is fitted to what is in calibration.yaml: facts with their counts, trials in which they were seen, priors. Batches are
    kept as they finish: an interrupted run goes on where it stopped when the same call is given again. The method is in
    docs/calibration.md. Default settings take about 15 to 25 minutes on two cores. A calibration.yaml that `extends` another fits
    other equations to the same facts. Sets that were made with more effort are not replaced unless --out says so.

    Example: `trialrun calibrate studies/lenalidomide-cll --design 128 --sets 40 --few 16 --many 40 --out out/try`
    """
    # before NumPy is loaded: small products of matrices gain nothing from threads and wait for them on a busy machine
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from trialrun.calibrate.run import Effort, calibrate, write_results
    from trialrun.calibrate.smooth import largest_trusted
    from trialrun.simulate.ensemble import WORTH_USING, write_ensemble

    file = study / "calibration.yaml" if study.is_dir() else study
    folder = out or file.parent
    effort = Effort(design, few, sets, many, seed, workers, refit)
    target = folder / "ensemble.parquet"
    if out is None:
        _keep_better(target, effort)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:

        def told(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=of)
                if not console.is_terminal:  # a log: one line for each stage
                    typer.echo(f"{stage} ...", err=True)
            bar.update(tasks[stage], completed=done, total=of)

        ensemble, results = calibrate(file, effort, work, told)
    write_ensemble(ensemble, target)
    write_results(results, folder / RESULTS)
    typer.echo(_text(results))
    shape, trusted = results["chain"]["pareto_shape"], largest_trusted(ensemble.sets)
    said = "not told" if shape is None else f"{shape:.2f}"
    typer.echo(
        f"\n{ensemble.sets} sets, effective sample size {ensemble.effective_size:.0f}, shape of the largest weights {said}"
        f" (trusted up to {trusted:.2f}): {target}"
    )
    if ensemble.effective_size < WORTH_USING or shape is None or shape > trusted:
        typer.echo(
            "These sets are worth too little to predict from: more --design, --few, --sets and --many.", err=True
        )


def _keep_better(target: Path, effort: Effort) -> None:
    """A TrialrunError where sets are there that were made with more effort than is asked for now."""
    from trialrun.simulate.ensemble import read_ensemble

    if not target.exists():
        return
    there = read_ensemble(target)
    asked = {"--design": effort.design, "--few": effort.few, "--sets": effort.sets, "--many": effort.many}
    told = [there.about.get(name) for name in ("design", "subjects_a_design_set")]
    before = [*told, there.sets, there.about.get("subjects_a_set")]
    less = [
        f"{option} {now} (there: {then})"
        for (option, now), then in zip(asked.items(), before, strict=True)
        if then is not None and now < then
    ]
    results = target.parent / RESULTS
    if not effort.refit and results.exists() and '"by": "refit"' in results.read_text(encoding="utf-8"):
        less.append("no --refit (there: trials left out by a calibration of their own)")
    if less:
        message = "the sets that are there were made with more effort, and would be lost"
        right = "--out with another folder, or that one again if they are to be replaced"
        raise TrialrunError(Problem("less-effort", message, ", ".join(less), right, Location(str(target))))


def _text(results: dict[str, Any]) -> str:
    lines = [f"{'fact':<34}{'published':>20}{'ensemble':>10}   95 % of sets"]
    for name, fact in results["facts"].items():
        low, high = fact["quantiles"][0], fact["quantiles"][-1]
        seen = f"{fact['told']} {fact['published']:.2f}"
        lines.append(f"{name:<34}{seen:>20}{fact['mean']:>10.2f}   {low:.2f} to {high:.2f}")
    return "\n".join(lines)

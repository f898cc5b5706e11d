"""`trialrun report`: the page of a run or of a study's record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[
        Path, typer.Argument(help="What `simulate` or `compare` wrote, or the record directory of a real study.")
    ],
    protocol: Annotated[
        str | None, typer.Option(help="For a record: the protocol (FILE or FILE@VERSION) that it was to follow.")
    ] = None,
    signature: Annotated[
        Path | None, typer.Option(help="A folder that `trialrun signature` wrote: adds the molecular signature.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write the page; default: report.html in the directory.")
    ] = None,
) -> None:
    """Write one self-contained HTML page: participants, doses, toxicity, lysis laboratory, lymphocytes, response.

    A run of `trialrun simulate` or `trialrun compare` is drawn with its estimates, the published numbers beside them
    and its provenance (protocol version and hash, population, seed, program version). A record directory of a real
    study (CSV files or Parquet) is drawn as observed, without anything simulated. The page needs no network.

    Lines of a record that could not be used are listed on stderr and left out; then the exit code is 1.

    Example: `trialrun report out/ --out comparison.html`
    """
    from trialrun.report.command import write_page
    from trialrun.vocab.problems import has_errors

    path, problems = write_page(directory, out, protocol, tell if sys.stderr.isatty() else None, signature)
    print(path)
    for problem in problems:
        print(f"{problem.severity}: {problem}", file=sys.stderr)
    if has_errors(problems):
        raise typer.Exit(1)


def tell(said: str) -> None:
    """What is being done, for whoever waits at a terminal."""
    print(f"  {said} ...", file=sys.stderr)

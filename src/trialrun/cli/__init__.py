"""The command line: the same verbs as the library, thin."""

from __future__ import annotations

import gc
import sys
import traceback
from inspect import cleandoc
from typing import NoReturn

import typer

from trialrun import __version__
from trialrun.cli.assess import assess
from trialrun.cli.calibrate import calibrate
from trialrun.cli.check import check
from trialrun.cli.criteria import criteria
from trialrun.cli.decide import decide
from trialrun.cli.diff import diff
from trialrun.cli.grade import grade
from trialrun.cli.mechanism import mechanism
from trialrun.cli.plan import plan
from trialrun.cli.population import population
from trialrun.cli.replay import replay
from trialrun.cli.report import report
from trialrun.cli.screen import screen
from trialrun.cli.show import show
from trialrun.cli.signature import signature, signature_score
from trialrun.cli.simulate import compare, simulate
from trialrun.cli.trials import trials
from trialrun.vocab.problems import TrialrunError

app = typer.Typer(
    name="trialrun",
    help="Rehearse, conduct and analyse trials whose dose steps up inside each subject.",
    epilog="Exit codes: 0 fine, 1 findings, 2 bad call or unusable input, 3 a fault of the program itself.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain: there in half the time, and good in a pipe and for a screen reader
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"trialrun {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


_COMMANDS = (
    assess,
    calibrate,
    check,
    compare,
    criteria,
    decide,
    diff,
    grade,
    mechanism,
    plan,
    population,
    replay,
    report,
    screen,
    show,
    signature,
    signature_score,
    simulate,
    trials,
)
for _command in _COMMANDS:
    # the whole first paragraph: a list of commands cut to one line each teaches nothing
    app.command(short_help=cleandoc(_command.__doc__ or "").split("\n\n")[0].replace("\n", " "))(_command)


def main() -> None:
    """Run the command line; input that cannot be used ends with its problems on stderr and exit code 2."""
    gc.set_threshold(50_000)  # nearly all that is loaded and read stays: seldom look through it for garbage
    try:
        app()
    except TrialrunError as error:
        for problem in error.problems:
            print(f"{problem.severity}: {problem}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            _fail()
        print(f"error: {error.filename}: cannot be read or written; found {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except Exception:  # anything else is our fault, and must not look like findings (exit code 1)
        _fail()


def _fail() -> NoReturn:
    traceback.print_exc()
    print("error: a fault of trialrun itself; please report it with the lines above", file=sys.stderr)
    sys.exit(3)

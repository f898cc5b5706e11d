"""Predictions over an ensemble in words and lines for the terminal; the page says them with the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from textwrap import wrap

from trialrun.analysis.definitions import Outcome, all_outcomes
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run

_LABEL, _RATE, _LARGE, _TRIAL = 36, 8, 16, 16
_PARTS = (("sd_parameter", "sd_trial", "sd_sampling"), ("sd_between", "sd_sampling"))
NOT_FITTED = (
    "Probabilities of order are over the parameter sets alone: they hold no doubt about the structure of the model."
)


def predicted(rows: Sequence[Row], statistic: str, outcome: str, version: str, n: int | None = None) -> Row | None:
    """The row of a prediction; `n` picks the size of the trial."""
    return next(
        (
            row
            for row in rows
            if (row.statistic, row.outcome, row.version) == (statistic, outcome, version) and n in (None, row.n)
        ),
        None,
    )


def points(share: float | None) -> str:
    """A share in percent, one decimal below 10, else none: predictions are not surer than that."""
    if share is None:
        return "-"
    return f"{100 * share:.1f}" if 100 * share < 9.95 else f"{100 * share:.0f}"


def format_large(row: Row) -> str:
    """`41 to 68 %`"""
    return f"{points(row.ci_low)} to {points(row.ci_high)} %"


def format_trial(row: Row) -> str:
    """`9 to 19 of 25`"""
    low, high = round((row.ci_low or 0.0) * row.n), round((row.ci_high or 0.0) * row.n)
    return f"{low} to {high} of {row.n}"


def format_parts(rows: Sequence[Row], outcome: str, version: str) -> str:
    """`6.1 / 3.0 / 9.9`: standard deviations in points, parameter, trial and sampling."""
    names = _PARTS[0] if predicted(rows, "sd_parameter", outcome, version) is not None else _PARTS[1]
    found = [predicted(rows, name, outcome, version) for name in names]
    shown = ["-" if row is None or row.value is None else f"{100 * row.value:.1f}" for row in found]
    if len(shown) == 2:
        shown[0] += " together"
    return " / ".join(shown)


def format_judgement(row: Row, run: Run) -> str:
    """Whether a published count lies inside, and whether that is any test of the model."""
    if run.other_people:
        return "of other people, so not judged"
    where = {None: "not predicted", True: "inside", False: "OUTSIDE"}[row.inside]
    return where + ("; in-sample: the parameter sets were fitted to it" if row.in_sample else "")


def format_probability(row: Row) -> str:
    """`97 % (91 to 99)`; never 0 or 100, which no simulation shows."""
    if row.value is None:
        return row.note or "not known"

    def shown(share: float | None) -> str:
        if share is None:
            return "-"
        return "<1" if share < 0.01 else ">99" if share > 0.99 else f"{100 * share:.0f}"

    return f"{shown(row.value)} % ({shown(row.ci_low)} to {shown(row.ci_high)})"


def shares_predicted(rows: Sequence[Row]) -> list[Outcome]:
    """The outcomes that have a prediction, in the order of the table of outcomes."""
    named = {row.outcome for row in rows if row.statistic == "large_trial"}
    return [outcome for outcome in all_outcomes().values() if outcome.name in named]


OTHER = "fitted to other equations"  # of the notice that says so
MISFIT = "do not fit everything they were fitted to"  # likewise


def describe_ensemble(run: Run) -> str:
    """How many parameter sets there are, and what they are worth."""
    assert run.ensemble is not None
    fit = "fit the published facts"
    if any(OTHER in note for note in run.notices):
        fit = "were fitted to other equations"
    elif any(MISFIT in note for note in run.notices):
        fit = "were fitted to the published facts, not all of which they fit"
    sets, met, worth = run.ensemble.sets, run.ensemble.met, f"{run.ensemble.effective_sample_size:.0f} independent ones"
    if met is None or met == sets:
        return f"{sets} parameter sets that {fit}, worth {worth}"
    return f"{met} of {sets} parameter sets that {fit} (all together worth {worth})"


def format_predictions(rows: Sequence[Row], run: Run, width: int, called: Mapping[str, str]) -> list[str]:
    """One line an outcome and version: rate, large trial, trial of n, and the three standard deviations. `called` holds what
    each version is called for short."""
    outcomes = shares_predicted(rows)
    if not outcomes:
        return []
    over = f"over {describe_ensemble(run)}" if run.ensemble is not None else "over the parameter sets"
    lines = [
        "",
        *wrap(
            f"Predictions {over}. 95 % of large trials have a true rate in the interval, 95 % of trials of n "
            "a count in theirs. Last: standard deviations (points) of parameters / trials / sampling.",
            width,
        ),
    ]
    for info in run.versions:
        head = f"{'':<{_LABEL}}{'rate, %':<{_RATE}}{'large trial':<{_LARGE}}{'trial of n':<{_TRIAL}}sd"
        short = called[info.version]
        lines += ["", info.version if short == info.version else f"{short}: {info.version}", head]
        for group, members in groupby(outcomes, lambda outcome: outcome.group):
            lines += [group, *(line for outcome in members for line in _lines(rows, outcome, info.version, run, width))]
    return [*lines, *_orders(rows, run, outcomes, width, called)]


def _lines(rows: Sequence[Row], outcome: Outcome, version: str, run: Run, width: int) -> list[str]:
    large = predicted(rows, "large_trial", outcome.name, version)
    trial = predicted(rows, "trial_of_n", outcome.name, version, run.subjects)
    if large is None or trial is None:
        return []
    cells = f"{points(large.value):<{_RATE}}{format_large(large):<{_LARGE}}{format_trial(trial):<{_TRIAL}}"
    lines = [f"{'  ' + outcome.short:<{_LABEL}}{cells}{format_parts(rows, outcome.name, version)}"]
    for row in rows:
        if (row.statistic, row.outcome, row.version, row.category) == ("published", outcome.name, version, None):
            of_size = predicted(rows, "trial_of_n", outcome.name, version, row.n)
            expected = "" if of_size is None else f" (predicted {format_trial(of_size)})"
            said = f"published {row.events}/{row.n}{expected}: {format_judgement(row, run)}"
            lines += wrap(said, width, initial_indent="    ", subsequent_indent="      ")
    return lines


def _orders(
    rows: Sequence[Row], run: Run, outcomes: Sequence[Outcome], width: int, called: Mapping[str, str]
) -> list[str]:
    lines: list[str] = []
    for outcome in outcomes:
        pairs = [row for row in rows if row.statistic == "probability_better" and row.outcome == outcome.name]
        if not pairs or not outcome.headline:
            continue
        reference = run.versions[0].version
        said = "; ".join(
            f"{called[row.version]} better than {called[reference]}: {format_probability(row)}"
            for row in pairs
            if row.reference == reference
        )
        chains = [row for row in rows if row.statistic == "order" and row.outcome == outcome.name]
        if chains:
            ranked = ", then ".join(called[name] for name in (chains[0].category or "").split(", then "))
            said += f"; likeliest order {ranked}: {100 * (chains[0].value or 0.0):.0f} %"
        lines += wrap(f"{outcome.label}: {said}", width, initial_indent="  ", subsequent_indent="    ")
    if not lines:
        return []
    head = "Probability of order, 95 % interval Monte Carlo; all pairs and orders are in summary.csv"
    return ["", head, *lines, *wrap(NOT_FITTED, width)]

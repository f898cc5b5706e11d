"""Estimates in words, the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

from trialrun.analysis.definitions import all_outcomes
from trialrun.analysis.estimates import MONTE_CARLO_ONLY
from trialrun.analysis.prediction_text import format_predictions
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run

SHARES = ("proportion", "difference")


def is_share(row: Row) -> bool:
    """Whether the row's numbers are shares, to be shown in percent."""
    outcome = all_outcomes()[row.outcome]
    shares = outcome.is_share or outcome.kind == "category"
    return row.statistic in SHARES or (shares and row.statistic in ("published", "between_trials"))


def format_number(value: float, unit: str | None) -> str:
    """Three figures that count: enough to compare, no more than a simulation can say."""
    if unit in ("days", "episodes", "mg"):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def format_percent(share: float, signed: bool = False) -> str:
    """A share in percent with one decimal; a difference in percentage points with its sign."""
    points = 100 * share
    if signed:
        return "0.0" if abs(points) < 0.05 else f"{points:+.1f}".replace("-", "−")
    return f"{points:.1f}"


def format_estimate(row: Row) -> str:
    """`14.1 % (12.6 to 15.7)`; `not assessable` where there is no value."""
    if row.value is None:
        # A median that the curve does not reach is a result; otherwise nobody could be assessed.
        return "not reached" if all_outcomes()[row.outcome].kind == "time" and row.n else "not assessable"
    if row.statistic == "total":
        return f"{format_number(row.value, row.unit)} in {row.n:,}"
    signed = row.statistic in ("difference", "mean_difference")

    def shown(value: float) -> str:
        if is_share(row):
            return format_percent(value, signed)
        text = format_number(abs(value) if signed else value, row.unit)
        if not signed or not any(digit in text for digit in "123456789"):
            return text
        return f"{'+' if value > 0 else '−'}{text}"

    unit = " %" if is_share(row) and not signed else ""
    if row.ci_low is None and row.ci_high is None:
        return f"{shown(row.value)}{unit}"
    if row.ci_low is None or row.ci_high is None:  # a bound that a curve of times does not reach
        bound = f"{shown(row.ci_low)} or more" if row.ci_low is not None else f"up to {shown(row.ci_high or 0.0)}"
        return f"{shown(row.value)}{unit} ({bound})"
    return f"{shown(row.value)}{unit} ({shown(row.ci_low)} to {shown(row.ci_high)})"


def format_published(row: Row) -> str:
    """`14/25, 56.0 % (34.9 to 75.6)`, or the total as published."""
    if row.events is None:
        value = "" if row.value is None else format_number(row.value, row.unit)
        return f"{value} in {row.n}"
    return f"{row.events}/{row.n}, {format_estimate(row)}"


_PHRASES = {  # where a label needs its group to be understood, or is too long for a line of the terminal
    "ctls_reported": "Clinical tumour lysis, as reported",
    "ltls_howard_step_up": "Laboratory lysis (Howard), step-ups",
    "response": "Complete or partial response",
    "alc_on_c1": "End of on-period, over baseline",
    "alc_rebound_c1": "End of week off, over on-period",
}


def phrase(outcome: str) -> str:
    """An outcome in words that stand alone."""
    return _PHRASES.get(outcome) or all_outcomes()[outcome].label


def find_row(rows: Sequence[Row], outcome: str, version: str, statistics: Sequence[str]) -> Row | None:
    """The first row of an outcome under a version with one of these statistics and without a category."""
    return next(
        (
            row
            for row in rows
            if row.outcome == outcome
            and row.version == version
            and row.statistic in statistics
            and row.category is None
        ),
        None,
    )


WIDTH = 100
_LABEL, _VALUE = 36, 21


def format_header(run: Run) -> list[str]:
    """What was run, and from what."""
    trials = f"{run.trials} trials of " if run.trials > 1 else ""
    return [
        run.title or run.study,
        f"{trials}{run.subjects} virtual participants, {run.cycles} cycles; seed {run.seed}; "
        f"trialrun {run.program_version}",
        f"protocol {short_hash(run.protocol_hash)}; population {short_hash(run.population_hash)}",
    ]


def format_summary(rows: Sequence[Row], run: Run) -> str:
    """The summary as text of at most 100 columns: every outcome, each version, the difference to the first version.

    Published numbers, and how many could not be assessed, stand in lines of their own under the simulated ones.
    Differences in shares are in percentage points.
    """
    lines = format_header(run)
    for notice in run.notices:
        lines += wrap(f"NOTICE: {notice}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    called = name_columns([info.version for info in run.versions])
    lines += [f"{short}: {version}" for version, short in called.items() if short != version]
    for other in range(1, max(2, len(run.versions))):
        lines += ["", *_block(rows, run, other, called)]
    lines += ["", "Shares with exact 95 % intervals; other numbers are medians with theirs."]
    if len(run.versions) > 1:
        lines.append("Difference on the same participants: of shares in points, of other numbers their mean.")
    lines.append(f"Intervals: {MONTE_CARLO_ONLY}.")
    lines += format_predictions(rows, run, WIDTH, called)
    return "\n".join(line.rstrip() for line in lines)


def short_hash(content_hash: str | None) -> str:
    """The first 12 digits of a content hash, enough to tell two apart by eye."""
    return "unknown" if content_hash is None else content_hash.removeprefix("sha256:")[:12]


def name_columns(versions: Sequence[str], longest: int = _VALUE - 1) -> dict[str, str]:
    """What each version is called above its column: by its name, or by a letter where one name is too long for a column."""
    if all(len(version) <= longest for version in versions):
        return {version: version for version in versions}
    return {version: _letters(number) for number, version in enumerate(versions)}


def _letters(number: int) -> str:
    """A to Z, then AA, AB, ..."""
    more, last = divmod(number, 26)
    return (_letters(more - 1) if more else "") + chr(ord("A") + last)


def _block(rows: Sequence[Row], run: Run, other: int, called: Mapping[str, str]) -> list[str]:
    """The first version beside another one; alone where there is no other."""
    versions = [run.versions[0].version]
    if other < len(run.versions):
        versions.append(run.versions[other].version)
    head = f"{'':<{_LABEL}}" + "".join(f"{called[version]:<{_VALUE}}" for version in versions)
    lines = [head + ("difference" if len(versions) > 1 else "")]
    group = None
    for outcome in all_outcomes().values():
        found = [find_row(rows, outcome.name, version, ("proportion", "median", "total")) for version in versions]
        if outcome.kind == "category" or not any(found):
            continue
        if outcome.group != group:
            lines.append(outcome.group)
            group = outcome.group
        difference = find_row(rows, outcome.name, versions[-1], ("difference", "mean_difference"))
        cells = "".join(f"{'' if row is None else _narrow(row):<{_VALUE}}" for row in found)
        last = "" if difference is None or difference.value is None else format_estimate(difference)
        lines.append(f"{'  ' + outcome.short:<{_LABEL}}{cells}{last}")
        lines += _notes(rows, outcome.name, versions, called)
    return lines


def _notes(rows: Sequence[Row], outcome: str, versions: Sequence[str], called: Mapping[str, str]) -> list[str]:
    notes = []
    for version in versions:
        published = find_row(rows, outcome, version, ("published",))
        if published is not None:
            notes.append(f"published, {called[version]}: {format_published(published)}; {published.source}")
    spread = [(version, find_row(rows, outcome, version, ("between_trials",))) for version in versions]
    if any(row for _, row in spread):
        notes.append(
            "between trials: "
            + ", ".join(f"{called[version]} {format_estimate(row)}" for version, row in spread if row)
        )
    simulated = [(version, find_row(rows, outcome, version, ("proportion", "median", "total"))) for version in versions]
    missing = [
        f"{called[version]} {row.n_not_assessable}" for version, row in simulated if row and row.n_not_assessable
    ]
    if missing:
        notes.append(f"not assessable: {', '.join(missing)}")
    return [line for note in notes for line in wrap(note, WIDTH, initial_indent="    ", subsequent_indent="      ")]


def _narrow(row: Row) -> str:
    """An estimate in a column of the terminal: a dash for `to`. Only for numbers that are never negative."""
    return format_estimate(row).replace(" to ", "–")

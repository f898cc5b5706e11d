"""What stands below the answer: orders of several arms, published beside predicted, and what the intervals mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from trialrun.analysis.prediction_text import describe_ensemble, format_trial, predicted
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run
from trialrun.analysis.wording import WIDTH, format_number, format_percent, phrase

_LABEL, _COUNT, _PREDICTED = 39, 16, 16
_ROUGH = 0.2  # width of its interval above which a probability is called rough


def format_orders(rows: Sequence[Row], run: Run, called: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """The likeliest order of three arms or more for each of the outcomes, best first."""
    lines = []
    for name in names:
        of_outcome = [row for row in rows if row.outcome == name]
        chain = next((row for row in of_outcome if row.statistic == "order"), None)
        if chain is not None:
            ranked = ", ".join(called[version] for version in (chain.category or "").split(", then "))
            said = f"{ranked}: {100 * (chain.value or 0.0):.0f} %"
        elif len(called) > 2 and any(row.statistic == "probability_better" for row in of_outcome):
            said = "none: two of them never differed"
        else:
            continue
        lines += wrap(f"{'  ' + phrase(name):<{_LABEL}}{said}", WIDTH, subsequent_indent=" " * (_LABEL + 2))
    return ["", "Likeliest order, best first, and its probability over the parameter sets", *lines] if lines else []


def format_published_block(rows: Sequence[Row], run: Run, called: Mapping[str, str], sure: bool) -> list[str]:
    """One line for each published number of the run's arms."""
    lines = []
    wide = max(map(len, called.values())) + 2
    for row in rows:
        if row.statistic == "published" and row.version in called:
            label = phrase(row.outcome) if row.category is None else f"{phrase(row.outcome)}: {row.category}"
            head = f"{'  ' + label:<{_LABEL}}{called[row.version]:<{wide}}{_count(row):<{_COUNT}}"
            lines.append(head + (_judged(rows, row) if sure else f"{_simulated(rows, row)} simulated"))
    if not lines:
        return []
    said = "predicted for as many participants" if sure else "simulated"
    what = "Published of other people, so not judged," if run.other_people else "Published"
    return ["", f"{what} beside {said}", *lines]


def _count(row: Row) -> str:
    """`22/25 (88 %)`, or `5 in 25` episodes."""
    if row.events is None:
        return f"{'-' if row.value is None else format_number(row.value, row.unit)} in {row.n}"
    return f"{row.events}/{row.n} ({100 * row.events / row.n:.0f} %)"


def _judged(rows: Sequence[Row], row: Row) -> str:
    trial = None if row.category else predicted(rows, "trial_of_n", row.outcome, row.version, row.n)
    if trial is None:
        return f"{_simulated(rows, row):<{_PREDICTED}}no interval"
    where = {None: "", True: "inside", False: "OUTSIDE"}[row.inside]
    return f"{format_trial(trial):<{_PREDICTED}}{where}{', fitted' if row.in_sample else ''}"


def _simulated(rows: Sequence[Row], row: Row) -> str:
    """What was simulated for a published number: a share, or episodes among as many participants."""
    found = next(
        (
            other
            for other in rows
            if (other.outcome, other.version, other.category) == (row.outcome, row.version, row.category)
            and other.statistic in ("proportion", "total", "median")
        ),
        None,
    )
    if found is None or found.value is None:
        return "nothing"
    if found.statistic == "total":
        return f"{found.value * row.n / found.n:.1f} in {row.n}"
    return (
        f"{format_percent(found.value)} %" if found.statistic == "proportion" else format_number(found.value, row.unit)
    )


def explain_answer(rows: Sequence[Row], run: Run, called: Mapping[str, str], sure: bool) -> list[str]:
    """What the intervals mean, in two or three sentences."""
    said = _with_ensemble(rows, run, called) if sure else _without(run)
    return [line for sentence in said for line in wrap(sentence, WIDTH, subsequent_indent="  ")]


def _with_ensemble(rows: Sequence[Row], run: Run, called: Mapping[str, str]) -> Iterator[str]:
    over = "the parameter sets" if run.ensemble is None else describe_ensemble(run)
    yield (
        f"Rates are predicted over {over}: 95 % of large trials have a true rate in the brackets. They hold what is unknown of "
        "parameters and what differs between trials, not whether the model is right."
    )
    if len(called) == 2:
        one, two = called.values()
        high = ", ".join(phrase(name).lower() for name in ("response", "target_reached"))
        rough = "; ~ where simulating more may still change it much" if any(map(is_rough, rows)) else ""
        yield (
            f"Difference: points, {two} minus {one}, on the same participants with the same luck. 2nd better: probability, over "
            f"the parameter sets, that {two} has the lower rate (higher: {high}){rough}."
        )
    if any(row.in_sample for row in rows):
        yield "Fitted: the parameter sets were fitted to this number, so that inside is no test."


def is_rough(row: Row) -> bool:
    """Whether simulating more may still change a probability of order much."""
    if row.statistic != "probability_better" or row.ci_low is None or row.ci_high is None:
        return False
    return row.ci_high - row.ci_low > _ROUGH


def _without(run: Run) -> Iterator[str]:
    yield (
        "Intervals hold simulation error alone (Monte Carlo only): simulating more narrows them, and they say nothing of wrong "
        "parameters or of how trials differ."
    )
    if run.ensemble is None:
        yield "Predictions need an ensemble of parameter sets (trialrun calibrate makes one; --one-set leaves it out)."
    else:
        yield "One trial has one parameter set: for predictions ask for more --trials."
    if len(run.versions) == 2:
        yield "Difference: percentage points on the same participants with the same luck."

"""The sections of the page made from estimates: headlines, differences, published beside simulated, all numbers."""

from __future__ import annotations

from collections.abc import Sequence

from trialrun.analysis.definitions import Outcome, all_outcomes
from trialrun.analysis.estimates import LEVEL
from trialrun.analysis.prediction_text import format_large, format_probability, points, predicted
from trialrun.analysis.published import Published
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run
from trialrun.analysis.wording import find_row, format_estimate, format_percent, format_published
from trialrun.report.figures import COLORS
from trialrun.report.model import Card, Cell, Mark, Section, Strip, Table, rows_of

Rows = Sequence[Row]
SIMULATED = ("proportion", "median", "total")
PUBLISHED_COLOR = "#444444"


def version_color(run: Run, version: str) -> str:
    """The color that a version has in every figure."""
    place = [info.version for info in run.versions].index(version)
    return COLORS[place % len(COLORS)]


def make_cards(rows: Rows, run: Run) -> tuple[Card, ...]:
    """The headline outcomes: each version's estimate and, with two versions or more, the last one's difference."""
    cards = []
    for outcome in all_outcomes().values():
        if not outcome.headline:
            continue
        found = [(info.version, find_row(rows, outcome.name, info.version, SIMULATED)) for info in run.versions]
        values = tuple((version, _headline(rows, row)) for version, row in found)
        title = outcome.label if outcome.group in ("Response", "Dose", "Infection and death") else title_of(outcome)
        if len(run.versions) > 2:
            cards.append(Card(title, values, _best(rows, outcome), "same"))
            continue
        difference = find_row(rows, outcome.name, run.versions[-1].version, ("difference",))
        says = " ".join(
            part for part in (_difference_in_words(outcome, difference), _probably(rows, outcome, run)) if part
        )
        cards.append(Card(title, values, says, _edge(rows, outcome, run, difference)))
    return tuple(cards)


def _best(rows: Rows, outcome: Outcome) -> str:
    """Which of several versions is most probably the best: orders that it leads, added up."""
    led: dict[str, float] = {}
    for row in rows:
        if row.statistic == "order" and row.outcome == outcome.name:
            led[row.version] = led.get(row.version, 0.0) + (row.value or 0.0)
    if not led:
        return ""
    best = max(led, key=lambda version: led[version])
    wanted = "lowest" if outcome.better == "low" else "highest"
    share = ">99" if led[best] > 0.99 else f"{100 * led[best]:.0f}"
    return f"Most probably {wanted}: {best}, with probability {share} %, over the parameter sets."


def _headline(rows: Rows, row: Row | None) -> str:
    """An estimate with the interval that matters: that of a large trial where there is an ensemble."""
    if row is None:
        return "not assessable"
    large = predicted(rows, "large_trial", row.outcome, row.version)
    if large is None:
        return format_estimate(row)
    return f"{points(large.value)} % (large trial {format_large(large)})"


def _edge(rows: Rows, outcome: Outcome, run: Run, difference: Row | None) -> str:
    """The edge of the card: over an ensemble a difference is one only where nearly all parameter sets agree."""
    row = _probability(rows, outcome, run)
    if row is None or row.value is None:
        return _better(outcome, difference)
    return "better" if row.value >= LEVEL else "worse" if row.value <= 1 - LEVEL else "same"


def _probability(rows: Rows, outcome: Outcome, run: Run) -> Row | None:
    row = predicted(rows, "probability_better", outcome.name, run.versions[-1].version)
    return row if row is not None and row.reference == run.versions[0].version else None


def _probably(rows: Rows, outcome: Outcome, run: Run) -> str:
    """How probable it is that the last version does better than the first."""
    row = _probability(rows, outcome, run)
    if row is None or row.value is None:
        return ""
    return f"Better than {row.reference} with probability {format_probability(row)}, over the parameter sets."


def title_of(outcome: Outcome) -> str:
    """The label, with its group where it does not say it alone."""
    if outcome.group == "Tumour lysis":
        return f"Tumour lysis: {outcome.label[0].lower()}{outcome.label[1:]}"
    return outcome.label


def _difference_in_words(outcome: Outcome, row: Row | None) -> str:
    if row is None or row.value is None or row.ci_low is None or row.ci_high is None:
        return ""
    points = format_percent(abs(row.value))
    bounds = sorted((100 * abs(row.ci_low), 100 * abs(row.ci_high)))
    if row.ci_low <= 0 <= row.ci_high:
        span = f"{format_percent(row.ci_low, signed=True)} to {format_percent(row.ci_high, signed=True)}"
        return f"No clear difference on the same participants (95 % interval {span} points, Monte Carlo only)."
    way = "fewer" if row.value < 0 else "more"
    return (
        f"{points} points {way} under {row.version} on the same participants "
        f"(95 % interval {bounds[0]:.1f} to {bounds[1]:.1f}, Monte Carlo only)."
    )


def _better(outcome: Outcome, row: Row | None) -> str:
    """Whether the last version does better, worse, or neither; for the edge of the card, and said in words too."""
    if row is None or row.ci_low is None or row.ci_high is None or outcome.better is None:
        return "same"
    if row.ci_low <= 0 <= row.ci_high:
        return "same"
    assert row.value is not None
    return "better" if (row.value < 0) == (outcome.better == "low") else "worse"


def make_estimates(rows: Rows, run: Run, groups: Sequence[str], caption: str) -> Table:
    """Every outcome of these groups: each version, the difference, its picture, and how many were not assessable."""
    versions = [info.version for info in run.versions]
    compared = len(versions) > 1
    heads = ["Outcome", *versions]
    if compared:
        reach = _reach(rows, groups)
        heads += [f"Difference to {versions[0]}", f"−{reach} to +{reach} points"]
    lines: list[Sequence[Cell]] = []
    group = None
    for outcome in all_outcomes().values():
        if outcome.group not in groups or outcome.kind == "category":
            continue
        if outcome.group != group and len(groups) > 1:
            lines.append([outcome.group])
        group = outcome.group
        cells: list[Cell] = [outcome.label + _unit(outcome)]
        for version in versions:
            row = find_row(rows, outcome.name, version, SIMULATED)
            cells.append("" if row is None else _with_missing(row))
        if compared:
            others = [
                find_row(rows, outcome.name, version, ("difference", "mean_difference")) for version in versions[1:]
            ]
            several = len(versions) > 2
            cells.append(
                "; ".join((f"{row.version}: " if several else "") + format_estimate(row) for row in others if row)
            )
            cells.append(_difference_strip([row for row in others if row], run, reach))
        lines.append(cells)
    return Table(caption, tuple(heads), rows_of(lines))


def _unit(outcome: Outcome) -> str:
    """The unit after a label that does not say it already."""
    if outcome.unit is None or outcome.unit == "1" or outcome.unit in outcome.label.lower():
        return ""
    return f", {outcome.unit}"


def _with_missing(row: Row) -> str:
    missing = f"; {row.n_not_assessable} not assessable" if row.n_not_assessable and row.value is not None else ""
    return format_estimate(row) + missing


def _reach(rows: Rows, groups: Sequence[str]) -> int:
    """The scale of the pictures of differences in these groups: the smallest round number of points that holds all."""
    ends = [
        100 * max(abs(row.ci_low), abs(row.ci_high))
        for row in rows
        if row.statistic == "difference" and row.group in groups and row.ci_low is not None and row.ci_high is not None
    ]
    return next((reach for reach in (5, 10, 20, 50) if max(ends, default=0.0) <= reach), 100)


def _difference_strip(differences: Rows, run: Run, reach: int) -> Cell:
    marks = tuple(
        Mark(row.value, row.ci_low, row.ci_high, version_color(run, row.version), "circle", format_estimate(row))
        for row in differences
        if row.statistic == "difference"
        and row.value is not None
        and row.ci_low is not None
        and row.ci_high is not None
    )
    return Strip(marks, -reach / 100, reach / 100, zero=0.0) if marks else ""


def make_published(rows: Rows, run: Run, published: Published) -> Section:
    """What was published beside what was simulated, number by number, and what was published without a number."""
    lines: list[Sequence[Cell]] = []
    for row in rows:
        if row.statistic != "published":
            continue
        simulated = _simulated(rows, row)
        if row.version not in [info.version for info in run.versions]:
            continue
        label = row.label + (f": {row.category}" if row.category else "")
        note = f"{row.source}" + (f" ({row.note})" if row.note else "")
        shown = "not simulated" if simulated is None else _headline(rows, simulated)
        if simulated is not None and row.category is None:
            simulated = predicted(rows, "large_trial", row.outcome, row.version) or simulated
        lines.append([label, row.version, format_published(row), shown, _forest(row, simulated, run), note])
    table = Table(
        "Published and simulated, with 95 % intervals",
        ("Outcome", "Version", "Published", "Simulated", "0 to 100 %", "Source"),
        rows_of(lines),
        keep=frozenset({1}),
        note="Gray square: published, exact interval of so few participants. Coloured circle: simulated; "
        + (
            "Monte Carlo interval, which is narrow because many were simulated and not because the model is sure."
            if run.ensemble is None
            else "interval of the true rate of a large trial, over parameter sets and trials."
        ),
    )
    said = tuple(
        f"{fact.about}{'' if fact.version is None else f' ({fact.version})'}: {fact.says} {published.cite(fact.source)}"
        for fact in published.statements
    )
    missing: tuple[str, ...] = ()
    if published.not_published:
        missing = ("Looked for and not found in public text: " + "; ".join(published.not_published) + ".",)
    paragraphs = (
        "Where the published numbers were used to choose the model's parameters, agreement is no test of the model.",
        *missing,
    )
    return Section("published", "Published beside simulated", paragraphs, tables=(table,), points=said)


def _simulated(rows: Rows, published: Row) -> Row | None:
    return next(
        (
            row
            for row in rows
            if row.statistic in SIMULATED
            and (row.outcome, row.version, row.category) == (published.outcome, published.version, published.category)
        ),
        None,
    )


def _forest(published: Row, simulated: Row | None, run: Run) -> Cell:
    marks = []
    for row, color, shape in ((published, PUBLISHED_COLOR, "square"), (simulated, "", "circle")):
        if row is None or row.value is None or row.ci_low is None or row.ci_high is None or row.unit is not None:
            continue
        name = "published" if row is published else "simulated"
        shade = color or version_color(run, row.version)
        marks.append(Mark(row.value, row.ci_low, row.ci_high, shade, shape, f"{name} {format_estimate(row)}"))
    return Strip(tuple(marks), 0.0, 1.0) if marks else ""


def make_between_trials(rows: Rows, run: Run) -> Table | None:
    """The spread between the trials of a run that has more than one."""
    versions = [info.version for info in run.versions]
    lines: list[Sequence[Cell]] = []
    for outcome in all_outcomes().values():
        found = [find_row(rows, outcome.name, version, ("between_trials",)) for version in versions]
        if any(found):
            lines.append([outcome.label, *("" if row is None else format_estimate(row) for row in found)])
    if not lines:
        return None
    return Table(
        f"Spread between {run.trials} trials of {run.subjects} participants each",
        ("Outcome", *versions),
        rows_of(lines),
        note="Mean of the trials, and between which values the middle 95 % of them lie.",
    )

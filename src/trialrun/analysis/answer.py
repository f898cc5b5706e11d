"""The answer of a run on two screens of a terminal: key outcomes in words, published beside predicted, what intervals mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

from trialrun.analysis.answer_notes import explain_answer, format_orders, format_published_block, is_rough
from trialrun.analysis.prediction_text import format_large, format_trial, points, predicted
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run
from trialrun.analysis.wording import (
    WIDTH,
    find_row,
    format_estimate,
    format_header,
    format_percent,
    name_columns,
    phrase,
)

# The outcomes that lead, by the headings under which they stand.
KEY = {
    "Tumour lysis": ("ctls_reported", "ltls_howard_step_up", "creatinine_rise_26"),
    "Tumour flare": ("flare_any", "flare_2", "flare_3"),
    "Blood counts": ("neutropenia_3", "thrombocytopenia_3"),
    "Infection and death": ("febrile_neutropenia", "infection_3", "death"),
    "Response": ("response", "complete_response"),
    "Dose": ("target_reached", "discontinued"),
    "Lymphocytes in cycle 1, median": ("alc_on_c1", "alc_rebound_c1"),
}
_NAMES = tuple(name for names in KEY.values() for name in names)
_LABEL, _CELL, _NARROW, _DIFFERENCE = 39, 19, 15, 12
_SIDE_BY_SIDE = 4  # arms in one table, where there are more than two
_WORTH_SAYING = 0.05  # share not assessable that is told (assumed: below it no rate moves by more than it)


@dataclass(frozen=True, slots=True)
class _Table:
    """What the rows are printed from. `sure` tells whether there are predictions, which hold more than simulation error."""

    rows: Sequence[Row]
    run: Run
    called: Mapping[str, str]
    sure: bool

    @property
    def versions(self) -> list[str]:
        return [info.version for info in self.run.versions]


def format_answer(rows: Sequence[Row], run: Run) -> str:
    """The answer as text of at most 100 columns."""
    sure = any(row.statistic == "large_trial" for row in rows)
    narrow = len(run.versions) > 2
    called = name_columns([info.version for info in run.versions], (_NARROW if narrow else _CELL) - 1)
    table = _Table(rows, run, called, sure)
    lines = [*format_header(run), *(f"{short}: {name}" for name, short in called.items() if short != name)]
    for first in range(0, len(run.versions), _SIDE_BY_SIDE):
        lines += ["", *_block(table, table.versions[first : first + _SIDE_BY_SIDE])]
    lines += _not_assessable(table)
    lines += format_orders(rows, run, called, _NAMES)
    lines += format_published_block(rows, run, called, sure)
    if run.notices:
        lines.append("")
    for notice in run.notices:
        lines += wrap(f"NOTICE: {notice}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    lines += ["", *explain_answer([row for row in rows if row.outcome in _NAMES], run, called, sure)]
    return "\n".join(line.rstrip() for line in lines)


def _block(table: _Table, versions: Sequence[str]) -> list[str]:
    """The key outcomes of up to four arms; of two with their difference, of one with the count in a trial."""
    lines = [_head(table, versions)]
    for heading, names in KEY.items():
        body = [_line(table, name, versions) for name in names]
        lines += [heading, *(line for line in body if line)] if any(body) else []
    return lines


def _head(table: _Table, versions: Sequence[str]) -> str:
    width = _width(table)
    cells = "".join(f"{table.called[version]:<{width}}" for version in versions)
    more = ""
    if len(table.versions) == 2:
        more = f"{'difference':<{_DIFFERENCE}}2nd better" if table.sure else "difference"
    elif len(table.versions) == 1 and table.sure:
        more = f"in a trial of {table.run.subjects}"
    what = "Predicted" if table.sure else "Simulated"
    interval = "95 % interval" if table.sure else "Monte Carlo"
    label = f"{what} rates{' in %' if _is_narrow(table) else ''}, {interval}"
    return f"{label:<{_LABEL}}{cells}{more}"


def _line(table: _Table, name: str, versions: Sequence[str]) -> str:
    found = [find_row(table.rows, name, version, ("proportion", "median")) for version in versions]
    if not any(found):
        return ""
    width = _width(table)
    cells = "".join(f"{'' if row is None else _cell(table, row):<{width}}" for row in found)
    return f"{'  ' + phrase(name):<{_LABEL}}{cells}{_more(table, name)}"


def _is_narrow(table: _Table) -> bool:
    return len(table.versions) > 2


def _width(table: _Table) -> int:
    return _NARROW if _is_narrow(table) else _CELL


def _cell(table: _Table, row: Row) -> str:
    """`4.3 % (0.1 to 16)`, without an ensemble `4.3 % (3.4-5.2)`; of many arms `4.3 (0.1-16)`. A median alone, over an
    ensemble: its interval would hold nothing but simulation error."""
    mark = "*" if _missing(row) > _WORTH_SAYING else ""
    if row.value is None or row.statistic == "median":
        return ("n/a" if row.value is None and not row.n else format_estimate(row).split(" (")[0]) + mark
    large = predicted(table.rows, "large_trial", row.outcome, row.version)
    if large is None:
        if _is_narrow(table):
            return f"{points(row.value)} ({points(row.ci_low)}-{points(row.ci_high)}){mark}"
        return f"{format_percent(row.value)} % ({_decimal(row.ci_low)}-{_decimal(row.ci_high)}){mark}"
    if _is_narrow(table):
        return f"{points(large.value)} ({points(large.ci_low)}-{points(large.ci_high)}){mark}"
    return f"{points(large.value)} % ({format_large(large).removesuffix(' %')}){mark}"


def _decimal(share: float | None) -> str:
    return "-" if share is None else "100" if share == 1 else format_percent(share)


def _more(table: _Table, name: str) -> str:
    """What stands beside the rates: of two arms the difference and which is better, of one arm the count in a trial."""
    versions, rows = table.versions, table.rows
    if len(versions) == 1:
        row = predicted(rows, "trial_of_n", name, versions[0], table.run.subjects)
        return "" if row is None else format_trial(row)
    difference = find_row(rows, name, versions[-1], ("difference",))
    if len(versions) > 2 or difference is None or difference.value is None:
        return ""
    if not table.sure:
        return format_estimate(difference)
    better = predicted(rows, "probability_better", name, versions[1])
    return f"{format_percent(difference.value, signed=True):<{_DIFFERENCE}}{_probability(better)}"


def _probability(row: Row | None) -> str:
    """`96 %`, `~78 %` where simulating more could still change much, never 0 or 100."""
    if row is None:
        return ""
    if row.value is None:
        return "no difference"
    share = "<1" if row.value < 0.01 else ">99" if row.value > 0.99 else f"{100 * row.value:.0f}"
    return f"{'~' if is_rough(row) else ''}{share} %"


def _missing(row: Row) -> float:
    of = row.n + (row.n_not_assessable or 0)
    return (row.n_not_assessable or 0) / of if of else 0.0


def _not_assessable(table: _Table) -> list[str]:
    """Of which outcomes many could not be assessed, in lines of their own."""
    said = []
    for name in _NAMES:
        found = [find_row(table.rows, name, version, ("proportion", "median")) for version in table.versions]
        shares = [
            f"{table.called[row.version]} {100 * _missing(row):.0f}\u00a0%"  # not at the end of one line and the next one
            for row in found
            if row is not None and _missing(row) > _WORTH_SAYING
        ]
        if shares:
            said.append(f"{phrase(name)}: {', '.join(shares)}")
    lines = wrap(f"* Not assessable: {'; '.join(said)}.", WIDTH, subsequent_indent="  ") if said else []
    return [line.replace("\u00a0", " ") for line in lines]

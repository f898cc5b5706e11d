"""What outcomes are derived from and no more, for runs that keep no record: less memory and time, the same outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.outcomes import TESTS
from trialrun.engine.conduct import Log
from trialrun.engine.decide import Act, Decisions
from trialrun.engine.entries import derive_tables
from trialrun.engine.source import BoolArray, Findings, Observed
from trialrun.plan.calendar import Plan
from trialrun.vocab.tests import all_tests

IntArray = NDArray[np.int64]


class _Seen(list[tuple[int, Observed]]):
    """What was observed, of the results of tests only those that outcomes rest on."""

    def append(self, item: tuple[int, Observed]) -> None:
        """Add what was observed on a day."""
        day, observed = item
        read = tuple(found for found in observed.findings if found.test in TESTS)
        super().append((day, replace(observed, findings=read)))


class _Stops(list[Decisions]):
    """Decisions to stop; the others, which are nearly all, leave nothing that outcomes rest on."""

    def append(self, decisions: Decisions) -> None:
        """Add what was decided on a day."""
        stops = np.flatnonzero(decisions.act == Act.STOP)
        if stops.size:
            super().append(decisions.some(stops))


class _Nothing(list[tuple[int, str, IntArray, BoolArray]]):
    """Co-medication is not kept."""

    def append(self, item: tuple[int, str, IntArray, BoolArray]) -> None:
        """Add nothing."""


def make_lean_log() -> Log:
    """A log of what outcomes are derived from and no more: a crowd's results and decisions would fill the memory."""
    return Log(observed=_Seen(), decided=_Stops(), treatments=_Nothing())


def derive_read_tables(
    log: Log, plans: Sequence[Plan], which: IntArray, names: pl.Series, start: date
) -> dict[str, pl.DataFrame]:
    """As `derive_tables`, but of a lean log and for outcomes: of findings, which are nearly all lines of a record, only the
    tests and columns that outcomes are derived from."""
    rest = replace(log, observed=[(day, replace(observed, findings=())) for day, observed in log.observed])
    tables = derive_tables(rest, plans, which, names, start)
    tables["findings"] = _findings(log, names, start)
    return tables


def cut_log(log: Log, first: int, n: int) -> Log:
    """What a log says of subjects `first` to `first + n - 1`, who are then counted from 0."""

    def some(rows: IntArray) -> IntArray:
        return np.flatnonzero((rows >= first) & (rows < first + n))

    def observed(item: Observed) -> Observed:
        findings = []
        for found in item.findings:
            at = some(found.rows)
            findings.append(
                Findings(found.test, found.rows[at] - first, found.values[at], found.low[at], found.high[at])
            )
        exposures = []
        for taken in item.exposures:
            at = some(taken.rows)
            exposures.append(replace(taken, rows=taken.rows[at] - first, dose=taken.dose[at]))
        here = [(told, (told.rows >= first) & (told.rows < first + n)) for told in item.events]
        events = [replace(part, rows=part.rows - first) for told, which in here for part in told.some(which)]
        ended = []
        for end in item.ended:
            at = some(end.rows)
            ended.append(replace(end, rows=end.rows[at] - first, day=end.day[at]))
        return Observed(tuple(findings), tuple(events), tuple(exposures), tuple(ended))

    def decisions(made: Decisions) -> Decisions:
        part = made.some(some(made.rows))
        return replace(part, rows=part.rows - first)

    return Log(
        observed=[(day, observed(item)) for day, item in log.observed],
        decided=[decisions(made) for made in log.decided],
        visits=[(day, name, rows[some(rows)] - first) for day, name, rows in log.visits],
        deviations=[(day, rows[some(rows)] - first) for day, rows in log.deviations],
        held=[(day, rows[some(rows)] - first) for day, rows in log.held],
    )


def _findings(log: Log, names: pl.Series, start: date) -> pl.DataFrame:
    """Results by subject and day, those of one day test by test: the order of the record."""
    seen = [(day, item) for day, observed in log.observed for item in observed.findings]
    number = {test: place for place, test in enumerate(dict.fromkeys(item.test for _, item in seen))}
    asked = {test for test in number if all_tests()[test].kind == "truth"}
    batches = [(day, _found(item, item.test in asked)) for day, item in seen]
    batches.sort(key=lambda batch: (batch[0], number[batch[1].test]))
    count = np.zeros(names.len(), dtype=np.int64)
    for _, item in batches:
        count[item.rows] += 1  # no row is twice in a batch
    # each line is put where it belongs, so nothing is sorted
    free, lines = np.cumsum(count) - count, int(count.sum())
    value, low, high = (np.full(lines, np.nan) for _ in range(3))
    of, said = np.zeros(lines, dtype=np.uint32), np.full(lines, 2, dtype=np.uint32)
    for place, (_, item) in enumerate(batches):
        at = free[item.rows]
        free[item.rows] = at + 1
        of[at], low[at], high[at] = place, item.low, item.high
        if item.test in asked:
            said[at] = item.values
        else:
            value[at] = item.values
    people = names.cast(pl.Enum(names.unique(maintain_order=True)))  # numbers are quicker to join by than text
    dates = pl.Series([start + timedelta(days=day) for day, _ in batches], dtype=pl.Date)
    tests = pl.Series([item.test for _, item in batches], dtype=pl.Enum(list(all_tests())))
    return pl.DataFrame(
        {
            "subject": people.gather(np.repeat(np.arange(count.size, dtype=np.uint32), count)),
            "date": dates.gather(of),
            "test": tests.gather(of),
            "value": pl.Series(value).fill_nan(None),
            "text": pl.Series(["no", "yes", None], dtype=pl.Enum(["no", "yes"])).gather(said),
            "low": pl.Series(low).fill_nan(None),
            "high": pl.Series(high).fill_nan(None),
        }
    )


def _found(item: Findings, asked: bool) -> Findings:
    """Without what was not found, which is no line, nor is an answer that is neither yes nor no."""
    there = (item.values == 0) | (item.values == 1) if asked else ~np.isnan(item.values)
    if there.all():
        return item
    return Findings(item.test, item.rows[there], item.values[there], item.low[there], item.high[there])

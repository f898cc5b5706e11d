"""What outcomes are derived from and no more, for runs that keep no record: less memory and time, the same outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.outcomes import TESTS
from trialrun.engine.conduct import Log
from trialrun.engine.decide import Act
from trialrun.engine.entries import derive_tables, order_by_row
from trialrun.engine.source import Findings
from trialrun.plan.calendar import Plan
from trialrun.vocab.tests import all_tests

IntArray = NDArray[np.int64]


def derive_read_tables(
    log: Log, plans: Sequence[Plan], which: IntArray, names: pl.Series, start: date
) -> dict[str, pl.DataFrame]:
    """As `derive_tables`, but for outcomes: no co-medication, of decisions only those of a day on which someone was stopped,
    and of findings, which are nearly all lines of a record, only the tests and columns that outcomes are derived from."""
    rest = Log(
        observed=[(day, replace(observed, findings=())) for day, observed in log.observed],
        decided=[decisions for decisions in log.decided if (decisions.act == Act.STOP).any()],
        visits=log.visits,
        held=log.held,
    )
    tables = derive_tables(rest, plans, which, names, start)
    tables["findings"] = _findings(log, names, start)
    return tables


def cut_tables(tables: Mapping[str, pl.DataFrame], subjects: int) -> Iterator[dict[str, pl.DataFrame]]:
    """Tables of so many subjects at once, in the order of the subjects table; their lines must be in that order as well.
    Nothing is copied."""
    people = tables["subjects"]["subject"]
    kind = pl.Enum(people)
    place = {name: table["subject"].cast(kind).to_physical() for name, table in tables.items() if "subject" in table}
    for first in range(0, people.len(), subjects):
        part = dict(tables)
        for name, at in place.items():
            begin, end = (int(at.search_sorted(number, side="left")) for number in (first, first + subjects))
            part[name] = tables[name].slice(begin, end - begin)
        yield part


def _findings(log: Log, names: pl.Series, start: date) -> pl.DataFrame:
    """Results by subject and day, those of one day test by test: the order of the record."""
    seen = [(day, item) for day, observed in log.observed for item in observed.findings if item.test in TESTS]
    tests = list(dict.fromkeys(item.test for _, item in seen))
    number = {test: place for place, test in enumerate(tests)}
    batches = sorted(seen, key=lambda line: (line[0], number[line[1].test]))
    sizes = [item.rows.size for _, item in batches]
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(item.rows for _, item in batches)])
    days = np.repeat(np.array([day for day, _ in batches], dtype=np.int64), sizes)
    test = np.repeat(np.array([number[item.test] for _, item in batches], dtype=np.uint32), sizes)
    truth = np.array([all_tests()[name].kind == "truth" for name in tests], dtype=np.bool_)[test]
    value = _column("values", batches)
    order = order_by_row([item.rows for _, item in batches])
    # what was not found is no line, nor is an answer that is neither yes nor no
    order = order[np.where(truth, (value == 0) | (value == 1), ~np.isnan(value))[order]]
    rows, days, test, truth, value = rows[order], days[order], test[order], truth[order], value[order]
    people = names.cast(pl.Enum(names.unique(maintain_order=True)))  # numbers are quicker to join by than text
    answer = pl.Series(np.where(truth, value, 0).astype(np.uint32)).set(pl.Series(~truth), None)
    return pl.DataFrame(
        {
            "subject": people.gather(rows.astype(np.uint32)),
            "date": pl.Series((np.datetime64(start) + days).astype("datetime64[D]")),
            "test": pl.Series(tests, dtype=pl.Enum(list(all_tests()))).gather(test),
            "value": pl.Series(np.where(truth, np.nan, value)).fill_nan(None),
            "text": pl.Series(["no", "yes"], dtype=pl.Enum(["no", "yes"])).gather(answer),
            "low": pl.Series(_column("low", batches)[order]).fill_nan(None),
            "high": pl.Series(_column("high", batches)[order]).fill_nan(None),
        }
    )


def _column(field: str, batches: Sequence[tuple[int, Findings]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *(getattr(item, field) for *_, item in batches)])

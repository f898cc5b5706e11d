"""One line of a summary: one statistic of one outcome."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from trialrun.analysis.definitions import Outcome
from trialrun.analysis.estimates import Interval


@dataclass(frozen=True, slots=True)
class Row:
    """One statistic of one outcome.

    `version` is the protocol version; in differences, that version minus `reference`. `statistic` is proportion,
    median, quartile_25, quartile_75, total, difference, mean_difference, between_trials, published, or, over an
    ensemble, those of `predictions`. `value` and its 95 % interval are shares for proportions, `unit` otherwise; None
    where there is none. `events` counts subjects with the outcome. `n` is the number of subjects assessed and
    `n_not_assessable` of those treated but not assessable. `error` is the standard error of the value by simulation.
    `inside` says of a published count whether the predictive interval of a trial of its size holds it, `in_sample`
    whether the parameter sets were fitted to it.
    """

    outcome: str
    label: str
    group: str
    version: str
    statistic: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_not_assessable: int | None
    method: str
    category: str | None = None
    reference: str | None = None
    events: int | None = None
    unit: str | None = None
    source: str | None = None
    note: str | None = None
    error: float | None = None
    inside: bool | None = None
    in_sample: bool | None = None


COLUMNS = tuple(field.name for field in fields(Row))


def as_plain(row: Row) -> dict[str, Any]:
    """The cells of a row by column: plain values all, so nothing need be copied."""
    return {name: getattr(row, name) for name in COLUMNS}


def make_row(outcome: Outcome, version: str, statistic: str, found: Interval, unit: str | None, **more: Any) -> Row:
    return Row(
        outcome=outcome.name,
        label=outcome.label,
        group=outcome.group,
        version=version,
        statistic=statistic,
        value=_present(found.value),
        ci_low=_present(found.low),
        ci_high=_present(found.high),
        n=found.n,
        method=found.method,
        unit=unit,
        **{"n_not_assessable": None, **more},
    )


def _present(value: float) -> float | None:
    return None if math.isnan(value) else value

"""What a conducted trial leaves behind: the log as the tables of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl

from trialrun.engine.conduct import Log
from trialrun.engine.decide import BELOW_LOWEST, Act, Decisions
from trialrun.engine.source import Events, FloatArray, IntArray
from trialrun.plan.calendar import Plan
from trialrun.record.tables import schema
from trialrun.vocab.tests import all_tests


def derive_tables(
    log: Log, plans: Sequence[Plan], which: IntArray, names: pl.Series, first_dose: date | pl.Series
) -> dict[str, pl.DataFrame]:
    """Findings, exposures, events, co-medication, dispositions, visits and decisions of a log, in record columns.

    `names` (n,) are the subject identifiers; `first_dose` is the calendar date of day 0, of all or of each (n,).
    """
    visits = _visits(log)
    tables = {
        "visits": visits,
        "findings": _findings(log, visits),
        "exposures": _exposures(log, plans, which),
        "adverse_events": _events(log),
        "concomitant": _concomitant(log, plans),
        "dispositions": _dispositions(log),
        "decisions": _decisions(log),
    }
    return {name: _finish(name, table, names, first_dose) for name, table in tables.items()}


_LETTERS = {
    "visits": "V",
    "findings": "F",
    "exposures": "X",
    "adverse_events": "A",
    "concomitant": "C",
    "dispositions": "D",
    "decisions": "Z",
}
_DATES = {"day": "date", "end_day": "end_date", "known_day": "known"}


def _finish(name: str, table: pl.DataFrame, names: pl.Series, first_dose: date | pl.Series) -> pl.DataFrame:
    """Subject numbers to identifiers, day offsets to dates, entry identifiers, and the columns of the record."""
    dates = [column for column in _DATES if column in table.columns]
    # numbered within the subject, so that a subject's lines are the same in whatever company it was simulated
    table = table.sort("row", "day", maintain_order=True)
    number = pl.int_range(1, pl.len() + 1).over("row").cast(pl.String)
    start = first_dose.gather(table["row"].cast(pl.UInt32)) if isinstance(first_dose, pl.Series) else pl.lit(first_dose)
    table = table.with_columns(
        subject=names.gather(table["row"].cast(pl.UInt32)),
        entry=pl.concat_str(names.gather(table["row"].cast(pl.UInt32)), pl.lit(f"-{_LETTERS[name]}"), number),
        **{_DATES[column]: start + pl.duration(days=pl.col(column).cast(pl.Int64)) for column in dates},
    )
    wanted = schema(name)
    missing = [
        pl.lit(None, dtype=dtype).alias(column) for column, dtype in wanted.items() if column not in table.columns
    ]
    return table.with_columns(missing).select([pl.col(column).cast(dtype) for column, dtype in wanted.items()])


def _frame(columns: Mapping[str, list[np.ndarray]], types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            name: pl.Series(name, np.concatenate(parts) if parts else np.zeros(0), dtype=types[name], strict=False)
            for name, parts in columns.items()
        }
    )


_WHOLE, _REAL = pl.Int64(), pl.Float64()


def _visits(log: Log) -> pl.DataFrame:
    parts = [
        pl.DataFrame({"row": rows, "day": np.full(rows.shape, day)}).with_columns(visit=pl.lit(name))
        for day, name, rows in log.visits
        if rows.size
    ]
    empty = pl.DataFrame(schema={"row": pl.Int64, "day": pl.Int64, "visit": pl.String})
    return pl.concat([empty, *parts])


def _findings(log: Log, visits: pl.DataFrame) -> pl.DataFrame:
    tests = all_tests()
    parts: list[pl.DataFrame] = []
    gathered: dict[str, list[tuple[int, IntArray, FloatArray, FloatArray, FloatArray]]] = {}
    for day, observed in log.observed:
        for item in observed.findings:
            gathered.setdefault(item.test, []).append((day, item.rows, item.values, item.low, item.high))
    for test, batches in gathered.items():
        columns = {
            "row": np.concatenate([rows for _, rows, *_ in batches]),
            "day": np.concatenate([np.full(rows.shape, day) for day, rows, *_ in batches]),
            "value": np.concatenate([values for _, _, values, _, _ in batches]),
            "low": np.concatenate([low for *_, low, _ in batches]),
            "high": np.concatenate([high for *_, high in batches]),
        }
        frame = pl.DataFrame(columns).with_columns(pl.col("value", "low", "high").fill_nan(None))
        kind = tests[test].kind
        if kind == "truth":
            said = pl.when(pl.col("value") == 1).then(pl.lit("yes")).when(pl.col("value") == 0).then(pl.lit("no"))
            frame = frame.with_columns(text=said.otherwise(None), value=pl.lit(None, dtype=pl.Float64))
        else:
            frame = frame.with_columns(text=pl.lit(None, dtype=pl.String))
        parts.append(frame.with_columns(test=pl.lit(test), unit=pl.lit(tests[test].unit, dtype=pl.String)))
    if not parts:
        return pl.DataFrame(schema={"row": pl.Int64, "day": pl.Int64})
    found = pl.concat(parts)
    return found.join(visits.unique(["row", "day"], keep="first", maintain_order=True), on=["row", "day"], how="left")


def _exposures(log: Log, plans: Sequence[Plan], which: IntArray) -> pl.DataFrame:
    """Runs of days with the same dose, one line each; planned dosing days without drug are lines with dose 0."""
    columns: dict[str, list[np.ndarray]] = {"row": [], "day": [], "dose": [], "held": []}
    held_on = dict(log.held)
    nobody = np.zeros(0, dtype=np.int64)
    for _, observed in log.observed:
        for item in observed.exposures:
            columns["row"].append(item.rows)
            columns["day"].append(np.full(item.rows.shape, item.day))
            columns["dose"].append(item.dose)
            columns["held"].append(np.isin(item.rows, held_on.get(item.day, nobody), assume_unique=True))
    days = _frame(columns, {"row": _WHOLE, "day": _WHOLE, "dose": _REAL, "held": pl.Boolean()}).sort("row", "day")
    new = (
        (pl.col("row") != pl.col("row").shift(1))
        | (pl.col("day") != pl.col("day").shift(1) + 1)
        | (pl.col("dose") != pl.col("dose").shift(1))
        | (pl.col("held") != pl.col("held").shift(1))
    )
    runs = (
        days.with_columns(run=new.fill_null(True).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("row").first(),
            pl.col("day").first(),
            pl.col("day").last().alias("end_day"),
            pl.col("dose", "held").first(),
        )
    )
    drugs = pl.Series([plan.drug for plan in plans])
    units = pl.Series([plan.unit for plan in plans])
    index = pl.Series(which).gather(runs["row"])
    reason = (
        pl.when(pl.col("dose") > 0).then(None).when(pl.col("held")).then(pl.lit("held")).otherwise(pl.lit("missed"))
    )
    return runs.with_columns(drug=drugs.gather(index), unit=units.gather(index), reason=reason)


def _events(log: Log) -> pl.DataFrame:
    parts = [
        pl.DataFrame({"row": item.rows, "day": item.day.astype(np.int64), "end_day": _last_day(item, day),
                      "grade": item.grade}).with_columns(known_day=pl.lit(day, dtype=pl.Int64), term=pl.lit(item.term))
        for day, observed in log.observed
        for item in observed.events
        if item.rows.size
    ]  # fmt: skip
    whole = dict.fromkeys(("row", "day", "end_day", "known_day"), pl.Int64)
    empty = pl.DataFrame(schema={**whole, "grade": pl.Float64, "term": pl.String})
    return pl.concat([empty, *parts], how="diagonal")


def _last_day(item: Events, told: int) -> pl.Series:
    """The last day of events (m,); going on is null; without one they count for the day on which they were told."""
    end = np.full(item.rows.shape, float(told)) if item.end is None else item.end
    return pl.Series(end).fill_nan(None).cast(pl.Int64)


def _concomitant(log: Log, plans: Sequence[Plan]) -> pl.DataFrame:
    """Start and stop of each co-medication, joined into intervals; without a stop it goes on."""
    parts = [
        pl.DataFrame({"row": rows, "day": np.full(rows.shape, day), "on": on}).with_columns(treatment=pl.lit(name))
        for day, name, rows, on in log.treatments
        if rows.size
    ]
    empty = pl.DataFrame(schema={"row": pl.Int64, "day": pl.Int64, "on": pl.Boolean, "treatment": pl.String})
    changes = pl.concat([empty, *parts]).sort("row", "treatment", "day")
    stop = pl.col("day").shift(-1).over("row", "treatment") - 1
    doses = {
        criterion.name: criterion.part.dose
        for plan in plans
        for criterion in plan.version.concomitant
        if hasattr(criterion.part, "dose")
    }
    amount = {name: dose.value for name, dose in doses.items() if dose is not None}
    unit = {name: dose.unit for name, dose in doses.items() if dose is not None}
    return (
        changes.with_columns(end_day=stop)
        .filter("on")
        .with_columns(
            dose=pl.col("treatment").replace_strict(amount, default=None, return_dtype=pl.Float64),
            unit=pl.col("treatment").replace_strict(unit, default=None, return_dtype=pl.String),
        )
    )


def _dispositions(log: Log) -> pl.DataFrame:
    parts = [
        pl.DataFrame({"row": item.rows, "day": item.day.astype(np.int64)}).with_columns(
            event=pl.lit(item.event), reason=pl.lit(item.reason)
        )
        for _, observed in log.observed
        for item in observed.ended
        if item.rows.size
    ]
    for decisions in log.decided:
        stopped = decisions.act == Act.STOP
        if stopped.any():
            reasons = [_stop_reason(decisions, int(index)) for index in np.flatnonzero(stopped)]
            parts.append(
                pl.DataFrame(
                    {"row": decisions.rows[stopped], "day": np.full(int(stopped.sum()), decisions.day)}
                ).with_columns(event=pl.lit("treatment discontinued"), reason=pl.Series(reasons, dtype=pl.String))
            )
    empty = pl.DataFrame(schema={"row": pl.Int64, "day": pl.Int64, "event": pl.String, "reason": pl.String})
    return pl.concat([empty, *parts])


def _stop_reason(decisions: Decisions, index: int) -> str:
    table, row = int(decisions.table[index]), int(decisions.row[index])
    if row < 0:
        return "unacceptable toxicity"
    reason = decisions.plan.version.tables[table].reasons[row]
    return reason if reason is not None else "unacceptable toxicity"


def rule_name(decisions: Decisions, index: int) -> str:
    """The dotted name of the rule that decided for the `index`-th subject of these decisions."""
    row = int(decisions.row[index])
    table = decisions.plan.version.tables[int(decisions.table[index])]
    if row == BELOW_LOWEST:
        return "treatment.below_lowest_level"
    return f"{table.name}.{table.row_names[row]}" if row >= 0 else "treatment.schedule"


def _decisions(log: Log) -> pl.DataFrame:
    parts: list[pl.DataFrame] = []
    labels = [act.label for act in Act]
    for decisions in log.decided:
        version = decisions.plan.version
        codes = decisions.table * 1000 + decisions.row
        names = {int(code): rule_name(decisions, int(np.flatnonzero(codes == code)[0])) for code in np.unique(codes)}
        parts.append(
            pl.DataFrame({"row": decisions.rows, "day": np.full(decisions.rows.shape, decisions.day),
                          "dose": decisions.dose, "act": decisions.act, "code": codes}).with_columns(
                action=pl.col("act").replace_strict(dict(enumerate(labels)), return_dtype=pl.String),
                rule=pl.col("code").replace_strict(names, return_dtype=pl.String),
                version=pl.lit(version.name),
                unit=pl.lit(decisions.plan.unit),
            ).drop("act", "code")
        )  # fmt: skip
    empty = pl.DataFrame(
        schema={
            "row": pl.Int64,
            "day": pl.Int64,
            "dose": pl.Float64,
            "action": pl.String,
            "rule": pl.String,
            "version": pl.String,
            "unit": pl.String,
        }
    )
    return pl.concat([empty, *parts])

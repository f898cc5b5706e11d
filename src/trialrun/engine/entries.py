"""What a conducted trial leaves behind: the log as the tables of a record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from trialrun.engine.conduct import Log
from trialrun.engine.decide import BELOW_LOWEST, Act, Decisions
from trialrun.engine.source import BoolArray, Findings, FloatArray, IntArray
from trialrun.plan.calendar import Plan
from trialrun.plan.dosing import NEVER
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


WORSE, OVER = "the event became worse", "the event ended"  # why the line of an event is corrected
LONGEST = 2**20  # days: of one subject all lines come before those of the next

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
    table = _in_order(table)
    row = table["row"].to_numpy()
    before = np.cumsum(np.bincount(row, minlength=names.len())) - np.bincount(row, minlength=names.len())
    number = np.arange(1, row.size + 1) - before[row]
    # each ending is written once, not once a line
    endings = pl.Series([f"-{_LETTERS[name]}{count}" for count in range(int(number.max(initial=0)) + 1)])
    subject = names.gather(row.astype(np.uint32))
    if isinstance(first_dose, pl.Series):
        start = first_dose.gather(row.astype(np.uint32)).to_physical()
    else:
        start = pl.Series([first_dose], dtype=pl.Date).to_physical()
    table = table.with_columns(
        subject=subject,
        entry=subject + endings.gather(number.astype(np.uint32)),
        **{_DATES[column]: (table[column].cast(pl.Int32) + start).cast(pl.Date) for column in dates},
    )
    if "replaced" in table.columns:
        called = table.select(replaced="line", corrects="entry")
        table = table.join(called, on="replaced", how="left", maintain_order="left")
    wanted = schema(name)
    missing = [
        pl.lit(None, dtype=dtype).alias(column) for column, dtype in wanted.items() if column not in table.columns
    ]
    return table.with_columns(missing).select([pl.col(column).cast(dtype) for column, dtype in wanted.items()])


def _in_order(table: pl.DataFrame) -> pl.DataFrame:
    """The lines by subject and day; those of one day as they came."""
    key = _place(table["row"].to_numpy(), table["day"].to_numpy())
    return table if (key[1:] >= key[:-1]).all() else table[np.argsort(key, kind="stable")]


def _place(row: IntArray, day: IntArray) -> IntArray:
    """What lines are ordered by: one key sorts in half the time of two."""
    return np.asarray(row * LONGEST + (day - day.min(initial=0)))


def _lines(parts: Sequence[tuple[int | IntArray, str, IntArray]]) -> dict[str, pl.Series]:
    """Columns row, day and name of many batches, each of (day or days (m,), name, rows (m,)), in their order."""
    sizes = [rows.size for _, _, rows in parts]
    names = list(dict.fromkeys(name for _, name, _ in parts))
    code = np.repeat([names.index(name) for _, name, _ in parts], sizes).astype(np.uint32)
    days = [np.broadcast_to(np.asarray(day, dtype=np.int64), rows.shape) for day, _, rows in parts]
    return {
        "row": pl.Series(np.concatenate([rows for _, _, rows in parts]) if parts else [], dtype=pl.Int64),
        "day": pl.Series(np.concatenate(days) if parts else [], dtype=pl.Int64),
        "name": pl.Series(names, dtype=pl.String).gather(code) if parts else pl.Series([], dtype=pl.String),
    }


def _visits(log: Log) -> pl.DataFrame:
    lines = _lines([(day, name, rows) for day, name, rows in log.visits])
    return pl.DataFrame({"row": lines["row"], "day": lines["day"], "visit": lines["name"]})


def _findings(log: Log, visits: pl.DataFrame) -> pl.DataFrame:
    """Results by subject and day, those of one day test by test, each with the first visit of its day."""
    gathered: dict[str, list[tuple[int, Findings]]] = {}
    for day, observed in log.observed:
        for item in observed.findings:
            gathered.setdefault(item.test, []).append((day, item))
    batches = [(day, item) for items in gathered.values() for day, item in items]
    if not batches:
        return pl.DataFrame(schema={"row": pl.Int64, "day": pl.Int64})
    number = {name: place for place, name in enumerate(gathered)}
    tests = [all_tests()[name] for name in gathered]
    sizes = [item.rows.size for _, item in batches]
    code = np.repeat(np.array([number[item.test] for _, item in batches], dtype=np.uint32), sizes)
    row = np.concatenate([item.rows for _, item in batches])
    days = np.repeat(np.array([day for day, _ in batches], dtype=np.int64), sizes)
    value = np.concatenate([item.values for _, item in batches])
    asked = np.array([test.kind == "truth" for test in tests])[code]
    yes, no = asked & (value == 1), asked & (value == 0)
    # what was not found is no line; numbers are put in order before they become text
    lines = np.flatnonzero(np.where(asked, yes | no, ~np.isnan(value)))
    lines = lines[np.argsort(_place(row[lines], days[lines]), kind="stable")]
    row, days, code, asked = row[lines], days[lines], code[lines], asked[lines]
    low, high = (np.concatenate([getattr(item, name) for _, item in batches])[lines] for name in ("low", "high"))
    said = np.where(yes[lines], 1, np.where(no[lines], 0, 2)).astype(np.uint32)
    return pl.DataFrame(
        {
            "row": row,
            "day": days,
            "test": pl.Series([test.name for test in tests], dtype=pl.String).gather(code),
            "value": pl.Series(np.where(asked, np.nan, value[lines])).fill_nan(None),
            "low": pl.Series(low).fill_nan(None),
            "high": pl.Series(high).fill_nan(None),
            "unit": pl.Series([test.unit for test in tests], dtype=pl.String).gather(code),
            "text": pl.Series(["no", "yes", None], dtype=pl.String).gather(said),
            "visit": _visit_of(row, days, visits),
        }
    )


def _visit_of(row: IntArray, day: IntArray, visits: pl.DataFrame) -> pl.Series:
    """The first visit of each line's subject (m,) on its day (m,); null where there was none."""
    at, on = visits["row"].to_numpy(), visits["day"].to_numpy()
    if at.size == 0:
        return pl.Series([None] * row.size, dtype=pl.String)
    lowest = int(min(day.min(initial=0), on.min()))
    span = int(max(day.max(initial=0), on.max())) - lowest + 1
    keys, first = np.unique(at * span + (on - lowest), return_index=True)
    wanted = row * span + (day - lowest)
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    found = pl.Series(first[place].astype(np.uint32))
    known = pl.Series(keys[place] == wanted)
    return visits["visit"].gather(found).set(~known, None)


def _exposures(log: Log, plans: Sequence[Plan], which: IntArray) -> pl.DataFrame:
    """Runs of days with the same dose, one line each; planned dosing days without drug are lines with dose 0."""
    row, day, end, dose, held = _dose_runs(log, which.size)
    order = np.argsort(row, kind="stable")
    columns = {"row": row, "day": day, "end_day": end, "dose": dose, "held": held}
    runs = pl.DataFrame({name: column[order] for name, column in columns.items()})
    drugs = pl.Series([plan.drug for plan in plans])
    units = pl.Series([plan.unit for plan in plans])
    index = pl.Series(which).gather(runs["row"])
    reason = (
        pl.when(pl.col("dose") > 0).then(None).when(pl.col("held")).then(pl.lit("held")).otherwise(pl.lit("missed"))
    )
    return runs.with_columns(drug=drugs.gather(index), unit=units.gather(index), reason=reason)


def _dose_runs(log: Log, n: int) -> tuple[IntArray, IntArray, IntArray, FloatArray, BoolArray]:
    """Row, first day, last day, dose and whether it was held, of every run in order of its first day (all runs,).

    Day by day beside what each subject's last day was: a line for each day and subject would fill the memory.
    """
    held_on = dict(log.held)
    last, dose, held, run = np.full(n, NEVER), np.zeros(n), np.zeros(n, dtype=np.bool_), np.full(n, -1)
    on_hold = np.zeros(n, dtype=np.bool_)
    begun: list[tuple[IntArray, IntArray, FloatArray, BoolArray]] = []
    closed: list[tuple[IntArray, IntArray]] = []
    count = 0
    for item in sorted(
        (item for _, observed in log.observed for item in observed.exposures), key=lambda item: item.day
    ):
        on_hold[:] = False
        if item.day in held_on:
            on_hold[held_on[item.day]] = True
        rows, hold = item.rows, on_hold[item.rows]
        new = (last[rows] != item.day - 1) | (dose[rows] != item.dose) | (held[rows] != hold)
        if new.any():
            at = rows[new]
            before = at[run[at] >= 0]
            closed.append((run[before], last[before]))
            run[at] = np.arange(count, count + at.size)
            dose[at], held[at] = item.dose[new], hold[new]
            begun.append((at, np.full(at.size, item.day), dose[at], held[at]))
            count += at.size
        last[rows] = item.day
    ever = np.flatnonzero(run >= 0)
    end = np.zeros(count, dtype=np.int64)
    for runs, days in [*closed, (run[ever], last[ever])]:
        end[runs] = days
    if not begun:
        return ever, ever, ever, np.zeros(0), np.zeros(0, dtype=np.bool_)
    row, day, doses, holds = (np.concatenate(parts) for parts in zip(*begun, strict=True))
    return row, day, end, doses, holds


def _events(log: Log) -> pl.DataFrame:
    """Adverse events; going on is null, and one without an end counts for the day on which it was told.

    What is told anew of an event is a correction of the line before: the same event, as the record has it.
    """
    told = [(day, item) for day, observed in log.observed for item in observed.events]
    lines = _lines([(item.day.astype(np.int64), item.term, item.rows) for _, item in told])
    ends = [np.full(item.rows.shape, float(day)) if item.end is None else item.end for day, item in told]
    none = np.zeros(0)
    anew = [np.full(item.rows.shape, item.replaces is not None) for _, item in told]
    table = pl.DataFrame(
        {
            "row": lines["row"],
            "day": lines["day"],
            "end_day": pl.Series(np.concatenate([none, *ends])).fill_nan(None).cast(pl.Int64),
            "grade": pl.Series(np.concatenate([none, *(item.grade for _, item in told)])),
            "known_day": pl.Series(
                np.repeat([day for day, _ in told], [item.rows.size for _, item in told]), dtype=pl.Int64
            ),
            "term": lines["name"],
            "anew": pl.Series(np.concatenate([none > 0, *anew])),
        }
    )
    again = table.filter("anew")["term"].unique()
    if again.is_empty():
        return table
    table = table.with_row_index("line")
    same = table.filter(pl.col("term").is_in(again.implode()))
    before = same.with_columns(replaced=pl.col("line").shift().over("row", "term", "day")).filter("anew")
    why = pl.when(pl.col("end_day").is_null()).then(pl.lit(WORSE)).otherwise(pl.lit(OVER))
    return table.join(before.select("line", "replaced"), on="line", how="left", maintain_order="left").with_columns(
        why_corrected=pl.when("anew").then(why)
    )


def _concomitant(log: Log, plans: Sequence[Plan]) -> pl.DataFrame:
    """Start and stop of each co-medication, joined into intervals; without a stop it goes on."""
    lines = _lines([(day, name, rows) for day, name, rows, _ in log.treatments])
    on = np.concatenate([np.zeros(0, dtype=np.bool_), *(on for *_, on in log.treatments)])
    columns = {"row": lines["row"], "day": lines["day"], "on": pl.Series(on), "treatment": lines["name"]}
    changes = pl.DataFrame(columns).sort("row", "treatment", "day")
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
    """Ends of treatment and of the study: those that were observed, then those that were decided."""
    told = [(item.day.astype(np.int64), item.event, item.rows, item.reason)
            for _, observed in log.observed for item in observed.ended]  # fmt: skip
    for decisions in log.decided:
        stopped = np.flatnonzero(decisions.act == Act.STOP)
        rules = decisions.table[stopped] * 1000 + decisions.row[stopped]
        for rule in np.unique(rules):
            mine = stopped[rules == rule]
            days = np.full(mine.size, decisions.day)
            told.append((days, "treatment discontinued", decisions.rows[mine], _stop_reason(decisions, int(mine[0]))))
    lines = _lines([(day, event, rows) for day, event, rows, _ in told])
    reasons = _lines([(day, reason, rows) for day, _, rows, reason in told])["name"]
    return pl.DataFrame({"row": lines["row"], "day": lines["day"], "event": lines["name"], "reason": reasons})


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
    """Every decision with its action and the rule that decided."""
    made = log.decided
    lines = _lines([(decisions.day, decisions.plan.version.name, decisions.rows) for decisions in made])
    rules: dict[str, int] = {}
    coded: list[IntArray] = []
    for decisions in made:
        # one rule stands for every subject whose table and row are the same
        _, first, where = np.unique(decisions.table * 1000 + decisions.row, return_index=True, return_inverse=True)
        names = [rule_name(decisions, int(index)) for index in first]
        coded.append(np.array([rules.setdefault(name, len(rules)) for name in names], dtype=np.int64)[where])
    none, nothing = np.zeros(0), np.zeros(0, dtype=np.int64)
    acts = np.concatenate([nothing, *(decisions.act for decisions in made)]).astype(np.uint32)
    units = {decisions.plan.version.name: decisions.plan.unit for decisions in made}
    return pl.DataFrame(
        {
            "row": lines["row"],
            "day": lines["day"],
            "dose": pl.Series(np.concatenate([none, *(decisions.dose for decisions in made)])),
            "action": pl.Series([act.label for act in Act]).gather(acts),
            "rule": pl.Series(list(rules), dtype=pl.String).gather(np.concatenate([nothing, *coded]).astype(np.uint32)),
            "version": lines["name"],
            "unit": lines["name"].replace_strict(units, return_dtype=pl.String),
        }
    )

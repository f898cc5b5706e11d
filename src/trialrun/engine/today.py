"""What dose today, and why: one real subject's record run through the protocol, with a decision certificate."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from trialrun.engine.certificate import Certificate, Considered, undecided
from trialrun.engine.conduct import Log, conduct
from trialrun.engine.decide import BELOW_LOWEST, Act, Decisions
from trialrun.engine.entries import rule_name
from trialrun.engine.recorded import NEEDED, RecordedCalendar, RecordedSource, RecordedSubject
from trialrun.engine.source import IntArray
from trialrun.engine.subjects import Subjects
from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol.version import Protocol, RuleTable
from trialrun.record import Record
from trialrun.rules import Columns, explain
from trialrun.vocab.days import study_day
from trialrun.vocab.problems import Problem, TrialrunError


@dataclass(frozen=True, slots=True)
class _Followed:
    """One subject conducted up to a day."""

    recorded: RecordedSubject
    subjects: Subjects
    log: Log
    plans: tuple[Plan, ...]


def _follow(protocol: Protocol, record: Record, subject: str, on: date, under: str | None) -> _Followed:
    plans = tuple(plan_version(version) for version in protocol.versions.values())
    names = list(protocol.versions)
    today = names.index(under or record.version_for(subject, on).version or names[0])
    recorded = RecordedSubject.read(record, subject, on, plans[today])

    @cache
    def since(change: date | None) -> IntArray:
        held = None if change is None else record.version_for(subject, change).version
        # before any version holds nothing is decided by it; the clock needs a calendar all the same
        return np.array([names.index(held) if held in names else today])

    changes = record.version_changes(subject)

    def which(day: int) -> IntArray:
        if under:
            return np.array([today])
        at = bisect_right(changes, recorded.origin + timedelta(days=day))
        return since(changes[at - 1] if at else None)

    recorded.check_doses(plans, which)
    subjects = Subjects.fresh(plans, 1)
    _set_person(subjects, record, subject, recorded)
    log = Log(keep_columns=True)
    source, calendar = RecordedSource(recorded), RecordedCalendar(recorded)
    conduct(plans, which, source, calendar, subjects, recorded.moments(), log)
    return _Followed(recorded, subjects, log, plans)


def _set_person(subjects: Subjects, record: Record, subject: str, recorded: RecordedSubject) -> None:
    person = recorded.tables["subjects"]
    born = person["birth_date"].to_list()[0] if person.height else None
    if born is not None:
        subjects.age[:] = (recorded.origin - born).days / 365.25
    consents = recorded.tables["consents"]
    subjects.consented[:] = 1 if consents.height else -1


def decide_on(protocol: Protocol, record: Record, subject: str, on: date, under: str | None = None) -> Certificate:
    """The decision for one subject on a day, from what was known on that day.

    `under` names a version to decide by instead of the one that holds for the subject. An entry that makes the state of
    the subject impossible (a dose off the level list) or that was set aside gives an undetermined decision that
    says so. A subject that is not in the record is a TrialrunError.
    """
    known = record.as_known_on(on)
    if subject not in set(known.tables["subjects"]["subject"]):
        message, right = "no such subject in the record", _nearest(subject, known)
        raise TrialrunError(Problem("unknown-subject", message, repr(subject), right))
    holds = known.version_for(subject, on)
    name = under or holds.version
    because = f"asked for by name ({under})" if under else holds.because
    if name is None or name not in protocol.versions:
        reason = "no protocol version holds" if name is None else f"the protocol file has no version {name!r}"
        return undecided(protocol.study.id, known.content_hash, subject, on, because, reason, holds.missing)
    lost = _set_aside(known, subject, on)
    if lost:
        said = "lines about the subject were set aside; without them the dose is withheld"
        return undecided(protocol.study.id, known.content_hash, subject, on, because, said, lost)
    try:
        followed = _follow(protocol, known, subject, on, under)
    except TrialrunError as error:
        texts = tuple(str(problem) for problem in error.problems)
        said = "the record cannot be followed"
        return undecided(protocol.study.id, known.content_hash, subject, on, because, said, texts)
    if not followed.log.decided or followed.log.decided[-1].day != followed.recorded.today:
        said = _ended(followed)
        return undecided(protocol.study.id, known.content_hash, subject, on, because, said, (), "off treatment")
    return _certificate(protocol, known, subject, on, because, followed)


def _set_aside(record: Record, subject: str, on: date) -> tuple[str, ...]:
    """Lines that were not usable, may be about the subject, and whose absence would be read as an answer."""
    return tuple(
        f"line {item.line} of {item.table} ({item.why})"
        for item in record.rejected
        if item.table in NEEDED
        and not item.copy
        and item.subject in (None, subject)
        and (item.known is None or item.known <= on)
    )


def _nearest(subject: str, record: Record) -> str:
    names = record.tables["subjects"]["subject"].sort().to_list()
    close = get_close_matches(subject, names, n=3)
    return "one of " + ", ".join(close or [*names[:5], *(["..."] if len(names) > 5 else [])])


def _ended(followed: _Followed) -> str:
    """Why treatment has ended: by the record's dispositions, else by the rules."""
    rows = [
        row for day, rows in sorted(followed.recorded.rows["dispositions"].items()) for row in rows
        if day <= followed.recorded.today and row["event"] != "enrolled"
    ]  # fmt: skip
    if rows:
        reason = f" ({rows[0]['reason']})" if rows[0]["reason"] else ""
        return f"{rows[0]['event']} on {rows[0]['date']}{reason}"
    when = followed.recorded.origin + timedelta(days=int(followed.subjects.dosing.ended[0]))
    return f"treatment ended on {when}"


def _certificate(
    protocol: Protocol, record: Record, subject: str, on: date, because: str, followed: _Followed
) -> Certificate:
    decisions, columns = followed.log.decided[-1], followed.log.columns[-1]
    plan, recorded = decisions.plan, followed.recorded
    version = plan.version
    act = Act(int(decisions.act[0]))
    table = version.tables[int(decisions.table[0])]
    row = int(decisions.row[0])
    considered = tuple(item for part in version.tables for item in _considered(part, columns))
    waits = _waits(considered) if act in (Act.UNDETERMINED, Act.HOLD, Act.STAY) else ()
    cycle, cycle_day = followed.subjects.dosing.clock(plan, recorded.today)
    started = bool(followed.subjects.dosing.started[0])
    return Certificate(
        subject=subject,
        on=on,
        study_day=study_day(recorded.today) if started else None,
        cycle=int(cycle[0]),
        cycle_day=int(cycle_day[0]) + 1,
        action=act.label,
        dose=float(decisions.dose[0]),
        unit=plan.unit,
        level=float(decisions.level_dose[0]),
        version=version.name,
        version_hash=version.hash,
        version_because=because,
        protocol=protocol.study.id,
        rule=rule_name(decisions, 0),
        section=table.part.section if row >= 0 else version.treatment.section,
        says=table.part.says if row >= 0 else version.treatment.says,
        status=table.part.status if row >= 0 else version.treatment.status,
        source=protocol.study.sources[table.part.source if row >= 0 else version.treatment.source],
        reason=_reason(decisions, table, columns, plan),
        considered=considered,
        data=_data(considered, recorded),
        waits_for=waits,
        notes=_notes(followed, on),
        record_hash=record.content_hash,
    )


def _considered(table: RuleTable, columns: Columns) -> list[Considered]:
    rows = []
    for name, row in zip(table.row_names, table.table.rows, strict=True):
        if row.when is None:
            continue
        explanation = explain(row.when, columns, 0)
        rows.append(Considered(table.name, name, explanation.verdict, explanation))
    return rows


def _waits(considered: tuple[Considered, ...]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for item in considered:
        if item.verdict == "unknown" and item.explanation is not None:
            names.update(dict.fromkeys(item.explanation.waits_for))
    return tuple(names)


def _reason(decisions: Decisions, table: RuleTable, columns: Columns, plan: Plan) -> str:
    row, act = int(decisions.row[0]), Act(int(decisions.act[0]))
    if row == BELOW_LOWEST:
        return "there is no level below the lowest: treatment stops"
    if row < 0:
        rest = "" if decisions.dose[0] > 0 else "; today is a day without drug"
        return f"no rule changes the dose{rest}"
    rule = table.table.rows[row]
    if act is Act.UNDETERMINED:
        return f"{table.name}.{table.row_names[row]} cannot be answered; the dose is withheld"
    if act is Act.RESUME and rule.then.until is not None:
        return f"the hold has ended: {rule.then.until.text}"
    if rule.when is None:
        return "no row above holds"
    return f"{rule.when.text}: {rule.then.text}"


def _data(considered: tuple[Considered, ...], recorded: RecordedSubject) -> tuple[dict[str, Any], ...]:
    """The entries that the rules looked at, found by term and day."""
    used = {
        (item.term, item.day): None
        for part in considered
        if part.explanation is not None
        for item in part.explanation.all_used()
        if item.day is not None
    }
    found: dict[str, dict[str, Any]] = {}
    for table, name in (("findings", "test"), ("adverse_events", "term")):
        frame = recorded.tables[table]
        for term, day in used:
            when = recorded.origin + timedelta(days=int(day))
            for row in frame.filter((pl.col(name) == term) & (pl.col("date") == when)).iter_rows(named=True):
                value = row.get("value")
                found[row["entry"]] = {
                    "entry": row["entry"],
                    "term": term,
                    "value": row.get("text") if value is None else value,
                    "grade": row.get("grade"),
                    "unit": row.get("unit"),
                    "low": row.get("low"),
                    "high": row.get("high"),
                    "date": when.isoformat(),
                }
    return tuple(found.values())


def _notes(followed: _Followed, on: date) -> tuple[str, ...]:
    recorded = followed.recorded
    origin = recorded.origin
    known = {visit.name for plan in followed.plans for visit in plan.visits}
    notes = [
        f"visit {name!r} on {origin + timedelta(days=day)} is none of the plan: it counts as unscheduled"
        for day in recorded.moments()
        for name in recorded.visits_on(day)
        if name not in known
    ]
    for day, _ in followed.log.deviations:
        notes.append(f"a dose was taken during a hold before {origin + timedelta(days=day)}")
    if followed.subjects.dose_unknown[0]:
        days = int(followed.subjects.dose_unknown[0])
        notes.append(f"{days} dosing days at this level have no exposure entry: days taken are unknown")
    return tuple(notes)

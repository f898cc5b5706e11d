"""A decision with everything it rests on: for the investigator, for the file, for the inspector."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from trialrun import __version__
from trialrun.rules import Explanation


@dataclass(frozen=True, slots=True)
class Considered:
    """One row of a table as it stood on the day: its verdict and the explanation."""

    table: str
    row: str
    verdict: str
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A decision about one subject on one day with everything it rests on.

    `dose` is what is to be taken on the day (0 = none); `data` the entries used, with dates; `waits_for` what an
    undetermined decision needs.
    """

    subject: str
    on: date
    study_day: int | None
    cycle: int | None
    cycle_day: int | None
    action: str
    dose: float | None
    unit: str | None
    level: float | None
    version: str | None
    version_hash: str | None
    version_because: str
    protocol: str
    rule: str | None
    section: str | None
    says: str | None
    status: str | None
    source: str | None
    reason: str
    considered: tuple[Considered, ...]
    data: tuple[dict[str, Any], ...]
    waits_for: tuple[str, ...]
    notes: tuple[str, ...]
    record_hash: str
    program: str = f"trialrun {__version__}"

    def as_dict(self) -> dict[str, Any]:
        """The certificate as plain values for JSON."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("considered", "data", "waits_for", "notes", "on")
        }
        return {
            **plain,
            "on": self.on.isoformat(),
            "waits_for": list(self.waits_for),
            "notes": list(self.notes),
            "data": [dict(item) for item in self.data],
            "considered": [
                {
                    "table": item.table,
                    "row": item.row,
                    "verdict": item.verdict,
                    "why": item.explanation.as_dict() if item.explanation else None,
                }
                for item in self.considered
            ],
        }


def undecided(
    protocol: str,
    record_hash: str,
    subject: str,
    on: date,
    because: str,
    reason: str,
    waits_for: tuple[str, ...],
    action: str = "undetermined",
) -> Certificate:
    """A certificate that says why no rule was asked."""
    return Certificate(
        subject=subject,
        on=on,
        study_day=None,
        cycle=None,
        cycle_day=None,
        action=action,
        dose=None,
        unit=None,
        level=None,
        version=None,
        version_hash=None,
        version_because=because,
        protocol=protocol,
        rule=None,
        section=None,
        says=None,
        status=None,
        source=None,
        reason=reason,
        considered=(),
        data=(),
        waits_for=waits_for,
        notes=(),
        record_hash=record_hash,
    )


def format_certificate(item: Certificate) -> str:
    """The certificate as text for people."""
    dose = "no dose" if not item.dose else f"{item.dose:g} {item.unit}"
    where = "before the first dose" if item.study_day is None else f"study day {item.study_day}"
    lines = [f"{item.subject} on {item.on} ({where}, cycle {item.cycle} day {item.cycle_day}): {item.action}, {dose}"]
    lines += [f"  protocol   {item.protocol}, version {item.version}, SHA-256 {(item.version_hash or 'none')[:16]}"]
    lines += [f"             {item.version_because}"]
    if item.rule is not None:
        lines += [f"  rule       {item.rule}, section {item.section}, {item.status}: {item.says}"]
    lines += [f"  reason     {item.reason}"]
    for considered in item.considered:
        lines.append(f"  {considered.verdict:<10} {considered.table}.{considered.row}")
        if considered.explanation is not None:
            lines += [f"             {line}" for line in considered.explanation.as_text().splitlines()]
    for entry in item.data:
        value = entry["value"] if entry["value"] is not None else f"grade {entry['grade']:g}"
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        lines.append(
            f"  data       {entry['term']} {shown} {entry['unit'] or ''} on {entry['date']} (entry {entry['entry']})"
        )
    lines += [f"  waits for  {name}" for name in item.waits_for]
    lines += [f"  note       {note}" for note in item.notes]
    lines += [f"  made by    {item.program}, record SHA-256 {item.record_hash[:16]}"]
    return "\n".join(lines)

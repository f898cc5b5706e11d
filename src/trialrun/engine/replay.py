"""Which past decisions would another version of the protocol have changed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl

from trialrun.engine.certificate import Certificate
from trialrun.engine.today import decide_on
from trialrun.protocol.version import Protocol
from trialrun.record import Record


@dataclass(frozen=True, slots=True)
class Replayed:
    """One past decision day of one subject: what was decided (or what the version in force says, where the record has
    no decision for the day), and what the other version says from the same data as known on that day."""

    subject: str
    on: date
    recorded: bool
    action: str
    dose: float | None
    version: str | None
    other: Certificate

    @property
    def changed(self) -> bool:
        """Whether the other version would have ordered another dose or ended treatment."""
        ended = {"stop", "off treatment"}
        return self.dose != self.other.dose or (self.action in ended) != (self.other.action in ended)


def replay(protocol: Protocol, record: Record, under: str) -> Iterator[Replayed]:
    """Every past decision of the record beside what version `under` says; ordered by subject and date.

    Decision days are those with an entry in `decisions`; for a subject without any, the days with a named visit.
    """
    protocol.version(under)
    decided = record.tables["decisions"]
    visits = record.tables["visits"]
    for subject in record.tables["subjects"]["subject"]:
        past = decided.filter(pl.col("subject") == subject).sort("date")
        if past.height:
            for row in past.iter_rows(named=True):
                other = decide_on(protocol, record, subject, row["date"], under)
                yield Replayed(subject, row["date"], True, row["action"], row["dose"], row["version"], other)
            continue
        for day in visits.filter(pl.col("subject") == subject)["date"].unique().sort():
            then = decide_on(protocol, record, subject, day)
            other = decide_on(protocol, record, subject, day, under)
            yield Replayed(subject, day, False, then.action, then.dose, then.version, other)

"""A record: its tables, what was set aside, and views of it as known on a day."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from types import MappingProxyType

import polars as pl

from trialrun.record.files import Rejected
from trialrun.record.tables import TABLES
from trialrun.vocab.problems import Problem


@dataclass(frozen=True, slots=True)
class HoldingVersion:
    """The protocol version that holds for a subject on a day, why, and what is missing where none does."""

    version: str | None
    because: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """Everything entered about a study.

    `tables` have the columns of `TABLES`; findings carry canonical test names and units and keep what was entered in
    `value_as_recorded`, `unit_as_recorded`. `rejected` holds lines that could not be used, `superseded` entries that
    were corrected, by table. `known_on` is the day of a view that as_known_on made.
    """

    tables: Mapping[str, pl.DataFrame]
    problems: tuple[Problem, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    superseded: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    known_on: date | None = None

    def as_known_on(self, day: date) -> Record:
        """What was known on a day: entries known by then, corrections made by then applied."""
        if self.known_on == day:
            return self  # all subjects are asked about the same day: the view is made once
        tables: dict[str, pl.DataFrame] = {}
        superseded: dict[str, pl.DataFrame] = {}
        for name, table in self.tables.items():
            happened = pl.col("date") if "date" in table.columns else pl.lit(None, dtype=pl.Date)
            known = pl.coalesce(pl.col("known"), happened)
            seen = table.filter(known.is_null() | (known <= day))
            replaced = seen.filter(pl.col("corrects").is_not_null())["corrects"]
            gone = pl.col("entry").is_in(replaced.implode())
            tables[name] = seen.filter(~gone)
            superseded[name] = seen.filter(gone)
        return replace(self, tables=MappingProxyType(tables), superseded=MappingProxyType(superseded), known_on=day)

    def version_for(self, subject: str, day: date) -> HoldingVersion:
        """The latest version that the subject's site has activated and the subject has consented to, both by that day
        (ICH E6(R3) 4.3.5)."""
        person = self.tables["subjects"].filter(pl.col("subject") == subject)
        if not person.height:
            return HoldingVersion(None, f"{subject} is not in the record", (f"a line for {subject} in subjects",))
        site = person["site"][0]
        approvals = self.tables["approvals"].filter((pl.col("site") == site) & (pl.col("date") <= day))
        consents = self.tables["consents"].filter((pl.col("subject") == subject) & (pl.col("date") <= day))
        agreed = consents.group_by("version").agg(pl.col("date").min().alias("consented"))
        both = approvals.join(agreed, on="version").sort("date", "version")
        if not both.height:
            missing = []
            if not approvals.height:
                missing.append(f"an approval of a version activated at site {site} by {day}")
            if not consents.height:
                missing.append(f"a consent of {subject} by {day}")
            if not missing:
                missing.append(f"consent of {subject} to a version that site {site} has activated")
            return HoldingVersion(None, f"no version is both activated at site {site} and consented to", tuple(missing))
        last = both.row(-1, named=True)
        because = f"activated at site {site} on {last['date']}, consented to on {last['consented']}"
        newer = approvals.filter(pl.col("date") > last["date"]).sort("date")
        if newer.height:
            because += f"; {newer['version'][-1]} is activated but not consented to"
        return HoldingVersion(last["version"], because)

    def version_changes(self, subject: str) -> list[date]:
        """The dates on which the version that holds for a subject may change: of activation and consent, ascending."""
        sites = self.tables["subjects"].filter(pl.col("subject") == subject)["site"]
        activated = self.tables["approvals"].filter(pl.col("site").is_in(sites.implode()))["date"]
        agreed = self.tables["consents"].filter(pl.col("subject") == subject)["date"]
        return sorted({*activated.to_list(), *agreed.to_list()})

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all lines, whatever their order."""
        digest = hashlib.sha256()
        for name in TABLES:
            table = self.tables[name]
            columns = [column.name for column in TABLES[name]]
            text = table.select(pl.concat_str(pl.col(columns).cast(pl.String).fill_null(""), separator="\x1f"))
            digest.update(name.encode())
            for line in text.to_series().sort():
                digest.update(line.encode())
                digest.update(b"\x1e")
        return digest.hexdigest()

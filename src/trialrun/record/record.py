"""A record: its tables, what was set aside, and views of it as known on a day."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from types import MappingProxyType

import polars as pl

from trialrun.record.corrections import LINKS, links_of, split_current
from trialrun.record.doses import derive_daily_doses, derive_days, derive_first_doses
from trialrun.record.marks import Rejected
from trialrun.record.tables import TABLES
from trialrun.vocab.problems import Problem, TrialrunError


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
    were corrected, by table. `unusable_corrections` are corrections among the rejected lines (`entry`, `corrects`,
    `known`): what they meant to replace does not count from the day they were known. `known_on` is the day of a view
    that as_known_on made; without it the tables hold corrected lines and corrections alike.
    """

    tables: Mapping[str, pl.DataFrame]
    problems: tuple[Problem, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    superseded: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    known_on: date | None = None
    unusable_corrections: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    whole: Record | None = field(default=None, repr=False, compare=False)

    def as_known_on(self, day: date) -> Record:
        """What was known on a day: entries known by then, corrections made by then applied.

        A view knows nothing later than its own day, whatever day it is asked about.
        """
        if self.known_on is not None and self.known_on <= day:
            return self  # all subjects are asked about the same day: the view is made once
        if self.whole is not None:
            return self.whole.as_known_on(day)
        tables: dict[str, pl.DataFrame] = {}
        superseded: dict[str, pl.DataFrame] = {}
        for name, table in self.tables.items():
            unusable = self.unusable_corrections.get(name, pl.DataFrame(schema=LINKS))
            links = pl.concat([links_of(table), unusable])
            tables[name], superseded[name] = split_current(table, links, day)
        return replace(
            self, tables=MappingProxyType(tables), superseded=MappingProxyType(superseded), known_on=day, whole=self
        )

    @cached_property
    def current(self) -> Record:
        """The record with every correction applied; a view is its own."""
        return self if self.known_on is not None else self.as_known_on(date.max)

    @cached_property
    def first_doses(self) -> pl.DataFrame:
        """`subject` and `first_dose`, the date of the first exposure with a dose above 0, for those who have one."""
        return derive_first_doses(self.current.tables["exposures"])

    def first_dose(self, subject: str) -> date | None:
        """The date of a subject's first dose, None before any."""
        found = self.first_doses.filter(pl.col("subject") == subject)["first_dose"]
        return found.item() if found.len() else None

    def days(self, table: str) -> pl.DataFrame:
        """A table with corrections applied, and `day`, `end_day`: offsets from the first dose, null before any dose."""
        if table not in self.tables:
            expected = ", ".join(TABLES)
            raise TrialrunError(Problem("unknown-table", "no table of a record", repr(table), expected))
        return derive_days(self.current.tables[table], self.first_doses)

    def daily_doses(self) -> pl.DataFrame:
        """Exposures as one row a subject and day: subject, date, day, drug, dose, unit, reason, entry.

        Days that no exposure covers have no row: their dose is unknown, not 0. Two exposures to one drug on one day are
        a TrialrunError.
        """
        return derive_daily_doses(self.current.tables["exposures"], self.first_doses)

    def version_for(self, subject: str, day: date) -> HoldingVersion:
        """The latest version that the subject's site has activated and the subject has consented to, both by that day
        (ICH E6(R3) 4.3.5). Of versions activated on one day, the one consented to last."""
        tables = self.current.tables
        person = tables["subjects"].filter(pl.col("subject") == subject)
        if not person.height:
            return HoldingVersion(None, f"{subject} is not in the record", (f"a line for {subject} in subjects",))
        site = person["site"][0]
        activated = tables["approvals"].filter((pl.col("site") == site) & (pl.col("date") <= day))
        activated = activated.group_by("version").agg(pl.col("date").min())
        consents = tables["consents"].filter((pl.col("subject") == subject) & (pl.col("date") <= day))
        agreed = consents.group_by("version").agg(pl.col("date").min().alias("consented"))
        both = activated.join(agreed, on="version").sort("date", "consented", "version")
        if not both.height:
            missing = []
            if not activated.height:
                missing.append(f"an approval of a version activated at site {site} by {day}")
            if not consents.height:
                missing.append(f"a consent of {subject} by {day}")
            if not missing:
                missing.append(f"consent of {subject} to a version that site {site} has activated")
            return HoldingVersion(None, f"no version is both activated at site {site} and consented to", tuple(missing))
        last = both.row(-1, named=True)
        because = f"activated at site {site} on {last['date']}, consented to on {last['consented']}"
        rivals = both.filter((pl.col("date") == last["date"]) & (pl.col("consented") == last["consented"]))["version"]
        if rivals.len() > 1:
            names = " and ".join(rivals)
            return HoldingVersion(
                None,
                f"{names} were activated on one day and consented to on one day",
                (f"which of {names} holds: a correction of the dates in approvals or consents",),
            )
        newer = activated.filter(pl.col("date") > last["date"]).sort("date")
        if newer.height:
            because += f"; {newer['version'][-1]} is activated but not consented to"
        return HoldingVersion(last["version"], because)

    def version_changes(self, subject: str) -> list[date]:
        """The dates on which the version that holds for a subject may change: of activation and consent, ascending."""
        tables = self.current.tables
        sites = tables["subjects"].filter(pl.col("subject") == subject)["site"]
        activated = tables["approvals"].filter(pl.col("site").is_in(sites.implode()))["date"]
        agreed = tables["consents"].filter(pl.col("subject") == subject)["date"]
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
            for part in text.to_series().sort().to_frame().iter_slices(100_000):
                digest.update("".join(f"{line}\x1e" for line in part.to_series()).encode())
        return digest.hexdigest()

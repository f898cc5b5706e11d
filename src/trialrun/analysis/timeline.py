"""When things happened to each subject, counted in days from that subject's first dose (day 0).

Dates alone order a day: what was measured on the day of a dose was measured before that dose, as visits are planned.
So a finding of day 0 is a baseline finding, and treatment-emergent means day 1 or later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from trialrun.analysis.run import VersionInfo
from trialrun.vocab.problems import Problem, TrialrunError

Tables = Mapping[str, pl.DataFrame]

AFTER_LAST_DOSE = 28  # days after the last dose in which toxicity still counts as on treatment (assumed: one cycle)
SPAN = 2**32  # a subject's row and a day in one number
_END_OF_STUDY = ("study discontinued", "death", "completed")


@dataclass(frozen=True)
class Timeline:
    """The days of all subjects.

    `subjects`: one row a subject, columns subject, first_dose (date; null: no dose taken), last_dose_day, end_day (the
    last day that anything is known of), toxicity_end_day (the last day on which toxicity counts as on treatment).
    `doses`: one row a subject and day on which the drug was taken, columns subject, day, dose (mg), cycle; in order.
    `cycles`: one row a subject and cycle begun, columns subject, cycle, start_day, last_dose_day.
    """

    subjects: pl.DataFrame
    doses: pl.DataFrame
    cycles: pl.DataFrame

    @cached_property
    def _numbered(self) -> bool:
        """Whether subjects are categories whose number is their row."""
        people = self.subjects["subject"]
        return isinstance(people.dtype, pl.Enum) and people.to_physical().to_list() == list(range(people.len()))

    def rows(self, who: pl.Series) -> pl.Series:
        """The row in `subjects` of each of these subjects; null where there is none."""
        people = self.subjects["subject"]
        if self._numbered and who.dtype == people.dtype:
            return who.to_physical()
        place = pl.DataFrame({"who": people}).with_row_index("row")
        return who.to_frame("who").join(place, on="who", how="left", maintain_order="left")["row"]

    def add_day(self, table: pl.DataFrame, date: str = "date", name: str = "day") -> pl.DataFrame:
        """`table` with the day offset of its column `date`; lines of subjects without a dose are left out."""
        first = self.subjects["first_dose"].to_physical().gather(self.rows(table["subject"]))
        days = table[date].to_physical().cast(pl.Int64) - first
        dated = table.with_columns(days.alias(name))
        return dated.filter(first.is_not_null()) if first.null_count() else dated


def derive_timeline(tables: Tables, info: VersionInfo) -> Timeline:
    """Doses day by day, cycles as they really began, and the ends, from a record's tables."""
    taken = _taken(tables["exposures"])
    first = taken.group_by("subject").agg(pl.col("date").min().alias("first_dose"))
    subjects = tables["subjects"].select("subject").unique(maintain_order=True).join(first, on="subject", how="left")
    doses, cycles = _with_cycles(_daily_doses(taken, first), info)
    return Timeline(_ends(subjects, doses, tables), doses, cycles)


def _taken(exposures: pl.DataFrame) -> pl.DataFrame:
    """The lines on which the drug was taken (dose above 0) with their last day."""
    taken = exposures.filter(pl.col("dose") > 0).select(
        "subject", "date", pl.coalesce("end_date", "date").alias("end_date"), "dose"
    )
    wrong = taken.filter((pl.col("end_date") >= pl.col("date")).fill_null(False).not_())
    if wrong.height:
        subject, date, end, _ = wrong.row(0)
        message, right = "a dose has no days", "a date, and an end on or after it"
        raise TrialrunError(Problem("end-before-start", message, f"{date} to {end} of {subject}", right))
    return taken


def _daily_doses(taken: pl.DataFrame, first: pl.DataFrame) -> pl.DataFrame:
    """One row a subject and day on which the drug was taken, in order, whatever runs of days the lines span."""
    runs = taken.join(first, on="subject", maintain_order="left").select(
        "subject",
        (pl.col("date") - pl.col("first_dose")).dt.total_days().alias("day"),
        (pl.col("end_date") - pl.col("first_dose")).dt.total_days().alias("last"),
        "dose",
    )
    daily = runs.select("subject", pl.int_ranges("day", pl.col("last") + 1).alias("day"), "dose").explode("day")
    same, before = pl.col("subject") == pl.col("subject").shift(), pl.col("subject").shift() < pl.col("subject")
    after = before | (same & (pl.col("day") > pl.col("last").shift()))
    if runs.select(after.slice(1).all()).item():  # one dose a day and in order, as simulated
        return daily
    return daily.group_by("subject", "day", maintain_order=True).agg(pl.col("dose").sum()).sort("subject", "day")


def _with_cycles(doses: pl.DataFrame, info: VersionInfo) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The doses with their cycle, and the cycles. Cycle 1 begins with the first dose, the next with the first dose after
    the last dosing day of the one before."""
    people = doses["subject"].rle().struct.unnest()
    lengths = people["len"].to_numpy().astype(np.int64)
    day = doses["day"].to_numpy()
    key = np.repeat(np.arange(lengths.size), lengths) * SPAN + day
    end = lengths.cumsum()
    at, left, number = end - lengths, np.arange(0 if info.days_on is None else lengths.size), 0
    found = [np.zeros((0, 4), dtype=np.int64)]
    while left.size:
        number += 1
        begin = at[left]
        at[left] = np.searchsorted(key, left * SPAN + day[begin] + info.days_on)
        found.append(np.column_stack([left, np.full(left.size, number), begin, at[left]]))
        left = left[at[left] < end[left]]
    whole = np.concatenate(found)
    who, cycle, begin, stop = whole[np.lexsort((whole[:, 1], whole[:, 0]))].T
    of_dose = pl.Series("cycle", np.repeat(cycle, stop - begin), dtype=pl.Int64)
    cycles = pl.DataFrame(
        {
            "subject": people["value"].gather(who),
            "cycle": pl.Series(cycle, dtype=pl.Int64),
            "start_day": pl.Series(day[begin], dtype=pl.Int64),
            "last_dose_day": pl.Series(day[stop - 1], dtype=pl.Int64),
        }
    )
    return doses.with_columns(of_dose if info.days_on is not None else pl.lit(None, pl.Int64).alias("cycle")), cycles


def _ends(subjects: pl.DataFrame, doses: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    last_dose = doses.group_by("subject").agg(pl.col("day").max().alias("last_dose_day"))
    known = pl.concat(
        [
            *(tables[table].select("subject", "date") for table in ("visits", "findings", "adverse_events")),
            tables["exposures"].select("subject", pl.col("end_date").fill_null(pl.col("date")).alias("date")),
            tables["dispositions"].select("subject", "date"),
        ]
    )
    last = known.group_by("subject").agg(pl.col("date").max().alias("last_known"))
    ended = (
        tables["dispositions"]
        .filter(pl.col("event").is_in(_END_OF_STUDY))
        .group_by("subject")
        .agg(pl.col("date").min().alias("ended"))
    )
    return (
        subjects.join(last_dose, on="subject", how="left", maintain_order="left")
        .join(last, on="subject", how="left", maintain_order="left")
        .join(ended, on="subject", how="left", maintain_order="left")
        .with_columns(
            (pl.coalesce("ended", "last_known") - pl.col("first_dose")).dt.total_days().alias("end_day"),
            (pl.col("last_dose_day") + AFTER_LAST_DOSE).alias("toxicity_end_day"),
        )
        .drop("last_known", "ended")
    )

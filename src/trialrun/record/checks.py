"""What must hold within and across the tables of a record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches

import polars as pl

from trialrun.record.corrections import check_corrections
from trialrun.record.marks import COPY, LINE, RAW, Marks
from trialrun.vocab.units import find_unit

_NOT_CONTENT = (LINE, RAW, "entry", "known", "corrects", "why_corrected", "value_as_recorded", "unit_as_recorded")
EARLIEST_BIRTH_YEARS = 125  # the oldest age on record is 122 years (assumed bound for slips of the pen)


def check_across(frames: Mapping[str, pl.DataFrame], files: Mapping[str, str], marks: Marks, today: date) -> None:
    """Identity, time, codes and corrections, for every table."""
    people = frames["subjects"]
    born = people.filter(pl.col("corrects").is_null()).select("subject", _born=pl.col("birth_date"))
    born = born.unique("subject", keep="first", maintain_order=True)
    _check_entries(frames, files, marks)
    for name, frame in frames.items():
        if not frame.height:
            continue
        file = files[name]
        _check_duplicates(frame, name, file, marks)
        if name != "subjects" and "subject" in frame.columns:
            _check_subjects(frame, name, file, marks, people["subject"].drop_nulls().unique().to_list())
        _check_dates(frame, name, file, marks, born, today)
        check_corrections(frame, name, file, marks)
    _check_people(people, files["subjects"], marks, today)
    _check_exposures(frames["exposures"], files["exposures"], marks)
    _check_doses(frames["concomitant"], "concomitant", files["concomitant"], marks)
    _check_doses(frames["decisions"], "decisions", files["decisions"], marks)
    events = frames["adverse_events"]
    graded = events.filter(~pl.col("grade").is_in([1.0, 2.0, 3.0, 4.0, 5.0]))
    message, right = "the grade is not a grade", "1, 2, 3, 4 or 5"
    marks.add("adverse_events", files["adverse_events"], graded, "unknown-value", message, "{grade:g}", right)


def _check_entries(frames: Mapping[str, pl.DataFrame], files: Mapping[str, str], marks: Marks) -> None:
    """Entry identifiers are unique in the record; the first line keeps a doubled one."""
    every = pl.concat([frame.select("entry", LINE, _table=pl.lit(name)) for name, frame in frames.items()]).filter(
        pl.col("entry").is_not_null()
    )
    if every["entry"].n_unique() == every.height:
        return
    first = every.unique("entry", keep="first", maintain_order=True).rename({"_table": "_where", LINE: "_at"})
    later = every.filter(~pl.col("entry").is_first_distinct()).join(first, on="entry", maintain_order="left")
    for (name,), rows in later.group_by("_table", maintain_order=True):
        message, right = "the entry identifier stands twice", "an identifier of its own; {_where} line {_at} has it"
        marks.add(str(name), files[str(name)], rows, "entry-twice", message, "{entry!r}", right)


def _check_duplicates(frame: pl.DataFrame, name: str, file: str, marks: Marks) -> None:
    content = [column for column in frame.columns if column not in _NOT_CONTENT]
    entered = frame.filter(pl.col("corrects").is_null())
    keys = entered.select(content)
    if keys.hash_rows().n_unique() == entered.height:
        return
    copies = entered.with_columns(_first=pl.col(LINE).first().over(content)).filter(
        ~pl.struct(content).is_first_distinct()
    )
    marks.add(name, file, copies, "duplicate-row", COPY, "as line {_first}", "each fact once")


def _check_subjects(frame: pl.DataFrame, name: str, file: str, marks: Marks, known: list[str]) -> None:
    strange = frame.filter(pl.col("subject").is_not_null() & ~pl.col("subject").is_in(known))
    if not strange.height:
        return
    near = {item: get_close_matches(item, known, n=1) for item in strange["subject"].unique().head(20)}
    said = {item: f"a subject of subjects.csv; {close[0]!r}?" for item, close in near.items() if close}
    right = pl.col("subject").replace_strict(said, default="a subject of subjects.csv", return_dtype=pl.String)
    message = "the subject is not in the subjects table"
    marks.add(name, file, strange.with_columns(_right=right), "unknown-subject", message, "{subject!r}", "{_right}")


def _check_dates(frame: pl.DataFrame, name: str, file: str, marks: Marks, born: pl.DataFrame, today: date) -> None:
    columns = [column for column in ("birth_date", "date", "end_date", "known") if column in frame.columns]
    for column in columns:
        late = frame.filter(pl.col(column) > today)
        found, right = f"{{{column}}}", f"a date up to {today}"
        marks.add(name, file, late, "date-in-future", f"{column} is after today", found, right)
    if "date" not in columns:
        return
    if "subject" in frame.columns:
        aged = frame.join(born, on="subject", how="left", maintain_order="left")
        early = aged.filter(pl.col("date") < pl.col("_born"))
        message, right = "date is before the subject was born", "a date from {_born} on"
        marks.add(name, file, early, "date-before-birth", message, "{date}", right)
    if "end_date" in columns:
        back = frame.filter(pl.col("end_date") < pl.col("date"))
        message, right = "end_date is before date", "an end on or after the start"
        marks.add(name, file, back, "end-before-start", message, "{date} to {end_date}", right)
    before = frame.filter(pl.col("known") < pl.col("date"))
    message, found = "it was known before it happened", "known {known}, happened {date}"
    marks.add(name, file, before, "known-before-happened", message, found, "known on or after date")


def _check_people(people: pl.DataFrame, file: str, marks: Marks, today: date) -> None:
    twice = people.filter(pl.col("corrects").is_null() & pl.col("subject").is_not_null())
    twice = twice.filter(~pl.col("subject").is_first_distinct())
    message, right = "the subject stands twice", "one line a subject; a correction names the line it corrects"
    marks.add("subjects", file, twice, "subject-twice", message, "{subject!r}", right)
    old = people.filter(pl.col("birth_date").dt.year() < today.year - EARLIEST_BIRTH_YEARS)
    message, right = "birth_date is further back than anyone's", f"a date from {today.year - EARLIEST_BIRTH_YEARS} on"
    marks.add("subjects", file, old, "implausible-value", message, "{birth_date}", right)


def _check_doses(frame: pl.DataFrame, name: str, file: str, marks: Marks) -> None:
    negative = frame.filter(pl.col("dose") < 0)
    message, right = "a dose cannot be negative", "0 for a held or missed dose"
    marks.add(name, file, negative, "negative-value", message, "{dose:g}", right)
    bare = frame.filter(pl.col("dose").is_not_null() & (pl.col("dose") != 0) & pl.col("unit").is_null())
    marks.add(name, file, bare, "missing-unit", "a dose has no unit", "{dose:g}", "mg")
    strange = [unit for unit in frame["unit"].drop_nulls().unique(maintain_order=True) if find_unit(unit) is None]
    marks.add(name, file, frame.filter(pl.col("unit").is_in(strange)), "unknown-unit", "unknown unit of the dose",
              "{unit!r}", "mg")  # fmt: skip


def _check_exposures(frame: pl.DataFrame, file: str, marks: Marks) -> None:
    _check_doses(frame, "exposures", file, marks)
    open_ = frame.filter((pl.col("end_date") - pl.col("date")).dt.total_days() > 366)
    message, right = "a dose was taken for more than a year on end", "a line for each run of days; check end_date"
    marks.add("exposures", file, open_, "long-exposure", message, "{date} to {end_date}", right, "warning")
    message, right = "two exposures to one drug cover the same day", "days that no other line covers; see line {_of}"
    marks.add("exposures", file, overlapping(frame), "exposures-overlap", message, "{date} to {end_date}", right)


def overlapping(frame: pl.DataFrame) -> pl.DataFrame:
    """Exposures that cover a day which an earlier one of that subject and drug covers (`_of`: its line).

    Corrected lines do not count, nor do lines whose end is before their start.
    """
    replaced = frame["corrects"].drop_nulls().implode()
    last = pl.coalesce("end_date", "date")
    ordered = (
        frame.filter(~pl.col("entry").is_in(replaced).fill_null(False) & (last >= pl.col("date")))
        .with_columns(_last=last, _drug=pl.col("drug").str.to_lowercase())
        .sort("subject", "_drug", "date", LINE)
    )
    group = ["subject", "_drug"]
    return ordered.with_columns(
        _reached=pl.col("_last").cum_max().shift(1).over(group),
        _of=pl.col(LINE).shift(1).over(group),
    ).filter(pl.col("date") <= pl.col("_reached")).sort(LINE)  # fmt: skip

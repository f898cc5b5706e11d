"""Corrections: which line of a chain of corrections counts, and what a correction must say."""

from __future__ import annotations

from datetime import date

import polars as pl

from trialrun.record.marks import Marks

LINKS = {"entry": pl.String(), "corrects": pl.String(), "known": pl.Date()}


def links_of(table: pl.DataFrame) -> pl.DataFrame:
    """The corrections among the lines of a table: `entry`, what it `corrects`, and when it was `known`."""
    return table.filter(pl.col("corrects").is_not_null()).select("entry", "corrects", known_from(table))


def known_from(table: pl.DataFrame) -> pl.Expr:
    """When a line was known: as it says, else when it happened, else (null) always."""
    happened = pl.col("date") if "date" in table.columns else pl.lit(None, dtype=pl.Date)
    return pl.coalesce(pl.col("known"), happened).alias("known")


def roots(links: pl.DataFrame) -> pl.DataFrame:
    """`entry` and the `root` of its chain: the line that was corrected first; null where the chain is a circle."""
    step = links.select("entry", root="corrects").unique("entry", keep="first", maintain_order=True)
    hops = 1
    while hops < 2 * step.height + 2:  # each round doubles how far a root was followed
        further = step.rename({"entry": "root", "root": "_next"})
        step = step.join(further, on="root", how="left", maintain_order="left").select(
            "entry", root=pl.coalesce("_next", "root")
        )
        hops *= 2
    circular = pl.col("root").is_in(step["entry"].implode())
    return step.with_columns(root=pl.when(circular).then(None).otherwise(pl.col("root")))


def split_current(table: pl.DataFrame, links: pl.DataFrame, day: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines of a table that count on a day, and those that a correction known by then replaced.

    `links` holds all corrections, those that could not be used too: what they correct does not count any more. Where
    two corrections compete for one line, the one known last counts, of those known on one day the one further down.
    """
    seen = table.filter(known_from(table).is_null() | (known_from(table) <= day))
    known = links.filter(pl.col("known").is_null() | (pl.col("known") <= day))
    if not known.height:
        return seen, seen.head(0)
    gone = pl.col("entry").is_in(known["corrects"].implode()).fill_null(False)
    chains = roots(known)
    last = (
        seen.with_row_index("_at")
        .join(chains, on="entry", how="inner", maintain_order="left")
        .filter(~gone & pl.col("root").is_not_null())
        .with_columns(_known=known_from(table))
        .sort("_known", "_at", nulls_last=False)
    )
    beaten = last.filter(~pl.col("root").is_last_distinct())["entry"]
    gone = gone | pl.col("entry").is_in(beaten.implode()).fill_null(False)
    return seen.filter(~gone), seen.filter(gone)


def check_corrections(frame: pl.DataFrame, name: str, file: str, marks: Marks) -> None:
    """Corrections name an entry of their table, give a reason and the day, and do not go round in a circle."""
    corrections = frame.filter(pl.col("corrects").is_not_null())
    orphans = frame.filter(pl.col("corrects").is_null() & pl.col("why_corrected").is_not_null())
    message = "a reason for a correction, but no entry that is corrected"
    marks.add(name, file, orphans, "corrects-nothing", message, "{why_corrected!r}", "the corrected entry in corrects")
    if not corrections.height:
        return
    entries = frame["entry"].drop_nulls().unique().implode()
    lost = corrections.filter(~pl.col("corrects").is_in(entries))
    message = "it corrects an entry that is not in the table"
    marks.add(name, file, lost, "corrects-nothing", message, "{corrects!r}", "the entry of another line")
    own = corrections.filter(pl.col("corrects") == pl.col("entry"))
    marks.add(name, file, own, "corrects-itself", "it corrects itself", "{entry!r}", "the entry of another line")
    silent = corrections.filter(pl.col("why_corrected").is_null())
    marks.add(name, file, silent, "no-reason", "a correction without its reason", None, "a reason in why_corrected")
    undated = corrections.filter(pl.col("known").is_null())
    message = "a correction that does not say when it became known counts from the day it is about"
    marks.add(name, file, undated, "no-known-date", message, None, "a date in known", "warning")
    links = corrections.filter(pl.col("corrects") != pl.col("entry")).select("entry", "corrects")
    round_ = roots(links).filter(pl.col("root").is_null())["entry"].implode()
    circle = corrections.filter(pl.col("entry").is_in(round_))
    message, right = "corrections that correct each other in a circle", "a later line corrects an earlier one"
    marks.add(name, file, circle, "correction-cycle", message, "{entry} corrects {corrects}", right)
    rivals = corrections.filter(pl.col("corrects").is_duplicated())
    rivals = rivals.with_columns(_first=pl.col("entry").first().over("corrects"))
    rivals = rivals.filter(~pl.col("corrects").is_first_distinct())
    message = "two lines correct the same entry: the one known last counts"
    right = "a correction of the correction: {_first} in corrects"
    marks.add(name, file, rivals, "corrected-twice", message, "{corrects!r}", right, "warning")
    _check_against_original(frame, corrections, name, file, marks)


def _check_against_original(frame: pl.DataFrame, corrections: pl.DataFrame, name: str, file: str, marks: Marks) -> None:
    person = [pl.col("subject").alias("_subject")] if "subject" in frame.columns else []
    original = frame.select(pl.col("entry").alias("corrects"), known_from(frame).alias("_known"), *person)
    original = original.unique("corrects", keep="first", maintain_order=True)
    pairs = corrections.join(original, on="corrects", how="inner", maintain_order="left")
    early = pairs.filter(pl.col("known") < pl.col("_known"))
    message, right = "a correction that was known before what it corrects", "a date in known from {_known} on"
    marks.add(name, file, early, "corrected-before-known", message, "{known}", right, "warning")
    if person:
        moved = pairs.filter(pl.col("subject") != pl.col("_subject"))
        message, right = "it corrects an entry of another subject", "an entry of {subject}"
        marks.add(name, file, moved, "corrects-other", message, "{corrects!r} of {_subject}", right)

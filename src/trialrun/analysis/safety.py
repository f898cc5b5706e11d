"""Safety outcomes: worst grades on treatment, adverse events, deaths, creatinine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from trialrun.analysis.timeline import Tables, Timeline
from trialrun.criteria.ctcae.values import grade_values

RISE = 26.5  # umol/L (0.3 mg/dL): Howard 2011, N Engl J Med 364:1844-54; also KDIGO 2012 stage 1


def derive_baseline(findings: pl.DataFrame, test: str) -> pl.DataFrame:
    """The last value of `test` up to and on the day of the first dose: columns subject, baseline (canonical unit).

    `findings` carries `day` offsets. A subject without one is not in the answer.
    """
    return (
        findings.filter((pl.col("test") == test) & (pl.col("day") <= 0) & pl.col("value").is_not_null())
        .sort("subject", "day", maintain_order=True)
        .group_by("subject", maintain_order=True)
        .agg(pl.col("value").last().alias("baseline"))
    )


def on_treatment(lines: pl.DataFrame, timeline: Timeline, first_day: int) -> pl.DataFrame:
    """The lines (with `day`) from `first_day` to 28 days after the last dose."""
    end = timeline.subjects["toxicity_end_day"].gather(timeline.rows(lines["subject"]))
    return lines.filter((pl.col("day") >= first_day) & (pl.col("day") <= end))


def derive_reviewed(tables: Tables, timeline: Timeline) -> pl.DataFrame:
    """Subjects seen at a visit after the first dose: only of them an unreported event can be called absent."""
    visits = timeline.add_day(tables["visits"].select("subject", "date"))
    return visits.filter(pl.col("day") > 0).select("subject").unique()


def derive_worst_events(
    tables: Tables, timeline: Timeline, names: Mapping[str, str], reviewed: pl.DataFrame
) -> pl.DataFrame:
    """Worst grade, onset and count of adverse events on treatment, from the day of the first dose.

    `names`: how each term is called in the columns. Columns subject and for each `{name}_grade` (0 = none in a subject who
    was seen again; null = not known, or one without a grade), `{name}_day` (start of the first one) and `{name}_episodes`.
    """
    lines = timeline.add_day(tables["adverse_events"].filter(pl.col("term").is_in(list(names))))
    happened = (
        on_treatment(lines, timeline, first_day=0)
        .group_by("subject", "term")
        .agg(
            # Among several, one whose grade is missing could be the worst: then the worst is not known, unless death.
            pl.when(pl.col("grade").is_null().any() & (pl.col("grade").max().fill_null(0) < 5))
            .then(None)
            .otherwise(pl.col("grade").max())
            .cast(pl.Int64)
            .alias("grade"),
            pl.col("day").min().alias("first"),
            pl.len().cast(pl.Int64).alias("episodes"),
        )
    )
    seen = reviewed.with_columns(pl.lit(True).alias("reviewed"))
    worst = (
        timeline.subjects.lazy().select("subject").join(seen.lazy(), on="subject", how="left", maintain_order="left")
    )
    for term, name in names.items():
        absent = (pl.col("reviewed") & pl.col(f"{name}_episodes").is_null()).fill_null(False)
        of_term = happened.lazy().filter(pl.col("term") == term)
        worst = worst.join(
            of_term.select(
                "subject",
                pl.col("grade").alias(f"{name}_grade"),
                pl.col("first").alias(f"{name}_day"),
                pl.col("episodes").alias(f"{name}_episodes"),
            ),
            on="subject",
            how="left",
            maintain_order="left",
        ).with_columns(
            pl.when(absent).then(0).otherwise(pl.col(f"{name}_{what}")).alias(f"{name}_{what}")
            for what in ("grade", "episodes")
        )
    return worst.drop("reviewed").collect()


def derive_deaths(tables: Tables, timeline: Timeline) -> pl.DataFrame:
    """Columns subject, death (null: nothing known after the first dose), death_day."""
    died = (
        timeline.add_day(tables["dispositions"].filter(pl.col("event") == "death"))
        .group_by("subject")
        .agg(pl.col("day").min().alias("death_day"))
    )
    joined = timeline.subjects.join(died, on="subject", how="left", maintain_order="left")
    known = (pl.col("end_day") > 0) | pl.col("death_day").is_not_null()
    return joined.select("subject", pl.when(known).then(pl.col("death_day").is_not_null()).alias("death"), "death_day")


def derive_creatinine(findings: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """Columns subject, creatinine_rise (umol/L, largest value on treatment minus baseline) and creatinine_rise_26.

    Null without a baseline or without a value on treatment. `creatinine_rise_26`: a rise of at least 26.5 umol/L.
    """
    peak = (
        on_treatment(findings.filter(pl.col("test") == "creatinine"), timeline, first_day=1)
        .group_by("subject")
        .agg(pl.col("value").max().alias("peak"))
    )
    return (
        timeline.subjects.select("subject")
        .join(derive_baseline(findings, "creatinine"), on="subject", how="left", maintain_order="left")
        .join(peak, on="subject", how="left", maintain_order="left")
        .select("subject", (pl.col("peak") - pl.col("baseline")).alias("creatinine_rise"))
        .with_columns((pl.col("creatinine_rise").round(9) >= RISE).alias("creatinine_rise_26"))
    )


def derive_worst_count(findings: pl.DataFrame, timeline: Timeline, test: str, name: str, ctcae: str) -> pl.DataFrame:
    """Worst CTCAE grade of a low blood count on treatment, from the day after the first dose.

    Columns subject, `{name}_low` and `{name}_high`, between which the worst grade lies, `{name}_grade` where they agree, and
    `{name}_emergent`: whether it is worse than that of the last count up to the first dose (ICH E9, treatment emergent).
    The bounds differ where a count above every fixed cut point came without its lower limit of normal (grade 0 or 1).
    Null without a count on treatment, and where the bounds leave it open. `findings` carries day, value and low in the
    test's canonical unit.
    """
    counts = findings.filter((pl.col("test") == test) & pl.col("value").is_not_null())
    before = counts.filter(pl.col("day") <= 0).sort("subject", "day", maintain_order=True)
    worst = _grade_counts(on_treatment(counts, timeline, first_day=1), test, ctcae, pl.Expr.max)
    baseline = _grade_counts(before, test, ctcae, pl.Expr.last).rename(
        {"low_end": "low_before", "high_end": "high_before"}
    )
    low, high = pl.col(f"{name}_low"), pl.col(f"{name}_high")
    # worse for certain, or for certain not: no count that is normal or better can be worse, whatever it was before
    certainly_not = (high == 0) | (high <= pl.col("low_before"))
    worse = pl.when(low > pl.col("high_before")).then(True).when(certainly_not).then(False)
    return (
        timeline.subjects.select("subject")
        .join(worst, on="subject", how="left", maintain_order="left")
        .join(baseline, on="subject", how="left", maintain_order="left")
        .rename({"low_end": f"{name}_low", "high_end": f"{name}_high"})
        .with_columns(pl.when(low == high).then(low).alias(f"{name}_grade"), worse.alias(f"{name}_emergent"))
        .drop("low_before", "high_before")
    )


def _grade_counts(counts: pl.DataFrame, test: str, ctcae: str, one_of: Callable[[pl.Expr], pl.Expr]) -> pl.DataFrame:
    """Columns subject, low_end and high_end: between which the grade of one of the subject's counts lies."""
    grades = grade_values(
        test,
        counts["value"].cast(pl.Float64).to_numpy(),
        low=counts["low"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        version=ctcae,
    )
    ends = {"low_end": grades.low_end.astype("int64"), "high_end": grades.high_end.astype("int64")}
    # -1: CTCAE has no grade for it at all; then nothing bounds the grade but the scale
    unbounded = {"low_end": 0, "high_end": 4}
    return (
        counts.select("subject")
        .with_columns(pl.Series(end, values) for end, values in ends.items())
        .with_columns(
            pl.when(pl.col(end) < 0).then(most).otherwise(pl.col(end)).alias(end) for end, most in unbounded.items()
        )
        .group_by("subject")
        .agg(one_of(pl.col(end)) for end in ends)
    )

"""What happened over time, counted for figures: doses by week, laboratory values by day, grades, flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.run import VersionInfo
from trialrun.analysis.timeline import Timeline

IntArray = NDArray[np.int64]

REST = "planned rest"
NOT_TAKEN = "held or missed"
OFF = "treatment ended"
BIN = 3.5  # days: half a week, so that the visits of one week and the one in between stay apart
FEWEST = 0.25  # bins with fewer than this share of the fullest bin's values are left out: visits of a few, such as of
# those whose dose is held, are not comparable with visits of everybody


def derive_dose_by_week(timeline: Timeline, outcomes: pl.DataFrame, info: VersionInfo, weeks: int) -> pl.DataFrame:
    """How the treated subjects' days were spent in each week: columns week (from 1), state, dose (mg; null when no drug
    was taken), share (of all subject-days of the week in subjects who were ever treated).

    `state` is a dose such as `10 mg`, `planned rest`, `held or missed`, or `treatment ended`. Shares of a week sum
    to 1. After the end of treatment, whatever the reason (also the end of follow-up), time counts as ended.
    """
    treated = outcomes.filter("treated")
    n, days = treated.height, weeks * 7
    if n == 0:
        return pl.DataFrame(schema={"week": pl.Int64, "state": pl.String, "dose": pl.Float64, "share": pl.Float64})
    length = treated["treatment_days"].fill_null(0).to_numpy()
    on_treatment = n - _ended_by(length, days)
    taken = timeline.doses.filter(pl.col("day") < days)
    by_dose = taken.group_by("day", "dose").agg(pl.len().alias("count"))
    any_dose = np.zeros(days)
    counted = by_dose.group_by("day").agg(pl.col("count").sum())
    any_dose[counted["day"].to_numpy()] = counted["count"].to_numpy()
    rest = _resting(timeline, treated, info, days)
    idle = np.maximum(on_treatment - any_dose - rest, 0)
    week = np.arange(days) // 7 + 1
    parts = [by_dose.with_columns((pl.col("day") // 7 + 1).alias("week"), _dose_name(pl.col("dose")).alias("state"))]
    for name, count in ((REST, rest), (NOT_TAKEN, idle), (OFF, n - np.maximum(on_treatment, any_dose))):
        parts.append(pl.DataFrame({"week": week, "state": name, "count": count}).with_columns(dose=pl.lit(None)))
    columns = [
        pl.col("week").cast(pl.Int64),
        "state",
        pl.col("dose").cast(pl.Float64),
        pl.col("count").cast(pl.Float64),
    ]
    return (
        pl.concat([part.select(columns) for part in parts])
        .group_by("week", "state", "dose")
        .agg((pl.col("count").sum() / (7 * n)).alias("share"))
        .sort("week", "dose", "state", nulls_last=True)
    )


def _dose_name(dose: pl.Expr) -> pl.Expr:
    return pl.format("{} mg", dose.cast(pl.String).str.strip_suffix(".0"))


def _ended_by(length: IntArray, days: int) -> IntArray:
    """How many have ended treatment by each day 0 .. days-1: those treated for at most that many days."""
    counts = np.bincount(np.clip(length, 0, days), minlength=days + 1)
    return np.cumsum(counts)[:days]


def _resting(timeline: Timeline, treated: pl.DataFrame, info: VersionInfo, days: int) -> IntArray:
    """How many are in the planned rest of a cycle on each day: counted from where rests begin and end."""
    if info.days_on is None or info.cycle_days is None or timeline.cycles.height == 0:
        return np.zeros(days, dtype=np.int64)
    rests = (
        timeline.cycles.with_columns(pl.col("start_day").shift(-1).over("subject").alias("next"))
        .join(treated.select("subject", "treatment_days"), on="subject")
        .with_columns(
            # A rest begins after the last dosing day, or after a dose that was taken later than that.
            (pl.col("start_day") + info.days_on).alias("from"),
            pl.min_horizontal(pl.col("start_day") + info.cycle_days, "next", "treatment_days").alias("to"),
        )
        .filter(pl.col("from") < pl.col("to"))
    )
    begin = np.bincount(np.clip(rests["from"].to_numpy(), 0, days), minlength=days + 1)
    end = np.bincount(np.clip(rests["to"].to_numpy(), 0, days), minlength=days + 1)
    return np.cumsum(begin - end)[:days]


def derive_course(findings: pl.DataFrame, test: str, last_day: int, relative: bool = False) -> pl.DataFrame:
    """The values of one test over time, over all subjects: columns day (mean of its half-week), n, median, p10, p90,
    p01, p99, in the test's canonical unit; with `relative`, as a multiple of each subject's baseline.

    `findings` carries day offsets; values up to `last_day`. Half-weeks with few values are left out.
    """
    values = findings.filter((pl.col("test") == test) & pl.col("value").is_not_null() & (pl.col("day") <= last_day))
    if relative:
        baseline = (
            values.filter(pl.col("day") <= 0)
            .sort("subject", "day", maintain_order=True)
            .group_by("subject")
            .agg(pl.col("value").last().alias("baseline"))
            .filter(pl.col("baseline") > 0)
        )
        values = values.join(baseline, on="subject").with_columns(pl.col("value") / pl.col("baseline"))
    binned = (
        values.filter(pl.col("day") >= -1)
        .group_by(((pl.col("day") + BIN / 2) / BIN).floor().cast(pl.Int64).alias("bin"))
        .agg(
            pl.col("day").mean(),
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("value").median().alias("median"),
            *(
                pl.col("value").quantile(level / 100, "linear").alias(f"p{level:02d}")
                for level in (1, 10, 25, 75, 90, 99)
            ),
        )
        .sort("bin")
        .drop("bin")
    )
    return binned.filter(pl.col("n") >= FEWEST * pl.col("n").max())


def derive_change_from_baseline(findings: pl.DataFrame, test: str) -> pl.DataFrame:
    """The findings of one test as the difference to each subject's last value up to day 0 (canonical unit)."""
    values = findings.filter((pl.col("test") == test) & pl.col("value").is_not_null())
    baseline = (
        values.filter(pl.col("day") <= 0)
        .sort("subject", "day", maintain_order=True)
        .group_by("subject")
        .agg(pl.col("value").last().alias("baseline"))
    )
    return values.join(baseline, on="subject").with_columns(pl.col("value") - pl.col("baseline")).drop("baseline")


def derive_grades(outcomes: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """How many treated subjects had each worst grade: columns outcome, grade (0 to 5; null = not assessable), count,
    share (of all treated)."""
    treated = outcomes.filter("treated")
    parts = [
        treated.group_by(pl.col(column).alias("grade"))
        .agg(pl.len().cast(pl.Int64).alias("count"))
        .with_columns(pl.lit(column).alias("outcome"))
        for column in columns
    ]
    return (
        pl.concat(parts)
        .select("outcome", pl.col("grade").cast(pl.Int64), "count")
        .with_columns((pl.col("count") / max(treated.height, 1)).alias("share"))
        .sort("outcome", "grade", nulls_last=True)
    )


def derive_flow(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The participants' way: columns step (enrolled, not treated, treated, discontinued, continued, not known), reason
    (of discontinuation) and count; `discontinued` appears once per reason."""
    treated = outcomes.filter("treated")
    gone = treated.filter("discontinued")
    reasons = (
        gone.group_by(pl.col("discontinuation_reason").fill_null("not stated").alias("reason"))
        .agg(pl.len().alias("count"))
        .sort(["count", "reason"], descending=[True, False])
    )
    steps: list[tuple[str, str | None, int]] = [
        ("enrolled", None, outcomes.height),
        ("not treated", None, outcomes.height - treated.height),
        ("treated", None, treated.height),
        *(("discontinued", reason, count) for reason, count in reasons.iter_rows()),
        ("continued", None, treated.filter(~pl.col("discontinued")).height),
        ("not known", None, treated["discontinued"].null_count()),
    ]
    return pl.DataFrame(steps, schema={"step": pl.String, "reason": pl.String, "count": pl.Int64}, orient="row")

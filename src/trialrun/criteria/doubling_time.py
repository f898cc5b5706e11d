"""Lymphocyte doubling time from series of counts, by a linear or a log-linear fit."""

from __future__ import annotations

from typing import Literal

import polars as pl

from trialrun.criteria.tables import select
from trialrun.vocab.problems import Problem, TrialrunError

Method = Literal["linear", "log-linear"]


def compute_doubling_time(counts: pl.DataFrame, *, method: Method) -> pl.DataFrame:
    """The lymphocyte doubling time of each subject.

    `counts`: subject, day (offset), lymphocytes (10*9/L) and perhaps excluded (true: infection or steroids, left out).
    `method` has no default because the two give different numbers: `linear` fits count = a + b x day and answers
    a / b, with a the fitted count on the first day; `log-linear` answers ln 2 / slope of the logarithm.

    Columns: subject, doubling_time (days; null where there is none), status (`doubling`, `not doubling`, `not
    evaluable`), reason, method, n, span (days), initial (the first count), below_30 (true: not to be used alone).
    Fewer than 3 counts or a span under 8 weeks are not evaluable. Source: iwCLL 2018 (`data/doubling_time.csv`).
    """
    missing = [name for name in ("subject", "day", "lymphocytes") if name not in counts.columns]
    if missing:
        raise TrialrunError(
            Problem("missing-column", "counts lack columns", ", ".join(missing), "subject, day, lymphocytes")
        )
    if method not in ("linear", "log-linear"):
        raise TrialrunError(Problem("unknown-choice", "unknown method", str(method), "linear or log-linear"))
    rules = {row.item: row.bound or 0.0 for row in select("doubling_time", "iwCLL-2018")}
    kept = ~pl.col("excluded") if "excluded" in counts.columns else pl.lit(True)
    usable = counts.with_columns(
        day=pl.col("day").cast(pl.Float64), count=pl.col("lymphocytes").cast(pl.Float64).fill_nan(None)
    )
    bad = usable.filter((pl.col("count") < 0) | ((pl.col("count") == 0) & pl.lit(method == "log-linear")))
    if not bad.is_empty():
        found = f"{bad['count'][0]} of {bad['subject'][0]}"
        raise TrialrunError(Problem("impossible-value", "a count that cannot be fitted", found, "a number above zero"))
    y = pl.col("count").log() if method == "log-linear" else pl.col("count")
    fits = (
        usable.filter(kept & pl.col("count").is_not_null() & pl.col("day").is_not_null())
        .sort("subject", "day")
        .with_columns(t=pl.col("day") - pl.col("day").min().over("subject"), y=y)
        .group_by("subject", maintain_order=True)
        .agg(
            n=pl.len().cast(pl.Int64),
            span=pl.col("t").max(),
            initial=pl.col("count").first(),
            slope=pl.cov("t", "y", ddof=0) / pl.col("t").var(ddof=0),
            mean_t=pl.col("t").mean(),
            mean_y=pl.col("y").mean(),
        )
        .with_columns(start=pl.col("mean_y") - pl.col("slope") * pl.col("mean_t"))
    )
    reason = (
        pl.when(pl.col("n").fill_null(0) < int(rules["number"]))
        .then(pl.lit("fewer than 3 counts"))
        .when(pl.col("span") < rules["span"])
        .then(pl.lit("counts over less than 2 months (8 weeks)"))
        .when(pl.lit(method == "linear") & (pl.col("start") <= 0) & (pl.col("slope") > 0))
        .then(pl.lit("the fitted count on the first day is not above zero"))
    )
    doubles = pl.col("slope") > 0
    time = pl.lit(2.0).log() / pl.col("slope") if method == "log-linear" else pl.col("start") / pl.col("slope")
    return (
        counts.select("subject")
        .unique(maintain_order=True)
        .join(fits, on="subject", how="left", maintain_order="left")
        .with_columns(reason=reason)
        .with_columns(
            status=pl.when(pl.col("reason").is_not_null())
            .then(pl.lit("not evaluable"))
            .when(doubles)
            .then(pl.lit("doubling"))
            .otherwise(pl.lit("not doubling")),
            n=pl.col("n").fill_null(0),
            method=pl.lit(method),
            below_30=pl.col("initial") < rules["initial"],
        )
        .with_columns(doubling_time=pl.when(pl.col("status") == "doubling").then(time))
        .select("subject", "doubling_time", "status", "reason", "method", "n", "span", "initial", "below_30")
    )

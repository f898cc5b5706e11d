"""When the tumour-lysis window opens: at the start of therapy, at every first higher dose, at every long restart."""

from __future__ import annotations

import polars as pl

from trialrun.vocab.problems import Problem, TrialrunError

# A restart opens a window when more than this many planned dosing days were missed or held in a row. After the
# venetoclax labelling ("interruption of more than 1 week during ramp-up: reassess the risk of tumour lysis").
UNPLANNED_DAYS_OFF = 7


def plan_lysis_windows(exposures: pl.DataFrame) -> pl.DataFrame:
    """The starts around which tumour lysis is looked for: subject, day, kind, dose.

    `exposures`: subject, day (offset of the first day of this dose), dose (a day; 0 = held or missed) and perhaps
    end_day (last day, inclusive; null = the same day). Days without a line are planned rest and are not counted.

    kind is `start` (first dose ever), `step_up` (first dose higher than every dose before) or `restart` (first dose
    after more than 7 held or missed days in a row); a restart at a first higher dose is a `step_up`.
    """
    missing = [name for name in ("subject", "day", "dose") if name not in exposures.columns]
    if missing:
        raise TrialrunError(
            Problem("missing-column", "exposures lacks columns", ", ".join(missing), "subject, day, dose")
        )
    if exposures.select(pl.any_horizontal(pl.col("day", "dose").is_null()).any()).item():
        raise TrialrunError(Problem("missing-dose", "an exposure has no day or no dose", "null", "a number (0 = held)"))
    end = pl.coalesce(pl.col("end_day"), pl.col("day")) if "end_day" in exposures.columns else pl.col("day")
    positive = pl.col("dose") > 0
    return (
        exposures.sort("subject", "day", maintain_order=True)
        .with_columns(off=pl.when(positive).then(0.0).otherwise(end - pl.col("day") + 1.0))
        .with_columns(off_so_far=pl.col("off").cum_sum().over("subject"))
        .filter(positive)
        .with_columns(
            highest=pl.col("dose").cum_max().shift().over("subject"),
            off_between=(pl.col("off_so_far") - pl.col("off_so_far").shift()).over("subject"),
        )
        .with_columns(
            kind=pl.when(pl.col("highest").is_null())
            .then(pl.lit("start"))
            .when(pl.col("dose") > pl.col("highest"))
            .then(pl.lit("step_up"))
            .when(pl.col("off_between") > UNPLANNED_DAYS_OFF)
            .then(pl.lit("restart"))
        )
        .filter(pl.col("kind").is_not_null())
        .select("subject", pl.col("day").cast(pl.Float64), "kind", "dose")
    )

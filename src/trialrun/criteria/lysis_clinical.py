"""Clinical tumour lysis and its grade: events and creatinine beside laboratory tumour lysis.

Events are a long table: subject, day, event (arrhythmia, seizure, death, oliguria, symptomatic_hypocalcemia,
creatinine_x_uln), grade (1 to 5; null where not graded), value (for creatinine_x_uln) and attributable (true: directly
or probably due to a therapeutic agent, so it does not count; null: unknown). A subject without a line had no event:
pass the table only when events were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from trialrun.criteria.lysis_values import select_optional, window_days
from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import SAME
from trialrun.vocab.problems import Problem, TrialrunError

EVENTS = ("arrhythmia", "seizure", "death", "oliguria", "symptomatic_hypocalcemia", "creatinine_x_uln")

_SCHEMA = {
    "subject": pl.String,
    "day": pl.Float64,
    "event": pl.String,
    "grade": pl.Int8,
    "value": pl.Float64,
    "attributable": pl.Boolean,
}


def empty_events() -> pl.DataFrame:
    """An events table without a line: asked, and nothing happened."""
    return pl.DataFrame(schema=_SCHEMA)


def add_clinical_lysis(
    laboratory: pl.LazyFrame,
    windows: pl.DataFrame,
    labs: pl.DataFrame,
    events: pl.DataFrame | None,
    definitions: Sequence[str],
) -> pl.LazyFrame:
    """The laboratory table (a row for each window and definition) with ctls, ctls_day, ctls_grade and events (those that
    count) added."""
    asked = events is not None
    who = windows["subject"].dtype
    said = _checked(events) if events is not None else empty_events()
    happened = pl.concat([said.with_columns(pl.col("subject").cast(who)), _creatinine(labs, who)])
    keys = ["window", "definition"]
    beside = (
        windows.lazy()
        .select("window", "subject", "start_day")
        .join(happened.lazy(), on="subject", how="inner")
        .join(_creatinine_baseline(windows, labs).lazy(), on="window", how="left")
    )
    judged = pl.concat([_judge(_within(beside, name), name) for name in sorted(definitions)])
    not_caused = ~pl.col("attributable")
    counted = (
        judged.with_columns(counts=pl.col("holds") & not_caused)
        .group_by(keys)
        .agg(
            event=pl.col("counts").any(ignore_nulls=False),
            event_day=pl.col("day").filter(pl.col("counts")).min(),
            events=pl.col("event").filter(pl.col("counts")).unique().sort(),
            grade=pl.col("event_grade").filter(pl.col("counts")).max(),
            ungraded=pl.col("event_grade").filter(pl.col("counts")).is_null().any(),
            knows_creatinine=pl.col("informs").any(),
        )
    )
    complete = pl.lit(asked) & pl.col("knows_creatinine").fill_null(False)
    has_event = pl.when(pl.col("event").fill_null(False)).then(True).when(complete).then(pl.col("event"))
    ctls = pl.col("ltls") & pl.col("has_event")
    graded = pl.when(pl.col("ungraded") & (pl.col("grade").fill_null(0) < 5)).then(None).otherwise(pl.col("grade"))
    gradable = pl.col("definition").is_in([name for name in definitions if select_optional(name, "grade 4")])
    return (
        laboratory.join(counted, on=keys, how="left")
        .with_columns(has_event=has_event, events=pl.col("events").fill_null(pl.lit([], dtype=pl.List(pl.String))))
        .with_columns(ctls=ctls)
        .with_columns(
            ctls_day=pl.when("ctls").then(pl.max_horizontal("ltls_day", "event_day")),
            ctls_grade=pl.when(~gradable)
            .then(None)
            .when("ctls")
            .then(graded)
            .when(~pl.col("ctls"))
            .then(pl.lit(0))
            .cast(pl.Int8),
        )
        .drop("event", "event_day", "grade", "ungraded", "knows_creatinine", "has_event")
    )


def _checked(events: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in ("subject", "day", "event") if name not in events.columns]
    if missing:
        raise TrialrunError(Problem("missing-column", "events lacks columns", ", ".join(missing), ", ".join(_SCHEMA)))
    rest = [pl.lit(None, dtype).alias(name) for name, dtype in _SCHEMA.items() if name not in events.columns]
    whole = events.with_columns(rest).select([pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items()])
    unknown = whole.filter(~pl.col("event").is_in(EVENTS))
    if not unknown.is_empty():
        raise TrialrunError(
            Problem("unknown-event", "unknown event", unknown["event"][0], "one of " + ", ".join(EVENTS))
        )
    if whole["day"].is_null().any():
        raise TrialrunError(Problem("missing-day", "an event has no day", "null", "a day offset"))
    return whole


def _creatinine(labs: pl.DataFrame, who: pl.DataType) -> pl.DataFrame:
    """Measured creatinine as events: the value itself, and its multiple of the upper limit where that is known."""
    nothing = [pl.lit(None, pl.Int8).alias("grade"), pl.lit(False).alias("attributable")]
    measured = labs.filter((pl.col("test") == "creatinine") & pl.col("value").is_not_null())
    days = pl.col("day").cast(pl.Float64)
    plain = measured.select("subject", days, event=pl.lit("creatinine"), value=pl.col("value").cast(pl.Float64))
    ratios = plain.clear()
    if "high" in labs.columns:
        ratio = (pl.col("value") / pl.col("high")).cast(pl.Float64)
        with_limit = measured.filter(pl.col("high") > 0)
        ratios = with_limit.select("subject", days, event=pl.lit("creatinine_x_uln"), value=ratio)
    types: dict[str, pl.DataType | type[pl.DataType]] = {**_SCHEMA, "subject": who}
    return pl.concat([plain, ratios]).with_columns(nothing).select([pl.col(n).cast(t) for n, t in types.items()])


def _creatinine_baseline(windows: pl.DataFrame, labs: pl.DataFrame) -> pl.DataFrame:
    starts = windows.select("window", "subject", "start_day").sort("start_day")
    known = (
        labs.filter((pl.col("test") == "creatinine") & pl.col("value").is_not_null())
        .select("subject", pl.col("day").cast(pl.Float64), creatinine_baseline=pl.col("value").cast(pl.Float64))
        .sort("day")
    )
    joined = starts.join_asof(known, left_on="start_day", right_on="day", by="subject", check_sortedness=False)
    return joined.select("window", "creatinine_baseline")


def _within(beside: pl.LazyFrame, definition: str) -> pl.LazyFrame:
    """The events that the window of this definition holds."""
    before, after = window_days(definition)
    since = pl.col("day").floor() - pl.col("start_day").floor()
    return beside.filter((since >= -before) & (since <= after)).with_columns(definition=pl.lit(definition))


def _past(column: pl.Expr, row: Row) -> pl.Expr:
    bound = row.bound or 0.0
    room = abs(bound) * SAME
    return column > bound + room if row.operator == ">" else column >= bound - room


def _judge(inside: pl.LazyFrame, definition: str) -> pl.LazyFrame:
    """Which events are clinical criteria of this definition (`holds`), and their grade."""
    event = pl.col("event")
    holds = event == "death"
    informs = pl.lit(False)  # whether this line says how the creatinine is
    has_baseline = pl.col("creatinine_baseline").is_not_null()
    for row in select("tumor_lysis", definition, "clinical"):
        it = event == row.item
        if row.item == "creatinine_x_uln":
            # Howard: the multiple of the limit speaks only where there is no baseline to rise from
            speaks = ~has_baseline if definition == "Howard-2011" else pl.lit(True)
            holds = pl.when(it).then(_past(pl.col("value"), row) & speaks).otherwise(holds)
            informs = informs | (it & speaks)
        elif row.item == "creatinine":
            rise = pl.col("value") - pl.col("creatinine_baseline")
            holds = pl.when(it).then(_past(rise, row) & has_baseline).otherwise(holds)
            informs = informs | (it & has_baseline)
        elif row.item != "attributable":
            holds = pl.when(it).then(pl.col("grade").is_null() | (pl.col("grade") > 0)).otherwise(holds)
    grade = pl.when(event == "death").then(pl.lit(5)).otherwise(pl.col("grade"))
    bands = [
        (int(row.part[-1]), row)
        for row in select("tumor_lysis", definition)
        if row.part.startswith("grade") and row.item == "creatinine_x_uln"
    ]
    for number, row in sorted(bands, key=lambda band: band[0]):  # the highest band that holds comes last
        here = (event == row.item) & _past(pl.col("value"), row)
        grade = pl.when(here).then(pl.lit(number)).otherwise(grade)
    return inside.with_columns(holds=holds, informs=informs, event_grade=grade.cast(pl.Int8))

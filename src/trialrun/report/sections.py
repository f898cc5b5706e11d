"""The sections of the page on what happened to the participants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from trialrun.analysis.profiles import NOT_TAKEN, OFF, REST
from trialrun.report import figures
from trialrun.report.model import Figure, Flow, Section, Step, Table, rows_of
from trialrun.report.view import ALC_DAYS, LAB_DAYS, VersionView

Views = Sequence[VersionView]

# Laboratory criteria drawn as lines. Cairo MS, Bishop M. Br J Haematol 2004;127:3-11; creatinine: Howard SC et al.
# N Engl J Med 2011;364:1844-54 (rise of 0.3 mg/dL).
BOUNDS: Mapping[str, tuple[str, str, float, str]] = {
    "urate": ("Urate", "µmol/L", 476.0, "p99"),
    "phosphate": ("Phosphate", "mmol/L", 1.45, "p99"),
    "potassium": ("Potassium", "mmol/L", 6.0, "p99"),
    "calcium": ("Calcium (total)", "mmol/L", 1.75, "p01"),
    "creatinine": ("Creatinine, change from baseline", "µmol/L", 26.5, "p99"),
}
GRADE_LABELS = {
    "flare_grade": "Tumour flare",
    "neutropenia_grade": "Neutropenia",
    "thrombocytopenia_grade": "Thrombocytopenia",
    "febrile_neutropenia_grade": "Febrile neutropenia",
    "infection_grade": "Infection",
    "ctls_reported_grade": "Clinical tumour lysis",
}


def percent(share: float) -> str:
    """A share in percent; a small one that is not nothing does not look like nothing."""
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def number(value: float | None, digits: int = 2) -> str:
    """A number, or nothing where there is none."""
    return "" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def make_flow(view: VersionView) -> Flow:
    """Enrolled, treated, and what became of them."""
    counts = {step: count for step, reason, count in view.flow.iter_rows() if reason is None}
    gone = tuple((str(reason), count) for step, reason, count in view.flow.iter_rows() if step == "discontinued")
    stopped = sum(count for _, count in gone)
    steps = [
        Step("enrolled", counts["enrolled"], *_branch("took no dose", counts["not treated"])),
        Step("treated", counts["treated"], f"{stopped:,} discontinued" if stopped else "none discontinued", gone),
        Step("on treatment at the end", counts["continued"], *_branch("not followed", counts["not known"])),
    ]
    return Flow(view.info.version, tuple(steps))


def _branch(label: str, count: int) -> tuple[str, tuple[tuple[str, int], ...]]:
    return ("", ((label, count),)) if count else ("", ())


def make_doses(views: Views) -> Section:
    """Doses given week by week, and the time to the target dose."""
    drawn = tuple(_dose_figure(view) for view in views)
    curve = _target_figure(views)
    paragraphs = (
        "Each column is a week; the darker a field, the larger the share of participant-days spent so. The pale fourth "
        "column of every four is the week without the drug that the schedule plans.",
    )
    figures_drawn = drawn + ((curve,) if curve else ())
    return Section("doses", "Doses given", paragraphs, figures=figures_drawn, legend=curve is not None)


def _dose_figure(view: VersionView) -> Figure:
    by_week = view.doses
    doses = by_week.filter(pl.col("dose").is_not_null()).sort("dose", descending=True)["state"]
    states = [*dict.fromkeys(doses.to_list()), REST, NOT_TAKEN, OFF]
    wide = by_week.pivot(on="state", index="week", values="share", aggregate_function="sum").sort("week").fill_null(0.0)
    columns = [state for state in states if state in wide.columns]
    rows = [[str(row["week"]), *(percent(row[state]) for state in columns)] for row in wide.iter_rows(named=True)]
    table = Table(
        f"Share of participant-days by week, {view.info.version}",
        ("Week", *columns),
        rows_of(rows),
        numeric=frozenset(range(1, len(columns) + 1)),
    )
    most = _commonest_dose(view)
    return Figure(
        f"Doses week by week, {view.info.version}",
        figures.draw_doses(by_week.filter(pl.col("share") >= 0.005), states, view.weeks),
        f"Strip of {view.weeks} weeks under {view.info.version}. {most}",
        table,
        "A dose is counted when it was taken. Treatment ended includes the end of follow-up. Shares below 0.5 % are "
        "not drawn.",
    )


def _commonest_dose(view: VersionView) -> str:
    doses = view.doses.filter(pl.col("dose").is_not_null())
    if doses.height == 0:
        return "No dose was taken."
    words = []
    for week in sorted({1, 5, 9, view.weeks - 1} & set(doses["week"].to_list())):
        first = doses.filter(pl.col("week") == week).sort("share", descending=True).row(0, named=True)
        words.append(f"week {week}: {first['state']} ({percent(first['share'])} of participant-days)")
    return "Commonest dose in " + "; ".join(words) + "."


def _target_figure(views: Views) -> Figure | None:
    drawn = [view for view in views if view.target is not None]
    if not drawn:
        return None
    parts, rows, last = [], [], 0.0
    for view in drawn:
        curve = view.target
        assert curve is not None
        reached = 1 - curve.survival
        parts.append(
            pl.DataFrame(
                {
                    "version": view.info.version,
                    "day": np.concatenate([[0.0], curve.time]),
                    "value": np.concatenate([[0.0], reached]),
                    "low": np.concatenate([[0.0], np.where(np.isnan(curve.high), reached, 1 - curve.high)]),
                    "high": np.concatenate([[0.0], np.where(np.isnan(curve.low), reached, 1 - curve.low)]),
                }
            )
        )
        last = max(last, float(curve.time[reached >= reached.max()].min()) if len(curve.time) else 0.0)
        for share in (0.25, 0.5, 0.75):
            at = curve.time[reached >= share]
            rows.append([view.info.version, percent(share), f"day {at[0]:.0f}" if len(at) else "not reached"])
    table = Table(
        "Days by which a share of participants had reached the target dose", ("Version", "Share", "By"), rows_of(rows)
    )
    words = "; ".join(f"{row[0]}: {row[1]} by {row[2]}" for row in rows)
    return Figure(
        "Time to the target dose",
        figures.draw_curves(
            pl.concat(parts), [view.info.version for view in drawn], "target dose reached", int(last) + 14
        ),
        f"Share of participants who have reached the target dose (Kaplan-Meier). {words}.",
        table,
        "Kaplan-Meier with its 95 % interval; participants whose treatment ended before are censored then. "
        "The target dose differs between versions.",
    )


def make_labs(views: Views) -> tuple[Figure, ...]:
    """Tumour-lysis laboratory values over the first three cycles, with the bounds of the criteria."""
    versions = [view.info.version for view in views]
    drawn = []
    for test, (label, unit, bound, tail) in BOUNDS.items():
        parts = [view.labs[test].with_columns(pl.lit(view.info.version).alias("version")) for view in views]
        courses = pl.concat(parts)
        if courses.height == 0:
            continue
        extreme = "1st" if tail == "p01" else "99th"
        says = "bound of the criteria"
        svg = figures.draw_course(courses, versions, f"{label.split(',')[0]}, {unit}", [(bound, says)], tail, LAB_DAYS)
        peaks = []
        for view in views:
            course = view.labs[test]
            if course.height:
                worst = course[tail].min() if tail == "p01" else course[tail].max()
                peaks.append(f"{view.info.version} {number(float(worst), 2)} {unit}")  # type: ignore[arg-type]
        rows = [
            [
                row["version"],
                number(row["day"], 0),
                str(row["n"]),
                *(number(row[c]) for c in ("p10", "median", "p90", tail)),
            ]
            for row in courses.iter_rows(named=True)
        ]
        drawn.append(
            Figure(
                label,
                svg,
                f"{label} over the first {LAB_DAYS} days. Most extreme {extreme} percentile: {'; '.join(peaks)}. "
                f"Bound of the criteria {bound:g} {unit}.",
                Table(
                    f"{label} ({unit})",
                    ("Version", "Day", "Values", "10th", "Median", "90th", f"{extreme}"),
                    rows_of(rows),
                    numeric=frozenset(range(1, 7)),
                ),
                f"Line: median; band: 10th to 90th percentile; thin line: {extreme} percentile; "
                f"black: {bound:g} {unit}.",
            )
        )
    return tuple(drawn)


def make_lymphocytes(views: Views) -> Section:
    """Lymphocytes over time with the days on the drug shaded, and the rebound in the week off."""
    drawn: list[Figure] = []
    says: list[str] = []
    for place, view in enumerate(views):
        if view.alc.height == 0:
            continue
        drawn.append(_alc_figure(view, place))
        if view.by_cycle.height:
            drawn.append(_rebound_figure(view, place))
            first = view.by_cycle.row(0, named=True)
            says.append(
                f"Under {view.info.version}, in cycle {first['cycle']} the median count stood at {number(first['on'])} "
                f"of baseline at the end of the on-period and at {number(first['off'])} at the end of the week off; "
                f"it rose in {percent(first['rising'])} of {first['n']:,} participants with both counts."
            )
    return Section(
        "lymphocytes", "Lymphocytes on the drug and in the week off", tuple(says), figures=tuple(drawn), pairs=True
    )


def _alc_figure(view: VersionView, place: int) -> Figure:
    info = view.info
    on = []
    if info.days_on and info.cycle_days:
        on = [(start, min(start + info.days_on - 1, ALC_DAYS - 1)) for start in range(0, ALC_DAYS, info.cycle_days)]
    rows = [
        [
            number(row["day"], 0),
            str(row["n"]),
            *(number(row[column]) for column in ("p10", "p25", "median", "p75", "p90")),
        ]
        for row in view.alc.iter_rows(named=True)
    ]
    low = view.alc.sort("median").row(0, named=True)
    return Figure(
        f"Lymphocytes over time, {info.version}",
        figures.draw_lymphocytes(view.alc, place, on, ALC_DAYS),
        f"Lymphocytes as a multiple of baseline over {ALC_DAYS} days under {info.version}; the lowest median is "
        f"{number(low['median'])} on day {low['day']:.0f}.",
        Table(
            f"Lymphocytes as a multiple of baseline, {info.version}",
            ("Day", "Values", "10th", "25th", "Median", "75th", "90th"),
            rows_of(rows),
            numeric=frozenset(range(7)),
        ),
        "Gray: planned days on the drug; white: week off. Line: median; bands: 25th to 75th and 10th to 90th "
        "percentile. Logarithmic scale.",
    )


def _rebound_figure(view: VersionView, place: int) -> Figure:
    long = view.by_cycle.unpivot(on=["on", "off"], index="cycle", variable_name="phase").with_columns(
        pl.col("phase").replace_strict({"on": "end of on-period", "off": "end of week off"})
    )
    rows = [
        [str(row["cycle"]), str(row["n"]), number(row["on"]), number(row["off"]), percent(row["rising"])]
        for row in view.by_cycle.iter_rows(named=True)
    ]
    words = "; ".join(f"cycle {row[0]} from {row[2]} to {row[3]}" for row in rows)
    return Figure(
        f"Rebound in the week off, {view.info.version}",
        figures.draw_rebound(long, place),
        f"Median lymphocytes from the end of the on-period to the end of the week off: {words}.",
        Table(
            f"Lymphocytes at the ends of on-period and week off (multiple of baseline), {view.info.version}",
            ("Cycle", "Participants", "End of on-period", "End of week off", "Rising"),
            rows_of(rows),
            numeric=frozenset(range(5)),
        ),
        "Participants with both counts of the cycle. Only cycles with a visit at the end of the on-period appear.",
    )


def make_toxicity(views: Views) -> Section:
    """Worst grades as stacked bars, one figure a version."""
    drawn = []
    for view in views:
        order = list(GRADE_LABELS.values())
        grades = view.grades.with_columns(
            pl.col("outcome").replace_strict(GRADE_LABELS).alias("label"),
            pl.col("grade").fill_null(6).alias("place"),
            pl.when(pl.col("grade").is_null())
            .then(pl.lit("not assessable"))
            .otherwise(pl.col("grade").cast(pl.String))
            .alias("grade"),
        )
        shares = {(row["label"], row["grade"]): row for row in grades.iter_rows(named=True)}
        heads = ["0", "1", "2", "3", "4", "5", "not assessable"]
        rows = [
            [label, *(f"{shares[(label, head)]['count']}" if (label, head) in shares else "0" for head in heads)]
            for label in order
        ]
        severe = [
            f"{label} {percent(sum(shares[(label, g)]['share'] for g in ('3', '4', '5') if (label, g) in shares))}"
            for label in order
        ]
        drawn.append(
            Figure(
                f"Worst grade on treatment, {view.info.version}",
                figures.draw_grades(grades, order),
                f"Share of participants with grade 3 or worse under {view.info.version}: {'; '.join(severe)}.",
                Table(
                    f"Participants by worst grade, {view.info.version}",
                    ("Event", *heads),
                    rows_of(rows),
                    numeric=frozenset(range(1, 8)),
                ),
            )
        )
    said = (
        "Worst grade of each participant from the first dose to 28 days after the last. Neutropenia and "
        f"thrombocytopenia are graded from the counts by CTCAE {views[0].info.ctcae}; the others are adverse events as "
        "reported. Grade 0: none seen in a participant who was seen again."
    )
    return Section("toxicity", "Flare and toxicity by grade", (said,), figures=tuple(drawn), pairs=True)


def make_response(views: Views) -> Section:
    """Best response under each version."""
    order = ["CR", "nPR", "PR", "SD", "PD", "NE"]
    parts = []
    for view in views:
        treated = view.outcomes.filter("treated")
        named = treated.select(pl.col("best_response").fill_null("NE").alias("category"))
        parts.append(
            named.group_by("category")
            .agg(pl.len().cast(pl.Int64).alias("count"))
            .with_columns((pl.col("count") / max(treated.height, 1)).alias("share"))
            .with_columns(pl.lit(view.info.version).alias("version"))
        )
    shares = pl.concat(parts).sort("version", "category")
    present = [category for category in order if category in set(shares["category"].to_list())]
    versions = [view.info.version for view in views]
    found = {(row["version"], row["category"]): row for row in shares.iter_rows(named=True)}
    rows = [[version, *(_count(found.get((version, category))) for category in present)] for version in versions]
    words = "; ".join(
        f"{row[0]}: " + ", ".join(f"{c} {v}" for c, v in zip(present, row[1:], strict=True)) for row in rows
    )
    figure = Figure(
        "Best response",
        figures.draw_shares(shares, versions, present),
        f"Best response of treated participants. {words}.",
        Table("Best response", ("Version", *present), rows_of(rows), numeric=frozenset(range(1, len(present) + 1))),
        "CR complete, PR partial response, SD stable, PD progressive disease, NE not evaluable.",
    )
    said = "Best response by the criteria of the NCI Working Group of 1996, confirmed as they ask."
    return Section("response", "Response", (said,), figures=(figure,))


def _count(row: Mapping[str, Any] | None) -> str:
    return "0" if row is None else f"{row['count']} ({percent(row['share'])})"

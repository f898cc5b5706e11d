"""The section of the page on survival."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from trialrun.analysis.estimates import MONTE_CARLO_ONLY
from trialrun.analysis.survival import HORIZONS, OS, PFS, Survival, estimate_both
from trialrun.report import figures
from trialrun.report.model import Figure, Section, Table, rows_of
from trialrun.report.sections import percent
from trialrun.report.view import VersionView

Found = Sequence[tuple[str, Survival]]


def make_survival(views: Sequence[VersionView], virtual: bool) -> Section | None:
    """Kaplan-Meier curves of progression-free and overall survival; None where nobody was treated."""
    found = [(view.info.version, one) for view in views for one in estimate_both(view.outcomes)]
    if not found:
        return None
    drawn = tuple(
        _figure([(version, one) for version, one in found if one.outcome is outcome]) for outcome in (PFS, OS)
    )
    last = max(one.followed for _, one in found)
    words = (
        f"Kaplan-Meier from the first dose. Nobody was followed beyond day {last}, so that nothing is said of later "
        "survival. Progression is by the response criteria, or treatment stopped for progressive disease; death is from "
        "any cause. The drug makes nodes swell (flare): early progression may be flare that two examinations showed.",
        "Participants who leave are watched no longer and count until their last day. Where leaving goes with a bad "
        "course, both curves are too high." + (f" Intervals are {MONTE_CARLO_ONLY}." if virtual else ""),
    )
    return Section("survival", "Survival", words, figures=drawn, legend=True, pairs=True)


def _figure(found: Found) -> Figure:
    title = found[0][1].outcome.label
    parts, lines = [], []
    last = max(one.followed for _, one in found)
    days_shown = [day for day in HORIZONS if day <= last]
    for version, one in found:
        curve = one.curve
        days, shares, low, high = (
            np.concatenate([[start], part])
            for start, part in ((0.0, curve.time), (1.0, curve.survival), (1.0, curve.low), (1.0, curve.high))
        )
        low, high = (np.where(np.isnan(bound), shares, bound) for bound in (low, high))
        parts.append(pl.DataFrame({"version": version, "day": days, "value": shares, "low": low, "high": high}))
        lines.append([version, f"{curve.events} of {curve.n}", *(_at(one, day) for day in days_shown), _median(one)])
    heads = ("Version", "Events", *(f"Day {day}" for day in days_shown), "Median")
    table = Table(
        title,
        heads,
        rows_of(lines),
        numeric=frozenset({1}),
        note="Share without the event, 95 % interval, and how many at risk.",
    )
    spoken = "; ".join(f"{version}: {one.curve.events} events in {one.curve.n}" for version, one in found)
    svg = figures.draw_curves(pl.concat(parts), [version for version, _ in found], title.lower(), last + 1)
    return Figure(title, svg, f"{title} (Kaplan-Meier). {spoken}.", table, "Steps with their 95 % intervals.")


def _at(one: Survival, day: int) -> str:
    share = one.at(day)
    if share is None:
        return "not followed so long"
    bounds = "" if np.isnan(share.low) else f" ({100 * share.low:.1f} to {100 * share.high:.1f})"
    return f"{percent(share.value)}{bounds}; {one.at_risk(day)} at risk"


def _median(one: Survival) -> str:
    return "not reached" if np.isnan(one.median.value) else f"day {one.median.value:.0f}"

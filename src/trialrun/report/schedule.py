"""The schedule of activities: visits by activities, as the plan of a version gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trialrun.report.model import Section, Table, rows_of
from trialrun.report.view import VersionView


def make_schedule(views: Sequence[VersionView]) -> Section | None:
    """A table of visits by activities for each version that has a plan; None where none has."""
    tables = tuple(_table(view) for view in views if view.plan.visits)
    if not tables:
        return None
    said = (
        "Visits of the plan, were no cycle delayed. Study day 1 is the day of the first dose; the window is that of "
        "the first such visit. A cross marks what is done."
    )
    return Section("schedule", "Schedule of activities", (said,), tables=tables)


def _table(view: VersionView) -> Table:
    plan = view.plan
    visits: dict[str, list[Mapping[str, Any]]] = {}
    for visit in plan.visits:
        visits.setdefault(str(visit["visit"]), []).append(visit)
    done = [str(name) for visit in plan.visits for name in visit.get("activities", ())]
    done += [str(name) for visit in plan.conditional for name in visit.get("does", ())]
    used = dict.fromkeys(done)
    activities = [name for name in plan.labels if name in used] + [name for name in used if name not in plan.labels]
    rows = []
    for name, times in visits.items():
        does = {str(activity) for visit in times for activity in visit.get("activities", ())}
        rows.append([_words(name), _cycles(times), _days(times), *("×" if part in does else "" for part in activities)])
    for visit in plan.conditional:
        does = set(map(str, visit.get("does", ())))
        crosses = ("×" if part in does else "" for part in activities)
        rows.append([_words(str(visit["visit"])), "", _condition(visit), *crosses])
    heads = ("Visit", "Cycle", "Study day (window)", *(plan.labels.get(name, _words(name)) for name in activities))
    return Table(f"Schedule under {view.info.version}", heads, rows_of(rows), keep=frozenset({1}))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cycles(times: Sequence[Mapping[str, Any]]) -> str:
    numbers = sorted({int(visit["cycle"]) for visit in times if visit.get("cycle")})
    if not numbers:
        return ""
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _days(times: Sequence[Mapping[str, Any]]) -> str:
    """The first three days of a visit, with the window of the first."""
    # spaces that do not break: a day stays with its window
    days = [visit["study_day"] for visit in times if visit.get("study_day") is not None]
    shown = ", ".join(_signed(day) for day in days[:3]) + (", …" if len(days) > 3 else "")
    first = times[0]
    if first.get("earliest") is None or first.get("latest") is None:
        return shown
    return f"{shown} ({_signed(first['earliest'])} to {_signed(first['latest'])})".replace(" ", "\N{NO-BREAK SPACE}")


def _signed(day: int) -> str:
    return str(day).replace("-", "−")


def _condition(visit: Mapping[str, Any]) -> str:
    words = f"when {visit['when']}" if visit.get("when") else "when needed"
    if visit.get("every_days"):
        words += f", every {visit['every_days']} days"
    if visit.get("after_days"):
        words += f", after {visit['after_days']} days"
    return words

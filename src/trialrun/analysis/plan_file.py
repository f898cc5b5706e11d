"""The plan of a version as a run keeps it beside the record (`plan.json`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trialrun.vocab.problems import Location, Problem, TrialrunError


@dataclass(frozen=True, slots=True)
class PlanFile:
    """`visits` and `conditional` (visits on no day of the calendar) as `plan.planned.plan_as_json` writes them;
    `labels` of the activities by name; `planned_mg` the dose planned for each day from the first dose, empty where doses
    depend on what is found in the subject: then `waits_for` says on what."""

    visits: tuple[Mapping[str, Any], ...] = ()
    conditional: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    planned_mg: tuple[float, ...] = ()
    waits_for: tuple[str, ...] = ()


def read_plan_file(path: Path) -> PlanFile:
    """The plan in this file; an empty one where there is no such file. An unreadable one is a TrialrunError."""
    if not path.is_file():
        return PlanFile()
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TrialrunError(
            Problem("unreadable-plan", "plan.json is not JSON", str(error), None, Location(str(path)))
        ) from None
    try:
        return plan_of(said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = Problem(
            "unreadable-plan",
            "plan.json is not a plan",
            repr(error),
            "what `trialrun plan` writes",
            Location(str(path)),
        )
        raise TrialrunError(problem) from None


def plan_of(said: Any) -> PlanFile:
    """The plan in the plain values of the file."""
    if isinstance(said, list):
        said = {"visits": said}
    visits = tuple(dict(visit) for visit in said["visits"])
    for visit in visits:
        visit["visit"]
    planned: list[float] = []
    step = said.get("open_step")
    for span in said.get("doses", ()) if step is None else ():
        planned += [float(span["dose"])] * (int(span["last"]) - int(span["first"]) + 1)  # study days from day 1 on
    return PlanFile(
        visits,
        tuple(dict(visit) for visit in said.get("visits_on_condition", ())),
        MappingProxyType({str(part["name"]): str(part["label"]) for part in said.get("activities", ())}),
        tuple(planned),
        () if step is None else tuple(map(str, step["waits_for"])),
    )

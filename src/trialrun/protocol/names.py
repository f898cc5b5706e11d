"""Names that must stand elsewhere in the file: sources, activities, tests, dose levels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trialrun.protocol.document import Amount, VersionPart
from trialrun.vocab.problems import Problem
from trialrun.vocab.tests import find_test, nearest
from trialrun.vocab.yaml_source import Key, YamlSource

_LONGEST_CYCLE = 366  # days; a year (assumed: longer than any cycle in use)


def check_names(part: VersionPart, source: YamlSource) -> list[Problem]:
    """What a version names and the file does not have, and doses and days that do not fit its treatment."""
    return [*_check_treatment(part, source), *_check_rows(part, source), *_check_schedule(part, source)]


def check_sources(source: YamlSource, known: Collection[str]) -> list[Problem]:
    """Every `source` of a version must be a key of `study.sources`."""
    return [
        Problem(
            "unknown-source",
            "the source is not in the list of sources",
            repr(key),
            "one of " + ", ".join(known),
            source.location(path),
        )
        for path, key in cited_sources(source.data)
        if key not in known
    ]


def cited_sources(node: Any, path: Key = ()) -> list[tuple[Key, str]]:
    """Every `source` below a node with the path of keys that leads to it."""
    found: list[tuple[Key, str]] = []
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "source" and isinstance(value, str):
                found.append(((*path, key), value))
            else:
                found += cited_sources(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            found += cited_sources(value, (*path, number))
    return found


def _off_levels(part: VersionPart, dose: Amount, what: str, source: YamlSource, path: Key) -> list[Problem]:
    if dose in part.treatment.levels:
        return []
    levels = ", ".join(map(str, part.treatment.levels))
    message = f"{what} is not one of the levels"
    return [Problem("dose-off-levels", message, str(dose), f"one of {levels}", source.location(path))]


def _check_treatment(part: VersionPart, source: YamlSource) -> list[Problem]:
    treatment = part.treatment
    problems: list[Problem] = []
    values = [level.value for level in treatment.levels]
    if values != sorted(set(values)) or len({level.unit for level in treatment.levels}) != 1 or values[0] <= 0:
        levels = ", ".join(map(str, treatment.levels))
        problems.append(
            Problem(
                "levels",
                "the levels must rise, be above 0 and share one unit",
                levels,
                "levels such as [2.5 mg, 5 mg, 10 mg]",
                source.location(("treatment", "levels")),
            )
        )
    for key, dose in (("start", treatment.start), ("target", treatment.target)):
        problems += _off_levels(part, dose, f"the {key} dose", source, ("treatment", key))
    if treatment.start.unit == treatment.target.unit and treatment.start.value > treatment.target.value:
        problems.append(
            Problem(
                "start-above-target",
                "the start dose is higher than the target dose",
                f"{treatment.start} and {treatment.target}",
                "a start dose at or below the target",
                source.location(("treatment", "start")),
            )
        )
    if not 1 <= treatment.cycle <= _LONGEST_CYCLE:
        problems.append(
            Problem(
                "implausible-cycle",
                "the length of a cycle is outside what is plausible",
                f"{treatment.cycle} days",
                f"1 to {_LONGEST_CYCLE} days",
                source.location(("treatment", "cycle")),
            )
        )
    if treatment.give[1] > treatment.cycle:
        problems.append(
            Problem(
                "days-off-cycle",
                "the dosing days reach past the cycle",
                f"day {treatment.give[1]}",
                f"at most day {treatment.cycle}",
                source.location(("treatment", "give")),
            )
        )
    return problems


def _check_rows(part: VersionPart, source: YamlSource) -> list[Problem]:
    problems: list[Problem] = []
    for name in ("discontinuation", "dose_modification", "step_up"):
        rows = getattr(part, name).rows
        seen: set[str] = set()
        for number, row in enumerate(rows):
            at: Key = (name, "rows", number)
            if row.up_to is not None:
                problems += _off_levels(part, row.up_to, "the dose", source, (*at, "up_to"))
            row_name = row.name or "otherwise"
            if row_name in seen:
                message = "two rows of a table have the same name"
                location = source.location((*at, "name") if row.name else at)
                problems.append(Problem("name-twice", message, repr(row_name), "one name a row", location))
            seen.add(row_name)
    return problems


def _check_schedule(part: VersionPart, source: YamlSource) -> list[Problem]:
    problems = [
        Problem(
            "unknown-activity",
            "the visit does an activity that is not defined",
            repr(activity),
            "one of " + ", ".join(part.activities),
            source.location(("visits", name, "does", number)),
        )
        for name, visit in part.visits.items()
        for number, activity in enumerate(visit.does)
        if activity not in part.activities
    ]
    for name, visit in part.visits.items():
        if visit.day is not None and visit.day > part.treatment.cycle:
            problems.append(
                Problem(
                    "days-off-cycle",
                    "the visit falls after the end of its cycle",
                    f"day {visit.day}",
                    f"at most day {part.treatment.cycle}",
                    source.location(("visits", name, "day")),
                )
            )
    for name, item in part.activities.items():
        for number, test in enumerate(item.tests):
            known = find_test(test)
            if known is None or known.name != test:
                expected = nearest(test) if known is None else repr(known.name)
                location = source.location(("activities", name, "tests", number))
                problems.append(
                    Problem("unknown-test", "the activity measures an unknown test", repr(test), expected, location)
                )
    return problems

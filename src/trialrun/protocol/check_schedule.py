"""Checks of a version's schedule: is what the rules need measured, asked and assessed where it is needed?"""

from __future__ import annotations

from collections.abc import Iterable

from trialrun.protocol.document import VisitPart
from trialrun.protocol.version import Version
from trialrun.protocol.vocabulary import EVENTS
from trialrun.rules import Rule
from trialrun.rules.nodes import Group, Known, Lasting, Predicate, children, inputs_of
from trialrun.vocab.days import offset_of, study_day
from trialrun.vocab.problems import Problem

RESPONSE = "response"


def check_schedule(version: Version) -> list[Problem]:
    """Everything that the rules of a version need and its visits do not give, and windows that overlap."""
    return [
        *_check_eligibility(version),
        *_check_decisions(version),
        *_check_concomitant(version),
        *_check_windows(version),
    ]


def needs(version: Version, node: Predicate, given: frozenset[str]) -> frozenset[str]:
    """What is still unknown to this predicate when only `given` is known: tests, EVENTS, RESPONSE.

    `... is unknown` needs nothing; `each measured of` needs one of its members.
    """
    if isinstance(node, Known):
        return frozenset()
    if isinstance(node, Group) and node.how == "each measured":
        parts = [needs(version, member, given) for member in node.members]
        return frozenset() if any(not part for part in parts) else frozenset().union(*parts)
    below = children(node)
    if below and not isinstance(node, Lasting):
        return frozenset().union(*(needs(version, child, given) for child in below))
    wanted: set[str] = set()
    for item in inputs_of(node):
        term = version.vocabulary.get(item.term)
        if term is None or item.remember == "lasting":
            continue
        if term.source == "finding":
            wanted.add(term.name)
        elif term.source == "event":
            wanted.add(EVENTS)
        elif term.name == RESPONSE:
            wanted.add(RESPONSE)
    return frozenset(wanted) - given


def given_at(version: Version, visit: VisitPart) -> frozenset[str]:
    """What is known after this visit: the tests it measures, EVENTS where it asks, RESPONSE where it assesses."""
    given: set[str] = set()
    for name in visit.does:
        activity = version.activities[name]
        given.update(activity.tests)
        if activity.asks_for_events:
            given.add(EVENTS)
        if activity.assesses_response:
            given.add(RESPONSE)
    return frozenset(given)


def _everything(version: Version, visits: Iterable[VisitPart]) -> frozenset[str]:
    return frozenset().union(*(given_at(version, visit) for visit in visits))


def _say(version: Version, what: str) -> str:
    if what in (EVENTS, RESPONSE):
        return what
    return f"{what} ({version.vocabulary[what].label})"


def _before_treatment(visit: VisitPart) -> bool:
    """Whether the visit is, or may be, before the first dose."""
    if visit.when is not None or visit.day is None:
        return False
    return visit.day < 0 or (visit.day == 1 and visit.cycles is not None and visit.cycles[0] == 1)


def _check_eligibility(version: Version) -> Iterable[Problem]:
    anywhere = _everything(version, version.visits.values())
    before = _everything(version, filter(_before_treatment, version.visits.values()))
    for criterion in version.eligibility:
        for what in sorted(needs(version, criterion.rule.node, before)):
            when = "before the first dose" if what in anywhere else "at all"
            message = f"eligibility.{criterion.name} needs what no visit measures {when}"
            yield Problem(
                "never-measured",
                message,
                _say(version, what),
                "an activity with it at a visit before the first dose",
                criterion.rule.location,
            )


def _table_needs(version: Version) -> list[tuple[str, str, Rule, bool]]:
    """(table, dotted name, rule, whether it ends a hold) of every condition that a dose decision looks at."""
    found = []
    for table in version.tables:
        for name, row in zip(table.row_names, table.table.rows, strict=True):
            if row.when is not None:
                found.append((table.name, f"{table.name}.{name}", row.when, False))
            if row.then.until is not None:
                found.append((table.name, f"{table.name}.{name}.until", row.then.until, True))
    return found


def _check_decisions(version: Version) -> Iterable[Problem]:
    visits = version.visits
    anywhere = _everything(version, visits.values())
    deciding = {name: visit for name, visit in visits.items() if visit.decides_dose}
    if not deciding:
        yield Problem(
            "no-decision",
            "no visit decides the dose, so no dose rule is ever looked at",
            None,
            "`decides_dose: true` at the visits that decide",
            version.source.location(("visits",)),
        )
        return
    rules = _table_needs(version)
    held_visits = any(visit.when == "held" for visit in deciding.values())
    for _, name, rule, _ in rules:
        for what in sorted(needs(version, rule.node, anywhere)):
            message = f"{name} needs what no visit gives"
            expected = "an activity with it at the visits that decide the dose"
            yield Problem("never-measured", message, _say(version, what), expected, rule.location)
    for visit_name, visit in deciding.items():
        known = given_at(version, visit) | _still_current(version, visit) | {RESPONSE}
        lacking: dict[str, list[str]] = {}
        keeps: dict[str, bool] = {}
        for table, name, rule, ends_hold in rules:
            if ends_hold and held_visits and visit.when != "held":
                continue
            for what in needs(version, rule.node, known) & anywhere:
                lacking.setdefault(what, []).append(name)
                keeps[what] = keeps.get(what, True) and table == "step_up"
        for what, names in sorted(lacking.items()):
            result = "the level would always stay" if keeps[what] else "the dose would always be withheld"
            yield Problem(
                "decision-lacks-test",
                f"the visit decides the dose but lacks what is needed by {', '.join(names)}: {result}",
                _say(version, what),
                "an activity with it, or a visit with it inside the window before",
                version.source.location(("visits", visit_name)),
                "warning",
            )


def _still_current(version: Version, visit: VisitPart) -> frozenset[str]:
    """What earlier visits of every cycle of this visit leave current on its day."""
    if visit.day is None or visit.when is not None:
        return frozenset()
    day = offset_of(visit.day)
    found: set[str] = set()
    for other in version.visits.values():
        if other is visit or other.when is not None or other.day is None or not _covers(other, visit):
            continue
        age = day - offset_of(other.day)
        for what in given_at(version, other):
            words = (t for t in version.vocabulary.values() if t.source == "event") if what == EVENTS else ()
            term = version.vocabulary.get(what) or next(iter(words), None)
            if 0 <= age <= ((term.current_for if term is not None else None) or 0):
                found.add(what)
    return frozenset(found)


def _covers(other: VisitPart, visit: VisitPart) -> bool:
    """Whether the other visit takes place in every cycle in which this one does."""
    if other.cycles is None or visit.cycles is None:
        return other.cycles == visit.cycles
    (first, last), (from_, to) = visit.cycles, other.cycles
    return from_ <= first and (to is None or (last is not None and to >= last))


def _check_concomitant(version: Version) -> Iterable[Problem]:
    anywhere = _everything(version, version.visits.values())
    for criterion in version.concomitant:
        for what in sorted(needs(version, criterion.rule.node, anywhere)):
            message = f"concomitant.{criterion.name} needs what no visit gives"
            yield Problem(
                "never-measured", message, _say(version, what), "an activity with it", criterion.rule.location
            )


def _check_windows(version: Version) -> Iterable[Problem]:
    """Windows of two visits that share a day: one result would count for both.

    The days of a cycle count from the day its first dose is really given, so a late day 1 moves what follows in its
    cycle and takes no day from it.
    """
    cycle_days = version.treatment.cycle
    bounds = [bound for visit in version.visits.values() for bound in visit.cycles or () if bound is not None]
    spans: list[tuple[int, int, str]] = []
    for name, visit in version.visits.items():
        if visit.when is not None or visit.day is None or visit.window is None:
            continue
        last_cycle = max(bounds, default=1) + 1
        first, last = visit.cycles or (1, 1)
        for cycle in range(first, (last_cycle if last is None else min(last, last_cycle)) + 1):
            day = offset_of(visit.day) + (cycle - 1) * cycle_days
            spans.append((day - visit.window[0], day + (0 if visit.day == 1 else visit.window[1]), name))
    spans.sort()
    told: set[tuple[str, str]] = set()
    furthest = spans[0] if spans else (0, 0, "")
    for span in spans[1:]:
        (_, end, one), (start, _, two) = furthest, span
        if start <= end and (one, two) not in told:
            told.add((one, two))
            yield Problem(
                "windows-overlap",
                f"the windows of {one} and {two} overlap",
                f"{one} until study day {study_day(end)}, {two} from study day {study_day(start)}",
                "windows that share no day",
                version.source.location(("visits", two, "window")),
                "warning",
            )
        furthest = max(furthest, span, key=lambda item: item[1])

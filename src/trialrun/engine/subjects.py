"""The state of 1 to n subjects as columns: dosing clock, accumulators of the rules, response, visits done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trialrun.engine.source import BoolArray, Exposures, FloatArray, IntArray, Observed
from trialrun.plan.calendar import Plan
from trialrun.plan.dosing import NEVER, Dosing
from trialrun.plan.states import clock_states
from trialrun.protocol.version import Protocol, Version
from trialrun.protocol.vocabulary import RESPONSES
from trialrun.rules import History, Input, Rule

MARROW = ("marrow_lymphocytes", "marrow_normocellular", "marrow_nodules")
_NOT_ASSESSED = RESPONSES.index("not assessed")


def choice_names(versions: Protocol | Iterable[Version]) -> tuple[str, ...]:
    """The choices of the investigator that a protocol knows, entered as findings of yes or no; not exercised before."""
    every = versions.versions.values() if isinstance(versions, Protocol) else versions
    return tuple(sorted({
        name for version in every for name, term in version.vocabulary.items()
        if term.source == "state" and term.kind == "truth" and name != "consented"
    }))  # fmt: skip


def dose_inputs(version: Version) -> tuple[Input, ...]:
    """What the dose tables of a version rest on."""
    return _inputs(version.dose_rules)


def treatment_inputs(version: Version) -> tuple[Input, ...]:
    """What the rules of co-medication of a version rest on."""
    return _inputs(criterion.rule for criterion in version.concomitant)


def _inputs(rules: Iterable[Rule]) -> tuple[Input, ...]:
    return tuple(dict.fromkeys(item for rule in rules for item in rule.inputs))


@dataclass(slots=True)
class Subjects:
    """Columns of n subjects.

    `age` is in years on the day of the first dose (NaN = unknown); `consented` is three-valued (1, 0, -1); `response`
    indexes RESPONSES; `growth_before` is whether the last assessment showed growth; `current` holds the results of this
    moment, in columns that are used again (`written` says at which rows), `baseline` the last ones before the first dose;
    `complete_since` the day from which all of a complete response but the marrow has held (NEVER: it does not), `marrow` what
    was found in the marrow since then, and `marrow_day` when it was last examined (NEVER: not); `visits_done[name]` is the
    cycle in which a visit was last held; `left` the day a subject was last followed (NEVER = still followed).
    """

    n: int
    history: History
    dosing: Dosing
    age: FloatArray
    consented: IntArray
    choices: dict[str, FloatArray]
    response: IntArray
    growth_before: BoolArray
    cr_cycle: IntArray
    cleared: IntArray
    left: IntArray
    visits_done: dict[str, IntArray] = field(default_factory=dict)
    current: dict[str, FloatArray] = field(default_factory=dict)
    written: dict[str, tuple[FloatArray, list[IntArray]]] = field(default_factory=dict)
    baseline: dict[str, FloatArray] = field(default_factory=dict)
    complete_since: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    marrow_day: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    marrow: dict[str, FloatArray] = field(default_factory=dict)
    dose_unknown: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @classmethod
    def fresh(cls, plans: Sequence[Plan], n: int) -> Subjects:
        """n subjects of whom nothing is known yet, with the accumulators that dose and co-medication need by any plan."""
        versions = [plan.version for plan in plans]
        inputs = {item for version in versions for item in (*dose_inputs(version), *treatment_inputs(version))}
        return cls(
            n=n,
            history=History(sorted(inputs, key=str), n),
            dosing=Dosing.fresh(n),
            age=np.full(n, np.nan),
            consented=np.full(n, -1, dtype=np.int64),
            choices={name: np.zeros(n) for name in choice_names(versions)},
            response=np.full(n, _NOT_ASSESSED, dtype=np.int64),
            growth_before=np.zeros(n, dtype=np.bool_),
            cr_cycle=np.full(n, NEVER, dtype=np.int64),
            cleared=np.zeros(n, dtype=np.int64),
            left=np.full(n, NEVER, dtype=np.int64),
            complete_since=np.full(n, NEVER, dtype=np.int64),
            marrow_day=np.full(n, NEVER, dtype=np.int64),
            dose_unknown=np.zeros(n, dtype=np.int64),
        )

    @property
    def followed(self) -> BoolArray:
        """Who has not left the study."""
        return np.asarray(self.left == NEVER, dtype=np.bool_)


def apply_exposures(
    subjects: Subjects, plans: Sequence[Plan], which: Callable[[int], IntArray], taken: Iterable[Exposures]
) -> IntArray:
    """Book doses in order of their days; returns the rows whose dose went against a hold (deviations).

    `which(day)` (n,) is the plan that held on the day of a dose. A dose of NaN is not known: it counts where the
    calendar has a dose.
    """
    against: list[IntArray] = []
    dosing = subjects.dosing
    for exposures in taken:
        held_then = which(exposures.day)
        for index, plan in enumerate(plans):
            rows, dose = exposures.rows, exposures.dose
            mine = held_then[rows] == index
            if not mine.any():
                continue
            if not mine.all():
                rows, dose = rows[mine], dose[mine]
            known = ~np.isnan(dose)
            if not known.all():
                unknown = rows[~known]
                subjects.dose_unknown[unknown] += dosing.may_dose(plan, exposures.day, unknown)
                rows, dose = rows[known], dose[known]
            first = rows[(dose > 0) & ~dosing.started[rows]]
            if first.size:
                subjects.history.set_baseline(first)
                subjects.history.start_treatment(first, exposures.day)
            level, cycle = dosing.level_dose[rows].copy(), dosing.cycle[rows].copy()
            dosing.take(plan, exposures.day, rows, dose)
            subjects.dose_unknown[rows[dosing.level_dose[rows] != level]] = 0
            begun = rows[dosing.cycle[rows] != cycle]
            if begun.size:
                subjects.history.start_cycle(begun, exposures.day)
            broken = rows[(dose > 0) & dosing.held[rows]]
            if broken.size:
                dosing.hold_row[broken] = -1
                dosing.held_since[broken] = NEVER
                against.append(broken)
    return np.concatenate(against) if against else np.zeros(0, dtype=np.int64)


def apply_observed(subjects: Subjects, day: int, observed: Observed) -> None:
    """Book what else was seen up to `day`: results, events, the ends of treatment and of the study."""
    subjects.current = {}
    for column, places in subjects.written.values():
        for rows in places:
            column[rows] = np.nan
        places.clear()
    for findings in observed.findings:
        _book_findings(subjects, day, findings.test, findings.rows, findings.values, findings.low, findings.high)
    for events in observed.events:
        end = events.end if events.end is not None else np.full(events.rows.shape, float(day))
        if events.replaces is None:
            subjects.history.event(events.term, events.rows, events.day, events.grade, end)
        else:
            before = events.replaces
            subjects.history.update_event(events.term, events.rows, events.day, before, events.grade, end)
    last_day = subjects.dosing.ended
    for ended in observed.ended:
        going = subjects.left[ended.rows] == NEVER
        rows, on = ended.rows[going], ended.day[going].astype(np.int64)
        if ended.event != "treatment discontinued":
            subjects.left[rows] = day
        last_day[rows] = np.where(last_day[rows] == NEVER, on, last_day[rows])


def _book_findings(
    subjects: Subjects, day: int, test: str, rows: IntArray, values: FloatArray, low: FloatArray, high: FloatArray
) -> None:
    if test in subjects.choices:
        subjects.choices[test][rows] = values
        return
    subjects.history.observe(test, rows, day, values, low, high)
    if test not in subjects.written:
        subjects.written[test] = np.full(subjects.n, np.nan), []
    column, places = subjects.written[test]
    subjects.current[test] = column
    column[rows] = values
    places.append(rows)
    before = rows[~subjects.dosing.started[rows]]
    if test in MARROW:  # on treatment
        found, now = subjects.marrow.setdefault(test, np.full(subjects.n, np.nan)), subjects.dosing.started[rows]
        found[rows[now]] = values[now]
        subjects.marrow_day[rows[now]] = day
    if before.size:
        if test not in subjects.baseline:
            subjects.baseline[test] = np.full(subjects.n, np.nan)
        subjects.baseline[test][before] = column[before]


def set_states(
    subjects: Subjects, plan: Plan, day: int, rows: IntArray, inputs: Iterable[Input], early: int = 0
) -> None:
    """Write the states among these inputs for these rows, as they are on `day` before its dose."""
    dosing, history = subjects.dosing, subjects.history
    asked = {item.term for item in inputs if item.remember == "state"} | history.judged
    states = clock_states(dosing, plan, day, rows, early, asked)
    if "days_at_level" in states:
        # doses that may or may not have been taken at this level: the number of days taken is not known
        states["days_at_level"][subjects.dose_unknown[rows] > 0] = np.nan
    if "age" in asked:
        states["age"] = np.floor(subjects.age[rows] + day / 365.25)
    if "cycles_since_cr" in asked:
        cycle, _ = dosing.clock(plan, day, early)
        in_cr = subjects.cr_cycle[rows] != NEVER
        states["cycles_since_cr"] = np.where(in_cr, cycle[rows] - subjects.cr_cycle[rows], 0).astype(np.float64)
    if "response" in asked:
        states["response"] = subjects.response[rows].astype(np.float64)
    if "consented" in asked:
        states["consented"] = np.where(subjects.consented[rows] < 0, np.nan, subjects.consented[rows])
    states.update({name: choice[rows] for name, choice in subjects.choices.items() if name in asked})
    for name, values in states.items():
        history.set_state(name, rows, values)

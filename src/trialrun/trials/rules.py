"""When the rules for the study act in simulated trials: the verdicts of `engine.study`, for all trials at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trialrun.engine.source import BoolArray, FloatArray
from trialrun.engine.study import count_columns
from trialrun.protocol.version import Version
from trialrun.rules import TRUE, UNKNOWN, evaluate
from trialrun.trials.courses import TREATED
from trialrun.vocab.problems import Problem, TrialrunError

Known = Mapping[
    str, FloatArray
]  # calendar day (trials, subjects) on which each study term became known of each subject


def rule_terms(version: Version) -> tuple[str, ...]:
    """The study terms that the rules of a version name."""
    return tuple(sorted({term for item in version.study_rules for term in item.criterion.rule.terms}))


def count_by(known: FloatArray, days: FloatArray) -> FloatArray:
    """How many subjects of each trial were known by each day: `known` (trials, subjects), `days` (trials, m)."""
    trials, n = known.shape
    # all trials in one sorted row: whole numbers far enough apart that no trial reaches into the next
    finite = [np.abs(part[np.isfinite(part)]).max(initial=0.0) for part in (known, days)]
    far = max(finite) + 2.0
    apart = np.arange(trials)[:, None] * 4.0 * far
    ordered = np.sort(np.clip(known, -far, far), axis=1) + apart
    asked = np.clip(days, -far, far - 1.0) + apart
    found = np.searchsorted(ordered.reshape(-1), asked.reshape(-1), side="right").reshape(days.shape)
    return np.asarray(found - np.arange(trials)[:, None] * n, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Trigger:
    """The next day on which a rule acts in each trial: `day` (trials,), inf for none; `stops` whether it stops the
    study; `rule` its place among `names`."""

    day: FloatArray
    stops: BoolArray
    rule: FloatArray
    names: tuple[str, ...]


def next_trigger(
    versions: tuple[Version, ...], activation: FloatArray, known: Known, reviewed: Known, after: FloatArray
) -> Trigger:
    """The first day after `after` (trials,) on which a rule of the version then active asks for an action.

    `activation` (trials, versions) are calendar days. `reviewed` (trials,) by term are the counts that the board has
    already looked at: a rule that is still true of them asks again only when a count that it names has risen (the
    number of treated subjects aside, where it names another). On one day a rule that stops comes before one that
    pauses.
    """
    trials = after.size
    terms = sorted({term for version in versions for term in rule_terms(version)})
    names = tuple(dict.fromkeys(item.criterion.name for version in versions for item in version.study_rules))
    day = np.full(trials, np.inf)
    stops, rule = np.zeros(trials, dtype=np.bool_), np.full(trials, np.nan)
    if not terms:
        return Trigger(day, stops, rule, names)
    days = np.sort(np.concatenate([known[term] for term in terms], axis=1), axis=1)
    counts = {term: count_by(known[term], days) for term in terms}
    here = np.isfinite(days) & (days > after[:, None])
    rows, places = np.nonzero(here)
    if not rows.size:
        return Trigger(day, stops, rule, names)
    when = days[rows, places]
    flat = {term: count[rows, places] for term, count in counts.items()}
    active = _active(activation[rows], when)
    for index, version in enumerate(versions):
        mine = np.flatnonzero(active == index)
        for item in version.study_rules:
            if not mine.size:
                continue
            inputs = item.criterion.rule.inputs
            verdict = evaluate(item.criterion.rule, count_columns(inputs, {t: c[mine] for t, c in flat.items()}))
            if (verdict == UNKNOWN).any():
                right = "a rule on the counts of subjects alone"
                raise TrialrunError(
                    Problem("rule-unknown", f"study rule {item.criterion.name} cannot be answered", None, right)
                )
            named = [term for term in item.criterion.rule.terms if term != TREATED] or [TREATED]
            risen = np.any([flat[term][mine] > reviewed[term][rows[mine]] for term in named], axis=0)
            acts = mine[(verdict == TRUE) & risen]
            _take(
                day,
                stops,
                rule,
                rows[acts],
                when[acts],
                item.action.verb == "stop_study",
                names.index(item.criterion.name),
            )
    return Trigger(day, stops, rule, names)


def _active(activation: FloatArray, when: FloatArray) -> FloatArray:
    """The version that is active on each day: the last one activated by then."""
    active = np.zeros(when.size)
    for k in range(1, activation.shape[1]):
        active[activation[:, k] <= when] = k
    return active


def _take(
    day: FloatArray, stops: BoolArray, rule: FloatArray, trial: np.ndarray, when: FloatArray, stop: bool, name: int
) -> None:
    """Keep the earliest action of each trial."""
    first = np.full(day.size, np.inf)
    np.minimum.at(first, trial, when)
    better = (first < day) | ((first == day) & np.isfinite(first) & stop & ~stops)
    day[better], stops[better], rule[better] = first[better], stop, float(name)

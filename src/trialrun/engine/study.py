"""What the rules for the study as a whole say on a day: counts of subjects, and whether enrolment goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from trialrun.engine.recorded import NEEDED, name_events
from trialrun.engine.source import FloatArray
from trialrun.plan.calendar import plan_version
from trialrun.protocol.version import Protocol, Version
from trialrun.record import Record
from trialrun.rules import TRUE, UNKNOWN, Columns, Explanation, History, Input, evaluate, explain
from trialrun.vocab.problems import TrialrunError

# a death with one of these reasons is not one of toxicity
_NOT_TOXIC = ("progressive disease", "disease progression", "death of another cause")


@dataclass(frozen=True, slots=True)
class StudyState:
    """One rule for the study on a day: `verdict` is true, false or unknown; `action` what it asks for when true.

    `waits_for` says what an unknown verdict needs.
    """

    rule: str
    section: str
    says: str
    status: str
    version: str
    verdict: str
    action: str
    explanation: Explanation
    waits_for: tuple[str, ...]

    def __str__(self) -> str:
        counted = self.explanation.text
        if self.verdict == "true":
            return f"{self.action} (section {self.section}): {counted}"
        if self.verdict == "false":
            return f"{self.rule} (section {self.section}) does not apply: {counted} is false"
        return f"{self.rule} (section {self.section}) is undetermined, waiting for {'; '.join(self.waits_for)}"

    def as_dict(self) -> dict[str, Any]:
        """The state as plain values for JSON."""
        plain = ("rule", "section", "says", "status", "version", "verdict", "action")
        return {
            **{name: getattr(self, name) for name in plain},
            "waits_for": list(self.waits_for),
            "why": self.explanation.as_dict(),
        }


def check_study(protocol: Protocol, record: Record, on: date) -> tuple[StudyState, ...]:
    """Every rule for the study of the latest version that a site has activated by that day, from what was known on it.

    Without an activated version no rule holds and nothing is returned. Counts are of subjects of the whole record. A
    count that may still grow (a death without a reason, a line that was set aside, an event that may be misspelt) is a
    range: a rule is answered where the whole range gives one answer.
    """
    known = record.as_known_on(on)
    approvals = known.tables["approvals"].filter((pl.col("date") <= on) & pl.col("version").is_in(protocol.versions))
    if not approvals.height:
        return ()
    version = protocol.version(approvals.sort("date", maintain_order=True)["version"][-1])
    counts = count_subjects(known, version, on)
    spans = {name: np.array([float(count.fewest), float(count.most)]) for name, count in counts.items()}
    states = []
    for item in version.study_rules:
        columns = count_columns(item.criterion.rule.inputs, spans)
        fewest, most = (int(verdict) for verdict in evaluate(item.criterion.rule, columns))
        told = explain(item.criterion.rule, columns, 0)
        verdict = {TRUE: "true", UNKNOWN: "unknown"}.get(fewest, "false") if fewest == most else "unknown"
        doubts = [doubt for name in sorted(item.criterion.rule.terms) for doubt in counts[name].doubts]
        part = item.criterion.part
        states.append(
            StudyState(
                rule=item.criterion.name,
                section=part.section,
                says=part.says,
                status=part.status,
                version=version.name,
                verdict=verdict,
                action=item.action.text,
                explanation=told,
                waits_for=tuple(dict.fromkeys(doubts)) if verdict == "unknown" else (),
            )
        )
    return tuple(states)


@dataclass(frozen=True, slots=True)
class Count:
    """How many subjects, `fewest` to `most`, and what leaves the difference open."""

    fewest: int
    most: int
    doubts: tuple[str, ...] = ()


def count_subjects(known: Record, version: Version, on: date) -> dict[str, Count]:
    """The study terms of a version by name, for a record as known on a day; the rest of the record counts as is."""
    everyone = known.tables["subjects"]["subject"].n_unique()
    exposures, deaths = known.tables["exposures"], known.tables["dispositions"].filter(pl.col("event") == "death")
    deaths = deaths.filter(pl.col("date") <= on)
    open_deaths = deaths.filter(pl.col("reason").is_null() | pl.col("reason").str.to_lowercase().is_in(["death", ""]))
    toxic = deaths.filter(~pl.col("reason").str.to_lowercase().is_in(_NOT_TOXIC).fill_null(False))
    lost = {
        table: tuple(f"line {item.line} of {table} ({item.why})" for item in known.rejected if item.table == table)
        for table in NEEDED
    }
    fatal = known.tables["adverse_events"].filter((pl.col("grade") == 5) & (pl.col("date") <= on))
    certain = set(fatal["subject"]) | (set(toxic["subject"]) - set(open_deaths["subject"]))
    unsaid = sorted(set(open_deaths["subject"]) - certain)
    counts = {
        "subjects_treated": _count(
            exposures.filter((pl.col("dose") > 0) & (pl.col("date") <= on))["subject"].n_unique(),
            (),
            lost["exposures"],
            everyone,
        ),
        "subjects_dead_of_toxicity": _count(
            len(certain),
            tuple(f"the cause of the death of {name}" for name in unsaid),
            (*lost["dispositions"], *lost["adverse_events"]),
            everyone,
        ),
    }
    events = known.tables["adverse_events"].filter(pl.col("date") <= on)
    unclear: tuple[str, ...] = ()
    try:
        events = name_events(events, plan_version(version))
    except TrialrunError as error:
        unclear = tuple(str(problem) for problem in error.problems)
    for name, term in version.vocabulary.items():
        if term.source == "event":
            found = events.filter(pl.col("term") == name)["subject"].n_unique()
            counts[f"subjects_with_{name}"] = _count(found, unclear, lost["adverse_events"], everyone)
    return counts


def _count(found: int, each: tuple[str, ...], lost: tuple[str, ...], everyone: int) -> Count:
    """Each doubt may be one subject more."""
    return Count(found, min(found + len(each) + len(lost), max(everyone, found)), (*each, *lost))


def count_columns(inputs: Iterable[Input], counts: Mapping[str, FloatArray]) -> Columns:
    """What a rule for the study is evaluated on: counts (m,) of subjects by study term, for m situations at once."""
    size = max((count.size for count in counts.values()), default=0)
    history = History(sorted(inputs, key=str), size)
    rows = np.arange(size)
    for name, count in counts.items():
        history.set_state(name, rows, count)
    return history.columns(0.0, rows)

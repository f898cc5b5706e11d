"""Tumour lysis of one situation, by both definitions."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files

import polars as pl

from trialrun.criteria.explanation import Explanation, number
from trialrun.criteria.situations.vocabulary import Clinical, Panel, Patient
from trialrun.criteria.tables import select
from trialrun.criteria.tumor_lysis import CAIRO_BISHOP, DEFINITIONS, HOWARD, derive_tumor_lysis, find_lysis_values
from trialrun.vocab.problems import Problem, TrialrunError

Verdict = dict[str, bool | int | str | None]

# Adults from this age (assumed: neither definition prints one).
ADULT_AGE = 18

_ITEMS = {"urate": "urate", "potassium": "potassium", "phosphate": "phosphate", "calcium": "calcium_corrected"}
# Names of kinds, which say that the event is there and nothing of its grade.
_KINDS = {
    "arrhythmia": ("fibrillation", "flutter", "tachycardia", "bradycardia", "block", "torsade", "systole", "ectop"),
    "seizure": ("tonic", "clonic", "generali", "grand mal", "convuls", "absence", "seizure"),
}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}
# Causes of a raised creatinine that are no therapeutic agent; any other named cause is taken to be one.
_NOT_AN_AGENT = (
    "lysis",
    "tls",
    "unknown",
    "unexplained",
    "none",
    "leukaemia",
    "leukemia",
    "cll",
    "urate",
    "uric",
    "phosphate",
    "sepsis",
    "infection",
    "obstruct",
    "dehydrat",
    "hypovol",
    "kidney disease",
    "renal disease",
    "infiltrat",
)


def assess_lysis(
    labs: list[Panel], patient: Patient | None, clinical: Clinical | None
) -> tuple[dict[str, Verdict], dict[str, Explanation]]:
    """The verdict of each definition ({ltls, ctls, ctls_grade}; NE = not assessable) and why."""
    age = None if patient is None else patient.age
    child = age is not None and age < ADULT_AGE
    rows = [
        {"subject": "1", "day": panel.day, "test": item, "value": value}
        for panel in labs
        for key, item in _ITEMS.items()
        if (value := getattr(panel, key)) is not None
    ]
    table = pl.DataFrame(rows, schema={"subject": pl.String, "day": pl.Float64, "test": pl.String, "value": pl.Float64})
    starts = pl.DataFrame(
        {"subject": ["1"], "day": [0.0], "kind": ["start"], "child": [child]}, schema_overrides={"child": pl.Boolean}
    )
    events, notes = read_events(clinical or Clinical())
    if age is None:
        notes.append("no age is stated: the bounds for adults were used")
    found = derive_tumor_lysis(table, starts, events=events, population="by subject").to_dicts()
    details = find_lysis_values(table, starts, population="by subject")
    verdicts: dict[str, Verdict] = {}
    reasons: dict[str, Explanation] = {}
    for row in found:
        name = str(row["definition"])
        verdicts[name] = {key: "NE" if row[key] is None else row[key] for key in ("ltls", "ctls")}
        grade = row["ctls_grade"]
        if name == CAIRO_BISHOP:
            verdicts[name]["ctls_grade"] = "NE" if grade is None else grade
        reasons[name] = _explain(row, details.filter(pl.col("definition") == name), events, notes, age)
    return {name: verdicts[name] for name in DEFINITIONS}, reasons


def read_events(clinical: Clinical) -> tuple[pl.DataFrame, list[str]]:
    """The clinical findings as an events table (within the window), and how they were read."""
    notes: list[str] = []
    drug = bool(clinical.attributable_to_other_drug)
    events: list[dict[str, object]] = []

    def add(event: str, grade: int | None = None, value: float | None = None, *, attributable: bool = drug) -> None:
        events.append(
            {"subject": "1", "day": 0.0, "event": event, "grade": grade, "value": value, "attributable": attributable}
        )

    cause = clinical.creatinine_cause
    by_agent = cause is not None and not any(word in _plain(cause) for word in _NOT_AN_AGENT)
    if by_agent:
        notes.append(f"creatinine is attributed to {cause}, so it does not count")
    if drug:
        notes.append("the clinical findings are attributed to another drug, so they do not count")
    creatinine = 1.0 if clinical.creatinine_x_uln is None else clinical.creatinine_x_uln
    add("creatinine_x_uln", value=creatinine, attributable=drug or by_agent)
    for event in ("arrhythmia", "seizure"):
        present, grade = read_event(event, getattr(clinical, event))
        if present:
            add(event, grade)
            if grade is None:
                notes.append(f"{event} is present, its grade is not stated")
    if clinical.death:
        add("death", 5)
    schema = {"subject": pl.String, "day": pl.Float64, "event": pl.String, "grade": pl.Int8}
    return pl.DataFrame(events, schema={**schema, "value": pl.Float64, "attributable": pl.Boolean}), notes


def _plain(text: str) -> str:
    return re.sub(r"[\s_\-]+", " ", text.strip().casefold())


@cache
def _words() -> tuple[tuple[str, int, str], ...]:
    text = files("trialrun.criteria").joinpath("data/event_words.csv").read_text(encoding="utf-8")
    return tuple((row["event"], int(row["grade"]), row["words"]) for row in csv.DictReader(text.splitlines()))


def read_event(event: str, stated: str | bool | int | None) -> tuple[bool, int | None]:
    """Whether an event is there and its Cairo-Bishop grade, from a grade (2, II, grade 2) or the words of the table.

    Words that say neither are a TrialrunError. The highest grade that the words name counts.
    """
    if stated is None or stated is False:
        return False, 0
    if stated is True:
        return True, None
    text = str(stated) if isinstance(stated, int) else _plain(stated)
    bare = text.removeprefix("grade ")
    if bare in _ROMAN or (bare.isdigit() and int(bare) <= 5):
        grade = _ROMAN.get(bare, int(bare) if bare.isdigit() else 0)
        return grade > 0, grade
    if text in ("none", "no", "absent", "normal", "sinus rhythm"):
        return False, 0
    if text in ("yes", "present", "any", event):
        return True, None
    words = [(grade, phrase) for name, grade, phrase in _words() if name == event]
    named = [(grade, phrase) for grade, phrase in words if re.search(rf"\b{phrase}\b", text)]
    # "not life threatening" and "no syncope" name what is absent
    denied = [phrase for _, phrase in named if re.search(rf"\b(not|no|without) {phrase}\b", text)]
    named = [(grade, phrase) for grade, phrase in named if phrase not in denied]
    if any(phrase != "symptomatic" for _, phrase in named):  # symptoms alone do not make grade III
        named = [(grade, phrase) for grade, phrase in named if phrase != "symptomatic"]
    if not named and any(kind in text for kind in _KINDS[event]):
        return True, None
    if not named:
        known = ", ".join(dict.fromkeys(phrase for _, phrase in words))
        raise TrialrunError(Problem("unknown-value", f"{event} is stated in unknown words", repr(stated), known))
    return True, max(grade for grade, _ in named)


def _explain(
    row: dict[str, object], details: pl.DataFrame, events: pl.DataFrame, notes: list[str], age: float | None
) -> Explanation:
    definition = str(row["definition"])
    told: list[str] = []
    hits = details.filter(pl.col("abnormal").fill_null(False)).sort("day", "parameter")
    bounds = select("tumor_lysis", definition)
    for hit in hits.iter_rows(named=True):
        group = {"children"} if age is not None and age < ADULT_AGE else {"adults"}
        for part, passed in (("laboratory", hit["past_bound"]), ("change", hit["past_change"])):
            wordings = [
                line.wording
                for line in bounds
                if line.part == part
                and line.item == hit["item"]
                and (line.unit in (hit["unit"], "%", "ULN"))
                and (not line.group or line.group in group)
            ]
            if passed and wordings:
                text = f"{wordings[0]}: {number(hit['value'], hit['unit'])} on day {number(hit['day'])}"
                if part == "change":
                    text += f", baseline {number(hit['baseline'], hit['unit'])} on day {number(hit['baseline_day'])}"
                told.append(text)
    rules = [line.wording for line in bounds if line.part in ("number", "window") and line.item != "measured"]
    unmeasured = [str(name) for name in _list(row["unmeasured"])]
    missing = [f"{name} in the window" for name in unmeasured]
    missing += [f"{name} before the start (25 % rule not applied)" for name in _list(row["without_baseline"])]
    changes: list[str] = []
    if row["ltls"] is None:
        told.append(next(line.wording for line in bounds if line.item == "measured"))
        changes.append("two of the four measured in the window")
    elif row["ltls"]:
        told.append(f"laboratory tumour lysis from day {number(float(str(row['ltls_day'])))}: " + "; ".join(rules))
        told += _clinical(row, events)
        changes.append("fewer than two values past their bounds")
    else:
        told.append(f"{row['met']} of the four past a bound, {row['measured']} measured: " + "; ".join(rules))
        need = 2 - int(str(row["met"]))
        changes.append(
            "values past their bounds within the same 24 hours (times of day are not stated)"
            if need <= 0
            else f"{need} more of the four past its bound in the window"
        )
    return Explanation(tuple(told), tuple(missing), tuple(changes), tuple(notes))


def _clinical(row: dict[str, object], events: pl.DataFrame) -> list[str]:
    counted = [str(name) for name in _list(row["events"])]
    told = []
    for event in events.iter_rows(named=True):
        if event["event"] in counted and not event["attributable"]:
            value = "" if event["value"] is None else f" {number(event['value'])} x ULN"
            grade = "" if event["grade"] is None else f", grade {event['grade']}"
            told.append(f"clinical tumour lysis: {event['event'].replace('_x_uln', '')}{value}{grade}")
    if not told:
        told.append("no clinical event that counts")
    elif row["definition"] == CAIRO_BISHOP:
        told.append(f"clinical grade {row['ctls_grade']}: the worst of creatinine, arrhythmia and seizure")
    elif row["definition"] == HOWARD:
        told.append("Howard 2011 gives no grade")
    return told


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []

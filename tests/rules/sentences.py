"""Random sentences of the rule language and random entries to put them to."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
from hypothesis import strategies as st

from rules.second import (
    Among,
    Compared,
    Entered,
    Happened,
    IsKnown,
    Joined,
    Lasts,
    Negated,
    Number,
    Sentence,
    State,
    Yes,
)
from rules.words import RESPONSES
from trialrun.rules import Columns, History

TESTS = {"neutrophils": "x10^9/L", "platelets": "x10^9/L", "alt": "U/L", "lymphocytes": "x10^9/L"}
VALUES = (0.0, 0.4, 0.5, 1.0, 1.5, 2.0)
WINDOWS = ("this cycle", "since first dose", "ever", "over last 7 days", "over last 3 days")
OPERATORS = ("<", "<=", ">", ">=", "=", "!=")
operators = st.sampled_from(OPERATORS)
tests = st.sampled_from(sorted(TESTS))
events = st.sampled_from(["flare", "infection"])
numbers = st.sampled_from(VALUES)


def measured(term: str) -> st.SearchStrategy[Number]:
    plain = st.sampled_from(["current", "last", "first", "baseline"]).map(lambda what: Number(what, term))
    extreme = st.builds(Number, st.sampled_from(["lowest", "highest"]), st.just(term), st.sampled_from(WINDOWS))
    return plain | extreme


happened = (
    st.builds(Happened, st.sampled_from(["worst grade", "count"]), events, st.sampled_from(WINDOWS))
    | st.builds(Happened, st.sampled_from(["grade", "days since"]), events)
)  # fmt: skip


@st.composite
def comparisons(draw: st.DrawFn) -> Compared:
    term = draw(tests)
    left = draw(measured(term))
    kind = draw(st.sampled_from(["number", "ULN", "LLN", "baseline", "other", "change", "percent"]))
    operator = draw(operators)
    if kind == "number":
        return Compared(left, operator, draw(numbers), TESTS[term])
    if kind in ("ULN", "LLN", "baseline"):
        return Compared(left, operator, draw(st.sampled_from([0.5, 1.0, 1.5])), of=kind)
    if kind == "other":
        return Compared(left, operator, right=draw(measured(term)))
    if kind == "change":
        return Compared(Number("change", term), operator, draw(st.sampled_from([-0.5, 0.0, 0.5])), TESTS[term])
    return Compared(Number("percent change", term), operator, draw(st.sampled_from([-50.0, 0.0, 50.0])), "%")


@st.composite
def about_events(draw: st.DrawFn) -> Compared:
    left = draw(happened)
    unit = "days" if left.what == "days since" else ""
    return Compared(left, draw(operators), float(draw(st.integers(0, 4))), unit)


@st.composite
def lasting(draw: st.DrawFn) -> Lasts:
    terms = draw(st.lists(tests, min_size=1, max_size=2, unique=True))
    parts = []
    for term in terms:
        multiple = draw(st.sampled_from(["", "ULN", "baseline"]))
        parts.append(
            Compared(Number("current", term), draw(operators), draw(numbers), of=multiple)
            if multiple
            else Compared(Number("current", term), draw(operators), draw(numbers), TESTS[term])
        )
    inside: Sentence = parts[0] if len(parts) == 1 else Joined(draw(st.sampled_from(["and", "or"])), tuple(parts))
    return Lasts(inside, draw(st.sampled_from([1, 3, 7])), frozenset(terms))


atoms: st.SearchStrategy[Sentence] = (
    comparisons()
    | about_events()
    | lasting()
    | st.sampled_from(["b_cell_cll", "flare", "infection", "consented"]).map(Yes)
    | st.builds(
        Among,
        st.just("response"),
        st.lists(st.sampled_from(list(enumerate(RESPONSES))), min_size=1, max_size=2, unique=True).map(tuple),
        st.booleans(),
    )
    | st.builds(lambda number, operator: Compared(State("dose"), operator, number, "mg"), numbers, operators)
)
asks_whether_known = st.builds(IsKnown, tests.flatmap(measured) | happened, st.booleans())


_KLEENE = ("and", "or", "any of", "all of", "at least")


def _joined(hows: tuple[str, ...], inside: st.SearchStrategy[Sentence]) -> st.SearchStrategy[Sentence]:
    members = st.lists(inside, min_size=2, max_size=3).map(tuple)
    return st.builds(Joined, st.sampled_from(hows), members, st.integers(1, 2)) | st.builds(Negated, inside)


# sentences whose answer can only become unknown when something they rest on does
kleene: st.SearchStrategy[Sentence] = st.recursive(atoms, lambda inside: _joined(_KLEENE, inside), max_leaves=5)
sentences: st.SearchStrategy[Sentence] = st.recursive(
    atoms | asks_whether_known, lambda inside: _joined((*_KLEENE, "each measured of"), inside), max_leaves=5
)


def make_entries(luck: random.Random, n: int, last: int) -> Entered:
    """Sparse random entries of n subjects: repeated results, missing limits, late reports, cycles, reviews."""
    results, happened, reviews, cycles, dosed = [], [], [], [], []
    for subject in range(n):
        first_dose = luck.choice([0, 0, 0, 5, None])
        if first_dose is not None:
            dosed.append((subject, first_dose))
            cycles += [(subject, first_dose + step) for step in (0, 7, 14) if luck.random() < 0.8]
        for day in range(-6, last + 1):
            for term in TESTS:
                if luck.random() < 0.25:
                    for _ in range(luck.choice([1, 1, 1, 2])):
                        low, high = luck.choice([(0.5, 1.0), (0.4, 1.5), (None, None), (None, 2.0)])
                        results.append((subject, day, term, luck.choice(VALUES), low, high))
            if luck.random() < 0.1:
                results.append((subject, day, "b_cell_cll", float(luck.random() < 0.5), None, None))
            if luck.random() < 0.15:
                reviews.append((subject, day))
            for term in ("flare", "infection"):
                if luck.random() < 0.08:
                    start = day - luck.choice([0, 0, 1, 6])
                    end = luck.choice([None, start, day, day + 2, day + 5])
                    happened.append((subject, day, term, start, luck.choice([None, 1.0, 2.0, 3.0, 4.0]), end))
    states = [
        (subject, luck.choice(VALUES), 1.0, luck.choice([None, 0.0, 1.0, 3.0]), luck.choice([None, 0.0, 1.0]))
        for subject in range(n)
    ]
    whole, number, text = pl.Int64, pl.Float64, pl.String
    return Entered(
        n,
        pl.DataFrame(
            results,
            {"subject": whole, "day": whole, "term": text, "value": number, "low": number, "high": number},
            orient="row",
        ),
        pl.DataFrame(
            happened,
            {"subject": whole, "known": whole, "term": text, "start": whole, "grade": number, "end": whole},
            orient="row",
        ),
        pl.DataFrame(reviews, {"subject": whole, "day": whole}, orient="row"),
        pl.DataFrame(cycles, {"subject": whole, "day": whole}, orient="row"),
        pl.DataFrame(dosed, {"subject": whole, "day": whole}, orient="row"),
        pl.DataFrame(
            states,
            {"subject": whole, "dose": number, "cycle": number, "response": number, "consented": number},
            orient="row",
        ),
    )


def _array(frame: pl.DataFrame, name: str) -> np.ndarray:
    return frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()


def _columns(lines: list[tuple]) -> list[np.ndarray]:
    """Lines as arrays: subjects, then everything else with NaN for what is missing."""
    subjects, *others = zip(*lines, strict=True)
    return [np.array(subjects), *(np.array(other, dtype=np.float64) for other in others)]


def tell(history: History, entered: Entered, luck: random.Random, asked: set[int]) -> dict[int, Columns]:
    """Enter day after day, each in a random order (the first dose after that day's results), several subjects at once.

    Returns the columns of all subjects on the days asked.
    """
    days: dict[int, list[tuple[str, str, list[tuple]]]] = {}
    for (day, term), frame in entered.results.group_by("day", "term"):
        lines = frame.select("subject", "value", "low", "high").rows()
        luck.shuffle(lines)
        cut = luck.choice([0, 1, 2])
        days.setdefault(day, []).extend(("result", term, part) for part in (lines[:cut], lines[cut:]) if part)
    for (day, term), frame in entered.events.group_by("known", "term"):
        days.setdefault(day, []).append(("event", term, frame.select("subject", "start", "grade", "end").rows()))
    for what, frame in (("review", entered.reviews), ("cycle", entered.cycles), ("dose", entered.first_dose)):
        for (day,), part in frame.group_by("day"):
            days.setdefault(day, []).append((what, "", part.select("subject").rows()))
    everyone = np.arange(entered.n)
    for name in ("dose", "cycle", "response", "consented"):
        history.set_state(name, everyone, _array(entered.states, name))
    columns = {}
    for day in range(min(days, default=0), max(asked) + 1):
        news = days.get(day, [])
        luck.shuffle(news)
        for what, term, lines in sorted(news, key=lambda item: item[0] == "dose"):
            rows, *values = _columns(lines)
            if what == "result":
                history.observe(term, rows, day, *values)
            elif what == "event":
                history.event(term, rows, *values)
            elif what == "review":
                history.reviewed(rows, day)
            elif what == "cycle":
                history.start_cycle(rows, day)
            else:
                history.set_baseline(rows)
                history.start_treatment(rows, day)
        if day in asked:
            columns[day] = history.columns(day, everyone)
    return columns

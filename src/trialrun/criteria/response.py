"""CLL response of one assessment by NCI-WG 1996, iwCLL 2008 (print version) and iwCLL 2018, over whole columns.

The bounds are the rows of `data/cll_response.csv`; this module says how they combine. Holding for two months, and
confirmation by a later examination, need several assessments: see `response_course`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from trialrun.criteria.response_items import (
    Findings,
    Items,
    limit,
)
from trialrun.criteria.response_view import NCI_WG, View
from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import (
    FALSE,
    NO,
    TRUE,
    UNKNOWN,
    Numbers,
    Truths,
    assume,
    both,
    compare,
    either,
    every,
    negate,
    some,
    sure,
)

Key = TypeVar("Key", Row, str)
Column = TypeVar("Column", Truths, Numbers | Truths)

STANDARDS = ("NCI-WG-1996", "iwCLL-2008", "iwCLL-2018")

# Group A parameters and blood counts of group B; the marrow is neither obliged nor enough by itself (see the documents)
_SITES = ("nodes", "liver and spleen", "spleen", "liver")
_COUNTS = ("platelets", "hemoglobin", "neutrophils")


class Category(IntEnum):
    """Response categories, from worst to best; NE is not evaluable."""

    NE = 0
    PD = 1
    SD = 2
    PR_L = 3
    PR = 4
    NPR = 5
    CRI = 6
    CR = 7

    @property
    def label(self) -> str:
        """As published: nPR, PR-L, CRi."""
        return {"PR_L": "PR-L", "NPR": "nPR", "CRI": "CRi"}.get(self.name, self.name)


@dataclass(frozen=True)
class Response:
    """The assessment of n subjects.

    `category` holds codes of `Category` (int8, shape (n,)); `rows` for every line of the table whether it holds (int8:
    1, 0, -1 unknown; a line of the PD part holds only when it also counts); `passed` the same for PD lines before
    confirmation and attribution; `abnormal` (before therapy) and `reached` (what a partial remission asks) for every
    parameter; `truths` the pieces: cr, cri, npr, pr, pr_l, pd, clinical (complete remission in everything but counts
    and marrow), counts, marrow, growth (nodes or organs are past a bound, confirmed or not), rise (so are
    lymphocytes), suspected (a bound of PD is passed whose cause is unknown), unassessed, early; `now` and `before` the
    columns that were compared.
    """

    standard: str
    category: NDArray[np.int8]
    rows: Mapping[Row, Truths]
    passed: Mapping[Row, Truths]
    abnormal: Mapping[str, Truths]
    reached: Mapping[str, Truths]
    truths: Mapping[str, Truths]
    now: Mapping[str, Numbers | Truths]
    before: Mapping[str, Numbers | Truths]

    def part(self, of: slice) -> Response:
        """The assessment of these subjects."""
        return Response(
            self.standard,
            self.category[of],
            _cut(self.rows, of),
            _cut(self.passed, of),
            _cut(self.abnormal, of),
            _cut(self.reached, of),
            _cut(self.truths, of),
            _cut(self.now, of),
            _cut(self.before, of),
        )


def assess_response(standard: str, baseline: Findings, current: Findings, best: Findings | None = None) -> Response:
    """The response of each subject at one assessment.

    `baseline` and `current` map column names (`response_items.COLUMNS`, with their units) to arrays of one value a
    subject; numbers NaN = not assessed, truths 1, 0, -1 or True, False, None. A column that is not given is unknown.
    `best` holds the findings at best response (2018 measures growth from there too). Sources: `data/cll_response.csv`.
    """
    return conclude(view_findings(standard, baseline, current, best))


def view_findings(standard: str, baseline: Findings, current: Findings, best: Findings | None = None) -> View:
    """What `assess_response` is given, as the rows of the table see it."""
    now, before = Items(current), Items(baseline)
    length = max(now.length, before.length)
    if now.length != before.length:
        now, before = Items(current, length), Items(baseline, length)
    return View(standard, now, before, Items(best, length) if best is not None else None)


def find_growth(view: View) -> tuple[Truths, Truths]:
    """Whether nodes or organs, and whether lymphocytes, are past a bound of progression."""
    growth = some(truth for row, truth in view.passed.items() if row.group == "growth")
    rise = some(truth for row, truth in view.passed.items() if row.group == "lymphocytes")
    return growth, rise


def find_category(view: View) -> tuple[NDArray[np.int8], Truths, Truths]:
    """The category and the growth of `assess_response`, without what explains them, and whether all of a complete response
    but the marrow is there."""
    truths = _judge(view)[-1]
    return _category(truths, view.now.length), truths["growth"], both(truths["clinical"], truths["counts"])


def conclude(view: View) -> Response:
    """The response that the findings make."""
    length = view.now.length
    rows, abnormal, reached, truths = _judge(view)
    return Response(
        view.standard,
        _category(truths, length),
        _widen(rows, length),
        _widen(view.passed, length),
        _widen(abnormal, length),
        _widen(reached, length),
        _widen(truths, length),
        _widen(view.now_items, length),
        _widen(view.before_items, length),
    )


def _judge(view: View) -> tuple[dict[Row, Truths], dict[str, Truths], dict[str, Truths], dict[str, Truths]]:
    """The rows, abnormal, reached and truths of a `Response`; what is the same for all subjects as one value."""
    standard = view.standard
    rows = {row: view.holds(row) for part in ("CR", "PR") for row in select("cll_response", standard, part)}
    counted = {row: both(truth, view.counts_as_progression(row)) for row, truth in view.passed.items()}
    abnormal = {name: view.is_abnormal(name) for name in _parameters(standard)}
    reached = {name: view.reaches(name, rows) for name in _parameters(standard)}
    return rows | counted, abnormal, reached, _truths(standard, view, rows, counted, abnormal, reached)


def _widen(columns: Mapping[Key, Column], length: int) -> dict[Key, Column]:
    """A value a subject in every column."""
    return {
        name: column if column.size == length else cast(Column, np.broadcast_to(column, (length,)))
        for name, column in columns.items()
    }


def _cut(columns: Mapping[Key, Column], of: slice) -> dict[Key, Column]:
    return {name: column[of] for name, column in columns.items()}


@cache
def _parameters(standard: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.parameter for row in select("cll_response", standard, "PR")))


def _truths(
    standard: str,
    view: View,
    rows: Mapping[Row, Truths],
    counted: Mapping[Row, Truths],
    abnormal: Mapping[str, Truths],
    reached: Mapping[str, Truths],
) -> dict[str, Truths]:
    """The pieces that the category is made of."""
    complete = {row: truth for row, truth in rows.items() if row.part == "CR"}
    clinical = every(t for row, t in complete.items() if row.parameter not in (*_COUNTS, "marrow"))
    counts = every(t for row, t in complete.items() if row.parameter in _COUNTS)
    by_item = {row.item: truth for row, truth in complete.items() if row.parameter == "marrow"}
    normocellular = by_item.pop("marrow_normocellular")
    without_nodules = by_item.pop("marrow_nodules")
    infiltrate = every(by_item.values())  # fewer than 30 % lymphocytes, or no CLL cells
    marrow = every([normocellular, without_nodules, infiltrate])
    truth = view.now.truth
    growth, rise = find_growth(view)
    awaited = [(view.passed[row], counted[row]) for row in counted if row.group == "cytopenia"]
    suspected = some([NO, *(_as_truth((bound == TRUE) & (so == UNKNOWN)) for bound, so in awaited)])
    pd = some(counted.values())
    npr = every([clinical, counts, normocellular, negate(without_nodules)])
    if standard != "iwCLL-2018":  # 2018 counts residual CLL nodules as nPR whatever else the marrow holds
        npr = both(npr, infiltrate)
    if standard == NCI_WG:
        cri = NO
    else:
        hypocellular = truth("marrow_hypocellular")
        clear = every([infiltrate, without_nodules, either(normocellular, hypocellular)])
        from_drug = truth("cytopenia_from_drug")
        other = [assume(truth(name), FALSE) for name in ("cytopenia_from_cll", "cytopenia_other_cause")]
        drug_like = both(negate(some(other)), either(assume(hypocellular, FALSE), from_drug))
        cause = either(counts, drug_like)
        cri = every([clinical, clear, cause])
    pr, pr_l = _partial(standard, view, abnormal, reached, rows)
    if standard == NCI_WG:  # a complete response but for anaemia or thrombocytopenia counts as partial
        pr = either(pr, every([clinical, marrow, negate(counts)]))
        early = NO
    else:
        months = view.now.number("months_since_last_dose")
        late = compare(months, ">=", limit(standard, "months_since_last_dose", "assessment"))
        early = negate(assume(late, TRUE))
    return {
        "cr": every([clinical, counts, marrow]),
        "cri": cri,
        "npr": npr,
        "pr": pr,
        "pr_l": pr_l,
        "pd": pd,
        "clinical": clinical,
        "counts": counts,
        "marrow": marrow,
        "growth": growth,
        "rise": rise,
        "suspected": suspected,
        "early": early,
        "unassessed": _unassessed(abnormal, reached),
    }


def _unassessed(abnormal: Mapping[str, Truths], reached: Mapping[str, Truths]) -> Truths:
    """Whether a group A parameter that was (or may have been) abnormal cannot be judged now."""
    names = [name for name in (*_SITES, "lymphocytes") if name in reached]
    return some(_as_truth((abnormal[name] != FALSE) & (reached[name] == UNKNOWN)) for name in names)


def _as_truth(flags: NDArray[np.bool_]) -> Truths:
    return flags.view(np.int8)


def _partial(
    standard: str,
    view: View,
    abnormal: Mapping[str, Truths],
    reached: Mapping[str, Truths],
    rows: Mapping[Row, Truths],
) -> tuple[Truths, Truths]:
    """Partial remission, and partial remission with lymphocytosis."""
    group_a = [name for name in (*_SITES, "lymphocytes") if name in reached]
    if standard == NCI_WG:
        sites = every(either(negate(abnormal[name]), reached[name]) for name in group_a)
        counts = some(truth for row, truth in rows.items() if row.part == "PR" and row.group == "B")
        return every([sites, counts, some(abnormal[name] for name in group_a)]), NO
    numbers = {row.parameter: int(row.bound or 0) for row in select("cll_response", standard, "count")}
    group_b = [name for name in _COUNTS if name in reached]
    marrow_in_a = standard == "iwCLL-2008"
    improved = {name: both(abnormal[name], reached[name]) for name in reached}

    def enough(group: list[str], extra: list[str], number: int, least: int = 0) -> Truths:
        was_abnormal = _count(abnormal[name] != FALSE for name in group)
        asked = np.maximum(np.minimum(number, was_abnormal), least)
        columns = [improved[name] for name in (*group, *extra)]
        shown = _count(sure(column) for column in columns)
        possible = _count(column != FALSE for column in columns)
        return np.where(shown >= asked, TRUE, np.where(possible >= asked, UNKNOWN, FALSE)).astype(np.int8)

    a = enough(group_a, ["marrow"] if marrow_in_a else [], numbers["group A"])
    b = enough(group_b, [] if marrow_in_a else ["marrow"], numbers["group B"])
    redistributing = assume(view.now.truth("redistributing"), FALSE)
    # while lymphocytes stay high under such an agent, a partial remission is one with lymphocytosis
    pr = every([a, b, some(improved.values()), either(negate(redistributing), reached["lymphocytes"])])
    a_without = enough([name for name in group_a if name != "lymphocytes"], [], numbers["group A"], least=1)
    pr_l = every([a_without, b, redistributing, negate(reached["lymphocytes"])])
    return pr, pr_l


def _count(columns: Iterable[NDArray[np.bool_]]) -> NDArray[np.int64]:
    return sum((column.astype(np.int64) for column in columns), np.zeros(1, dtype=np.int64))


def _category(truths: Mapping[str, Truths], length: int) -> NDArray[np.int8]:
    """The category of each subject; what is shown decides, from progression to the best remission downwards."""
    undecided = (truths["unassessed"] == TRUE) | (truths["pr"] == UNKNOWN) | (truths["suspected"] == TRUE)
    found = np.full(length, int(Category.SD), dtype=np.int8)
    _set(found, undecided, Category.NE)
    for name in ("pr_l", "pr", "npr", "cri", "cr"):
        if truths[name] is not NO:
            _set(found, sure(truths[name]), Category[name.upper()])
            _set(found, sure(both(truths[name], truths["early"])), Category.NE)
    _set(found, sure(truths["pd"]), Category.PD)
    return found


def _set(found: NDArray[np.int8], where: NDArray[np.bool_], category: Category) -> None:
    np.copyto(found, np.int8(category), where=where)

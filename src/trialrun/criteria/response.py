"""CLL response of one assessment by NCI-WG 1996, iwCLL 2008 (print version) and iwCLL 2018, over whole columns.

The bounds are the rows of `data/cll_response.csv`; this module says how they combine. Holding for two months, and
confirmation by a later examination, need several assessments: see `response_course`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

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
    TRUE,
    UNKNOWN,
    Numbers,
    Truths,
    both,
    compare,
    either,
    every,
    negate,
    some,
    sure,
)

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


def assess_response(standard: str, baseline: Findings, current: Findings, best: Findings | None = None) -> Response:
    """The response of each subject at one assessment.

    `baseline` and `current` map column names (`response_items.COLUMNS`, with their units) to arrays of one value a
    subject; numbers NaN = not assessed, truths 1, 0, -1 or True, False, None. A column that is not given is unknown.
    `best` holds the findings at best response (2018 measures growth from there too). Sources: `data/cll_response.csv`.
    """
    now, before = Items(current), Items(baseline)
    if now.length != before.length:
        length = max(now.length, before.length)
        now, before = Items(current, length), Items(baseline, length)
    length = now.length
    peak = Items(best, length) if best is not None else None
    view = View(standard, now, before, peak)
    rows = {row: view.holds(row) for part in ("CR", "PR") for row in select("cll_response", standard, part)}
    passed = {row: view.passes(row) for row in select("cll_response", standard, "PD")}
    counted = {row: both(truth, view.counts_as_progression(row)) for row, truth in passed.items()}
    abnormal = {name: view.is_abnormal(name) for name in _parameters(standard)}
    reached = {name: view.reaches(name, rows, abnormal) for name in _parameters(standard)}
    truths = _truths(standard, view, rows, passed, counted, abnormal, reached)
    return Response(
        standard,
        _category(standard, truths),
        rows | counted,
        passed,
        abnormal,
        reached,
        truths,
        view.now_items,
        view.before_items,
    )


def find_growth(
    standard: str, baseline: Findings, current: Findings, best: Findings | None = None
) -> tuple[Truths, Truths]:
    """The truths `growth` and `rise` of `assess_response`, which tell a flare, without the rest of it."""
    now, before = Items(current), Items(baseline)
    length = max(now.length, before.length)
    peak = Items(best, length) if best is not None else None
    view = View(standard, Items(current, length), Items(baseline, length), peak)
    rows = [row for row in select("cll_response", standard, "PD") if row.group in ("growth", "lymphocytes")]
    return _growth_and_rise({row: view.passes(row) for row in rows})


def _growth_and_rise(passed: Mapping[Row, Truths]) -> tuple[Truths, Truths]:
    """Whether nodes or organs, and whether lymphocytes, are past a bound of progression."""
    growth = some(truth for row, truth in passed.items() if row.group == "growth")
    rise = some(truth for row, truth in passed.items() if row.group == "lymphocytes")
    return growth, rise


@cache
def _parameters(standard: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.parameter for row in select("cll_response", standard, "PR")))


def _truths(
    standard: str,
    view: View,
    rows: Mapping[Row, Truths],
    passed: Mapping[Row, Truths],
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
    growth, rise = _growth_and_rise(passed)
    awaited = [(passed[row], counted[row]) for row in passed if row.group == "cytopenia"]
    suspected = np.zeros(view.now.length, dtype=np.bool_)
    for bound, counts_so in awaited:
        suspected |= (bound == TRUE) & (counts_so == UNKNOWN)
    pd = some(counted.values())
    npr = every([clinical, counts, normocellular, negate(without_nodules)])
    if standard != "iwCLL-2018":  # 2018 counts residual CLL nodules as nPR whatever else the marrow holds
        npr = both(npr, infiltrate)
    if standard == NCI_WG:
        cri = np.full(view.now.length, FALSE, dtype=np.int8)
    else:
        hypocellular = truth("marrow_hypocellular")
        clear = every([infiltrate, without_nodules, either(normocellular, hypocellular)])
        from_drug = truth("cytopenia_from_drug")
        other = (truth("cytopenia_from_cll") == TRUE) | (truth("cytopenia_other_cause") == TRUE)
        drug_like = np.where(other, FALSE, np.where(hypocellular == TRUE, TRUE, from_drug)).astype(np.int8)
        cause = either(counts, drug_like)
        cri = every([clinical, clear, cause])
    pr, pr_l = _partial(standard, view, abnormal, reached, rows)
    if standard == NCI_WG:  # a complete response but for anaemia or thrombocytopenia counts as partial
        pr = either(pr, every([clinical, marrow, negate(counts)]))
        early = np.full(view.now.length, FALSE, dtype=np.int8)
    else:
        months = view.now.number("months_since_last_dose")
        late = compare(months, ">=", limit(standard, "months_since_last_dose", "assessment"))
        early = np.where(late == FALSE, TRUE, FALSE).astype(np.int8)
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
        "suspected": suspected.astype(np.int8),
        "early": early,
        "unassessed": _unassessed(abnormal, reached),
    }


def _unassessed(abnormal: Mapping[str, Truths], reached: Mapping[str, Truths]) -> Truths:
    """Whether a group A parameter that was (or may have been) abnormal cannot be judged now."""
    names = [name for name in (*_SITES, "lymphocytes") if name in reached]
    unknown = [(abnormal[name] != FALSE) & (reached[name] == UNKNOWN) for name in names]
    found: Truths = np.any(unknown, axis=0).astype(np.int8)
    return found


def _partial(
    standard: str,
    view: View,
    abnormal: Mapping[str, Truths],
    reached: Mapping[str, Truths],
    rows: Mapping[Row, Truths],
) -> tuple[Truths, Truths]:
    """Partial remission, and partial remission with lymphocytosis."""
    group_a = [name for name in (*_SITES, "lymphocytes") if name in reached]
    no = np.full(view.now.length, FALSE, dtype=np.int8)
    if standard == NCI_WG:
        sites = every(either(negate(abnormal[name]), reached[name]) for name in group_a)
        counts = some(truth for row, truth in rows.items() if row.part == "PR" and row.group == "B")
        return every([sites, counts, some(abnormal[name] for name in group_a)]), no
    numbers = {row.parameter: int(row.bound or 0) for row in select("cll_response", standard, "count")}
    group_b = [name for name in _COUNTS if name in reached]
    marrow_in_a = standard == "iwCLL-2008"
    improved = {name: both(abnormal[name], reached[name]) for name in reached}

    def enough(group: list[str], extra: list[str], number: int, least: int = 0) -> Truths:
        was_abnormal = np.sum([abnormal[name] != FALSE for name in group], axis=0)
        asked = np.maximum(np.minimum(number, was_abnormal), least)
        columns = [improved[name] for name in (*group, *extra)]
        shown = np.sum([sure(column) for column in columns], axis=0)
        possible = np.sum([column != FALSE for column in columns], axis=0)
        return np.where(shown >= asked, TRUE, np.where(possible >= asked, UNKNOWN, FALSE)).astype(np.int8)

    a = enough(group_a, ["marrow"] if marrow_in_a else [], numbers["group A"])
    b = enough(group_b, [] if marrow_in_a else ["marrow"], numbers["group B"])
    redistributing = np.where(view.now.truth("redistributing") == TRUE, TRUE, FALSE).astype(np.int8)
    # while lymphocytes stay high under such an agent, a partial remission is one with lymphocytosis
    pr = every([a, b, some(improved.values()), either(negate(redistributing), reached["lymphocytes"])])
    a_without = enough([name for name in group_a if name != "lymphocytes"], [], numbers["group A"], least=1)
    pr_l = every([a_without, b, redistributing, negate(reached["lymphocytes"])])
    return pr, pr_l


def _category(standard: str, truths: Mapping[str, Truths]) -> NDArray[np.int8]:
    """The category of each subject; what is shown decides, from progression to the best remission downwards."""
    undecided = (truths["unassessed"] == TRUE) | (truths["pr"] == UNKNOWN) | (truths["suspected"] == TRUE)
    early = truths["early"] == TRUE
    conditions = [sure(truths["pd"])]
    codes: list[Category] = [Category.PD]
    for name in ("cr", "cri", "npr", "pr", "pr_l"):
        conditions.append(sure(truths[name]) & early)
        codes.append(Category.NE)
        conditions.append(sure(truths[name]))
        codes.append(Category[name.upper()])
    conditions.append(undecided)
    codes.append(Category.NE)
    return np.select(conditions, [int(code) for code in codes], default=int(Category.SD)).astype(np.int8)

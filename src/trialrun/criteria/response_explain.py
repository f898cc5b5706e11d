"""The reasons of a response category: which lines of the table decided, with values."""

from __future__ import annotations

from typing import cast

import numpy as np

from trialrun.criteria.explanation import Explanation, number
from trialrun.criteria.response import Category, Response
from trialrun.criteria.response_items import COLUMNS
from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import FALSE, TRUE, UNKNOWN

_DERIVED_UNITS = {"spleen_excess": "cm", "liver_excess": "cm"}
_PARTS = {Category.CR: "cr", Category.CRI: "cri", Category.NPR: "npr", Category.PR: "pr", Category.PR_L: "pr_l"}


def explain_response(response: Response, index: int = 0) -> Explanation:
    """Why the subject at `index` has its category."""
    category = Category(int(response.category[index]))
    progression = [row for row in response.passed if response.rows[row][index] == TRUE]
    missing = _missing(response, index)
    changes = _changes(response, index, category)
    if category is Category.PD:
        return Explanation(tuple(_sentence(response, row, index) for row in progression), missing, changes)
    if category in (Category.CR, Category.CRI, Category.NPR):
        return Explanation(_complete(response, index, category), missing, changes)
    if category in (Category.PR, Category.PR_L):
        return Explanation(_partial(response, index, category), missing, changes)
    if category is Category.SD:
        return Explanation(_stable(response, index), missing, changes)
    return Explanation(_not_evaluable(response, index), missing, changes)


def _value(response: Response, item: str, index: int, *, before: bool = False) -> str:
    columns = response.before if before else response.now
    column = columns.get(item)
    if column is None:
        return "not known"
    if column.dtype == np.int8:
        return {1: "yes", 0: "no", -1: "not assessed"}[int(column[index])]
    value = float(column[index])
    if np.isnan(value):
        return "not assessed"
    if np.isinf(value):
        return "present, size not given"
    if item == "hemoglobin":
        return number(value / 10, "g/dL")
    unit = COLUMNS[item][0] if item in COLUMNS else _DERIVED_UNITS.get(item, "")
    return number(value, unit or "")


def _sentence(response: Response, row: Row, index: int) -> str:
    """The line in words with the value it was held against."""
    text = f"{row.wording}: {_value(response, row.item, index)}"
    if row.measure in ("change", "fall") and row.item in response.before:
        text += f", baseline {_value(response, row.item, index, before=True)}"
        now = float(cast(float, response.now[row.item][index]))
        then = float(cast(float, response.before[row.item][index]))
        if row.measure == "change" and then > 0:
            text += f" ({100 * (now - then) / then:+.4g} %)"
    return text


def _lines(response: Response, part: str) -> tuple[Row, ...]:
    return select("cll_response", response.standard, part)


def _complete(response: Response, index: int, category: Category) -> tuple[str, ...]:
    rows = _lines(response, "CR")
    told = [_sentence(response, row, index) for row in rows if response.rows[row][index] == TRUE]
    if category is Category.CRI:
        counts = [row for row in rows if response.rows[row][index] != TRUE]
        told += [f"complete but for: {_sentence(response, row, index)}" for row in counts]
        told += [row.wording for row in _lines(response, "CRi")]
    if category is Category.NPR:
        told.append("otherwise complete, with residual lymphoid nodules in the marrow")
    return tuple(told)


def _partial(response: Response, index: int, category: Category) -> tuple[str, ...]:
    told = [row.wording for row in _lines(response, "count")] if response.standard != "NCI-WG-1996" else []
    for row in (*_lines(response, "PR"), *_lines(response, "CR")):
        name = row.parameter
        if name not in response.abnormal or response.reached[name][index] != TRUE:
            continue
        was_abnormal = response.abnormal[name][index] == TRUE or response.standard == "NCI-WG-1996"
        if was_abnormal and response.rows[row][index] == TRUE and not _told_already(told, name):
            told.append(f"{name}: {_sentence(response, row, index)}")
    if category is Category.PR_L:
        told += [row.wording for row in _lines(response, "PR-L")]
        told.append(f"lymphocytes {_value(response, 'lymphocytes', index)}: neither halved nor below 4.0")
    if response.truths["clinical"][index] == TRUE and response.truths["marrow"][index] == FALSE:
        told.append("complete in blood and examination, but the marrow does not meet complete remission")
    return tuple(told)


def _told_already(told: list[str], name: str) -> bool:
    return any(text.startswith(f"{name}: ") for text in told)


def _stable(response: Response, index: int) -> tuple[str, ...]:
    told = ["no complete or partial remission and no progression"]
    for name, abnormal in response.abnormal.items():
        if abnormal[index] == TRUE and response.reached[name][index] != TRUE:
            rows = [row for row in _lines(response, "PR") if row.parameter == name]
            told.append("not improved enough: " + _sentence(response, rows[0], index) if rows else name)
        elif abnormal[index] == TRUE:
            told.append(f"improved: {name}")
    for row, truth in response.passed.items():
        if truth[index] == TRUE:
            told.append(f"past a bound of progression, but it does not count: {_sentence(response, row, index)}")
    if response.standard != "NCI-WG-1996":
        told += [row.wording for row in _lines(response, "count")]
    return tuple(told)


def _not_evaluable(response: Response, index: int) -> tuple[str, ...]:
    truths = response.truths
    told = []
    if truths["early"][index] == TRUE and any(truths[part][index] == TRUE for part in _PARTS.values()):
        told += [row.wording for row in _lines(response, "limit") if row.parameter == "assessment"]
    if truths["unassessed"][index] == TRUE:
        told.append("a parameter of group A that was abnormal before therapy was not assessed")
    if truths["suspected"][index] == TRUE:
        told.append("a fall in counts past the bound of progression, whose cause is not known")
    if truths["pr"][index] == UNKNOWN:
        told.append("whether a partial remission is reached depends on what was not assessed")
    return tuple(told) or ("the findings do not decide",)


def _missing(response: Response, index: int) -> tuple[str, ...]:
    """Lines of complete remission that nobody looked at, and progression that only lacks its cause or confirmation."""
    told = []
    for row in _lines(response, "CR"):
        if response.rows[row][index] == UNKNOWN:
            told.append(f"{row.parameter}: not assessed ({row.wording})")
    for row in response.passed:
        if response.passed[row][index] == TRUE and response.rows[row][index] == UNKNOWN:
            what = "the cause of the cytopenia" if row.group == "cytopenia" else "a confirming examination"
            told.append(f"{what} ({row.wording})")
    return tuple(dict.fromkeys(told))


def _changes(response: Response, index: int, category: Category) -> tuple[str, ...]:
    """What stands between this verdict and a better one."""
    if category is Category.CR:
        return ("any line of the complete remission list that is not met",)
    if category is Category.PD:
        return ("findings that do not pass the bound, are not confirmed, or have another cause",)
    unmet = [row for row in _lines(response, "CR") if response.rows[row][index] == FALSE]
    unknown = [row for row in _lines(response, "CR") if response.rows[row][index] == UNKNOWN]
    told = [f"for CR: {_sentence(response, row, index)}" for row in (*unmet, *unknown)]
    if category in (Category.SD, Category.NE):
        for row in _lines(response, "PR"):
            if response.rows[row][index] != TRUE and response.reached[row.parameter][index] != TRUE:
                told.append(f"for PR: {_sentence(response, row, index)}")
    return tuple(told)

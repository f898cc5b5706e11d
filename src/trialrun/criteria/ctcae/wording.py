"""The texts of a graded table: made once for each combination that occurs, kept as codes until the end."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.criteria.ctcae.engine import (
    AT_LEAST,
    BASELINE,
    CLINICAL,
    ELSEWHERE,
    GAP,
    LLN,
    ULN,
    UNIT,
    VALUE,
    TermGrades,
)
from trialrun.criteria.ctcae.listing import describe_arm
from trialrun.criteria.ctcae.tables import Term
from trialrun.criteria.ctcae.values import TestGrades

Codes = NDArray[np.int32]


@dataclass(slots=True)
class Texts:
    """Every text that occurs, once; code 0 is no text."""

    codes: dict[str, int] = field(default_factory=dict)

    def code(self, text: str | None) -> int:
        """The code of a text."""
        return 0 if text is None else self.codes.setdefault(text, len(self.codes) + 1)

    def series(self, codes: Codes) -> pl.Series:
        """A column of texts from a column of codes."""
        return pl.Series([None, *self.codes], dtype=pl.String).gather(pl.Series(codes, dtype=pl.UInt32))


def reason_text(term: Term, why: int, arm: int, end: int) -> str | None:
    """Why there is no grade, or only a least one, in words."""
    if why == 0:
        return None
    if why == VALUE:
        return "value missing"
    if why == UNIT:
        return "unit missing, and the grades have fixed cut points"
    if why == ELSEWHERE:
        return term.arms[arm].clinical
    missing = [text for bit, text in ((LLN, "LLN"), (ULN, "ULN"), (BASELINE, "baseline")) if why & bit]
    parts = [" and ".join(missing) + " missing"] if missing else []
    if why & CLINICAL:
        facts = [a.clinical for a in term.arms if a.end and not a.is_gap]
        parts.append("clinical facts decide: " + " or ".join(dict.fromkeys(facts)))
    if why & GAP:
        parts.append(term.arms[arm].clinical)
    text = "; ".join(parts) or "cannot be told"
    return f"at least this grade, at most {end}: {text}" if why & AT_LEAST else text


def _reasons(texts: Texts, found: TermGrades, prefix: str = "") -> Codes:
    codes = np.zeros(len(found.grade), np.int32)
    open_ = np.flatnonzero(found.why)
    if not len(open_):
        return codes
    key = (
        found.why[open_].astype(np.int64) * 65536
        + (found.arm[open_] + 1).astype(np.int64) * 256
        + found.high_end[open_]
        + 1
    )
    kinds, place = np.unique(key, return_inverse=True)
    known = []
    for kind in kinds.tolist():
        text = reason_text(found.term, kind // 65536, kind // 256 % 256 - 1, kind % 256 - 1)
        known.append(texts.code(None if text is None else prefix + text))
    codes[open_] = np.asarray(known, np.int32)[place]
    return codes


def reason_codes(texts: Texts, found: TestGrades) -> Codes:
    """Codes of the reasons: of the direction that decides, of both where neither could."""
    low, high = found.low, found.high
    if low is None or high is None:
        only = low or high
        return np.zeros(len(found.grade), np.int32) if only is None else _reasons(texts, only)
    low_codes, high_codes = _reasons(texts, low), _reasons(texts, high)
    codes = np.where(found.direction < 0, low_codes, np.where(found.direction > 0, high_codes, 0))
    open_ = found.grade < 0
    codes = np.where(open_ & (low.grade < 0), low_codes, np.where(open_ & (high.grade < 0), high_codes, codes))
    both = np.flatnonzero(open_ & (low.grade < 0) & (high.grade < 0) & (low_codes != high_codes))
    if len(both):
        pair = low_codes[both].astype(np.int64) * (1 << 31) + high_codes[both]
        kinds, place = np.unique(pair, return_inverse=True)
        spoken = [None, *texts.codes]
        joined = [texts.code(f"low: {spoken[kind >> 31]}; high: {spoken[kind % (1 << 31)]}") for kind in kinds.tolist()]
        codes[both] = np.asarray(joined, np.int32)[place]
    return codes.astype(np.int32)


def term_codes(texts: Texts, found: TestGrades) -> Codes:
    """Codes of the term that gives the grade, or of the one term that could not be graded."""
    none = np.zeros(len(found.grade), np.int32)
    low = none if found.low is None else texts.code(found.low.term.name)
    high = none if found.high is None else texts.code(found.high.term.name)
    open_low = (found.low.grade < 0) if found.low is not None else none.astype(bool)
    open_high = (found.high.grade < 0) if found.high is not None else none.astype(bool)
    codes = np.where(found.direction < 0, low, np.where(found.direction > 0, high, 0))
    open_ = found.grade < 0
    codes = np.where(open_ & open_low & ~open_high, low, codes)
    return np.where(open_ & open_high & ~open_low, high, codes).astype(np.int32)


def rule_codes(texts: Texts, found: TestGrades) -> Codes:
    """Codes of the arm that decided; of `no grade holds` for grade 0."""
    codes = np.zeros(len(found.grade), np.int32)
    for part, sign in ((found.low, -1), (found.high, 1)):
        if part is None:
            continue
        names = np.asarray([texts.code(describe_arm(arm, part.unit)) for arm in part.term.arms] + [0], np.int32)
        codes = np.where(found.direction == sign, names[part.arm], codes)
    return np.where(found.grade == 0, texts.code("no printed grade holds"), codes).astype(np.int32)


def note_codes(
    texts: Texts, calcium: NDArray[np.int8], filled: NDArray[np.bool_], at_baseline: NDArray[np.bool_]
) -> Codes:
    """Codes of the notes: which calcium was graded, limits from the separate table, baseline record."""
    said = (
        (
            None,
            "calcium corrected with the albumin of the day",
            "total calcium as it is, by choice: no albumin of the day",
        ),
        (None, "limits from the table of limits"),
        (None, "baseline record: graded against the limits alone"),
    )
    key = calcium.astype(np.int32) + 3 * filled + 6 * at_baseline
    names = [
        texts.code("; ".join(filter(None, (said[0][kind % 3], said[1][kind // 3 % 2], said[2][kind // 6]))) or None)
        for kind in range(12)
    ]
    codes: Codes = np.asarray(names, np.int32)[key]
    return codes

"""Best overall response from a series of assessments: holding for two months, flare told from progression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialrun.criteria.response import STANDARDS, Category, Response, assess_response, find_growth
from trialrun.criteria.response_items import COLUMNS, Findings, Items, limit
from trialrun.criteria.tables import select
from trialrun.criteria.truth import FALSE, TRUE, UNKNOWN, Numbers, Truths, as_numbers, compare
from trialrun.vocab.problems import Problem, TrialrunError

# Size columns of which the smallest value so far is "response" for growth from response.
_SIZES = ("node_spd", "node_longest", "spleen_length", "spleen_below_costal_margin", "liver_below_costal_margin")
# Counts of which the highest value so far is "response" for a fall from response.
_HEIGHTS = ("platelets", "hemoglobin")
_LEVELS = (Category.CR, Category.CRI, Category.NPR, Category.PR, Category.PR_L)


@dataclass(frozen=True)
class Course:
    """Best overall response of n subjects over k assessments.

    `best` (n,) holds codes of `Category`; `response_day` (n,) the first day of the response that held (NaN: none);
    `progression_day` (n,) the first day of progression (NaN: none); `categories` (k, n) the category at each assessment
    by itself; `flare` (k, n) where growth past the bound was not confirmed; `assessments` the details.
    """

    best: NDArray[np.int8]
    response_day: Numbers
    progression_day: Numbers
    categories: NDArray[np.int8]
    flare: NDArray[np.bool_]
    assessments: tuple[Response, ...]

    @property
    def duration(self) -> Numbers:
        """Days from response to progression (NaN where there is no response or no progression yet)."""
        return self.progression_day - self.response_day


def assess_course(
    standard: str,
    baseline: Findings,
    assessments: Sequence[Findings],
    days: ArrayLike,
    *,
    held_months: ArrayLike | None = None,
    flares: bool = False,
) -> Course:
    """The best overall response of each subject from k assessments in the order of time.

    `baseline` and each of `assessments` map columns to arrays of n subjects, as for `assess_response`; `days` has shape
    (k,) or (k, n), NaN where an assessment did not take place. `held_months` (k, n): how long every finding of an
    assessment has held by what is stated with it. `flares`: the agent causes tumour flare (lenalidomide and its like),
    so growth at the last assessment is not progression before it is confirmed, and a lymphocyte rise that the next
    assessment does not show is none either.

    Growth that the next assessment does not show is not progression (NCI-WG 1996: the next one at least 2 weeks later).
    A response counts when every assessment over at least 8 weeks shows at least that category.
    """
    if standard not in STANDARDS:
        raise TrialrunError(
            Problem("unknown-criterion", "unknown standard", standard, "one of " + ", ".join(STANDARDS))
        )
    if not assessments:
        raise TrialrunError(Problem("no-assessment", "a course needs at least one assessment", "none"))
    length = max(Items(findings).length for findings in (baseline, *assessments))
    when = np.asarray(days, dtype=np.float64)
    when = np.broadcast_to(when[:, None] if when.ndim == 1 else when, (len(assessments), length))
    if when.shape[0] > 1 and not (np.diff(when, axis=0)[~np.isnan(np.diff(when, axis=0))] > 0).all():
        raise TrialrunError(
            Problem("order", "assessments must be in the order of time", str(np.asarray(days).tolist()))
        )
    findings = [_blank(each, ~np.isnan(when[j]), length) for j, each in enumerate(assessments)]
    bests = _best_before(baseline, findings, length)
    first = [find_growth(standard, baseline, each, bests[j]) for j, each in enumerate(findings)]
    growth, rise = np.array([found for found, _ in first]), np.array([found for _, found in first])
    least = limit(standard, "confirmation") if standard == "NCI-WG-1996" else 0.0
    responses = []
    flare = np.zeros((len(findings), length), dtype=np.bool_)
    for j, each in enumerate(findings):
        stated = Items(each, length).truth("growth_confirmed")
        seen = _confirmation(growth, when, j, least, awaits=flares or standard == "NCI-WG-1996")
        confirmed = np.where(stated != UNKNOWN, stated, seen).astype(np.int8)
        flare[j] = (growth[j] == TRUE) & (confirmed != TRUE)
        judged: dict[str, ArrayLike] = {**each, "growth_confirmed": confirmed}
        if flares:
            passing = (rise[j] == TRUE) & (_confirmation(rise, when, j, 0.0, awaits=False) == FALSE)
            flare[j] |= passing
            judged["rise_explained"] = np.where(passing, TRUE, Items(each, length).truth("rise_explained"))
        responses.append(assess_response(standard, baseline, judged, bests[j]))
    held = np.full(when.shape, np.nan)
    if held_months is not None:
        held = np.broadcast_to(np.asarray(held_months, dtype=np.float64).reshape(len(findings), -1), when.shape)
    return _course(standard, responses, when, held, flare)


def _blank(found: Findings, took_place: NDArray[np.bool_], length: int) -> dict[str, Numbers | Truths]:
    """The findings, unknown for subjects whose assessment did not take place."""
    items = Items(found, length)
    blanked: dict[str, Numbers | Truths] = {}
    for name in found:
        if COLUMNS[name][0] is None:
            blanked[name] = np.where(took_place, items.truth(name), UNKNOWN).astype(np.int8)
        else:
            blanked[name] = np.where(took_place, items.number(name), np.nan)
    return blanked


def _best_before(baseline: Findings, findings: Sequence[Findings], length: int) -> list[dict[str, Numbers]]:
    """For each assessment the smallest sizes and highest counts from baseline to the assessment before it."""
    so_far: dict[str, Numbers] = {}
    bests: list[dict[str, Numbers]] = []
    for found in (baseline, *findings):
        if found is not baseline:
            bests.append(dict(so_far))
        items = Items(found, length)
        for name in (*_SIZES, *_HEIGHTS):
            if name in found:
                value = items.number(name)
                earlier = so_far.get(name, np.full(length, np.nan))
                so_far[name] = np.fmin(earlier, value) if name in _SIZES else np.fmax(earlier, value)
    return bests


def _confirmation(growth: Truths, when: Numbers, j: int, least: float, *, awaits: bool) -> Truths:
    """Whether the next assessment (at least so many days later) shows the growth too.

    Where there is no later assessment: not confirmed when confirmation is awaited, taken as it stands otherwise.
    """
    confirmed = np.full(when.shape[1], UNKNOWN, dtype=np.int8)
    for later in range(j + 1, len(when)):
        enough = compare(when[later] - when[j], ">=", least) == TRUE
        # growth that is gone sooner than the interval was not seen on consecutive examinations either
        gone = growth[later] == FALSE
        decided = (confirmed == UNKNOWN) & ~np.isnan(when[later]) & (growth[later] != UNKNOWN) & (enough | gone)
        confirmed = np.where(decided, growth[later], confirmed).astype(np.int8)
    last_word = FALSE if awaits else TRUE
    return np.where(confirmed == UNKNOWN, last_word, confirmed).astype(np.int8)


def _course(standard: str, responses: list[Response], when: Numbers, held: Numbers, flare: NDArray[np.bool_]) -> Course:
    categories = np.array([response.category for response in responses])
    hold = next(row.bound or 0.0 for row in select("cll_response", standard, "hold"))
    happened = ~np.isnan(when)
    progressed = (categories == Category.PD) & happened
    before_pd = np.cumsum(progressed, axis=0) == 0
    progression_day = np.where(progressed.any(axis=0), _first(when, progressed), np.nan)
    best = np.where(progressed.any(axis=0), int(Category.PD), int(Category.NE)).astype(np.int8)
    evaluable = (categories >= Category.SD) & before_pd & happened
    best = np.where(evaluable.any(axis=0), int(Category.SD), best).astype(np.int8)
    response_day = np.full(when.shape[1], np.nan)
    for level in reversed(_LEVELS):
        day = _held(level, responses, categories, when, held, before_pd & happened, hold)
        there = ~np.isnan(day)
        best = np.where(there, int(level), best).astype(np.int8)
        response_day = np.where(there, day, response_day)
    return Course(best, response_day, progression_day, categories, flare, tuple(responses))


def _first(when: Numbers, chosen: NDArray[np.bool_]) -> Numbers:
    first = np.argmax(chosen, axis=0)
    return as_numbers(np.take_along_axis(when, first[None, :], axis=0)[0])


def _held(
    level: Category,
    responses: list[Response],
    categories: NDArray[np.int8],
    when: Numbers,
    held: Numbers,
    usable: NDArray[np.bool_],
    hold: float,
) -> Numbers:
    """The first day of a run of assessments at this level or better that lasts long enough; NaN where there is none.

    A remission with an examined marrow (CR, CRi, nPR) needs the marrow once within the run, not at every assessment.
    An assessment that cannot be evaluated neither breaks a run nor prolongs it.
    """
    start = np.full(when.shape[1], np.nan)
    proven = np.zeros(when.shape[1], dtype=np.bool_)
    found = np.full(when.shape[1], np.nan)
    for j, response in enumerate(responses):
        reached = categories[j] >= level
        keeps = reached.copy()
        if level in (Category.CR, Category.CRI, Category.NPR):
            counts = response.truths["counts"] != FALSE if level != Category.CRI else True
            keeps |= (response.truths["clinical"] == TRUE) & counts & (categories[j] >= Category.PR)
        keeps &= usable[j]
        reached &= usable[j]
        breaks = usable[j] & (categories[j] != Category.NE) & ~keeps
        start = np.where(breaks, np.nan, np.where(keeps & np.isnan(start), when[j], start))
        proven = np.where(breaks, False, proven | reached)
        long_enough = compare(when[j] - start, ">=", hold) == TRUE
        long_enough |= reached & (compare(held[j], ">=", hold / 28.0) == TRUE)
        done = keeps & proven & long_enough & np.isnan(found)
        found = np.where(done, start, found)
    return found


def summarize_categories(categories: NDArray[np.int8]) -> Mapping[str, int]:
    """How many subjects have each category, by its published name."""
    return {category.label: int((categories == category).sum()) for category in reversed(Category)}

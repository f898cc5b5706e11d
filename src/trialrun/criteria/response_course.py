"""Best overall response from a series of assessments: holding for two months, flare told from progression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialrun.criteria.response import STANDARDS, Category, Response, conclude, find_growth, view_findings
from trialrun.criteria.response_items import COLUMNS, Findings, Items, limit
from trialrun.criteria.tables import select
from trialrun.criteria.truth import FALSE, TRUE, UNKNOWN, Numbers, Truths, as_numbers, compare, prefer
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
    # all assessments are judged together: (k, n) side by side
    took_place = ~np.isnan(when)
    findings = _stack(assessments, took_place)
    start = Items(baseline, length)
    before = {name: np.tile(np.broadcast_to(column, length), len(when)) for name, column in _columns(start).items()}
    best = {name: column.ravel() for name, column in _best_before(start, findings, when.shape).items()}
    view = view_findings(standard, before, {name: column.ravel() for name, column in findings.items()}, best)
    growth, rise = (np.broadcast_to(truth, when.size).reshape(when.shape) for truth in find_growth(view))
    least = limit(standard, "confirmation") if standard == "NCI-WG-1996" else 0.0
    awaits = flares or standard == "NCI-WG-1996"
    seen = np.array([_confirmation(growth, when, j, least, awaits=awaits) for j in range(len(when))])
    confirmed = prefer(view.now.truth("growth_confirmed"), seen.ravel())
    flare = (growth == TRUE) & (confirmed.reshape(when.shape) != TRUE)
    view.now.truths["growth_confirmed"] = confirmed
    if flares:
        shown = np.array([_confirmation(rise, when, j, 0.0, awaits=False) for j in range(len(when))])
        passing = (rise == TRUE) & (shown == FALSE)
        flare |= passing
        explained = np.where(passing.ravel(), TRUE, view.now.truth("rise_explained"))
        view.now.truths["rise_explained"] = explained
    whole = conclude(view)
    responses = [whole.part(slice(j * length, (j + 1) * length)) for j in range(len(when))]
    held = np.full(when.shape, np.nan)
    if held_months is not None:
        held = np.broadcast_to(np.asarray(held_months, dtype=np.float64).reshape(len(when), -1), when.shape)
    return _course(standard, responses, when, held, flare)


def _columns(items: Items) -> dict[str, Numbers | Truths]:
    return {**items.numbers, **items.truths}


def _stack(assessments: Sequence[Findings], took_place: NDArray[np.bool_]) -> dict[str, Numbers | Truths]:
    """The findings of all assessments (k, n), unknown for subjects whose assessment did not take place."""
    stacked: dict[str, Numbers | Truths] = {}
    for j, found in enumerate(assessments):
        for name, column in _columns(Items(found, took_place.shape[1])).items():
            unknown = UNKNOWN if COLUMNS[name][0] is None else np.nan
            if name not in stacked:
                stacked[name] = np.full(took_place.shape, unknown, dtype=column.dtype)
            stacked[name][j] = np.where(took_place[j], column, unknown)
    return stacked


def _best_before(
    baseline: Items, findings: Mapping[str, Numbers | Truths], shape: tuple[int, ...]
) -> dict[str, Numbers]:
    """For each assessment (k, n) the smallest sizes and highest counts from baseline to the assessment before it."""
    best: dict[str, Numbers] = {}
    for name in (*_SIZES, *_HEIGHTS):
        if name in baseline.numbers or name in findings:
            so_far = np.full(shape, np.nan)
            so_far[0] = baseline.number(name)
            so_far[1:] = findings[name][:-1] if name in findings else np.nan
            best[name] = (np.fmin if name in _SIZES else np.fmax).accumulate(so_far, axis=0)
    return best


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


def lacks_marrow(standard: str, course: Course, when: Numbers) -> NDArray[np.bool_]:
    """Who (n,) may have been in complete remission but for a marrow that nobody examined: all else of it held for as long as is
    asked, at the assessments on the days `when` (k, n), before any progression."""
    hold = next(row.bound or 0.0 for row in select("cll_response", standard, "hold"))
    start, nobody = np.full(when.shape[1], np.nan), np.zeros(when.shape[1], dtype=np.bool_)
    usable = ~np.isnan(when) & (np.cumsum((course.categories == Category.PD) & ~np.isnan(when), axis=0) == 0)
    examined, waiting, lacked = nobody, nobody, nobody
    for j, response in enumerate(course.assessments):
        truths = response.truths
        keeps = usable[j] & (truths["clinical"] == TRUE) & (truths["counts"] == TRUE)
        ends = usable[j] & (course.categories[j] != Category.NE) & ~keeps
        lacked = lacked | (ends & waiting)
        start = np.where(ends, np.nan, np.where(keeps & np.isnan(start), when[j], start))
        examined = ~ends & (examined | (keeps & (truths["marrow"] != UNKNOWN)))
        long_enough = keeps & (compare(when[j] - start, ">=", hold) == TRUE)
        waiting = ~ends & ~examined & (waiting | long_enough)
    return lacked | waiting


def summarize_categories(categories: NDArray[np.int8]) -> Mapping[str, int]:
    """How many subjects have each category, by its published name."""
    return {category.label: int((categories == category).sum()) for category in reversed(Category)}

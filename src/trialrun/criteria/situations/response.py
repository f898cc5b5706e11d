"""CLL response of one situation: one assessment, or the best response of a series."""

from __future__ import annotations

import numpy as np

from trialrun.criteria.explanation import Explanation, number
from trialrun.criteria.response import Category, assess_response
from trialrun.criteria.response_course import Course, assess_course
from trialrun.criteria.response_explain import explain_response
from trialrun.criteria.response_items import Findings
from trialrun.criteria.situations.findings import Columns, read_moment, read_therapy
from trialrun.criteria.situations.vocabulary import Moment, Situation
from trialrun.vocab.problems import Problem, TrialrunError

# Two months, as a stated duration (maintained_months).
HELD_MONTHS = 2.0


def assess_response_situation(situation: Situation) -> tuple[str, Explanation]:
    """The category and why."""
    baseline = situation.baseline
    if baseline is None:
        raise TrialrunError(Problem("missing-key", "the key 'baseline' is missing", None, "baseline: {...}"))
    if (situation.assessment is None) == (situation.assessments is None):
        message = "a response needs either assessment or assessments"
        raise TrialrunError(Problem("missing-key", message, None, "assessment: {...}"))
    therapy, flares = read_therapy(situation.therapy)
    standard = situation.standard
    before = _arrays(read_moment(baseline, None, standard, "baseline"))
    if situation.assessments is not None:
        return _series(situation.assessments, baseline, before, therapy, flares, standard)
    moment = situation.assessment
    assert moment is not None
    if situation.question is not None:
        message = "question: best_response asks for a series"
        raise TrialrunError(Problem("missing-key", message, None, "assessments: [...]"))
    columns = {**read_moment(moment, baseline, standard, "assessment"), **therapy}
    if flares and columns["growth_confirmed"] == -1:
        columns["growth_confirmed"] = 0  # growth under an agent that causes flare waits for a second examination
    found = _arrays(columns)
    best = situation.best_response_assessment
    peak = None if best is None else _arrays(read_moment(best, baseline, standard, "best_response_assessment"))
    response = assess_response(standard, before, found, peak)
    explanation = explain_response(response)
    category = Category(int(response.category[0]))
    return _held(category, moment, explanation)


def _arrays(columns: Columns) -> Findings:
    return {name: np.array([value]) for name, value in columns.items()}


def _held(category: Category, moment: Moment, explanation: Explanation) -> tuple[str, Explanation]:
    """A remission that has not held for two months is not one yet."""
    if category < Category.PR_L:
        return category.label, explanation
    months = moment.maintained_months
    if moment.confirmed is False or (months is not None and months < HELD_MONTHS * (1 - 1e-12)):
        stated = "not confirmed" if months is None else f"held for {number(months)} months"
        told = (f"{category.label} by the findings, but {stated}: they must hold for at least 2 months",)
        change = (f"for {category.label}: the same findings for at least 2 months",)
        return Category.SD.label, Explanation(told + explanation.decided_by, explanation.missing, change)
    notes = () if months is not None else ("maintained_months is not stated: the findings are taken to have held",)
    held = () if months is None else (f"held for {number(months)} months",)
    decided = explanation.decided_by + held
    return category.label, Explanation(decided, explanation.missing, explanation.would_change, notes)


def _series(
    moments: list[Moment], baseline: Moment, before: Findings, therapy: Columns, flares: bool, standard: str
) -> tuple[str, Explanation]:
    findings: list[Findings] = []
    weeks: list[float] = []
    for place, moment in enumerate(moments):
        where = f"assessments.{place}"
        if moment.week is None:
            raise TrialrunError(Problem("missing-key", f"{where} has no week", None, "week: 8"))
        weeks.append(moment.week)
        findings.append(_arrays({**read_moment(moment, baseline, standard, where), **therapy}))
    held = [[np.nan if moment.maintained_months is None else moment.maintained_months] for moment in moments]
    days = [7.0 * week for week in weeks]
    course = assess_course(standard, before, findings, days, held_months=np.array(held), flares=flares)
    return Category(int(course.best[0])).label, _explain_course(course, weeks)


def _explain_course(course: Course, weeks: list[float]) -> Explanation:
    told: list[str] = []
    missing: list[str] = []
    for place, (week, response) in enumerate(zip(weeks, course.assessments, strict=True)):
        category = Category(int(response.category[0]))
        explanation = explain_response(response)
        told.append(f"week {number(week)}: {category.label} ({'; '.join(explanation.decided_by)})")
        if course.flare[place][0]:
            told.append(f"week {number(week)}: growth past the bound that the next assessment does not confirm")
        missing += [f"week {number(week)}: {what}" for what in explanation.missing]
    best = Category(int(course.best[0]))
    if best >= Category.PR_L:
        start = float(course.response_day[0]) / 7
        told.insert(0, f"{best.label} from week {number(start)} held for at least 2 months (8 weeks)")
        change = ["a loss of the response within 8 weeks"]
    elif best is Category.SD:
        told.insert(
            0, "no response held for at least 2 months (8 weeks), and no progression before the best assessment"
        )
        change = ["response values at every assessment over at least 8 weeks"]
    elif best is Category.PD:
        told.insert(0, "progression before any other category was shown")
        change = ["growth that the next assessment does not confirm"]
    else:
        told.insert(0, "no assessment could be evaluated")
        change = ["an assessment of the parameters that were abnormal before therapy"]
    if not np.isnan(course.progression_day[0]):
        told.append(f"progression at week {number(float(course.progression_day[0]) / 7)}")
    return Explanation(tuple(told), tuple(dict.fromkeys(missing)), tuple(change))

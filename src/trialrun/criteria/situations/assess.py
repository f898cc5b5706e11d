"""A file of situations, each answered by itself: a verdict and its reasons, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trialrun.criteria.explanation import Explanation
from trialrun.criteria.response import STANDARDS as RESPONSE_STANDARDS
from trialrun.criteria.situations.lysis import assess_lysis
from trialrun.criteria.situations.response import assess_response_situation
from trialrun.criteria.situations.toxicity import assess_toxicity
from trialrun.criteria.situations.vocabulary import Situation
from trialrun.criteria.tumor_lysis import CAIRO_BISHOP, HOWARD
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_source import Key, YamlSource, read_yaml, validate

Verdict = str | int | Mapping[str, bool | int | str | None]


@dataclass(frozen=True)
class Answer:
    """The answer to one situation.

    `verdict` is a response category, a grade or, for tumour lysis, a mapping of ltls, ctls, ctls_grade (NE where not
    assessable); `side_by_side` holds both definitions of tumour lysis; a situation that cannot be read has problems
    and no verdict.
    """

    id: str
    standard: str | None
    verdict: Verdict | None
    explanation: Explanation
    side_by_side: Mapping[str, Mapping[str, bool | int | str | None]]
    problems: tuple[Problem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: id, standard, verdict, decided_by, missing, would_change, notes.

        Tumour lysis adds cairo_bishop_2004 and howard_2011; a situation with problems has those instead.
        """
        if self.problems:
            found = [problem.as_dict() for problem in self.problems]
            return {"id": self.id, "standard": self.standard, "verdict": None, "problems": found}
        names = {CAIRO_BISHOP: "cairo_bishop_2004", HOWARD: "howard_2011"}
        return {
            "id": self.id,
            "standard": self.standard,
            "verdict": dict(self.verdict) if isinstance(self.verdict, Mapping) else self.verdict,
            **{names[name]: dict(verdict) for name, verdict in self.side_by_side.items()},
            "decided_by": list(self.explanation.decided_by),
            "missing": list(self.explanation.missing),
            "would_change": list(self.explanation.would_change),
            "notes": list(self.explanation.notes),
        }


def assess_file(path: Path | str) -> list[Answer]:
    """Every situation of the file (key `situations:`), in order.

    A file that cannot be read, or without the key, is a TrialrunError; a bad situation is an Answer with problems.
    """
    source = read_yaml(path, keep=False)  # it may be of patients
    if not isinstance(source.data, dict) or not isinstance(source.data.get("situations"), list):
        expected = "situations: a list of situations"
        problem = Problem(
            "missing-key", "the key 'situations' is missing or no list", None, expected, source.location(())
        )
        raise TrialrunError(problem)
    unknown = [key for key in source.data if key != "situations"]
    if unknown:
        place = source.location((unknown[0],))
        raise TrialrunError(Problem("unknown-key", "unknown key", repr(unknown[0]), "situations", place))
    answers: list[Answer] = []
    seen: dict[str, int] = {}
    for number, data in enumerate(source.data["situations"]):
        answer = _assess_entry(source, data, ("situations", number))
        if answer.id in seen:
            place = source.location(("situations", number, "id"))
            message = f"the id is used already by situation {seen[answer.id] + 1}"
            problem = Problem("duplicate-id", message, repr(answer.id), "an id of its own", place)
            answer = replace(answer, verdict=None, problems=(*answer.problems, problem))
        seen.setdefault(answer.id, number)
        answers.append(answer)
    return answers


def _assess_entry(source: YamlSource, data: Any, at: Key) -> Answer:
    name = str(data["id"]) if isinstance(data, dict) and "id" in data else f"situation {int(at[1]) + 1}"
    standard = str(data["standard"]) if isinstance(data, dict) and "standard" in data else None
    try:
        if not isinstance(data, dict):
            found = f"a {type(data).__name__}"
            raise TrialrunError(Problem("invalid-value", "a situation is a mapping of keys", found, "id: ..."))
        return assess_situation(validate(source, Situation, data, at))
    except TrialrunError as error:
        problems = tuple(
            problem if problem.location != Location() else replace(problem, location=source.location(at))
            for problem in error.problems
        )
        return Answer(name, standard, None, Explanation(), {}, problems)


def assess_situation(situation: Situation) -> Answer:
    """The verdict of one situation; what cannot be assessed at all is a TrialrunError."""
    name, standard = str(situation.id), situation.standard
    if standard in RESPONSE_STANDARDS:
        verdict, explanation = assess_response_situation(situation)
        return Answer(name, standard, verdict, explanation, {})
    if standard in (CAIRO_BISHOP, HOWARD):
        if situation.labs is None:
            raise TrialrunError(Problem("missing-key", "the key 'labs' is missing", None, "labs: [{day: 0, ...}]"))
        verdicts, reasons = assess_lysis(situation.labs, situation.patient, situation.clinical)
        return Answer(name, standard, verdicts[standard], reasons[standard], verdicts)
    if situation.inputs is None:
        raise TrialrunError(Problem("missing-key", "the key 'inputs' is missing", None, "inputs: {parameter: ...}"))
    grade, explanation = assess_toxicity(situation.inputs)
    return Answer(name, standard, grade, explanation, {})

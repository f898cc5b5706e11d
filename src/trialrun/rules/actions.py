"""What a row of a table does when it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from trialrun.rules.reading import read_rule
from trialrun.rules.rule import Rule
from trialrun.rules.terms import Vocabulary
from trialrun.vocab.problems import Location, Problem, TrialrunError

Verb = Literal["continue", "stay", "step_up", "hold", "reduce", "stop", "start", "end", "pause", "stop_study"]
Resume = Literal["same level", "one level lower", "first level"]


@dataclass(frozen=True, slots=True)
class Action:
    """One action: `until` and `resume` go with a hold, `what` names the co-treatment that is started or ended."""

    verb: Verb
    text: str
    until: Rule | None = None
    resume: Resume | None = None
    what: str | None = None

    def does_same_as(self, other: Action) -> bool:
        """Whether both do the same thing, however they are worded."""
        return self._meaning() == other._meaning()

    @property
    def acts_on_study(self) -> bool:
        """Whether it is about enrolment or the whole study, not about one participant's treatment."""
        return self.verb in ("pause", "stop_study")

    def includes(self, other: Action) -> bool:
        """Whether this does what the other does and more: a study that is stopped enrols nobody."""
        return self.verb == "stop_study" and other.verb == "pause"

    def _meaning(self) -> tuple[object, ...]:
        return self.verb, None if self.until is None else self.until.node, self.resume, self.what


_PLAIN: dict[str, Verb] = {
    "continue": "continue",
    "stay at the same level": "stay",
    "step up": "step_up",
    "reduce one level": "reduce",
    "stop treatment": "stop",
    "pause enrolment": "pause",
    "pause accrual": "pause",
    "stop the study": "stop_study",
    "hold": "hold",
}
_HOLD = re.compile(
    r"hold until (?P<until>.+), resume (?:at the )?(?P<resume>same level|first level|one level lower)", re.DOTALL
)
_OTHER = re.compile(r"(?P<verb>start|end|stop) (?P<what>[A-Za-z][A-Za-z0-9_-]*)")


def read_action(text: str, vocabulary: Vocabulary, location: Location | None = None) -> Action:
    """Read the action of a row; one that the language does not have is a TrialrunError that lists those it has."""
    where = location or Location()
    plain = " ".join(text.split())
    if plain in _PLAIN:
        return Action(_PLAIN[plain], plain)
    hold = _HOLD.fullmatch(plain)
    if hold is not None:
        resume: dict[str, Resume] = {
            "same level": "same level",
            "first level": "first level",
            "one level lower": "one level lower",
        }
        return Action("hold", plain, read_rule(hold["until"], vocabulary, where), resume[hold["resume"]])
    other = _OTHER.fullmatch(plain)
    if other is not None:
        return Action("start" if other["verb"] == "start" else "end", plain, what=other["what"])
    known = [
        *_PLAIN,
        "hold until ..., resume at the same level | one level lower | at the first level",
        "start ...",
        "stop ...",
    ]
    raise TrialrunError(Problem("unknown-action", "unknown action", repr(text), "one of: " + "; ".join(known), where))

"""Who is eligible: every criterion's verdict for every candidate, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trialrun.protocol.version import Version
from trialrun.record.screening import Screening
from trialrun.rules import FALSE, TRUE, Columns, Explanation, History, Input, evaluate, explain
from trialrun.rules.truth import NAMES, Truth, all_of, negate


@dataclass(frozen=True, slots=True)
class Screened:
    """One candidate: `verdict` is eligible, not eligible or undetermined; `criteria` the verdict of each (true = met);
    `missing` what an undetermined verdict waits for; `failed` the criteria that are not met."""

    subject: str
    verdict: str
    criteria: Mapping[str, str]
    failed: tuple[str, ...]
    missing: tuple[str, ...]
    explanations: Mapping[str, Explanation]


def eligibility_inputs(version: Version) -> tuple[Input, ...]:
    """What the eligibility criteria of a version rest on."""
    return tuple(sorted({item for criterion in version.eligibility for item in criterion.rule.inputs}, key=str))


def judge_criteria(version: Version, columns: Columns) -> dict[str, Truth]:
    """Whether each eligibility criterion is met, (m,) by its name; an exclusion criterion is where its condition is false."""
    found = {}
    for criterion in version.eligibility:
        verdict = evaluate(criterion.rule, columns)
        found[criterion.name] = negate(verdict) if getattr(criterion.part, "kind", "") == "exclusion" else verdict
    return found


def screen(version: Version, screening: Screening) -> tuple[Screened, ...]:
    """Screen all candidates at once by the eligibility criteria of a version.

    Values count as current on the day of screening.
    """
    n = len(screening.subjects)
    rows = np.arange(n)
    history = History(eligibility_inputs(version), n)
    nothing = np.full(n, np.nan)
    for test, values in screening.values.items():
        low, high = screening.low.get(test, nothing), screening.high.get(test, nothing)
        history.observe(test, rows, 0.0, values, low, high)
    history.set_state("age", rows, np.floor(screening.age))
    history.set_state("consented", rows, screening.consented)
    columns = history.columns(0.0, rows)
    verdicts = judge_criteria(version, columns)
    whole = all_of(list(verdicts.values()))
    words = {TRUE: "eligible", FALSE: "not eligible"}
    found = []
    for row in range(n):
        explanations = {criterion.name: explain(criterion.rule, columns, row) for criterion in version.eligibility}
        said = {name: NAMES[int(verdict[row])] for name, verdict in verdicts.items()}
        missing = [
            waits for name, verdict in said.items() if verdict == "unknown" for waits in explanations[name].waits_for
        ]
        found.append(
            Screened(
                subject=screening.subjects[row],
                verdict=words.get(int(whole[row]), "undetermined"),
                criteria=said,
                failed=tuple(name for name, verdict in said.items() if verdict == "false"),
                missing=tuple(dict.fromkeys(missing)),
                explanations=explanations,
            )
        )
    return tuple(found)

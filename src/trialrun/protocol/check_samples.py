"""Checks of the samples that a version names: every one is taken, at the visits it says, and its comparison exists."""

from __future__ import annotations

from collections.abc import Iterator

from trialrun.protocol.document import SamplePart
from trialrun.protocol.version import Version
from trialrun.vocab.problems import Problem


def check_samples(version: Version) -> list[Problem]:
    """Samples on no visit, visits that do not take them, comparisons of other visits, activities with unknown ones."""
    problems = [
        problem for name, part in version.part.samples.items() for problem in _check_sample(version, name, part)
    ]
    for activity, item in version.activities.items():
        for number, sample in enumerate(item.samples):
            if sample not in version.part.samples:
                known = ", ".join(version.part.samples) or "a sample that is described under `samples`"
                location = version.source.location(("activities", activity, "samples", number))
                message = "the activity takes a sample that is not described"
                problems.append(Problem("unknown-sample", message, repr(sample), known, location))
    return problems


def _check_sample(version: Version, name: str, part: SamplePart) -> Iterator[Problem]:
    source = version.source
    taking = {activity for activity, item in version.activities.items() if name in item.samples}
    at = [visit for visit, item in version.visits.items() if taking & set(item.does)]
    if not at:
        message = "the sample is taken at no visit"
        expected = f"an activity with `samples: [{name}]` that a visit does"
        yield Problem("sample-on-no-visit", message, repr(name), expected, source.location(("samples", name)))
    for number, visit in enumerate(part.visits):
        location = source.location(("samples", name, "visits", number))
        if visit not in version.visits:
            expected = "one of " + ", ".join(version.visits)
            yield Problem(
                "unknown-visit",
                "the sample names a visit that the schedule does not have",
                repr(visit),
                expected,
                location,
            )
        elif at and visit not in at:
            message = f"the visit {visit} does no activity that takes the sample"
            yield Problem("sample-on-no-visit", message, repr(visit), "one of " + ", ".join(at), location)
    if part.comparison is not None:
        sides = [side.strip() for side in part.comparison.split(" - ")]
        if len(sides) != 2 or not set(sides) <= set(part.visits) or sides[0] == sides[1]:
            expected = "two different visits of the sample, such as " + " - ".join(part.visits[::-1][:2])
            location = source.location(("samples", name, "comparison"))
            yield Problem(
                "sample-comparison",
                "the comparison is not of two of its visits",
                repr(part.comparison),
                expected,
                location,
            )

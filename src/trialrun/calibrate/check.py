"""What is wrong with a calibration file, each with its line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from trialrun.analysis.definitions import all_outcomes
from trialrun.calibrate.file import CalibrationFile, Prior
from trialrun.simulate.ensemble import SHIFT, SPREAD
from trialrun.simulate.limits import FAR_TRIALS, limits
from trialrun.simulate.population import Population
from trialrun.vocab.problems import Problem
from trialrun.vocab.yaml_source import YamlSource


def check_calibration(
    source: YamlSource, read: CalibrationFile, populations: Sequence[Population], cited: Collection[str]
) -> list[Problem]:
    """What is wrong with a calibration file whose trials have these populations and may cite these sources."""
    problems = []
    outcomes = all_outcomes()
    shares = [key for key, outcome in outcomes.items() if outcome.is_share]
    for name, fact in read.facts.items():
        if fact.median is not None:
            what, right = (
                "not an outcome with a median",
                [key for key, outcome in outcomes.items() if outcome.kind in ("number", "time")],
            )
        elif fact.count == "episodes":
            what, right = (
                "not an outcome with episodes",
                [key for key, outcome in outcomes.items() if outcome.kind == "total"],
            )
        else:
            what, right = "not an outcome with a count", shares
        if fact.outcome not in right:
            at = source.location(("facts", name, "outcome"))
            problems.append(Problem("unknown-outcome", what, fact.outcome, ", ".join(right), at))
        if fact.among is not None and fact.among not in shares:
            at = source.location(("facts", name, "among"))
            problems.append(
                Problem("unknown-outcome", "not an outcome with a count", fact.among, ", ".join(shares), at)
            )
        for trial in fact.seen_in:
            if trial not in read.trials:
                at = source.location(("facts", name, "seen_in"))
                problems.append(Problem("unknown-trial", "not one of the trials", trial, ", ".join(read.trials), at))
        if not fact.seen >= 0 or (fact.count == "subjects" and fact.seen > fact.of):
            at = source.location(("facts", name, "events"))
            problems.append(
                Problem("impossible-count", "more events than subjects", str(fact.events), str(fact.of), at)
            )
        if fact.source not in cited:
            at = source.location(("facts", name, "source"))
            message = "not one of the sources of the trials' population.yaml and published.yaml"
            problems.append(Problem("unknown-source", message, fact.source, ", ".join(sorted(cited)), at))
    return [*problems, *check_priors(source, read.priors, read.priors, populations)]


def check_priors(
    source: YamlSource, priors: Mapping[str, Prior], all_priors: Collection[str], populations: Sequence[Population]
) -> Iterator[Problem]:
    """What is wrong with `priors`, among `all_priors`: names that nothing has, and values that nothing can be."""
    known = populations[0].numbers()
    fitted = sorted({name for people in populations for name, shift in people.shift.items() if shift.fitted})
    for name, prior in priors.items():
        if name.endswith(SHIFT):
            shifted = name.removesuffix(SHIFT)
            if shifted not in fitted or shifted not in all_priors:
                at = source.location(("priors", name))
                said = "no population of the trials has such a fitted shift, or the number itself has no prior"
                yield Problem("unknown-number", said, name, ", ".join(fitted) or "none is fitted", at)
            continue
        number = known.get(name.removesuffix(SPREAD))
        if number is None or (name.endswith(SPREAD) and number.variability is None):
            at = source.location(("priors", name))
            yield Problem("unknown-number", "the population has no such number", name, "section.name", at)
        elif not name.endswith(SPREAD):
            reached, legal = prior.value(np.array([-FAR_TRIALS, FAR_TRIALS])), limits()[name]
            if not legal.hold(reached).all():
                message = f"the prior lets {name} be what nothing can be"
                found = f"{reached[0]:.3g} to {reached[1]:.3g} in 999 of 1,000 draws"
                expected = f"{legal}: `scale: logit` for a share, or a smaller sd"
                yield Problem("impossible-number", message, found, expected, source.location(("priors", name)))

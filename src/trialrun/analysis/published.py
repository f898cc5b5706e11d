"""Published facts of a study: read from its `published.yaml`, shown beside simulated numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from trialrun.analysis.definitions import all_outcomes
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import YamlSource, read_yaml, validate


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PublishedCount(_Part):
    """A share published as a count: `events` of `of` participants under `version`; `category` where the outcome has
    categories. `source` names one of the file's sources; `derived`: the count is arithmetic on a percentage."""

    outcome: str
    version: str
    events: int = Field(ge=0)
    of: int = Field(gt=0)
    source: str
    category: str | None = None
    derived: bool = False
    basis: str | None = None
    note: str | None = None


class PublishedTotal(_Part):
    """A number of episodes among `of` participants under `version`."""

    outcome: str
    version: str
    value: int = Field(ge=0)
    of: int = Field(gt=0)
    source: str
    note: str | None = None


class PublishedStatement(_Part):
    """A published finding without a number that could be compared."""

    about: str
    says: str
    source: str | list[str]
    version: str | None = None


class BenchmarkFact(_Part):
    """A published result of another treatment, as it is published; `outcome` names what is simulated beside it, if
    anything is comparable."""

    label: str
    says: str
    source: str
    outcome: str | None = None
    note: str | None = None


class PublishedBenchmark(_Part):
    """A treatment that a new one is held against: published results alone, no model. `about` says of whom."""

    name: str
    about: str
    facts: list[BenchmarkFact] = Field(min_length=1)


class Published(_Part):
    """The whole file. `sources` maps the short name of a source to its citation."""

    trialrun: int
    study: str
    sources: dict[str, str]
    counts: list[PublishedCount] = Field(default_factory=list)
    totals: list[PublishedTotal] = Field(default_factory=list)
    statements: list[PublishedStatement] = Field(default_factory=list)
    benchmarks: list[PublishedBenchmark] = Field(default_factory=list)
    not_published: list[str] = Field(default_factory=list)
    limits: list[str] = Field(default_factory=list)

    def cite(self, source: str | list[str]) -> str:
        """The citation or citations behind the short name or names."""
        return "; ".join(self.sources[name] for name in ([source] if isinstance(source, str) else source))


def name_as_run(published: Published, versions: Sequence[str]) -> Published:
    """The facts with the names that a run of several studies gives to its versions: `study@version`."""

    def named(version: str) -> str:
        full = f"{published.study}@{version}"
        return full if full in versions else version

    counts = [fact.model_copy(update={"version": named(fact.version)}) for fact in published.counts]
    totals = [fact.model_copy(update={"version": named(fact.version)}) for fact in published.totals]
    return published.model_copy(update={"counts": counts, "totals": totals})


def read_published(path: Path) -> Published:
    """Read and check the file; an unknown outcome or source, or a count above its total, is a TrialrunError."""
    source = read_yaml(path, path.name)
    published = validate(source, Published)
    problems = [*_unknown_names(source, published), *_impossible_counts(source, published)]
    if problems:
        raise TrialrunError(problems)
    return published


def _unknown_names(source: YamlSource, published: Published) -> list[Problem]:
    problems = []
    of_benchmarks = [
        (("benchmarks", place, "facts", number), fact)
        for place, benchmark in enumerate(published.benchmarks)
        for number, fact in enumerate(benchmark.facts)
    ]
    named: list[tuple[tuple[str | int, ...], str]] = [
        *((("counts", place), fact.outcome) for place, fact in enumerate(published.counts)),
        *((("totals", place), fact.outcome) for place, fact in enumerate(published.totals)),
        *((path, fact.outcome) for path, fact in of_benchmarks if fact.outcome is not None),
    ]
    known = ", ".join(all_outcomes())
    for path, outcome in named:
        if outcome not in all_outcomes():
            where = source.location((*path, "outcome"))
            problems.append(Problem("unknown-outcome", "unknown outcome", outcome, f"one of {known}", where))
    cited: list[tuple[tuple[str | int, ...], str | list[str]]] = [
        *((path, fact.source) for path, fact in of_benchmarks),
        *((("counts", place), fact.source) for place, fact in enumerate(published.counts)),
        *((("totals", place), fact.source) for place, fact in enumerate(published.totals)),
        *((("statements", place), fact.source) for place, fact in enumerate(published.statements)),
    ]
    known = ", ".join(published.sources)
    for path, names in cited:
        for name in [names] if isinstance(names, str) else names:
            if name not in published.sources:
                where = source.location((*path, "source"))
                problems.append(Problem("unknown-source", "unknown source", name, f"one of {known}", where))
    return problems


def _impossible_counts(source: YamlSource, published: Published) -> list[Problem]:
    return [
        Problem(
            "impossible-count",
            "more events than participants",
            f"{fact.events} of {fact.of}",
            f"at most {fact.of}",
            source.location(("counts", place, "events")),
        )
        for place, fact in enumerate(published.counts)
        if fact.events > fact.of
    ]

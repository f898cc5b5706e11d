"""One version of a protocol with its rules read: frozen, complete, and with where everything stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from trialrun.protocol.document import (
    ActivityPart,
    AmendmentPart,
    Amount,
    ConcomitantPart,
    EligibilityPart,
    Study,
    StudyRulePart,
    TablePart,
    TermPart,
    TreatmentPart,
    VersionPart,
    VisitPart,
)
from trialrun.rules import TRUE, Action, Columns, Rule, Table, Term, evaluate, explain
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_source import YamlSource


@dataclass(frozen=True, slots=True)
class Criterion:
    """A named condition with its section, its sentence and its expression."""

    name: str
    part: EligibilityPart | ConcomitantPart | StudyRulePart
    rule: Rule
    location: Location

    @property
    def section(self) -> str:
        return self.part.section

    @property
    def says(self) -> str:
        return self.part.says


@dataclass(frozen=True, slots=True)
class RuleTable:
    """A first-row table: `table` is what is evaluated; `caps` (dose, mg) and `reasons` go with its rows."""

    name: str
    part: TablePart
    table: Table
    row_names: tuple[str, ...]
    caps: tuple[Amount | None, ...]
    reasons: tuple[str | None, ...]
    location: Location

    def waits_for(self, columns: Columns, row: int) -> tuple[str, ...]:
        """What the table still needs to know to decide for the subject at position `row` of `columns`: the unknown
        inputs of the rows above the one that holds, where those rows do something else."""
        deciding = next(
            (item for item in self.table.rows if item.when is None or evaluate(item.when, columns)[row] == TRUE), None
        )
        names: dict[str, None] = {}
        for item in self.table.rows:
            if item is deciding:
                break
            if item.when is not None and (deciding is None or item.then.text != deciding.then.text):
                names.update(dict.fromkeys(explain(item.when, columns, row).waits_for))
        return tuple(names)


@dataclass(frozen=True, slots=True)
class StudyRule:
    """A rule about the whole study and what it does."""

    criterion: Criterion
    action: Action


@dataclass(frozen=True, slots=True)
class Version:
    """One protocol version in full.

    `hash` is the SHA-256 of the version's content (canonical JSON of everything that decides, terms included), so a
    decision can name exactly what decided it. `vocabulary` holds the words of rules about one subject, `study_words`
    those of rules about the study.
    """

    name: str
    part: VersionPart
    amendment: AmendmentPart | None
    hash: str
    vocabulary: Mapping[str, Term]
    study_words: Mapping[str, Term]
    eligibility: tuple[Criterion, ...]
    step_up: RuleTable
    dose_modification: RuleTable
    discontinuation: RuleTable
    concomitant: tuple[Criterion, ...]
    study_rules: tuple[StudyRule, ...]
    source: YamlSource

    @property
    def date(self) -> date:
        return self.part.date

    @property
    def treatment(self) -> TreatmentPart:
        return self.part.treatment

    @property
    def activities(self) -> Mapping[str, ActivityPart]:
        return self.part.activities

    @property
    def visits(self) -> Mapping[str, VisitPart]:
        return self.part.visits

    @property
    def tables(self) -> tuple[RuleTable, ...]:
        """The dose tables, safety first."""
        return self.discontinuation, self.dose_modification, self.step_up

    @property
    def dose_rules(self) -> tuple[Rule, ...]:
        """The rules of the dose tables, what ends their holds included."""
        rows = [row for table in self.tables for row in table.table.rows]
        return tuple(rule for row in rows for rule in (row.when, row.then.until) if rule is not None)

    def rules(self) -> dict[str, Rule]:
        """Every rule about one subject by its dotted name (`eligibility.adult`, `dose_modification.lysis`)."""
        named = {f"eligibility.{criterion.name}": criterion.rule for criterion in self.eligibility}
        for table in self.tables:
            for name, row in zip(table.row_names, table.table.rows, strict=True):
                if row.when is not None:
                    named[f"{table.name}.{name}"] = row.when
                if row.then.until is not None:
                    named[f"{table.name}.{name}.until"] = row.then.until
        named.update({f"concomitant.{criterion.name}": criterion.rule for criterion in self.concomitant})
        return named


@dataclass(frozen=True, slots=True)
class Protocol:
    """One study definition with its versions, in the order of the file; `source` is the file with its lines."""

    file: str
    study: Study
    terms: Mapping[str, TermPart]
    versions: Mapping[str, Version]
    hash: str
    source: YamlSource

    def version(self, name: str | None = None) -> Version:
        """The version of that name, or the last one; an unknown name is a TrialrunError."""
        if name is None:
            return self.versions[list(self.versions)[-1]]
        if name not in self.versions:
            known = ", ".join(self.versions)
            raise TrialrunError(
                Problem(
                    "unknown-version", "unknown protocol version", repr(name), f"one of {known}", Location(self.file)
                )
            )
        return self.versions[name]

"""Cases beside a protocol: situation and the answer that a rule or table must give in it; read and run.

The format is described in docs/reference/protocol-file.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from trialrun.protocol.document import Days, Part
from trialrun.protocol.situation import Situation, read_situation
from trialrun.protocol.version import Protocol, RuleTable, Version
from trialrun.rules import FALSE, TRUE, Columns, History, Rule, Term, evaluate, evaluate_table, explain
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_source import Key, YamlSource, read_yaml, validate

UNDETERMINED = "undetermined"


class Since(Part):
    """How long ago the first dose and the first dose of this cycle were; without them windows that start there are
    not open."""

    first_dose: Days | None = None
    cycle_start: Days | None = None


class CasePart(Part):
    """What rule cases and table cases share: `given` is the situation, `versions` where it applies (default: all)."""

    says: str | None = None
    versions: list[str] | None = None
    given: dict[str, Any]
    baseline: dict[str, Any] = Field(default_factory=dict)
    since: Since = Since()


class RuleCasePart(CasePart):
    """A situation and the verdict of one rule."""

    answer: bool | Literal["unknown"]


class TableCasePart(CasePart):
    """A situation and the row of a table that decides, or `undetermined` with the terms it waits for."""

    answer: str
    waits_for: list[str] | None = None


class CasesDocument(Part):
    """The whole file: cases by the dotted name of the rule, and by the name of the table."""

    rules: dict[str, list[RuleCasePart]] = Field(default_factory=dict)
    tables: dict[str, list[TableCasePart]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One situation with its answer, for one version: `subject` is the name of the rule or table."""

    subject: str
    version: str
    expected: str
    waits_for: tuple[str, ...] | None
    situation: Situation
    location: Location


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a case answered: `answered` in the words of the file; `columns` are what the rule was evaluated on."""

    case: Case
    answered: str
    columns: Columns
    problem: Problem | None


def cases_file(protocol: Protocol) -> Path:
    """Where the cases of a protocol stand: `cases.yaml` beside it."""
    return Path(protocol.file).parent / "cases.yaml"


def named_rules(version: Version) -> dict[str, tuple[Rule, Mapping[str, Term]]]:
    """Every rule that cases may name, with its vocabulary: those about one subject, derived terms, study rules."""
    named = {name: (rule, version.vocabulary) for name, rule in version.rules().items()}
    for name, term in version.vocabulary.items():
        if term.definition is not None:
            named[f"terms.{name}"] = (term.definition, version.vocabulary)
    for item in version.study_rules:
        named[f"study_rules.{item.criterion.name}"] = (item.criterion.rule, version.study_words)
    return named


def read_cases(protocol: Protocol) -> tuple[list[Case], list[Problem]]:
    """The cases beside the protocol and what is wrong with them; a file that cannot be read is a TrialrunError."""
    source = read_yaml(cases_file(protocol))
    document = validate(source, CasesDocument)
    cases: list[Case] = []
    problems: list[Problem] = []
    for at, subject, part in _parts(document):
        try:
            cases += _of_part(protocol, source, at, subject, part)
        except TrialrunError as error:
            problems.extend(error.problems)
    return cases, list(dict.fromkeys(problems))


def _parts(document: CasesDocument) -> Iterator[tuple[Key, str, RuleCasePart | TableCasePart]]:
    for name, rule_cases in document.rules.items():
        for number, rule_case in enumerate(rule_cases):
            yield ("rules", name, number), name, rule_case
    for name, table_cases in document.tables.items():
        for number, table_case in enumerate(table_cases):
            yield ("tables", name, number), name, table_case


def _of_part(
    protocol: Protocol, source: YamlSource, at: Key, subject: str, part: RuleCasePart | TableCasePart
) -> list[Case]:
    """The case once for each version that it applies to."""
    unknown = [name for name in part.versions or () if name not in protocol.versions]
    if unknown:
        location = source.location((*at, "versions"))
        expected = "one of " + ", ".join(protocol.versions)
        raise TrialrunError(
            Problem("unknown-version", "the case names an unknown version", repr(unknown[0]), expected, location)
        )
    cases = []
    known: dict[str, None] = {}
    for version in protocol.versions.values():
        named = {table.name: version.vocabulary for table in version.tables}
        if isinstance(part, RuleCasePart):
            named = {name: words for name, (_, words) in named_rules(version).items()}
        known.update(dict.fromkeys(named))
        if subject not in named or (part.versions is not None and version.name not in part.versions):
            continue
        if isinstance(part, TableCasePart):
            _check_answer(version, source, at, subject, part)
        answer = part.answer if isinstance(part.answer, str) else str(part.answer).lower()
        waits_for = part.waits_for if isinstance(part, TableCasePart) else None
        since = (part.since.first_dose, part.since.cycle_start)
        situation = read_situation(source, at, part.given, part.baseline, since, named[subject])
        cases.append(
            Case(
                subject,
                version.name,
                answer,
                None if waits_for is None else tuple(waits_for),
                situation,
                source.location(at),
            )
        )
    if not cases:
        what = "rule" if isinstance(part, RuleCasePart) else "table"
        where = "" if part.versions is None else f" in {', '.join(part.versions)}"
        raise TrialrunError(
            Problem(
                f"unknown-{what}",
                f"there is no such {what}{where}",
                repr(subject),
                _nearest(subject, known),
                source.location(at[:2] if part.versions is None else at),
            )
        )
    return cases


def _check_answer(version: Version, source: YamlSource, at: Key, subject: str, part: TableCasePart) -> None:
    names = (*_table(version, subject).row_names, UNDETERMINED)
    if part.answer not in names:
        expected = f"one of {', '.join(names)} (version {version.name})"
        raise TrialrunError(
            Problem(
                "unknown-row",
                "the table has no such row",
                repr(part.answer),
                expected,
                source.location((*at, "answer")),
            )
        )


def _table(version: Version, name: str) -> RuleTable:
    return next(table for table in version.tables if table.name == name)


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    names = list(known)
    return "one of " + ", ".join(get_close_matches(name, names, n=3, cutoff=0.5) or names)


def run_cases(protocol: Protocol, cases: Iterable[Case]) -> list[CaseResult]:
    """Answer every case with the evaluator that decides; a wrong answer is an error with the explanation."""
    rules = {name: named_rules(version) for name, version in protocol.versions.items()}
    return [_run(protocol.versions[case.version], rules[case.version], case) for case in cases]


def _run(version: Version, rules: Mapping[str, tuple[Rule, Mapping[str, Term]]], case: Case) -> CaseResult:
    if case.subject in rules:
        rule, _ = rules[case.subject]
        columns = columns_of(case.situation, [rule])
        verdict = int(evaluate(rule, columns)[0])
        answered = {TRUE: "true", FALSE: "false"}.get(verdict, "unknown")
        waits_for: tuple[str, ...] = ()
    else:
        table = _table(version, case.subject)
        columns = columns_of(case.situation, [row.when for row in table.table.rows if row.when is not None])
        result = evaluate_table(table.table, columns)
        undetermined = bool(result.undetermined[0])
        answered = UNDETERMINED if undetermined else table.row_names[int(result.row[0])]
        waits_for = table.waits_for(columns, 0) if undetermined else ()
    problem = None
    if answered != case.expected:
        why = _why(rules[case.subject][0], columns) if case.subject in rules else ""
        message = f"{case.subject} answers otherwise than the case expects{why}"
        problem = Problem("case-fails", message, answered, case.expected, case.location)
    elif case.waits_for is not None and set(case.waits_for) != set(waits_for):
        message = f"{case.subject} waits for something else than the case expects"
        problem = Problem("case-fails", message, ", ".join(waits_for), ", ".join(case.waits_for), case.location)
    return CaseResult(case, answered, columns, problem)


def _why(rule: Rule, columns: Columns) -> str:
    """What the rule looked at, for the message."""
    said = []
    for used in explain(rule, columns, 0).all_used():
        unit = f" {used.unit}" if used.unit not in (None, "1") else ""
        value = (
            "unknown"
            if used.value is None
            else f"{used.value:g}{unit}"
            if isinstance(used.value, float)
            else used.value
        )
        said.append(f"{used.what} is {value}")
    return f": {'; '.join(said)}" if said else ""


def columns_of(situation: Situation, rules: Iterable[Rule]) -> Columns:
    """The situation as columns of one subject, through the same accumulators that remember in a trial."""
    history = History(dict.fromkeys(item for rule in rules for item in rule.inputs), 1)
    return situation.tell(history)

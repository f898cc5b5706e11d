"""Read a protocol file: its versions, amendments applied, every rule parsed with its line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from trialrun.protocol.document import (
    AmendmentPart,
    ConcomitantPart,
    EligibilityPart,
    ProtocolDocument,
    StudyRulePart,
    TablePart,
    TermPart,
    VersionPart,
)
from trialrun.protocol.names import check_names, check_sources
from trialrun.protocol.resolve import read_amendment, resolve_amendment, resolve_version
from trialrun.protocol.version import Criterion, Protocol, RuleTable, StudyRule, Version
from trialrun.protocol.vocabulary import EVENTS, read_vocabulary, study_vocabulary
from trialrun.rules import Action, Row, Rule, Table, Term, read_action, read_rule
from trialrun.vocab.problems import Location, Problem, TrialrunError, has_errors
from trialrun.vocab.yaml_source import Key, YamlSource, read_yaml, validate

_Read = TypeVar("_Read")
_TABLES = ("step_up", "dose_modification", "discontinuation")


@dataclass(frozen=True, slots=True)
class _Reader:
    """One version's document, the words its rules may use, and the problems found so far."""

    source: YamlSource
    study: str
    words: Mapping[str, Term]
    study_words: Mapping[str, Term]
    problems: list[Problem] = field(default_factory=list)

    def attempt(self, read: Callable[[], _Read]) -> _Read | None:
        """What `read` gives, or None with its problems kept."""
        try:
            return read()
        except TrialrunError as error:
            self.problems.extend(error.problems)
            return None

    def rule(self, text: str, path: Key, words: Mapping[str, Term] | None = None) -> Rule | None:
        known = self.words if words is None else words
        return self.attempt(lambda: read_rule(text, known, self.source.location(path)))

    def action(self, text: str, path: Key, words: Mapping[str, Term] | None = None) -> Action | None:
        """An action in its place: enrolment and the study are for `study_rules`, treatment for the tables of doses."""
        of_study, location = words is not None and words is self.study_words, self.source.location(path)
        found = self.attempt(lambda: read_action(text, self.words if words is None else words, location))
        if found is not None and found.acts_on_study != of_study:
            expected = "pause enrolment, or stop the study" if of_study else "an action on one participant's treatment"
            message = f"an action that {path[0]} cannot take"
            self.problems.append(Problem("wrong-action", message, repr(found.text), expected, location))
        return found

    def criterion(
        self,
        path: Key,
        part: EligibilityPart | ConcomitantPart | StudyRulePart,
        words: Mapping[str, Term] | None = None,
    ) -> Criterion | None:
        key, text = ("while", part.while_) if isinstance(part, ConcomitantPart) else ("when", part.when)
        rule = self.rule(text, (*path, key), words)
        return None if rule is None else Criterion(str(path[-1]), part, rule, self.source.location(path))

    def table(self, name: str, part: TablePart) -> RuleTable:
        rows = []
        for number, row in enumerate(part.rows):
            at: Key = (name, "rows", number)
            when = None if row.when is None else self.rule(row.when, (*at, "when"))
            key = "then" if row.otherwise is None else "otherwise"
            then = self.action(row.then or row.otherwise or "", (*at, key))
            if then is not None:
                rows.append(Row(when=when, then=then, location=self.source.location(at)))
        return RuleTable(
            name=name,
            part=part,
            table=Table(name=name, section=part.section, says=part.says, rows=tuple(rows)),
            row_names=tuple(row.name or "otherwise" for row in part.rows),
            caps=tuple(row.up_to for row in part.rows),
            reasons=tuple(row.reason for row in part.rows),
            location=self.source.location((name,)),
        )

    def texts(self) -> None:
        """Read every rule that can be found in a version whose form is wrong, only for the problems."""
        data = self.source.data
        for section, keys, words in (
            ("eligibility", ("when",), self.words),
            ("concomitant", ("while",), self.words),
            ("study_rules", ("when", "then"), self.study_words),
        ):
            for name, item in _items(_get(data, section)):
                for key in keys:
                    self._text(item, (section, name, key), words)
        for table in _TABLES:
            for number, row in _items(_get(_get(data, table), "rows")):
                for key in ("when", "then", "otherwise"):
                    self._text(row, (table, "rows", number, key), self.words)

    def _text(self, item: Any, path: Key, words: Mapping[str, Term]) -> None:
        text = _get(item, path[-1])
        if isinstance(text, str):
            (self.rule if path[-1] in ("when", "while") else self.action)(text, path, words)


def _get(node: Any, key: Any) -> Any:
    return node.get(key) if isinstance(node, dict) else None


def _items(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, dict):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, list) else []


def protocol_file(path: Path | str) -> Path:
    """The protocol file that a user means: the file itself, or `protocol.yaml` of the folder."""
    file = Path(path)
    return file / "protocol.yaml" if file.is_dir() else file


def read_protocol(path: Path | str) -> Protocol:
    """The protocol in this file (or in `protocol.yaml` of this folder).

    Everything that is wrong is gathered and raised as one TrialrunError, each problem with its line.
    """
    source = read_yaml(protocol_file(path))
    problems: list[Problem] = []
    document: ProtocolDocument | None = None
    try:
        document = validate(source, ProtocolDocument)
    except TrialrunError as error:
        problems.extend(error.problems)
    terms = dict(document.terms) if document else _readable_terms(source)
    known = set(_get(_get(source.data, "study"), "sources") or ())
    versions: dict[str, Version] = {}
    resolved: dict[str, YamlSource] = {}
    for name, data in _items(_get(source.data, "versions")):
        version, found = _read_version(source, str(name), data, terms, sorted(known), resolved)
        problems.extend(found)
        if version is not None:
            versions[version.name] = version
    if document is not None and not document.versions:
        problems.append(
            Problem(
                "no-version",
                "the protocol has no version",
                None,
                "at least one version",
                source.location(("versions",)),
            )
        )
    problems = list(dict.fromkeys(problems))  # an amendment repeats the problems of what it inherits
    if document is None or has_errors(problems):
        raise TrialrunError(_one_each(problems))
    everything = hashlib.sha256("".join(version.hash for version in versions.values()).encode()).hexdigest()
    return Protocol(
        source.file, document.study, MappingProxyType(document.terms), MappingProxyType(versions), everything, source
    )


def _one_each(problems: list[Problem]) -> list[Problem]:
    """Without repeats: the same thing at the same line, met once in a version and again in its amendment."""
    first: dict[tuple[str, str, str | None, Location], Problem] = {}
    for problem in problems:
        first.setdefault((problem.code, problem.message, problem.found, problem.location), problem)
    return sorted(first.values(), key=lambda problem: (problem.location.line or 0, problem.location.column or 0))


def _readable_terms(source: YamlSource) -> dict[str, TermPart]:
    """The terms that can be read although something else in the file cannot; the others are reported already."""
    terms = {}
    for name, data in _items(_get(source.data, "terms")):
        try:
            terms[str(name)] = validate(source, TermPart, data if data is not None else {}, ("terms", name))
        except TrialrunError:
            terms[str(name)] = TermPart(kind="event", label=str(name), says="not readable")
    return terms


def current_for(part: VersionPart) -> dict[str, float]:
    """For each test the days a result stays current: the widest stretch before a dose-deciding visit that measures it,
    or before any visit that measures it where none decides. EVENTS stands for asking about adverse events."""
    widest: dict[str, tuple[bool, int]] = {}
    for visit in part.visits.values():
        before = visit.window[0] if visit.window else 0
        for activity in visit.does:
            known = part.activities.get(activity)
            asks = (EVENTS,) if known is not None and known.asks_for_events else ()
            for name in (*known.tests, *asks) if known is not None else ():
                candidate = (visit.decides_dose, before)
                widest[name] = max(widest.get(name, candidate), candidate)
    return {test: float(before) for test, (_, before) in widest.items()}


def _read_version(
    whole: YamlSource,
    name: str,
    data: Any,
    terms: Mapping[str, TermPart],
    known: list[str],
    resolved: dict[str, YamlSource],
) -> tuple[Version | None, list[Problem]]:
    problems: list[Problem] = []
    amendment: AmendmentPart | None = None
    if isinstance(data, dict) and "amends" in data:
        amendment, problems = read_amendment(whole, name, data, resolved)
        if amendment is None:
            return None, problems
        base = resolved[amendment.amends]
        source, changed = resolve_amendment(whole, name, amendment, base)
        problems += changed
    else:
        source = resolve_version(whole, name, data)
    if isinstance(source.data, dict):
        resolved[name] = source
    part: VersionPart | None = None
    try:
        part = validate(source, VersionPart)
    except TrialrunError as error:
        problems.extend(error.problems)
    problems += check_sources(source, known)
    words, found = read_vocabulary(whole, terms, current_for(part) if part else {})
    problems += found
    study = str(_get(_get(whole.data, "study"), "id"))
    reader = _Reader(source, study, words, study_vocabulary(terms))
    if part is None:
        reader.texts()
        return None, problems + reader.problems
    version = _assemble(name, part, amendment, terms, reader)
    problems += check_names(part, source) + reader.problems
    return (None if has_errors(problems) else version), problems


def _assemble(
    name: str, part: VersionPart, amendment: AmendmentPart | None, terms: Mapping[str, TermPart], reader: _Reader
) -> Version:
    """The version with its rules; incomplete where `reader.problems` says that some could not be read."""
    eligibility = [reader.criterion(("eligibility", key), item) for key, item in part.eligibility.items()]
    concomitant = [reader.criterion(("concomitant", key), item) for key, item in part.concomitant.items()]
    study_rules = []
    for key, item in part.study_rules.items():
        criterion = reader.criterion(("study_rules", key), item, reader.study_words)
        action = reader.action(item.then, ("study_rules", key, "then"), reader.study_words)
        if criterion is not None and action is not None:
            study_rules.append(StudyRule(criterion, action))
    return Version(
        name=name,
        part=part,
        amendment=amendment,
        hash=_hash(reader.study, name, reader.source.data, terms),
        vocabulary=reader.words,
        study_words=reader.study_words,
        eligibility=tuple(item for item in eligibility if item is not None),
        step_up=reader.table("step_up", part.step_up),
        dose_modification=reader.table("dose_modification", part.dose_modification),
        discontinuation=reader.table("discontinuation", part.discontinuation),
        concomitant=tuple(item for item in concomitant if item is not None),
        study_rules=tuple(study_rules),
        source=reader.source,
    )


def _hash(study: str, name: str, data: Any, terms: Mapping[str, TermPart]) -> str:
    content = {
        "study": study,
        "version": name,
        "content": data,
        "terms": {key: term.model_dump(mode="json") for key, term in terms.items()},
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

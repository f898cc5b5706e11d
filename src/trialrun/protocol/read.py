"""Read a protocol file: its versions, amendments applied, every rule parsed with its line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from trialrun.protocol.document import (
    AmendmentPart,
    Amount,
    ProtocolDocument,
    RowPart,
    TablePart,
    TermPart,
    VersionPart,
)
from trialrun.protocol.version import Criterion, Protocol, RuleTable, StudyRule, Version
from trialrun.protocol.vocabulary import read_vocabulary, study_vocabulary
from trialrun.rules import Row, Table, Term, read_action, read_rule
from trialrun.vocab.problems import Problem, TrialrunError, has_errors
from trialrun.vocab.yaml_source import Key, YamlSource, read_yaml, validate

_Read = TypeVar("_Read")


def read_protocol(path: Path | str) -> Protocol:
    """The protocol in this file (or in `protocol.yaml` of this folder).

    Everything that is wrong is gathered and raised as one TrialrunError, each problem with its line.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "protocol.yaml"
    source = read_yaml(file, str(path) if file == Path(path) else str(file))
    document = validate(source, ProtocolDocument)
    versions: dict[str, Version] = {}
    resolved: dict[str, YamlSource] = {}
    problems: list[Problem] = []
    for name, data in document.versions.items():
        try:
            amendment = _read_amendment(source, name, data, resolved)
            resolved[name] = _resolve(source, name, data, amendment, resolved)
            part = validate(resolved[name], VersionPart)
            versions[name] = _read_version(name, part, amendment, document, source, resolved[name])
        except TrialrunError as error:
            problems.extend(error.problems)
    if not document.versions:
        problems.append(
            Problem("no-version", "the protocol has no version", None, None, source.location(("versions",)))
        )
    if has_errors(problems):
        raise TrialrunError(problems)
    everything = hashlib.sha256("".join(version.hash for version in versions.values()).encode()).hexdigest()
    return Protocol(str(file), document.study, MappingProxyType(document.terms), MappingProxyType(versions), everything)


def _read_amendment(
    source: YamlSource, name: str, data: Any, resolved: Mapping[str, YamlSource]
) -> AmendmentPart | None:
    if not isinstance(data, dict) or "amends" not in data:
        return None
    amendment = validate(source, AmendmentPart, data, ("versions", name))
    if amendment.amends not in resolved:
        location = source.location(("versions", name, "amends"))
        expected = "one of " + ", ".join(resolved) if resolved else "a version that stands earlier in the file"
        raise TrialrunError(
            Problem("unknown-version", "it amends an unknown version", repr(amendment.amends), expected, location)
        )
    return amendment


def _resolve(
    source: YamlSource, name: str, data: Any, amendment: AmendmentPart | None, resolved: Mapping[str, YamlSource]
) -> YamlSource:
    """The version's own document: the text of the version it amends with the changes set, lines kept."""
    prefix: Key = ("versions", name)
    if amendment is None:
        return YamlSource(source.file, source.text, data, _lines_below(source.lines, prefix))
    base = resolved[amendment.amends]
    content = deepcopy(base.data)
    lines = dict(base.lines)
    for key in ("date", "status", "source", "note"):
        content.pop(key, None)
        if key in data:
            content[key] = data[key]
            lines[(key,)] = source.lines[(*prefix, key)]
    for number, change in enumerate(amendment.changes):
        at: Key = (*prefix, "changes", number)
        path: Key = tuple(change.set.split("."))
        parent = content
        for part in path[:-1]:
            parent = parent.get(part) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            raise TrialrunError(
                Problem(
                    "unknown-path",
                    "the change names a part that the amended version does not have",
                    repr(change.set),
                    "a dotted path such as treatment or concomitant.allopurinol",
                    source.location((*at, "set")),
                )
            )
        for old in [key for key in lines if key[: len(path)] == path]:
            del lines[old]
        if change.to is None:
            if path[-1] not in parent:
                raise TrialrunError(
                    Problem(
                        "unknown-path",
                        "the change removes what the amended version does not have",
                        repr(change.set),
                        None,
                        source.location((*at, "set")),
                    )
                )
            del parent[path[-1]]
            continue
        parent[path[-1]] = deepcopy(change.to)
        for key, place in _lines_below(source.lines, (*at, "to")).items():
            lines[(*path, *key)] = place
        lines[path] = source.lines[(*at, "to")]
    return YamlSource(source.file, source.text, content, lines)


def _lines_below(lines: Mapping[Key, tuple[int, int]], prefix: Key) -> dict[Key, tuple[int, int]]:
    return {key[len(prefix) :]: place for key, place in lines.items() if key[: len(prefix)] == prefix}


def current_for(part: VersionPart) -> dict[str, float]:
    """For each test the days a result stays current: the widest stretch before a dose-deciding visit that measures it,
    or before any visit that measures it where none decides."""
    widest: dict[str, tuple[bool, int]] = {}
    for visit in part.visits.values():
        before = visit.window[0] if visit.window else 0
        for activity in visit.does:
            for test in part.activities[activity].tests if activity in part.activities else ():
                candidate = (visit.decides_dose, before)
                widest[test] = max(widest.get(test, candidate), candidate)
    return {test: float(before) for test, (_, before) in widest.items()}


def _read_version(
    name: str,
    part: VersionPart,
    amendment: AmendmentPart | None,
    document: ProtocolDocument,
    whole: YamlSource,
    source: YamlSource,
) -> Version:
    problems = [*_check_names(part, document, source)]
    vocabulary = read_vocabulary(whole, document.terms, current_for(part))
    study_words = study_vocabulary(document.terms)

    def gather(read: Callable[[], _Read]) -> list[_Read]:
        try:
            return [read()]
        except TrialrunError as error:
            problems.extend(error.problems)
            return []

    eligibility = tuple(
        criterion
        for key, item in part.eligibility.items()
        for criterion in gather(
            lambda k=key, i=item: _criterion(source, ("eligibility", k), k, i, i.when, "when", vocabulary)
        )  # type: ignore[misc]
    )
    concomitant = tuple(
        criterion
        for key, item in part.concomitant.items()
        for criterion in gather(
            lambda k=key, i=item: _criterion(source, ("concomitant", k), k, i, i.while_, "while", vocabulary)
        )  # type: ignore[misc]
    )
    study_rules = tuple(
        StudyRule(criterion, action)
        for key, item in part.study_rules.items()
        for criterion in gather(
            lambda k=key, i=item: _criterion(source, ("study_rules", k), k, i, i.when, "when", study_words)
        )  # type: ignore[misc]
        for action in gather(
            lambda k=key, i=item: read_action(i.then, study_words, source.location(("study_rules", k, "then")))
        )  # type: ignore[misc]
    )
    tables: dict[str, RuleTable] = {}
    for key in ("step_up", "dose_modification", "discontinuation"):
        for table in gather(lambda k=key: _table(source, k, getattr(part, k), part, vocabulary)):  # type: ignore[misc]
            tables[key] = table
    if has_errors(problems):
        raise TrialrunError(problems)
    return Version(
        name=name,
        part=part,
        amendment=amendment,
        hash=_hash(name, source.data, document.terms, document.study.id),
        vocabulary=vocabulary,
        eligibility=eligibility,
        step_up=tables["step_up"],
        dose_modification=tables["dose_modification"],
        discontinuation=tables["discontinuation"],
        concomitant=concomitant,
        study_rules=study_rules,
        source=source,
    )


def _criterion(
    source: YamlSource, path: Key, name: str, part: Any, text: str, key: str, vocabulary: Mapping[str, Term]
) -> Criterion:
    return Criterion(name, part, read_rule(text, vocabulary, source.location((*path, key))), source.location(path))


def _table(
    source: YamlSource, name: str, part: TablePart, version: VersionPart, vocabulary: Mapping[str, Term]
) -> RuleTable:
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, row in enumerate(part.rows):
        at: Key = (name, "rows", number)
        try:
            rows.append(_row(source, at, row, vocabulary))
        except TrialrunError as error:
            problems.extend(error.problems)
        if row.up_to is not None and _level_of(version, row.up_to) is None:
            levels = ", ".join(str(level) for level in version.treatment.levels)
            problems.append(
                Problem(
                    "dose-off-levels",
                    "the dose is not one of the levels",
                    str(row.up_to),
                    f"one of {levels}",
                    source.location((*at, "up_to")),
                )
            )
    names = [row.name or "otherwise" for row in part.rows]
    for number, row_name in enumerate(names):
        if row_name in names[:number]:
            problems.append(
                Problem(
                    "name-twice",
                    "two rows of a table have the same name",
                    repr(row_name),
                    "one name a row",
                    source.location((name, "rows", number)),
                )
            )
    if has_errors(problems):
        raise TrialrunError(problems)
    return RuleTable(
        name=name,
        part=part,
        table=Table(name=name, section=part.section, says=part.says, rows=tuple(rows)),
        row_names=tuple(names),
        caps=tuple(row.up_to for row in part.rows),
        reasons=tuple(row.reason for row in part.rows),
        location=source.location((name,)),
    )


def _row(source: YamlSource, at: Key, row: RowPart, vocabulary: Mapping[str, Term]) -> Row:
    if row.otherwise is not None:
        action = read_action(row.otherwise, vocabulary, source.location((*at, "otherwise")))
        return Row(when=None, then=action, location=source.location(at))
    when = read_rule(row.when or "", vocabulary, source.location((*at, "when")))
    action = read_action(row.then or "", vocabulary, source.location((*at, "then")))
    return Row(when=when, then=action, location=source.location(at))


def _level_of(version: VersionPart, dose: Amount) -> int | None:
    """The index of the level that equals this dose, written in the same unit, or None."""
    levels = version.treatment.levels
    return levels.index(dose) if dose in levels else None


def _check_names(part: VersionPart, document: ProtocolDocument, source: YamlSource) -> list[Problem]:
    """Names that must exist elsewhere in the file: sources, activities, tests, levels."""
    from trialrun.vocab.tests import find_test, nearest

    problems: list[Problem] = []
    treatment = part.treatment
    levels = [level.value for level in treatment.levels]
    units = {level.unit for level in treatment.levels}
    if levels != sorted(set(levels)) or len(units) != 1:
        problems.append(
            Problem(
                "levels",
                "the levels must rise and share one unit",
                ", ".join(map(str, treatment.levels)),
                None,
                source.location(("treatment", "levels")),
            )
        )
    problems += [
        Problem(
            "dose-off-levels",
            f"the {key} dose is not one of the levels",
            str(dose),
            "one of " + ", ".join(map(str, treatment.levels)),
            source.location(("treatment", key)),
        )
        for key, dose in (("start", treatment.start), ("target", treatment.target))
        if _level_of(part, dose) is None
    ]
    if treatment.give[1] > treatment.cycle:
        problems.append(
            Problem(
                "days-off-cycle",
                "the dosing days reach past the cycle",
                f"day {treatment.give[1]}",
                f"at most day {treatment.cycle}",
                source.location(("treatment", "give")),
            )
        )
    for name, visit in part.visits.items():
        problems += [
            Problem(
                "unknown-activity",
                "the visit does an activity that is not defined",
                repr(activity),
                "one of " + ", ".join(part.activities),
                source.location(("visits", name, "does", number)),
            )
            for number, activity in enumerate(visit.does)
            if activity not in part.activities
        ]
    for name, item in part.activities.items():
        problems += [
            Problem(
                "unknown-test",
                "the activity measures an unknown test",
                repr(test),
                nearest(test),
                source.location(("activities", name, "tests", number)),
            )
            for number, test in enumerate(item.tests)
            if find_test(test) is None or find_test(test).name != test  # type: ignore[union-attr]
        ]
    for path, key in _sources(source.data):
        if key not in document.study.sources:
            problems.append(
                Problem(
                    "unknown-source",
                    "the source is not in the list of sources",
                    repr(key),
                    "one of " + ", ".join(document.study.sources),
                    source.location(path),
                )
            )
    return problems


def _sources(node: Any, path: Key = ()) -> list[tuple[Key, str]]:
    found: list[tuple[Key, str]] = []
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "source" and isinstance(value, str):
                found.append(((*path, key), value))
            else:
                found += _sources(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            found += _sources(value, (*path, number))
    return found


def _hash(name: str, data: Any, terms: Mapping[str, TermPart], study: str) -> str:
    content = {
        "study": study,
        "version": name,
        "content": data,
        "terms": {key: term.model_dump(mode="json") for key, term in terms.items()},
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

"""A version as prose and tables that a clinician can review: what it says, from where, and what is only assumed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trialrun.protocol.document import ActivityPart, ConcomitantPart, Sourced, VisitPart
from trialrun.protocol.version import Criterion, Protocol, RuleTable, Version
from trialrun.rules import Term


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a sentence or number comes from: `status` is published, derived or assumed; `citation` in full."""

    status: str
    source: str
    citation: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule or fact: its sentence, what is evaluated (`expression`, as in the file) and the same in plain words."""

    name: str
    section: str | None
    says: str
    expression: str | None
    reads: str | None
    mark: Mark | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; the first column names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


Block = Statement | Grid | Paragraph


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands under it."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Prose:
    """One version, ready to be rendered as text or HTML."""

    title: str
    version: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks of all statements, in order."""
        blocks = (block for section in self.sections for block in section.blocks)
        return tuple(block.mark for block in blocks if isinstance(block, Statement) and block.mark is not None)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON; each block says its kind."""
        return {
            "title": self.title,
            "version": self.version,
            "facts": dict(self.facts),
            "sections": [
                {
                    "name": section.name,
                    "title": section.title,
                    "blocks": [{"kind": type(block).__name__.lower(), **asdict(block)} for block in section.blocks],
                }
                for section in self.sections
            ],
        }


def describe_version(protocol: Protocol, version: Version, more: Sequence[Section] = ()) -> Prose:
    """Everything that a version says; `more` sections (such as planned doses) stand after the schedule."""
    study = protocol.study
    facts = [
        ("Study", f"{study.id}" + (f" ({study.registry})" if study.registry else "")),
        ("Phase", study.phase),
        ("Condition", study.condition),
        ("Version", version.name),
        ("Date", version.date.isoformat()),
    ]
    if version.amendment is not None:
        facts += [
            ("Amends", version.amendment.amends),
            ("Reason", _flow(version.amendment.reason)),
            ("Applies to", _flow(version.amendment.applies_to)),
        ]
    if version.part.note:
        facts.append(("Note", _flow(version.part.note)))
    facts.append(("Content hash", version.hash))
    teller = _Teller(protocol, version)
    sections = [
        Section("objectives", "Objectives", tuple(teller.objectives())),
        Section("inclusion", "Who may take part", tuple(teller.eligibility("inclusion"))),
        Section("exclusion", "Who may not take part", tuple(teller.eligibility("exclusion"))),
        Section("treatment", "Treatment", tuple(teller.treatment())),
        Section("step_up", "Raising the dose", tuple(teller.table(version.step_up))),
        Section("dose_modification", "Holding, lowering and stopping", tuple(teller.table(version.dose_modification))),
        Section("discontinuation", "End of treatment", tuple(teller.table(version.discontinuation))),
        Section("concomitant", "Other treatments", tuple(teller.criterion(item) for item in version.concomitant)),
        Section("schedule", "Schedule of activities", tuple(teller.schedule())),
        *more,
        Section("samples", "Samples", tuple(teller.samples())),
        Section("standards", "Criteria used", tuple(teller.standards())),
        Section("study_rules", "Rules for the study as a whole", tuple(teller.study_rules())),
        Section("dispositions", "How participation may end", (Paragraph("; ".join(version.part.disposition_reasons)),)),
        Section("terms", "Words used in the rules", tuple(teller.terms())),
        Section("sources", "Sources", (Grid("Sources", ("Key", "Citation"), tuple(study.sources.items())),)),
    ]
    return Prose(study.title, version.name, tuple(facts), tuple(section for section in sections if section.blocks))


class _Teller:
    """Tells the parts of one version."""

    def __init__(self, protocol: Protocol, version: Version) -> None:
        self.protocol = protocol
        self.version = version

    def mark(self, part: Sourced) -> Mark:
        citation = self.protocol.study.sources[part.source]
        return Mark(part.status, part.source, citation, _flow(part.note) if part.note else None)

    def reads(self, expression: str) -> str:
        return read_aloud(expression, self.version.vocabulary)

    def objectives(self) -> Iterable[Block]:
        for name, text in self.version.part.objectives.items():
            yield Statement(_words(name).capitalize(), None, _flow(text), None, None, None, None)

    def criterion(self, item: Criterion) -> Statement:
        text = _flow(item.part.while_ if isinstance(item.part, ConcomitantPart) else item.part.when)
        return Statement(
            name=_words(item.name),
            section=item.section,
            says=_flow(item.says),
            expression=text,
            reads=self.reads(text),
            mark=self.mark(item.part),
            line=item.location.line,
        )

    def eligibility(self, kind: str) -> Iterable[Block]:
        items = [item for item in self.version.eligibility if getattr(item.part, "kind", None) == kind]
        if items:
            yield Paragraph("All must hold." if kind == "inclusion" else "None may hold.")
        yield from (self.criterion(item) for item in items)

    def treatment(self) -> Iterable[Block]:
        part = self.version.treatment
        line = self.version.source.location(("treatment",)).line
        yield Statement(part.drug, part.section, _flow(part.says), None, None, self.mark(part), line)
        yield Grid(
            "Doses",
            ("What", "Value"),
            (
                ("Route", part.route),
                ("Dose levels, a day", ", ".join(map(str, part.levels))),
                ("First dose", str(part.start)),
                ("Target dose", str(part.target)),
                ("Cycle", f"{part.cycle} days"),
                ("Taken on", f"days {part.give[0]} to {part.give[1]} of the cycle"),
                ("A missed dose", f"is {part.missed_dose}"),
                ("Below the lowest level", part.below_lowest_level),
            ),
        )

    def table(self, table: RuleTable) -> Iterable[Block]:
        line = table.location.line
        yield Statement(
            _words(table.name), table.part.section, _flow(table.part.says), None, None, self.mark(table.part), line
        )
        rows = []
        for number, row in enumerate(table.part.rows, 1):
            when = "otherwise" if row.when is None else self.reads(_flow(row.when))
            then = self.reads(_flow(row.then or row.otherwise or ""))
            if row.up_to is not None:
                then += f", up to {row.up_to}"
            if row.reason is not None:
                then += f" ({row.reason})"
            rows.append((f"{number}. {_words(row.name or 'otherwise')}", when, then, _flow(row.when or "")))
        moment = "The first row that holds applies."
        if table.name == "step_up":
            moment += f" Looked at on {self.version.part.step_up.at}."
        yield Grid(moment, ("Row", "If", "Then", "As written in the file"), tuple(rows))

    def schedule(self) -> Iterable[Block]:
        visits = dict(sorted(self.version.visits.items(), key=lambda item: _order(item[1])))
        part = self.version.part.schedule
        line = self.version.source.location(("schedule",)).line
        yield Statement("visits", part.section, _flow(part.says), None, None, self.mark(part), line)
        grid = []
        for name, activity in self.version.activities.items():
            marks = tuple("×" if name in visit.does else "" for visit in visits.values())
            grid.append((activity.label, *marks))
        grid.append(("Decides the dose", *("×" if visit.decides_dose else "" for visit in visits.values())))
        yield Grid("Visits and what is done", ("Activity", *map(_words, visits)), tuple(grid))
        rows = tuple((_words(name), *_when(visit)) for name, visit in visits.items())
        yield Grid("When the visits are", ("Visit", "Day", "Window", "Cycles"), rows)
        measured = tuple(
            (item.label, ", ".join(self.label(test) for test in item.tests) + _condition(item))
            for item in self.version.activities.values()
            if item.tests
        )
        yield Grid("What is measured", ("Activity", "Measured"), measured)

    def samples(self) -> Iterable[Block]:
        for name, part in self.version.part.samples.items():
            compared = f" Compared within participants: {part.comparison}." if part.comparison else ""
            at = ", ".join(_words(visit) for visit in part.visits)
            yield Statement(
                name=_words(name),
                section=part.section,
                says=_flow(f"{part.says} Taken from: {part.tissue}. At: {at}.{compared}"),
                expression=None,
                reads=None,
                mark=self.mark(part),
                line=self.version.source.location(("samples", name)).line,
            )

    def label(self, word: str) -> str:
        return _plain_label(self.version.vocabulary[word]) if word in self.version.vocabulary else word

    def standards(self) -> Iterable[Block]:
        part = self.version.part
        rows: list[tuple[str, ...]] = [("Response", part.response.standard, part.response.status, part.response.source)]
        rows += [(_words(name).capitalize(), item.standard, item.status, item.source)
                 for name, item in part.criteria.items()]  # fmt: skip
        yield Grid("Standards", ("For", "Standard", "Status", "Source"), tuple(rows))

    def study_rules(self) -> Iterable[Block]:
        for item in self.version.study_rules:
            statement = self.criterion(item.criterion)
            then = _flow(getattr(item.criterion.part, "then", ""))
            yield Statement(
                statement.name,
                statement.section,
                statement.says,
                f"when {statement.expression} then {then}",
                None,
                statement.mark,
                statement.line,
            )

    def terms(self) -> Iterable[Block]:
        rows = tuple(
            (name, part.label, part.kind, _flow(part.says), _flow(part.means or ""))
            for name, part in self.protocol.terms.items()
        )
        yield Grid("Words of this protocol", ("Word", "Label", "Kind", "Meaning", "Rule"), rows)


def _order(visit: VisitPart) -> tuple[int, int, int]:
    """Visits in order of time: before treatment, by cycle and day, then those on a condition."""
    first_cycle = visit.cycles[0] if visit.cycles else 0
    return int(visit.when is not None), first_cycle, visit.day or 0


def window_text(before: int, after: int) -> str:
    """A visit window in words."""

    def days(count: int) -> str:
        return f"{count} day" if count == 1 else f"{count} days"

    if before == after:
        return f"± {days(before)}" if before else "on the day"
    early = f"{days(before)} before" if before else "the day"
    late = f"{days(after)} after" if after else "the day"
    return f"{early} to {late}"


def _when(visit: VisitPart) -> tuple[str, str, str]:
    if visit.when is not None:
        often = f"every {visit.every} days" if visit.every is not None else f"{visit.after} days after"
        return often, "", f"while the dose is {visit.when}" if visit.every is not None else f"once {visit.when}"
    before, after = visit.window or (0, 0)
    window = window_text(before, after)
    if visit.cycles is None:
        return f"study day {visit.day}", window, "before the first dose"
    first, last = visit.cycles
    cycles = f"{first} onwards" if last is None else (str(first) if first == last else f"{first} to {last}")
    return f"day {visit.day} of the cycle", window, cycles


def _condition(item: ActivityPart) -> str:
    if item.when_complete_for is None:
        return ""
    return (
        f" (only where all else of a complete response has held for {item.when_complete_for} days, "
        f"and not again for {item.again_after} days)"
    )


def _flow(text: str) -> str:
    """Text in one line."""
    return " ".join(text.split())


def _words(name: str) -> str:
    return name.replace("_", " ")


_SIGNS = ((">=", "≥"), ("<=", "≤"), ("!=", "≠"))
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _plain_label(term: Term) -> str:
    """A label that can stand inside a sentence."""
    label = term.label or _words(term.name)
    second = label[1:2]
    return label[0].lower() + label[1:] if second.islower() or second == " " else label


def read_aloud(expression: str, vocabulary: Mapping[str, Term]) -> str:
    """An expression with the labels of its terms and the usual signs; for reading only, never evaluated."""
    unit = re.compile(r"\bx10\^(\d+)/L")
    text = unit.sub(
        lambda match: "×10" + match.group(1).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")) + "/L", expression
    )
    text = re.sub(r"(?<=\d) x (?=[A-Za-z])", " × ", text)
    for sign, shown in _SIGNS:
        text = text.replace(sign, shown)

    def word(match: re.Match[str]) -> str:
        # a word right after a number is a unit
        before = text[: match.start()].rstrip()
        if before and (before[-1].isdigit() or before[-1] in "/×^"):
            return match.group()
        term = vocabulary.get(match.group())
        return _plain_label(term) if term is not None else match.group()

    return _WORD.sub(word, text)

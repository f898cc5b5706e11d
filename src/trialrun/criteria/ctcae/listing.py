"""The terms as rows and the rule of a term as a table, for people who check them against the document."""

from __future__ import annotations

from trialrun.criteria.ctcae.tables import BASES, REFER, SOURCES, Arm, Bound, Term, all_terms, read_rows
from trialrun.vocab.units import dimension

ListRow = dict[str, str]


def list_terms(version: str | None = None) -> list[ListRow]:
    """Every laboratory term, one row each: name, version, source, basis, direction, tests, id.

    Terms that CTCAE grades by an event rather than by a laboratory value follow with an empty direction.
    """
    rows = [
        {
            "name": term.name,
            "version": term.version,
            "source": term.source,
            "basis": term.basis,
            "direction": term.direction,
            "tests": ", ".join(term.tests),
            "id": term.id,
        }
        for term in all_terms().values()
        if version in (None, term.version)
    ]
    rows += [
        {
            "name": row["term"],
            "version": row["version"],
            "source": SOURCES[row["version"]],
            "basis": row["basis"],
            "direction": "",
            "tests": "",
            "id": "",
        }
        for row in read_rows("wording")
        if not row["id"] and version in (None, row["version"])
    ]
    return sorted(rows, key=lambda row: (row["version"], row["direction"] == "", row["name"].casefold()))


def _in_unit(bound: Bound, text: str, unit: str | None) -> str:
    """Of several printed alternatives the one that values in `unit` are compared with."""
    if unit is None or len(bound.cuts) < 2:
        return text
    kinds = [dimension(printed) for printed, _ in bound.cuts]
    return text.split("; ")[kinds.index(dimension(unit)) if dimension(unit) in kinds else 0]


def describe_arm(arm: Arm, unit: str | None = None) -> str:
    """The arm in words: `< 10.0 g/dL down to 8.0 g/dL, if baseline <= ULN`; for one reported unit, or for all."""
    text = _in_unit(arm.near.bound, arm.near_text, unit)
    if arm.far is not None:
        far = _in_unit(arm.far, arm.far_text, unit)
        text += f" {'down' if arm.near.operator[0] == '<' else 'up'} to {far}"
        if not arm.far_inclusive:
            text += " (not included)"
    if arm.when_text:
        text += f", if {arm.when_text}"
    if arm.clinical:
        text += f" [{arm.clinical}]"
    return text


def rule_table(term: Term) -> list[ListRow]:
    """The rule of a term, one row a grade: what the engine tests beside what the document prints."""
    rows = []
    for grade in range(1, 6):
        tested = [describe_arm(arm) for arm in term.arms if arm.grade == grade]
        rows.append(
            {
                "grade": str(grade),
                "tested": " or ".join(tested) if tested else "not decided by a laboratory value",
                "printed": term.wording[grade - 1],
            }
        )
    rows += [{"grade": "none", "tested": describe_arm(arm), "printed": "-"} for arm in term.arms if arm.grade == REFER]
    return rows


def rule_text(term: Term) -> str:
    """The rule of a term as plain text with its source and basis."""
    lines = [
        f"{term.name} (CTCAE {term.version}, {term.direction} {', '.join(term.tests)})",
        f"source: {term.source}; basis {term.basis}: {BASES[term.basis]}",
    ]
    if term.note:
        lines.append(f"note: {term.note}")
    for row in rule_table(term):
        lines.append(f"  grade {row['grade']}: {row['tested']}")
        lines.append(f"           printed: {row['printed']}")
    return "\n".join(lines)

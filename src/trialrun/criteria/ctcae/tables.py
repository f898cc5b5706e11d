"""CTCAE laboratory grades as data: the rule tables, the printed wording and where both come from.

`data/rules.csv` holds one line for each arm of each grade (term, versions, grade, near bound, far bound, condition),
`data/terms.csv` which test each term grades, `data/wording.csv` the printed text of every grade. The near bound is the
one towards normal and decides; the far bound is kept as printed for the check of gaps (`gaps.py`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, cast

from trialrun.vocab.problems import Problem, TrialrunError

Direction = Literal["low", "high"]
Operator = Literal["<", "<=", ">", ">="]
Reference = Literal["LLN", "ULN", "baseline"]
End = Literal["", "best", "worst"]

VERSIONS = ("3.0", "4.03", "5.0", "6.0")
REFER = 9  # grade of an arm that sends the value to another term: it is not graded here

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "3.0": "CTCAE v3.0, NCI, 31 March 2003, published 9 August 2006,"
        " https://ctep.cancer.gov/protocoldevelopment/electronic_applications/docs/ctcaev3.pdf",
        "4.03": "CTCAE v4.03, NCI, 14 June 2010",
        "5.0": "CTCAE v5.0, NCI, 27 November 2017",
        "6.0": "CTCAE v6.0, NCI, 10 July 2025, with the errata of 20 January 2026",
    }
)
BASES: Mapping[str, str] = MappingProxyType(
    {
        "N": "the text of the National Cancer Institute was read",
        "T": "a publication that reprints the table was read",
        "S": "restated by another publication that was read",
        "R": "recalled from the document, to be checked against it",
    }
)
_WORDING_OF = MappingProxyType(
    {
        "hypercalcemia_ionized": "hypercalcemia",
        "hypocalcemia_ionized": "hypocalcemia",
        "hyperglycemia_fasting": "hyperglycemia",
        "hyperglycemia_random": "hyperglycemia",
        "proteinuria_ratio": "proteinuria",
    }
)
_PART_OF = MappingProxyType(
    {
        "hypercalcemia_ionized": "ionized",
        "hypocalcemia_ionized": "ionized",
        "hyperglycemia_fasting": "fasting",
        "hyperglycemia_random": "not fasting",
        "proteinuria_ratio": "protein to creatinine ratio",
    }
)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a value is compared with: a printed cut point in each printed unit, or a multiple of a limit or of baseline.

    `cuts` are pairs of UCUM unit and number. With `reference` the bound is factor x reference + offset, the offset
    being in `offset_unit`.
    """

    cuts: tuple[tuple[str, float], ...] = ()
    reference: Reference | None = None
    factor: float = 1.0
    offset: float = 0.0
    offset_unit: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`value` or `baseline`, an operator, and a bound; the limits beside a baseline are those of its own record."""

    subject: Literal["value", "baseline"]
    operator: Operator
    bound: Bound


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the alternatives that give a grade.

    `near` decides together with every comparison of `when`. `far` is the other printed bound, part of the range where
    `far_inclusive`. An arm with an `end` needs a clinical fact (`clinical`) that no laboratory value shows: it counts
    only at that end of the range of grades.
    """

    grade: int
    near: Comparison
    far: Bound | None
    far_inclusive: bool
    when: tuple[Comparison, ...]
    end: End
    clinical: str
    near_text: str
    far_text: str
    when_text: str

    @property
    def needs_high_baseline(self) -> bool:
        """Whether the arm holds only for a baseline above the upper limit."""
        return any(c.subject == "baseline" and c.operator == ">" for c in self.when)

    @property
    def is_gap(self) -> bool:
        """Whether the arm stands for a gap in the printed text rather than for a printed grade."""
        return self.clinical.startswith("published gap")


@dataclass(frozen=True, slots=True)
class Term:
    """One laboratory term of one version, its arms ordered by rising grade.

    `tests` are names of `trialrun.vocab.tests`. `floor` is the lowest grade that stands although something is missing
    that could raise it. `baseline_missing` says what a missing baseline means: unknown, or a baseline inside its
    range. `optional` terms are graded only when they are asked for by name.
    """

    id: str
    name: str
    version: str
    direction: Direction
    tests: tuple[str, ...]
    arms: tuple[Arm, ...]
    floor: int
    baseline_missing: Literal["unknown", "as_normal"]
    optional: bool
    basis: str
    source: str
    note: str
    wording: tuple[str, str, str, str, str]

    @property
    def uses_fixed_cuts(self) -> bool:
        """Whether any arm compares with a number that has a unit."""
        return any(arm.near.bound.cuts or arm.near.bound.offset_unit for arm in self.arms)

    @property
    def uses_baseline(self) -> bool:
        """Whether any arm looks at the baseline."""
        return any(
            c.subject == "baseline" or c.bound.reference == "baseline"
            for arm in self.arms
            for c in (arm.near, *arm.when)
        )


_REFERENCE = re.compile(
    r"(?:(?P<factor>\d+(?:\.\d+)?) x )?(?P<reference>LLN|ULN|baseline)(?: \+ (?P<offset>\d+(?:\.\d+)?) (?P<unit>\S+))?$"
)
_CUT = re.compile(r"(?P<number>\d+(?:\.\d+)?) (?P<unit>\S+)$")


def _read_bound(text: str) -> Bound:
    found = _REFERENCE.match(text)
    if found:
        return Bound(
            reference=cast(Reference, found["reference"]),
            factor=float(found["factor"] or 1),
            offset=float(found["offset"] or 0),
            offset_unit=found["unit"],
        )
    cuts = []
    for part in text.split("; "):
        cut = _CUT.match(part)
        if cut is None:
            raise ValueError(f"rules.csv: cannot read the bound {text!r}")
        cuts.append((cut["unit"], float(cut["number"])))
    return Bound(cuts=tuple(cuts))


def _read_near(text: str) -> Comparison:
    operators = {part.split(" ", 1)[0] for part in text.split("; ")}
    if len(operators) != 1:
        raise ValueError(f"rules.csv: the alternatives of {text!r} differ in their operator")
    bound = _read_bound("; ".join(part.split(" ", 1)[1] for part in text.split("; ")))
    return Comparison("value", cast(Operator, operators.pop()), bound)


def _read_when(text: str) -> tuple[Comparison, ...]:
    comparisons = []
    for part in filter(None, text.split(" and ")):
        subject, operator, bound = part.split(" ", 2)
        comparisons.append(
            Comparison(cast(Literal["value", "baseline"], subject), cast(Operator, operator), _read_bound(bound))
        )
    return tuple(comparisons)


def read_rows(name: str) -> list[dict[str, str]]:
    """The rows of one of the package's tables: `rules`, `terms` or `wording`."""
    text = files("trialrun.criteria.ctcae").joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _read_arm(row: dict[str, str]) -> Arm:
    return Arm(
        grade=REFER if row["grade"] == "refer" else int(row["grade"]),
        near=_read_near(row["near"]),
        far=_read_bound(row["far"].lstrip("<> ")) if row["far"] else None,
        far_inclusive=not row["far"].startswith(("<", ">")),
        when=_read_when(row["when"]),
        end=cast(End, row["end"]),
        clinical=row["clinical"],
        near_text=row["near"],
        far_text=row["far"].lstrip("<> "),
        when_text=row["when"],
    )


@cache
def all_terms() -> Mapping[tuple[str, str], Term]:
    """Every laboratory term by (version, id), in the order of the tables."""
    arms: dict[tuple[str, str], list[Arm]] = {}
    for row in read_rows("rules"):
        for version in row["versions"].split("|"):
            arms.setdefault((version, row["id"]), []).append(_read_arm(row))
    wording = {(row["version"], row["id"]): row for row in read_rows("wording") if row["id"]}
    terms: dict[tuple[str, str], Term] = {}
    for row in read_rows("terms"):
        for version in row["versions"].split("|"):
            printed = wording[version, _WORDING_OF.get(row["id"], row["id"])]
            part = _PART_OF.get(row["id"])
            terms[version, row["id"]] = Term(
                id=row["id"],
                name=printed["term"] + (f" ({part})" if part else ""),
                version=version,
                direction=cast(Direction, row["direction"]),
                tests=tuple(row["tests"].split("|")),
                arms=tuple(sorted(arms.pop((version, row["id"])), key=lambda arm: arm.grade)),
                floor=int(row["floor"]),
                baseline_missing=cast(Literal["unknown", "as_normal"], row["baseline_missing"]),
                optional=bool(row["other"]),
                basis=printed["basis"],
                source=SOURCES[version],
                note=" ".join(filter(None, (row["note"], printed["note"]))),
                wording=cast(tuple[str, str, str, str, str], tuple(printed[f"grade_{g}"] for g in range(1, 6))),
            )
    if arms:
        raise ValueError(f"rules.csv: arms of unknown terms {sorted(arms)}")
    return MappingProxyType(terms)


def read_version(text: str) -> str:
    """The version meant by `ctcae-5.0`, `v5`, `5` and the like; anything else is a TrialrunError."""
    bare = text.strip().casefold().removeprefix("ctcae").lstrip("- _").removeprefix("v").strip()
    for version in VERSIONS:
        if bare in (version, version.split(".")[0]) or (version == "4.03" and bare == "4.0"):
            return version
    raise TrialrunError(
        Problem(
            "unknown-criteria",
            "unknown grading criteria",
            repr(text),
            "one of " + ", ".join(f"ctcae-{version}" for version in VERSIONS),
        )
    )


@cache
def terms_of(test: str, version: str) -> tuple[Term | None, Term | None]:
    """The low and the high term that grade a test (its canonical name) in a version; None where there is none."""
    low = high = None
    for (of_version, _), term in all_terms().items():
        if of_version == version and test in term.tests and not term.optional:
            if term.direction == "low":
                low = term
            else:
                high = term
    return low, high


def find_term(name: str, version: str) -> Term:
    """A term by its printed name or its id (case does not matter); an unknown one is a TrialrunError."""
    wanted = name.strip().casefold()
    for (of_version, identifier), term in all_terms().items():
        if of_version == version and wanted in (identifier, term.name.casefold()):
            return term
    from difflib import get_close_matches  # only needed once something is wrong

    known = [term.name for (of_version, _), term in all_terms().items() if of_version == version]
    near = get_close_matches(name, known, n=3)
    raise TrialrunError(
        Problem(
            "unknown-term",
            f"no laboratory term of that name in CTCAE {version}",
            repr(name),
            "one of " + ", ".join(near or known),
        )
    )

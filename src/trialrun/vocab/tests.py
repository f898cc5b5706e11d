"""The tests (in CDISC's sense: things that are measured or found) that findings and rules may name."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, cast

from trialrun.vocab.problems import Location, Problem, TrialrunError

Kind = Literal["number", "truth", "category"]
Worst = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class Test:
    """One thing that can be measured or found.

    `code` is the CDISC test code (LBTESTCD and its like) where one exists; `unit` is the UCUM unit that every
    value is carried in; `us_unit` the conventional unit of the United States; `molar_mass` is in g/mol;
    `worst` says which direction is bad when only one is; `low` and `high` bound what is physically plausible,
    in `unit` (assumed: wider than any value met in the clinic, to catch slips of unit and of the decimal point);
    `source` says where molar mass and range come from.
    """

    __test__ = False  # the word is CDISC's; pytest must not collect it

    name: str
    code: str
    label: str
    kind: Kind
    unit: str | None
    us_unit: str | None
    molar_mass: float | None
    worst: Worst | None
    low: float | None
    high: float | None
    synonyms: tuple[str, ...]
    source: str = ""


def _number(text: str) -> float | None:
    return float(text) if text else None


@cache
def all_tests() -> Mapping[str, Test]:
    """Every known test by its name, in the order of the table `data/tests.csv`."""
    table = files("trialrun.vocab").joinpath("data/tests.csv").read_text(encoding="utf-8")
    tests = {
        row["name"]: Test(
            name=row["name"],
            code=row["code"],
            label=row["label"],
            kind=cast(Kind, row["kind"]),
            unit=row["unit"] or None,
            us_unit=row["us_unit"] or None,
            molar_mass=_number(row["molar_mass"]),
            worst=cast(Worst, row["worst"]) if row["worst"] else None,
            low=_number(row["low"]),
            high=_number(row["high"]),
            synonyms=tuple(part for part in row["synonyms"].split("|") if part),
            source=row["source"],
        )
        for row in csv.DictReader(table.splitlines())
    }
    return MappingProxyType(tests)


@cache
def _by_spelling() -> Mapping[str, Test]:
    spellings: dict[str, Test] = {}
    for test in all_tests().values():
        for spelling in filter(None, (test.name, test.code, test.label, *test.synonyms)):
            key = spelling.casefold()
            if spellings.setdefault(key, test) is not test:
                raise ValueError(f"tests.csv: {spelling!r} names both {spellings[key].name} and {test.name}")
    return MappingProxyType(spellings)


def find_test(spelling: str) -> Test | None:
    """The test of that name, code, label or synonym (case does not matter), or None."""
    return _by_spelling().get(spelling.strip().casefold())


def get_test(spelling: str, location: Location | None = None) -> Test:
    """As `find_test`, but an unknown name is a TrialrunError that offers the nearest ones."""
    found = find_test(spelling)
    if found is None:
        raise TrialrunError(
            Problem("unknown-test", "unknown test", repr(spelling), nearest(spelling), location or Location())
        )
    return found


def nearest(spelling: str) -> str:
    """The known names that look most like `spelling`, for an error text."""
    from difflib import get_close_matches  # only needed once something is wrong

    close = get_close_matches(spelling.casefold(), _by_spelling().keys(), n=3, cutoff=0.6)
    names = dict.fromkeys(_by_spelling()[key].name for key in close)
    return "one of " + ", ".join(names) if names else "a test of the list in docs/reference/terms.md"

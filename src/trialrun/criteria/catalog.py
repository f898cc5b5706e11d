"""Every criterion with its version, source and basis, and each as a table that can be checked against its paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType

from trialrun.criteria.tables import BASES, Row, read_rows, read_sources
from trialrun.vocab.problems import Problem, TrialrunError

# Table: (title before the version, what computes it).
_TABLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "tumor_lysis": ("Tumour lysis", "trialrun.criteria.tumor_lysis.derive_tumor_lysis"),
        "cll_response": ("CLL response", "trialrun.criteria.response.assess_response"),
        "hematologic_toxicity": (
            "Haematological toxicity in CLL",
            "trialrun.criteria.hematologic_toxicity.grade_hematologic_toxicity",
        ),
        "staging": ("CLL stage", "trialrun.criteria.staging"),
        "doubling_time": ("Lymphocyte doubling time", "trialrun.criteria.doubling_time.compute_doubling_time"),
        "renal_function": ("Renal function", "trialrun.criteria.renal_function"),
        "lysis_risk": ("Tumour-lysis risk category", "trialrun.criteria.lysis_risk.derive_lysis_risk"),
        "named_terms": ("", "trialrun.criteria.named_terms"),
    }
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion: `name` as the command line takes it, title, version, citations, marks of basis, its code."""

    name: str
    title: str
    version: str
    source: str
    basis: str
    code: str
    rows: tuple[Row, ...]


def _slug(text: str) -> str:
    american = text.replace("tumour", "tumor")
    return re.sub(r"[^a-z0-9.]+", "-", american.casefold()).strip("-")


@cache
def list_criteria() -> tuple[Criterion, ...]:
    """Every criterion of this package but the laboratory terms of CTCAE (`trialrun.criteria.ctcae` lists those)."""
    found = []
    for table, (title, code) in _TABLES.items():
        for version in dict.fromkeys(row.version for row in read_rows(table)):
            rows = tuple(row for row in read_rows(table) if row.version == version)
            sources = dict.fromkeys(row.source for row in rows if row.source != "trialrun")
            found.append(
                Criterion(
                    name=_slug(f"{table} {version}" if title else version),
                    title=f"{title}, {version}" if title else version[0].upper() + version[1:],
                    version=version if title else version.split()[-1],
                    source="; ".join(read_sources()[key] for key in sources),
                    basis="".join(mark for mark in BASES if any(row.basis == mark for row in rows)),
                    code=code,
                    rows=rows,
                )
            )
    return tuple(found)


def get_criterion(name: str) -> Criterion:
    """The criterion of that name; an unknown one is a TrialrunError that offers the nearest."""
    by_name = {criterion.name: criterion for criterion in list_criteria()}
    found = by_name.get(_slug(name))
    if found is None:
        close = get_close_matches(_slug(name), by_name, n=3, cutoff=0.4)
        expected = "one of " + ", ".join(close or by_name)
        raise TrialrunError(Problem("unknown-criterion", "unknown criterion", repr(name), expected))
    return found


def describe_criterion(criterion: Criterion) -> list[dict[str, str]]:
    """The rule as rows: part, parameter, rule (what is evaluated), wording, basis, source."""
    return [
        {
            "part": row.part + (f" ({row.group})" if row.group in ("A", "B", "adults", "children") else ""),
            "parameter": row.parameter,
            "rule": row.rule,
            "wording": row.wording,
            "basis": row.basis,
            "source": read_sources()[row.source],
        }
        for row in criterion.rows
    ]

"""What the response tables speak of, derived from what was found: sums, enlargements, newly enlarged organs.

Findings come as a mapping of columns (see `COLUMNS`); a column that is absent is unknown throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from trialrun.criteria.tables import select
from trialrun.criteria.truth import (
    NO_NUMBER,
    NO_TRUTH,
    TRUE,
    YES,
    Numbers,
    Truths,
    as_numbers,
    as_truths,
    both,
    compare,
    negate,
    prefer,
    some,
)
from trialrun.vocab.problems import Problem, TrialrunError

# Column: unit (numbers; truths have none) and meaning.
COLUMNS: Mapping[str, tuple[str | None, str]] = MappingProxyType(
    {
        "node_spd": ("cm2", "sum of products of the target nodes"),
        "node_longest": ("cm", "longest diameter of the largest node"),
        "node_count": ("1", "number of target nodes"),
        "node_site_growth": ("%", "largest growth in longest diameter of an enlarged previous site"),
        "new_node": ("cm", "longest diameter of the largest new node; 0 where there is none"),
        "spleen_length": ("cm", "craniocaudal length of the spleen on CT"),
        "spleen_below_costal_margin": ("cm", "palpable spleen below the costal margin"),
        "liver_below_costal_margin": ("cm", "palpable liver below the costal margin"),
        "lymphocytes": ("10*9/L", "absolute lymphocyte count"),
        "neutrophils": ("10*9/L", "absolute neutrophil count"),
        "platelets": ("10*9/L", "platelet count"),
        "hemoglobin": ("g/L", "haemoglobin"),
        "marrow_lymphocytes": ("%", "lymphocytes in the marrow"),
        "prolymphocytes": ("%", "prolymphocytes among blood lymphocytes"),
        "months_since_last_dose": ("mo", "months since the last dose; NaN under treatment or unknown"),
        "nodes_present": (None, "lymphadenopathy by physical examination"),
        "node_increase": (None, "a single node grew (small nodes: by 25 % or more)"),
        "spleen_enlarged": (None, "spleen enlarged, where no size is given"),
        "liver_enlarged": (None, "liver enlarged, where no size is given"),
        "symptoms": (None, "constitutional symptoms due to CLL"),
        "transformation": (None, "transformation to a more aggressive histology"),
        "marrow_normocellular": (None, "marrow normocellular"),
        "marrow_hypocellular": (None, "marrow hypocellular"),
        "marrow_cll_cells": (None, "CLL cells in the marrow"),
        "marrow_nodules": (None, "lymphoid nodules in the marrow, not shown to be free of CLL"),
        "growth_confirmed": (None, "growth of nodes or organs was confirmed"),
        "new_node_confirmed": (None, "a new node was confirmed"),
        "growth_from_cll": (None, "growth is CLL (false: biopsy showed another cause)"),
        "lymphocytes_clonal": (None, "the lymphocytes are clonal B cells"),
        "rise_explained": (None, "infection or steroids explain a lymphocyte rise"),
        "redistributing": (None, "under an agent that redistributes lymphocytes"),
        "on_treatment": (None, "under treatment"),
        "transfused": (None, "haemoglobin is after transfusion or under erythropoietin"),
        "cytopenia_from_cll": (None, "cytopenia is due to CLL"),
        "cytopenia_from_drug": (None, "cytopenia is due to drug toxicity"),
        "cytopenia_other_cause": (None, "cytopenia is due to haemolysis, bleeding or another cause"),
    }
)

Findings = Mapping[str, ArrayLike]


class Items:
    """The columns of one moment, of `length` subjects; unknown where not given."""

    def __init__(self, findings: Findings, length: int | None = None) -> None:
        unknown = [name for name in findings if name not in COLUMNS]
        if unknown:
            raise TrialrunError(
                Problem("unknown-column", "unknown finding", repr(unknown[0]), "one of " + ", ".join(COLUMNS))
            )
        self.numbers: dict[str, Numbers] = {}
        self.truths: dict[str, Truths] = {}
        for name, column in findings.items():
            if COLUMNS[name][0] is None:
                self.truths[name] = as_truths(column)
            else:
                self.numbers[name] = as_numbers(column)
        lengths = {column.size for column in self.numbers.values()} | {column.size for column in self.truths.values()}
        self.length = length if length is not None else max(lengths, default=1)
        if lengths - {1, self.length}:
            raise TrialrunError(
                Problem("length", "findings have different lengths", str(sorted(lengths)), "one value a subject each")
            )

    def number(self, name: str) -> Numbers:
        """The column (NaN = unknown): a value a subject, or one for all."""
        return self.numbers.get(name, NO_NUMBER)

    def truth(self, name: str) -> Truths:
        """The column (-1 = unknown): a truth a subject, or one for all."""
        return self.truths.get(name, NO_TRUTH)


@cache
def limit(standard: str, item: str, parameter: str | None = None) -> float:
    """A bound of the part `limit` of a standard's table, in the printed unit."""
    for row in select("cll_response", standard, "limit"):
        if row.item == item and parameter in (None, row.parameter):
            return row.bound or 0.0
    raise TrialrunError(Problem("unknown-criterion", f"{standard} has no such limit", item))


def is_spleen_enlarged(items: Items, standard: str) -> Truths:
    """By CT length where it is known, else by palpation; NCI-WG 1996 the other way round."""
    by_length = compare(items.number("spleen_length"), ">=", limit(standard, "spleen_length"))
    by_hand = compare(items.number("spleen_below_costal_margin"), ">", 0.0)
    first, second = (by_hand, by_length) if standard == "NCI-WG-1996" else (by_length, by_hand)
    return prefer(prefer(first, second), items.truth("spleen_enlarged"))


def is_liver_enlarged(items: Items) -> Truths:
    """By palpation where it is known, else as found."""
    by_hand = compare(items.number("liver_below_costal_margin"), ">", 0.0)
    return prefer(by_hand, items.truth("liver_enlarged"))


def are_nodes_present(items: Items) -> Truths:
    """By examination where it is known, else by measured nodes."""
    return prefer(items.truth("nodes_present"), compare(items.number("node_longest"), ">", 0.0))


def spleen_excess(items: Items, other: Items, standard: str) -> tuple[Numbers, Numbers, Truths]:
    """Enlargement of the spleen (cm) at two moments by the same method, and whether a rise is large enough to count.

    Below the costal margin where both moments have it, else CT length beyond 13 cm; NaN where no method was used twice.
    """
    normal = limit(standard, "spleen_length")
    hand, other_hand = (moment.number("spleen_below_costal_margin") for moment in (items, other))
    length, other_length = (moment.number("spleen_length") for moment in (items, other))
    if length is NO_NUMBER or other_length is NO_NUMBER:
        return np.where(np.isnan(other_hand), np.nan, hand), np.where(np.isnan(hand), np.nan, other_hand), YES
    by_hand = ~np.isnan(hand) & ~np.isnan(other_hand)
    by_length = ~by_hand & ~np.isnan(length) & ~np.isnan(other_length)
    rise = compare(length - other_length, ">=", limit(standard, "spleen_length_rise"))
    return (
        np.where(by_hand, hand, np.where(by_length, np.maximum(length - normal, 0.0), np.nan)),
        np.where(by_hand, other_hand, np.where(by_length, np.maximum(other_length - normal, 0.0), np.nan)),
        np.where(by_length, rise, TRUE).astype(np.int8),
    )


def newly(now: Truths, before: Truths) -> Truths:
    """Present now and absent before."""
    return both(now, negate(before))


def newly_below(now: Numbers, before: Numbers, bound: float) -> Truths:
    """Under the bound now and not before."""
    return both(compare(now, "<", bound), compare(before, ">=", bound))


def has_fallen_below(items: Items, references: list[Items], name: str, bound: float) -> Truths:
    """Newly below the bound as compared with any of the earlier moments."""
    return some(newly_below(items.number(name), reference.number(name), bound) for reference in references)

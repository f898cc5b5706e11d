"""The findings of one assessment beside those of baseline and best response, as the response table sees them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import cast

import numpy as np

from trialrun.criteria.response_items import (
    Items,
    are_nodes_present,
    has_fallen_below,
    is_liver_enlarged,
    is_spleen_enlarged,
    limit,
    newly,
    spleen_excess,
)
from trialrun.criteria.tables import Row, select
from trialrun.criteria.truth import (
    FALSE,
    NO,
    NO_NUMBER,
    NO_TRUTH,
    TRUE,
    UNKNOWN,
    YES,
    Numbers,
    Operator,
    Truths,
    assume,
    both,
    compare,
    either,
    every,
    negate,
    prefer,
    some,
)
from trialrun.vocab.units import factor

NCI_WG = "NCI-WG-1996"

Columns = dict[str, Numbers | Truths]

_NUMBERS = (
    "node_spd",
    "node_longest",
    "node_count",
    "node_site_growth",
    "new_node",
    "lymphocytes",
    "neutrophils",
    "platelets",
    "hemoglobin",
    "marrow_lymphocytes",
    "prolymphocytes",
)
_TRUTHS = (
    "symptoms",
    "transformation",
    "transfused",
    "marrow_normocellular",
    "marrow_cll_cells",
    "marrow_nodules",
)


@cache
def canonical_bound(row: Row) -> float:
    """The bound in the canonical unit of the column."""
    bound = row.bound or 0.0
    return bound * factor("g/dL", "g/L") if row.unit == "g/dL" else bound


@cache
def _shown_by(standard: str, parameter: str) -> tuple[Row, ...]:
    """The lines that say whether a parameter was abnormal before therapy."""
    infiltrate = ("marrow_cll_cells", "marrow_lymphocytes")
    rows = (row for row in select("cll_response", standard, "CR") if row.parameter == parameter)
    return tuple(row for row in rows if parameter != "marrow" or row.item in infiltrate)


@cache
def _sites(standard: str, parameter: str) -> tuple[tuple[Row, ...], ...]:
    """The lines that speak of a parameter: by organ, of the marrow by part (CR, PR)."""
    sites: dict[str, list[Row]] = {}
    for part in ("CR", "PR"):
        for row in select("cll_response", standard, part):
            if row.parameter == parameter:
                organ = row.item.split("_")[0] if row.item.startswith(("spleen", "liver")) else ""
                sites.setdefault(part if parameter == "marrow" else organ, []).append(row)
    return tuple(tuple(rows) for rows in sites.values())


class View:
    """The findings of this moment beside those of baseline and best response, as the rows of the table see them."""

    def __init__(self, standard: str, now: Items, before: Items, best: Items | None) -> None:
        self.standard = standard
        self.now = now
        self.references = [before] if best is None else [before, best]
        self.now_items, self.before_items, rise = self._paired(now, before)
        self.spleen_rise_counts = rise
        self.best_now: Columns | None = None
        self.best_items: Columns | None = None
        self.best_rise: Truths | None = None
        if best is not None:
            self.best_now, self.best_items, self.best_rise = self._paired(now, best)

    def _paired(self, now: Items, before: Items) -> tuple[Columns, Columns, Truths]:
        spleen_now, spleen_before, rise = spleen_excess(now, before, self.standard)
        pairs: list[Columns] = []
        for items, excess in ((now, spleen_now), (before, spleen_before)):
            columns: Columns = {name: items.number(name) for name in _NUMBERS}
            columns |= {name: items.truth(name) for name in _TRUTHS}
            columns["spleen_excess"] = excess
            columns["liver_excess"] = items.number("liver_below_costal_margin")
            columns["spleen_enlarged"] = is_spleen_enlarged(items, self.standard)
            columns["liver_enlarged"] = is_liver_enlarged(items)
            columns["nodes_present"] = are_nodes_present(items)
            pairs.append(columns)
        current, reference = pairs
        if self.standard != NCI_WG:  # a spleen followed by CT is not shown normal by palpation
            by_hand_only = np.isnan(now.number("spleen_length")) & ~np.isnan(now.number("spleen_below_costal_margin"))
            by_ct_before = ~np.isnan(before.number("spleen_length"))
            mixed = by_hand_only & by_ct_before & np.isnan(before.number("spleen_below_costal_margin"))
            current["spleen_enlarged"] = np.where(mixed, UNKNOWN, current["spleen_enlarged"]).astype(np.int8)
        for organ in ("spleen", "liver"):
            name = f"{organ}_enlarged"
            fresh = newly(cast(Truths, current[name]), cast(Truths, reference[name]))
            current[f"{organ}_new"] = fresh
        for name in () if self.standard == NCI_WG else ("platelets", "hemoglobin"):
            bound = limit(self.standard, name)
            current[f"{name}_below"] = has_fallen_below(
                now, self.references, name, bound * (10.0 if name == "hemoglobin" else 1.0)
            )
        return current, reference, rise

    def holds(self, row: Row, now: Columns | None = None) -> Truths:
        """Whether the line holds at this moment (or for the columns `now`)."""
        columns = self.now_items if now is None else now
        if row.measure == "finding":
            truth = cast(Truths, columns[row.item])
            return truth if row.bound else negate(truth)
        operator = cast(Operator, row.operator)
        value = cast(Numbers, columns[row.item])
        if row.measure == "value":
            held = compare(value, operator, canonical_bound(row))
        else:
            held = self._changed(row, value, cast(Numbers, self.before_items[row.item]))
        if row.item == "hemoglobin" and row.part in ("CR", "PR"):
            held = both(held, negate(assume(cast(Truths, columns["transfused"]), FALSE)))
        return held

    def _changed(self, row: Row, value: Numbers, reference: Numbers) -> Truths:
        operator = cast(Operator, row.operator)
        if row.measure == "fall":
            return compare(reference - value, operator, canonical_bound(row))
        if reference is NO_NUMBER:
            return NO_TRUTH
        moved = compare(value, operator, reference * (1 + (row.bound or 0.0) / 100))
        return cast(Truths, moved * (reference != 0))

    @cached_property
    def passed(self) -> dict[Row, Truths]:
        """Which bounds of progression are passed, confirmed and attributed or not."""
        return {row: self.passes(row) for row in select("cll_response", self.standard, "PD")}

    def passes(self, row: Row) -> Truths:
        """Whether a bound of progression is passed, from baseline or (where the row says so) from best response."""
        if row.measure == "change_from_best":
            if self.best_now is None or self.best_items is None:
                return NO
            columns, reference, rise = self.best_now, self.best_items, cast(Truths, self.best_rise)
            passed = self._changed(row, cast(Numbers, columns[row.item]), cast(Numbers, reference[row.item]))
            organ = row.item.removesuffix("_excess")
            if organ != row.item:  # an organ that was normal at response and is enlarged again
                passed = either(passed, cast(Truths, columns[f"{organ}_new"]))
        elif row.group == "cytopenia" and row.measure != "finding" and self.best_items is not None:
            value = cast(Numbers, self.now_items[row.item])
            from_best = self._changed(row, value, cast(Numbers, self.best_items[row.item]))
            return either(self.holds(row), from_best)
        else:
            passed, rise = self.holds(row), self.spleen_rise_counts
        if row.item == "spleen_excess":
            passed = both(passed, rise)
        if row.item in ("node_spd", "node_site_growth"):
            passed = both(passed, self._nodes_large_enough())
        if row.parameter == "marrow":  # growth of an infiltrate that was there
            passed = both(passed, self.is_abnormal("marrow"))
        if row.parameter == "lymphocytes":
            enough = limit(self.standard, "lymphocytes", "lymphocytes")
            passed = both(passed, compare(self.now.number("lymphocytes"), ">=", enough))
        return passed

    def _nodes_large_enough(self) -> Truths:
        conditions = [
            compare(cast(Numbers, self.now_items[row.item]), cast(Operator, row.operator), row.bound or 0.0)
            for row in select("cll_response", self.standard, "limit")
            if row.item in ("node_longest", "node_count")
        ]
        return every(conditions)

    def counts_as_progression(self, row: Row) -> Truths:
        """Whether a passed bound counts: confirmed, CLL, not explained by anything else."""
        truth = self.now.truth
        not_denied = assume(truth("growth_from_cll"), TRUE)
        if row.group == "growth":
            needs_second_look = self.standard == NCI_WG and row.parameter == "nodes"
            confirmed = truth("growth_confirmed")
            return both(confirmed if needs_second_look else assume(confirmed, TRUE), not_denied)
        if row.group in ("new", "marrow"):
            name = "new_node_confirmed" if row.group == "new" else "growth_confirmed"
            return both(assume(truth(name), TRUE), not_denied)
        if row.group == "lymphocytes":
            explained = truth("rise_explained")
            unexplained = both(assume(truth("lymphocytes_clonal"), TRUE), negate(assume(explained, FALSE)))
            if self.standard == NCI_WG:
                return unexplained
            return both(unexplained, negate(assume(truth("redistributing"), FALSE)))
        if row.group == "cytopenia":
            return self._cytopenia_is_cll()
        return YES

    def _cytopenia_is_cll(self) -> Truths:
        truth = self.now.truth
        late = compare(self.now.number("months_since_last_dose"), ">=", limit(self.standard, "months_since_last_dose"))
        other = ("on_treatment", "cytopenia_from_drug", "cytopenia_other_cause")
        denied = [negate(assume(truth(name), FALSE)) for name in other]
        return every([*denied, assume(late, TRUE), prefer(truth("cytopenia_from_cll"), truth("marrow_cll_cells"))])

    def is_abnormal(self, parameter: str) -> Truths:
        """Whether the parameter was abnormal before therapy: it missed its bound of complete remission."""
        return negate(every(self.holds(row, self.before_items) for row in _shown_by(self.standard, parameter)))

    def reaches(self, parameter: str, rows: Mapping[Row, Truths]) -> Truths:
        """Whether the parameter reaches what a partial remission asks of it now (normal counts as reached).

        Where a parameter holds two organs, each that was enlarged must have shrunk.
        """
        sites = _sites(self.standard, parameter)
        if parameter == "marrow":
            clear, *halved = [[rows[row] for row in lines] for lines in sites]
            return either(every(clear), some(halved[0])) if halved else every(clear)
        reached = every(some(rows[row] for row in lines) for lines in sites)
        if parameter == "nodes":
            grew = self.now.truth("node_increase")
            row = next(row for row in select("cll_response", self.standard, "PD") if row.item == "new_node")
            reached = every([reached, *(negate(assume(found, FALSE)) for found in (grew, self.holds(row)))])
        return reached

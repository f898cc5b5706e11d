"""One moment of a situation as columns of the response criteria.

The format declares completeness: what is not mentioned is normal, absent and was assessed. Normal counts are taken as
the values below (assumed: only whether they are normal decides).
"""

from __future__ import annotations

import math
import re

from trialrun.criteria.response_items import limit
from trialrun.criteria.situations.vocabulary import Marrow, Moment, Therapy
from trialrun.vocab.problems import Problem, TrialrunError

Columns = dict[str, float | int]

NORMAL_COUNTS = {"alc": 2.0, "anc": 4.0, "platelets": 200.0, "hb": 13.0}  # 10^9/L; hb g/dL
NORMAL_MARROW_LYMPHOCYTES = 10.0  # percent

_NAMES = {"alc": "lymphocytes", "anc": "neutrophils", "platelets": "platelets", "hb": "hemoglobin"}
_NOT_DONE: dict[str, tuple[str, ...]] = {
    "nodes": ("nodes",),
    "lymph_nodes": ("nodes",),
    "nodes_palpable": ("nodes",),
    "new_nodes": ("nodes",),
    "spleen": ("spleen",),
    "spleen_ct": ("spleen",),
    "spleen_bcm": ("spleen",),
    "liver": ("liver",),
    "liver_bcm": ("liver",),
    "ct": ("nodes", "spleen", "liver"),
    "ct_scan": ("nodes", "spleen", "liver"),
    "imaging": ("nodes", "spleen", "liver"),
    "physical_examination": ("nodes", "spleen", "liver"),
    "examination": ("nodes", "spleen", "liver"),
    "blood_counts": ("alc", "anc", "platelets", "hb"),
    "blood_count": ("alc", "anc", "platelets", "hb"),
    "alc": ("alc",),
    "lymphocytes": ("alc",),
    "anc": ("anc",),
    "neutrophils": ("anc",),
    "platelets": ("platelets",),
    "hb": ("hb",),
    "haemoglobin": ("hb",),
    "hemoglobin": ("hb",),
    "symptoms": ("symptoms",),
    "marrow": ("marrow",),
    "bone_marrow": ("marrow",),
    "biopsy": ("biopsy",),
    "direct_antiglobulin": ("direct_antiglobulin",),
    "haemolysis": ("haemolysis",),
    "alc_is_clonal_B": ("alc_is_clonal_B",),
    "flow_cytometry": ("alc_is_clonal_B",),
    "infection": ("infection",),
    "prolymphocyte_pct": ("prolymphocyte_pct",),
}
_REDISTRIBUTING_CLASSES = ("btk", "pi3k", "kinase", "bcr_inhibitor", "b_cell_receptor", "syk")
_REDISTRIBUTING_AGENTS = (
    "ibrutinib",
    "acalabrutinib",
    "zanubrutinib",
    "pirtobrutinib",
    "tirabrutinib",
    "orelabrutinib",
    "nemtabrutinib",
    "idelalisib",
    "duvelisib",
    "umbralisib",
    "copanlisib",
    "parsaclisib",
    "fostamatinib",
    "entospletinib",
)
_FLARING_CLASSES = ("immunomodulator", "imid")
_FLARING_AGENTS = ("lenalidomide", "thalidomide", "pomalidomide")
_TRANSFORMED = (
    "richter",
    "dlbcl",
    "large b",
    "large cell",
    "hodgkin",
    "transform",
    "prolymphocytic",
    "aggressive",
    "high grade",
)
_NOT_CLL = (
    "reactive",
    "benign",
    "granulom",
    "tubercul",
    "infect",
    "abscess",
    "no cll",
    "not cll",
    "negative",
    "necro",
    "sarcoid",
    "carcinoma",
    "metasta",
    "melanoma",
    "normal",
    "inflamm",
    "flare",
    "hyperplasia",
)
_CLL = ("cll", "sll", "small lymphocytic", "lymphocytic", "clonal")
_DUE_TO_CLL = ("cll", "leuk", "disease", "unknown", "unexplained", "progress", "lymphoma")


def words(text: str) -> str:
    """Lower case, with blanks for underlines and hyphens."""
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").split())


def read_therapy(therapy: Therapy | None) -> tuple[Columns, bool]:
    """What therapy says about an assessment, and whether its class causes tumour flare."""
    if therapy is None:
        return {}, False
    names = words(f"{therapy.class_ or ''} {therapy.agent or ''}")
    months = therapy.months_since_last_dose
    on_treatment = therapy.on_treatment_months is not None and not months
    redistributing = any(words(part) in names for part in (*_REDISTRIBUTING_CLASSES, *_REDISTRIBUTING_AGENTS))
    flaring = any(part in names for part in (*_FLARING_CLASSES, *_FLARING_AGENTS))
    columns: Columns = {"redistributing": int(redistributing and not months)}
    if on_treatment:
        columns["on_treatment"] = 1
    elif months is not None:
        columns["months_since_last_dose"] = months
        columns["on_treatment"] = 0
    return columns, flaring


def read_not_done(moment: Moment, where: str) -> set[str]:
    """The findings that were not made; an unknown name, or a finding that is given all the same, is an error."""
    skipped: set[str] = set()
    for name in moment.not_done:
        if name not in _NOT_DONE:
            known = ", ".join(_NOT_DONE)
            raise TrialrunError(
                Problem("unknown-value", f"{where}.not_done names an unknown finding", repr(name), known)
            )
        if getattr(moment, name, None) is not None:
            message = f"{where}: {name} is listed under not_done and given"
            raise TrialrunError(Problem("contradiction", message, name, "one of the two"))
        skipped.update(_NOT_DONE[name])
    for name in moment.model_fields_set:  # a key that is there and empty was not assessed either
        if getattr(moment, name) is None and name in _NOT_DONE:
            skipped.update(_NOT_DONE[name])
    return skipped


def read_moment(moment: Moment, baseline: Moment | None, standard: str, where: str) -> Columns:
    """The findings of one moment (0 or 1 for truths, -1 unknown); `baseline` is None for the baseline itself."""
    skipped = read_not_done(moment, where)
    columns: Columns = {}
    if "nodes" not in skipped:
        columns |= _nodes(moment, baseline, standard, where)
    if "spleen" not in skipped:
        columns |= _given(moment, {"spleen_ct": "spleen_length", "spleen_bcm": "spleen_below_costal_margin"})
        if moment.spleen_ct is None and moment.spleen_bcm is None:
            columns["spleen_enlarged"] = 0
    if "liver" not in skipped:
        columns |= _given(moment, {"liver_bcm": "liver_below_costal_margin"})
        columns["liver_enlarged"] = int(moment.liver == "enlarged" or bool(moment.liver_bcm))
    for key, name in _NAMES.items():
        if key not in skipped:
            value = getattr(moment, key)
            factor = 10.0 if key == "hb" else 1.0  # g/dL to g/L
            columns[name] = (NORMAL_COUNTS[key] if value is None else value) * factor
    if "symptoms" not in skipped:
        due = moment.symptoms_cause is None or any(word in words(moment.symptoms_cause) for word in _DUE_TO_CLL)
        columns["symptoms"] = int(bool(moment.symptoms) and due)
    if "marrow" not in skipped:
        columns |= _marrow(moment.marrow or Marrow(), standard, is_baseline=baseline is None)
    if "prolymphocyte_pct" not in skipped:
        columns["prolymphocytes"] = 0.0 if moment.confirmed is False else moment.prolymphocyte_pct or 0.0
    return columns | _circumstances(moment, standard, where)


def _given(moment: Moment, names: dict[str, str]) -> Columns:
    return {name: value for key, name in names.items() if (value := getattr(moment, key)) is not None}


def _nodes(moment: Moment, baseline: Moment | None, standard: str, where: str) -> Columns:
    nodes = [sorted(pair, reverse=True) for pair in moment.nodes or []]
    target = [] if baseline is None or baseline.nodes is None else [sorted(p, reverse=True) for p in baseline.nodes]
    if baseline is not None and target and nodes and len(nodes) != len(target):
        message = f"{where}.nodes must list the target nodes of baseline in the same order (new nodes go to new_nodes)"
        raise TrialrunError(Problem("target-nodes", message, f"{len(nodes)} nodes", f"{len(target)} nodes"))
    new = _new_nodes(moment)
    if baseline is not None and nodes and not target and not baseline.nodes_palpable:
        new = max([new, *(pair[0] for pair in nodes)])  # nodes where none were at baseline are new
    if baseline is not None and moment.nodes_palpable and not nodes and not target and not baseline.nodes_palpable:
        new = math.inf
    columns: Columns = {"new_node": new}
    palpable_only = moment.nodes_palpable is True and not nodes
    if not palpable_only:
        columns["node_spd"] = math.fsum(pair[0] * pair[1] for pair in nodes)
        columns["node_longest"] = max([pair[0] for pair in nodes], default=0.0)
        columns["node_count"] = len(nodes or target)
    elif new:
        columns["node_longest"] = new
    if moment.nodes_palpable is not None:
        columns["nodes_present"] = int(moment.nodes_palpable)
    else:
        columns["nodes_present"] = int(any(pair[0] > 0 for pair in nodes) or new > 0)
    if nodes and target:
        columns |= _growth(nodes, target, standard)
    return columns


def _new_nodes(moment: Moment) -> float:
    """Longest diameter of the largest new node: 0 none, infinite where no size is given (true, or a whole number: a
    count); a decimal number is a diameter in cm, a list holds diameters."""
    new = moment.new_nodes
    if new is None or new is False or new == 0:
        return 0.0
    if isinstance(new, int):  # True as well
        return math.inf
    if isinstance(new, list):
        return max((max(pair) if isinstance(pair, list) else pair for pair in new), default=0.0)
    return new


def _growth(nodes: list[list[float]], target: list[list[float]], standard: str) -> Columns:
    """Growth of single nodes: the largest of an enlarged site (percent), and whether any grew significantly."""
    if standard == "NCI-WG-1996":
        return {}
    enlarged, small = limit(standard, "node_longest"), limit(standard, "small_node")
    insignificant = limit(standard, "small_node_growth")
    site = 0.0
    grew = False
    for (longest, _), (before, _) in zip(nodes, target, strict=True):
        growth = math.inf if before == 0 and longest > 0 else 0.0 if before == 0 else 100 * (longest - before) / before
        is_enlarged = longest > enlarged or (standard == "iwCLL-2018" and longest == enlarged)
        if is_enlarged:
            site = max(site, growth)
        grew = grew or (growth >= insignificant * (1 - 1e-12) if before < small else growth > 0)
    return {"node_site_growth": site, "node_increase": int(grew)}


def _marrow(marrow: Marrow, standard: str, *, is_baseline: bool) -> Columns:
    full = marrow.lymphocyte_pct is not None and marrow.lymphocyte_pct >= 30
    cells = marrow.cll_cells if marrow.cll_cells is not None else full
    columns: Columns = {
        "marrow_normocellular": int(marrow.cellularity in (None, "normal")),
        "marrow_hypocellular": int(marrow.cellularity == "hypocellular"),
        "marrow_cll_cells": int(cells),
    }
    if marrow.lymphocyte_pct is not None:
        columns["marrow_lymphocytes"] = marrow.lymphocyte_pct
    elif not cells:
        columns["marrow_lymphocytes"] = NORMAL_MARROW_LYMPHOCYTES
    nodules = marrow.nodules not in (None, "none")
    if standard != "NCI-WG-1996" and marrow.nodules == "lymphoid" and marrow.cll_cells is False:
        nodules = False  # nodules shown to hold no CLL cells do not stand against complete remission
    columns["marrow_nodules"] = int(nodules)
    return columns


def _circumstances(moment: Moment, standard: str, where: str) -> Columns:
    columns: Columns = {}
    growth = (moment.growth_confirmed, moment.growth_seen_on_two_scans_months_apart, moment.confirmed)
    columns["growth_confirmed"] = _agreed(growth)
    if columns["growth_confirmed"] == -1 and standard == "NCI-WG-1996" and moment.maintained_months is not None:
        two_weeks = moment.maintained_months * 30.4375 >= 14
        columns["growth_confirmed"] = 1 if two_weeks else -1
    columns["new_node_confirmed"] = _agreed((moment.new_node_confirmed_persistent, moment.confirmed))
    if moment.alc_is_clonal_B is not None:
        columns["lymphocytes_clonal"] = int(moment.alc_is_clonal_B)
    reactive = bool(moment.infection) and moment.alc_is_clonal_B is not True
    columns["rise_explained"] = int(bool(moment.steroids) or reactive)
    columns["transfused"] = int(bool(moment.transfused))
    cause = moment.cytopenia_cause
    if cause is not None:
        columns["cytopenia_from_cll"] = int(cause == "CLL")
        columns["cytopenia_from_drug"] = int(cause in ("study_drug", "drug_toxicity_not_CLL"))
    erythroid = words(moment.marrow.erythroid) if moment.marrow and moment.marrow.erythroid else ""
    busy = any(word in erythroid for word in ("hyper", "increas", "rais"))
    hemolysis = (
        bool(moment.haemolysis) or cause == "autoimmune_haemolysis" or (bool(moment.direct_antiglobulin) and busy)
    )
    columns["cytopenia_other_cause"] = int(hemolysis or bool(moment.bleeding))
    return columns | _biopsy(moment, where)


def _agreed(statements: tuple[bool | None, ...]) -> int:
    """Denied by one: no; stated by one: yes; otherwise unknown."""
    if False in statements:
        return 0
    return 1 if True in statements else -1


def _biopsy(moment: Moment, where: str) -> Columns:
    columns: Columns = {"transformation": 0}
    if isinstance(moment.biopsy, str):
        text = words(moment.biopsy)
        if text in ("not done", "none", "no", "pending"):
            return columns
        if re.search(rf"\b(no|not|negative for|without|excludes?|rules? out)\b.*({'|'.join(_TRANSFORMED)})", text):
            return columns
        if any(word in text for word in _TRANSFORMED):
            columns["transformation"] = int(moment.confirmed is not False)
        elif any(word in text for word in _NOT_CLL):
            columns["growth_from_cll"] = 0
        elif any(word in text for word in _CLL):
            columns["growth_from_cll"] = 1
        else:
            expected = (
                "Richter (or another transformation), CLL, or what else was found (reactive, granuloma, carcinoma)"
            )
            raise TrialrunError(
                Problem("unknown-value", f"{where}.biopsy is not understood", repr(moment.biopsy), expected)
            )
    return columns

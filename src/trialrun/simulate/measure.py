"""What is measured of virtual subjects: true values, and findings with error, limits and the subject's own luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trialrun.engine.source import Findings
from trialrun.simulate.biology import Biology
from trialrun.simulate.luck import draw_normal
from trialrun.simulate.population import Measurement, Population
from trialrun.simulate.subjects import CREATININE_UMOL_PER_MG_DL, VirtualSubjects
from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_STATES = {
    "neutrophils": ("neutrophils", 1.0),
    "platelets": ("platelets", 1.0),
    "hemoglobin": ("hemoglobin", 1.0),
    "creatinine": ("creatinine", 1.0),
    "urate": ("urate", 1000.0),  # mmol/L to umol/L
    "potassium": ("potassium", 1.0),
    "phosphate": ("phosphate", 1.0),
    "calcium": ("calcium", 1.0),
}
_TRAITS = {
    **{name: name for name in ("alt", "ast", "bilirubin", "albumin", "weight", "ecog")},
    "symptomatic_nodes_or_organs": "symptomatic_nodes_or_organs",
    "lymphocyte_doubling_time": "doubling_time",
}
# Traits that a test is worked out from, beside the states.
TRAITS_SEEN = (
    *_TRAITS.values(),
    *("constitutional_symptoms", "tissue_cells", "marrow_cells", "symptoms_part", "crowding_half"),
    *("marrow_normal_lymphocytes", "blood_volume", "normal_lymphocytes", "temperature", "other_leukocytes"),
    *("swelling", "swelling_saturation", "cell_density", "liver", "liver_palpable", "node_fraction", "node_length"),
    *("node_shape", "node_palpable", "spleen_volume", "spleen_palpable", "spleen_length"),
)
_ALWAYS = {"b_cell_cll": 1.0, "marrow_normocellular": 1.0, "marrow_nodules": 0.0}  # what is the same in everyone
# Which bounds of `enrolled` a screening value must lie on the same side of as the truth; True: in multiples of ULN.
_SCREENED = {
    "neutrophils": (("neutrophils", False),),
    "platelets": (("platelets", False), ("platelets_needing_treatment", False)),
    "hemoglobin": (("hemoglobin_needing_treatment", False),),
    "creatinine": (("creatinine_x_uln", True),),
    "alt": (("alt_x_uln", True),),
    "ast": (("ast_x_uln", True),),
    "bilirubin": (("bilirubin_x_uln", True),),
    "lymphocyte_doubling_time": (("doubling_time", False),),
}
_MOST_TRIES = 200


@dataclass(slots=True)
class Laboratory:
    """Measures subjects. `fever` (n,) is what is added to body temperature today."""

    population: Population
    seed: int
    subjects: VirtualSubjects
    biology: Biology
    fever: FloatArray
    _ranges: dict[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def limits(self, test: str) -> tuple[FloatArray, FloatArray] | None:
        """The reference range of each subject, (n,) each, or None where the test has none."""
        how = self.population.tests[test]
        if how.female is None or how.male is None:
            return None
        if test not in self._ranges:
            low, high = (np.where(self.subjects.male, *both) for both in zip(how.male, how.female, strict=True))
            self._ranges[test] = low, high
        return self._ranges[test]

    def truth(self, test: str, rows: IntArray) -> FloatArray:
        """The true value now, (m,), in the test's canonical unit."""
        return _Panel(self, rows, 0, {}).truth(test)


class _Panel:
    """All that is measured of these rows (m,) on one day: what several tests rest on is looked up once.

    `states` are those of all subjects as they are now, for other panels of the same moment as well.
    """

    def __init__(self, laboratory: Laboratory, rows: IntArray, day: int, states: dict[str, FloatArray]) -> None:
        self._at, self.rows, self._day, self._states = laboratory, rows, day, states
        self._index = laboratory.subjects.index[rows]
        self._no_limit = np.full(rows.size, np.nan)
        self._columns: dict[str, FloatArray] = {}
        self._measured: dict[str, FloatArray] = {}

    def find(self, test: str) -> Findings:
        """The finding of one test; NaN where there is nothing to measure.

        The error depends on seed, test, subject and day alone. Before day 0 it is drawn again until the value lies on
        the same side of each eligibility limit as the truth: the population describes those who passed screening.
        """
        how = self._at.population.tests.get(test)
        if how is None:
            raise TrialrunError(
                Problem(
                    "unmeasured-test",
                    "the population does not say how this test is measured",
                    test,
                    "an entry of its section `tests`",
                )
            )
        low, high = self._limits(test)
        return Findings(test, self.rows, self._measure(test), low, high)

    def _limits(self, test: str) -> tuple[FloatArray, FloatArray]:
        limits = self._at.limits(test)
        if limits is None:
            return self._no_limit, self._no_limit
        low, high = limits
        return low[self.rows], high[self.rows]

    def _measure(self, test: str) -> FloatArray:
        if test not in self._measured:
            self._measured[test] = self._measure_once(test, self._at.population.tests[test])
        return self._measured[test]

    def _measure_once(self, test: str, how: Measurement) -> FloatArray:
        if test == "creatinine_clearance":
            return cockcroft_gault(self._at.subjects, self.rows, self._measure("creatinine"))
        if test == "leukocytes":
            truth = sum((self._measure(part) for part in _COUNTED), self._trait("other_leukocytes"))
        else:
            truth = self.truth(test)
        value = self._with_error(test, how, truth, self._index, 0)
        if self._day < 0 and test in _SCREENED:
            _, upper = self._limits(test)
            wrong = np.flatnonzero(self._crosses(test, upper, truth, value))
            for attempt in range(1, _MOST_TRIES):
                if wrong.size == 0:
                    break
                value[wrong] = self._with_error(test, how, truth[wrong], self._index[wrong], attempt)
                wrong = wrong[self._crosses(test, upper[wrong], truth[wrong], value[wrong])]
            value[wrong] = truth[wrong]  # so close to a limit that only the truth itself is on its side
        return value

    def _with_error(self, test: str, how: Measurement, truth: FloatArray, index: IntArray, attempt: int) -> FloatArray:
        if how.error == "none" or how.sd is None:
            return truth.copy()
        stream = f"measure.{test}" if attempt == 0 else f"measure.{test}.again.{attempt}"
        score = draw_normal(self._at.seed, stream, index, self._day)
        if how.error == "lognormal":
            return truth * np.exp(how.sd * score)
        return truth + how.sd * score

    def _crosses(self, test: str, upper: FloatArray, truth: FloatArray, value: FloatArray) -> BoolArray:
        crosses = np.zeros(truth.size, dtype=np.bool_)
        for name, relative in _SCREENED[test]:
            bound = self._at.population.enrolled[name]
            for limit in (bound.low, bound.high):
                if limit is not None:
                    at = limit * upper if relative else np.full(truth.size, limit)
                    crosses |= (truth > at) != (value > at)
        return crosses

    def _state(self, name: str) -> FloatArray:
        if name not in self._columns:
            if name not in self._states:
                self._states[name] = self._at.biology.state(name)
            self._columns[name] = self._states[name][self.rows]
        return self._columns[name]

    def _trait(self, name: str) -> FloatArray:
        return self._at.subjects.traits[name][self.rows]

    def truth(self, test: str) -> FloatArray:
        """The true value, (m,)."""
        if test in _STATES:
            name, scale = _STATES[test]
            return self._state(name) * scale
        if test in _TRAITS:
            return self._trait(_TRAITS[test])
        if test in _ALWAYS:
            return np.full(self.rows.size, _ALWAYS[test])
        if test == "constitutional_symptoms":
            now = self._state("tissue") + self._state("marrow")
            before = self._trait("tissue_cells") + self._trait("marrow_cells")
            return np.where(now >= self._trait("symptoms_part") * before, self._trait(test), 0.0)
        if test == "marrow_lymphocytes":
            leukemic = np.maximum(self._state("marrow"), 0.0)
            share = leukemic / (leukemic + self._trait("crowding_half"))  # by which it is crowded
            return np.asarray(100.0 * (share + (1.0 - share) * self._trait("marrow_normal_lymphocytes")))
        if test == "prior_systemic_therapy":
            return np.full(self.rows.size, float(self._at.population.line_of_therapy == "relapsed"))
        if test == "lymphocytes":
            blood = np.maximum(self._state("blood"), 0.0)
            return np.asarray(blood / self._trait("blood_volume") + self._trait("normal_lymphocytes"))
        if test == "temperature":
            return self._trait("temperature") + self._at.fever[self.rows]
        if test in _SIZES:
            return self._size(test)
        raise TrialrunError(
            Problem("unmeasured-test", "virtual subjects have no such value", test, "a test of docs/simulate.md")
        )

    def _size(self, test: str) -> FloatArray:
        if "volume" not in self._columns:
            inflammation, tissue = self._state("inflammation"), np.maximum(self._state("tissue"), 0.0)
            swelling, saturation = self._trait("swelling"), self._trait("swelling_saturation")
            swollen = 1.0 + swelling * inflammation / (1.0 + saturation * inflammation)
            self._columns["swollen"] = swollen
            self._columns["volume"] = tissue / self._trait("cell_density") * swollen
        volume, trait = self._columns["volume"], self._trait
        if test == "liver_below_costal_margin":
            tissue = np.maximum(self._state("tissue"), 0.0)
            below = np.maximum(trait("liver"), 0.0) * tissue / trait("tissue_cells") * self._columns["swollen"]
            return np.where(below >= trait("liver_palpable"), below, 0.0)
        share = trait("node_fraction")
        if test in ("node_spd", "node_longest"):
            longest = trait("node_length") * (share * volume) ** (1.0 / 3.0)
            size = longest if test == "node_longest" else trait("node_shape") * (share * volume) ** (2.0 / 3.0)
            return np.where(longest >= trait("node_palpable"), size, 0.0)
        usual = trait("spleen_volume")
        spleen = usual + (1.0 - share) * volume
        # its long axis grows with the cube root of its volume
        axis, felt = (np.cbrt(v / usual) for v in (spleen, trait("spleen_palpable")))
        return np.asarray(np.maximum(axis - felt, 0.0) * trait("spleen_length"))


_COUNTED = ("neutrophils", "lymphocytes")
_SIZES = ("node_spd", "node_longest", "spleen_below_costal_margin", "liver_below_costal_margin")


def cockcroft_gault(subjects: VirtualSubjects, rows: IntArray, creatinine: FloatArray) -> FloatArray:
    """Creatinine clearance, mL/min, of these rows (m,) from creatinine in umol/L (Nephron 1976;16:31-41)."""
    factor = np.where(subjects.male[rows], 1.0, 0.85)
    mg_dl = creatinine / CREATININE_UMOL_PER_MG_DL
    return np.asarray((140.0 - subjects.age[rows]) * subjects.weight[rows] * factor / (72.0 * mg_dl))


def find_due(laboratory: Laboratory, due: Mapping[str, BoolArray], present: BoolArray, day: int) -> list[Findings]:
    """Findings of every test that is due in someone who is present, in the order of `due`."""
    found: list[Findings] = []
    panels: dict[int, _Panel] = {}  # by the array that says who: tests of the same visits share it
    states: dict[str, FloatArray] = {}
    for test, wanted in due.items():
        if test == "adverse_events":
            continue
        panel = panels.get(id(wanted))
        if panel is None:
            panel = panels[id(wanted)] = _Panel(laboratory, np.flatnonzero(wanted & present), day, states)
        if panel.rows.size:
            found.append(panel.find(test))
    return found

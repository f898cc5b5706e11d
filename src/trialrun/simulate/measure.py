"""What is measured of virtual subjects: true values, and findings with error, limits and the subject's own luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    def find(self, test: str, rows: IntArray, day: int) -> Findings:
        """The finding of one test in these rows (m,) on this day; NaN where there is nothing to measure.

        The error depends on seed, test, subject and day alone. Before day 0 it is drawn again until the value lies on
        the same side of each eligibility limit as the truth: the population describes those who passed screening.
        """
        how = self.population.tests.get(test)
        if how is None:
            raise TrialrunError(
                Problem(
                    "unmeasured-test",
                    "the population does not say how this test is measured",
                    test,
                    "an entry of its section `tests`",
                )
            )
        low, high = self._limits(how, rows)
        return Findings(test, rows, self._measure(test, how, rows, day), low, high)

    def _limits(self, how: Measurement, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        if how.female is None or how.male is None:
            return np.full(rows.size, np.nan), np.full(rows.size, np.nan)
        male = self.subjects.male[rows]
        return np.where(male, how.male[0], how.female[0]), np.where(male, how.male[1], how.female[1])

    def _measure(self, test: str, how: Measurement, rows: IntArray, day: int) -> FloatArray:
        if test == "creatinine_clearance":
            creatinine = self._measure("creatinine", self.population.tests["creatinine"], rows, day)
            return cockcroft_gault(self.subjects, rows, creatinine)
        if test == "leukocytes":
            parts = (self._measure(part, self.population.tests[part], rows, day) for part in _COUNTED)
            truth = sum(parts, self.subjects.traits["other_leukocytes"][rows])
        else:
            truth = self.truth(test, rows)
        value = self._with_error(test, how, truth, rows, day, 0)
        if day < 0 and test in _SCREENED:
            wrong = np.flatnonzero(self._crosses(test, how, truth, value, rows))
            for attempt in range(1, _MOST_TRIES):
                if wrong.size == 0:
                    break
                value[wrong] = self._with_error(test, how, truth[wrong], rows[wrong], day, attempt)
                wrong = wrong[self._crosses(test, how, truth[wrong], value[wrong], rows[wrong])]
            value[wrong] = truth[wrong]  # so close to a limit that only the truth itself is on its side
        return value

    def _with_error(
        self, test: str, how: Measurement, truth: FloatArray, rows: IntArray, day: int, attempt: int
    ) -> FloatArray:
        if how.error == "none" or how.sd is None:
            return truth.copy()
        stream = f"measure.{test}" if attempt == 0 else f"measure.{test}.again.{attempt}"
        score = draw_normal(self.seed, stream, self.subjects.index[rows], day)
        if how.error == "lognormal":
            return truth * np.exp(how.sd * score)
        return truth + how.sd * score

    def _crosses(self, test: str, how: Measurement, truth: FloatArray, value: FloatArray, rows: IntArray) -> BoolArray:
        _, upper = self._limits(how, rows)
        crosses = np.zeros(rows.size, dtype=np.bool_)
        for name, relative in _SCREENED[test]:
            bound = self.population.enrolled[name]
            for limit in (bound.low, bound.high):
                if limit is not None:
                    at = limit * upper if relative else np.full(rows.size, limit)
                    crosses |= (truth > at) != (value > at)
        return crosses

    def truth(self, test: str, rows: IntArray) -> FloatArray:
        """The true value now, (m,), in the test's canonical unit."""
        traits = self.subjects.traits
        if test in _STATES:
            name, scale = _STATES[test]
            return self.biology.state(name)[rows] * scale
        if test in _TRAITS:
            return traits[_TRAITS[test]][rows]
        if test in _ALWAYS:
            return np.full(rows.size, _ALWAYS[test])
        if test == "constitutional_symptoms":
            now = self.biology.state("tissue")[rows] + self.biology.state("marrow")[rows]
            before = traits["tissue_cells"][rows] + traits["marrow_cells"][rows]
            return np.where(now >= traits["symptoms_part"][rows] * before, traits[test][rows], 0.0)
        if test == "marrow_lymphocytes":
            leukemic = np.maximum(self.biology.state("marrow")[rows], 0.0)
            share = leukemic / (leukemic + traits["crowding_half"][rows])  # by which it is crowded
            return np.asarray(100.0 * (share + (1.0 - share) * traits["marrow_normal_lymphocytes"][rows]))
        if test == "prior_systemic_therapy":
            return np.full(rows.size, float(self.population.line_of_therapy == "relapsed"))
        if test == "lymphocytes":
            blood = np.maximum(self.biology.state("blood")[rows], 0.0)
            return np.asarray(blood / traits["blood_volume"][rows] + traits["normal_lymphocytes"][rows])
        if test == "temperature":
            return traits["temperature"][rows] + self.fever[rows]
        return self._size(test, rows)

    def _size(self, test: str, rows: IntArray) -> FloatArray:
        traits = {name: self.subjects.traits[name][rows] for name in _SIZES}
        inflammation, tissue = (
            self.biology.state("inflammation")[rows],
            np.maximum(self.biology.state("tissue")[rows], 0.0),
        )
        swollen = 1.0 + traits["swelling"] * inflammation / (1.0 + traits["swelling_saturation"] * inflammation)
        volume = tissue / traits["cell_density"] * swollen
        nodes = traits["node_fraction"] * volume
        if test in ("node_spd", "node_longest"):
            longest = traits["node_length"] * nodes ** (1.0 / 3.0)
            size = longest if test == "node_longest" else traits["node_shape"] * nodes ** (2.0 / 3.0)
            return np.where(longest >= traits["node_palpable"], size, 0.0)
        if test == "spleen_below_costal_margin":
            spleen = traits["spleen_volume"] + (1.0 - traits["node_fraction"]) * volume
            # its long axis grows with the cube root of its volume
            axis, felt = (np.cbrt(v / traits["spleen_volume"]) for v in (spleen, traits["spleen_palpable"]))
            return np.asarray(np.maximum(axis - felt, 0.0) * traits["spleen_length"])
        if test == "liver_below_costal_margin":
            below = np.maximum(traits["liver"], 0.0) * tissue / traits["tissue_cells"] * swollen
            return np.where(below >= traits["liver_palpable"], below, 0.0)
        raise TrialrunError(
            Problem("unmeasured-test", "virtual subjects have no such value", test, "a test of docs/simulate.md")
        )


_COUNTED = ("neutrophils", "lymphocytes")
_SIZES = (
    *("swelling", "swelling_saturation", "cell_density", "node_fraction", "node_shape", "node_length", "liver"),
    *("spleen_volume", "spleen_palpable", "spleen_length", "tissue_cells", "node_palpable", "liver_palpable"),
)


def cockcroft_gault(subjects: VirtualSubjects, rows: IntArray, creatinine: FloatArray) -> FloatArray:
    """Creatinine clearance, mL/min, of these rows (m,) from creatinine in umol/L (Nephron 1976;16:31-41)."""
    factor = np.where(subjects.male[rows], 1.0, 0.85)
    mg_dl = creatinine / CREATININE_UMOL_PER_MG_DL
    return np.asarray((140.0 - subjects.age[rows]) * subjects.weight[rows] * factor / (72.0 * mg_dl))


def find_due(laboratory: Laboratory, due: Mapping[str, BoolArray], present: BoolArray, day: int) -> list[Findings]:
    """Findings of every test that is due in someone who is present, in the order of `due`."""
    found = []
    for test, wanted in due.items():
        rows = np.flatnonzero(wanted & present)
        if test != "adverse_events" and rows.size:
            found.append(laboratory.find(test, rows, day))
    return found

"""Names and places of what the kernel of the model that ships works on."""

from __future__ import annotations

from trialrun.simulate.model.generate import LANES
from trialrun.simulate.model.library import find_model

_MODEL = find_model("lenalidomide-cll", {})
# What is kept of each subject. Units: mg (depot, central), ng/mL (effect), ng d/mL (exposure), 1 (activation to
# inflammation, filtration, oxypurinol, rasburicase, drives), 10^9 cells (blood, tissue, marrow, dying), 10^9/L (neutrophil
# and platelet chains), g/L (hemoglobin), mmol (potassium_stored), mmol/L (urate to creatinine; creatinine in umol/L).
STATES = _MODEL.states
CONSTANTS = _MODEL.constants  # per subject; units as in the population file, rates per day
INPUTS = _MODEL.inputs  # mg of the drug; the others 0 or 1 (rasburicase_given: one standard dose today)

__all__ = ["CONSTANTS", "INPUTS", "LANES", "STATES"]

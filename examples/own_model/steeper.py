"""A drug like venetoclax whose kill rises steeply with its concentration, in the shipped disease, marrow and kidney.

`PYTHONPATH=examples/own_model trialrun simulate studies/venetoclax-rampup --population examples/own_model/steeper.yaml
--out out/steeper` runs the study with it; docs/modules.md.
"""

from __future__ import annotations

from dataclasses import replace

from trialrun.simulate.model.library import venetoclax_cll

SHIPPED = venetoclax_cll()
DIRECT = SHIPPED.modules[0]
assert DIRECT.drug is not None
FAST = {**DIRECT.drug.fast, "kill_signal": "effect_site ** 3 / (kill_ec50 ** 3 + effect_site ** 3)"}
STEEPER = replace(
    SHIPPED, name="steeper-cll", modules=(replace(DIRECT, drug=replace(DIRECT.drug, fast=FAST)), *SHIPPED.modules[1:])
)

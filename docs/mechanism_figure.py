"""Draw docs/figures/mechanism.png and write docs/mechanism.md: `python docs/mechanism_figure.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from trialrun.engine.source import Orders
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.mechanism import PARTS, mechanism_table, observe_mechanism
from trialrun.simulate.population import read_population

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS, CYCLES = 400, 3
STEPS = {0: 2.5, 28: 5.0, 56: 10.0}  # the amended protocol, if nothing is held

TEXT = """# The mechanism, part by part

Chen 2011 names how lenalidomide is thought to act in CLL. This table says where each part is in the model. A part is a
*state*, an *observable* that follows from states, or *lumped* into a state because no published measurement tells the two
apart. Observables are folds of the value before treatment; their direction and time course follow from their states, how
large they are is assumed. Where sources disagree both are there: Chen 2011 names lower interleukin 6, Ferrajoli 2008
measured it higher on day 7.

{table}

![Median of the observables over three cycles](figures/mechanism.png)

Medians of {n} virtual subjects of `studies/lenalidomide-cll` on 2.5, 5 and 10 mg (population file's own numbers, seed 1);
drug on days 1 to 21 of each 28. Page and figure are made by `python docs/mechanism_figure.py`.

`trialrun mechanism studies/lenalidomide-cll --dose 10` shows the table and the observables' medians at a daily dose. The observables of
a clinic's subjects:

```python
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.mechanism import observe_mechanism
from trialrun.simulate.population import read_population

clinic = VirtualClinic(read_population("studies/lenalidomide-cll"), n=100, seed=1)
before = observe_mechanism(clinic.truth())
assert all((fold == 1.0).all() for fold in before.values())
```
"""


def main() -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    clinic = VirtualClinic(read_population(ROOT / "studies" / "lenalidomide-cll"), SUBJECTS, 1)
    here = np.ones(SUBJECTS, dtype=np.bool_)
    medians: dict[str, list[float]] = {}
    level = 0.0
    clinic.live(0, Orders(np.zeros(SUBJECTS), {}, here))
    for day in range(CYCLES * 28):
        level = STEPS.get(day, level)
        clinic.live(day + 1, Orders(np.full(SUBJECTS, level if day % 28 < 21 else 0.0), {}, here))
        for name, fold in observe_mechanism(clinic.truth()).items():
            medians.setdefault(name, []).append(float(np.median(fold)))
    labels = {part.name: part.label for part in PARTS}
    # the observables of TNF-alpha are drawn by the same curves
    labels |= {
        "il_6_serum": "interleukin 6, TNF-alpha in serum",
        "il_6_support": "interleukin 6, TNF-alpha of the stroma",
    }
    groups = (
        ("Cells and their signals", ("il_2", "interferon_gamma", "nk_cells", "cd40_cd86")),
        ("Sources disagree: serum (up) and stroma (down)", ("il_6_serum", "il_6_support")),
    )
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharex=True, constrained_layout=True)
    styles = ("-", "--", ":", "-.")
    for ax, (title, names) in zip(axes, groups, strict=True):
        for cycle in range(CYCLES):
            ax.axvspan(28 * cycle, 28 * cycle + 21, color="0.93", lw=0)
        for name, style in zip(names, styles, strict=False):
            ax.plot(range(1, CYCLES * 28 + 1), medians[name], style, label=labels[name], lw=1.8)
        ax.axhline(1.0, color="0.4", lw=0.8)
        ax.set(
            title=title, xlabel="day (grey: days on drug; 2.5, 5, 10 mg)", ylabel="fold of the value before treatment"
        )
        ax.legend(frameon=False, fontsize=8)
    figure.savefig(ROOT / "docs" / "figures" / "mechanism.png", dpi=120, metadata={"Software": None})
    (ROOT / "docs" / "mechanism.md").write_text(TEXT.format(table=mechanism_table(), n=SUBJECTS), encoding="utf-8")


if __name__ == "__main__":
    main()

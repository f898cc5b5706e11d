"""Draw docs/figures/courses.png: courses on both versions of the protocol, `python docs/courses_figure.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from trialrun.engine.source import Orders
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.population import read_population

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS, CYCLES, SEED = 400, 3, 1
FloatArray = NDArray[np.float64]


def original(day: int) -> float:
    """10 mg, 5 mg more each week that the drug is taken, to 25 mg; days 1 to 21 of 28."""
    week = day // 28 * 3 + min(day % 28 // 7, 2)
    return min(10.0 + 5.0 * week, 25.0) if day % 28 < 21 else 0.0


def amended(day: int) -> float:
    """2.5, 5 and 10 mg by cycle; days 1 to 21 of 28."""
    return (2.5, 5.0, 10.0)[min(day // 28, 2)] if day % 28 < 21 else 0.0


def course(dose: Callable[[int], float]) -> dict[str, FloatArray]:
    """Truth of every day, (days, subjects); NaN once somebody has died or withdrawn. Nothing is held: the model alone."""
    clinic = VirtualClinic(read_population(ROOT / "studies" / "lenalidomide-cll"), SUBJECTS, SEED)
    everyone, traits = np.ones(SUBJECTS, dtype=np.bool_), clinic.subjects.traits
    kept: dict[str, list[FloatArray]] = {}
    given = {"allopurinol": everyone}
    clinic.live(-3, Orders(np.zeros(SUBJECTS), given, everyone))
    clinic.live(0, Orders(np.zeros(SUBJECTS), given, everyone))
    for day in range(CYCLES * 28):
        clinic.live(day + 1, Orders(np.full(SUBJECTS, dose(day)), given, everyone))
        truth = clinic.truth()
        swollen = (
            truth["inflammation"] * traits["swelling"] / (1 + traits["swelling_saturation"] * truth["inflammation"])
        )
        nodes = traits["node_fraction"] * np.maximum(truth["tissue"], 0.0) / traits["cell_density"] * (1 + swollen)
        today = {
            "alc": np.maximum(truth["blood"], 0.0) / traits["blood_volume"] + traits["normal_lymphocytes"],
            "spd": traits["node_shape"] * nodes ** (2 / 3),
            "flare": truth["flare_grade"],
            "anc": truth["neutrophils"],
            "phosphate": truth["phosphate"],
            "urate": 1000.0 * truth["urate"],
        }
        gone = truth["here"] == 0.0
        for name, value in today.items():
            kept.setdefault(name, []).append(np.where(gone, np.nan, value))
    return {name: np.array(rows) for name, rows in kept.items()}


PANELS = (
    ("alc", "Lymphocytes, 10⁹/L (band: 10 to 90 %)", None),
    ("spd", "Nodes, sum of products, cm² (10 to 90 %)", None),
    ("flare", "In flare, % (full: any grade; dotted: 2 or 3)", None),
    ("anc", "Neutrophils, 10⁹/L (band: 10 to 90 %)", (1.0, "grade 3 below")),
    ("phosphate", "Phosphate, mmol/L (band: 2 to 98 %)", (1.45, "limit of lysis")),
    ("urate", "Urate, µmol/L (band: 2 to 98 %)", (476.0, "limit of lysis")),
)


def main() -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    both = {"original: 10 to 25 mg by week": original, "amended: 2.5, 5, 10 mg by cycle": amended}
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.4), sharex=True, constrained_layout=True)
    days = np.arange(1, CYCLES * 28 + 1)
    for (label, dose), color in zip(both.items(), ("#c44e12", "#1f5fa8"), strict=True):
        curves = course(dose)
        for (name, title, limit), ax in zip(PANELS, axes.flat, strict=True):
            values = curves[name]
            if name == "flare":
                for least, style in ((1.0, "-"), (2.0, ":")):
                    share = np.nanmean(np.where(np.isnan(values), np.nan, values >= least), axis=1)
                    ax.plot(days, 100 * share, style, color=color, lw=1.8)
            else:
                edges = (2, 50, 98) if name in ("phosphate", "urate") else (10, 50, 90)
                low, middle, high = np.nanpercentile(values, edges, axis=1)
                ax.fill_between(days, low, high, color=color, alpha=0.16, lw=0)
                ax.plot(days, middle, color=color, lw=1.8, label=label)
            if limit is not None and color == "#c44e12":
                ax.axhline(limit[0], color="0.35", lw=0.9, ls="--")
                ax.annotate(limit[1], (1, limit[0]), ha="left", va="top", fontsize=8, color="0.3")
            ax.set_title(title, fontsize=10)
    for ax in axes.flat:
        for cycle in range(CYCLES):
            ax.axvspan(28 * cycle, 28 * cycle + 21, color="0.94", lw=0, zorder=0)
        ax.set_xlim(0, CYCLES * 28)
        ax.set_ylim(bottom=0.7 if "Phosphate" in ax.get_title() else 0)
        ax.set_xticks(range(0, CYCLES * 28 + 1, 28))
    for ax in axes[1]:
        ax.set_xlabel("day (grey: days on drug)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(ROOT / "docs" / "figures" / "courses.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()

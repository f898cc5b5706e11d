"""The picture of gene sets: which way, and how surely."""

from __future__ import annotations

import numpy as np
import polars as pl

from trialrun.analysis.expression.picture import DOWN, INK, UP, Picture, finish_picture, shorten, start_figure, style
from trialrun.analysis.expression.signature import Signature

BARS = 20


def draw_set_bars(signature: Signature) -> Picture | None:
    """The sets of smallest camera p-value: bars to the right are up, to the left down; None without sets."""
    table = signature.sets.filter(pl.col("test") == "camera").sort("p_value").unique("set", maintain_order=True)
    top = table.head(BARS)
    if top.height == 0:
        return None
    up = (top["direction"] == "up").to_numpy()
    length = -np.log10(np.maximum(top["p_value"].to_numpy(), 1e-300)) * np.where(up, 1, -1)
    names = [shorten(description or name, 46) for name, description in top.select("set", "description").iter_rows()]
    with style():
        figure = start_figure(0.9 + 0.24 * top.height)
        axes = figure.subplots()
        places = np.arange(top.height)[::-1]
        bars = axes.barh(places, length, color=np.where(up, UP, DOWN), height=0.72)
        for bar, rising in zip(bars, up, strict=True):
            bar.set_hatch("" if rising else "///")
            bar.set_edgecolor("white")
        reach = float(np.abs(length).max()) * 1.6
        axes.set_xlim(-reach if (~up).any() else 0, reach if up.any() else 0)
        for place, value, q, size in zip(places, length, top["q_value"], top["size"], strict=True):
            side = "left" if value > 0 else "right"
            gap = reach * 0.012 * np.sign(value)
            axes.text(value + gap, place, f"q {q:.1g}, n {size}", va="center", ha=side, fontsize=6.8, color=INK)
        axes.axvline(0, color=INK, lw=0.8)
        axes.set_yticks(places, names, fontsize=7.5)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axes.set_xlabel("←  down      −log10 p-value (camera)      up  →")
        axes.set_ylim(-0.7, top.height - 0.3)
        axes.spines["left"].set_visible(False)
    caption = (
        f"The {top.height} gene sets of smallest p-value by camera, {signature.comparison.label}: orange to the right "
        "is up, hatched blue to the left is down; q is the Benjamini-Hochberg value, n the number of measured genes."
    )
    return finish_picture(figure, "sets", "Gene sets of smallest p-value", caption)

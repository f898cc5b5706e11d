"""Pictures of genes: volcano, heat map, paired lines."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

from trialrun.analysis.expression.fit import compute_row_means
from trialrun.analysis.expression.picture import (
    AFTER,
    BEFORE,
    DOWN,
    INK,
    NONE,
    UP,
    WIDTH,
    Picture,
    finish_picture,
    place_labels,
    shorten,
    spread_sideways,
    start_figure,
    style,
)
from trialrun.analysis.expression.signature import Signature
from trialrun.vocab.problems import Problem, TrialrunError

Floats = NDArray[np.float64]

LABELS, HEAT_ROWS, PANELS = 24, 40, 6


def draw_volcano(signature: Signature) -> Picture:
    """log2 fold change against -log10 p of every tested row; the strongest are named."""
    with style():
        figure = start_figure(5.0)
        axes = figure.subplots()
        table = signature.genes.filter(pl.col("tested"))
        x = table["log2_fold_change"].to_numpy()
        # A p-value that underflows is drawn at the smallest number there is.
        y = -np.log10(np.maximum(table["p_value"].to_numpy(), 1e-307))
        hit = (table["q_value"] <= signature.options.alpha).to_numpy()
        for chosen, colour, mark, text in (
            (~hit, NONE, "o", "not changed"),
            (hit & (x > 0), UP, "^", "up"),
            (hit & (x < 0), DOWN, "v", "down"),
        ):
            label = f"{text} ({int(chosen.sum())})"
            size = 5 if colour == NONE else 12
            axes.scatter(
                x[chosen], y[chosen], s=size, c=colour, marker=mark, lw=0, alpha=0.75, label=label, rasterized=True
            )
        if hit.any():
            axes.axhline(float(y[hit].min()), color=INK, lw=0.6, ls=":")
        reach = float(np.ptp(x)) * 0.12 or 1.0
        axes.set_xlim(float(x.min()) - reach, float(x.max()) + reach)
        axes.set_ylim(-0.02 * y.max(), y.max() * 1.12)
        axes.axvline(0, color="#BBBBBB", lw=0.6, zorder=0)
        axes.set_xlabel(f"log2 fold change ({signature.comparison.label})")
        axes.set_ylabel("−log10 p-value")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.09), ncols=3, handletextpad=0.2, markerscale=1.6)
        pool = table.filter(pl.Series(hit)) if hit.any() else table
        sides = [pool.filter(pl.col("log2_fold_change") * sign > 0).head(LABELS // 2) for sign in (1, -1)]
        first = pl.concat(sides).sort("p_value")
        names = _name_rows(first)
        order = {name: i for i, name in enumerate(table["gene"].to_list())}
        at = [order[name] for name in first["gene"].to_list()]
        place_labels(
            axes, x[at], y[at], [shorten(name, 24) for name in names], around=np.column_stack([x[hit], y[hit]])
        )
    up, down = signature.count_changed()
    caption = (
        f"Volcano plot of {table.height} genes, {signature.comparison.label}: {up} up (triangles, right) and {down} "
        f"down (inverted triangles, left) at a false discovery rate of {signature.options.alpha:g}; the dotted line is "
        "the largest p-value among them. Named: the smallest p-values of each side, where there is room."
    )
    return finish_picture(figure, "volcano", "Change of every gene", caption)


def draw_heat_map(signature: Signature) -> Picture:
    """The top genes, samples in order of subject and time; log2 difference from the gene's mean."""
    comparison = signature.comparison
    top = signature.genes.filter(pl.col("tested")).head(HEAT_ROWS).sort("log2_fold_change", descending=True)
    rows = _find_rows(signature, top["gene"].to_list())
    values = signature.model.values[rows]
    values = values - compute_row_means(values)[:, None]
    limit = float(np.nanquantile(np.abs(values), 0.98)) or 1.0
    n = values.shape[1]
    with style():
        figure = start_figure(1.2 + 0.155 * len(rows))
        grid = figure.subplots(2, 1, height_ratios=[0.5, len(rows)], sharex=True)
        grid[0].imshow(
            comparison.is_after[None, :].astype(float),
            aspect="auto",
            cmap=ListedColormap([BEFORE, AFTER]),
            vmin=0,
            vmax=1,
        )
        grid[0].set_yticks([0], [comparison.group])
        grid[0].tick_params(length=0, labelbottom=False)
        colours = _diverging().with_extremes(bad="#DDDDDD")
        image = grid[1].imshow(
            np.ma.masked_invalid(values), aspect="auto", cmap=colours, vmin=-limit, vmax=limit, interpolation="nearest"
        )
        names = _name_rows(top)
        grid[1].set_yticks(range(len(rows)), [shorten(name, 24) for name in names], fontsize=7)
        grid[1].tick_params(length=0)
        _label_samples(grid, signature, n)
        figure.colorbar(
            image,
            ax=list(grid),
            location="right",
            shrink=0.5,
            aspect=30,
            extend="both",
            label="log2 difference from the gene's mean",
        )
        from matplotlib.patches import Patch

        handles = [Patch(color=BEFORE, label=comparison.before), Patch(color=AFTER, label=comparison.after)]
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
    caption = (
        f"The {len(rows)} genes of smallest p-value, ordered by fold change; samples ordered by "
        f"{'subject, each ' if comparison.subjects else ''}{comparison.before} then {comparison.after}. "
        "Orange is above, purple below the gene's mean; grey is missing."
    )
    return finish_picture(figure, "heat-map", "Top genes in every sample", caption)


def _diverging() -> ListedColormap:
    from matplotlib import colormaps

    return ListedColormap(colormaps["PuOr_r"](np.linspace(0.02, 0.98, 256)))


def _label_samples(grid: NDArray[np.object_], signature: Signature, n: int) -> None:
    comparison = signature.comparison
    if comparison.subjects:
        subjects = list(dict.fromkeys(comparison.subjects))
        starts = np.array([comparison.subjects.index(s) for s in subjects] + [n], dtype=float)
        for edge in starts[1:-1]:
            for axes in grid:
                axes.axvline(edge - 0.5, color="white", lw=1.2 if n <= 80 else 0.3)
        middles = (starts[:-1] + starts[1:] - 1) / 2
        step = max(1, int(np.ceil(len(subjects) / 45)))
        long = max(len(s) for s in subjects) * len(subjects) > 75
        grid[1].set_xticks(
            middles[::step], [shorten(s, 14) for s in subjects[::step]], rotation=90 if long else 0, fontsize=7
        )
        grid[1].set_xlabel("subject" if step == 1 else f"subject (every {step}th named)")
    elif n <= 60:
        grid[1].set_xticks(range(n), [shorten(s, 14) for s in comparison.matrix.samples], rotation=90, fontsize=6.5)
    else:
        grid[1].set_xticks([])
        grid[1].set_xlabel(f"{n} samples")


def draw_paired_lines(signature: Signature) -> Picture:
    """Each subject's values before and after for chosen genes, or those of smallest p-value."""
    comparison = signature.comparison
    table = signature.genes.filter(pl.col("tested"))
    chosen = _choose_genes(signature, table)
    rows = _find_rows(signature, [str(gene) for gene in chosen["gene"].to_list()])
    columns = min(3, len(rows))
    lines = int(np.ceil(len(rows) / columns))
    with style():
        figure = start_figure(0.4 + 2.15 * lines, WIDTH if columns == 3 else 2.2 * columns)
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes in panels.ravel()[len(rows) :]:
            axes.set_visible(False)
        for axes, row, name, q in zip(panels.ravel(), rows, _name_rows(chosen), chosen["q_value"], strict=False):
            _draw_gene(axes, signature.model.values[row], signature)
            axes.set_title(f"{shorten(name, 28)}{'  ' if len(name) < 12 else chr(10)}(q = {q:.2g})")
        for i in range(lines):
            panels[i, 0].set_ylabel(
                "log2 counts per million" if comparison.matrix.scale == "counts" else "log2 expression"
            )
    who = "each line one subject" if comparison.subjects else "each point one sample"
    caption = (
        f"Expression at {comparison.before} and {comparison.after}: {who}; the thick bar is the mean of the level."
    )
    return finish_picture(figure, "gene-lines", "Chosen genes in every subject", caption)


def _draw_gene(axes: object, values: Floats, signature: Signature) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    comparison = signature.comparison
    late = comparison.is_after
    spread = np.zeros(len(values))
    if comparison.subjects:
        for subject in dict.fromkeys(comparison.subjects):
            mine = np.array([s == subject for s in comparison.subjects])
            ends = [float(compute_row_means(values[None, mine & level])[0]) for level in (~late, late)]
            axes.plot([0, 1], ends, color="#888888", lw=0.8, zorder=1)
    else:
        for level in (~late, late):
            spread[level] = spread_sideways(values[level])
    for level, place, colour, mark in ((~late, 0, BEFORE, "o"), (late, 1, AFTER, "D")):
        axes.scatter(
            place + spread[level], values[level], s=14, c=colour, marker=mark, lw=0.4, edgecolors=INK, zorder=2
        )
        if np.isfinite(values[level]).any():
            axes.hlines(np.nanmean(values[level]), place - 0.18, place + 0.18, color=INK, lw=2.4, zorder=3)
    axes.set_xlim(-0.4, 1.4)
    axes.set_xticks([0, 1], [shorten(comparison.before, 14), shorten(comparison.after, 14)])


def _choose_genes(signature: Signature, table: pl.DataFrame) -> pl.DataFrame:
    asked = signature.options.genes_shown
    if not asked:
        return table.head(PANELS)
    found = [table.filter((pl.col("gene") == name) | (pl.col("symbol") == name)).head(1) for name in asked]
    absent = [name for name, rows in zip(asked, found, strict=True) if rows.height == 0]
    if absent:
        raise TrialrunError(
            Problem("no-such-gene", "genes to be shown are not among the tested ones", found=", ".join(absent))
        )
    return pl.concat(found)


def _name_rows(table: pl.DataFrame) -> list[str]:
    """Symbols, with the row's own name where several rows of the picture have one symbol."""
    symbols = table["symbol"].to_list()
    return [
        gene if symbol is None else f"{symbol} {gene}" if symbols.count(symbol) > 1 and gene != symbol else symbol
        for symbol, gene in zip(symbols, table["gene"].to_list(), strict=True)
    ]


def _find_rows(signature: Signature, genes: list[str]) -> list[int]:
    """Rows of the model's values; the first row of a name that is repeated, strongest first."""
    place: dict[str, int] = {}
    tested = np.flatnonzero(signature.model.tested)
    order = np.argsort(-np.abs(np.nan_to_num(signature.model.moderated.t)), kind="stable")
    for i in order:
        place.setdefault(signature.comparison.matrix.features[tested[i]], int(i))
    return [place[gene] for gene in genes]

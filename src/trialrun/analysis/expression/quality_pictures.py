"""Pictures that show whether the model can be trusted: mean and variance, p-values, principal components."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.expression.picture import (
    AFTER,
    BEFORE,
    DOWN,
    INK,
    NONE,
    UP,
    Picture,
    finish_picture,
    place_labels,
    shorten,
    spread_sideways,
    start_figure,
    style,
)
from trialrun.analysis.expression.signature import Signature

Floats = NDArray[np.float64]

# Genes of largest variance that enter the principal components.
PCA_GENES = 1000
_BINS = 40


def draw_mean_variance(signature: Signature) -> Picture:
    """Square root of the residual standard deviation against mean expression, with the trend the model uses."""
    model = signature.model
    with style():
        figure = start_figure(3.6)
        axes = figure.subplots()
        if model.voom is not None:
            axes.scatter(model.voom.log2_count, model.voom.root_sd, s=4, c=NONE, lw=0, rasterized=True)
            axes.plot(model.voom.curve_x, model.voom.curve_y, color=UP, lw=2, label="trend that gives the weights")
            axes.set_xlabel("mean log2(count + 0.5)")
            text = "Counts: the trend gives each observation its precision weight."
        else:
            order = np.argsort(model.fit.mean)
            prior = np.broadcast_to(np.asarray(model.moderated.prior.variance), model.fit.mean.shape)
            axes.scatter(model.fit.mean, np.sqrt(np.sqrt(model.fit.variance)), s=4, c=NONE, lw=0, rasterized=True)
            axes.plot(model.fit.mean[order], prior[order] ** 0.25, color=UP, lw=2, label="prior variance")
            axes.set_xlabel("mean log2 expression")
            text = (
                "The line is the prior to which the variances are drawn; "
                "a cloud that slopes against it asks for a trend."
            )
        axes.set_ylabel("square root of residual SD")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper right")
    return finish_picture(figure, "mean-variance", "Mean and variance", f"Residual spread of every tested gene. {text}")


def draw_p_values(signature: Signature) -> Picture:
    """Histogram of the p-values, with the height that no effect at all would give."""
    p = signature.genes["p_value"].drop_nulls().to_numpy()
    with style():
        figure = start_figure(3.2)
        axes = figure.subplots()
        axes.hist(p, bins=np.linspace(0, 1, _BINS + 1).tolist(), color=DOWN, edgecolor="white", lw=0.4)
        axes.axhline(len(p) / _BINS, color=UP, lw=1.6, ls="--", label="expected if nothing changed")
        axes.set_xlim(0, 1)
        axes.set_xlabel("p-value")
        axes.set_ylabel("genes")
        axes.legend(loc="upper right")
    caption = (
        "P-values of all tested genes. Flat with a peak at the left is as it should be; a slope up to the right or "
        "waves speak of a wrong model or of samples that depend on each other."
    )
    return finish_picture(figure, "p-values", "Distribution of p-values", caption)


def draw_principal_components(signature: Signature) -> Picture:
    """The samples on the first two principal components of the most variable genes."""
    comparison = signature.comparison
    coordinates, shares, genes = compute_components(signature.model.values)
    with style():
        figure = start_figure(4.2)
        axes = figure.subplots()
        subjects = list(dict.fromkeys(comparison.subjects))
        for subject in subjects:
            mine = np.array([s == subject for s in comparison.subjects])
            axes.plot(coordinates[mine, 0], coordinates[mine, 1], color="#BBBBBB", lw=0.8, zorder=1)
        late = comparison.is_after
        for level, colour, mark, text in (
            (~late, BEFORE, "o", comparison.before),
            (late, AFTER, "D", comparison.after),
        ):
            axes.scatter(
                coordinates[level, 0],
                coordinates[level, 1],
                s=26,
                c=colour,
                marker=mark,
                lw=0.5,
                edgecolors=INK,
                label=text,
            )
        axes.set_xlabel(f"component 1 ({shares[0]:.0%} of the variance)")
        axes.set_ylabel(f"component 2 ({shares[1]:.0%})")
        axes.margins(0.12)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=2)
        named = list(comparison.subjects) if subjects else list(comparison.matrix.samples)
        if len(set(named)) <= 30:
            at = [i for i, name in enumerate(named) if name not in named[:i]]
            place_labels(
                axes, coordinates[at, 0], coordinates[at, 1], [shorten(named[i], 14) for i in at], 7, around=coordinates
            )
    caption = (
        f"Principal components of the {genes} most variable genes. "
        + ("Lines join the samples of one subject. " if subjects else "")
        + "A sample far from all others deserves a look before the result is believed."
    )
    return finish_picture(figure, "components", "Samples on principal components", caption)


def compute_components(values: Floats) -> tuple[Floats, Floats, int]:
    """Coordinates (samples, 2), shares of variance (2,) and the number of genes; only rows without missing values."""
    whole = values[np.isfinite(values).all(axis=1)]
    centred = whole - whole.mean(axis=1, keepdims=True)
    top = centred[np.argsort(-centred.var(axis=1), kind="stable")[:PCA_GENES]]
    if len(top) < 2:
        return np.zeros((values.shape[1], 2)), np.zeros(2), len(top)
    _, singular, right = np.linalg.svd(top, full_matrices=False)
    # The sign of a component is arbitrary: its largest entry is made positive, so that pictures stay the same.
    signs = np.sign(right[np.arange(2), np.argmax(np.abs(right[:2]), axis=1)])
    coordinates = (right[:2] * (singular[:2] * signs)[:, None]).T
    total = float((singular**2).sum())
    shares = singular[:2] ** 2 / total if total > 0 else np.zeros(2)
    return np.asarray(coordinates), np.asarray(shares), len(top)


def draw_score(signature: Signature) -> Picture | None:
    """The held-out score of every sample, split by response when it is known; None without a signature."""
    scores = signature.scores.filter(pl.col("score_held_out").is_not_null())
    if scores.height == 0:
        return None
    comparison = signature.comparison
    groups: list[tuple[str, pl.DataFrame]] = [("all samples", scores)]
    if "response" in scores.columns and signature.response.height:
        levels = [signature.response["responders"][0], signature.response["non_responders"][0]]
        column = signature.options.response
        groups = [(f"{column}: {level}", scores.filter(pl.col("response") == level)) for level in levels]
    with style():
        figure = start_figure(3.2, 6.3 if len(groups) > 1 else 3.8)
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for axes, (title, part) in zip(panels, groups, strict=True):
            for subject in part["subject"].drop_nulls().unique(maintain_order=True).to_list():
                mine = part.filter(pl.col("subject") == subject)
                ends = [
                    mine.filter(pl.col("level") == lv)["score_held_out"].mean()
                    for lv in (comparison.before, comparison.after)
                ]
                if None not in ends:
                    axes.plot([0, 1], ends, color="#888888", lw=0.8, zorder=1)
            for place, level, colour, mark in ((0, comparison.before, BEFORE, "o"), (1, comparison.after, AFTER, "D")):
                y = part.filter(pl.col("level") == level)["score_held_out"].to_numpy()
                offset = np.zeros(len(y)) if comparison.subjects else spread_sideways(y)
                axes.scatter(place + offset, y, s=18, c=colour, marker=mark, lw=0.4, edgecolors=INK, zorder=2)
                if len(y):
                    axes.hlines(y.mean(), place - 0.18, place + 0.18, color=INK, lw=2.4, zorder=3)
            axes.set_title(f"{shorten(title, 36)} ({part.height})")
            axes.set_xlim(-0.4, 1.4)
            axes.set_xticks([0, 1], [shorten(comparison.before, 16), shorten(comparison.after, 16)])
        panels[0].set_ylabel("score (SD from the mean before)")
    caption = (
        "Signature score of each sample by a signature found without that subject: mean distance of the signature's "
        f"genes, in their direction of change, from the samples at {comparison.before}."
    )
    return finish_picture(figure, "score", "Signature score", caption)

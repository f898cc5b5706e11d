"""One picture of whole trials: who is harmed before the trial is amended, and when it pauses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from trialrun.analysis.estimates import estimate_proportion
from trialrun.analysis.expression.picture import DOWN, INK, NONE, UP, Picture, finish_picture, start_figure, style
from trialrun.vocab.problems import Location, Problem, TrialrunError


def draw_trials(trials: pl.DataFrame, title: str) -> Picture:
    """Share of trials by participants harmed, and the share that has paused by the number of participants treated.

    Bars: harmed before the amended version was active (or the study stopped; in the others at all), with exact 95 %
    intervals; beside them all who were harmed in the trial.
    """
    n = trials.height
    before, harmed = trials["harmed_before_end_of_start"].to_numpy(), trials["harmed"].to_numpy()
    most = int(max(before.max(initial=0), harmed.max(initial=0)))
    caption = (
        f"{title}; {n} simulated trials. Left: share of trials by the number of participants harmed (clinical tumour "
        "lysis or death of toxicity) before the amended version was active, and in the whole trial. Right: share of "
        "trials paused when the rule had seen so many participants treated. Bars and bands: exact 95 % Monte Carlo "
        "intervals; they do not hold the uncertainty of the model."
    )
    figure = start_figure(2.9)
    with style():
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
        for offset, values, colour, label in (
            (-0.2, before, DOWN, "before the amendment"),
            (0.2, harmed, UP, "in the whole trial"),
        ):
            found = [estimate_proportion(int((values == count).sum()), n) for count in range(most + 1)]
            share = 100 * np.array([each.value for each in found])
            ends = 100 * np.array([[each.value - each.low, each.high - each.value] for each in found]).T
            place = np.arange(most + 1) + offset
            left.bar(place, share, width=0.38, color=colour, label=label)
            left.errorbar(place, share, yerr=ends, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
        left.set(xlabel="participants harmed", ylabel="trials (%)", title="a  Participants harmed")
        left.set_xticks(np.arange(most + 1))
        left.legend()
        left.set_ylim(0, 1.35 * left.get_ylim()[1])  # room for the legend
        treated = np.arange(int(trials["treated"].to_numpy().max(initial=0)) + 2)
        paused = trials.filter("paused")["treated_by_pause"].to_numpy()
        found = [estimate_proportion(int((paused <= count).sum()), n) for count in treated]
        low, value, high = (100 * np.array([getattr(each, end) for each in found]) for end in ("low", "value", "high"))
        right.fill_between(treated, low, high, step="post", color=NONE, alpha=0.4, linewidth=0)
        right.step(treated, value, where="post", color=INK)
        right.set(xlabel="participants treated", ylabel="trials paused (%)", title="b  Trials paused by then")
        right.set(ylim=(0, 100), xlim=(0, treated[-1]))
    return finish_picture(figure, "trials", title, caption)


def check_picture(path: Path) -> None:
    """A picture is PNG or SVG, by the name of its file; anything else is a TrialrunError."""
    if path.suffix not in (".png", ".svg"):
        where = Location(str(path))
        raise TrialrunError(Problem("picture-format", "a picture is PNG or SVG", path.suffix, ".png or .svg", where))


def write_picture(picture: Picture, path: Path) -> None:
    """Write the picture to a file, PNG or SVG by its name."""
    check_picture(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            path.write_bytes(picture.png)
        else:
            path.write_text(picture.svg, encoding="utf-8")
    except OSError as error:
        raise TrialrunError(
            Problem("cannot-write", "the picture cannot be written", error.strerror, None, Location(str(path)))
        ) from None

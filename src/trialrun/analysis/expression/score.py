"""The signature as one number a sample, and how that number relates to response.

Score = mean over the signature's genes of direction x (log2 value - centre) / scale: the distance from the samples
before treatment, in standard deviations between samples. Centre, scale and direction are kept in the definition, so
that samples of later subjects are scored on the same rule. A signature scores the samples it was found in too well;
the held-out score of a subject uses genes, centres and scales found without that subject.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from trialrun.analysis.expression.comparison import Comparison
from trialrun.analysis.expression.fit import Block, compute_row_means, fit_contrast
from trialrun.analysis.expression.model import Model
from trialrun.analysis.expression.moderation import compute_moderated, compute_q_values
from trialrun.vocab.problems import Problem, TrialrunError

Floats = NDArray[np.float64]

# A signature of fewer genes is a few genes, not a signature; of more, the strongest by |t| are taken.
FEWEST_GENES, MOST_GENES = 5, 500
# Held-out scores are made with at most this many refits: subjects are dealt to the folds in the order of the sheet.
MOST_FOLDS = 10
# A sample with values for less than this share of the signature's genes gets no score.
NEEDED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class SignatureDefinition:
    """`rows` of the matrix in the signature; `direction` +1 or -1; `centre`, `scale` in log2, each (genes,)."""

    rows: NDArray[np.int64]
    direction: Floats
    centre: Floats
    scale: Floats

    def as_frame(self, genes: list[str]) -> pl.DataFrame:
        """The definition as a table; `genes` are the names of `rows`."""
        return pl.DataFrame(
            {"gene": genes, "direction": self.direction.astype(np.int64), "centre": self.centre, "scale": self.scale}
        )


def define_signature(
    values: Floats, is_after: NDArray[np.bool_], t: Floats, q: Floats, alpha: float
) -> SignatureDefinition | None:
    """Genes at q <= alpha, the strongest `MOST_GENES`; None when there are fewer than `FEWEST_GENES`."""
    before, after = values[:, ~is_after], values[:, is_after]
    centre = compute_row_means(before)
    residual = np.hstack([before - centre[:, None], after - compute_row_means(after)[:, None]])
    df = np.isfinite(residual).sum(axis=1) - 2
    squares = np.nansum(residual**2, axis=1)
    scale = np.sqrt(np.divide(squares, df, out=np.zeros(len(df)), where=df > 0))
    usable = (q <= alpha) & np.isfinite(t) & (scale > 0) & np.isfinite(centre)
    rows = np.flatnonzero(usable)
    rows = np.sort(rows[np.argsort(-np.abs(t[rows]), kind="stable")][:MOST_GENES])
    if len(rows) < FEWEST_GENES:
        return None
    return SignatureDefinition(rows, np.sign(t[rows]), centre[rows], scale[rows])


def score_samples(definition: SignatureDefinition, values: Floats) -> Floats:
    """One score a sample (standard deviations); `values` (genes of the definition, samples) in log2, NaN = missing."""
    z = definition.direction[:, None] * (values - definition.centre[:, None]) / definition.scale[:, None]
    there = np.isfinite(z)
    enough = there.mean(axis=0) >= NEEDED_SHARE
    mean = np.where(there, z, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.asarray(np.where(enough, mean, np.nan))


def score_held_out(comparison: Comparison, model: Model, alpha: float, trend: bool, robust: bool) -> Floats:
    """Scores of samples by signatures found without their subject (paired) or without the sample; NaN where none."""
    names = list(comparison.subjects) if comparison.subjects else list(comparison.matrix.samples)
    units = list(dict.fromkeys(names))
    folds = min(MOST_FOLDS, len(units))
    fold_of = {unit: i % folds for i, unit in enumerate(units)}
    fold = np.array([fold_of[name] for name in names])
    scores = np.full(len(names), np.nan)
    for i in range(folds):
        out, kept = np.flatnonzero(fold == i), np.flatnonzero(fold != i)
        definition = _refit(comparison, model, kept, alpha, trend, robust)
        if definition is not None:
            scores[out] = score_samples(definition, model.values[definition.rows][:, out])
    return scores


def _refit(
    comparison: Comparison, model: Model, kept: NDArray[np.int64], alpha: float, trend: bool, robust: bool
) -> SignatureDefinition | None:
    design = comparison.design[kept]
    varies = np.ptp(design, axis=0) > 0
    if model.block is None or model.block.correlation is not None:
        varies[0] = True
    block = None
    if model.block is not None:
        block = Block(
            np.unique(model.block.codes[kept], return_inverse=True)[1].astype(np.int64), model.block.correlation
        )
    fixed = block.count if block is not None and block.correlation is None else 0
    after = comparison.is_after[kept]
    if not varies[-1] or len(kept) - fixed - int(varies.sum()) < 1 or min(after.sum(), (~after).sum()) < 2:
        return None
    weights = None if model.weights is None else model.weights[:, kept]
    values = model.values[:, kept]
    fit = fit_contrast(values, design[:, varies], comparison.contrast[varies], weights, block)
    moderated = compute_moderated(fit, trend, robust)
    return define_signature(values, after, moderated.t, compute_q_values(moderated.p_value), alpha)


def estimate_response_relation(
    comparison: Comparison, score: Floats, column: str, responder: str | None, confidence: float
) -> tuple[pl.DataFrame, list[Problem]]:
    """Difference in score, responders minus non-responders, with Welch's interval and an exact rank p-value.

    `score` (samples,) held-out scores; paired: at the level before, at the level after, and the change; unpaired: each
    level. Welch BL (1947) Biometrika 34:28; Mann HB, Whitney DR (1947) Ann Math Stat 18:50.
    """
    levels = comparison.sheet[column].to_list()
    names = list(comparison.subjects) if comparison.subjects else list(comparison.matrix.samples)
    by_unit: dict[str, set[str]] = {}
    for name, level in zip(names, levels, strict=True):
        by_unit.setdefault(name, set())
        if level is not None:
            by_unit[name].add(level)
    torn = [name for name, found in by_unit.items() if len(found) > 1]
    if torn:
        raise TrialrunError(
            Problem(
                "response-varies", "a subject has two responses", found=", ".join(torn[:10]), expected="one a subject"
            )
        )
    answer = {name: next(iter(found)) for name, found in by_unit.items() if found}
    yes, no = _response_levels(set(answer.values()), column, responder)
    notes = []
    unknown = [name for name in by_unit if name not in answer]
    if unknown:
        text = f"{len(unknown)} subjects have no response and take no part in its relation to the score"
        notes.append(Problem("response-missing", text, found=", ".join(unknown[:20]), severity="warning"))
    first = {name: {} for name in by_unit}  # type: dict[str, dict[bool, float]]
    for name, late, value in zip(names, comparison.is_after.tolist(), score.tolist(), strict=True):
        first[name].setdefault(late, value)
    measures = {
        f"score at {comparison.before}": {n: s[False] for n, s in first.items() if False in s},
        f"score at {comparison.after}": {n: s[True] for n, s in first.items() if True in s},
    }
    if comparison.subjects:
        measures[f"change {comparison.label}"] = {n: s[True] - s[False] for n, s in first.items() if len(s) == 2}
    rows = []
    for measure, by_name in measures.items():
        groups = [
            np.array([v for n, v in by_name.items() if answer.get(n) == level and np.isfinite(v)])
            for level in (yes, no)
        ]
        rows.append(
            {"measure": measure, "responders": yes, "non_responders": no} | _compare(groups[0], groups[1], confidence)
        )
    return pl.DataFrame(rows), notes


def _compare(yes: Floats, no: Floats, confidence: float) -> dict[str, float | int | None]:
    result: dict[str, float | int | None] = {
        "n_responders": len(yes),
        "n_non_responders": len(no),
        "mean_responders": float(yes.mean()) if len(yes) else None,
        "mean_non_responders": float(no.mean()) if len(no) else None,
        "difference": float(yes.mean() - no.mean()) if len(yes) and len(no) else None,
        "ci_low": None,
        "ci_high": None,
        "p_value": None,
        "auc": None,
        "rank_p_value": None,
    }
    if len(yes) > 1 and len(no) > 1 and float(yes.var() + no.var()) > 0:
        test = stats.ttest_ind(yes, no, equal_var=False)
        interval = test.confidence_interval(confidence)
        result |= {"ci_low": float(interval.low), "ci_high": float(interval.high), "p_value": float(test.pvalue)}
    if len(yes) and len(no):
        ranks = stats.mannwhitneyu(
            yes, no, method="exact" if len(np.unique(np.r_[yes, no])) == len(yes) + len(no) else "auto"
        )
        result |= {"auc": float(ranks.statistic) / (len(yes) * len(no)), "rank_p_value": float(ranks.pvalue)}
    return result


_RESPONDERS = {"responder", "responders", "response", "r", "yes", "y", "true", "1", "cr", "pr", "respondor"}


def _response_levels(found: set[str], column: str, responder: str | None) -> tuple[str, str]:
    if len(found) != 2:
        raise TrialrunError(
            Problem(
                "response-levels",
                f"column {column} must tell responders from non-responders",
                found=", ".join(sorted(found)) or "no value",
                expected="two values",
            )
        )
    if responder is None:
        likely = [level for level in found if level.casefold() in _RESPONDERS]
        if len(likely) != 1:
            raise TrialrunError(
                Problem(
                    "response-levels",
                    "which value means response is not clear",
                    found=", ".join(sorted(found)),
                    expected="--responder with one of them",
                )
            )
        responder = likely[0]
    if responder not in found:
        raise TrialrunError(
            Problem(
                "response-levels", "no subject has this response", found=responder, expected=", ".join(sorted(found))
            )
        )
    return responder, next(level for level in found if level != responder)

"""The prior of the residual variances: a scaled F distribution matched to the moments of their logarithms.

Smyth GK (2004) Stat Appl Genet Mol Biol 3:3, section 6.2; the trend is a regression of log variance on a natural cubic
spline of the mean expression, as in Law CW et al. (2014) Genome Biol 15:R29.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

# Variances below this share of the median variance are lifted to it before logarithms are taken (Smyth 2004 leaves
# zero variances open; the share is the reference implementation's).
ZERO_SHARE = 1e-5


@dataclass(frozen=True, slots=True)
class Prior:
    """`df` and `variance` of the prior, each one number or one a gene; `notes` say what was met on the way."""

    df: float | Floats
    variance: float | Floats
    notes: tuple[str, ...] = ()

    @property
    def common_df(self) -> float:
        """The prior degrees of freedom of genes that are not outliers."""
        return float(np.max(self.df))

    @property
    def typical_variance(self) -> float:
        """The prior variance; with a trend its median over genes."""
        return float(np.median(self.variance))


def estimate_prior(variance: Floats, df: Floats, mean: Floats | None = None) -> Prior:
    """Prior from residual variances (genes,) with `df` degrees of freedom, along `mean` when it is given."""
    usable = np.isfinite(variance) & (df > 1e-15) & (variance > -1e-15)
    if mean is not None:
        usable &= np.isfinite(mean)
    notes: tuple[str, ...] = ()
    x, d = np.maximum(variance[usable], 0.0), df[usable]
    median = float(np.median(x))
    zeros = int((x == 0).sum())
    if median == 0:
        notes = ("more than half of the residual variances are exactly zero: the prior variance is unreliable",)
        median = 1.0
    elif zeros:
        notes = (f"{zeros} residual variances are exactly zero; lifted to {ZERO_SHARE:g} of the median for the prior",)
    x = np.maximum(x, ZERO_SHARE * median)
    centred = np.log(x) - special.digamma(d / 2) + np.log(d / 2)
    noise = float(special.polygamma(1, d / 2).mean())
    if mean is None:
        location: float | Floats = float(centred.mean())
        spread = float(centred.var(ddof=1)) - noise
    else:
        location, spread = _trend(centred, mean[usable], mean)
        spread -= noise
    if spread > 0:
        prior_df = 2.0 * invert_trigamma(spread)
        scale = np.exp(location + special.digamma(prior_df / 2) - np.log(prior_df / 2))
    else:
        prior_df = np.inf
        scale = np.exp(location) if mean is not None else np.float64(x.mean())
    return Prior(prior_df, float(scale) if mean is None else np.asarray(scale), notes)


def invert_trigamma(value: float) -> float:
    """The y with trigamma(y) = value, by Newton's method on 1/trigamma (Smyth 2004, appendix); value > 0."""
    if value > 1e7:
        return float(1.0 / np.sqrt(value))
    if value < 1e-6:
        return 1.0 / value
    y = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = special.polygamma(1, y)
        step = trigamma * (1.0 - trigamma / value) / special.polygamma(2, y)
        y += step
        if -step / y < 1e-10:
            break
    return float(y)


def _trend(centred: Floats, mean: Floats, everywhere: Floats) -> tuple[Floats, float]:
    """Spline regression of log variance on the mean; fitted values for all genes, and the residual variance."""
    distinct = len(np.unique(mean))
    columns = min(1 + int(len(mean) >= 3) + int(len(mean) >= 6) + int(len(mean) >= 30), distinct)
    knots = np.quantile(mean, np.linspace(0.0, 1.0, columns)) if columns > 2 else np.quantile(mean, [0.0, 1.0])
    basis = _natural_spline(mean, knots, columns)
    coefficients, _, rank, _ = np.linalg.lstsq(basis, centred, rcond=None)
    residual = centred - basis @ coefficients
    fitted = _natural_spline(np.where(np.isfinite(everywhere), everywhere, mean.mean()), knots, columns) @ coefficients
    return fitted, float(residual @ residual) / max(len(mean) - int(rank), 1)


def _natural_spline(x: Floats, knots: Floats, columns: int) -> Floats:
    """Natural cubic splines with the outer knots as boundary, any basis of their space; shape (values, columns).

    Truncated powers (Hastie, Tibshirani & Friedman 2009, equations 5.4 and 5.5) on the range scaled to 0..1.
    """
    low, high = knots[0], knots[-1]
    width = high - low if high > low else 1.0
    u, k = (x - low) / width, (knots - low) / width
    if columns == 1:
        return np.ones((len(x), 1))
    parts = [np.ones_like(u), u]

    def truncated(j: int) -> Floats:
        cubes = np.maximum(u - k[j], 0.0) ** 3 - np.maximum(u - k[-1], 0.0) ** 3
        return np.asarray(cubes / (k[-1] - k[j]))

    parts += [truncated(j) - truncated(len(k) - 2) for j in range(columns - 2)]
    return np.column_stack(parts)

"""The prior of the residual variances when some genes are hypervariable.

Moments are taken of Winsorized log variances and matched to those of a Winsorized log F distribution; a gene whose
variance lies beyond what the prior explains keeps fewer prior degrees of freedom, in proportion to the probability that
it is an outlier. Phipson B, Lee S, Majewski IJ, Alexander WS, Smyth GK (2016) Ann Appl Stat 10:946-963, sections 3-4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from trialrun.analysis.expression.variance_prior import Prior, estimate_prior

Floats = NDArray[np.float64]

# Shares Winsorized in the lower and upper tail (Phipson et al. 2016, section 3.3).
LOWER_TAIL = 0.05
UPPER_TAIL = 0.10
# Nodes of the Gauss-Legendre rule on (0, 1) for the moments, and the span of the lowess trend.
_NODES, _WEIGHTS = (0.5 * (1 + np.polynomial.legendre.leggauss(128)[0]), 0.5 * np.polynomial.legendre.leggauss(128)[1])
_SPAN = 0.4


def estimate_robust_prior(variance: Floats, df: Floats, mean: Floats | None = None) -> Prior:
    """Prior with one `df` a gene, lower for hypervariable genes; `variance` and `df` (genes,)."""
    plain = estimate_prior(variance, df, mean)
    usable = np.isfinite(variance) & np.isfinite(df) & (df > 1e-6)
    if mean is not None:
        usable &= np.isfinite(mean)
    n = int(usable.sum())
    if n < 3 or n * max(LOWER_TAIL, UPPER_TAIL) < 1:
        return plain
    x, d = variance[usable].copy(), df[usable]
    median = float(np.median(x))
    if median <= 0:
        return plain
    notes = plain.notes
    tiny = x < median * 1e-12
    if tiny.any():
        notes = (*notes, f"{int(tiny.sum())} residual variances lifted to 1e-12 of the median for the robust prior")
        x[tiny] = median * 1e-12
    scale = np.broadcast_to(np.asarray(plain.variance, dtype=np.float64), variance.shape)[usable]
    x, d1 = _equal_df(x, d, scale, float(np.max(plain.df)))
    z = np.log(x)
    if mean is None:
        trend = np.full(n, stats.trim_mean(z, UPPER_TAIL))
    else:
        trend = _lowess(z, mean[usable])
    residual = z - trend
    bounds = np.quantile(residual, [LOWER_TAIL, 1 - UPPER_TAIL])
    clipped = np.clip(residual, bounds[0], bounds[1])
    centre, spread = float(clipped.mean()), float(clipped.var(ddof=1))

    def mismatch(position: float) -> float:
        """log(observed / expected Winsorized variance) at df2 = position / (1 - position)."""
        return float(np.log(spread / _winsorized_moments(d1, position / (1 - position))[1]))

    plain_df = float(np.max(plain.df))
    at_infinity = float(np.log(spread / _winsorized_moments(d1, np.inf)[1]))
    if at_infinity <= 0:
        d2 = np.inf
    elif not np.isfinite(plain_df):
        return plain
    else:
        low = plain_df / (1 + plain_df)
        d2 = plain_df
        if mismatch(low) < 0:
            high = 1 - 1e-12
            root = optimize.brentq(mismatch, low, high, xtol=1e-13) if mismatch(high) > 0 else high
            d2 = root / (1 - root)
    corrected = trend + centre - _winsorized_moments(d1, d2)[0]
    d2_by_gene = _shrink(np.exp(z - corrected), d1, d2, plain_df)
    everywhere = np.full(variance.shape, d2)
    everywhere[usable] = d2_by_gene
    if mean is None:
        return Prior(everywhere, float(np.exp(corrected[0])), notes)
    scales = np.empty(variance.shape)
    scales[usable] = np.exp(corrected)
    if not usable.all():
        order = np.argsort(mean[usable], kind="stable")
        away = np.where(np.isfinite(mean[~usable]), mean[~usable], np.mean(mean[usable]))
        scales[~usable] = np.exp(np.interp(away, mean[usable][order], corrected[order]))
    return Prior(everywhere, scales, notes)


def _equal_df(x: Floats, d: Floats, scale: Floats, d2: float) -> tuple[Floats, float]:
    """Variances as if all had the largest degrees of freedom: quantiles of F are carried over."""
    top = float(d.max())
    fewer = d < top - 1e-14
    if not fewer.any():
        return x, top
    f = x[fewer] / scale[fewer]
    upper, lower = _log_f_tail(f, d[fewer], d2), _log_f_lower(f, d[fewer], d2)
    moved = np.where(
        upper < lower, _f_quantile(np.exp(upper), top, d2, True), _f_quantile(np.exp(lower), top, d2, False)
    )
    x = x.copy()
    x[fewer] = moved * scale[fewer]
    return x, top


def _f_quantile(p: Floats, d1: float, d2: float, upper: bool) -> Floats:
    if not np.isfinite(d2):
        return np.asarray((special.chdtri(d1, p) if upper else special.chdtri(d1, 1 - p)) / d1)
    return np.asarray(stats.f.isf(p, d1, d2) if upper else stats.f.ppf(p, d1, d2))


def _log_f_lower(f: Floats, d1: Floats | float, d2: float) -> Floats:
    if not np.isfinite(d2):
        return np.asarray(np.log(special.gammainc(np.asarray(d1) / 2, f * d1 / 2)))
    return np.asarray(np.log(special.betainc(np.asarray(d1) / 2, d2 / 2, d1 * f / (d1 * f + d2))))


def _log_f_tail(f: Floats, d1: Floats | float, d2: float) -> Floats:
    """log P(F > f), beyond where the probability itself underflows by the leading terms of the incomplete beta."""
    f, d1 = np.broadcast_arrays(np.asarray(f, dtype=np.float64), np.asarray(d1, dtype=np.float64))
    if not np.isfinite(d2):
        tail = special.gammaincc(d1 / 2, f * d1 / 2)
        half = f * d1 / 2
        far = -half + (d1 / 2 - 1) * np.log(half) - special.gammaln(d1 / 2)
    else:
        a, b, x = d2 / 2, d1 / 2, d2 / (d2 + d1 * f)
        tail = special.betainc(a, b, x)
        far = a * np.log(x) + b * np.log1p(-x) - np.log(a) - special.betaln(a, b)
    return np.asarray(np.where(tail > 1e-290, np.log(np.maximum(tail, 1e-300)), far))


def _winsorized_moments(d1: float, d2: float) -> tuple[float, float]:
    """Mean and variance of log F(d1, d2) Winsorized at the two tails, by quadrature on x/(1 + x)."""
    if np.isfinite(d2):
        edges = stats.f.ppf([LOWER_TAIL, 1 - UPPER_TAIL], d1, d2)
    else:
        edges = stats.chi2.ppf([LOWER_TAIL, 1 - UPPER_TAIL], d1) / d1
    low, high = edges / (1 + edges)
    nodes = low + (high - low) * _NODES
    points = nodes / (1 - nodes)
    density = stats.f.pdf(points, d1, d2) if np.isfinite(d2) else stats.chi2.pdf(points * d1, d1) * d1
    weights = (high - low) * _WEIGHTS * density / (1 - nodes) ** 2
    logs, ends = np.log(points), np.log(edges)
    tails = np.array([LOWER_TAIL, UPPER_TAIL])
    mean = float(weights @ logs + tails @ ends)
    return mean, float(weights @ (logs - mean) ** 2 + tails @ (ends - mean) ** 2)


def _lowess(y: Floats, x: Floats) -> Floats:
    from statsmodels.nonparametric.smoothers_lowess import lowess

    return np.asarray(lowess(y, x, frac=_SPAN, it=3, delta=0.01 * float(np.ptp(x)), return_sorted=False))


def _shrink(ratio: Floats, d1: float, d2: float, plain_df: float) -> Floats:
    """Prior df of each gene from its variance ratio: the prior's for most, fewer for outliers, monotone in the tail."""
    n = len(ratio)
    log_tail = _log_f_tail(ratio, d1, d2)
    log_expected = np.log(n - stats.rankdata(ratio) + 0.5) - np.log(n)
    log_in = np.minimum(log_tail - log_expected, 0.0)
    shrunk = np.full(n, d2)
    if not (log_in < 0).any():
        return shrunk
    order = np.argsort(log_tail, kind="stable")
    if not np.isfinite(d2):
        out = log_in < 0
        shrunk[out] = np.exp(log_in[out]) * n * d1
        shrunk[order] = np.maximum.accumulate(shrunk[order])
        return shrunk
    # The df that makes the largest variance the median of its distribution: log tails are nearly linear in the df.
    outlier_df = np.log(0.5) / float(log_tail.min()) * d2
    outlier_df *= np.log(0.5) / float(_log_f_tail(np.array([ratio.max()]), d1, outlier_df)[0])
    inside = np.exp(log_in)
    shrunk = inside * d2 - np.expm1(log_in) * outlier_df
    ordered = shrunk[order]
    ordered[0] = min(float(ordered[0]), plain_df)
    running = np.cumsum(ordered) / np.arange(1, n + 1)
    lowest = int(np.argmin(running))
    ordered[: lowest + 1] = running[lowest]
    shrunk[order] = np.maximum.accumulate(ordered)
    return np.asarray(shrunk)

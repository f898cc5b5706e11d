"""A stand-in for the simulation: the log-odds of each fact as a quadratic of the parameters, with its own error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
PENALTIES = np.geomspace(0.3, 300.0, 10)


@dataclass(frozen=True, slots=True)
class Emulator:
    """`coefficients` (F, facts) over the features of scores; `error` (facts,) standard deviation of its log-odds."""

    coefficients: FloatArray
    error: FloatArray

    def predict(self, scores: FloatArray) -> FloatArray:
        """Log-odds (log of the mean for episodes) of every fact, (n, facts), for scores (n, P)."""
        return np.asarray(features(scores) @ self.coefficients)


def features(scores: FloatArray) -> FloatArray:
    """1, the scores, their squares and products, (n, 1 + P + P (P + 1) / 2)."""
    n, p = scores.shape
    rows, columns = np.triu_indices(p)
    return np.concatenate([np.ones((n, 1)), scores, scores[:, rows] * scores[:, columns]], axis=1)


def fit_emulator(scores: FloatArray, outcome: FloatArray, noise: FloatArray) -> Emulator:
    """Ridge regression, its penalty by leave-one-out cross-validation for each fact.

    `outcome` (n, facts) log-odds with sampling variance `noise` (n, facts). The error is what cross-validation leaves beyond
    that sampling variance: how wrong the quadratic is at a new point. The mean is not shrunk.
    """
    x = features(scores)[:, 1:]
    coefficients, error = np.empty((1 + x.shape[1], outcome.shape[1])), np.empty(outcome.shape[1])
    for fact in range(outcome.shape[1]):
        weight = 1.0 / (noise[:, fact] + np.median(noise[:, fact]))
        weight /= weight.mean()
        middle, level = np.average(x, axis=0, weights=weight), np.average(outcome[:, fact], weights=weight)
        root, around = np.sqrt(weight), outcome[:, fact] - level
        centred = root[:, None] * (x - middle)
        size, axes = np.linalg.eigh(centred.T @ centred)
        turned = centred @ axes
        along = turned.T @ (root * around)
        misfit = []
        for penalty in PENALTIES:
            share = 1.0 / (np.maximum(size, 0.0) + penalty)
            # each point as the others predict it, without fitting again: its residual over what its own weight leaves of it
            own = np.square(turned) @ share + weight / weight.sum()
            left = (around - turned @ (share * along) / root) / (1.0 - own)
            misfit.append(np.average(left**2, weights=weight))
        best = int(np.argmin(misfit))
        slopes = axes @ (along / (np.maximum(size, 0.0) + PENALTIES[best]))
        coefficients[:, fact] = np.concatenate([[level - middle @ slopes], slopes])
        error[fact] = np.sqrt(max(misfit[best] - np.average(noise[:, fact], weights=weight), 0.0))
    return Emulator(coefficients, error)

"""A stand-in for the simulation: the log-odds of each fact as a quadratic of the parameters, with its own error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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


def fit_emulator(scores: FloatArray, outcome: FloatArray, noise: FloatArray, folds: int = 10) -> Emulator:
    """Ridge regression, its penalty by cross-validation for each fact.

    `outcome` (n, facts) log-odds with sampling variance `noise` (n, facts). The error is what cross-validation leaves beyond
    that sampling variance: how wrong the quadratic is at a new point.
    """
    x = features(scores)
    scale = np.ones(x.shape[1])
    scale[0] = 1e-6  # the mean is not shrunk
    fold = np.arange(len(x)) % folds
    penalties = np.geomspace(0.3, 300.0, 10)
    coefficients, error = np.empty((x.shape[1], outcome.shape[1])), np.empty(outcome.shape[1])
    for fact in range(outcome.shape[1]):
        weight = 1.0 / (noise[:, fact] + np.median(noise[:, fact]))
        misfit = []
        for penalty in penalties:
            left = np.empty(len(x))
            for k in range(folds):
                use, test = fold != k, fold == k
                left[test] = outcome[test, fact] - x[test] @ _ridge(
                    x[use], outcome[use, fact], weight[use], penalty * scale
                )
            misfit.append(np.average(left**2, weights=weight))
        best = int(np.argmin(misfit))
        coefficients[:, fact] = _ridge(x, outcome[:, fact], weight, penalties[best] * scale)
        sampling = np.average(noise[:, fact], weights=weight)
        error[fact] = np.sqrt(max(misfit[best] - sampling, 0.0))
    return Emulator(coefficients, error)


def _ridge(x: FloatArray, y: FloatArray, weight: FloatArray, penalty: FloatArray) -> FloatArray:
    weighted = x * weight[:, None]
    relative = penalty * weight.mean()
    return np.asarray(np.linalg.solve(x.T @ weighted + np.diag(relative), weighted.T @ y))

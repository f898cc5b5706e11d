"""A stand-in for the simulation: the log-odds of each fact as a quadratic of the parameters, with its own error.

It is learnt from counts by their own likelihood (binomial; Poisson for episodes), so that no event in a few subjects says as
little as it does. What the quadratic is wrong by is a normal error of the log-odds that differs from set to set (Williams DA.
Appl Stat 1982;31:144-8, model III).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve, solve_triangular
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logsumexp

from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
# Choices that are tried: of the penalty of the squares of the coefficients (the inverse of their prior variance), and of how far
# sets are off the surface while it is fitted, log-odds.
PENALTIES: tuple[float, ...] = tuple(np.geomspace(10.0, 30_000.0, 12).tolist())
ROUGH = (0.1, 0.3, 0.8)
ERRORS = (0.003, 3.0)  # log-odds: between which the error is looked for
_STEPS, _HALVINGS = 50, 20  # of Newton's method, and of one of its steps
_CLOSE = 1e-5  # log-odds: it has come to rest
_POINTS, _CHANCE = np.polynomial.hermite_e.hermegauss(9)
_FURTHEST = 30.0  # log-odds
_BISECTIONS = 40


@dataclass(frozen=True, slots=True)
class Emulator:
    """`coefficients` (F, facts) over the features of scores; `error` (facts,) standard deviation of its log-odds."""

    coefficients: FloatArray
    error: FloatArray

    def predict(self, scores: FloatArray) -> FloatArray:
        """Log-odds (log of the mean for episodes) of every fact, (n, facts), for scores (n, P)."""
        return np.asarray(features(scores) @ self.coefficients)


@dataclass(frozen=True, slots=True)
class Tally:
    """Of each set and fact, (n, facts): `events` among so many subjects `assessed`; of the facts that are `episodes` (facts,)
    a subject may have more than one."""

    events: FloatArray
    assessed: FloatArray
    episodes: Sequence[bool]


def features(scores: FloatArray) -> FloatArray:
    """1, the scores, their squares and products, (n, 1 + P + P (P + 1) / 2)."""
    n, p = scores.shape
    rows, columns = np.triu_indices(p)
    return np.concatenate([np.ones((n, 1)), scores, scores[:, rows] * scores[:, columns]], axis=1)


def fit_emulator(scores: FloatArray, tally: Tally, before: FloatArray | None = None) -> tuple[Emulator, FloatArray]:
    """The emulator of what was counted at scores (n, P), and what it says of each set from the others alone, log-odds (n, facts).

    With `before` (n, facts), log-odds that are known already, it learns what these are wrong by, and the log-odds of the others
    are those of both. The mean is not shrunk; the penalty of the other coefficients and the error are those with which counts
    are most probable that were left out of the fit. TrialrunError where a fit does not come to rest.
    """
    x = features(scores)[:, 1:]
    known = np.zeros(tally.events.shape) if before is None else before
    coefficients, error = np.empty((1 + x.shape[1], tally.events.shape[1])), np.empty(tally.events.shape[1])
    others = np.empty(tally.events.shape)
    # half an event in all: the log-odds of what never happened are far down, and finite
    events, assessed = tally.events + 0.5 / len(x), tally.assessed + 1.0 / len(x)
    facts = [_Fact(x, events[:, i], assessed[:, i], episodes, known[:, i]) for i, episodes in enumerate(tally.episodes)]
    with ThreadPoolExecutor() as pool:
        for i, best in enumerate(pool.map(_Fact.fit, facts)):
            coefficients[:, i] = np.concatenate([[best.surface.level], best.surface.slopes])
            error[i], others[:, i] = best.error, best.odds
    return Emulator(coefficients, error), others


@dataclass(frozen=True, slots=True)
class Combined:
    """Of each set and fact, (n, facts): mean `rate` and its `variance`, and which part of what is known is `counted`."""

    rate: FloatArray
    variance: FloatArray
    counted: FloatArray


def combine(odds: FloatArray, error: FloatArray, tally: Tally) -> Combined:
    """Rates whose log-odds (n, facts) are known up to a normal error (facts,), and that are then counted."""
    rate, variance, counted = (np.empty(odds.shape) for _ in range(3))
    for i, episodes in enumerate(tally.episodes):
        fact = _Fact(np.zeros((len(odds), 0)), tally.events[:, i], tally.assessed[:, i], episodes, odds[:, i])
        rate[:, i], variance[:, i], counted[:, i] = fact.combine(float(error[i]))
    return Combined(rate, variance, counted)


@dataclass(frozen=True, slots=True)
class _Surface:
    """Log-odds `level` + features x `slopes` (F,), and how far each set is `off` it (n,)."""

    level: float
    slopes: FloatArray
    off: FloatArray

    def towards(self, other: _Surface, part: float) -> _Surface:
        return _Surface(
            self.level + part * (other.level - self.level),
            self.slopes + part * (other.slopes - self.slopes),
            self.off + part * (other.off - self.off),
        )


@dataclass(frozen=True, slots=True)
class _Tried:
    """A surface, the left-out log-odds `odds` (n,), and the `error` with which the counts are most `likely` about these."""

    surface: _Surface
    odds: FloatArray
    error: float
    likely: float


@dataclass(frozen=True, slots=True)
class _Fact:
    """Counts (n,) of one fact over features `x` (n, F), and the log-odds `before` (n,) that are known already."""

    x: FloatArray
    events: FloatArray
    assessed: FloatArray
    episodes: bool
    before: FloatArray

    def fit(self) -> _Tried:
        """The surface of the choice with which what was left out is more likely than with the choices next to it."""
        best = (len(PENALTIES) // 2, len(ROUGH) // 2)
        flat = _Surface(self._start(), np.zeros(self.x.shape[1]), np.zeros(len(self.x)))
        tried = {best: self._try(flat, best)}
        while True:
            i, j = best
            for at in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if at not in tried and 0 <= at[0] < len(PENALTIES) and 0 <= at[1] < len(ROUGH):
                    tried[at] = self._try(tried[best].surface, at)
            if best == (best := max(tried, key=lambda at: tried[at].likely)):
                break
        return tried[best]

    def _try(self, start: _Surface, at: tuple[int, int]) -> _Tried:
        penalty, rough = PENALTIES[at[0]], ROUGH[at[1]]
        surface = self._settle(start, penalty, rough)
        odds = self._leave_out(surface, penalty, rough)
        error = self._find_error(odds)
        return _Tried(surface, odds, error, self._likely(odds, error))

    def _settle(self, surface: _Surface, penalty: float, rough: float) -> _Surface:
        """The most likely surface and what each set is off it, both under normal penalties (penalised quasi-likelihood:
        Breslow NE, Clayton DG. J Am Stat Assoc 1993;88:9-25), by Newton's method; it is concave, so that a step that is
        short enough climbs."""

        def height(at: _Surface) -> float:
            odds = self._odds(at) + at.off
            lost = penalty * (at.slopes @ at.slopes) + (at.off @ at.off) / rough**2
            return float(np.sum(self._log_chance(odds, self.events, self.assessed)) - 0.5 * lost)

        here = height(surface)
        for _ in range(_STEPS):
            target, weight = self._linearise(surface, rough)
            middle, mean = np.average(self.x, axis=0, weights=weight), np.average(target, weights=weight)
            root = np.sqrt(weight)
            slopes = _ridge(root[:, None] * (self.x - middle), root * (target - mean), penalty)
            level = float(mean - middle @ slopes)
            aim = _Surface(level, slopes, rough**2 * weight * (target - level - self.x @ slopes))
            moved = float(np.max(np.abs(self._odds(aim) + aim.off - self._odds(surface) - surface.off)))
            part = 1.0
            for _ in range(_HALVINGS):
                there = surface.towards(aim, part)
                above = height(there)
                if above >= here - 1e-9 * abs(here):
                    break
                part *= 0.5
            surface, here = there, above
            if moved < _CLOSE:
                return surface
        found = f"it still moves by {moved:.2g} after {_STEPS} steps"
        raise TrialrunError(
            Problem("no-emulator", "the emulator of a fact does not come to rest", found, "more --design")
        )

    def _leave_out(self, surface: _Surface, penalty: float, rough: float) -> FloatArray:
        """The log-odds (n,) of each set as the others say, without fitting again: what it is off, over what its own weight leaves
        of that. The surface has settled with this penalty, on which the linearised counts rest."""
        target, weight = self._linearise(surface, rough)
        middle = np.average(self.x, axis=0, weights=weight)
        own = _leverage(np.sqrt(weight)[:, None] * (self.x - middle), penalty) + weight / weight.sum()
        left = (target - surface.level - self.x @ surface.slopes) / (1.0 - own)
        return np.asarray(np.clip(self.before + target - left, -_FURTHEST, _FURTHEST))

    def _find_error(self, odds: FloatArray) -> float:
        """The standard deviation about these log-odds (n,) with which the counts are most likely."""

        def unlikely(log_error: float) -> float:
            return -self._likely(odds, float(np.exp(log_error)))

        found = minimize_scalar(unlikely, bounds=np.log(ERRORS), method="bounded", options={"xatol": 0.02})
        return float(np.exp(found.x))

    def combine(self, error: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean and variance of the rate (n,), and the part of the curvature that is the count's own."""
        at, logs, width = self._weigh(self.before, error)
        chance = np.exp(logs - logs.max(axis=1, keepdims=True)) * _CHANCE
        chance /= chance.sum(axis=1, keepdims=True)
        rates = np.exp(at) if self.episodes else expit(at)
        mean = np.sum(chance * rates, axis=1)
        variance = np.sum(chance * (rates - mean[:, None]) ** 2, axis=1)
        return mean, variance, 1.0 - (width / error) ** 2

    def _likely(self, odds: FloatArray, error: float) -> float:
        """Log-likelihood of counts whose log-odds are normal about `odds` (n,), up to a constant."""
        _, logs, width = self._weigh(odds, error)
        return float(np.sum(logsumexp(logs, axis=1, b=_CHANCE) + np.log(width / error)))

    def _weigh(self, odds: FloatArray, error: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Gauss-Hermite quadrature about the most likely log-odds of each set: points (n, k), the logarithm of likelihood and
        normal density there over that of the rule, and the `width` (n,) of the rule."""
        best = _most_likely(odds, error, self.events, self.assessed, self.episodes)
        width = 1.0 / np.sqrt(_moments(best, self.assessed, self.episodes)[1] + 1.0 / error**2)
        at = best[:, None] + width[:, None] * _POINTS
        logs = self._log_chance(at, self.events[:, None], self.assessed[:, None])
        logs += 0.5 * (_POINTS**2 - ((at - odds[:, None]) / error) ** 2)
        return at, logs, width

    def _log_chance(self, odds: FloatArray, events: FloatArray, assessed: FloatArray) -> FloatArray:
        if self.episodes:
            return np.asarray(events * odds - assessed * np.exp(np.minimum(odds, _FURTHEST)))
        return np.asarray(events * odds + assessed * log_expit(-odds))

    def _odds(self, surface: _Surface) -> FloatArray:
        """Of the surface itself, (n,)."""
        return np.asarray(self.before + surface.level + self.x @ surface.slopes)

    def _linearise(self, surface: _Surface, rough: float) -> tuple[FloatArray, FloatArray]:
        """What the surface should be at each set to first order, less what is known before, and its weight, (n,) each."""
        odds = np.clip(self._odds(surface) + surface.off, -_FURTHEST, _FURTHEST)
        mean, curve = _moments(odds, self.assessed, self.episodes)
        return odds - self.before + (self.events - mean) / curve, 1.0 / (1.0 / curve + rough**2)

    def _start(self) -> float:
        """What is to be added to all log-odds for so many events in all, about."""
        events, total = self.events.sum(), self.assessed.sum()
        before = np.minimum(self.before, _FURTHEST)
        if self.episodes:
            return float(np.log(events / (self.assessed @ np.exp(before))))
        said = self.assessed @ expit(before)
        return float(np.log(events / (total - events)) - np.log(said / (total - said)))


def _moments(odds: FloatArray, assessed: FloatArray, episodes: bool) -> tuple[FloatArray, FloatArray]:
    """Mean and variance (n,) of counts."""
    if episodes:
        mean = assessed * np.exp(odds)
        return mean, mean
    return assessed * expit(odds), assessed * expit(odds) * expit(-odds)


def _most_likely(
    said: FloatArray, error: float, events: FloatArray, assessed: FloatArray, episodes: bool
) -> FloatArray:
    """The log-odds (n,) that are most likely where they are normal about `said` and so much was counted; by bisection."""
    # between what is said and the first step of Newton's method, were there no curvature
    reach = error**2 * (events - _moments(said, assessed, episodes)[0])
    low, high = said + np.minimum(reach, 0.0), said + np.maximum(reach, 0.0)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        up = events - _moments(middle, assessed, episodes)[0] > (middle - said) / error**2
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return np.asarray(0.5 * (low + high))


def _ridge(rows: FloatArray, right: FloatArray, penalty: float) -> FloatArray:
    """Coefficients (F,) of least squares of `right` (n,) by `rows` (n, F) with this penalty of their squares."""
    n, f = rows.shape
    if n >= f:
        return np.asarray(solve(rows.T @ rows + penalty * np.eye(f), rows.T @ right, assume_a="pos"))
    return np.asarray(rows.T @ solve(rows @ rows.T + penalty * np.eye(n), right, assume_a="pos"))


def _leverage(rows: FloatArray, penalty: float) -> FloatArray:
    """What each of `rows` (n, F) adds to its own fitted value in ridge regression, (n,)."""
    n, f = rows.shape
    if n >= f:
        half = solve_triangular(cholesky(rows.T @ rows + penalty * np.eye(f), lower=True), rows.T, lower=True)
        return np.asarray((half**2).sum(axis=0))
    inside = rows @ rows.T
    return np.asarray(1.0 - penalty * np.diagonal(np.linalg.inv(inside + penalty * np.eye(n))))

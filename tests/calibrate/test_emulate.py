"""The stand-in for the simulation, and what it says of sensitivity."""

from __future__ import annotations

import numpy as np
import pytest

from trialrun.calibrate.emulate import features, fit_emulator
from trialrun.calibrate.run import _sensitivity


def _quadratic(scores: np.ndarray) -> np.ndarray:
    a, b, c = scores.T
    return np.asarray(0.4 + 0.8 * a - 0.5 * b + 0.3 * a * b + 0.2 * c**2)


def test_a_quadratic_is_learnt_through_noise() -> None:
    luck = np.random.default_rng(1)
    scores, new = luck.standard_normal((400, 3)), luck.standard_normal((200, 3))
    noise = np.full((400, 1), 0.05)
    emulator = fit_emulator(scores, _quadratic(scores)[:, None] + luck.normal(0, 0.05**0.5, (400, 1)), noise)
    left = emulator.predict(new)[:, 0] - _quadratic(new)
    assert np.sqrt(np.mean(left**2)) < 0.06
    assert emulator.error[0] < 0.08


def test_what_is_no_quadratic_is_told_as_error() -> None:
    luck = np.random.default_rng(2)
    scores, new = luck.standard_normal((500, 3)), luck.standard_normal((2000, 3))

    def wavy(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.sin(3 * x[:, :1]))

    emulator = fit_emulator(scores, wavy(scores), np.full((500, 1), 1e-3))
    real = float(np.sqrt(np.mean((emulator.predict(new) - wavy(new)) ** 2)))
    assert emulator.error[0] == pytest.approx(real, rel=0.2)
    assert real > 0.5


def test_sensitivity_is_that_of_a_second_way_of_counting() -> None:
    """Sobol indices by sampling (Saltelli 2010 and Jansen 1999) against the closed form of a quadratic."""
    luck, n = np.random.default_rng(3), 200_000
    here, there = luck.standard_normal((n, 3)), luck.standard_normal((n, 3))
    at, to = _quadratic(here), _quadratic(there)
    variance = np.var(np.concatenate([at, to]))
    x = luck.standard_normal((400, 3))
    coefficients = np.linalg.lstsq(features(x), _quadratic(x), rcond=None)[0]
    found = _sensitivity(coefficients, ["a", "b", "c"])
    for i, name in enumerate(found):
        mixed = here.copy()
        mixed[:, i] = there[:, i]
        moved = _quadratic(mixed)
        first, total = np.mean(to * (moved - at)) / variance, 0.5 * np.mean((at - moved) ** 2) / variance
        assert found[name] == pytest.approx([first, total], abs=0.02)

"""Where a result comes from: hashes of the inputs, versions, every option, what was estimated on the way."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from trialrun import __version__
from trialrun.analysis.expression.comparison import Comparison, ComparisonRequest
from trialrun.analysis.expression.model import Model
from trialrun.analysis.expression.options import SignatureOptions


def describe_run(
    expression: Path,
    samples: Path,
    request: ComparisonRequest,
    options: SignatureOptions,
    comparison: Comparison,
    model: Model,
) -> dict[str, object]:
    """Plain values for JSON. No clock is read, so that equal inputs give equal files."""
    prior = model.moderated.prior
    inputs = {"expression": expression, "samples": samples}
    inputs |= {f"sets_{i + 1}": path for i, path in enumerate(options.sets)}
    if options.mapping is not None:
        inputs["genes"] = options.mapping
    return {
        "program": "trialrun",
        "version": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in ("numpy", "scipy", "polars")},
        "inputs": {role: {"file": path.name, "sha256": _digest(path)} for role, path in inputs.items()},
        "request": _plain(asdict(request)),
        "options": _plain(asdict(options)),
        "random_numbers": "none are drawn; there is no seed",
        "comparison": {
            "group": comparison.group,
            "after": comparison.after,
            "before": comparison.before,
            "samples": len(comparison.is_after),
            "subjects": len(set(comparison.subjects)),
            "scale": comparison.matrix.scale,
            "design_columns": list(comparison.columns),
        },
        "estimated": {
            "rows_tested": int(model.tested.sum()),
            "residual_df": _number(float(np.max(model.fit.df_residual))),
            "prior_df": _number(prior.common_df),
            "prior_variance": _number(prior.typical_variance),
            "subject_correlation": None if model.block is None else model.block.correlation,
        },
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _number(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Path) else value

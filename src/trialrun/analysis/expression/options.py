"""The choices of an expression analysis, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trialrun.analysis.expression.gene_names import SeveralProbes
from trialrun.analysis.expression.matrix import Scale
from trialrun.analysis.expression.model import CountFilter
from trialrun.vocab.problems import Problem, TrialrunError


@dataclass(frozen=True, slots=True)
class SignatureOptions:
    """Choices of an analysis. `alpha` is the false discovery rate of the signature's genes, `confidence` the level of
    the intervals. `set_correlation` is the preset inter-gene correlation, None = estimated for each set.
    """

    scale: Scale | None = None
    id_column: str | None = None
    sample_column: str | None = None
    layer: str | None = None
    mapping: Path | None = None
    gene_column: str | None = None
    several_probes: SeveralProbes = "each"
    trend: bool = False
    robust: bool = False
    count_filter: CountFilter = "group"
    sets: tuple[Path, ...] = ()
    smallest_set: int = 10
    largest_set: int = 5000
    set_correlation: float | None = 0.01
    alpha: float = 0.05
    confidence: float = 0.95
    response: str | None = None
    responder: str | None = None
    genes_shown: tuple[str, ...] = ()


def check_options(options: SignatureOptions) -> None:
    """Raise when a choice lies outside its range."""
    ranges = (
        ("alpha", options.alpha, 0.0, 1.0),
        ("confidence", options.confidence, 0.0, 1.0),
        ("set correlation", options.set_correlation, -0.0001, 1.0),
    )
    for name, value, low, high in ranges:
        if value is not None and not low < value < high:
            raise TrialrunError(
                Problem("option-out-of-range", f"the {name} must lie between 0 and 1", found=f"{value:g}")
            )
    if not 1 <= options.smallest_set <= options.largest_set:
        raise TrialrunError(
            Problem(
                "option-out-of-range",
                "the smallest set must have at least one gene and no more than the largest",
                found=f"{options.smallest_set} to {options.largest_set}",
            )
        )

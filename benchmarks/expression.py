"""Speed of the moderated paired model: 50,000 probes x 200 samples on one core, beside limma where R has it.

    python benchmarks/expression.py [genes] [samples]

Target: under 2 s and 1 GB. limma runs on the same numbers in the same run; the script stops if the answers differ by
more than 1e-6 relative. Also timed: counts (voom), gene sets, missing values.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

from trialrun.analysis.expression.counts import compute_normalization_factors, compute_precision_weights
from trialrun.analysis.expression.enrichment import compute_camera
from trialrun.analysis.expression.fit import Block, fit_contrast
from trialrun.analysis.expression.moderation import compute_moderated, compute_q_values, compute_t_as_z

_LIMMA = r"""
suppressMessages(library(limma))
a <- commandArgs(TRUE); genes <- as.integer(a[2]); samples <- as.integer(a[3])
y <- matrix(readBin(a[1], "double", genes * samples), genes, byrow = TRUE)
subject <- factor(rep(seq_len(samples / 2), each = 2)); time <- factor(rep(0:1, samples / 2))
seconds <- system.time({
  fit <- eBayes(lmFit(y, model.matrix(~ subject + time))); k <- ncol(fit$t)
  q <- p.adjust(fit$p.value[, k], "BH") })[["elapsed"]]
writeBin(c(seconds, fit$t[, k]), a[4])
memory <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
cat(as.numeric(gsub("[^0-9]", "", memory)) / 1024)
"""


def make_pairs(genes: int, samples: int) -> np.ndarray:
    """Made-up log2 values with subject effects, gene-wise variances and 5 % changed genes."""
    generator = np.random.Generator(np.random.Philox(11))
    sd = 0.3 * np.sqrt(8 / generator.chisquare(8, genes))
    values = generator.uniform(4, 12, genes)[:, None] + np.repeat(generator.normal(0, 0.5, (genes, samples // 2)), 2, 1)
    values += generator.normal(0, 1, (genes, samples)) * sd[:, None]
    values[: genes // 20, 1::2] += 0.4
    return values


def timed(name: str, work: Callable[[], object], repeats: int = 3) -> float:
    """Best of some runs, printed with the peak memory of the process so far."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<58} {best:8.3f} s   peak {peak:6.0f} MB")
    return best


def main(genes: int = 50_000, samples: int = 200) -> None:
    """Run all parts and print one line each."""
    values = make_pairs(genes, samples)
    block = Block(np.repeat(np.arange(samples // 2), 2))
    design, contrast = np.tile([0.0, 1.0], samples // 2)[:, None], np.ones(1)

    def paired() -> np.ndarray:
        moderated = compute_moderated(fit_contrast(values, design, contrast, block=block))
        compute_q_values(moderated.p_value)
        return moderated.t

    ours = timed(f"paired moderated t, {genes:,} x {samples}", paired)
    _beside_limma(values, paired(), ours)
    fit = fit_contrast(values, design, contrast, block=block)
    timed("  the same, trend and robust prior", lambda: compute_moderated(fit, trend=True, robust=True), 1)
    holes = values.copy()
    holes[::10, 3] = np.nan
    timed(
        "  the same, a tenth of the genes with a missing value",
        lambda: fit_contrast(holes, design, contrast, block=block),
        1,
    )
    moderated = compute_moderated(fit)
    z = compute_t_as_z(moderated.t, moderated.df_total)
    members = sparse.random_array((5000, genes), density=100 / genes, rng=np.random.default_rng(3), format="csr")
    members.data[:] = 1.0
    timed(
        "camera, 5,000 sets of about 100 genes", lambda: compute_camera(z, sparse.csr_matrix(members), 0.01, genes - 2)
    )
    counts = np.random.Generator(np.random.Philox(12)).poisson(2.0 ** (values[:20_000] - 2)).astype(np.float64)
    library = counts.sum(axis=0) * compute_normalization_factors(counts)

    def voom() -> object:
        weighted = compute_precision_weights(counts, library, design, block)
        return compute_moderated(fit_contrast(weighted.values, design, contrast, weighted.weights, block))

    timed(f"voom and weighted moderated t, {len(counts):,} x {samples} counts", voom, 1)


def _beside_limma(values: np.ndarray, t: np.ndarray, ours: float) -> None:
    if shutil.which("Rscript") is None:
        print("  limma: R is not installed here, not compared")
        return
    with tempfile.TemporaryDirectory() as folder:
        data, answer = Path(folder) / "values", Path(folder) / "answer"
        values.tofile(data)
        shape = [str(n) for n in values.shape]
        run = subprocess.run(
            ["Rscript", "-e", _LIMMA, str(data), *shape, str(answer)], capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            print(f"  limma: did not run ({run.stderr.strip().splitlines()[-1] if run.stderr else 'no message'})")
            return
        theirs = np.fromfile(answer)
    worst = float(np.max(np.abs(t / theirs[1:] - 1)))
    print(
        f"  limma on the same numbers{theirs[0]:41.3f} s   peak {float(run.stdout):6.0f} MB   "
        f"{theirs[0] / ours:.1f} x ours"
    )
    print(f"  largest relative difference of t: {worst:.1e}")
    if worst > 1e-6:
        sys.exit("the answers differ")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))

"""Make the example tables: 400 real gene names, made-up log2 values of eight made-up subjects before and on a drug.

    python examples/expression/make_example.py

No subject is real. Actin and adhesion genes are planted to fall and interferon genes to rise, more in responders.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from trialrun.analysis.expression.gene_sets import read_shipped_gene_sets

FOLDER = Path(__file__).parent
SUBJECTS, RESPONDERS = 8, 4
DOWN, UP = ("GO:0030041", "GO:0007159"), ("GO:0060337",)
OTHERS = ("GO:0006412", "GO:0006281", "GO:0006119", "GO:0050853", "GO:0042254", "GO:0016055")


def main() -> None:
    """Write expression.csv and samples.csv beside this file."""
    generator = np.random.Generator(np.random.Philox(2009))
    sets = read_shipped_gene_sets()
    members = {name: sorted(genes) for name, genes in zip(sets.names, sets.members, strict=True)}
    planted_down = sorted({gene for name in DOWN for gene in members[name][::5]})
    planted_up = [gene for name in UP for gene in members[name][::2] if gene not in planted_down]
    rest = [gene for name in OTHERS for gene in members[name] if gene not in {*planted_down, *planted_up}]
    genes = [*planted_down, *planted_up, *dict.fromkeys(rest)][:400]
    effect = np.zeros(len(genes))
    effect[: len(planted_down)] = -generator.uniform(0.4, 1.4, len(planted_down))
    effect[len(planted_down) : len(planted_down) + len(planted_up)] = generator.uniform(0.5, 2.0, len(planted_up))
    strength = np.where(np.arange(SUBJECTS) < RESPONDERS, 1.2, 0.6)
    sd = 0.25 * np.sqrt(6 / generator.chisquare(6, len(genes)))
    before = generator.uniform(4, 12, len(genes))[:, None] + generator.normal(0, 0.5, (len(genes), SUBJECTS))
    after = before + effect[:, None] * strength
    before = before + generator.normal(0, 1, before.shape) * sd[:, None]
    after = after + generator.normal(0, 1, after.shape) * sd[:, None]
    subjects = [f"SUBJ{i + 1:02d}" for i in range(SUBJECTS)]
    table = pl.DataFrame({"gene": genes})
    rows = []
    for i, subject in enumerate(subjects):
        for visit, values in (("before", before), ("after", after)):
            sample = f"{subject}_{visit}"
            table = table.with_columns(pl.Series(sample, np.round(values[:, i], 3)))
            rows.append((sample, subject, visit, "responder" if i < RESPONDERS else "non-responder"))
    table.sort("gene").write_csv(FOLDER / "expression.csv")
    pl.DataFrame(rows, schema=["sample", "subject", "visit", "response"], orient="row").write_csv(
        FOLDER / "samples.csv"
    )


if __name__ == "__main__":
    main()

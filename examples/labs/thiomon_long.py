"""Turn the wide table of blood samplings into the long table that `trialrun grade` reads.

    python examples/labs/thiomon_long.py labs.csv
    trialrun grade labs.csv --criteria ctcae-5.0
    trialrun grade labs.csv --criteria ctcae-5.0 --limits examples/labs/assumed_limits.csv

One row of `thiomon.parquet` is one sampling without an identity of the subject: each becomes a subject of its own.
Counts of cells are white cells x percent / 100, as the origin of the data says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

HERE = Path(__file__).parent

# Column of the wide table, test, unit (US conventional units, as the origin of the data says).
COLUMNS = (
    ("wbc", "leukocytes", "10*9/L"),
    ("hgb", "hemoglobin", "g/dL"),
    ("plt", "platelets", "10*9/L"),
    ("sod", "sodium", "mmol/L"),
    ("pot", "potassium", "mmol/L"),
    ("co2", "bicarbonate", "mmol/L"),
    ("creat", "creatinine", "mg/dL"),
    ("gluc", "glucose", "mg/dL"),
    ("cal", "calcium", "mg/dL"),
    ("alb", "albumin", "g/dL"),
    ("ast", "ast", "U/L"),
    ("alt", "alt", "U/L"),
    ("alk", "alp", "U/L"),
    ("tbil", "bilirubin", "mg/dL"),
)
SHARES = (("neut_percent", "neutrophils"), ("lymph_percent", "lymphocytes"), ("eos_percent", "eosinophils"))


def read_panels(path: Path = HERE / "thiomon.parquet") -> pl.DataFrame:
    """The samplings as a long table: subject, date (age in days), test, value, unit; an empty cell stays a row."""
    wide = pl.read_parquet(path).with_columns(
        pl.format("panel-{}", pl.int_range(1, pl.len() + 1)).alias("subject"),
        pl.col("days_of_life").alias("date"),
        *((pl.col("wbc") * pl.col(share) / 100).alias(test) for share, test in SHARES),
    )
    tests = [*COLUMNS, *((test, test, "10*9/L") for _, test in SHARES)]
    return pl.concat(
        wide.select(
            "subject",
            "date",
            pl.lit(test).alias("test"),
            pl.col(column).cast(pl.Float64).alias("value"),
            pl.lit(unit).alias("unit"),
        )
        for column, test, unit in tests
    )


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "labs.csv")
    table = read_panels()
    table.write_csv(out)
    print(f"{table.height} results of {table['subject'].n_unique()} samplings: {out}")

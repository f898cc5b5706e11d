"""What is wrong or doubtful in a table of results, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

SCHEMA = {"row": pl.Int64, "code": pl.String, "message": pl.String, "found": pl.String}


@dataclass(slots=True)
class Findings:
    """Findings as they are made; rows are indices from 0 here and counted from 1 in the table that comes out."""

    parts: list[pl.DataFrame] = field(default_factory=list)

    def add(self, rows: NDArray[np.intp], code: str, message: str, found: object = None) -> None:
        """The same finding for several rows; `found` is one text for all or an array with one value each."""
        if len(rows) == 0:
            return
        if isinstance(found, np.ndarray):
            shown = pl.Series("found", found.astype(np.float64)).cast(pl.String)
        else:
            shown = pl.Series("found", [None if found is None else str(found)], dtype=pl.String).new_from_index(
                0, len(rows)
            )
        self.parts.append(
            pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64) + 1}).with_columns(
                pl.lit(code).alias("code"), pl.lit(message).alias("message"), shown
            )
        )

    def add_not_numbers(self, cells: pl.DataFrame) -> None:
        """The cells that hold text where a number belongs."""
        if cells.height:
            self.parts.append(
                cells.select(
                    "row",
                    pl.lit("not-a-number").alias("code"),
                    pl.format("text where a number belongs, column {}", "column").alias("message"),
                    "found",
                )
            )

    def as_frame(self) -> pl.DataFrame:
        """All findings, by row."""
        empty: dict[str, Any] = {name: [] for name in SCHEMA}
        return pl.concat([pl.DataFrame(empty, schema=SCHEMA), *self.parts]).sort("row", maintain_order=True)

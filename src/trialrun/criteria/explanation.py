"""Why a verdict is what it is: deciding sentences with their values, what is missing, what would change it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Explanation:
    """Sentences without a final full stop.

    `decided_by` the criteria that decided, with the values they used; `missing` what was not assessed or not known and
    could matter; `would_change` what would make another verdict; `notes` how the criteria were read.
    """

    decided_by: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def number(value: float, unit: str = "") -> str:
    """A value as it is read aloud: six significant digits, its unit."""
    text = f"{value:.6g}"
    return f"{text} {unit}".strip() if unit not in ("", "1") else text

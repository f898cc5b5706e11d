"""Short names of versions for a page: what all of them share is said once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run

_PLAIN = "published"  # the version name of a study that has one version and no amendment


def short_names(versions: Sequence[str]) -> dict[str, str]:
    """`lenalidomide-25mg@published` beside `lenalidomide-cll@amendment-1`: `25mg` and `cll@amendment-1`.

    The words that all studies start with are left out, and a version called `published`. Names that are no
    study@version, or would no longer differ, stay as they are.
    """
    same = {name: name for name in versions}
    parts = [name.rsplit("@", 1) for name in versions]
    if len(parts) < 2 or any(len(part) != 2 for part in parts):
        return same
    words = [study.split("-") for study, _ in parts]
    shared = len(list(takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))))
    shared = min(shared, *(len(one) - 1 for one in words))
    short = [
        "-".join(one[shared:]) + ("" if version == _PLAIN else f"@{version}")
        for one, (_, version) in zip(words, parts, strict=True)
    ]
    return dict(zip(versions, short, strict=True)) if len(set(short)) == len(short) else same


def rename_run(run: Run, names: Mapping[str, str]) -> Run:
    """The run with these names of its versions; folders stay."""
    return replace(run, versions=tuple(replace(info, version=names[info.version]) for info in run.versions))


def rename_rows(rows: Sequence[Row], names: Mapping[str, str]) -> list[Row]:
    """The rows with these names; an order of versions is renamed within its category."""
    renamed = []
    for row in rows:
        category = row.category
        if row.statistic == "order" and category is not None:
            category = ", then ".join(names.get(name, name) for name in category.split(", then "))
        reference = None if row.reference is None else names.get(row.reference, row.reference)
        version = names.get(row.version, row.version)
        renamed.append(replace(row, version=version, reference=reference, category=category))
    return renamed

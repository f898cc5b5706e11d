"""Gene sets from GMT files, and the small Gene Ontology selection that ships (CC BY 4.0, see data/NOTICE.txt)."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from trialrun.vocab.problems import Location, Problem, TrialrunError


@dataclass(frozen=True, slots=True)
class GeneSets:
    """Named sets of gene symbols; `themes` groups the shipped terms (cytoskeleton, immune, ...), None elsewhere."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    members: tuple[frozenset[str], ...]
    themes: tuple[str | None, ...]
    source: str
    notes: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Membership:
    """Sets of usable size in a universe: `matrix` (sets, genes) of 0 and 1, `kept` their places among the sets."""

    matrix: sparse.csr_matrix
    kept: NDArray[np.int64]
    notes: tuple[Problem, ...]


def read_shipped_gene_sets() -> GeneSets:
    """78 Gene Ontology terms on cytoskeleton, immunity, cell cycle, cell death and ubiquitin ligases."""
    folder = files("trialrun.analysis.expression").joinpath("data")
    text = folder.joinpath("go_selected.gmt").read_text(encoding="utf-8")
    return _parse(text, "Gene Ontology selection, release 2022-07-01 (shipped)", None)


def read_gene_sets(path: Path) -> GeneSets:
    """A GMT file, gzip or not: name, description and genes, separated by tabs, one set a line."""
    if not path.is_file():
        raise TrialrunError(Problem("no-such-file", "there is no such file of gene sets", found=str(path)))
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (UnicodeDecodeError, OSError, EOFError):
        raise TrialrunError(
            Problem("unreadable-gene-sets", "the file of gene sets is not text", location=Location(file=str(path)))
        ) from None
    return _parse(text, path.name, path)


def _parse(text: str, source: str, path: Path | None) -> GeneSets:
    folder = files("trialrun.analysis.expression").joinpath("data")
    rows = csv.DictReader(folder.joinpath("go_themes.csv").read_text(encoding="utf-8").splitlines())
    themes = {row["set"]: row["theme"] for row in rows}
    found: dict[str, tuple[str, frozenset[str]]] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        location = Location(file=source if path is None else str(path), line=number)
        fields = [field.strip() for field in line.split("\t")]
        genes = frozenset(field.split(",")[0] for field in fields[2:] if field)
        if len(fields) < 3 or not fields[0]:
            problems.append(
                Problem(
                    "bad-gene-set",
                    "a line of a GMT file is a name, a description and genes, separated by tabs",
                    found=line[:60],
                    location=location,
                )
            )
        elif fields[0] in found and found[fields[0]][1] != genes:
            problems.append(Problem("duplicate-gene-set", "two sets have one name", found=fields[0], location=location))
        else:
            found[fields[0]] = (fields[1], genes)
    if problems:
        raise TrialrunError(problems[:20])
    if not found:
        raise TrialrunError(Problem("no-gene-sets", "the file has no gene set", location=Location(file=source)))
    names = tuple(found)
    return GeneSets(
        names,
        tuple(found[name][0] for name in names),
        tuple(found[name][1] for name in names),
        tuple(themes.get(name) for name in names),
        source,
    )


def find_members(sets: GeneSets, symbols: Sequence[str | None], smallest: int, largest: int) -> Membership:
    """Which genes of the universe each set holds; sets outside the sizes are left out and counted in the notes."""
    place = {symbol: i for i, symbol in enumerate(symbols) if symbol is not None}
    rows = [sorted(place[gene] for gene in genes if gene in place) for genes in sets.members]
    sizes = np.array([len(row) for row in rows])
    kept = np.flatnonzero((sizes >= smallest) & (sizes <= largest) & (sizes < len(symbols)))
    notes = []
    if len(kept) < len(sizes):
        small, large = int((sizes < smallest).sum()), int((sizes > largest).sum())
        text = (
            f"{len(kept)} sets tested; {small} with fewer than {smallest} and {large} with more than {largest} "
            "measured genes are not"
        )
        notes.append(Problem("set-sizes", text, location=Location(file=sets.source), severity="note"))
    chosen = [rows[i] for i in kept]
    lengths = [len(row) for row in chosen]
    indices = np.concatenate([np.array(row, dtype=np.int64) for row in chosen]) if chosen else np.empty(0, np.int64)
    pointers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    matrix = sparse.csr_matrix((np.ones(len(indices)), indices, pointers), shape=(len(chosen), len(symbols)))
    return Membership(matrix, kept, tuple(notes))

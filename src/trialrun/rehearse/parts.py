"""Finished chunks of a run on disk: each is there whole or not at all, so that an interrupted run goes on from them.

A chunk is a folder `FIRST-N` with one Parquet file a table and `chunk.json`. It is written under another name and renamed
when it is complete. Merged files have row groups of one size, so that their bytes do not show how they were cut.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp

import polars as pl

from trialrun.vocab.problems import Location, Problem, TrialrunError

PARTS = "parts"  # the folder of chunks within a run directory
ROWS = 65_536  # of a row group
_SPEC, _CHUNK = "spec.json", "chunk.json"


@dataclass(frozen=True, slots=True)
class Parts:
    """The chunks of one run; `about` says what decides its results, `spec` is short for it."""

    folder: Path
    spec: str
    about: Mapping[str, str]

    def kept(self, arm: str) -> list[tuple[int, int]]:
        """The chunks of an arm that are there, as (first subject, how many), in order."""
        found = []
        for path in sorted((self.folder / arm).glob("*-*")):
            first, _, n = path.name.partition("-")
            if first.isdigit() and n.isdigit() and self._is_whole(path):
                found.append((int(first), int(n)))
        return found

    def _is_whole(self, path: Path) -> bool:
        try:
            said = json.loads((path / _CHUNK).read_text(encoding="utf-8"))
            sizes = {name: (path / f"{name}.parquet").stat().st_size for name in said["bytes"]}
        except (OSError, json.JSONDecodeError, KeyError, TypeError):
            return False
        return bool(said["spec"] == self.spec and sizes == said["bytes"])

    def missing(self, arm: str, total: int, chunk: int) -> Iterator[tuple[int, int]]:
        """What is to be done for subjects 0 to total - 1, as (first, how many), at most `chunk` at once."""
        at = 0
        for first, n in (*self.kept(arm), (total, 0)):
            for start in range(at, first, chunk):
                yield start, min(chunk, first - start)
            at = first + n

    def keep(self, arm: str, first: int, n: int, tables: Mapping[str, bytes]) -> None:
        """Keep a finished chunk: its tables by name, as `write_table` makes them. One that is there already stays."""
        folder = self.folder / arm
        try:
            folder.mkdir(parents=True, exist_ok=True)
            new = Path(mkdtemp(prefix="new.", dir=folder))
            for name, content in tables.items():
                (new / f"{name}.parquet").write_bytes(content)
            said = {"spec": self.spec, "bytes": {name: len(content) for name, content in tables.items()}}
            (new / _CHUNK).write_text(json.dumps(said) + "\n", encoding="utf-8")
            target = folder / f"{first:012d}-{n}"
            if target.exists() and not self._is_whole(target):
                shutil.rmtree(target)
            if target.exists():
                shutil.rmtree(new)
            else:
                new.rename(target)
        except OSError as error:
            raise cannot_write(folder, error) from None

    def merge(self, arm: str, total: int, targets: Mapping[str, Path]) -> None:
        """Write each table of an arm to its target, the subjects in their order. Chunks that are missing are an error."""
        chunks = self.kept(arm)
        at = 0
        for first, n in chunks:
            if first != at:
                break
            at += n
        if at != total:
            raise TrialrunError(
                Problem(
                    "missing-chunk",
                    "the chunks of the run do not follow each other",
                    f"subjects from {at} on are missing or there twice",
                    f"each of {total} subjects once",
                    Location(str(self.folder / arm)),
                )
            )
        for name, path in targets.items():
            files = [self.folder / arm / f"{first:012d}-{n}" / f"{name}.parquet" for first, n in chunks]
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.new")
            if len(files) == 1:  # written with the same row groups: the bytes are those of a merge
                shutil.copyfile(files[0], new)
            else:
                pl.scan_parquet(files).sink_parquet(new, maintain_order=True, row_group_size=ROWS)
            os.replace(new, path)

    def remove(self) -> None:
        """Remove the chunks: they are merged."""
        shutil.rmtree(self.folder)


def write_table(table: pl.DataFrame) -> bytes:
    """A table of a chunk as a Parquet file."""
    file = io.BytesIO()
    table.write_parquet(file, row_group_size=ROWS)
    return file.getvalue()


def name_spec(about: Mapping[str, str]) -> str:
    """A short name of what decides the results of a run."""
    return blake2b(json.dumps(dict(about)).encode(), digest_size=12).hexdigest()


def open_parts(folder: Path, about: Mapping[str, str], resume: bool) -> Parts:
    """The chunks in this folder: none to begin with, or with `resume` those of an interrupted run of the same request.

    `about` says in words all that decides the results; where another run was interrupted here, the error names what
    differs.
    """
    file, parts = folder / _SPEC, Parts(folder, name_spec(about), about)
    if resume and file.exists():
        old = json.loads(file.read_text(encoding="utf-8"))
        refuse_another(old, about, Location(str(file)))
        return parts
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps(dict(about), indent=1) + "\n", encoding="utf-8")
        os.replace(new, file)
    except OSError as error:
        raise cannot_write(folder, error) from None
    return parts


def refuse_another(old: Mapping[str, str], new: Mapping[str, str], where: Location) -> None:
    """A TrialrunError where a run that is to go on is not the one that was begun."""
    differs = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if differs:
        found, expected = ("; ".join(f"{name}: {said.get(name)}" for name in differs) for said in (old, new))
        message = "what is there belongs to another request; nothing was written"
        expected += ", as there; another --out; or no --resume, to begin anew"
        raise TrialrunError(Problem("another-run", message, found, expected, where))


def cannot_write(folder: Path, error: OSError) -> TrialrunError:
    """The error of a folder that cannot be made or filled."""
    said, right = error.strerror or str(error), "a folder that can be written"
    return TrialrunError(Problem("cannot-write", "the folder cannot be written", said, right, Location(str(folder))))

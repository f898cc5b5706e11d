"""A run directory: what `simulate` and `compare` leave behind, or the record of a real study."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from trialrun.analysis.plan_file import read_plan_file
from trialrun.record.tables import TABLES, schema
from trialrun.vocab.problems import Location, Problem, TrialrunError

Kind = Literal["simulate", "compare", "record"]
CTCAE = "3.0"  # where a run does not say: the version of the trial's years (assumed, as in the study file)
_NEEDED_TABLES = ("subjects", "findings", "exposures", "adverse_events", "dispositions", "visits")


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What the analysis must know of one version of the protocol.

    `levels_mg` are the dose levels (mg a day) in ascending order; `target_mg` the target dose (mg a day) or None
    where the protocol names none; the drug is planned on the first `days_on` days of each cycle of `cycle_days`
    days; `planned_mg` is the dose planned for each day counted from the first dose (index 0) for a subject whose dose
    is never modified, empty where it is not known or depends on what is found in the subject; `ctcae` names the version of
    CTCAE that grades laboratory values; `examines_marrow` says whether the marrow is examined where response asks for it
    (None: not known, then whether any was).
    """

    version: str
    folder: str
    hash: str | None = None
    levels_mg: tuple[float, ...] = ()
    target_mg: float | None = None
    days_on: int | None = None
    cycle_days: int | None = None
    planned_mg: tuple[float, ...] = ()
    ctcae: str = CTCAE
    examines_marrow: bool | None = None


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What run.json says of the parameter sets: how many, what they are worth, the counts that they were fitted to
    as (outcome, events, of), and how many of the sets the trials of the run have, where it says so."""

    sets: int
    effective_sample_size: float
    fitted: frozenset[tuple[str, int, int]]
    met: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The description of a run directory (`run.json`), or what can be said of a plain record directory.

    `subjects` counts the subjects of one trial, `trials` the trials, `cycles` the length simulated. `ensemble` says
    what the parameter sets of the trials were fitted to (`ensemble.json`), None where there is one set; `notices` say
    where protocol or population lie outside of what the model was fitted to; `other_people` that the published facts were
    not seen in such people as were simulated.
    """

    directory: Path
    kind: Kind
    study: str
    title: str | None
    versions: tuple[VersionInfo, ...]
    protocol_file: str | None = None
    protocol_hash: str | None = None
    population_hash: str | None = None
    seed: int | None = None
    subjects: int | None = None
    trials: int = 1
    cycles: int | None = None
    program_version: str | None = None
    made_on: str | None = None
    published: str | None = None
    record_hash: str | None = None
    ensemble: Ensemble | None = None
    notices: tuple[str, ...] = ()
    other_people: bool = False

    @property
    def virtual(self) -> bool:
        """Whether the subjects are virtual ones."""
        return self.kind != "record"


def read_run(directory: Path) -> Run:
    """The description in `directory/run.json`; TrialrunError where it is missing, unreadable or lacks a key."""
    path = directory / "run.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrialrunError(
            Problem(
                "not-a-run-directory",
                "there is no run.json",
                "nothing of that name",
                "a directory that `trialrun simulate` or `trialrun compare` wrote",
                Location(str(path)),
            )
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        raise TrialrunError(
            Problem("unreadable-run-description", "run.json is not JSON", str(error), None, Location(str(path), line))
        ) from None
    return _run(_Keys(said, str(path)), directory)


@dataclass(frozen=True, slots=True)
class _Keys:
    """One JSON object and where it stands, so that a missing or mistyped key can be named."""

    said: object
    file: str
    path: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.said, dict):
            raise TrialrunError(
                Problem("wrong-type", "not an object", repr(self.said), "{...}", Location(self.file, path=self.path))
            )

    def value(self, key: str) -> object:
        assert isinstance(self.said, dict)
        return self.said.get(key)

    def _wrong(self, key: str, expected: str) -> TrialrunError:
        value = self.value(key)
        where = f"{self.path}.{key}" if self.path else key
        code, message = ("missing-key", "missing") if value is None else ("wrong-type", "of the wrong type")
        found = None if value is None else repr(value)
        return TrialrunError(Problem(code, f"`{key}` is {message}", found, expected, Location(self.file, path=where)))

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.value(key) is None else self.text(key)

    def number(self, key: str) -> float:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number")
        return float(value)

    def optional_number(self, key: str) -> float | None:
        return None if self.value(key) is None else self.number(key)

    def whole(self, key: str) -> int:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, "a whole number")
        return value

    def optional_whole(self, key: str) -> int | None:
        return None if self.value(key) is None else self.whole(key)

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self.value(key)
        if not isinstance(value, list) or not all(
            isinstance(part, int | float) and not isinstance(part, bool) for part in value
        ):
            raise self._wrong(key, "a list of numbers")
        return tuple(float(part) for part in value)

    def optional_truth(self, key: str) -> bool | None:
        value = self.value(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def optional_texts(self, key: str) -> tuple[str, ...]:
        value = self.value(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(part, str) and part for part in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def names(self) -> tuple[str, ...]:
        assert isinstance(self.said, dict)
        return tuple(self.said)

    def object(self, key: str) -> _Keys:
        return _Keys(self.value(key), self.file, f"{self.path}.{key}" if self.path else key)

    def objects(self, key: str) -> list[_Keys]:
        value = self.value(key)
        if not isinstance(value, list) or not value:
            raise self._wrong(key, "a list with at least one entry")
        return [_Keys(part, self.file, f"{key}[{index}]") for index, part in enumerate(value)]


def _run(keys: _Keys, directory: Path) -> Run:
    kind = keys.text("kind")
    if kind not in ("simulate", "compare"):
        raise TrialrunError(
            Problem("unknown-kind", "unknown kind of run", kind, "simulate or compare", Location(keys.file))
        )
    return Run(
        directory=directory,
        kind="simulate" if kind == "simulate" else "compare",
        study=keys.text("study"),
        title=keys.optional_text("title"),
        versions=tuple(_version(part, directory) for part in keys.objects("versions")),
        protocol_file=keys.text("protocol_file"),
        protocol_hash=keys.text("protocol_hash"),
        population_hash=keys.text("population_hash"),
        seed=keys.whole("seed"),
        subjects=keys.whole("subjects"),
        trials=keys.whole("trials"),
        cycles=keys.whole("cycles"),
        program_version=keys.text("program_version"),
        made_on=keys.text("made_on"),
        published=keys.optional_text("published"),
        ensemble=None if keys.value("ensemble") is None else _ensemble(keys.object("ensemble")),
        notices=keys.optional_texts("notices"),
        other_people=keys.optional_truth("other_people") is True,
    )


def _ensemble(keys: _Keys) -> Ensemble:
    facts = keys.object("facts") if keys.value("facts") is not None else None
    names = () if facts is None else facts.names()
    fitted = [facts.object(name) for name in names] if facts is not None else []
    return Ensemble(
        keys.whole("sets"),
        keys.number("effective_sample_size"),
        frozenset(
            (fact.text("outcome"), fact.whole("events"), fact.whole("of"))
            for fact in fitted
            if "events" in fact.names()  # others are medians, which no published count is compared with
        ),
        keys.optional_whole("sets_met"),
    )


def _version(keys: _Keys, directory: Path) -> VersionInfo:
    version = keys.text("version")
    folder = keys.optional_text("folder") or version
    # The planned doses stand in run.json or, as spans of days, in the version's plan.json.
    if keys.value("planned_mg") is None:
        planned = read_plan_file(directory / folder / "plan.json").planned_mg
    else:
        planned = keys.numbers("planned_mg")
    return VersionInfo(
        version=version,
        folder=folder,
        hash=keys.optional_text("hash"),
        levels_mg=keys.numbers("levels_mg"),
        target_mg=keys.optional_number("target_mg"),
        days_on=keys.whole("days_on"),
        cycle_days=keys.whole("cycle_days"),
        planned_mg=planned,
        ctcae=keys.optional_text("ctcae") or CTCAE,
        examines_marrow=keys.optional_truth("examines_marrow"),
    )


def read_tables(run: Run, version: VersionInfo) -> dict[str, pl.DataFrame]:
    """The tables of the record of one version, typed as `record.tables` says; only columns that the analysis reads.

    A table that the analysis needs and that is not there is an error; another one is empty.
    """
    folder = run.directory / version.folder / "record"
    absent = [table for table in _NEEDED_TABLES if not (folder / f"{table}.parquet").exists()]
    if absent:
        raise TrialrunError(
            [
                Problem(
                    "missing-table",
                    "a table of the record is missing",
                    None,
                    f"{table}.parquet",
                    Location(str(folder / f"{table}.parquet")),
                )
                for table in absent
            ]
        )
    return {table: _read_table(folder / f"{table}.parquet", table) for table in TABLES}


def _read_table(path: Path, table: str) -> pl.DataFrame:
    wanted = {name: kind for name, kind in schema(table).items() if name not in _UNREAD}
    if not path.exists():
        return pl.DataFrame(schema=wanted)
    try:
        found = pl.scan_parquet(path)
        present = found.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TrialrunError(
            Problem("unreadable-table", "not a Parquet file", str(error), None, Location(str(path)))
        ) from None
    required = [column.name for column in TABLES[table] if column.required and column.name not in _UNREAD]
    missing = [name for name in required if name not in present]
    if missing:
        raise TrialrunError(
            Problem(
                "missing-column", "columns are missing", ", ".join(present), ", ".join(missing), Location(str(path))
            )
        )
    columns = [
        pl.col(name).cast(kind) if name in present else pl.lit(None, dtype=kind).alias(name)
        for name, kind in wanted.items()
    ]
    if table == "adverse_events" and {"entry", "corrects"} <= set(present):
        found = found.filter(pl.col("entry").is_in(pl.col("corrects").drop_nulls().implode()).fill_null(False).not_())
    return found.select(columns).collect()


# Identifiers and corrections of lines: of a run only events have any, and a real record is read with them applied.
_UNREAD = frozenset({"entry", "known", "corrects", "why_corrected"})


def published_file(run: Run) -> Path | None:
    """Where the published facts of the study are: in the run directory or beside the protocol file; None if nowhere."""
    if run.published is None:
        return None
    beside = [run.directory / run.published]
    if run.protocol_file is not None:
        beside.append(Path(run.protocol_file).parent / run.published)
    return next((path for path in beside if path.is_file()), None)

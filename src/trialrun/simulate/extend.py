"""A population stated by how it differs from another: the people of another trial, without writing every number again."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from trialrun.simulate.population import (
    SECTIONS,
    About,
    Between,
    Bound,
    Domain,
    Number,
    Population,
    Shift,
    _check_model,
    _check_spread,
    _nearest,
    quantities,
    read_population,
)
from trialrun.vocab.problems import Problem, TrialrunError
from trialrun.vocab.yaml_source import Key, YamlSource, read_yaml, validate


class Extension(BaseModel):
    """A population file that extends another. What it does not say is as there; `shift` names the numbers that differ."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    trialrun: Literal[1]
    extends: str
    population: About
    sources: dict[str, str] = {}
    enrolled: dict[str, Bound] = {}
    shift: dict[str, Shift] = {}
    between_trials: dict[str, Between] = {}
    options: dict[str, str] = {}
    line_of_therapy: Literal["first_line", "relapsed"] | None = None
    model: str | None = None
    domain: Domain | None = None
    direct_kill: dict[str, Number] = {}


def read_extension(source: YamlSource, file: Path) -> Population:
    """The population that this file describes. TrialrunError with file and line where it names what does not exist,
    extends itself, or shifts a number that already was shifted."""
    said = validate(source, Extension)
    target = (file.parent / said.extends).resolve()
    if target.is_dir():
        target = target / "population.yaml"
    _refuse_circles(source, file.resolve(), target)
    base = read_population(target)
    problems = list(_check(source, said, base))
    if problems:
        raise TrialrunError(problems)
    changed: dict[str, dict[str, Number]] = {section: dict(getattr(base, section)) for section in SECTIONS}
    changed["direct_kill"] |= said.direct_kill
    for name, shift in said.shift.items():
        section, number = name.split(".", 1)
        old = changed[section][number]
        if shift.odds is not None and not 0.0 < old.value < 1.0:
            at = source.location(("shift", name, "odds"))
            raise TrialrunError(
                Problem(
                    "impossible-shift", f"{name} is no share: it has no odds", f"{old.value:g}", "factor or add", at
                )
            )
        value = float(shift.apply(np.array([old.value]))[0])
        new = {"value": value, "status": shift.status, "source": shift.source, "note": shift.note}
        plain = {**old.model_dump(), **new}
        for cut in ("low", "high"):
            if getattr(shift, cut) is not None:
                plain["variability"] = {**(plain["variability"] or {}), cut: getattr(shift, cut)}
        try:
            changed[section][number] = Number.model_validate(plain)
        except ValidationError as error:
            at = source.location(("shift", name))
            what = error.errors()[0]["msg"].removeprefix("Value error, ")
            found = f"{value:g}, cut off at {plain['variability']['low']} and {plain['variability']['high']}"
            expected = "a shift within the cuts, or `low` and `high` in the shift"
            raise TrialrunError(Problem("impossible-shift", f"{name}: {what}", found, expected, at)) from None
    digest = sha256((base.content_hash + source.text).encode()).hexdigest()
    return base.model_copy(
        update={
            **changed,
            "population": said.population,
            "sources": {**base.sources, **said.sources},
            "enrolled": {**base.enrolled, **said.enrolled},
            "shift": {**base.shift, **said.shift},
            "between_trials": {**base.between_trials, **said.between_trials},
            "options": {**base.options, **said.options},
            "line_of_therapy": said.line_of_therapy or base.line_of_therapy,
            "model": said.model or base.model,
            "domain": said.domain or base.domain,
            "content_hash": digest,
        }
    )


def _refuse_circles(source: YamlSource, file: Path, target: Path) -> None:
    seen, here = {file}, target
    while here.exists():
        if here in seen:
            at = source.location(("extends",))
            raise TrialrunError(
                Problem("circle", "a population extends itself", str(here), "a population that does not", at)
            )
        seen.add(here)
        data = read_yaml(here, str(here)).data
        if not isinstance(data, dict) or "extends" not in data:
            return
        here = (here.parent / str(data["extends"])).resolve()
        here = here / "population.yaml" if here.is_dir() else here
    at = source.location(("extends",))
    expected = "the path of a population file, from this file's folder"
    raise TrialrunError(Problem("no-file", "the population that is extended is not there", str(here), expected, at))


def _check(source: YamlSource, said: Extension, base: Population) -> Iterator[Problem]:
    known, sources = base.numbers(), {**base.sources, **said.sources}
    for section, entries in (("shift", said.shift), ("between_trials", said.between_trials)):
        for name in entries:
            at = source.location((section, name))
            if name not in known:
                yield Problem("unknown-number", "the population has no such number", name, _nearest(name, known), at)
            elif section == "shift" and name in base.shift:
                yield Problem(
                    "shifted-twice", "this number was shifted already", name, f"a shift of {said.extends} alone", at
                )
    yield from _check_spread(source, said.between_trials)
    yield from _check_model(source, said.model or base.model, said.options)
    for name, bound in said.enrolled.items():
        at = source.location(("enrolled", name))
        if name not in base.enrolled:
            yield Problem("unknown-key", "no bound has this name", name, _nearest(name, base.enrolled), at)
        elif bound.unit != base.enrolled[name].unit:
            unit = base.enrolled[name].unit
            yield Problem("unit-mismatch", f"enrolled.{name} in the wrong unit", bound.unit, unit, at)
    wanted = quantities().get("direct_kill", {})
    for name, number in said.direct_kill.items():
        at = source.location(("direct_kill", name))
        if name not in wanted:
            yield Problem("unknown-key", "no number of direct_kill has this name", name, _nearest(name, wanted), at)
        elif number.unit != wanted[name]:
            yield Problem("unit-mismatch", f"direct_kill.{name} in the wrong unit", number.unit, wanted[name], at)
    for name in wanted:
        if said.direct_kill and name not in said.direct_kill:
            at = source.location(("direct_kill",))
            yield Problem("missing-key", f"direct_kill lacks the number {name!r}", None, f"{name}: ...", at)
    parts = (("shift", said.shift), ("between_trials", said.between_trials), ("enrolled", said.enrolled))
    for section, things in (*parts, ("direct_kill", said.direct_kill)):
        for name, thing in things.items():
            cited = [thing.source] if isinstance(thing.source, str) else thing.source
            for word in cited:
                if word not in sources:
                    key: Key = (section, name, "source")
                    yield Problem(
                        "unknown-source", "not one of the sources", word, _nearest(word, sources), source.location(key)
                    )

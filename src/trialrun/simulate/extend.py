"""A population stated by how it differs from another: the people of another trial, without writing every number again."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from trialrun.simulate.limits import check_between, check_bounds, check_numbers
from trialrun.simulate.lineage import walk_lineage
from trialrun.simulate.number import Bound, Number
from trialrun.simulate.population import (
    SECTIONS,
    About,
    Between,
    Domain,
    Population,
    _check_model,
    _check_spread,
    _nearest,
    quantities,
    read_population,
)
from trialrun.simulate.shift import ImpossibleShiftError, Shift, Shifts, Step, shift_number
from trialrun.vocab.problems import Location, Problem, TrialrunError
from trialrun.vocab.yaml_source import Key, YamlSource, validate


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
    """The population that this file describes. TrialrunError with file and line where it names what does not exist, extends
    itself, or shifts a number to where it cannot be.

    Shifts come on top of those of the population that is extended: a factor multiplies, a sum is added, odds are multiplied,
    a value replaces, in the order of extension.
    """
    said = validate(source, Extension)
    for _ in walk_lineage(file):  # every file is there, and none twice
        pass
    base = read_population((file.parent / said.extends).resolve())
    problems = list(_check(source, said, base))
    if problems:
        raise TrialrunError(problems)
    changed: dict[str, dict[str, Number]] = {section: dict(getattr(base, section)) for section in SECTIONS}
    changed["direct_kill"] |= said.direct_kill
    shifts = dict(base.shift)
    for name, shift in said.shift.items():
        section, number = name.split(".", 1)
        old = changed[section][number]
        try:
            new = shift_number(name, old, shift, shifts.get(name))
        except ImpossibleShiftError as error:
            at = source.location(("shift", name, *([] if error.field is None else [error.field])))
            raise TrialrunError(Problem("impossible-shift", str(error), error.found, error.expected, at)) from None
        changed[section][number] = new
        earlier = () if name not in shifts else shifts[name].steps
        shifts[name] = Shifts((*earlier, Step(said.population.id, shift, old.value, new.value)))
    digest = sha256((base.content_hash + source.text).encode()).hexdigest()
    found = base.model_copy(
        update={
            **changed,
            "population": said.population,
            "sources": {**base.sources, **said.sources},
            "enrolled": {**base.enrolled, **said.enrolled},
            "shift": shifts,
            "between_trials": {**base.between_trials, **said.between_trials},
            "options": {**base.options, **said.options},
            "line_of_therapy": said.line_of_therapy or base.line_of_therapy,
            "model": said.model or base.model,
            "domain": said.domain or base.domain,
            "content_hash": digest,
        }
    )
    impossible = list(_check_possible(source, said, found))
    if impossible:
        raise TrialrunError(impossible)
    return found


def _check_possible(source: YamlSource, said: Extension, found: Population) -> Iterator[Problem]:
    """What this file makes of numbers and bounds; those of the file that it extends were checked with that one."""

    def where(name: str, field: str) -> Location:
        section, _, number = name.partition(".")
        return source.location((section, number, field) if number in said.direct_kill else ("shift", name, field))

    def came(name: str) -> str:
        if name not in said.shift:
            return ""
        steps = found.shift[name].steps
        return f" ({steps[0].before:g}, then {', then '.join(step.shift.describe() for step in steps)})"

    touched = {*said.shift, *(f"direct_kill.{name}" for name in said.direct_kill)}
    yield from check_numbers(found.numbers(), where, came, touched)
    sds = {
        name: between.sd
        for name, between in found.between_trials.items()
        if name in touched or name in said.between_trials
    }
    yield from check_between(
        sds,
        found.numbers(),
        lambda name: source.location(("between_trials", name)) if name in said.between_trials else where(name, "value"),
    )
    yield from check_bounds(said.enrolled, lambda name, field: source.location(("enrolled", name, field)))


def _check(source: YamlSource, said: Extension, base: Population) -> Iterator[Problem]:
    known, sources = base.numbers(), {**base.sources, **said.sources}
    for section, entries in (("shift", said.shift), ("between_trials", said.between_trials)):
        for name in entries:
            at = source.location((section, name))
            if name not in known:
                yield Problem("unknown-number", "the population has no such number", name, _nearest(name, known), at)
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

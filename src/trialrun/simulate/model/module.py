"""What a module of a model says: states with their equations, signals, what holds for a day, where it starts.

Equations are text in plain arithmetic over names, `exp`, `log`, `max`, `min` and `where(condition, then, else)`. A name
is a state or a signal of this module or one above it, a constant of the subject, an input of the day, or a term. Modules
stand in order, and each sees only those above it within a day; whatever it needs from below (the kidney's hold on the
drug) it takes at the start of the day, in `daily`, and holds it constant until the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from trialrun.simulate.model.declared import check_declared
from trialrun.simulate.model.expressions import check_expression, names_in
from trialrun.vocab.problems import Problem, TrialrunError

Text = Mapping[str, str]


def _nothing() -> Text:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Drug:
    """A drug taken once a day that is solved exactly: gut, one compartment, and an effect site that lags behind.

    `absorption`, `elimination` and `effect` name rates per day (constants or daily values), `scale` turns the amount in
    the compartment into a concentration (an expression of constants). States `depot`, `central`, `effect_site` and
    `exposure` (running integral of the concentration) carry the prefix. `fast` are signals of the `concentration` and of
    `effect_site`: they are averaged over each step so that their first three moments are kept.
    """

    absorption: str
    elimination: str
    effect: str
    scale: str
    fast: Text
    states: tuple[str, str, str, str] = ("depot", "central", "effect", "exposure")


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """One module.

    states    name -> change a day; where the states stand before treatment is said by whoever draws subjects
    constants names of numbers of a subject that the module needs
    inputs    names of what is given on a day (0 where it is not)
    daily     name -> value held for the day, from states at its start, constants and inputs, in order
    jumps     name of a state -> its value after what is given at the start of the day
    signals   name -> value, computed at the start, middle and end of each step, in order; for what drives the module
    terms     name -> value, computed wherever the equations are, in order
    restart   name of a state -> its exact value at the start of a day, for powers that are carried along as states
    balances  name -> change a day of a running total; compiled only where balances are asked for
    decay     name of a state -> rate per day at which it also falls in proportion to itself, held for the day (constants
              and daily values): solved exactly, so that it may be fast; its equation leaves this part out. Where the rest
              of the equation is driven from above alone, the whole state is solved exactly
    lost      name of a state -> rate per day of a loss in proportion to itself that the drug drives within the day: taken
              out by an integrating factor; its equation leaves this part out
    parts     in how many parts the module takes each step, 1, 2 or 4 (for a fast exchange, or a kink; not with `lost`)
    averaged  name of a signal that bends within a step -> the state that it drives: it is averaged over the step so that its
              first three moments are kept, and what the bend does to the state is judged
    bends     name of a term with a kink -> the state that it drives: what the kink does to the state is judged
    drug      the drug that the module describes, if any
    about     one line: what the module stands for
    """

    name: str
    about: str
    constants: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    states: Text = field(default_factory=_nothing)
    daily: Text = field(default_factory=_nothing)
    jumps: Text = field(default_factory=_nothing)
    signals: Text = field(default_factory=_nothing)
    terms: Text = field(default_factory=_nothing)
    restart: Text = field(default_factory=_nothing)
    balances: Text = field(default_factory=_nothing)
    decay: Text = field(default_factory=_nothing)
    lost: Text = field(default_factory=_nothing)
    parts: int = 1
    averaged: Text = field(default_factory=_nothing)
    bends: Text = field(default_factory=_nothing)
    drug: Drug | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Modules in the order of their influence, and how finely a day is cut.

    `grid` holds the lengths of the steps of a day, shorter after the dose; each is cut in two for a subject whose estimated
    error is above `tolerance`, and so on, at most `doublings` times;
    `floor` is the size below which a state's error counts as absolute (units of the state). `single` works the steps
    of a day out in single precision, at about twice the speed; the drug, what holds for a day, and states between days
    stay double, but a state below 1e-30 is then 0.
    """

    name: str
    modules: tuple[Module, ...]
    balances: bool = False
    single: bool = False
    grid: tuple[float, ...] = (1 / 24, 1 / 12, *(1 / 8,) * 7)
    tolerance: float = 0.03
    doublings: int = 10
    floor: float = 0.1
    floors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        problems = [*_check(self), *check_declared(self)]
        if problems:
            raise TrialrunError(problems)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of all states in the order of the kernel: of the drugs, of the modules, running totals last."""
        drugs = [name for module in self.modules if module.drug for name in module.drug.states]
        fed = [name for module in self.modules for name in module.states]
        totals = [name for module in self.modules if self.balances for name in module.balances]
        return (*drugs, *fed, *totals)

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the numbers of a subject, each once, in the order of the kernel."""
        return tuple(dict.fromkeys(name for module in self.modules for name in module.constants))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what may be given on a day, each once; `dose` first."""
        return tuple(dict.fromkeys(("dose", *(name for module in self.modules for name in module.inputs))))

    @property
    def equations(self) -> Mapping[str, str]:
        """The change a day of every state that is not a drug's."""
        return {
            name: text
            for module in self.modules
            for name, text in (*module.states.items(), *(module.balances.items() if self.balances else ()))
        }


def driven_states(module: Module) -> tuple[str, ...]:
    """States with a decay whose equation uses no state of the module but such that come before."""
    found: list[str] = []

    def uses(text: str) -> set[str]:
        names = set(names_in(text))
        return names | {inner for name in names if name in module.terms for inner in uses(module.terms[name])}

    for name, text in module.states.items():
        if name in module.decay and uses(text).isdisjoint({*module.states} - {*found}):
            found.append(name)
    return tuple(found)


def _check(model: Model) -> Iterator[Problem]:
    """Every name that is used is known where it is used, and nothing is named twice."""
    if any(not length > 0 for length in model.grid) or abs(sum(model.grid) - 1.0) > 1e-9:
        yield Problem("grid", f"model {model.name}: the steps of a day", str(model.grid), "lengths above 0 that make 1")
    base = set(model.constants) | set(model.inputs)
    all_states = set(model.states)
    of_drugs = {name for module in model.modules if module.drug for name in module.drug.states}
    for name in model.floors:
        if name not in all_states:
            yield Problem("unknown-name", f"model {model.name}, floors: no such state", name, "a state")
    taken: set[str] = set()
    above: set[str] = set()
    for module in model.modules:
        said = f"module {module.name}"
        own = (*module.states, *module.signals, *module.terms, *module.daily, *module.balances)
        own = (*own, *((*module.drug.states, *module.drug.fast) if module.drug else ()))
        for name in own:
            if name in taken or name in base or own.count(name) > 1:
                yield Problem("name-twice", f"module {module.name} names something that has a name", name, "a new name")
        for name in (*own, *module.constants, *module.inputs):
            if "__" in name:  # the compiled code names its own so
                yield Problem(
                    "two-underscores", f"module {module.name}: a name with `__`", name, name.replace("__", "_")
                )
        taken |= set(own)
        day, signals = set(base), set(module.signals)
        for name, text in module.daily.items():
            yield from check_expression(f"{said}, daily {name}", text, day | all_states | above)
            day.add(name)
        for kind, texts in (("jumps", module.jumps), ("restart", module.restart)):
            for name, text in texts.items():
                if name not in all_states or (kind == "restart" and name in of_drugs):
                    right = "a state" if kind == "jumps" else "a state that is not a drug's"
                    yield Problem("unknown-name", f"{kind} of module {module.name}: no such state", name, right)
                # what is given comes before what is held for the day
                yield from check_expression(
                    f"{said}, {kind} {name}", text, all_states | (base if kind == "jumps" else day)
                )
        for name, text in (*module.decay.items(), *module.lost.items()):
            if name not in module.states:
                yield Problem(
                    "unknown-name", f"module {module.name}: no state of it falls so", name, "one of its states"
                )
            yield from check_expression(
                f"{said}, fall of {name}", text, day if name in module.decay else day | above | signals
            )
        if module.parts not in (1, 2, 4):
            yield Problem("parts", f"module {module.name}: parts of a step", str(module.parts), "1, 2 or 4")
        if module.parts > 1 and (module.lost or {*module.decay} - {*driven_states(module)}):
            message = f"module {module.name} takes steps in parts and has lost, or a decay that is not driven from above alone"
            yield Problem("parts", message, str(module.parts), "parts=1, or modules of their own")
        for name in {*module.decay} & {*module.lost}:
            yield Problem("falls-twice", f"module {module.name}: a state in decay and in lost", name, "one of them")
        kinds = (("averaged", module.averaged, module.signals), ("bends", module.bends, module.terms))
        for kind, texts, known in kinds:
            for name, drives in texts.items():
                if drives not in all_states:
                    message = f"module {module.name}, {kind} {name}: no such state"
                    yield Problem("unknown-name", message, drives, "a state")
                if name not in known:
                    right = "one of its signals" if kind == "averaged" else "one of its terms"
                    yield Problem("unknown-name", f"module {module.name}, {kind}: no such name", name, right)
        seen = day | above
        if module.drug:
            for what in ("absorption", "elimination", "effect", "scale"):
                text = getattr(module.drug, what)
                yield from check_expression(f"{said}, drug {what}", text, day)
            for name, text in module.drug.fast.items():
                yield from check_expression(f"{said}, {name}", text, day | {"concentration", "effect_site"})
            seen |= set(module.drug.fast)
        for name, text in module.signals.items():
            yield from check_expression(f"{said}, signal {name}", text, seen)
            seen.add(name)
        inside = seen | set(module.states)
        for name, text in module.terms.items():
            yield from check_expression(f"{said}, term {name}", text, inside)
            inside.add(name)
        for name, text in (*module.states.items(), *module.balances.items()):
            yield from check_expression(f"{said}, {name}", text, inside)
        above |= set(module.states) | set(module.signals) | set(module.daily)
        above |= set(module.drug.fast) if module.drug else set()

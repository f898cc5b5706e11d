"""What a model declares and does not use, or declares twice: slips that would go through without a word."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

from trialrun.simulate.model.expressions import names_in
from trialrun.vocab.problems import Problem

if TYPE_CHECKING:
    from trialrun.simulate.model.module import Model, Module


def check_declared(model: Model) -> Iterator[Problem]:
    """Modules and jumps that are there twice, drugs that nobody is given, numbers and inputs that nothing uses, sizes that are
    none."""
    if not model.modules:
        yield Problem("no-module", f"model {model.name} has no module", "()", "at least one Module")
    names = [module.name for module in model.modules]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield Problem("name-twice", f"model {model.name}: two modules have one name", name, "a name for each")
    jumps = [(name, text) for module in model.modules for name, text in module.jumps.items()]
    states = [name for name, _ in jumps]
    for name in dict.fromkeys(name for name in states if states.count(name) > 1):
        yield Problem("name-twice", f"model {model.name}: two modules let a state jump", name, "one jump for a state")
    for module in model.modules:
        if module.drug is None:
            continue
        depot = module.drug.states[0]
        given = [text for name, text in jumps if name == depot]
        if not any(used in model.inputs for text in given for used in _names(text)):
            expected = f'jumps={{"{depot}": "{depot} + dose"}} in module {module.name}'
            message = f"the drug of module {module.name} is given to nobody: no jump puts what is given into {depot}"
            yield Problem("drug-not-given", message, "; ".join(given) or "no jump", expected)
    used = {name for module in model.modules for text in _texts(module) for name in _names(text)}
    for module in model.modules:
        for what, declared in (("constant", module.constants), ("input", module.inputs)):
            for name in declared:
                if name not in used:
                    message = f"module {module.name} declares a{'n' * (what == 'input')} {what} that nothing uses"
                    yield Problem("unused-name", message, name, "a name in one of its expressions, or none")
    for what, size in (("floor", model.floor), *((f"floor of {name}", size) for name, size in model.floors.items())):
        if not 0 < size < inf:
            yield Problem("floor", f"model {model.name}: {what}", f"{size:g}", "a finite size above 0")
    if not 0 < model.tolerance < inf or model.doublings < 0:
        found = f"tolerance {model.tolerance:g}, doublings {model.doublings}"
        yield Problem("step-control", f"model {model.name}: step control", found, "finite and above 0, and 0 or more")


def _texts(module: Module) -> Iterator[str]:
    for texts in (module.states, module.daily, module.jumps, module.signals, module.terms, module.restart):
        yield from texts.values()
    for texts in (module.balances, module.decay, module.lost):
        yield from texts.values()
    if module.drug is not None:
        yield from (module.drug.absorption, module.drug.elimination, module.drug.effect, module.drug.scale)
        yield from module.drug.fast.values()


def _names(text: str) -> tuple[str, ...]:
    """Names in an expression; none in what is no expression, which is told elsewhere."""
    try:
        return names_in(text)
    except SyntaxError:
        return ()

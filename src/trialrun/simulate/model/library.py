"""The models that ship, by name, each with its structural alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from trialrun.simulate.model.leukemia import (
    CROWDING,
    HEMOGLOBIN,
    IMMUNE,
    INFLAMMATION,
    KIDNEY,
    LYSIS,
    TRAFFICKING,
    chain,
    pharmacokinetics,
)
from trialrun.simulate.model.module import Model
from trialrun.simulate.model.venetoclax import DIRECT, QUIET, TRAFFICKING_DIRECT
from trialrun.vocab.problems import Problem, TrialrunError

SHIPPED = ("lenalidomide-cll", "venetoclax-cll")
# Structural alternatives of docs/simulate.md, the first of each is what holds unless a population file says otherwise.
ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "renal_clearance": ("additive", "power"),
    "marrow_effect": ("proliferation", "maturation"),
    "tolerance": ("on", "off"),  # off: its rate is 0, in the numbers of the subjects
}
# How large a state is where its error counts as absolute: cells in 10^9, mmol, the rest near 1 or in their own unit.
_FLOORS = {"blood": 1.0, "tissue": 1.0, "marrow": 1.0, "dying": 1.0, "potassium_stored": 3.0, "inflammation": 0.02}
# Cells dissolve so fast under a drug that kills directly that phosphate, near the kidney's threshold, needs shorter steps.
_DIRECT_GRID = (1 / 8,) * 8


@cache
def lenalidomide_cll(
    renal_clearance: str = "additive", marrow_effect: str = "proliferation", balances: bool = False
) -> Model:
    """Lenalidomide in chronic lymphocytic leukaemia."""
    return Model(
        "lenalidomide-cll",
        (
            pharmacokinetics(renal_clearance),
            IMMUNE,
            INFLAMMATION,
            TRAFFICKING,
            LYSIS,
            CROWDING,
            chain("neutrophil", "neutrophils", marrow_effect, gcsf=True),
            chain("platelet", "platelets", marrow_effect, gcsf=False),
            HEMOGLOBIN,
            KIDNEY,
        ),
        balances=balances,
        single=not balances,  # running totals are held against what is left to 1e-6
        grid=(1 / 8, *(7 / 40,) * 5),
        tolerance=0.003,  # counts that rise again from nearly nothing
        floors=_FLOORS,
    )


@cache
def venetoclax_cll(balances: bool = False) -> Model:
    """Venetoclax, as a drug that kills directly, in chronic lymphocytic leukaemia."""
    return Model(
        "venetoclax-cll",
        (
            DIRECT,
            QUIET,
            TRAFFICKING_DIRECT,
            CROWDING,
            chain("neutrophil", "neutrophils", "proliferation", gcsf=True),
            chain("platelet", "platelets", "proliferation", gcsf=False),
            HEMOGLOBIN,
            KIDNEY,
        ),
        balances=balances,
        single=not balances,  # running totals are held against what is left to 1e-6
        grid=_DIRECT_GRID,
        floors=_FLOORS,
    )


def _own_model(name: str) -> Model:
    """A model of somebody's own, named `package.module:NAME`."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        expected = "package.module:NAME of a Model that Python can import"
        raise TrialrunError(Problem("unknown-model", f"the model cannot be loaded: {error}", name, expected)) from None
    if not isinstance(found, Model):
        raise TrialrunError(
            Problem("unknown-model", "this is not a Model", f"{name} is a {type(found).__name__}", "a Model")
        )
    return found


def _without_alternatives(model: Model, options: Mapping[str, str]) -> Model:
    """The model, unless an alternative is chosen that would be without effect in it, unsaid."""
    for what, way in options.items():
        works = what == "tolerance" and "tolerance_rate" in model.constants
        if what in ALTERNATIVES and way != ALTERNATIVES[what][0] and not works:
            message = f"model {model.name} has no alternative of {what}"
            raise TrialrunError(Problem("no-alternative", message, way, ALTERNATIVES[what][0]))
    return model


def find_model(name: str, options: Mapping[str, str], balances: bool = False) -> Model:
    """The model of this name with these alternatives; unknown names are a TrialrunError.

    `name` is lenalidomide-cll, venetoclax-cll, or package.module:NAME of one's own (docs/modules.md). Alternatives are those
    of lenalidomide-cll, and an error with another model; `tolerance` is one of the numbers of the subjects.
    """
    if ":" in name:
        return _without_alternatives(_own_model(name), options)
    if name == "venetoclax-cll":
        return _without_alternatives(venetoclax_cll(balances), options)
    if name != "lenalidomide-cll":
        expected = "lenalidomide-cll, venetoclax-cll, or package.module:NAME"
        raise TrialrunError(Problem("unknown-model", "no model has this name", name, expected))
    for what in options:
        if what not in ALTERNATIVES:
            raise TrialrunError(Problem("unknown-option", "no such alternative", what, ", ".join(ALTERNATIVES)))
    chosen = {what: options.get(what, ways[0]) for what, ways in ALTERNATIVES.items()}
    for what, way in chosen.items():
        if way not in ALTERNATIVES[what]:
            raise TrialrunError(
                Problem("unknown-option", f"no such way of {what}", way, " or ".join(ALTERNATIVES[what]))
            )
    return lenalidomide_cll(chosen["renal_clearance"], chosen["marrow_effect"], balances)

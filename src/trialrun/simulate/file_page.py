"""The reference page of the population file, from the models that read it and from files that ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from trialrun.simulate.biology import CO_TREATMENTS
from trialrun.simulate.extend import Extension
from trialrun.simulate.limits import limits
from trialrun.simulate.model.library import ALTERNATIVES, SHIPPED
from trialrun.simulate.population import (
    SECTIONS,
    Between,
    Bound,
    Domain,
    Measurement,
    Number,
    Population,
    Shift,
    Variability,
    quantities,
)

_HEAD = """# The population file

<!-- Written by docs/generate.py; do not edit. -->

`population.yaml` states the assumed truth of virtual subjects. It stands beside `protocol.yaml`, or is named with
`--population`. It is YAML; an unknown key, a missing number, another unit, a number without status or source are errors with
file and line. There are two kinds: a **whole** file states every number (studies/lenalidomide-cll), an **extension** says how
its people differ from those of another file (studies/lenalidomide-25mg). To state another trial start with an extension:
[worked examples](../trials.md).

```yaml
trialrun: 1
extends: ../lenalidomide-cll        # a population file, or the folder of one, from this file's folder
population: {id: mine, title: Relapsed CLL of my centre, describes: Older people with less kidney.}
line_of_therapy: relapsed
sources:
  register: "register of my centre, 2001 to 2006"
shift:
  baseline.age: {add: 6, status: assumed, source: register}
  baseline.crcl: {factor: 0.9, low: 30, status: assumed, source: register, note: "cut off at 30 mL/min instead of 35"}
```
"""
_KEYS = {
    "trialrun": "version of the format: 1",
    "extends": "the population that this one differs from: path of its file or folder, from this file's folder (not from where "
    "a command runs), or from the root",
    "population": "`id`, `title`, `describes`: what the file describes, in words",
    "sources": "what each word that stands as `source` means; an extension knows those of the file it extends as well",
    "enrolled": "what is true of everyone who was enrolled: bounds, by the names below. Subjects are drawn until they fit",
    "shift": "the numbers that differ, by `section.name`: see *A shift*",
    "between_trials": "the numbers that differ between trials, by `section.name`: see *Between trials*",
    "options": "structural alternatives, by name: see *Model and alternatives*",
    "line_of_therapy": "`first_line` or `relapsed`. It changes no number by itself (`shift` does); it is compared with `domain`",
    "model": "`" + "`, `".join(SHIPPED) + "`, or `package.module:NAME` of one's own ([modules](../modules.md))",
    "domain": "what the numbers were fitted to: see *Domain*",
    "tests": "how each test is measured: see *A test*. `lenalidomide-cll` states all that are used",
    "baseline": "the subject before treatment",
    "pharmacokinetics": "the drug in the body",
    "immune": "activation, tolerance, inflammation, effectors, steroid",
    "leukemia": "the clone in blood, tissue and marrow; nodes and spleen",
    "marrow": "neutrophils, platelets, haemoglobin; G-CSF",
    "kidney": "urate, phosphate, potassium, calcium, creatinine; allopurinol, rasburicase, hydration",
    "flare": "when inflammation is recorded as tumour flare",
    "infection": "febrile neutropenia and sepsis",
    "lysis": "laboratory and clinical tumour lysis, hits to the kidney",
    "survival": "death of another cause",
    "conduct": "missed doses, withdrawal, what ends treatment",
    "direct_kill": "a drug that kills by itself (`model: venetoclax-cll`); left out with other drugs, else whole",
}
_FIELDS: Mapping[type[BaseModel], tuple[str, str, Mapping[str, str]]] = {
    Number: (
        "A number",
        "In the sections of numbers each entry is one of these.",
        {
            "symbol": "the symbol in the equations, if any",
            "label": "what it is, in words",
            "value": "the number: median (lognormal) or mean (normal) of the uncut distribution, in `unit`",
            "unit": 'UCUM; "1" means none. It must be the unit of the table below, nothing is converted',
            "variability": "how it differs between subjects: see *Variability*. Left out: the same for all",
            "status": "`published` (the source states it), `derived` (arithmetic on published numbers, in the note), `tuned` "
            "(set so that simulated summaries resemble published ones), `assumed` (no public number found)",
            "source": "a key of `sources`, or a list of them",
            "note": "what a reader must know, such as the arithmetic",
        },
    ),
    Variability: (
        "Variability",
        "Numbers of `flare`, `infection`, `lysis`, `survival` and `conduct` differ between trials at most.",
        {
            "distribution": "`lognormal` or `normal`",
            "omega": "lognormal: standard deviation of the logarithm, above 0",
            "sd": "normal: standard deviation in the unit of the number, above 0",
            "low": "no subject is below; the rest is scaled up, nothing is moved to the edge",
            "high": "no subject is above",
            "factor": "`burden`: numbers that share it are correlated (with `correlation`)",
            "correlation": "pairwise correlation of those numbers before cutting, from 0 to below 1",
            "status": "that of the spread, where it is another one than that of the value",
        },
    ),
    Shift: (
        "A shift",
        "At most one of `factor`, `odds`, `add` and `value`, which moves the centre of the uncut distribution, and what else "
        "differs; what is not said stays. With an ensemble the shift acts on the value of each parameter set.\n\n"
        "Where the file that is extended shifts the number as well, shifts are applied one after the other, in the order of "
        "extension: a factor multiplies, odds are multiplied, a sum is added, a value replaces all that stood before. Where one "
        "of them is `fitted`, each parameter set has the size of that one, and the others come before and after it. "
        "`trialrun population` lists every step.",
        {
            "factor": "multiplies the number; a spread that is lognormal keeps its `omega`",
            "odds": "of a share: multiplies p / (1 - p), so that the result is a share again",
            "add": "is added to it, in its unit",
            "value": "replaces it, in its unit, under every parameter set, and every shift before it",
            "omega": "of a lognormal number: replaces its spread between subjects, that of an ensemble (`:spread`) as well; a "
            "notice says so",
            "sd": "the same of a normal one",
            "low": "where the distribution between subjects is cut off from now on; left out: as it was",
            "high": "the same, above",
            "fitted": "`true`: an ensemble that was [fitted](../calibration.md) to it has a `factor` or `odds` for each "
            "parameter set, which stands instead of this one. Of the shifts of a number one can be fitted",
            "status": "as of a number",
            "source": "as of a number",
            "note": "as of a number",
        },
    ),
    Between: (
        "Between trials",
        "Each virtual trial multiplies the number by exp(sd x normal), one draw a trial. "
        "An extension may add or replace entries. Without an ensemble (`--one-set`) `simulate` and `compare` leave it out.",
        {
            "sd": "standard deviation of the logarithm, above 0; in 999 of 1,000 trials the number is possible, in 95 of 100 "
            "within its cuts",
            "status": "as of a number",
            "source": "as of a number",
            "note": "as of a number",
        },
    ),
    Bound: (
        "A bound",
        "An extension may replace bounds of the names below. Other covariates are cut by `low` and `high` of their variability.",
        {
            "low": "true values and screening values lie above",
            "high": "and below",
            "unit": "the unit of the table below",
            "status": "as of a number",
            "source": "as of a number",
            "note": "as of a number",
        },
    ),
    Measurement: (
        "A test",
        "Of whole files. An extension measures as the file that it extends.",
        {
            "unit": "the canonical unit of the test ([terms](terms.md))",
            "error": "`lognormal`, `normal` or `none`",
            "sd": "of the logarithm (lognormal) or in the unit (normal); none with `error: none`",
            "female": "reference limits of women, [low, high]; of both sexes or of neither",
            "male": "reference limits of men",
            "status": "as of a number",
            "source": "as of a number",
            "note": "as of a number",
        },
    ),
    Domain: (
        "Domain",
        "What lies outside is simulated with a notice, on the page as well; another drug is refused. "
        "Without `domain` everything is called extrapolation.",
        {
            "drug": "the drug of the model; a protocol with another one is refused (`wrong-drug`)",
            "dose_mg": "[lowest, highest] daily dose, mg",
            "line_of_therapy": "list of `first_line` and `relapsed`",
            "crcl": "[lowest, highest] creatinine clearance, mL/min; a notice says where more than a tenth of the people lie "
            "outside",
        },
    ),
}
_WAYS = {
    "renal_clearance": "`additive`: a renal and another part of clearance (`renal_fraction`); "
    "`power`: clearance goes with a power of creatinine clearance (`renal_power`)",
    "marrow_effect": "`proliferation`: the drug slows division of precursors; `maturation`: it blocks the step into maturation",
    "tolerance": '`"on"`, or `"off"`: its rate is 0 (in quotation marks: '
    "YAML reads a bare on or off as text or truth by version)",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """An error of the population file: its code, its message with `...` for what depends on the file, and what mends it."""

    code: str
    message: str
    mend: str


MISTAKES = (
    Mistake("missing-key", "... lacks the number ...", "state it; a whole file has every number"),
    Mistake(
        "unknown-key", "no number of ... has this name", "the name of the table above; the message says which are near"
    ),
    Mistake(
        "unknown-key", "no bound has this name", "a name of `enrolled` above; for others `low` and `high` in a shift"
    ),
    Mistake("unit-mismatch", "... in the wrong unit", "convert the value yourself, and state the unit of the table"),
    Mistake("missing-source", "... cites nothing", "at least one key of `sources`"),
    Mistake("unknown-source", "not one of the sources", "add it to `sources`"),
    Mistake("unknown-test", "not a test's name", "a name of [terms](terms.md)"),
    Mistake("unknown-number", "no number of the population has this name", "`section.name`, as in `lysis.hit_rate`"),
    Mistake("unknown-number", "the population has no such number", "`section.name`, as in `baseline.age`"),
    Mistake(
        "wrong-value", "what differs between trials has a spread", "`sd` above 0; leave the entry out for no difference"
    ),
    Mistake(
        "impossible-number", "... differs so much between trials that some would have what cannot be", "a smaller `sd`"
    ),
    Mistake("invalid-value", "a shift takes one of factor, odds, add and value", "one of them, or one after the other"),
    Mistake("invalid-value", "a shift says what differs: ...", "one of the fields that it names"),
    Mistake("invalid-value", "a factor of odds is above 0", "a factor above 0; `value` for a share of 0"),
    Mistake("invalid-value", "only a factor or odds above 0 can be fitted", "leave `fitted` out"),
    Mistake("impossible-shift", "... is no share: it has no odds", "`factor` or `add`"),
    Mistake("impossible-shift", "the value must lie between low and high", "`low` and `high` in the shift"),
    Mistake("impossible-shift", "... its spread is ..., not ...", "the one that it has"),
    Mistake(
        "impossible-shift",
        "... is the same for all subjects: it has no distribution",
        "a shift of its value; to let it differ, a whole file",
    ),
    Mistake(
        "impossible-shift",
        "an ensemble holds one fitted shift of ...",
        "leave `fitted` out: this shift comes on top of the one that is fitted",
    ),
    Mistake(
        "impossible-number", "... cannot be this", "a number within the range of the table above, after all shifts"
    ),
    Mistake("impossible-number", "... cannot be what its distribution is cut off at", "cuts within that range"),
    Mistake(
        "impossible-number",
        "... differs so much that some subjects would have what cannot be",
        "less spread, or `low` and `high`",
    ),
    Mistake("impossible-number", "the parts with ECOG 0 and 1 are more than everybody", "parts that sum to 1 at most"),
    Mistake(
        "impossible-number",
        "some subjects would have fewer lymphocytes than those that are not CLL",
        "`low` of `baseline.lymphocytes` above `leukemia.normal_lymphocytes`",
    ),
    Mistake(
        "unknown-key", "only a population that extends another has shifts", "write `extends`, or the number itself"
    ),
    Mistake("circle", "a population extends itself", "extend another"),
    Mistake("no-file", "the population that is extended is not there", "a path from this file's folder"),
    Mistake("unknown-model", "no model has this name", "a name that ships, or `package.module:NAME`"),
    Mistake("unknown-option", "no such alternative", "a name of *Model and alternatives*"),
    Mistake("unknown-option", "no such way of ...", "a way of that table"),
)


def population_page(populations: Sequence[Population]) -> str:
    """The page as Markdown. `populations` together state every number; the first that has one gives its label."""
    units = quantities()
    labels: dict[str, Number] = {}
    for population in populations:
        labels |= {name: number for name, number in population.numbers().items() if name not in labels}
    lines = [_HEAD, "## Keys", "", "| key | whole | extension | meaning |", "|---|---|---|---|"]
    keys = [key for key in dict.fromkeys((*Population.model_fields, *Extension.model_fields)) if key != "content_hash"]
    for key in sorted(keys, key=list(_KEYS).index):
        kinds = []
        for kind in (Population, Extension):
            field = kind.model_fields.get(key)
            kinds.append("" if field is None else "must" if field.is_required() else "may")
        if key == "shift":
            kinds[0] = ""  # a whole file keeps none; the field holds those of what was extended
        lines.append(f"| `{key}` | {kinds[0]} | {kinds[1]} | {_KEYS[key]} |")
    for entry, (title, about, fields) in _FIELDS.items():
        lines += ["", f"## {title}", "", about, "", "| field | must | meaning |", "|---|---|---|"]
        for name, field in entry.model_fields.items():
            lines.append(f"| `{name}` | {'yes' if field.is_required() else ''} | {fields[name]} |")
    lines += [
        "",
        "## Model and alternatives",
        "",
        "Alternatives are those of `lenalidomide-cll`; the first way is taken where none is named.",
        "",
    ]
    lines += ["| option | ways | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {', '.join(ways)} | {_WAYS[name]} |" for name, ways in ALTERNATIVES.items()]
    lines += [
        "",
        "## Co-medication",
        "",
        "Given by the protocol (`concomitant`). These act on the model: `" + "`, `".join(CO_TREATMENTS) + "`.",
    ]
    lines += [
        "Any other is taken without effect, and a notice says so.",
        "",
        "## Bounds of `enrolled`",
        "",
        "| name | unit | possible |",
        "|---|---|---|",
    ]
    legal = limits()
    lines += [f"| `{name}` | {unit} | {legal[f'enrolled.{name}']} |" for name, unit in units["enrolled"].items()]
    for section in SECTIONS:
        lines += ["", f"## Numbers of `{section}`", "", f"{_KEYS[section][0].upper()}{_KEYS[section][1:]}.", ""]
        lines += ["| name | unit | possible | symbol | what it is |", "|---|---|---|---|---|"]
        for name, unit in units[section].items():
            number = labels[f"{section}.{name}"]
            possible = legal[f"{section}.{name}"]
            lines.append(f"| `{name}` | {unit} | {possible} | {number.symbol or ''} | {number.label} |")
    lines += [
        "",
        "## What goes wrong, and what mends it",
        "",
        "Each says file, line, what was found and what was expected.",
        "",
    ]
    lines += ["| code | message | mend |", "|---|---|---|"]
    lines += [f"| `{mistake.code}` | {mistake.message} | {mistake.mend} |" for mistake in MISTAKES]
    return "\n".join(lines) + "\n"

"""Virtual subjects drawn from a population: their constants, and where they stand before treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from trialrun.simulate.enrolment import could_enrol, refuse, shares
from trialrun.simulate.luck import draw_normal, draw_uniform
from trialrun.simulate.model.library import find_model
from trialrun.simulate.model.module import Model
from trialrun.simulate.population import HAPPENING, SECTIONS, Number, Population, Variability
from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

CREATININE_UMOL_PER_MG_DL = 88.4  # 1 mg/dL; molar mass 113.12 g/mol
URATE_MG_PER_MMOL = 168.11  # molar mass
LITRES_PER_DAY = 1.44  # of 1 mL/min
LONGEST_DOUBLING = 36525.0  # days; nobody would call a count that doubles in a century growing
MOST_TRIES = 500  # of drawing one subject that could be enrolled


@dataclass(frozen=True, slots=True)
class VirtualSubjects:
    """n drawn subjects.

    `index` (n,) global index; `age` years; `male` bool; `weight` kg; `traits` every number of the population file that
    differs between subjects or is derived for them, (n,) by name, units of the population file; `constants`
    (constants, n) and `states` (states, n) in the order of `model`, as its kernel takes them.
    """

    index: IntArray
    age: FloatArray
    male: BoolArray
    weight: FloatArray
    traits: Mapping[str, FloatArray]
    constants: FloatArray
    states: FloatArray
    model: Model


def upper_limit(population: Population, test: str, male: BoolArray) -> FloatArray:
    """Upper limit of the reference range of each subject, in the test's canonical unit; shape of `male`."""
    limits = population.tests[test]
    if limits.female is None or limits.male is None:
        raise TrialrunError(Problem("missing-key", f"tests.{test} needs limits for eligibility", None, "female, male"))
    return np.where(male, limits.male[1], limits.female[1])


def draw_number(
    number: Number,
    name: str,
    seed: int,
    subjects: IntArray,
    time: int,
    center: FloatArray | None = None,
    spread: FloatArray | None = None,
) -> FloatArray:
    """One value for each subject; the same subject, seed and time give the same value.

    `center` (n,) and `spread` (n,) stand in the place of the number's own value and standard deviation.
    """
    varies = number.variability
    middle = np.full(subjects.size, number.value) if center is None else center
    if varies is None:
        return middle.copy()
    wide = np.full(subjects.size, varies.spread) if spread is None else spread
    score = draw_normal(seed, f"population.{name}", subjects, time)
    if varies.factor is not None and varies.correlation is not None:
        shared = draw_normal(seed, f"factor.{varies.factor}", subjects, time)
        score = np.sqrt(varies.correlation) * shared + np.sqrt(1.0 - varies.correlation) * score
    if varies.low is not None or varies.high is not None:
        low, high = (_score(cut, varies, middle, wide) for cut in (varies.low, varies.high))
        below, above = (0.0 if low is None else ndtr(low)), (1.0 if high is None else ndtr(high))
        score = np.asarray(ndtri(below + (above - below) * ndtr(score)))
    if varies.distribution == "lognormal":
        return np.asarray(middle * np.exp(wide * score))
    return np.asarray(middle + wide * score)


def _score(cut: float | None, varies: Variability, middle: FloatArray, wide: FloatArray) -> FloatArray | None:
    if cut is None:
        return None
    if varies.distribution == "lognormal":
        return np.asarray(np.log(cut / middle) / wide)
    return np.asarray((cut - middle) / wide)


Numbers = Mapping[str, FloatArray]  # by `section.name` or `section.name:spread`, (n,) each


def draw_subjects(
    population: Population, seed: int, index: IntArray, numbers: Numbers | None = None
) -> VirtualSubjects:
    """The subjects of these global indices (n,), each drawn again until it could have been enrolled.

    `numbers` gives each subject its own value of a number of the population file (its median or mean; its standard deviation
    under `section.name:spread`): subjects of several parameter sets or trials may so stand side by side.

    A subject's draws depend on seed and index alone. TrialrunError when someone cannot be drawn in `MOST_TRIES` tries.
    """
    numbers = {} if numbers is None else numbers
    _check_numbers(population, numbers, index.size)
    values = _draw_once(population, seed, index, 0, numbers)
    wanting = np.flatnonzero(~could_enrol(population, values))
    for attempt in range(1, MOST_TRIES):
        if wanting.size == 0:
            break
        some = {name: column[wanting] for name, column in numbers.items()}
        again = _draw_once(population, seed, index[wanting], attempt, some)
        for name, column in again.items():
            values[name][wanting] = column
        wanting = wanting[~could_enrol(population, again)]
    if wanting.size:
        raise TrialrunError(_nobody(population, seed, index, wanting, numbers))
    model = find_model(population.model, population.options)
    unknown = [name for name in model.constants if name not in values]
    if unknown:
        expected = "numbers of the population file, or numbers in the equations"
        raise TrialrunError(
            Problem(
                "unknown-number", f"model {population.model} asks for what nobody has", ", ".join(unknown), expected
            )
        )
    constants = np.vstack([values[name] for name in model.constants])
    states = _before_treatment(values, model)
    return VirtualSubjects(
        index=index.copy(),
        age=values["age"],
        male=values["male"] == 1.0,
        weight=values["weight"],
        traits=MappingProxyType(values),
        constants=constants,
        states=states,
        model=model,
    )


def draw_unselected(population: Population, seed: int, index: IntArray) -> dict[str, FloatArray]:
    """Traits (n,) by name of people as the distributions have them, whether or not they could be enrolled."""
    return _draw_once(population, seed, index, 0, {})


def _nobody(population: Population, seed: int, index: IntArray, wanting: IntArray, numbers: Numbers) -> Problem:
    """What is wrong where subjects at places `wanting` were not found: who refuses them, in tries enough to tell."""
    some = {name: column[wanting] for name, column in numbers.items()}
    tries = range(max(2, -(-400 // wanting.size)))
    drawn = [_draw_once(population, seed, index[wanting], attempt, some) for attempt in tries]
    by = shares([refuse(population, values) for values in drawn])
    said = ", ".join(f"{name} refuses {100 * part:.3g} %" for name, part in by.items())
    found = f"{wanting.size} of {index.size} subjects not found in {MOST_TRIES} tries; of those drawn {said}"
    message = "the population has almost nobody whom its section `enrolled` admits"
    return Problem("no-subject", message, found, "distributions that overlap with the bounds")


def _undrawn(key: str, number: Number, where: IntArray, numbers: Numbers) -> Problem:
    """What is wrong where a number cannot be drawn for the subjects at places `where`: its centre lies so far beyond where
    its distribution is cut off that nobody is left."""
    middle = numbers[key][where] if key in numbers else np.full(where.size, number.value)
    varies = number.variability
    cuts = "no cuts" if varies is None else f"a distribution cut off at {varies.low} and {varies.high}"
    found = f"a centre of {middle.min():.3g} to {middle.max():.3g} {number.unit}, with {cuts}"
    expected = f"less spread of {key} in `between_trials`, a smaller shift of it, or other parameter sets"
    return Problem("impossible-number", f"{key} cannot be drawn", found, expected)


def _check_numbers(population: Population, numbers: Numbers, n: int) -> None:
    known = population.numbers()
    for name, column in numbers.items():
        number = known.get(name.removesuffix(":spread"))
        if number is None or (name.endswith(":spread") and number.variability is None):
            raise TrialrunError(
                Problem(
                    "unknown-number", "the population has no such number", name, "section.name of the population file"
                )
            )
        if column.shape != (n,) or not np.isfinite(column).all():
            found = f"{name} of shape {column.shape}"
            raise TrialrunError(Problem("wrong-length", "one finite value for each subject", found, f"({n},)"))


def conduct_numbers(population: Population, n: int, numbers: Numbers | None = None) -> dict[str, FloatArray]:
    """Numbers of what happens to people, (n,) each by name: those of every section that draws nothing."""
    given = {} if numbers is None else numbers
    return {
        name: given.get(f"{section}.{name}", np.full(n, number.value))
        for section in SECTIONS
        if section in HAPPENING
        for name, number in getattr(population, section).items()
    }


def _draw_once(
    population: Population, seed: int, index: IntArray, attempt: int, numbers: Numbers
) -> dict[str, FloatArray]:
    v: dict[str, FloatArray] = {}
    for section in SECTIONS:
        if section not in HAPPENING:
            for name, number in getattr(population, section).items():
                key = f"{section}.{name}"
                spread = numbers.get(f"{key}:spread")
                v[name] = draw_number(number, name, seed, index, attempt, numbers.get(key), spread)
                if not np.isfinite(v[name]).all():
                    raise TrialrunError(_undrawn(key, number, np.flatnonzero(~np.isfinite(v[name])), numbers))

    def happens(what: str, probability: FloatArray) -> FloatArray:
        return (draw_uniform(seed, f"population.is.{what}", index, attempt) < probability).astype(np.float64)

    v["male"] = happens("male", v["male_fraction"])
    v["symptomatic_nodes_or_organs"] = happens("symptomatic_nodes", v["symptomatic_nodes"])
    v["constitutional_symptoms"] = happens("constitutional", v["constitutional"])
    rank = draw_uniform(seed, "population.is.ecog", index, attempt)
    v["ecog"] = (rank > v["ecog_0"]).astype(np.float64) + (rank > v["ecog_0"] + v["ecog_1"])
    if population.options.get("tolerance") == "off":
        v["tolerance_rate"] = np.zeros(index.size)
        v["tolerance_loss"] = np.zeros(index.size)
    unreactive = happens("unreactive", v["unreactive"]) == 1.0
    v["inflammation_sensitivity"] = v["inflammation_sensitivity"] * np.where(unreactive, v["unreactive_part"], 1.0)
    deaf = happens("nonresponder", v["nonresponder"]) == 1.0
    v["response"] = np.where(deaf, 0.0, v["response"])
    v["inflammation_kill"] = v["inflammation_kill"] * np.where(deaf, v["nonresponder_part"], 1.0)
    if "sheltered" in v:
        v["sheltered"] = np.where(deaf, v["sheltered"], 0.0)
    male = v["male"] == 1.0
    v["weight"] = np.where(male, v["weight_male"], v["weight_female"])
    _derive_drug(v)
    _derive_leukemia(v)
    _derive_marrow(v, male)
    _derive_kidney(v, male)
    for test in ("creatinine", "alt", "ast", "bilirubin"):
        v[f"{test}_x_uln"] = v[test] / upper_limit(population, test, male)
    return v


def _derive_drug(v: dict[str, FloatArray]) -> None:
    relative = v["weight"] / 75.0  # the published values hold at 75 kg
    v["clearance"] = 24.0 * v["clearance"] * relative ** v["clearance_weight_power"]
    v["volume"] = v["volume"] * relative ** v["volume_weight_power"]
    v["absorption_rate"] = 24.0 * v["absorption_rate"]
    v["inflammation_gain"] = v["inflammation_gain"] * v["inflammation_sensitivity"]


def _derive_leukemia(v: dict[str, FloatArray]) -> None:
    v["blood_volume"] = v["blood_volume"] * v["weight"] / 75.0
    v["blood_cells"] = (v["lymphocytes"] - v["normal_lymphocytes"]) * v["blood_volume"]
    outside = v["tissue_cells"] + v["marrow_cells"]
    # cells leave tissue and marrow at one rate and return in proportion to size, so that blood balances at the start
    v["tissue_share"] = v["tissue_cells"] / outside
    # sheltered cells stay where they are
    mobile = outside * (1.0 - v["sheltered"]) if "sheltered" in v else outside
    v["egress_rate"] = (v["homing_rate"] + v["death_rate_blood"]) * v["blood_cells"] / mobile
    v["effector_kill"] = v["effector_kill"] * v["response"]
    growth = v["birth_rate"] - v["death_rate_tissue"]
    net = growth * (v["tissue_cells"] + v["marrow_cells"] * (1.0 - v["marrow_cells"] / v["marrow_capacity"]))
    rate = (net - v["death_rate_blood"] * v["blood_cells"]) / (outside + v["blood_cells"])
    # lymphocytes double with the clone where it grows; where it hardly does there is no doubling time (missing)
    grows = rate > np.log(2.0) / LONGEST_DOUBLING
    v["doubling_time"] = np.where(grows, np.log(2.0) / np.where(grows, rate, 1.0), np.nan)


def _derive_marrow(v: dict[str, FloatArray], male: BoolArray) -> None:
    v["neutrophil_rate"] = 4.0 / v["neutrophil_mtt"]
    v["platelet_rate"] = 4.0 / v["platelet_mtt"]
    v["hemoglobin_setpoint"] = v["hemoglobin_setpoint"] * np.where(male, v["hemoglobin_male"], v["hemoglobin_female"])
    crowd = v["marrow_cells"] / (v["marrow_cells"] + v["crowding_half"])
    room = 1.0 - v["crowding"] * crowd
    v["neutrophils"] = v["neutrophil_setpoint"] * room
    v["platelets"] = v["platelet_setpoint"] * room
    v["hemoglobin"] = v["hemoglobin_setpoint"] * (1.0 - v["hemoglobin_crowding"] * crowd)


def _derive_kidney(v: dict[str, FloatArray], male: BoolArray) -> None:
    crcl = v["crcl"] * np.exp(-v["crcl_per_year"] * (v["age"] - 60.0))
    v["crcl"] = crcl
    v["relative_crcl"] = crcl / 90.0  # clearance is stated at 90 mL/min
    v["gfr"] = LITRES_PER_DAY * crcl
    # Cockcroft and Gault, solved for creatinine
    mg_dl = (140.0 - v["age"]) * v["weight"] * np.where(male, 1.0, 0.85) / (72.0 * crcl)
    v["creatinine"] = mg_dl * CREATININE_UMOL_PER_MG_DL
    v["creatinine_production"] = v["creatinine"] * v["gfr"]
    per_kg = np.where(male, v["creatinine_volume_male"], v["creatinine_volume_female"])
    v["creatinine_volume"] = per_kg * v["weight"]
    v["urate_production"] = v["urate"] * (v["urate_gut_clearance"] + v["urate_excretion"] * v["gfr"])
    v["rasburicase_decay"] = np.log(2.0) * 24.0 / v["rasburicase_half_life"]
    # total solubility rises with the ionised part: s (1 + 10^(pH - pKa)) / (1 + 10^(5 - pKa)), s at pH 5
    ionised = (1.0 + 10.0 ** (v["urine_ph"] - v["urate_pka"])) / (1.0 + 10.0 ** (5.0 - v["urate_pka"]))
    soluble = v["urate_solubility"] * 10.0 / URATE_MG_PER_MMOL * ionised
    usual = v["gfr"] * v["urate_excretion"] * v["urate"] / v["urine_flow"]
    v["urate_threshold"] = np.maximum(soluble, v["urate_usual"] * usual)
    v["phosphate_tm"] = v["phosphate"] - v["phosphate_intake"] / v["gfr"]
    for ion in ("phosphate", "potassium", "calcium"):
        v[f"{ion}_baseline"] = v[ion]
    for released in ("urate_yield", "phosphate_yield", "potassium_yield"):
        v[released] = v[released] * 1e-3  # fmol a cell = 1e-3 mmol per 10^9 cells


def _before_treatment(v: Mapping[str, FloatArray], model: Model) -> FloatArray:
    """Every state of the model before the first dose, (states, n): no drug, chains full, kidney at rest."""
    start: dict[str, FloatArray] = {
        "blood": v["blood_cells"],
        "tissue": v["tissue_cells"],
        "marrow": v["marrow_cells"],
        "hemoglobin": v["hemoglobin"],
        "filtration": np.ones(v["age"].size),
    }
    for part in ("precursors", "transit_1", "transit_2", "transit_3"):
        start[f"neutrophil_{part}"] = v["neutrophils"]
        start[f"platelet_{part}"] = v["platelets"]
    for name in ("neutrophils", "platelets", "urate", "phosphate", "potassium", "calcium", "creatinine"):
        start[name] = v[name]
    nothing = np.zeros(v["age"].size)
    return np.vstack([start.get(name, nothing) for name in model.states])

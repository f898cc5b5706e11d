"""Modules of chronic lymphocytic leukaemia under a drug: docs/simulate.md has the equations, their sources and limits."""

from __future__ import annotations

from trialrun.simulate.model.module import Drug, Module

_RENAL = {
    # clearance is stated at 90 mL/min; `filtration` is what is left of the subject's own
    "additive": "clearance * (1 - renal_fraction + renal_fraction * relative_crcl * filtration)",
    "power": "clearance * exp(renal_power * log(relative_crcl * filtration))",
}


def pharmacokinetics(renal_clearance: str = "additive") -> Module:
    """Lenalidomide: gut, one compartment, effect site. Clearance follows the kidney and is held for a day."""
    renal = "renal_power" if renal_clearance == "power" else "renal_fraction"
    emax, site = "{x}_emax * effect_site / ({x}_ec50 + effect_site)", "effect_site / ({x}_ec50 + effect_site)"
    return Module(
        "pharmacokinetics",
        "the drug in gut, blood and at its site of effect",
        constants=(
            *("absorption_rate", "clearance", renal, "relative_crcl", "volume", "effect_rate"),
            *("activation_ec50", "homing_ec50", "neutrophil_emax", "neutrophil_ec50", "platelet_emax", "platelet_ec50"),
        ),
        inputs=("dose",),
        daily={"elimination": f"{_RENAL[renal_clearance]} / volume"},
        jumps={"depot": "depot + dose"},
        drug=Drug(
            absorption="absorption_rate",
            elimination="elimination",
            effect="effect_rate",
            scale="1000 / volume",  # mg/L to ng/mL
            fast={
                "activated": site.format(x="activation"),
                "homing_signal": site.format(x="homing"),
                "neutrophils_let": "1 - " + emax.format(x="neutrophil"),
                "platelets_let": "1 - " + emax.format(x="platelet"),
            },
        ),
    )


IMMUNE = Module(
    "immune",
    "activation of T and NK cells, tolerance to it, and effectors that come with delay",
    constants=("activation_rate", "tolerance_rate", "tolerance_loss", "effector_rate"),
    terms={"surplus": "activation - tolerance"},
    states={
        "activation": "activation_rate * activated",
        "tolerance": "where(surplus > 0, tolerance_rate, tolerance_loss) * surplus",
        "effector_1": "effector_rate * activated",
        "effector_2": "effector_rate * effector_1",
    },
    decay={"activation": "activation_rate", "effector_1": "effector_rate", "effector_2": "effector_rate"},
    parts=4,  # tolerance has a kink where activation crosses it
)

INFLAMMATION = Module(
    "inflammation",
    "inflammation, which drives flare, acute kill and swelling",
    constants=(
        "inflammation_rate",
        "inflammation_gain",
        "inflammation_power",
        "steroid_effect",
    ),
    inputs=("steroid",),
    daily={"inflaming": "inflammation_rate * inflammation_gain * (1 - steroid_effect * steroid)"},
    signals={
        "provoked": "where(activation - tolerance > 0,"
        " inflaming * exp(inflammation_power * log(max(activation - tolerance, 1e-30))), 0)"
    },
    averaged={"provoked": "inflammation"},  # it begins and ends with a kink, where activation crosses tolerance
    states={"inflammation": "provoked"},
    decay={"inflammation": "inflammation_rate"},
)

TRAFFICKING = Module(
    "leukemia",
    "leukaemia cells in blood, in nodes and spleen, and in marrow; growth, homing, egress, kill and lysis",
    constants=(
        *("effector_kill", "inflammation_kill", "birth_rate", "death_rate_tissue", "death_rate_blood"),
        *(
            "homing_rate",
            "homing_gain",
            "egress_block",
            "egress_rate",
            "tissue_share",
            "marrow_capacity",
        ),
    ),
    daily={
        "net_growth": "birth_rate - death_rate_tissue",
        "per_capacity": "1 / marrow_capacity",
    },
    signals={
        "acute_kill": "inflammation_kill * inflammation * inflammation / (1 + inflammation)",
        "kill_tissue": "effector_kill * effector_2 + acute_kill",
        "kill_blood": "effector_kill * effector_2 + 0.5 * acute_kill",
        "leaving_tissue": "egress_rate * (1 - egress_block * homing_signal)",
        "homing": "homing_rate * (1 + homing_gain * homing_signal)",
    },
    terms={
        "returned": "homing * blood",
        "outside": "tissue + marrow",
        "growth_marrow": "net_growth * marrow * (1 - marrow * per_capacity)",
    },
    states={
        "blood": "leaving_tissue * outside - returned - (death_rate_blood + kill_blood) * blood",
        "tissue": "(net_growth - leaving_tissue - kill_tissue) * tissue + tissue_share * returned",
        "marrow": "growth_marrow - (leaving_tissue + kill_tissue) * marrow + (1 - tissue_share) * returned",
    },
    parts=2,  # blood and tissue exchange cells at several per day
    balances={"cells_born": "net_growth * tissue + growth_marrow - death_rate_blood * blood"},
)

LYSIS = Module(
    "lysis",
    "cells that are killed, until they have dissolved",
    constants=("lysis_rate",),
    signals={"killed": "kill_tissue * (tissue + marrow) + kill_blood * blood"},
    states={"dying": "killed"},
    decay={"dying": "lysis_rate"},
    balances={"cells_lysed": "lysis_rate * dying"},
)

CROWDING = Module(
    "crowding",
    "what leukaemia leaves of the room in the marrow",
    constants=("crowding", "crowding_half", "neutrophil_feedback", "platelet_feedback"),
    signals={
        "crowd": "marrow / (marrow + crowding_half)",
        "log_room": "log(1 - crowding * crowd)",
        "neutrophil_room": "exp(neutrophil_feedback * log_room)",
        "platelet_room": "exp(platelet_feedback * log_room)",
    },
)


def chain(kind: str, count: str, effect: str, gcsf: bool) -> Module:
    """Precursors, three transits and the count, with feedback (setpoint x room / count)^power.

    The power and 1 / count are carried as states, exact at the start of each day. `effect` says where the drug acts:
    on `proliferation` of the precursors or on `maturation` from the second to the third transit.
    """
    p, t1, t2, t3 = (f"{kind}_{part}" for part in ("precursors", "transit_1", "transit_2", "transit_3"))
    rate, made = f"{kind}_pace", f"{kind}_drive * {kind}_room"
    made = f"{made} * {kind}_more" if gcsf else made
    let = f"{count}_let"
    on_first, on_third = (f"{let} * ", "") if effect == "proliferation" else ("", f"{let} * ")
    return Module(
        count,
        f"{count}: a chain of precursors with feedback",
        constants=(
            f"{kind}_setpoint",
            f"{kind}_rate",
            f"{kind}_feedback",
            *(("gcsf_gain", "gcsf_speed") if gcsf else ()),
        ),
        inputs=("gcsf",) if gcsf else (),
        daily={
            rate: f"{kind}_rate" + (" * (1 + (gcsf_speed - 1) * gcsf)" if gcsf else ""),
            **({f"{kind}_more": "1 + (gcsf_gain - 1) * gcsf"} if gcsf else {}),
        },
        terms={f"{kind}_rise": f"{rate} * ({t3} * {kind}_per_count - 1)"},
        states={
            p: f"{rate} * {p} * ({on_first}{made} - 1)",
            t1: f"{rate} * ({p} - {t1})",
            t2: f"{rate} * ({t1} - {on_third}{t2})",
            t3: f"{rate} * ({on_third}{t2} - {t3})",
            count: f"{count} * {kind}_rise",
            f"{kind}_drive": f"-{kind}_feedback * {kind}_drive * {kind}_rise",
            f"{kind}_per_count": f"-{kind}_per_count * {kind}_rise",
        },
        parts=2 if gcsf else 1,  # counts that come back from nearly nothing grow threefold a day, quicker under G-CSF
        restart={
            f"{kind}_drive": f"exp({kind}_feedback * log({kind}_setpoint / {count}))",
            f"{kind}_per_count": f"1 / {count}",
        },
    )


HEMOGLOBIN = Module(
    "hemoglobin",
    "haemoglobin, slowly towards what crowding and the drug leave",
    constants=("hemoglobin_setpoint", "hemoglobin_rate", "hemoglobin_crowding", "hemoglobin_effect"),
    signals={
        "hemoglobin_goal": "hemoglobin_setpoint * (1 - hemoglobin_crowding * crowd) * (1 - hemoglobin_effect * activated)"
    },
    states={"hemoglobin": "hemoglobin_rate * hemoglobin_goal"},
    decay={"hemoglobin": "hemoglobin_rate"},
)

KIDNEY = Module(
    "kidney",
    "what lysed cells set free, and the kidney that has to remove it",
    constants=(
        *("gfr", "urate_production", "urate_volume", "urate_gut_clearance", "urate_excretion", "allopurinol_block"),
        *(
            "allopurinol_rate",
            "urate_yield",
            "rasburicase_kill",
            "rasburicase_decay",
            "urine_flow",
            "urine_flow_hydrated",
        ),
        *("urate_threshold", "phosphate_intake", "phosphate_yield", "phosphate_volume", "phosphate_tm"),
        *("phosphate_baseline", "phosphate_power", "potassium_intake", "potassium_yield", "potassium_volume"),
        *("potassium_baseline", "potassium_power", "potassium_gfr_power", "potassium_buffer", "potassium_exchange"),
        *("calcium_rate", "calcium_baseline", "precipitation_rate", "precipitation_limit"),
        *("creatinine_production", "creatinine_volume"),
        *("crystal_injury", "precipitate_injury", "recovery_rate", "inflammatory_gfr_loss", "inflammatory_gfr_half"),
    ),
    inputs=("allopurinol", "hydration", "rasburicase_given"),
    jumps={"rasburicase": "rasburicase + rasburicase_given"},
    daily={
        "per_urate_volume": "1 / urate_volume",
        "per_phosphate_volume": "1 / phosphate_volume",
        "per_potassium_volume": "1 / potassium_volume",
        "phosphate_fall": "gfr * per_phosphate_volume",
        "per_creatinine_volume": "1 / creatinine_volume",
        "per_urate_tolerated": "1 / ((urine_flow + (urine_flow_hydrated - urine_flow) * hydration) * urate_threshold)",
    },
    signals={
        "lysed": "lysis_rate * dying",
        "inflamed": "inflammation * inflammation / (inflammation * inflammation + inflammatory_gfr_half)",
    },
    terms={
        "filtered": "filtration * gfr",
        "urate_made_now": "(urate_production + urate_yield * lysed) * (1 - allopurinol_block * oxypurinol)",
        "urate_filtered": "urate_excretion * filtered * urate",
        "urate_oxidised_now": "rasburicase_kill * rasburicase * urate * urate_volume",
        "precipitating": "precipitation_rate * max(calcium * phosphate - precipitation_limit, 0)",
        "phosphate_out": "filtered * max(phosphate - phosphate_threshold, 0)",
        "phosphate_change": "(phosphate_intake + phosphate_yield * lysed - phosphate_out) * per_phosphate_volume - precipitating",
        "into_cells": "potassium_exchange * (potassium_buffer * (potassium - potassium_baseline) - potassium_stored)",
        "potassium_out": "potassium_intake * potassium_drive",
        "potassium_change": "(potassium_intake + potassium_yield * lysed - potassium_out - into_cells) * per_potassium_volume",
        "injury": "crystal_injury * max(urate_filtered * per_urate_tolerated - 1, 0) + precipitate_injury * precipitating",
        "filtration_change": "recovery_rate * (1 - inflammatory_gfr_loss * inflamed - filtration) - filtration * injury",
        "per_all": "1 / (filtration * phosphate * potassium)",  # one division instead of three
    },
    states={
        "urate": "(urate_made_now - urate_gut_clearance * urate - urate_filtered - urate_oxidised_now) * per_urate_volume",
        "phosphate": "phosphate_change + phosphate_fall * phosphate",
        "potassium": "potassium_change",
        "potassium_stored": "into_cells",
        "calcium": "calcium_rate * (calcium_baseline - calcium) - precipitating",
        "creatinine": "(creatinine_production - filtered * creatinine) * per_creatinine_volume",
        "filtration": "filtration_change",
        "oxypurinol": "allopurinol_rate * allopurinol",
        "rasburicase": "0",
        "phosphate_threshold": "-phosphate_power * phosphate_threshold * phosphate_change * (filtration * potassium * per_all)",
        "potassium_drive": "potassium_drive * phosphate * per_all"
        " * (potassium_gfr_power * filtration_change * potassium + potassium_power * potassium_change * filtration)",
    },
    decay={
        "oxypurinol": "allopurinol_rate",
        "rasburicase": "rasburicase_decay",
        "phosphate": "phosphate_fall",  # up to 20 a day: what is filtered by a whole kidney
    },
    bends={"precipitating": "calcium"},  # calcium phosphate begins to precipitate at a limit
    restart={
        "phosphate_threshold": "phosphate_tm * exp(phosphate_power * log(phosphate_baseline / phosphate))",
        "potassium_drive": "exp(potassium_power * log(potassium / potassium_baseline) + potassium_gfr_power * log(filtration))",
    },
    balances={
        "urate_made": "urate_made_now",
        "urate_excreted": "urate_gut_clearance * urate + urate_filtered",
        "urate_oxidised": "urate_oxidised_now",
        "phosphate_excreted": "phosphate_out",
        "precipitated": "precipitating",
        "potassium_excreted": "potassium_out",
        "calcium_exchanged": "calcium_rate * (calcium_baseline - calcium)",
    },
)

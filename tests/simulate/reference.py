"""The equations of docs/simulate.md once more, one subject at a time, written from the text and solved by SciPy.

Nothing here imports the compiled kernel: names of states and the right-hand side are written out again. `p` is one
subject's constants by the names that the population file and docs/simulate.md use (rates per day).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

FloatArray = NDArray[np.float64]

ORDER = (
    *("Ad", "Ac", "Ce", "A", "T", "F", "I1", "I2", "NB", "NL", "NM", "D"),
    *("n0", "n1", "n2", "n3", "N", "p0", "p1", "p2", "p3", "P", "Hb"),
    *("U", "Ph", "K", "Kc", "Ca", "Cr", "G", "al", "Ras"),
    *("born", "lysed", "u_made", "u_out", "u_ox", "ph_out", "S_sum", "k_out", "ca_in", "auc"),
)
AT = {name: i for i, name in enumerate(ORDER)}


def hill(x: float, half: float) -> float:
    return x / (half + x)


def slope(t: float, y: Sequence[float], p: Mapping[str, float], today: Mapping[str, float], cl: float) -> list[float]:
    """dy/dt per day. `today` holds the co-treatments; `cl` is the clearance (L/d), held constant over the day."""
    s = dict(zip(ORDER, y, strict=True))
    d: dict[str, float] = {}
    # pharmacokinetics
    conc = 1000.0 * s["Ac"] / p["volume"]
    d["Ad"] = -p["absorption_rate"] * s["Ad"]
    d["Ac"] = p["absorption_rate"] * s["Ad"] - cl / p["volume"] * s["Ac"]
    d["Ce"] = p["effect_rate"] * (conc - s["Ce"])
    d["auc"] = conc
    # activation, tolerance, inflammation, effectors
    a = hill(s["Ce"], p["activation_ec50"])
    over = max(s["A"] - s["T"], 0.0)
    d["A"] = p["activation_rate"] * (a - s["A"])
    gap = s["A"] - s["T"]
    d["T"] = (p["tolerance_rate"] if gap > 0 else p["tolerance_loss"]) * gap
    drive = p["inflammation_gain"] * over ** p["inflammation_power"] * (1 - p["steroid_effect"] * today["steroid"])
    d["F"] = p["inflammation_rate"] * (drive - s["F"])
    d["I1"] = p["effector_rate"] * (a - s["I1"])
    d["I2"] = p["effector_rate"] * (s["I1"] - s["I2"])
    # leukaemia
    hm = hill(s["Ce"], p["homing_ec50"])
    acute = p["inflammation_kill"] * s["F"] ** 2 / (1 + s["F"])
    kill_t = p["effector_kill"] * s["I2"] + acute
    kill_b = p["effector_kill"] * s["I2"] + 0.5 * acute
    out_l = p["egress_rate"] * s["NL"] * (1 - p["egress_block"] * hm)
    out_m = p["egress_rate"] * s["NM"] * (1 - p["egress_block"] * hm)
    home = p["homing_rate"] * (1 + p["homing_gain"] * hm) * s["NB"]
    net = p["birth_rate"] - p["death_rate_tissue"]
    grow_l, grow_m = net * s["NL"], net * s["NM"] * (1 - s["NM"] / p["marrow_capacity"])
    d["NB"] = out_l + out_m - home - p["death_rate_blood"] * s["NB"] - kill_b * s["NB"]
    d["NL"] = grow_l - out_l + p["tissue_share"] * home - kill_t * s["NL"]
    d["NM"] = grow_m - out_m + (1 - p["tissue_share"]) * home - kill_t * s["NM"]
    y_flux = p["lysis_rate"] * s["D"]
    d["D"] = kill_t * (s["NL"] + s["NM"]) + kill_b * s["NB"] - y_flux
    d["born"] = grow_l + grow_m - p["death_rate_blood"] * s["NB"]
    d["lysed"] = y_flux
    # marrow
    crowd = hill(s["NM"], p["crowding_half"])
    room = 1 - p["crowding"] * crowd
    gain, speed = (p["gcsf_gain"], p["gcsf_speed"]) if today["gcsf"] else (1.0, 1.0)
    for x, chain, kind, boost, k in (
        ("N", ("n0", "n1", "n2", "n3"), "neutrophil", gain, p["neutrophil_rate"] * speed),
        ("P", ("p0", "p1", "p2", "p3"), "platelet", 1.0, p["platelet_rate"]),
    ):
        block = 1 - p[f"{kind}_emax"] * hill(s["Ce"], p[f"{kind}_ec50"])
        feedback = (p[f"{kind}_setpoint"] * room / s[x]) ** p[f"{kind}_feedback"]
        d[chain[0]] = k * s[chain[0]] * (block * feedback * boost - 1)
        for before, after in zip(chain, (*chain[1:], x), strict=True):
            d[after] = k * (s[before] - s[after])
    goal = p["hemoglobin_setpoint"] * (1 - p["hemoglobin_crowding"] * crowd) * (1 - p["hemoglobin_effect"] * a)
    d["Hb"] = p["hemoglobin_rate"] * (goal - s["Hb"])
    # lysis products and kidney
    gd = s["G"] * p["gfr"]
    made = (1 - p["allopurinol_block"] * s["al"]) * (p["urate_production"] + p["urate_yield"] * y_flux)
    renal = p["urate_excretion"] * gd * s["U"]
    gone = p["urate_gut_clearance"] * s["U"] + renal
    ox = p["rasburicase_kill"] * s["Ras"] * s["U"] * p["urate_volume"]
    d["U"] = (made - gone - ox) / p["urate_volume"]
    d["u_made"], d["u_out"], d["u_ox"] = made, gone, ox
    d["al"] = p["allopurinol_rate"] * (today["allopurinol"] - s["al"])
    d["Ras"] = -p["rasburicase_decay"] * s["Ras"]
    prec = p["precipitation_rate"] * max(s["Ca"] * s["Ph"] - p["precipitation_limit"], 0.0)
    tm = p["phosphate_tm"] * (p["phosphate_baseline"] / s["Ph"]) ** p["phosphate_power"]
    ph_out = gd * max(s["Ph"] - tm, 0.0)
    d["Ph"] = (p["phosphate_intake"] + p["phosphate_yield"] * y_flux - ph_out) / p["phosphate_volume"] - prec
    d["ph_out"], d["S_sum"] = ph_out, prec
    k_out = p["potassium_intake"] * s["G"] ** p["potassium_gfr_power"]
    k_out *= (s["K"] / p["potassium_baseline"]) ** p["potassium_power"]
    into_cells = p["potassium_exchange"] * (p["potassium_buffer"] * (s["K"] - p["potassium_baseline"]) - s["Kc"])
    d["Kc"] = into_cells
    d["K"] = (p["potassium_intake"] + p["potassium_yield"] * y_flux - k_out - into_cells) / p["potassium_volume"]
    d["k_out"] = k_out
    d["ca_in"] = p["calcium_rate"] * (p["calcium_baseline"] - s["Ca"])
    d["Ca"] = d["ca_in"] - prec
    d["Cr"] = (p["creatinine_production"] - gd * s["Cr"]) / p["creatinine_volume"]
    flow = p["urine_flow"] + (p["urine_flow_hydrated"] - p["urine_flow"]) * today["hydration"]
    crystals = max(renal / flow / p["urate_threshold"] - 1, 0.0)
    target = 1 - p["inflammatory_gfr_loss"] * s["F"] ** 2 / (s["F"] ** 2 + p["inflammatory_gfr_half"])
    hurt = p["crystal_injury"] * crystals + p["precipitate_injury"] * prec
    d["G"] = p["recovery_rate"] * (target - s["G"]) - s["G"] * hurt
    return [d[name] for name in ORDER]


def solve_days(
    start: FloatArray,
    p: Mapping[str, float],
    inputs: Sequence[Mapping[str, float]],
    method: str = "DOP853",
    rtol: float = 1e-10,
) -> FloatArray:
    """States at the end of each day, (days, 42). `inputs` holds one mapping a day: dose (mg) and co-treatments."""
    y = np.array(start, dtype=np.float64)
    kept = []
    for today in inputs:
        y[AT["Ad"]] += today["dose"]
        y[AT["Ras"]] += today["rasburicase"]
        renal = p["renal_fraction"] * p["relative_crcl"] * y[AT["G"]]
        cl = p["clearance"] * (1 - p["renal_fraction"] + renal)
        solved = solve_ivp(slope, (0.0, 1.0), y, method=method, rtol=rtol, atol=rtol * 1e-3, args=(p, today, cl))
        if not solved.success or not math.isfinite(float(solved.y[:, -1].sum())):
            raise RuntimeError(solved.message)
        y = solved.y[:, -1]
        kept.append(y.copy())
    return np.array(kept)

"""A run directory with made-up numbers: the shape of what `simulate` and `compare` write, and nothing of its truth.

The curves are drawn by hand so that every figure has something to show. No number here may be read as a result.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from trialrun.record.tables import schema

FIRST = date(2030, 1, 7)
VERSIONS = {
    "original": {"levels": [10.0, 15.0, 20.0, 25.0], "target": 25.0, "lysis": 0.14, "flare": 3.0},
    "amendment-1": {"levels": [2.5, 5.0, 10.0, 15.0, 20.0, 25.0], "target": 10.0, "lysis": 0.02, "flare": 1.0},
}


def planned(version: str, cycles: int) -> list[float]:
    """The dose planned for each day from the first dose."""
    doses = []
    for cycle in range(cycles):
        for day in range(28):
            if version == "original":
                dose = [10.0, 15.0, 20.0, 25.0][min(3, cycle * 3 + day // 7)]
            else:
                dose = [2.5, 5.0, 10.0][min(2, cycle)]
            doses.append(dose if day < 21 else 0.0)
    return doses


def plan(version: str, cycles: int) -> dict[str, object]:
    """The shape of what `trialrun plan --format json` writes."""
    doses: list[dict[str, object]] = []
    for day, dose in enumerate(planned(version, cycles)):
        if doses and doses[-1]["dose"] == dose:
            doses[-1]["last"] = day + 1
        else:
            doses.append({"cycle": day // 28 + 1, "first": day + 1, "last": day + 1, "dose": dose, "unit": "mg"})
    days = [("screening", 0, -14, ["consent", "counts"]), ("first_dose", 1, 1, ["counts", "lysis_labs"])]
    days += [("week_2", cycle, 28 * cycle - 20, ["counts", "lysis_labs"]) for cycle in range(1, min(cycles, 3) + 1)]
    days += [("cycle_start", cycle, 28 * cycle - 27, ["counts", "response"]) for cycle in range(2, cycles + 1)]
    return {
        "version": version,
        "activities": [
            {"name": name, "label": label}
            for name, label in (
                ("consent", "Informed consent"),
                ("counts", "Blood count"),
                ("lysis_labs", "Tumour-lysis laboratory"),
                ("response", "Response"),
            )
        ],
        "visits": [
            {
                "visit": name,
                "cycle": cycle,
                "study_day": day,
                "earliest": day - 2,
                "latest": day + 2,
                "activities": does,
            }
            for name, cycle, day, does in days
        ],
        "visits_on_condition": [
            {"visit": "while_held", "when": "held", "every_days": 7, "after_days": None, "does": ["counts"]}
        ],
        "doses": doses,
    }


def write_made_up_run(directory: Path, subjects: int = 60, trials: int = 1, cycles: int = 4, seed: int = 3) -> Path:
    """Write the directory with both versions on the same subjects; returns it."""
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"T{trial + 1:02d}-{number + 1:05d}" for trial in range(trials) for number in range(subjects)]
    described = {
        "kind": "compare",
        "study": "made-up-study",
        "title": "A made-up study of a made-up drug",
        "protocol_file": "studies/made-up/protocol.yaml",
        "protocol_hash": "sha256:" + "a1" * 32,
        "population_hash": "sha256:" + "b2" * 32,
        "seed": seed,
        "subjects": subjects,
        "trials": trials,
        "cycles": cycles,
        "program_version": "0.0.0-made-up",
        "made_on": "2030-01-01",
        "published": "published.yaml",
        "versions": [
            {
                "version": version,
                "hash": "sha256:" + f"{place}c" * 32,
                "folder": version,
                "levels_mg": facts["levels"],
                "target_mg": facts["target"],
                "days_on": 21,
                "cycle_days": 28,
            }
            for place, (version, facts) in enumerate(VERSIONS.items())
        ],
    }
    (directory / "run.json").write_text(json.dumps(described, indent=1))
    for version in VERSIONS:
        _write_version(directory / version, version, names, cycles, seed)
        (directory / version / "plan.json").write_text(json.dumps(plan(version, cycles)))
    return directory


def _frame(table: str, columns: dict[str, object]) -> pl.DataFrame:
    known = schema(table)
    rows = pl.DataFrame(columns)
    return rows.with_columns(
        [pl.lit(None, dtype=kind).alias(name) for name, kind in known.items() if name not in rows.columns]
    ).select([pl.col(name).cast(kind) for name, kind in known.items()])


def _write_version(folder: Path, version: str, names: list[str], cycles: int, seed: int) -> None:
    facts = VERSIONS[version]
    luck = np.random.default_rng(seed)  # the same luck under both versions
    n = len(names)
    ids = np.array(names)
    strong = float(facts["flare"])
    sick = luck.random(n)
    lysis = sick < float(facts["lysis"])
    never = luck.random(n) < 0.02
    leaves = np.where(luck.random(n) < 0.3, luck.integers(20, cycles * 28, n), cycles * 28)
    leaves = np.where(lysis, 12, leaves)
    dies = (leaves < cycles * 28) & (luck.random(n) < 0.1) & ~lysis
    alc0 = np.exp(luck.normal(np.log(88), 0.7, n))
    urate0 = luck.normal(330, 60, n)

    rows: list[pl.DataFrame] = []
    visits: list[pl.DataFrame] = []

    def day_of(day: int | np.ndarray, who: np.ndarray) -> list[date]:
        return [FIRST + timedelta(days=int(d)) for d in np.broadcast_to(day, who.shape)]

    def measure(day: int, who: np.ndarray, test: str, values: np.ndarray, unit: str, visit: str) -> None:
        kept = np.flatnonzero(who & (luck.random(n) > 0.03))
        rows.append(
            pl.DataFrame(
                {
                    "subject": ids[kept],
                    "date": day_of(day, kept),
                    "visit": [visit] * len(kept),
                    "test": [test] * len(kept),
                    "value": values[kept],
                    "unit": [unit] * len(kept),
                    "high": [{"creatinine": 104.0, "urate": 420.0, "phosphate": 1.45, "potassium": 5.1}.get(test)]
                    * len(kept),
                    "low": [{"platelets": 150.0, "neutrophils": 2.0, "calcium": 2.15}.get(test)] * len(kept),
                },
                schema_overrides={"high": pl.Float64, "low": pl.Float64},
            )
        )

    days = [-14, 0, 3, 7, 14, 21] + [
        28 * c + d for c in range(1, cycles) for d in ((0, 3, 7, 14, 21) if c < 3 else (0,))
    ]
    days = [day for day in days if version != "original" or day % 28 != 3] + [cycles * 28]
    for day in days:
        who = (leaves >= day) & (~never | (day <= 0))
        visit = "screening" if day < 0 else f"cycle_{day // 28 + 1}_day_{day % 28 + 1}"
        kept = np.flatnonzero(who)
        visits.append(pl.DataFrame({"subject": ids[kept], "date": day_of(day, kept), "visit": [visit] * len(kept)}))
        cycle, inside = divmod(max(day, 0), 28)
        on = 0.85 ** (cycle + min(inside, 21) / 21) * np.exp(-(min(inside, 21) / 21) * strong * 0.5)
        fall = np.where(day <= 0, 1.0, on if inside else 0.5 * 0.8**cycle)
        noise = np.exp(luck.normal(0, 0.1, n))
        measure(day, who, "lymphocytes", alc0 * fall * noise, "10*9/L", visit)
        measure(day, who, "neutrophils", 3.4 * np.exp(luck.normal(-0.2 * (day > 0) * strong, 0.6, n)), "10*9/L", visit)
        measure(day, who, "platelets", 170 * np.exp(luck.normal(-0.1 * (day > 0) * strong, 0.5, n)), "10*9/L", visit)
        measure(day, who, "hemoglobin", luck.normal(119, 12, n), "g/L", visit)
        bump = np.where(lysis & (day in (3, 7)), 1.6, 1.0)
        measure(day, who, "urate", urate0 * bump * noise, "umol/L", visit)
        measure(day, who, "phosphate", luck.normal(1.1, 0.12, n) * bump, "mmol/L", visit)
        measure(day, who, "potassium", luck.normal(4.3, 0.3, n), "mmol/L", visit)
        measure(day, who, "calcium", luck.normal(2.3, 0.08, n), "mmol/L", visit)
        measure(day, who, "albumin", luck.normal(40, 2, n), "g/L", visit)
        measure(day, who, "creatinine", luck.normal(85, 8, n) * np.where(lysis & (day == 7), 2.0, 1.0), "umol/L", visit)
        if day <= 0 or inside == 0:
            shrink = max(0.2, 1 - 0.3 * strong**0.3 * cycle)
            measure(day, who, "node_spd", 31 * shrink * noise, "cm2", visit)
            measure(day, who, "spleen_below_costal_margin", np.full(n, 4.0 * shrink), "cm", visit)
            measure(day, who, "liver_below_costal_margin", np.zeros(n), "cm", visit)

    plan = np.array(planned(version, cycles))
    doses = []
    for day, dose in enumerate(plan):
        if dose == 0:
            continue
        kept = np.flatnonzero((leaves > day) & ~never)
        held = luck.random(len(kept)) < 0.06
        doses.append(
            pl.DataFrame(
                {
                    "subject": ids[kept],
                    "date": day_of(day, kept),
                    "dose": np.where(held, 0.0, dose),
                    "reason": np.where(held, "held", ""),
                }
            )
        )

    events = []

    def event(term: str, who: np.ndarray, day: np.ndarray, grade: np.ndarray) -> None:
        kept = np.flatnonzero(who & ~never & (day < leaves))
        events.append(
            pl.DataFrame(
                {
                    "subject": ids[kept],
                    "date": [FIRST + timedelta(days=int(d)) for d in day[kept]],
                    "term": [term] * len(kept),
                    "grade": grade[kept].astype(float),
                }
            )
        )

    event("tumor_flare", sick < 0.9, luck.integers(2, 12, n), 1 + (luck.random(n) * strong).astype(int))
    event("tumor_lysis_syndrome", lysis, np.full(n, 9), np.full(n, 3))
    event("febrile_neutropenia", luck.random(n) < 0.1 * strong, luck.integers(5, 50, n), np.full(n, 3))
    event("infection", luck.random(n) < 0.2, luck.integers(5, 80, n), luck.integers(1, 5, n))

    left = np.flatnonzero((leaves < cycles * 28) & ~never)
    reasons = np.where(
        lysis[left], "unacceptable toxicity", luck.choice(["progressive disease", "withdrawal by subject"], len(left))
    )
    reasons = np.where(dies[left], "death", reasons)
    stay = np.flatnonzero((leaves >= cycles * 28) & ~never)
    dead = left[dies[left]]
    dispositions = pl.concat(
        [
            pl.DataFrame({"subject": ids, "date": day_of(0, np.arange(n)), "event": "enrolled", "reason": ""}),
            pl.DataFrame(
                {
                    "subject": ids[left],
                    "date": day_of(leaves[left], left),
                    "event": "treatment discontinued",
                    "reason": reasons,
                }
            ),
            pl.DataFrame(
                {"subject": ids[dead], "date": day_of(leaves[dead], dead), "event": "death", "reason": "death"}
            ),
            pl.DataFrame(
                {
                    "subject": ids[stay],
                    "date": day_of(cycles * 28, stay),
                    "event": "completed",
                    "reason": "end of study",
                }
            ),
        ],
        how="vertical_relaxed",
    ).with_columns(pl.when(pl.col("reason") != "").then("reason").alias("reason"))

    exposures = pl.concat(doses).with_columns(pl.when(pl.col("reason") != "").then("reason").alias("reason"))
    made = {
        "subjects": pl.DataFrame({"subject": ids, "site": "01", "sex": "F", "birth_date": date(1970, 1, 1)}),
        "findings": pl.concat(rows),
        "visits": pl.concat(visits),
        "exposures": exposures.with_columns(pl.lit("made-up-drug").alias("drug"), pl.lit("mg").alias("unit")),
        "adverse_events": pl.concat(events),
        "dispositions": dispositions,
    }
    record = folder / "record"
    record.mkdir(parents=True, exist_ok=True)
    for table, rows_ in made.items():
        columns = {name: rows_[name] for name in rows_.columns}
        _frame(table, {"entry": [f"{table}-{i}" for i in range(rows_.height)], **columns}).write_parquet(
            record / f"{table}.parquet"
        )

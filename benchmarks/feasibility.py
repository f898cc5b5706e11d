"""Four fixed schedules on the virtual subjects, beside what the prototype of the model showed.

`python benchmarks/feasibility.py [subjects]` prints one column for each schedule. No rule engine: the holds are
the simple ones of the prototype, looked at weekly on true values. Nothing is tuned here; differences are told in
docs/simulate.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trialrun.engine.source import Moment, Orders
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.population import Population, read_population

STUDY = Path(__file__).resolve().parents[1] / "studies" / "lenalidomide-cll"
DAYS = 336  # 12 cycles of 28 days
SEED = 11


@dataclass(frozen=True)
class Schedule:
    """Levels in mg, days between steps, days of each 28 with drug, days of allopurinol; and the prototype's results."""

    name: str
    levels: tuple[float, ...]
    step_days: int
    days_on: int
    allopurinol: int
    prototype: tuple[str, ...]


SCHEDULES = (
    Schedule(
        "original 10 to 25 weekly", (10, 15, 20, 25), 7, 21, 28,
        ("5.2", "6.2", "98/15/2", "88", "51", "84", "0.04/0.06", "42", "-", "-"),
    ),
    Schedule(
        "amended 2.5/5/10", (2.5, 5, 10), 28, 21, 84,
        ("0.4", "0.6", "87/1/0", "74", "29", "54", "0.15/0.50", "12", "5 published", "-"),
    ),
    Schedule(
        "25 mg d1-21", (25,), 28, 21, 28,
        ("12.1", "14.0", "99.6/31/7", "91", "61", "89", "0.03/0.04", "61", "-", "-"),
    ),
    Schedule(
        "10 mg continuous", (10,), 28, 28, 28, ("4.5", "5.3", "95/10/2", "76", "38", "60", "0.09/0.09", "29", "-", "-")
    ),
)  # fmt: skip
ROWS = (
    "clinical lysis %",
    "laboratory lysis (Howard) %",
    "flare any/>=2/3 %",
    "neutropenia 3-4 %",
    "thrombocytopenia 3-4 %",
    "lymphocytes and nodes halved %",
    "ALC day 21 / day 28 of cycle 3",
    "creatinine rise >= 26.5 umol/L %",
    "febrile neutropenia, sepsis in 25",
    "deaths from infection or lysis %",
)


def run(population: Population, schedule: Schedule, n: int) -> dict[str, str]:
    """One schedule on n subjects for 12 cycles: each row of the table as text."""
    clinic = VirtualClinic(population, n, SEED)
    level, held, cuts = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.int64)
    stopped, taken = np.zeros(n, dtype=np.bool_), np.zeros(n)
    here = np.ones(n, dtype=np.bool_)
    first = clinic.truth()
    start = {name: first[name] for name in ("blood", "tissue", "creatinine")}
    least = {name: np.full(n, np.inf) for name in ("neutrophils", "platelets")}
    fevers = septic = deaths = 0
    rise, halved, alc = np.zeros(n), np.zeros(n, dtype=np.bool_), {}
    dose = np.zeros(n)
    lowest = np.zeros(n, dtype=np.int64)
    for day in range(-3, DAYS + 1):
        protect = {
            "allopurinol": np.full(n, -3 <= day - 1 < schedule.allopurinol),
            "hydration": np.full(n, -1 <= day - 1 <= 13),
        }
        clinic.live(day, Orders(dose, protect, here))
        observed = clinic.observe(Moment(day, {}))
        fevers += sum(event.rows.size for event in observed.events if event.term == "febrile_neutropenia")
        septic += sum(int((event.grade == 4).sum()) for event in observed.events if event.term == "infection")
        for ended in observed.ended:
            here[ended.rows] = False
            deaths += ended.rows.size if ended.event == "death" else 0
        truth = clinic.truth()
        for name, column in least.items():
            np.minimum(column, np.where(here, truth[name], np.inf), out=column)
        rise = np.maximum(rise, np.where(here, truth["creatinine"] - start["creatinine"], 0.0))
        relative = (truth["blood"] + 1.5 * clinic.subjects.traits["blood_volume"]) / (
            start["blood"] + 1.5 * clinic.subjects.traits["blood_volume"]
        )
        halved |= here & (relative <= 0.5) & ((truth["tissue"] / start["tissue"]) ** (2 / 3) <= 0.5) & (day % 28 == 0)
        if day in (56 + 21, 56 + 28):
            alc[day] = np.median(relative[here & ~stopped])
        if day >= 0 and day % 7 == 0:
            low = (truth["neutrophils"] < 0.5) | (truth["platelets"] < 30)
            hold = low | (truth["flare_grade"] >= 3) | (truth["clinical_lysis_grade"] > lowest)
            lowest = np.maximum(lowest, truth["clinical_lysis_grade"].astype(np.int64))
            free = (truth["neutrophils"] >= 1.0) & (truth["platelets"] >= 50) & (truth["flare_grade"] <= 1)
            back = held & free & ~hold
            cuts[hold & ~held] += 1
            stopped |= cuts > 4
            level[back] = np.maximum(level[back] - 1, 0)
            held = (held & ~back) | hold
            up = ~held & (cuts == 0) & (taken >= schedule.step_days * 21 / 28 * (level + 1))
            if schedule.step_days == 7:
                up = ~held & (cuts == 0) & (taken >= 7 * (level + 1))
            level[up] = np.minimum(level[up] + 1, len(schedule.levels) - 1)
        on = day >= 0 and day % 28 < schedule.days_on
        dose = np.where(on & here & ~held & ~stopped, np.array(schedule.levels)[level], 0.0)
        taken += dose > 0
    flare = truth["worst_flare_grade"]

    def part(holds: np.ndarray) -> str:
        return f"{100 * holds.mean():.1f}"

    values = (
        part(truth["clinical_lysis_grade"] > 0),
        part(truth["laboratory_lysis"] > 0),
        "/".join(part(flare >= grade) for grade in (1, 2, 3)),
        part(least["neutrophils"] < 1.0),
        part(least["platelets"] < 50),
        part(halved),
        "/".join(f"{alc[day]:.2f}" for day in sorted(alc)),
        part(rise >= 26.5),
        f"{25 * fevers / n:.1f}/{25 * septic / n:.1f}",
        part(np.array(deaths / n)),
    )
    return dict(zip(ROWS, values, strict=True))


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    population = read_population(STUDY)
    found = {schedule.name: run(population, schedule, n) for schedule in SCHEDULES}
    print(f"{n} subjects a schedule, {DAYS} days; (prototype)")
    for schedule in SCHEDULES:
        print(f"\n{schedule.name}")
        for row, before in zip(ROWS, schedule.prototype, strict=True):
            print(f"  {row:<36}{found[schedule.name][row]:>18}   ({before})")


if __name__ == "__main__":
    main()

"""Speed of the rule evaluator: one dose table with windows on a million subjects and on one, beside NumPy by hand.

    python benchmarks/rules.py [subjects]

The hand-written version keeps the same memory (last value and day, lowest of the cycle, highest of two weeks,
run of low counts) in bare arrays and decides with the same thresholds, unknowns included; the script stops if the two
differ. Times are the best of several runs; nothing here uses more than one core.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from trialrun.rules import Columns, History, Row, Table, Term, evaluate_table, read_action, read_rule
from trialrun.vocab.problems import Location
from trialrun.vocab.tests import all_tests

DAYS = (0, 7, 14, 21, 28)
TARGET_MANY, TARGET_ONE = 0.050, 0.001  # s: decided in the design

WORDS = {
    test.name: Term(
        test.name, test.kind, test.unit, "finding", test.label, worst=test.worst, limits=True, current_for=3.0
    )
    for test in all_tests().values()
}
WORDS["infection"] = Term("infection", "truth", None, "event", "infection", current_for=3.0)

ROWS = (
    ("neutrophils < 0.5 x10^9/L for 7 days", "hold until neutrophils >= 1.0 x10^9/L, resume one level lower"),
    ("lowest platelets this cycle < 25 x10^9/L", "hold until platelets >= 50 x10^9/L, resume one level lower"),
    ("highest creatinine over last 14 days > 150 umol/L and infection", "stop treatment"),
    ("platelets < 50 x10^9/L or neutrophils < 1.0 x10^9/L", "reduce one level"),
    (None, "continue"),
)


def make_table() -> Table:
    """The dose table that is timed."""
    rows = tuple(
        Row(None if when is None else read_rule(when, WORDS), read_action(then, WORDS), Location())
        for when, then in ROWS
    )
    return Table("doses", "7.1", "The first row that holds applies.", rows)


def make_results(n: int) -> dict[str, list[np.ndarray]]:
    """Made-up weekly results (lognormal, a fifth missing) and infections."""
    luck = np.random.default_rng(7)
    made = {}
    for name, centre in (("neutrophils", 0.9), ("platelets", 70.0), ("creatinine", 110.0)):
        made[name] = []
        for _ in DAYS:
            values = centre * np.exp(0.6 * luck.standard_normal(n))
            values[luck.random(n) < 0.2] = np.nan
            made[name].append(values)
    made["infection"] = [luck.random(n) < 0.05 for _ in DAYS]
    return made


def remember(table: Table, results: dict[str, list[np.ndarray]], n: int) -> History:
    """The package's memory after all results."""
    history = History(dict.fromkeys(item for row in table.rows if row.when for item in row.when.inputs), n)
    rows = np.arange(n)
    history.start_cycle(rows, 0)
    for number, day in enumerate(DAYS):
        for name in ("neutrophils", "platelets", "creatinine"):
            history.observe(name, rows, day, results[name][number])
        ill = np.flatnonzero(results["infection"][number])
        history.event("infection", ill, day, np.full(ill.size, 3.0), np.full(ill.size, float(day)))
        history.reviewed(rows, day)
    return history


def remember_by_hand(results: dict[str, list[np.ndarray]], n: int) -> dict[str, np.ndarray]:
    """The same memory in bare arrays."""
    memory = {name: np.full(n, np.nan) for name in ("neutrophils", "platelets", "since", "lowest", "highest")}
    memory["day_n"], memory["day_p"] = np.full(n, -99.0), np.full(n, -99.0)
    for number, day in enumerate(DAYS):
        values = results["neutrophils"][number]
        known = ~np.isnan(values)
        memory["neutrophils"][known], memory["day_n"][known] = values[known], day
        low = known & (values < 0.5)
        memory["since"][known & ~low] = np.nan
        memory["since"][low & np.isnan(memory["since"])] = day
        values = results["platelets"][number]
        known = ~np.isnan(values)
        memory["platelets"][known], memory["day_p"][known] = values[known], day
        memory["lowest"] = np.fmin(memory["lowest"], values)
        if day >= DAYS[-1] - 14:
            memory["highest"] = np.fmax(memory["highest"], results["creatinine"][number])
    memory["infection"] = results["infection"][-1]
    return memory


def decide_by_hand(memory: dict[str, np.ndarray], day: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and undetermined, as a careful author would write them for this table alone."""
    fresh_n, fresh_p = day - memory["day_n"] <= 3, day - memory["day_p"] <= 3
    low_n, low_p = memory["neutrophils"] < 0.5, memory["platelets"] < 50
    rows = [
        np.where(fresh_n, low_n & (memory["day_n"] - memory["since"] >= 7), -1),
        np.where(np.isnan(memory["lowest"]), -1, memory["lowest"] < 25),
        np.where(~memory["infection"], 0, np.where(np.isnan(memory["highest"]), -1, memory["highest"] > 150)),
        np.where((fresh_p & low_p) | (fresh_n & (memory["neutrophils"] < 1)), 1, np.where(fresh_p & fresh_n, 0, -1)),
    ]
    row = np.full(rows[0].size, 4)
    waiting = np.zeros(rows[0].size, dtype=bool)
    first = np.full(rows[0].size, -1)
    undetermined = np.zeros(rows[0].size, dtype=bool)
    open_ = np.ones(rows[0].size, dtype=bool)
    for number, verdict in enumerate(rows):
        holds = open_ & (verdict == 1)
        row[holds] = number
        undetermined |= holds & waiting
        open_ &= ~holds
        unsure = open_ & (verdict == -1)
        first[unsure & ~waiting] = number
        waiting |= unsure
    undetermined |= open_ & waiting
    row[undetermined] = first[undetermined]
    return row, undetermined


def best(run: Callable[[], object], times: int) -> float:
    """The shortest of several runs, in seconds."""
    shortest = float("inf")
    for _ in range(times):
        begun = time.perf_counter()
        run()
        shortest = min(shortest, time.perf_counter() - begun)
    return shortest


def compare(n: int, times: int, target: float) -> None:
    """Time both on n subjects and print them."""
    table, results, rows = make_table(), make_results(n), np.arange(n)
    history, memory = remember(table, results, n), remember_by_hand(results, n)
    columns: Columns = history.columns(DAYS[-1], rows)
    found = evaluate_table(table, columns)
    row, undetermined = decide_by_hand(memory, DAYS[-1])
    if not ((found.row == row).all() and (found.undetermined == undetermined).all()):
        sys.exit("the two versions differ")
    ours = best(lambda: evaluate_table(table, columns), times)
    making = best(lambda: history.columns(DAYS[-1], rows), times)
    by_hand = best(lambda: decide_by_hand(memory, DAYS[-1]), times)
    print(f"{n:>9,} subjects, {len(table.rows)} rows, {len(columns.values)} accumulators")
    print(
        f"    evaluate_table      {ours * 1e3:9.3f} ms   target {target * 1e3:g} ms   {ours / by_hand:5.2f} x by hand"
    )
    print(f"    History.columns     {making * 1e3:9.3f} ms")
    print(f"    NumPy by hand       {by_hand * 1e3:9.3f} ms")
    if n > 1:
        new, old = best(lambda: remember(table, results, n), 2), best(lambda: remember_by_hand(results, n), 2)
        print(
            f"    remembering {len(DAYS)} visits {new * 1e3:8.0f} ms   by hand {old * 1e3:.0f} ms   {new / old:5.2f} x"
        )


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    compare(many, 7, TARGET_MANY)
    compare(1, 200, TARGET_ONE)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()

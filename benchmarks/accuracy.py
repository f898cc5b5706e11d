"""The kernel's largest errors over random subjects of every study, against SciPy on the text of the same equations.

`python benchmarks/accuracy.py [subjects] [days]` (200 subjects, 84 days: some minutes). Every second subject has the numbers of
a parameter set. Relative errors of what rules see on every day under the planned doses of each version, before measurement
error; the reference is DOP853 at rtol 1e-10. Fails above 1e-4. Inflammation, which flare follows from, and filtration, which
creatinine follows from, are seen by no rule: they are told and not judged, and were off by somewhat more in a few people
(docs/model.md).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from simulate.plain import largest_errors  # noqa: E402
from trialrun.protocol import read_protocol  # noqa: E402

ALLOWED = 1e-4
NO_RULE_SEES = ("inflammation", "filtration")


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 84
    print(f"{n} subjects of each study, {days} days: largest relative errors")
    worst = 0.0
    for file in sorted((ROOT / "studies").glob("*/protocol.yaml")):
        for version in read_protocol(file).versions:
            started = time.perf_counter()
            errors = sorted(largest_errors(file.parent, n, 1, days, version).items(), key=lambda item: -item[1])
            worst = max(worst, *(error for name, error in errors if name not in NO_RULE_SEES))
            told = ", ".join(f"{name} {error:.1e}" for name, error in errors[:5])
            name = f"{file.parent.name}@{version}"
            print(f"{name:<46} {told}  ({time.perf_counter() - started:.0f} s)", flush=True)
    if not worst <= ALLOWED:
        sys.exit(f"an error above {ALLOWED:g}")


if __name__ == "__main__":
    main()

"""The main job from end to end, as a new user would try it: `make demo`.

Check the study, grade real laboratory panels, screen and decide on made-up people, compare the two versions on virtual
subjects, write the report. Everything is written to the folder `out/demo`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDY = "studies/lenalidomide-cll"
OUT = Path("out/demo")

# (heading, arguments, which exit codes are fine: 1 means findings, which these examples have on purpose)
STEPS: list[tuple[str, list[str], tuple[int, ...]]] = [
    ("1. Is the protocol sound? All static checks, and its cases", ["check", STUDY], (0, 1)),
    ("2. What did the amendment change?", ["diff", STUDY, "original", "amendment-1"], (0, 1)),
    (
        "3. CTCAE grades of 5,168 real blood panels, as they are: fixed cut points only",
        ["grade", str(OUT / "thiomon.csv"), "--criteria", "ctcae-5.0", "--out", str(OUT / "grades-as-is.csv")],
        (0, 1),
    ),
    (
        "4. The same with assumed reference limits",
        ["grade", str(OUT / "thiomon.csv"), "--criteria", "ctcae-5.0", "--limits", "examples/labs/assumed_limits.csv",
         "--out", str(OUT / "grades-with-assumed-limits.csv")],
        (0, 1),
    ),
    ("5. Who is eligible? (made-up candidates)", ["screen", STUDY, "examples/screening/candidates.csv"], (0, 1)),
    (
        "6. What dose today, and why? (a made-up record)",
        ["decide", STUDY, "examples/records/lenalidomide-cll", "--on", "2007-09-17",
         "--certificate", str(OUT / "certificates")],
        (0, 1),
    ),
    (
        "7. The first protocol against the amended one, on the same 2,000 virtual subjects over 12 cycles",
        ["compare", f"{STUDY}@original", f"{STUDY}@amendment-1", "--subjects", "2000", "--seed", "1", "--cycles", "12",
         "--out", str(OUT / "compare")],
        (0,),
    ),
    ("8. The report", ["report", str(OUT / "compare"), "--out", str(OUT / "report.html")], (0, 1)),
]  # fmt: skip


def run(heading: str, command: list[str], fine: tuple[int, ...]) -> None:
    """Run one step in the project folder; anything but a fine exit code ends the demonstration."""
    print(f"\n== {heading}\n$ {' '.join(command)}\n", flush=True)
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code not in fine:
        sys.exit(f"this step ended with exit code {code}")


def main() -> None:
    """Run every step and say what was made and where."""
    start = time.monotonic()
    (ROOT / OUT).mkdir(parents=True, exist_ok=True)
    run(
        "Real panels from wide to long",
        [sys.executable, "examples/labs/thiomon_long.py", str(OUT / "thiomon.csv")],
        (0,),
    )
    program = str(Path(sys.executable).parent / "trialrun")
    for heading, arguments, fine in STEPS:
        run(heading, [program, *arguments], fine)
    print(f"\nDone in {time.monotonic() - start:.0f} s. What was made:\n")
    for path, what in [
        ("report.html", "open this first: both versions side by side, one self-contained page"),
        ("compare/summary.csv", "every estimate with its interval"),
        ("compare/original/record, compare/amendment-1/record", "the records of the virtual trials, as Parquet"),
        ("certificates", "one decision certificate a made-up participant"),
        ("grades-as-is.csv, grades-with-assumed-limits.csv", "the graded panels, with rule and reason for each result"),
    ]:
        print(f"  {OUT}/{path}\n      {what}")


if __name__ == "__main__":
    main()

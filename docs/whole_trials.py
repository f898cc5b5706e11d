"""Run the whole trials of docs/whole-trials.md, draw their picture and write their numbers into the page.

`python docs/whole_trials.py [TRIALS]`: 2,000 trials of 27 participants take about 2 minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from trialrun.protocol import read_protocol
from trialrun.trials.figure import draw_trials, write_picture
from trialrun.trials.run import run_trials
from trialrun.trials.study import read_trial_study
from trialrun.trials.summary import Characteristic, percent, summarize_trials
from trialrun.trials.tables import tabulate_subjects, tabulate_trials

HERE = Path(__file__).resolve().parent
STUDY = HERE.parent / "studies" / "lenalidomide-cll"
PAGE = HERE / "whole-trials.md"
BEGIN, END = "<!-- numbers: written by docs/whole_trials.py -->", "<!-- end of numbers -->"
SUBJECTS, SEED, CYCLES = 27, 1, 12


def _percent(row: Characteristic) -> str:
    assert row.value is not None
    assert row.low is not None
    assert row.high is not None
    told = f"{percent(row.value)} (Monte Carlo {percent(row.low)} to {percent(row.high)}"
    if row.sets_low is not None and row.sets_high is not None:
        told += f"; over the parameter sets {percent(row.sets_low)} to {percent(row.sets_high)}"
    return told + ")"


def _mean(row: Characteristic) -> str:
    return f"{row.value:.3g} (5 to 95 % of these trials: {row.q05:.3g} to {row.q95:.3g})"


def main() -> None:
    """Run, draw, and put the numbers between the marks of the page."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    study = read_trial_study(read_protocol(STUDY), "original", ["amendment-1"], None, None)
    done = run_trials(study.setting(SEED, CYCLES, SUBJECTS, trials), trials, SUBJECTS)
    table = tabulate_trials(done)
    rows = {(row.name, row.of): row for row in summarize_trials(table, tabulate_subjects(done))}
    write_picture(draw_trials(table, "original to amendment-1"), HERE / "figures" / "whole-trials.png")
    both = rows["first_two_lysis_and_death", "all trials"]
    text = (
        f"The picture and these numbers are of the call above with {trials:,} trials, each with a parameter set of the "
        "ensemble and the differences between trials of `population.yaml`.\n\n"
        "| | |\n|---|---|\n"
        f"| trials that pause | {_percent(rows['paused', 'all trials'])} |\n"
        f"| by two participants treated | {_percent(rows['paused_by_two', 'all trials'])} |\n"
        f"| participants treated when the rule became true | {_mean(rows['treated_by_pause', 'trials with a pause'])} |\n"
        f"| harmed before the amended version was active | {_mean(rows['harmed_before_end_of_start', 'amended trials'])} |\n"
        f"| harmed on the original version, all trials | {_mean(rows['harmed_on_start', 'all trials'])} |\n"
        f"| harmed on the amended version, all trials | {_mean(rows['harmed_on_amended', 'all trials'])} |\n"
        f"| of the first two one with lysis, the other dead of toxicity | {_percent(both)} |\n\n"
        "The last row is what was published of the first two participants. Where it is rare here, either the model makes harm "
        "rarer than it was or the trial was unlucky; two participants cannot tell."
    )
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

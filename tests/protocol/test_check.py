"""What the static checks find in a study that was spoiled on purpose, and that the study itself is clean."""

from __future__ import annotations

import pytest

from trialrun.plan.calendar import plan_version
from trialrun.plan.planned import check_planned
from trialrun.protocol import Protocol, read_protocol
from trialrun.protocol.check import check_protocol, check_static


def test_the_study_has_no_error_and_no_warning(study: Protocol) -> None:
    checked = check_protocol(study)
    assert [str(problem) for problem in checked.problems if problem.severity != "note"] == []
    assert checked.failed == {"original": 0, "amendment-1": 0}
    assert min(checked.cases.values()) > 100


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        # tables
        ("when: platelets < 30 x10^9/L", "when: neutrophils < 0.4 x10^9/L", "dead-row", "row 4 of dose_modification"),
        ("        - otherwise: continue\n      status: assumed\n      source: assumed\n      note: No published",
         "      status: assumed\n      source: assumed\n      note: No published", "gap", "no row of dose_modification"),
        # levels
        ("up_to: 25 mg\n        - otherwise: continue\n      status: published",
         "up_to: 15 mg\n        - otherwise: continue\n      status: published", "unreachable-level", "20 mg"),
        ("when: cycles_at_level >= 1 and level_dose < 10 mg and reductions = 0",
         "when: cycles_at_level >= 1 and level_dose < 5 mg and reductions = 0", "target-not-reached", None),
        ("response = PD and level_dose >= 25 mg", "response = PD and level_dose >= 24 mg", "dose-off-levels", "24 mg"),
        # schedule
        ("tests: [b_cell_cll, prior_systemic_therapy,", "tests: [prior_systemic_therapy,", "never-measured", "b_cell_cll"),
        ("does: [hematology, lysis_labs, events]\n        decides_dose: true",
         "does: [lysis_labs, events]\n        decides_dose: true", "decision-lacks-test", "always be withheld"),
        ("does: [hematology, lysis_labs, events]\n        decides_dose: true",
         "does: [hematology, lysis_labs]\n        decides_dose: true", "decision-lacks-test", "adverse events"),
        ("events: {label: Adverse events, asks_for_events: true}", "events: {label: Adverse events}",
         "never-measured", "adverse events"),
        ("response: {label: Response (NCI-WG 1996), assesses_response: true}", "response: {label: Response}",
         "never-measured", "response"),
        ("hematology: {label: Blood count, tests: [neutrophils, platelets,", "hematology: {label: Blood count, tests: [platelets,",
         "never-measured", "neutrophils"),
        ("window: [14 days before, 10 days after]", "window: [14 days before, 11 days after]", "windows-overlap", "screening"),
        # thresholds
        ("hemoglobin < 110 g/L", "hemoglobin < 1.1 g/L", "implausible-threshold", "1.1 g/L"),
        ("platelets < 30 x10^9/L", "platelets < 30000 x10^9/L", "implausible-threshold", None),
        ("bilirubin < 1.5 x ULN", "bilirubin < 150 x ULN", "implausible-threshold", "150 x ULN"),
        ("grade of infection >= 4", "grade of infection >= 6", "implausible-threshold", None),
        ("when: age >= 18 years", "when: age >= 18 years or age < 18 years", "constant-rule", "never fail"),
        # sources, reasons, words
        ("when: ecog <= 2\n        status: published\n        source: registry",
         "when: ecog <= 2\n        status: published\n        source: assumed", "no-source", "published"),
        ("reason: progressive disease", "reason: progression of disease", "unknown-reason", "progression of disease"),
        ("          reason: progressive disease\n", "", "no-reason", "stop treatment"),
        ("    assumed: \"no public", "    spare: \"A book\"\n    assumed: \"no public", "unused", "spare"),
        ("expression: {label: Blood for gene expression, samples: [leukaemic_cells]}",
         "expression: {label: Blood for gene expression, samples: [leukaemic_cells]}\n      scan: {label: Scan}", "unused", "scan"),
        # amendment
        ("date: 2007-03-01", "date: 2006-03-01", "date-order", "2006-03-01"),
    ],
)  # fmt: skip
def test_what_is_spoiled_is_found(edited, old, new, code, says) -> None:  # type: ignore[no-untyped-def]
    read = read_protocol(edited((old, new)))
    problems = check_static(read)
    for version in read.versions.values():
        problems += check_planned(plan_version(version))
    told = [problem for problem in problems if problem.code == code]
    assert told, [str(problem) for problem in problems]
    assert says is None or any(says in str(problem) for problem in told), [str(problem) for problem in told]
    assert all(problem.location.line is not None for problem in told)


def test_no_visit_that_decides(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited()
    text = (folder / "protocol.yaml").read_text(encoding="utf-8").replace("decides_dose: true", "decides_dose: false")
    (folder / "protocol.yaml").write_text(text, encoding="utf-8")
    assert "no-decision" in {problem.code for problem in check_static(read_protocol(folder))}


def test_a_change_that_changes_nothing(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(
        (
            "      - set: concomitant.allopurinol\n",
            "      - {set: disposition_reasons, because: none, to: [progressive disease, unacceptable toxicity, "
            "complete response held for two cycles, death, withdrawal by subject, lost to follow-up, "
            "physician decision, end of study]}\n      - set: concomitant.allopurinol\n",
        )
    )
    told = [problem for problem in check_static(read_protocol(folder)) if problem.code == "idle-change"]
    assert len(told) == 1
    assert told[0].severity == "warning"
    assert told[0].found == "'disposition_reasons'"


def _another_study_rule(when: str, then: str) -> tuple[str, str]:
    return (
        "    disposition_reasons:\n",
        '      end_for_lysis:\n        section: "9.3"\n        says: The study is looked at.\n'
        f"        when: {when}\n        then: {then}\n"
        "        status: assumed\n        source: assumed\n    disposition_reasons:\n",
    )


def test_a_pause_at_the_first_case_and_a_stop_at_more_do_not_contradict(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(_another_study_rule("subjects_with_tumor_lysis_syndrome >= 2", "stop the study"))
    assert [problem for problem in check_static(read_protocol(folder)) if problem.severity != "note"] == []


def test_a_pause_that_a_stop_always_forestalls_never_acts(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(_another_study_rule("subjects_treated >= 0", "stop the study"))
    told = [problem for problem in check_static(read_protocol(folder)) if problem.code == "dead-rule"]
    assert len(told) == 1
    assert told[0].message == (
        "study_rules.pause_for_lysis never acts: study_rules.end_for_lysis, which does more, holds wherever it does"
    )


def test_a_level_that_nothing_leads_to_names_the_version(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(("up_to: 25 mg\n        - otherwise: continue\n      status: published",
                     "up_to: 15 mg\n        - otherwise: continue\n      status: published"))  # fmt: skip
    told = [problem for problem in check_static(read_protocol(folder)) if problem.code == "unreachable-level"]
    assert [problem.message for problem in told] == [
        "version original: no row of its tables ever leads to this dose",
        "version original: no row of its tables ever leads to this dose, the target",
    ]


def test_an_inherited_problem_is_told_once(edited) -> None:  # type: ignore[no-untyped-def]
    """The amendment inherits the criterion; there is one mistake in the file, so one line is told."""
    folder = edited(("hemoglobin < 110 g/L", "hemoglobin < 1.1 g/L"))
    told = [p for p in check_static(read_protocol(folder)) if p.code == "implausible-threshold"]
    assert len(told) == 1


def test_without_cases(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited()
    (folder / "cases.yaml").unlink()
    checked = check_protocol(read_protocol(folder))
    assert [problem.code for problem in checked.problems if problem.severity != "note"] == ["no-cases"]


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("when_complete_for: 56 days", "stand together"),
        ("when_complete_for: 56 days, again_after: 168 days, asks_for_events: true", "does nothing else"),
        ("when_complete_for: 8 weeks, again_after: 168 days", "whole number of days"),
    ],
)
def test_when_the_marrow_is_due_is_said_in_full(edited, problems_of, new, said) -> None:  # type: ignore[no-untyped-def]
    told = problems_of(edited(("when_complete_for: 56 days, again_after: 168 days", new)))
    assert any(said in str(problem) for problem in told), [str(problem) for problem in told]
    assert all(problem.location.line is not None for problem in told)

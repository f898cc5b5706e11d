"""Cases beside a protocol: every value form, wrong answers, missing cases, bad files."""

from __future__ import annotations

import pytest

from trialrun.protocol import read_protocol
from trialrun.protocol.cases import read_cases, run_cases
from trialrun.protocol.check import check_protocol


def _answers(folder) -> list[str]:  # type: ignore[no-untyped-def]
    protocol = read_protocol(folder)
    cases, problems = read_cases(protocol)
    assert problems == []
    return [result.answered for result in run_cases(protocol, cases) if result.case.version == "original"]


def _write(folder, text: str):  # type: ignore[no-untyped-def]
    (folder / "cases.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("rule", "given", "answer"),
    [
        ("eligibility.need_for_treatment", "{hemoglobin: 10.9 g/dL}", "true"),
        ("eligibility.creatinine", "{creatinine: {value: 1.0 mg/dL, high: 110 umol/L}}", "true"),
        ("eligibility.creatinine", "{creatinine: {value: 2.0 mg/dL, high: 110 umol/L}}", "false"),
        ("eligibility.neutrophils", "{neutrophils: [{value: 0.5 x10^9/L, ago: 2 days}, {value: 1.5 x10^9/L}]}", "true"),
        ("eligibility.neutrophils", "{neutrophils: [{value: 1.5 x10^9/L}, {value: 0.5 x10^9/L, ago: 2 days}]}", "true"),
        ("eligibility.neutrophils", "{neutrophils: [{value: 1.5 x10^9/L}, {value: 0.5 x10^9/L}]}", "false"),
        ("eligibility.neutrophils", "{neutrophils: {value: 1.5 x10^9/L, ago: 9 days}}", "unknown"),
        ("dose_modification.severe_flare", "{tumor_flare: {grade: 3, ago: 5 days}}", "true"),
        (
            "dose_modification.severe_flare",
            "{tumor_flare: {grade: 3, ago: 5 days, ended: 1 days}, events: asked}",
            "false",
        ),
        ("dose_modification.severe_flare", "{events: {asked: 3 days}}", "false"),
        ("dose_modification.severe_flare", "{events: {asked: 4 days}}", "unknown"),
    ],
)
def test_how_values_are_written(edited, rule: str, given: str, answer: str) -> None:  # type: ignore[no-untyped-def]
    text = f"rules:\n  {rule}:\n    - {{given: {given}, answer: unknown}}\n"
    assert _answers(_write(edited(), text)) == [answer]


def test_a_wrong_answer_is_an_error_with_its_line(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(cases=(("- {given: {age: 18 years}, answer: true}", "- {given: {age: 18 years}, answer: false}"),))
    checked = check_protocol(read_protocol(folder))
    failed = [problem for problem in checked.problems if problem.code == "case-fails"]
    assert {(problem.found, problem.expected) for problem in failed} == {("true", "false")}
    assert checked.failed == {"original": 1, "amendment-1": 1}
    lines = (folder / "cases.yaml").read_text(encoding="utf-8").splitlines()
    assert all("18 years" in lines[(problem.location.line or 0) - 1] for problem in failed)


def test_a_wrong_row_and_a_wrong_wait_are_errors(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(cases=(("answer: sepsis", "answer: lysis"), ("waits_for: [neutrophils]", "waits_for: [platelets]")))
    failed = [p for p in check_protocol(read_protocol(folder)).problems if p.code == "case-fails"]
    assert ("sepsis", "lysis") in {(problem.found, problem.expected) for problem in failed}
    assert ("neutrophils", "platelets") in {(problem.found, problem.expected) for problem in failed}


@pytest.mark.parametrize(
    ("old", "missing"),
    [
        ("    - {given: {age: unknown}, answer: unknown}\n", "eligibility.adult in which it is unknown"),
        ("    - {given: {age: 18 years}, answer: true}\n", "eligibility.adult in which age = 18 years"),
        ("    - {given: {age: 17 years}, answer: false}\n", "eligibility.adult in which it is false"),
        ("    - {given: {neutrophils: 1.0 x10^9/L}, answer: false}\n",
         "eligibility.neutrophils in which neutrophils = 1.0 x10^9/L"),
        ("    - given: {events: asked, neutrophils: 0.5 x10^9/L, platelets: 29 x10^9/L}\n      answer: thrombocytopenia\n",
         "dose_modification in which its row thrombocytopenia decides"),
    ],
)  # fmt: skip
def test_a_missing_case_is_named(edited, old: str, missing: str) -> None:  # type: ignore[no-untyped-def]
    checked = check_protocol(read_protocol(edited(cases=((old, ""),))))
    told = [problem.message for problem in checked.problems if problem.code == "missing-case"]
    assert told == [f"cases.yaml has no case of {missing}"]


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("rules: {eligibility.adlt: [{given: {age: 18 years}, answer: true}]}", "unknown-rule", "eligibility.adult"),
        ("tables: {dose_mod: [{given: {}, answer: lysis}]}", "unknown-table", "dose_modification"),
        ("tables: {step_up: [{given: {}, answer: weekli}]}", "unknown-row", "weekly"),
        ("rules: {eligibility.adult: [{given: {age: 18}, answer: true}]}", "case-value", "for example 1 a"),
        ("rules: {eligibility.adult: [{given: {age: 18 mg}, answer: true}]}", "case-value", "a unit that converts to a"),
        ("rules: {eligibility.adult: [{given: {agee: 18 years}, answer: true}]}", "unknown-term", "age"),
        ("rules: {eligibility.adult: [{given: {age: [1]}, answer: true}]}", "case-value", None),
        ("rules: {eligibility.adult: [{given: {age: 18 years}, answer: yes}]}", "invalid-value", None),
        ("rules: {eligibility.adult: [{given: {age: 18 years}, anser: true}]}", "unknown-key", "answer"),
        ("rules: {eligibility.adult: [{versions: [v9], given: {}, answer: unknown}]}", "unknown-version", "original"),
        ("rules: {eligibility.consent: [{given: {consented: yes}, answer: true}]}", "case-value", "true, false"),
        ("rules: {discontinuation.progression: [{given: {response: XX}, answer: true}]}", "case-value", "PD"),
        ("rules: {concomitant.steroid: [{given: {tumor_flare: 3}, answer: true}]}", "case-value", "grade 3"),
        ("rules: {concomitant.steroid: [{given: {tumor_flare: grade 7}, answer: true}]}", "case-value", "grade 5"),
        ("rules: {concomitant.steroid: [{given: {events: yes}, answer: true}]}", "case-value", "asked"),
        ("rules: {eligibility.platelets: [{given: {platelets: {vale: 1 x10^9/L}}, answer: true}]}", "unknown-key", "value"),
        ("rules: {eligibility.platelets: [{given: {platelets: {low: 1 x10^9/L}}, answer: true}]}", "missing-key", "value"),
        ("rules: {eligibility.platelets: [{given: {platelets: {value: 1 x10^9/L, ago: 3}}, answer: true}]}",
         "case-value", "3 days"),
        ("rules: {terms.nothing_such: [{given: {}, answer: true}]}", "unknown-rule", None),
        ("rules: 5", "invalid-value", None),
        ("nonsense: 5", "unknown-key", "rules"),
        ("rules: [", "yaml", None),
        ("", "empty-file", None),
    ],
)  # fmt: skip
def test_bad_cases_are_told_with_file_and_line(edited, text: str, code: str, expected: str | None) -> None:  # type: ignore[no-untyped-def]
    problems = check_protocol(read_protocol(_write(edited(), text + "\n"))).problems
    told = [problem for problem in problems if problem.code == code]
    assert told, [str(problem) for problem in problems]
    assert told[0].severity == "error"
    assert (told[0].location.file or "").endswith("cases.yaml")
    assert expected is None or expected in (told[0].expected or "")


def test_baseline_and_windows_are_remembered(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(("when: platelets < 30 x10^9/L", "when: platelets < 0.5 x baseline"))
    text = (
        "rules:\n  dose_modification.thrombocytopenia:\n"
        "    - {baseline: {platelets: 200 x10^9/L}, since: {first_dose: 9 days},"
        " given: {platelets: 99 x10^9/L}, answer: true}\n"
        "    - {baseline: {platelets: 200 x10^9/L}, since: {first_dose: 9 days},"
        " given: {platelets: 100 x10^9/L}, answer: false}\n"
        "    - {given: {platelets: 99 x10^9/L}, answer: unknown}\n"
    )
    assert _answers(_write(folder, text)) == ["true", "false", "unknown"]


def test_this_cycle_starts_where_the_case_says(edited) -> None:  # type: ignore[no-untyped-def]
    folder = edited(("when: platelets < 30 x10^9/L", "when: lowest platelets this cycle < 30 x10^9/L"))
    given = "given: {platelets: [{value: 20 x10^9/L, ago: 9 days}, {value: 90 x10^9/L}]}"
    text = (
        "rules:\n  dose_modification.thrombocytopenia:\n"
        f"    - {{since: {{first_dose: 28 days, cycle_start: 14 days}}, {given}, answer: true}}\n"
        f"    - {{since: {{first_dose: 28 days, cycle_start: 7 days}}, {given}, answer: false}}\n"
    )
    assert _answers(_write(folder, text)) == ["true", "false"]

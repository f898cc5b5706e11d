"""Bad protocol files: what is told, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.vocab.problems import Problem

ADULT = "when: age >= 18 years"


def _only(problems: tuple[Problem, ...]) -> Problem:
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def _line(folder: Path, text: str) -> int:
    lines = (folder / "protocol.yaml").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize(
    ("old", "new", "code", "found", "expected"),
    [
        ("        when: b_cell_cll", "        wehn: b_cell_cll", "unknown-key", "'wehn'", "'when'"),
        (ADULT, "when: age >= 18", "missing-unit", "'18'", "for example 18 a"),
        (ADULT, "when: age >= 18 mg", "unit-mismatch", "'18 mg'", "a unit that converts to a"),
        (ADULT, "when: age >= 18 fortnights", "unknown-unit", "'fortnights'", "a unit that converts to a"),
        (ADULT, "when: agee >= 18 years", "unknown-term", "'agee'", "one of age"),
        (ADULT, "when: age >=", "rule-syntax", None, None),
        ("start: 10 mg", "start: 12 mg", "dose-off-levels", "12 mg", "one of 10 mg, 15 mg, 20 mg, 25 mg"),
        ("up_to: 25 mg", "up_to: 24 mg", "dose-off-levels", "24 mg", "one of 10 mg, 15 mg, 20 mg, 25 mg"),
        ("target: 25 mg", "target: 25", "invalid-value", "25", None),
        ("levels: [10 mg, 15 mg, 20 mg, 25 mg]", "levels: [10 mg, 20 mg, 15 mg, 25 mg]", "levels", None, None),
        ("levels: [10 mg,", "levels: [10 mL,", "levels", None, None),
        ("cycle: 28 days", "cycle: 28", "invalid-value", "28", None),
        ("cycle: 28 days", "cycle: 0 days", "implausible-cycle", "0 days", "1 to 366 days"),
        ("cycle: 28 days", "cycle: 28000 days", "implausible-cycle", "28000 days", "1 to 366 days"),
        ("levels: [10 mg,", "levels: [0 mg,", "levels", None, None),
        ("every: 7 days", "every: 0 days", "invalid-value", None, None),
        ("give: days 1 to 21", "give: days 1 to 30", "days-off-cycle", "day 30", "at most day 28"),
        ("then: step up", "then: step upp", "unknown-action", "'step upp'", None),
        ("then: pause enrolment", "then: step up", "wrong-action", "'step up'", "pause enrolment, or stop the study"),
        ("then: step up", "then: stop the study", "wrong-action", "'stop the study'", "one participant's treatment"),
        ("source: chen2011", "source: chen2012", "unknown-source", "'chen2012'", None),
        ("does: [consent,", "does: [consnt,", "unknown-activity", "'consnt'", None),
        ("tests: [neutrophils,", "tests: [neutrophills,", "unknown-test", "'neutrophills'", None),
        ("tests: [neutrophils,", "tests: [ANC,", "unknown-test", "'ANC'", "'neutrophils'"),
        ("amends: original", "amends: orignal", "unknown-version", "'orignal'", "one of original"),
        ("set: treatment", "set: treatmnt.start", "unknown-path", "'treatmnt.start'", "'treatment'"),
        ("set: concomitant.allopurinol", "set: concomitnt.allopurinol", "unknown-path", None, "'concomitant'"),
        ("day: -14", "day: 0", "invalid-value", None, None),
        ("window: [14 days before,", "window: [14 before,", "invalid-value", None, None),
        ("date: 2006-10-01", "date: 2006-13-01", "invalid-value", None, None),
        ("unless_entered: \"no\"", "unless_entered: maybe", "invalid-value", "'maybe'", None),
        ("        - name: sepsis", "        - name: lysis", "name-twice", "'lysis'", "one name a row"),
        ("  tumor_flare:\n    kind", "  neutrophils:\n    kind", "term-defined-twice", "'neutrophils'", "another name"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_line(edited, problems_of, old, new, code, found, expected) -> None:  # type: ignore[no-untyped-def]
    folder = edited((old, new))
    problems = problems_of(folder)
    told = [problem for problem in problems if problem.code == code]
    assert told, [str(problem) for problem in problems]
    problem = told[0]
    assert problem.location.file is not None
    assert problem.location.file.endswith("protocol.yaml")
    assert problem.location.line is not None
    if found is not None:
        assert problem.found == found
    if expected is not None:
        assert expected in (problem.expected or "")


def test_the_line_is_the_line_of_the_mistake(edited, problems_of) -> None:  # type: ignore[no-untyped-def]
    folder = edited(("platelets < 30 x10^9/L", "platelets < 30"))
    problem = _only(problems_of(folder))
    assert problem.code == "missing-unit"
    assert problem.location.line == _line(folder, "platelets < 30")
    assert "dose_modification.rows.3.when" in str(problem)


def test_a_mistake_inside_an_amendment_has_its_line_there(edited, problems_of) -> None:  # type: ignore[no-untyped-def]
    folder = edited(("day >= -3 days and cycle <= 3", "day >= -3 and cycle <= 3"))
    assert _only(problems_of(folder)).location.line == _line(folder, "day >= -3 and cycle <= 3")


def test_everything_wrong_is_told_in_one_go(edited, problems_of) -> None:  # type: ignore[no-untyped-def]
    folder = edited(
        ("when: ecog <= 2", "when: ecogg <= 2"),
        ("platelets < 30 x10^9/L", "platelets < 30"),
        ("then: step up\n", "then: jump\n"),
        ("  phase: \"2\"", "  phas: \"2\""),
        ("decides_dose: true", "decides_dose: perhaps"),
        ("when: creatinine < 1.5 x ULN", "when: creatinin < 1.5 x ULN"),
    )  # fmt: skip
    codes = sorted(problem.code for problem in problems_of(folder))
    assert codes == [
        "invalid-value",  # decides_dose
        "missing-key",  # phase
        "missing-unit",
        "unknown-action",
        "unknown-key",  # phas
        "unknown-term",  # ecogg
        "unknown-term",  # creatinin
    ]


def test_yaml_no_stays_the_word_no(edited, problems_of) -> None:  # type: ignore[no-untyped-def]
    """YAML 1.1 would turn NO into false: a site in Norway, a choice not exercised."""
    folder = edited(("id: lenalidomide-cll", "id: NO"), ('unless_entered: "no"', "unless_entered: no"))
    from trialrun.protocol import read_protocol

    read = read_protocol(folder)
    assert read.study.id == "NO"
    assert read.terms["investigator_keeps_level"].unless_entered == "no"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "empty-file", "the file is empty"),
        ("# only a comment\n", "empty-file", "the file is empty"),
        ("trialrun: [1\n", "yaml", "the YAML cannot be read"),
        ("a: 1\na: 2\n", "yaml", "found duplicate key"),
        ("- a\n- list\n", "invalid-value", "should be a valid dictionary"),
        ("just words\n", "invalid-value", "should be a valid dictionary"),
        ("trialrun: 2\n", "invalid-value", "input should be 1"),
        ("trialrun: 1\nversions: {}\n", "missing-key", "'study' is missing"),
        ("trialrun: 1\nversions: [original]\n", "invalid-value", "should be a valid dictionary"),
        ("trialrun: 1\nversions: {original: 5}\n", "invalid-value", "valid dictionary"),
        ("trialrun: 1\nversions: {original: {amends: 5}}\n", "invalid-value", "should be a valid string"),
        ("trialrun: 1\nterms: {a: null}\nversions: {1: 2}\n", "invalid-value", "should be a valid string"),
        ("a: &a [*a]\n", "unknown-key", "unknown key"),
        (
            "a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n",
            "yaml",
            "the YAML is too large",
        ),
        ("a: {<<: {b: 1}, c: 2}\n", "unknown-key", "unknown key"),
        ("%FOO\n---\na: 1\n", None, ""),
        ("a: !!python/object:os.system x\n", None, ""),
        ("a: \x00\n", "yaml", "the YAML cannot be read"),
        ("---\na: 1\n---\nb: 2\n", "yaml", "another document"),
    ],
)
def test_files_that_are_no_protocol(tmp_path: Path, problems_of, text: str, code: str, message: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "protocol.yaml").write_text(text, encoding="utf-8")
    problems = problems_of(tmp_path)
    if code is not None:
        assert any(problem.code == code and message in str(problem) for problem in problems), [
            str(problem) for problem in problems
        ]


def test_missing_and_undecodable_files(tmp_path: Path, problems_of) -> None:  # type: ignore[no-untyped-def]
    assert _only(problems_of(tmp_path / "none.yaml")).code == "no-file"
    assert _only(problems_of(tmp_path)).code == "no-file"
    (tmp_path / "protocol.yaml").write_bytes("trialrun: 1  # für".encode("latin-1"))
    assert _only(problems_of(tmp_path)).code == "encoding"
    (tmp_path / "utf16.yaml").write_bytes("trialrun: 1".encode("utf-16"))
    assert problems_of(tmp_path / "utf16.yaml")


def test_no_version_at_all(edited, problems_of) -> None:  # type: ignore[no-untyped-def]
    folder = edited()
    text = (folder / "protocol.yaml").read_text(encoding="utf-8")
    (folder / "protocol.yaml").write_text(text[: text.index("versions:")] + "versions: {}\n", encoding="utf-8")
    assert _only(problems_of(folder)).code == "no-version"


def test_an_amendment_that_removes_what_is_not_there(edited, problems_of) -> None:  # type: ignore[no-untyped-def]
    folder = edited(
        (
            "      - set: concomitant.allopurinol\n",
            "      - {set: concomitant.rasburicase, because: none, to: null}\n      - set: concomitant.allopurinol\n",
        )
    )
    problem = _only(problems_of(folder))
    assert problem.code == "unknown-path"
    assert "removes" in problem.message


def test_an_amendment_can_remove_a_part(edited) -> None:  # type: ignore[no-untyped-def]
    from trialrun.protocol import read_protocol

    folder = edited(
        (
            "      - set: concomitant.allopurinol\n",
            "      - {set: concomitant.hydration, because: none, to: null}\n      - set: concomitant.allopurinol\n",
        )
    )
    read = read_protocol(folder)
    assert "hydration" in {item.name for item in read.version("original").concomitant}
    assert "hydration" not in {item.name for item in read.version("amendment-1").concomitant}

"""Static checks find what was put wrong on purpose, and nothing in what is right."""

from __future__ import annotations

import pytest

from rules.test_tables import table
from rules.words import WORDS, rule
from trialrun.rules import Table, check_rule, check_rules_overlap, check_table, read_action, regions, required_cases
from trialrun.rules.regions import make_space
from trialrun.vocab.problems import Problem


def found(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.severity, problem.code) for problem in problems]


RIGHT = table(
    (
        "infection or neutrophils < 0.5 x10^9/L for 7 days",
        "hold until neutrophils >= 1.0 x10^9/L, resume one level lower",
    ),
    ("neutrophils < 0.5 x10^9/L", "reduce one level"),
    ("platelets < 25 x10^9/L", "hold until platelets >= 50 x10^9/L, resume one level lower"),
    ("grade of flare >= 3", "hold until grade of flare <= 1, resume at the same level"),
    (None, "continue"),
)


def test_nothing_is_found_in_a_table_that_is_right() -> None:
    assert check_table(RIGHT, WORDS) == []


WRONG: list[tuple[str, Table, str, str]] = [
    (
        "a gap at one point",
        table(("alt < 50 U/L", "continue"), ("alt > 50 U/L", "hold")),
        "gap",
        "no row of doses holds where alt = 50 U/L; right would be a row for it, or `otherwise`",
    ),
    (
        "a gap between thresholds, whatever else is",
        table(("alt < 50 U/L or flare", "continue"), ("alt >= 60 U/L or flare", "hold"), ("ecog > 9", "hold")),
        "gap",
        "no row of doses holds where alt = 50 U/L and no flare",
    ),
    (
        "the narrower condition below the wider one",
        table(("neutrophils < 1 x10^9/L", "hold"), ("neutrophils < 0.5 x10^9/L", "stop treatment"), (None, "continue")),
        "dead-row",
        "row 2 of doses never applies: row 1 above always holds first; found 'neutrophils < 0.5 x10^9/L'; "
        "right would be the narrower condition above the wider one",
    ),
    (
        "persistence below the same without it",
        table(("neutrophils < 1 x10^9/L", "hold"), ("neutrophils < 1 x10^9/L for 7 days", "hold"), (None, "continue")),
        "dead-row",
        "row 2 of doses never applies: row 1",
    ),
    (
        "two rows above together",
        table(("alt < 50 U/L", "hold"), ("alt >= 40 U/L", "step up"), ("flare", "stop treatment"), (None, "continue")),
        "dead-row",
        "row 3 of doses never applies: rows 1, 2 above always hold first",
    ),
    (
        "the lowest of a window that holds the current value",
        table(("lowest alt over last 7 days < 9 U/L", "hold"), ("alt < 9 U/L", "step up"), (None, "continue")),
        "dead-row",
        "row 2 of doses never applies: row 1",
    ),
    (
        "a grade that there is not",
        table(("grade of flare > 5", "hold"), (None, "continue")),
        "dead-row",
        "row 1 of doses can never hold for plausible values; found 'grade of flare > 5'",
    ),
    (
        "a condition that contradicts itself",
        table(("alt < 5 U/L and alt > 6 U/L", "hold"), (None, "continue")),
        "dead-row",
        "row 1 of doses can never hold for plausible values",
    ),
    (
        "multiples of a limit in the wrong order",
        table(("alt > 2 x ULN", "hold"), ("alt > 3 x ULN", "stop treatment"), (None, "continue")),
        "dead-row",
        "row 2 of doses never applies: row 1",
    ),
    (
        "a row below otherwise",
        table((None, "continue"), ("flare", "hold")),
        "row-after-otherwise",
        "row 2 of doses stands below `otherwise` and is never reached; found 'flare'; right would be `otherwise` as the last row",
    ),
    (
        "a hold that never ends",
        table(("flare", "hold until alt > 5 U/L and alt < 3 U/L, resume one level lower"), (None, "continue")),
        "hold-never-ends",
        "the hold of row 1 of doses can never end; found 'alt > 5 U/L and alt < 3 U/L'",
    ),
    (
        "a hold that ends where it begins",
        table(("platelets < 25 x10^9/L", "hold until platelets < 50 x10^9/L, resume one level lower"), (None, "continue")),
        "hold-ends-at-once",
        "the hold of row 1 of doses ends wherever it begins",
    ),
    (
        "a slip of the unit",
        table(("hemoglobin < 8 g/L", "hold"), (None, "continue")),
        "implausible-threshold",
        "the threshold of hemoglobin lies outside what is plausible; found '8 g/L' (8 g/L); right would be 10 to 300 g/L",
    ),
    (
        "a slip of the unit in the end of a hold",
        table(("flare", "hold until hemoglobin < 8 kg/L, resume one level lower"), (None, "continue")),
        "implausible-threshold",
        "the threshold of hemoglobin lies outside what is plausible; found '8 kg/L' (8000 g/L)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "code", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_found(wrong: Table, code: str, says: str) -> None:
    problems = [problem for problem in check_table(wrong, WORDS) if problem.code == code]
    assert [problem.severity for problem in problems] == ["error"]
    assert str(problems[0]).startswith("protocol.yaml:7: " + says)


@pytest.mark.parametrize(
    "right",
    [
        table(("cycle <= 3", "continue"), ("cycle >= 4", "hold")),
        table(("ecog <= 2", "continue"), ("ecog >= 3", "hold")),
        table(("grade of flare < 3", "continue"), ("grade of flare >= 3", "hold")),
        table(("count of flare ever < 1", "continue"), ("count of flare ever >= 1", "hold")),
        table(("alt < 2 x ULN", "continue"), ("alt >= 2 x ULN", "hold")),
        table(("alt < 2 x ULN and alt < 60 U/L", "step up"), ("alt < 2 x ULN", "continue"), ("alt < 60 U/L", "hold"),
              (None, "stop treatment")),
        table(("alt < 2 x baseline", "continue"), ("alt > 3 x baseline", "hold"), (None, "step up")),
        table(("change of alt from baseline > 9 U/L", "hold"), ("change of alt from baseline <= 9 U/L", "continue")),
        table(("percent change of alt from baseline > 50 %", "hold"), ("alt > baseline alt", "reduce one level"),
              ("alt <= baseline alt", "continue")),
        table(("response in (CR, PR)", "continue"), ('response in (PD, "not assessed")', "hold")),
        table(("alt < 9 U/L and alt is known", "hold"), ("alt is unknown", "hold"), (None, "continue")),
        table(("each measured of (alt < 9 U/L, ecog < 2)", "hold"), ("alt < 9 U/L or ecog < 2", "step up"), (None, "continue")),
        table(("lowest neutrophils this cycle < 1 x10^9/L", "hold"), ("neutrophils < 1 x10^9/L", "step up"), (None, "continue")),
        table(("lowest alt over last 2 days < 9 U/L", "hold"), ("alt < 9 U/L", "step up"), (None, "continue")),
        table(("days since flare > 9 days", "step up"), ("days since flare <= 9 days", "continue")),
    ],
    ids=lambda right: right.rows[0].when.text,
)  # fmt: skip
def test_what_is_right_is_not_reported(right: Table) -> None:
    assert found(check_table(right, WORDS)) == []


def test_otherwise_that_is_never_reached_is_a_note() -> None:
    problems = check_table(table(("alt < 50 U/L", "hold"), ("alt >= 50 U/L", "step up"), (None, "continue")), WORDS)
    assert found(problems) == [("note", "otherwise-never")]


MANY = " or ".join(
    f"{term} {side} {bound}"
    for term, bounds in (
        ("alt", ("10 U/L", "20 U/L", "30 U/L")), ("neutrophils", ("1 G/L", "2 G/L")), ("platelets", ("1 G/L", "2 G/L")),
        ("lymphocytes", ("1 G/L", "2 G/L")), ("hemoglobin", ("80 g/L", "90 g/L")), ("urate", ("80 umol/L", "90 umol/L")),
        ("ecog", ("1", "3")), ("dose", ("1 mg", "3 mg")),
    )
    for side in ("=",) for bound in bounds
)  # fmt: skip


def test_a_table_that_is_too_large_is_searched_and_says_so() -> None:
    wide = table((MANY, "hold"), ("alt = 10 U/L and urate = 80 umol/L", "stop treatment"), ("alt = 40 U/L", "step up"),
                 (None, "continue"))  # fmt: skip
    space = make_space([row.when.node for row in wide.rows if row.when], WORDS)
    assert space.size > regions.LARGEST
    assert found(check_table(wide, WORDS)) == [("note", "table-searched"), ("warning", "dead-row")]
    gap = table(*((row.when.text, "hold") for row in wide.rows if row.when))
    assert ("error", "gap") in found(check_table(gap, WORDS))


def test_a_rule_that_always_answers_the_same() -> None:
    assert found(check_rule(rule("alt >= 0 U/L"), WORDS)) == [("error", "constant-rule")]
    assert found(check_rule(rule("flare and not flare"), WORDS)) == [("error", "constant-rule")]
    assert check_rule(rule("each measured of (alt < 2.5 x ULN, ecog < 2)"), WORDS) == []
    assert check_rule(rule("alt is known"), WORDS) == []


def test_rules_of_equal_rank_that_contradict_each_other() -> None:
    rules = [
        ("low", rule("alt < 50 U/L"), read_action("step up", WORDS)),
        ("high", rule("alt >= 50 U/L"), read_action("hold", WORDS)),
        ("flare", rule("flare"), read_action("hold", WORDS)),
    ]
    problems = check_rules_overlap(rules, WORDS)
    assert [str(problem) for problem in problems] == [
        "protocol.yaml:7: low and flare can hold together and do different things, for example where "
        "flare of grade 1 and alt = 25 U/L; found 'step up' and 'hold'; right would be conditions that exclude each other; "
        "only one that stops the study may hold together with one that pauses enrolment, and wins"
    ]


@pytest.mark.parametrize(
    ("text", "cases"),
    [
        ("neutrophils < 0.5 x10^9/L", ["true", "false", "unknown", "neutrophils = 0.5 x10^9/L"]),
        ("2 mg < dose", ["true", "false", "unknown", "dose = 2 mg"]),
        ("alt is known", ["true", "false"]),
        ("flare or alt is unknown", ["true", "false", "unknown"]),
        ("alt between 5 U/L and 9 U/L", ["true", "false", "unknown", "alt = 5 U/L", "alt = 9 U/L"]),
        ("alt < 2 x ULN", ["true", "false", "unknown", "alt = 2 x ULN"]),
        ("response = PD", ["true", "false", "unknown"]),
        ("low_counts", ["true", "false", "unknown", "neutrophils = 1 x10^9/L", "platelets = 50 x10^9/L"]),
    ],
)
def test_the_cases_that_a_rule_should_have(text: str, cases: list[str]) -> None:
    read = rule(text)
    required = required_cases(read, WORDS)
    assert [case.text for case in required] == cases
    # each of them can be met
    space = make_space([read.node], WORDS, unknown=True)
    columns = space.columns(space.all_points())
    for case in required:
        assert case.met_by(columns).any(), case.text

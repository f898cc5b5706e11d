"""What can be read and what cannot: every error says where, what was found and what would be right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.words import WORDS, rule
from trialrun.rules import History, Rule, evaluate, read_action, read_rule
from trialrun.rules.nodes import Compare, Constant, Group, Holds, Predicate, children
from trialrun.vocab.problems import Location, TrialrunError

ONE = np.zeros(1, dtype=np.int64)


def shape(text: str) -> tuple[object, ...]:
    """The tree of a rule without its texts."""

    def of(node: Predicate) -> tuple[object, ...]:
        how = node.how if isinstance(node, Group) else node.input.term if isinstance(node, Holds) else ""
        return (type(node).__name__, how, *(of(child) for child in children(node)))

    return of(rule(text).node)


def threshold(read: Rule) -> Constant:
    assert isinstance(read.node, Compare)
    constant = read.node.left if isinstance(read.node.left, Constant) else read.node.right
    assert isinstance(constant, Constant)
    return constant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("neutrophils < 0.5 x10^9/L", 0.5),
        ("neutrophils < 0.5 x 10^9/L", 0.5),
        ("neutrophils < 0.5 10*9/L", 0.5),
        ("neutrophils < 500 /uL", 0.5),
        ("neutrophils < 0.5 G/L", 0.5),
        ("hemoglobin < 11 g/dL", 110),
        ("hemoglobin < 110 g/L", 110),
        ("doubling_time < 12 months", 365.25),
        ("doubling_time < 6 weeks", 42),
        ("ecog <= 2", 2),
        ("dose > 2500 ug", 2.5),
        ("11 g/dL > hemoglobin", 110),
        ("urate >= 8 mg/dL", 8 * 1e4 / 168.11),
        ("days since infection >= 2 weeks", 14),
    ],
)
def test_thresholds_are_in_the_unit_of_the_term(text: str, value: float) -> None:
    assert threshold(rule(text)).value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["hemoglobin < 11 g/dL", "hemoglobin < 110 g/L", "hemoglobin < 6.8259 mmol/L"])
def test_a_value_on_the_bound_is_not_below_it(text: str) -> None:
    read = rule(text)
    history = History(read.inputs, 2)
    history.observe("hemoglobin", np.arange(2), 0, np.array([110.0, 109.9]))
    assert evaluate(read, history.columns(0, np.arange(2))).tolist() == [0, 1]


def test_rounding_of_binary_numbers_does_not_decide() -> None:
    read = rule("urate < 3 x baseline")
    history = History(read.inputs, 1)
    history.observe("urate", ONE, 0, np.array([0.1]))
    history.set_baseline(ONE)
    history.observe("urate", ONE, 1, np.array([0.3]))  # 3 x 0.1 is 0.30000000000000004
    assert evaluate(read, history.columns(1, ONE)).tolist() == [0]


def test_line_breaks_count_as_blanks() -> None:
    folded = rule("any of (neutrophils < 0.5\n   x10^9/L,\n  hemoglobin <\n 80 g/L)")
    assert folded.text == "any of (neutrophils < 0.5 x10^9/L, hemoglobin < 80 g/L)"
    assert folded.node == rule(folded.text).node


def test_binding() -> None:
    assert shape("flare or infection and consented") == shape("flare or (infection and consented)")
    assert shape("not flare and infection") == shape("(not flare) and infection")
    assert shape("flare and infection or consented") != shape("flare and (infection or consented)")
    long = "neutrophils < 1 x10^9/L"
    last = rule(f"not ({long}) for 3 days").inputs[0]
    assert last.remember == "lasting"
    assert str(rule(f"not {long} for 3 days").inputs[0]) == f"{long} for 3 days"


def test_words_begin_like_keywords() -> None:
    words = {**WORDS, "organ": WORDS["consented"], "forlorn": WORDS["consented"], "notable": WORDS["consented"]}
    assert read_rule("organ and forlorn or notable", words).terms == {"consented"}


def test_a_derived_term_stands_for_its_definition() -> None:
    read = rule("not low_counts")
    assert read.terms == {"neutrophils", "platelets"}
    assert {item.term for item in read.inputs} == {"neutrophils", "platelets"}


def test_nadir_is_the_lowest_since_the_first_dose() -> None:
    assert rule("nadir platelets < 50 x10^9/L").inputs == rule("lowest platelets since first dose < 50 x10^9/L").inputs
    assert rule("worst alt < 50 U/L").inputs == rule("highest alt ever < 50 U/L").inputs


WRONG = [
    (
        "",
        "rule-syntax",
        "protocol.yaml:7: the rule is empty; right would be a condition such as neutrophils < 0.5 x10^9/L",
    ),
    (
        "neutrophils <",
        "rule-syntax",
        "protocol.yaml:7: the rule ends too early; found 'neutrophils <'; "
        "right would be a number with its unit, a quoted word or a term",
    ),
    (
        "neutrophils < 0.5 x10^9/L platelets",
        "rule-syntax",
        "protocol.yaml:7: the rule cannot be read from here on; found 'platelets'; right would be the end, and, for or or",
    ),
    (
        "hemoglobin < 11",
        "missing-unit",
        "protocol.yaml:7: a number without its unit; found '11'; right would be for example 11 g/L",
    ),
    (
        "hemoglobin < 11 mmHg",
        "unit-mismatch",
        "protocol.yaml:7: a value in mm[Hg] cannot be converted to g/L for hemoglobin; found '11 mmHg'; "
        "right would be a unit that converts to g/L",
    ),
    (
        "hemoglobin < 11 quarts",
        "unknown-unit",
        "protocol.yaml:7: unknown unit; found 'quarts'; right would be a unit that converts to g/L",
    ),
    (
        "ecog <= 2 points",
        "unit-mismatch",
        "protocol.yaml:7: ecog has no unit; found '2 points'; right would be 2 alone",
    ),
    ("ecog <= 2 %", "unit-mismatch", "protocol.yaml:7: ecog has no unit; found '2 %'; right would be 2 alone"),
    (
        "neutrophil < 1 x10^9/L",
        "unknown-term",
        "protocol.yaml:7: unknown term; found 'neutrophil'; right would be one of neutrophils",
    ),
    (
        "zzz",
        "unknown-term",
        "protocol.yaml:7: unknown term; found 'zzz'; right would be a term of the vocabulary (docs/reference/terms.md)",
    ),
    (
        "neutrophils",
        "not-a-condition",
        "protocol.yaml:7: neutrophils is no condition by itself; found 'neutrophils'; "
        "right would be neutrophils < ... 10*9/L",
    ),
    ("3 < 4", "no-term", "protocol.yaml:7: two numbers are compared; found 3 < 4; right would be a term on one side"),
    (
        "response < PD",
        "category-order",
        "protocol.yaml:7: response is a category and has no order; found <; right would be = or !=",
    ),
    (
        "response = BAD",
        "unknown-value",
        "protocol.yaml:7: response has no such value; found 'BAD'; right would be one of not assessed, CR, PR, PD",
    ),
    (
        "flare > 2",
        "not-a-number",
        "protocol.yaml:7: flare is not a number; found 'flare'; right would be a test or state that is measured",
    ),
    (
        "grade of neutrophils > 2",
        "not-an-event",
        "protocol.yaml:7: neutrophils is not an event; found 'neutrophils'; right would be an adverse event term",
    ),
    (
        "lowest dose ever > 2 mg",
        "not-a-finding",
        "protocol.yaml:7: dose is a state: it has no history; found 'dose'; right would be a test",
    ),
    (
        "worst lymphocytes ever > 2 x10^9/L",
        "no-worst",
        "protocol.yaml:7: neither direction of lymphocytes is the bad one; found worst; right would be lowest or highest",
    ),
    (
        "dose > 2 x ULN",
        "no-limits",
        "protocol.yaml:7: dose has no ULN; found '2 x ULN'; right would be a test that is measured",
    ),
    (
        "ecog > 2 x ULN",
        "no-limits",
        "protocol.yaml:7: ecog has no reference range; found '2 x ULN'; right would be a plain number",
    ),
    (
        "worst grade of infection ever > 2 x baseline",
        "no-limits",
        "protocol.yaml:7: worst grade of infection ever has no baseline; found '2 x baseline'; "
        "right would be a test that is measured",
    ),
    (
        "neutrophils > hemoglobin",
        "unit-mismatch",
        "protocol.yaml:7: the two sides have different units; found 10*9/L and g/L; right would be quantities of one kind",
    ),
    (
        "neutrophils < 0.5 x10^9/L for 7",
        "missing-unit",
        "protocol.yaml:7: a length of time needs its unit; found '7'; right would be days, weeks, months or years: 7 days",
    ),
    (
        "lowest alt over last 0 days > 2 U/L",
        "no-duration",
        "protocol.yaml:7: a length of time must be above 0; found '0 days'; right would be for example 7 days",
    ),
    (
        "flare for 7 days",
        "not-lasting",
        "protocol.yaml:7: how long an event lasts is asked otherwise; found 'flare'; "
        "right would be flare and days since flare >= 7 days",
    ),
    (
        "dose > 2 mg for 7 days",
        "not-lasting",
        "protocol.yaml:7: a state or a window has no days of its own to last over; found 'dose > 2 mg'; "
        "right would be comparisons of test results",
    ),
    (
        "(alt is unknown) for 7 days",
        "not-lasting",
        "protocol.yaml:7: only a comparison of results can last; found 'alt is unknown'; "
        "right would be for example platelets < ...",
    ),
    (
        "at least 3 of (flare, infection)",
        "rule-count",
        "protocol.yaml:7: the count does not fit the list; found 3; right would be a whole number from 1 to 2",
    ),
    (
        "alt between 5 U/L and 3 U/L",
        "bounds-reversed",
        "protocol.yaml:7: the lower bound is above the upper one; found 5 U/L and 3 U/L; "
        "right would be the lower one first",
    ),
    (
        "low_counts is known",
        "derived-known",
        "protocol.yaml:7: low_counts follows from others; found 'low_counts'; right would be one of neutrophils, platelets",
    ),
]


@pytest.mark.parametrize(("text", "code", "message"), WRONG, ids=[text or "nothing" for text, _, _ in WRONG])
def test_errors_say_where_what_and_what_would_be_right(text: str, code: str, message: str) -> None:
    with pytest.raises(TrialrunError) as caught:
        rule(text)
    (problem,) = caught.value.problems
    assert (problem.code, str(problem)) == (code, message)


@pytest.mark.parametrize(
    "text",
    ["alt ? 3", "alt < 0,5 U/L", "alt < .5 U/L", "(alt < 5 U/L", "alt << 5 U/L", "ALT < 5 U/L", "alt < 5 U/L AND flare",
     "not", "any of ()", "alt in (1, 2)", "alt < 5e U/L", "alt = CR", "response in (CR", "'alt' < 5 U/L",
     "count of flare >= 2", "flare is", "between 1 and 2", "alt < 5 U/L for for 3 days", "\x00", "alt < 5 U/L;"],
)  # fmt: skip
def test_what_is_no_rule_is_an_error_and_nothing_else(text: str) -> None:
    with pytest.raises(TrialrunError):
        rule(text)


def test_actions() -> None:
    hold = read_action("hold until neutrophils >= 1.0 x10^9/L, resume one level lower", WORDS)
    assert (hold.verb, hold.resume) == ("hold", "one level lower")
    assert hold.until is not None
    assert hold.until.terms == {"neutrophils"}
    same = read_action("hold until neutrophils >= 1.0 x10^9/L,\n resume at the same level", WORDS)
    assert same.resume == "same level"
    assert not hold.does_same_as(same)
    assert same.does_same_as(read_action("hold until neutrophils >= 1.0 x10^9/L, resume same level", WORDS))
    assert [read_action(text, WORDS).verb for text in ("step up", "stop treatment", "pause accrual")] == [
        "step_up", "stop", "pause",
    ]  # fmt: skip
    start, stop = read_action("start allopurinol", WORDS), read_action("stop allopurinol", WORDS)
    assert (start.verb, start.what, stop.verb, stop.what) == ("start", "allopurinol", "end", "allopurinol")


def test_an_unknown_action_names_those_there_are() -> None:
    with pytest.raises(TrialrunError) as caught:
        read_action("wait a bit", WORDS, Location("protocol.yaml", 9))
    text = str(caught.value)
    assert text.startswith("protocol.yaml:9: unknown action; found 'wait a bit'; right would be one of: continue; ")
    assert "hold until ..., resume at the same level | one level lower | at the first level" in text


def test_an_error_inside_an_action_is_told_like_one_of_a_rule() -> None:
    with pytest.raises(TrialrunError, match="unknown term; found 'neutrophil'"):
        read_action("hold until neutrophil > 1 x10^9/L, resume one level lower", WORDS)


_PIECES = st.sampled_from(
    ["alt", "flare", "dose", "response", "low_counts", "consented", "lymphocytes", "and", "or", "not", "for", "is",
     "known", "in", "(", ")", ",", "<", ">=", "=", "between", "any of", "at least", "each measured of", "2 of", "worst",
     "lowest", "grade of", "count of", "days since", "baseline", "change of", "from baseline", "this cycle", "ever",
     "over last", "since first dose", "7 days", "0 days", "2", "-1 U/L", "5 U/L", "1.5 x ULN", "2 x baseline", "50 %",
     "3 furlongs", "CR", '"not assessed"', "10 x10^9/L", "\n"]
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(pieces=st.lists(_PIECES, max_size=9))
def test_any_text_is_a_rule_or_an_error_that_says_what_was_found(pieces: list[str]) -> None:
    try:
        read = rule(" ".join(pieces))
    except TrialrunError as error:
        (problem,) = error.problems
        assert problem.location == Location("protocol.yaml", 7)
        assert problem.found is not None or not "".join(pieces).strip()
    else:
        history = History(read.inputs, 1)
        assert evaluate(read, history.columns(0, ONE)).tolist() in ([-1], [0], [1])

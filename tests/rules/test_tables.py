"""First-row tables with unknown rows, and the explanation of rules."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rules.words import WORDS, rule
from trialrun.rules import Column, Columns, History, Row, Table, evaluate, evaluate_table, explain, read_action
from trialrun.vocab.problems import Location

HERE = Location("protocol.yaml", 7)
VALUE = {"true": 1.0, "false": 0.0, "unknown": np.nan}


def table(*rows: tuple[str | None, str] | tuple[str | None, str, str]) -> Table:
    return Table(
        "doses",
        "7.1",
        "The first row that holds applies.",
        tuple(
            Row(None if when is None else rule(when), read_action(then, WORDS, HERE), HERE, *more)
            for when, then, *more in rows
        ),
    )


def columns(table: Table, **values: list[str]) -> Columns:
    """Columns in which each truth state has these verdicts."""
    inputs = {item for row in table.rows if row.when for item in row.when.inputs}
    found = {}
    for item in inputs:
        column = np.array([VALUE[value] for value in values[item.term]])
        found[item] = Column(column, np.zeros(column.size))
    return Columns(0, column.size, found)


def reference(verdicts: list[str], actions: list[str]) -> int | None:
    """The row by trying every completion: the certain row if all completions do what it does; None: undetermined."""
    open_ = [("true", "false") if verdict == "unknown" else (verdict,) for verdict in verdicts]
    firsts = {
        next((number for number, verdict in enumerate(choice) if verdict == "true"), -1) for choice in product(*open_)
    }
    done = {actions[first] if first >= 0 else "none" for first in firsts}
    certain = next((number for number, verdict in enumerate(verdicts) if verdict == "true"), -1)
    return certain if len(done) == 1 else None


@pytest.mark.parametrize("actions", list(product(["continue", "step up", "stop treatment"], repeat=3)))
def test_a_table_is_determined_exactly_where_every_completion_does_the_same(actions: tuple[str, ...]) -> None:
    terms = ("consented", "b_cell_cll", "flare")
    verdicts = list(product(VALUE, repeat=3))
    doses = table(*((term, action) for term, action in zip(terms, actions, strict=True)))
    result = evaluate_table(
        doses, columns(doses, **{term: [row[i] for row in verdicts] for i, term in enumerate(terms)})
    )
    for number, row in enumerate(verdicts):
        expected = reference(list(row), list(actions))
        assert bool(result.undetermined[number]) == (expected is None), row
        if expected is not None:
            assert result.row[number] == expected
            assert result.waits_for(number) == ()
        else:
            assert row[result.row[number]] == "unknown"
            waits = set(result.waits_for(number))
            assert waits
            assert waits <= {term for term, verdict in zip(terms, row, strict=True) if verdict == "unknown"}


def test_otherwise_always_holds() -> None:
    doses = table(("flare", "stop treatment"), (None, "continue"))
    result = evaluate_table(doses, columns(doses, flare=["true", "false", "unknown"]))
    assert result.row.tolist() == [0, 1, 0]
    assert result.undetermined.tolist() == [False, False, True]
    assert [result.waits_for(row) for row in range(3)] == [(), (), ("flare",)]


def test_an_unknown_row_that_does_the_same_does_not_matter() -> None:
    doses = table(("flare", "continue"), (None, "continue"))
    result = evaluate_table(doses, columns(doses, flare=["unknown"]))
    assert (result.row.tolist(), result.undetermined.tolist()) == ([1], [False])


def test_steps_to_different_doses_are_not_the_same() -> None:
    doses = table(("flare", "step up", "10 mg"), ("consented", "step up", "25 mg"), (None, "continue"))
    result = evaluate_table(doses, columns(doses, flare=["unknown"], consented=["true"]))
    assert result.undetermined.tolist() == [True]


def test_only_rows_that_could_do_otherwise_are_waited_for() -> None:
    doses = table(("flare", "hold"), ("b_cell_cll", "continue"), ("consented", "continue"), (None, "stop treatment"))
    result = evaluate_table(
        doses, columns(doses, flare=["unknown"] * 2, b_cell_cll=["unknown"] * 2, consented=["true", "false"])
    )
    assert result.waits_for(0) == ("flare",)
    assert result.waits_for(1) == ("flare", "b_cell_cll")


def test_no_row_at_all() -> None:
    doses = table(("flare", "stop treatment"))
    result = evaluate_table(doses, columns(doses, flare=["false"]))
    assert (result.row.tolist(), result.undetermined.tolist()) == ([-1], [False])


def test_an_explanation_names_values_with_units_days_and_what_is_missing() -> None:
    read = rule("flare or alt >= 2 x ULN or (neutrophils < 0.5 x10^9/L and low_counts) or response = PD")
    history = History(read.inputs, 1)
    one = np.zeros(1, dtype=np.int64)
    history.observe("alt", one, 12, np.array([90.0]))
    history.observe("neutrophils", one, 14, np.array([0.4]))
    history.set_state("response", one, np.array([2.0]))
    history.reviewed(one, 14)
    explanation = explain(read, history.columns(14, one), 0)
    assert explanation.as_text() == (
        "true: flare or alt >= 2 x ULN or (neutrophils < 0.5 x10^9/L and low_counts) or response = PD\n"
        "  false: flare  [flare = no on day 14]\n"
        "  unknown: alt >= 2 x ULN  [alt = 90 U/L on day 12; ULN of alt = unknown on day 12]\n"
        "  true: neutrophils < 0.5 x10^9/L and low_counts\n"
        "    true: neutrophils < 0.5 x10^9/L  [neutrophils = 0.4 10*9/L on day 14]\n"
        "    true: low_counts\n"
        "      true: any of (neutrophils < 1 x10^9/L, platelets < 50 x10^9/L)\n"
        "        true: neutrophils < 1 x10^9/L  [neutrophils = 0.4 10*9/L on day 14]\n"
        "        unknown: platelets < 50 x10^9/L  [platelets = unknown]\n"
        "  false: response = PD  [response = PR]"
    )
    assert explanation.waits_for == ()
    assert explanation.parts[1].waits_for == ("ULN of alt",)
    plain = explanation.as_dict()
    assert plain["parts"][0]["used"] == [
        {"term": "flare", "what": "flare", "value": "no", "unit": None, "day": 14.0},
    ]
    assert [item.term for item in explanation.all_used()] == [
        "flare", "alt", "alt", "neutrophils", "platelets", "response",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "waits_for"),
    [
        ("alt > 5 U/L and flare", ("alt", "flare")),
        ("consented and alt > 5 U/L or infection and not consented", ("alt",)),
        ("at least 2 of (alt > 5 U/L, flare, consented)", ("alt", "flare")),
        ("count of flare ever >= 2", ("count of flare ever",)),
        ("alt > 5 U/L for 7 days", ("alt",)),
        ("percent change of alt from baseline > 5 %", ("alt", "baseline alt")),
    ],
)
def test_only_what_could_still_change_the_verdict_is_waited_for(text: str, waits_for: tuple[str, ...]) -> None:
    read = rule(text)
    history = History(read.inputs, 1)
    one = np.zeros(1, dtype=np.int64)
    history.set_state("consented", one, np.array([1.0]))
    columns = history.columns(0, one)
    assert evaluate(read, columns).tolist() == [-1]
    assert explain(read, columns, 0).waits_for == waits_for

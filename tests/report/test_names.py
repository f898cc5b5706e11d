"""Short names of versions: what they leave out, and when they leave out nothing."""

from __future__ import annotations

import pytest

from trialrun.analysis.rows import Row
from trialrun.report.names import rename_rows, short_names


@pytest.mark.parametrize(
    ("long", "short"),
    [
        (("lenalidomide-cll@amendment-1", "lenalidomide-25mg@published"), ("cll@amendment-1", "25mg")),
        (("original", "amendment-1"), ("original", "amendment-1")),
        (("a@published",), ("a@published",)),  # nothing to tell it from
        (("x-a@1", "x-a@2"), ("a@1", "a@2")),  # the last word stays
        (("x-a@published", "x-a-b@published"), ("a", "a-b")),
        (("a@published", "a@1", "plain"), ("a@published", "a@1", "plain")),
    ],
)
def test_what_all_share_is_left_out(long: tuple[str, ...], short: tuple[str, ...]) -> None:
    assert tuple(short_names(long).values()) == short
    assert tuple(short_names(long)) == long


def test_names_that_would_be_one_stay() -> None:
    """A study whose folder has an @ in its name."""
    clash = ["x-a@1@published", "x-a@1"]
    assert short_names(clash) == {name: name for name in clash}


def test_orders_are_renamed_inside_too() -> None:
    names = {"x-a@1": "a@1", "x-b@1": "b@1"}
    made = Row(
        "death", "Death", "g", "x-b@1", "order", 0.6, None, None, 9, None, "m",
        category="x-b@1, then x-a@1", reference="x-a@1",
    )  # fmt: skip
    (row,) = rename_rows([made], names)
    assert (row.version, row.reference, row.category) == ("b@1", "a@1", "b@1, then a@1")

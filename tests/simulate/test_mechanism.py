"""The parts of the mechanism: each is somewhere, and the observables move as their sources say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialrun.engine.source import Orders
from trialrun.simulate.clinic import VirtualClinic
from trialrun.simulate.mechanism import PARTS, SOURCES, mechanism_table, observe_mechanism
from trialrun.simulate.model.library import find_model
from trialrun.simulate.population import Population

N = 200


def test_every_part_names_states_of_the_model_and_a_source() -> None:
    states = set(find_model("lenalidomide-cll", {}).states)
    for part in PARTS:
        assert part.where, part.name
        assert set(part.where) <= states, part.name
        assert part.sources, part.name
        assert set(part.sources) <= set(SOURCES), part.name
        assert (part.value is None) == (part.kind != "observable"), part.name


@pytest.mark.parametrize(
    "named",
    ["il_2", "interferon_gamma", "nk_cells", "il_6_support", "tnf_support", "cd40_cd86", "stroma", "akt", "synapses"],
)
def test_what_chen_2011_names_is_there(named: str) -> None:
    (part,) = [part for part in PARTS if part.name == named]
    assert "chen2011" in part.sources


def test_observables_move_as_their_sources_say(population: Population) -> None:
    clinic = VirtualClinic(population, N, 1)
    here = np.ones(N, dtype=np.bool_)
    clinic.live(0, Orders(np.zeros(N), {}, here))
    before = observe_mechanism(clinic.truth())
    assert all((fold == 1.0).all() for fold in before.values())
    for day in range(7):
        clinic.live(day + 1, Orders(np.full(N, 10.0), {}, here))
    after = observe_mechanism(clinic.truth())
    wanted = {part.name: part.direction for part in PARTS if part.value is not None}
    for name, direction in wanted.items():
        middle = float(np.median(after[name]))
        assert (middle > 1.02) if direction == "up" else (0.0 < middle < 0.98), (name, middle)
    # both sides of the disagreement on interleukin 6 are shown
    assert wanted["il_6_serum"] == "up"
    assert wanted["il_6_support"] == "down"


def test_nk_cells_come_later_than_il_2(population: Population) -> None:
    clinic = VirtualClinic(population, N, 1)
    here = np.ones(N, dtype=np.bool_)
    clinic.live(0, Orders(np.zeros(N), {}, here))
    rises: dict[str, list[float]] = {"il_2": [], "nk_cells": []}
    for day in range(21):
        clinic.live(day + 1, Orders(np.full(N, 10.0), {}, here))
        seen = observe_mechanism(clinic.truth())
        for name, rise in rises.items():
            rise.append(float(np.median(seen[name])) - 1.0)
    half = {name: int(np.argmax(np.array(rise) >= 0.5 * rise[-1])) for name, rise in rises.items()}
    assert half["il_2"] < half["nk_cells"]


def test_the_page_holds_the_table() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "mechanism.md"
    assert mechanism_table() in page.read_text(encoding="utf-8")

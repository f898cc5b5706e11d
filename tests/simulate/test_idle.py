"""Shifts of numbers that nothing depends on are found, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trialrun.plan.calendar import plan_version
from trialrun.protocol import read_protocol
from trialrun.simulate import measure
from trialrun.simulate.domain import find_notices
from trialrun.simulate.idle import find_idle_shifts
from trialrun.simulate.limits import limits
from trialrun.simulate.measure import TRAITS_SEEN
from trialrun.simulate.population import Population, read_population

STUDIES = Path(__file__).parents[2] / "studies"
HEAD = "trialrun: 1\nextends: {base}\npopulation: {{id: mine, title: mine, describes: mine}}\nsources: {{me: me}}\nshift:\n"


def write(folder: Path, base: str, *shifts: str) -> Population:
    lines = "".join(f"  {shift.replace('}', ', status: assumed, source: me}')}\n" for shift in shifts)
    (folder / "population.yaml").write_text(HEAD.format(base=STUDIES / base) + lines, encoding="utf-8")
    return read_population(folder)


def test_numbers_of_another_drug_change_nothing(tmp_path: Path) -> None:
    idle = ("leukemia.effector_kill", "immune.inflammation_gain", "marrow.neutrophil_emax", "flare.flare_1")
    used = ("direct_kill.kill_max", "baseline.age", "leukemia.cell_density", "infection.fever_rate")
    people = write(tmp_path, "venetoclax-rampup", *(f"{name}: {{factor: 1.1}}" for name in (*idle, *used)))
    assert sorted(find_idle_shifts(people)) == sorted(idle)


def test_a_number_of_the_other_structure_changes_nothing(tmp_path: Path) -> None:
    shifts = ("pharmacokinetics.renal_power: {factor: 1.1}", "pharmacokinetics.renal_fraction: {factor: 1.1}")
    assert find_idle_shifts(write(tmp_path, "lenalidomide-cll", *shifts)) == ("pharmacokinetics.renal_power",)
    power = write(tmp_path, "lenalidomide-cll/structures/power-clearance", *shifts)
    assert find_idle_shifts(power) == ("pharmacokinetics.renal_fraction",)


def test_what_a_file_does_not_state_itself_is_not_told() -> None:
    """The venetoclax people extend relapsed ones whose shifts are of immune cells."""
    people = read_population(STUDIES / "venetoclax-rampup")
    assert "immune.unreactive" in people.shift
    assert find_idle_shifts(people) == ()


@pytest.mark.parametrize("section", ["baseline", "pharmacokinetics", "immune", "leukemia", "marrow", "kidney"])
def test_every_number_of_the_shipped_people_is_used_but_that_of_the_other_structure(
    tmp_path: Path, section: str
) -> None:
    numbers = getattr(read_population(STUDIES / "lenalidomide-cll"), section)
    legal = [
        name
        for name, number in numbers.items()
        if number.value and limits()[f"{section}.{name}"].hold(number.value * 0.999)
    ]
    people = write(tmp_path, "lenalidomide-cll", *(f"{section}.{name}: {{factor: 0.999}}" for name in legal))
    assert set(find_idle_shifts(people)) <= {"pharmacokinetics.renal_power"}


def test_a_model_without_inflammation_says_that_it_has_no_flare() -> None:
    for study, told in (("venetoclax-rampup", True), ("lenalidomide-25mg", False)):
        file = STUDIES / study / "population.yaml"
        protocol = read_protocol(STUDIES / study)
        (version,) = protocol.versions.values()
        notices = find_notices(read_population(file), file, [(protocol, plan_version(version))], None, None)
        assert any("tumour flare never happens" in notice for notice in notices) is told


def test_what_is_measured_names_every_trait_that_it_rests_on() -> None:
    text = Path(measure.__file__).read_text(encoding="utf-8")
    assert set(re.findall(r'\b_?trait\("(\w+)"\)', text)) <= set(TRAITS_SEEN)

"""What happens to people, each part by itself: kidney hits, sepsis and death, complaints, withdrawal; rates as in the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trialrun.simulate.biology import Biology
from trialrun.simulate.events import Happenings
from trialrun.simulate.lysis import Hits
from trialrun.simulate.model.library import find_model
from trialrun.simulate.population import Population
from trialrun.simulate.subjects import VirtualSubjects, conduct_numbers, draw_subjects
from trialrun.vocab.problems import TrialrunError

N = 4000
EVERYONE = np.ones(N, dtype=np.bool_)


def within(count: int, expected: float) -> bool:
    """Within four standard errors of a count; exactly none where none is expected."""
    return abs(count - expected) <= 4.0 * np.sqrt(expected)


@pytest.fixture(scope="module")
def people(population: Population) -> VirtualSubjects:
    return draw_subjects(population, 61, np.arange(N))


def hits(population: Population, people: VirtualSubjects, **other: float) -> tuple[Hits, Biology]:
    numbers = conduct_numbers(population, N)
    numbers |= {name: np.full(N, value) for name, value in other.items()}
    biology = Biology(people)
    return Hits(numbers, 61, people, biology), biology


@pytest.mark.parametrize("grade", [0.0, 2.0])
def test_hits_come_at_the_rate_of_the_file(population: Population, people: VirtualSubjects, grade: float) -> None:
    struck, _ = hits(population, people)
    days, p = 60, population.lysis
    for day in range(days):
        struck.strike(day, EVERYONE, np.full(N, grade), np.full(N, -np.inf))
    rate = p["hit_rate"].value + (p["hit_rate_flare"].value if grade >= 2.0 else 0.0)
    assert within(int(struck.count.sum()), N * days * -np.expm1(-rate))


def test_a_febrile_day_strikes_as_often_as_the_file_says_and_another_day_does_not(
    population: Population, people: VirtualSubjects
) -> None:
    struck, _ = hits(population, people, hit_rate=0.0)
    struck.strike(3, EVERYONE, np.zeros(N), np.full(N, 2.0))  # ill since yesterday
    assert struck.count.sum() == 0
    struck.strike(3, EVERYONE, np.zeros(N), np.full(N, 3.0))
    assert within(int(struck.count.sum()), N * population.lysis["hit_fever"].value)


def test_a_hit_takes_its_part_of_filtration_and_water_for_its_days(
    population: Population, people: VirtualSubjects
) -> None:
    struck, biology = hits(population, people, hit_rate=50.0)  # everyone
    struck.strike(0, EVERYONE, np.zeros(N), np.full(N, -np.inf))
    assert (struck.count == 1.0).all()
    p = population.lysis
    lost = 1.0 - biology.state("filtration")
    size = p["hit_size"].value
    assert ((lost > 0.0) & (lost <= min(2.0 * size, 0.95))).all()
    assert lost.mean() == pytest.approx(size, abs=4.0 * 2.0 * size / np.sqrt(12.0 * N))
    dry = struck.dry(1, np.zeros(N))
    flow = people.traits["urine_flow"] + (people.traits["urine_flow_hydrated"] - people.traits["urine_flow"]) * dry
    np.testing.assert_allclose(flow, people.traits["urine_flow"] * (1.0 - p["hit_dryness"].value))
    assert (struck.dry(int(p["hit_length"].value), np.zeros(N)) == 0.0).all()  # over


def test_who_is_not_there_is_not_hit(population: Population, people: VirtualSubjects) -> None:
    struck, biology = hits(population, people, hit_rate=50.0)
    struck.strike(0, np.zeros(N, dtype=np.bool_), np.zeros(N), np.full(N, -np.inf))
    assert struck.count.sum() == 0
    assert (biology.state("filtration") == 1.0).all()


def held(people: VirtualSubjects, neutrophils: float) -> VirtualSubjects:
    states = people.states.copy()
    states[people.model.states.index("neutrophils")] = neutrophils
    return replace(people, states=states)


@pytest.mark.parametrize(("count", "which"), [(1.2, None), (0.7, "fever_rate_mild"), (0.3, "fever_rate")])
def test_febrile_episodes_sepsis_and_death_come_as_often_as_the_file_says(
    population: Population, people: VirtualSubjects, count: float, which: str | None
) -> None:
    """Counts held, x10^9/L; within the days before another episode can begin."""
    still, p = held(people, count), population.infection
    numbers = {"survival.death_rate_other": np.zeros(N), "conduct.dropout_rate": np.zeros(N)}
    happenings = Happenings(population, 59, still, Biology(still), numbers)
    days, ill, septic, dead = 13, 0, 0, 0
    for day in range(days + int(p["sepsis_delay"].value) + 1):
        _, ended = happenings.leave(day, EVERYONE)
        dead += sum(item.rows.size for item in ended)
        if day < days:
            events, _ = happenings.happen(day, np.zeros(N))
            ill += sum(item.rows.size for item in events if item.term in ("febrile_neutropenia", "infection"))
            septic += sum(item.rows.size for item in events if item.term == "infection")
    rate = 0.0 if which is None else p[which].value
    assert within(ill, N * -np.expm1(-rate * days))
    assert within(septic, ill * p["sepsis_fraction"].value)
    assert within(dead, septic * p["sepsis_fatality"].value)


def test_complaints_end_treatment_in_proportion_to_the_dose(population: Population, people: VirtualSubjects) -> None:
    p, days, ended = population.conduct, 30, {}
    for dose in (0.0, 10.0, 40.0):
        happenings = Happenings(population, 59, people, Biology(people))
        ended[dose] = sum(
            item.rows.size
            for day in range(days)
            for item in happenings.happen(day, np.full(N, dose))[1]
            if item.reason == "withdrawal by subject"
        )
        rate = p["intolerance_rate"].value * dose / p["intolerance_dose"].value
        assert within(ended[dose], N * days * -np.expm1(-rate)), dose
    assert ended[40.0] > 2 * ended[10.0] > ended[0.0]


def test_withdrawal_and_other_deaths_come_at_their_hazard(population: Population, people: VirtualSubjects) -> None:
    happenings = Happenings(population, 59, people, Biology(people))
    left = {"death": 0, "study discontinued": 0}
    days = 365
    for day in range(days + 1):
        for item in happenings.leave(day, EVERYONE)[1]:
            left[item.event] += item.rows.size
    hazard = population.survival["death_rate_other"].value * np.exp(
        population.survival["death_rate_age"].value * (people.age - 60.0)
    )
    gone = population.conduct["dropout_rate"].value
    both = hazard + gone  # the first of the two counts
    assert within(left["death"], float((hazard / both * -np.expm1(-both * days)).sum()))
    assert within(left["study discontinued"], float((gone / both * -np.expm1(-both * days)).sum()))


@pytest.mark.parametrize(
    "options", [{"marrow_effect": "maturation"}, {"tolerance": "off"}, {"renal_clearance": "power"}]
)
def test_an_alternative_that_another_model_has_not_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(TrialrunError) as caught:
        find_model("venetoclax-cll", options)
    assert caught.value.problems[0].code == "no-alternative"
    assert find_model("venetoclax-cll", {"marrow_effect": "proliferation"}).name == "venetoclax-cll"

"""The page of numbers holds every number of the population file with its value, unit, status and source."""

from __future__ import annotations

from trialrun.simulate.model.library import ALTERNATIVES
from trialrun.simulate.page import numbers_page
from trialrun.simulate.population import SECTIONS, Population


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """Cells of the table under a heading, by the name in the first cell."""
    part = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {line[0].split("`")[1]: line for line in cells}


def test_every_number_stands_in_its_module_with_what_is_known_of_it(population: Population) -> None:
    page = numbers_page(population, "population.yaml")
    parts = page.split("\n## ")
    for section in SECTIONS:
        numbers = getattr(population, section)
        if not numbers:
            continue
        (part,) = [text for text in parts if f"Section `{section}`." in text]
        shown = rows(page, part.splitlines()[0])
        assert set(shown) == set(numbers), section
        for name, number in numbers.items():
            line = shown[name]
            assert float(line[2]) == float(f"{number.value:.6g}"), name
            assert line[3].strip("`") == ("" if number.unit == "1" else number.unit), name
            assert (line[4] == "") == (number.variability is None), name
            assert line[5] == number.status, name
            assert line[6] == (number.source if isinstance(number.source, str) else ", ".join(number.source)), name


def test_tests_trials_bounds_and_alternatives_are_there(population: Population) -> None:
    page = numbers_page(population, "population.yaml")
    assert set(rows(page, "Measurement")) == set(population.tests)
    assert set(rows(page, "Between trials")) == set(population.between_trials)
    assert set(rows(page, "Who was enrolled")) == set(population.enrolled)
    assert set(rows(page, "Structural alternatives")) == set(ALTERNATIVES)
    for key in population.sources:
        assert f"- **{key}**: " in page


def test_another_number_is_another_page(population: Population) -> None:
    number = population.immune["activation_ec50"].model_copy(update={"value": 81.0})
    other = population.model_copy(update={"immune": {**population.immune, "activation_ec50": number}})
    page = numbers_page(other, "population.yaml")
    assert float(rows(page, "Immune activation and flare")["activation_ec50"][2]) == 81.0
    assert page != numbers_page(population, "population.yaml")

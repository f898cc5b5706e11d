"""The page of a population's numbers, module by module: value, unit, variability, status and source of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trialrun.simulate.model.library import ALTERNATIVES
from trialrun.simulate.population import SECTIONS, Number, Population, Variability

# Headings of the sections, and what stands in each; one that is not here is shown under its own name.
_ABOUT = {
    "baseline": ("Baseline", "People before the first dose, and the part of people of whom something is true."),
    "pharmacokinetics": ("Pharmacokinetics", "The drug in gut, blood and at its site of effect."),
    "immune": ("Immune activation and flare", "Activation, tolerance, inflammation and effectors."),
    "leukemia": ("CLL cells and trafficking", "Growth, homing, egress, kill and lysis; sizes of what is seen."),
    "marrow": ("Marrow", "Chains of neutrophils and platelets, haemoglobin, crowding, G-CSF."),
    "kidney": (
        "Lysis products and kidney",
        "Urate, phosphate, potassium, calcium, creatinine, filtration, prophylaxis.",
    ),
    "direct_kill": ("Direct kill", "A drug that kills leukaemia cells by itself."),
    "flare": ("Flare as it is seen", "Grades of the flare score and how much of it is recorded."),
    "infection": ("Infection and febrile neutropenia", "Hazards while neutrophils are low."),
    "lysis": ("Tumour lysis and kidney hits", "Limits of the definitions, chance hits on the kidney, deaths."),
    "survival": ("Survival", "Death of other causes."),
    "conduct": ("Conduct", "Missed doses, withdrawal, treatment ended by judgement."),
}


def numbers_page(population: Population, where: str) -> str:
    """The page as Markdown; `where` is the population's file as the page names it."""
    counts: dict[str, int] = {}
    for number in population.numbers().values():
        counts[number.status] = counts.get(number.status, 0) + 1
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    lines = [
        "# Numbers of the virtual subjects, module by module",
        "",
        f"Made by `make docs` from `{where}` ({population.population.title}). Not edited by hand.",
        f"{sum(counts.values())} numbers: {told}. What each status means is on [the page of the model](../simulate.md).",
        "",
        "Variability between subjects: *logn* is the standard deviation of the logarithm around the median, *norm* that of the",
        "number around the mean; [low, high] is where the distribution is cut off. A status in parentheses is that of the",
        "spread, where it is not that of the value.",
    ]
    for section in SECTIONS:
        numbers = getattr(population, section)
        if numbers:
            heading, about = _ABOUT.get(section, (section, ""))
            lines += ["", f"## {heading}", "", f"{about} Section `{section}`.", "", *_table(numbers)]
    if population.shift:
        lines += ["", "## Shifts", "", *_shifts(population)]
    lines += ["", "## Measurement", "", "How a test is measured. Section `tests`.", "", *_tests(population)]
    lines += ["", "## Between trials", "", "Section `between_trials`: standard deviation of the logarithm.", ""]
    lines += ["| number | sd | status | source | note |", "|---|---:|---|---|---|"]
    for name, between in population.between_trials.items():
        lines.append(
            f"| `{name}` | {between.sd:g} | {between.status} | {_source(between.source)} | {_cell(between.note)} |"
        )
    lines += ["", "## Who was enrolled", "", "Section `enrolled`: a subject outside these bounds is drawn again.", ""]
    lines += ["| quantity | low | high | unit | status | source | note |", "|---|---:|---:|---|---|---|---|"]
    for name, bound in population.enrolled.items():
        low, high = ("" if cut is None else f"{cut:g}" for cut in (bound.low, bound.high))
        told = f"{bound.status} | {_source(bound.source)} | {_cell(bound.note)}"
        lines.append(f"| `{name}` | {low} | {high} | {_unit(bound.unit)} | {told} |")
    lines += [
        "",
        "## Structural alternatives",
        "",
        "Section `options`; the first is what holds where a file says nothing.",
        "",
    ]
    lines += ["| what | ways | here |", "|---|---|---|"]
    for what, ways in ALTERNATIVES.items():
        lines.append(f"| `{what}` | {', '.join(ways)} | {population.options.get(what, ways[0])} |")
    lines += ["", "## Sources", "", *(f"- **{key}**: {_cell(text)}" for key, text in population.sources.items()), ""]
    return "\n".join(lines)


def _shifts(population: Population) -> Iterator[str]:
    yield "Every step by which a number came from that of the file that states all numbers, in the order of extension."
    yield ""
    yield "| number | population | shift | before | after | status | source | note |"
    yield "|---|---|---|---:|---:|---|---|---|"
    for name, shifts in population.shift.items():
        for step in shifts.steps:
            how = step.shift.describe()
            if step in shifts.replaced:
                how += f", replaced by {shifts.replaced_by}"
            told = f"{step.shift.status} | {_source(step.shift.source)} | {_cell(step.shift.note)}"
            yield f"| `{name}` | {step.of} | {how} | {step.before:.4g} | {step.after:.4g} | {told} |"


def _table(numbers: dict[str, Number]) -> Iterator[str]:
    yield "| number | what | value | unit | between subjects | status | source | note |"
    yield "|---|---|---:|---|---|---|---|---|"
    for name, number in numbers.items():
        called = f"`{name}`" + (f" ({number.symbol})" if number.symbol else "")
        yield (
            f"| {called} | {_cell(number.label)} | {number.value:.6g} | {_unit(number.unit)} | {_spread(number.variability)}"
            f" | {number.status} | {_source(number.source)} | {_cell(number.note)} |"
        )


def _tests(population: Population) -> Iterator[str]:
    yield "| test | unit | error | women | men | status | source | note |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, test in population.tests.items():
        error = test.error if test.sd is None else f"{test.error} {test.sd:g}"
        women, men = (_range(limits) for limits in (test.female, test.male))
        yield (
            f"| `{name}` | {_unit(test.unit)} | {error} | {women} | {men} | {test.status} | {_source(test.source)}"
            f" | {_cell(test.note)} |"
        )


def _spread(varies: Variability | None) -> str:
    if varies is None:
        return ""
    kind = "logn" if varies.distribution == "lognormal" else "norm"
    cut = "" if varies.low is None and varies.high is None else f" {_range([varies.low, varies.high])}"
    shared = "" if varies.factor is None else f", {varies.factor} r {varies.correlation:g}"
    return f"{kind} {varies.spread:g}{cut}{shared}" + (f" ({varies.status})" if varies.status else "")


def _range(limits: Sequence[float | None] | None) -> str:
    return "" if limits is None else "[" + ", ".join("" if cut is None else f"{cut:g}" for cut in limits) + "]"


def _source(source: str | list[str]) -> str:
    return source if isinstance(source, str) else ", ".join(source)


def _unit(unit: str) -> str:
    return "" if unit == "1" else f"`{unit}`"


def _cell(text: str | None) -> str:
    return "" if text is None else text.replace("|", "\\|").replace("<", "&lt;")

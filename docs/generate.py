"""Write the generated pages of docs/reference and docs/model; `--check` only says whether they are up to date."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from trialrun.cli import app
from trialrun.cli.page import cli_page
from trialrun.protocol.terms_page import terms_page
from trialrun.record.page import record_page
from trialrun.simulate.file_page import population_page
from trialrun.simulate.page import numbers_page
from trialrun.simulate.population import read_population

HERE = Path(__file__).parent


def _population_page() -> str:
    """With the labels of the two files that state numbers of their own."""
    studies = HERE.parent / "studies"
    return population_page([read_population(studies / name) for name in ("lenalidomide-cll", "venetoclax-rampup")])


POPULATION = "studies/lenalidomide-cll/population.yaml"
PAGES: dict[str, Callable[[], str]] = {
    "model/numbers.md": lambda: numbers_page(read_population(HERE.parent / POPULATION), POPULATION),
    "reference/cli.md": lambda: cli_page(app),
    "reference/population-file.md": _population_page,
    "reference/record.md": record_page,
    "reference/terms.md": terms_page,
}


def main() -> int:
    stale = []
    for name, write in PAGES.items():
        page, text = HERE / name, write()
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_text(text, encoding="utf-8")
    print("\n".join(f"{'stale' if '--check' in sys.argv else 'wrote'} docs/{name}" for name in stale) or "up to date")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

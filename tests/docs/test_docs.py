"""The documentation is tested: generated pages are up to date, links lead somewhere, Python examples run."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def test_generated_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, write in generate.PAGES.items():
        page = ROOT / "docs" / name
        assert page.exists(), f"docs/{name} is missing: run `make docs`"
        assert page.read_text(encoding="utf-8") == write(), f"docs/{name} is stale: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def _python_blocks() -> list[tuple[str, str]]:
    blocks = []
    for page in PAGES:
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
            blocks.append((f"{page.relative_to(ROOT)}#{number}", block))
    return blocks


@pytest.mark.parametrize(("where", "code"), _python_blocks(), ids=[name for name, _ in _python_blocks()])
def test_python_examples_run(where: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, where, "exec"), {"__name__": "example"})


def test_every_command_of_the_readme_exists() -> None:
    from trialrun.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    said = set(re.findall(r"`trialrun (\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert said <= known, f"the README names commands that are not there: {sorted(said - known)}"

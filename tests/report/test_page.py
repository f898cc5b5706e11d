"""The page: whole, self-contained, with its provenance, and readable without its pictures."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from trialrun.analysis.plan_file import PlanFile
from trialrun.analysis.run import Run, VersionInfo, read_run, read_tables
from trialrun.report.model import Page, Section, Table
from trialrun.report.page import read_glossary, render_page, write_record_report, write_report
from trialrun.vocab.problems import TrialrunError

VOID = {"meta", "link", "br", "hr", "img", "input", "line", "rect", "circle", "path"}


class Reader(HTMLParser):
    """Reads a page strictly: every element closed where it was opened, every attribute and text kept."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}> at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def read(path: Path) -> tuple[str, Reader]:
    text = path.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return text, reader


@pytest.fixture(scope="module")
def page(run: Run) -> tuple[str, Reader]:
    return read(write_report(run, run.directory / "report.html"))


def test_nothing_is_fetched_from_elsewhere(page: tuple[str, Reader]) -> None:
    text, reader = page
    for tag, attributes in reader.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), f"<{tag} {name}={value!r}>"
        assert tag not in ("script", "iframe", "object", "embed", "base")
    assert not re.search(r"@import|url\((?!#)", text)
    assert "http://" not in text
    assert "https://" not in text


def test_links_inside_the_page_lead_somewhere(page: tuple[str, Reader]) -> None:
    _, reader = page
    targets = [value[1:] for _, attributes in reader.elements if (value := attributes.get("href")) and value[0] == "#"]
    assert len(targets) > 10
    assert set(targets) <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_the_provenance_is_said(run: Run, page: tuple[str, Reader]) -> None:
    _, reader = page
    words = " ".join(reader.words)
    said = {attributes["name"]: attributes["content"] for tag, attributes in reader.elements if attributes.get("name")}
    for value in (
        run.protocol_hash,
        run.population_hash,
        str(run.seed),
        run.program_version,
        run.made_on,
        *(info.hash for info in run.versions),
    ):
        assert value is not None
        assert value in words
        assert value in said.values()
    assert "Monte Carlo only: not parameter, not between-trial uncertainty" in words


def test_every_figure_has_words_and_numbers(page: tuple[str, Reader]) -> None:
    text, reader = page
    figures = re.findall(r"<figure>.*?</figure>", text, flags=re.S)
    assert len(figures) >= 12
    for figure in figures:
        assert re.search(r'role="img" aria-label="[^"]{40,}"', figure)
        assert "<figcaption>" in figure
        assert "<svg" in figure
        assert re.search(r"<details>.*<table>.*</details>", figure, flags=re.S)
    assert all(attributes.get("scope") for tag, attributes in reader.elements if tag == "th")
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in reader.elements


def test_the_promised_parts_are_there(page: tuple[str, Reader]) -> None:
    text, reader = page
    words = " ".join(" ".join(reader.words).split())
    sections = "glance flow study schedule doses lysis toxicity lymphocytes response published numbers limits"
    assert {*sections.split(" "), "glossary", "provenance"} <= set(reader.ids)
    assert "Rebound in the week off, original" in words
    assert "14/25, 56.0 % (34.9 to 75.6)" in words
    assert "Tumour-lysis laboratory" in words
    assert "when held, every 7 days" in words
    assert "patients treated" not in words
    assert dict(read_glossary(virtual=True))["Not assessable"] in words
    assert text.count("<h1") == 1


def test_the_page_is_small(page: tuple[str, Reader]) -> None:
    assert len(page[0].encode()) < 3_000_000


def test_flow_counts_add_up(run: Run, page: tuple[str, Reader]) -> None:
    boxes = [
        [int(count) for count in re.findall(r'class="box"><strong>([\d,]+)</strong>', flow)]
        for flow in re.findall(r'<div class="flow">.*?</ol>', page[0], flags=re.S)
    ]
    assert len(boxes) == 2
    for info, (enrolled, treated, going_on) in zip(run.versions, boxes, strict=True):
        outcomes = pl.read_parquet(run.directory / info.folder / "outcomes.parquet")
        assert enrolled == 60
        assert treated == outcomes["treated"].sum()
        assert going_on == treated - outcomes["discontinued"].sum()


def test_text_from_a_study_is_not_taken_for_html() -> None:
    nasty = "<b>A & B</b>"
    table = Table(nasty, (nasty,), ((nasty,), (nasty,)))
    section = Section("one", nasty, (nasty,), tables=(table,), points=(nasty,))
    text = render_page(Page(nasty, nasty, nasty, ((nasty, nasty),), (), (), (section,), ((nasty, nasty),)))
    assert "<b>" not in text
    assert text.count("&lt;b&gt;A &amp; B") >= 10


def test_one_version_without_published_facts(write_run: Callable[..., Path], tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", subjects=15, trials=2, cycles=1)
    (directory / "published.yaml").unlink()
    described = json.loads((directory / "run.json").read_text())
    described |= {"kind": "simulate", "versions": described["versions"][:1]}
    (directory / "run.json").write_text(json.dumps(described))
    text, reader = read(write_report(read_run(directory), directory / "report.html"))
    assert "published" not in reader.ids
    assert "Spread between 2 trials of 15 participants each" in text
    assert "Difference to" not in text


def test_a_real_record_is_drawn_as_observed(run: Run, tmp_path: Path) -> None:
    tables = read_tables(run, run.versions[0])
    info = VersionInfo("as recorded", "", levels_mg=(10.0, 15.0, 20.0, 25.0))
    real = Run(tmp_path, "record", "a study", None, (info,), program_version="0")
    _, reader = read(write_record_report(real, tables, PlanFile(), tmp_path / "page.html"))
    words = " ".join(reader.words)
    assert "What was observed" in words
    assert "imulated" not in words
    assert "Monte Carlo only" not in words
    assert "schedule" not in reader.ids
    assert "Seed" not in words
    again = write_record_report(real, tables, PlanFile(), tmp_path / "again.html")
    assert again.read_bytes() == (tmp_path / "page.html").read_bytes()


def test_an_empty_record_still_makes_a_page(run: Run, tmp_path: Path) -> None:
    tables = {name: table.clear() for name, table in read_tables(run, run.versions[0]).items()}
    info = VersionInfo("as recorded", "")
    real = Run(tmp_path, "record", "a study", None, (info,), program_version="0")
    text, _ = read(write_record_report(real, tables, PlanFile(), tmp_path / "page.html"))
    assert "<strong>0</strong> enrolled" in text


def test_a_broken_plan_is_told(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.directory, tmp_path / "copy")
    for broken in ("{", "[1, 2]", '{"visits": [{"day": 1}]}', '{"doses": []}'):
        (tmp_path / "copy/original/plan.json").write_text(broken)
        with pytest.raises(TrialrunError) as caught:
            write_report(read_run(tmp_path / "copy"), tmp_path / "page.html")
        assert caught.value.problems[0].code == "unreadable-plan"

"""The protocol as prose: complete, marked, escaped."""

from __future__ import annotations

from html.parser import HTMLParser
from io import StringIO

from trialrun.plan.calendar import plan_version
from trialrun.plan.planned import planned_doses_section
from trialrun.protocol import Protocol, read_protocol
from trialrun.protocol.prose import Grid, Statement, describe_version, read_aloud, window_text
from trialrun.protocol.render_html import render_html
from trialrun.protocol.render_text import print_prose

_EMPTY = {"meta", "link", "br", "img", "input", "hr"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _EMPTY:
            self.open.append(tag)
        known = dict(attributes)
        if known.get("id"):
            self.ids.append(str(known["id"]))
        if tag == "a":
            self.links.append(str(known["href"]))
        self.outside += [str(known[key]) for key in ("src",) if key in known] + (
            [str(known["href"])] if tag == "link" else []
        )

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _page(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def _statements(study: Protocol, version: str) -> list[Statement]:
    prose = describe_version(study, study.version(version))
    return [block for section in prose.sections for block in section.blocks if isinstance(block, Statement)]


def test_every_rule_is_there_with_section_sentence_and_source(study: Protocol) -> None:
    for name in study.versions:
        version = study.version(name)
        text = render_html(describe_version(study, version))
        said = " ".join(_page(text).words)
        for criterion in (*version.eligibility, *version.concomitant):
            assert " ".join(criterion.says.split()) in said
            assert criterion.rule.text in said
        for table in version.tables:
            for row in table.table.rows:
                assert row.when is None or row.when.text in said
        for mark in describe_version(study, version).marks:
            assert mark.citation == study.study.sources[mark.source]


def test_what_is_assumed_says_so_in_words(study: Protocol) -> None:
    prose = describe_version(study, study.version("original"))
    assumed = [item for item in _statements(study, "original") if item.mark and item.mark.status == "assumed"]
    assert {"dose modification", "hydration", "visits"} <= {item.name for item in assumed}
    text = StringIO()
    print_prose(prose, text, width=100)
    assert text.getvalue().count("ASSUMED") == len(assumed)
    assert f"{len(assumed)} of {len(prose.marks)} statements are assumed" in text.getvalue()


def test_the_page_is_whole_and_self_contained(study: Protocol) -> None:
    version = study.version()
    prose = describe_version(study, version, [planned_doses_section(plan_version(version))])
    page = _page(render_html(prose))
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert page.outside == []
    assert "Planned doses" in page.words


def test_words_of_the_file_cannot_become_markup(edited) -> None:  # type: ignore[no-untyped-def]
    read = read_protocol(edited(("says: Age 18 years or older.", 'says: Age <script>alert(1)</script> & "more".')))
    html = render_html(describe_version(read, read.version("original")))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot;" in html


def test_expressions_read_aloud(study: Protocol) -> None:
    words = study.version().vocabulary
    assert read_aloud("tumor_lysis_syndrome", words) == "clinical tumour lysis syndrome"
    assert read_aloud("neutrophils < 0.5 x10^9/L", words) == "neutrophils < 0.5 ×10⁹/L"
    assert read_aloud("alt < 2.5 x ULN", words) == "alanine aminotransferase < 2.5 × ULN"
    assert read_aloud("day >= -3 days and cycle <= 1", words) == "days since the first dose ≥ -3 days and cycle ≤ 1"


def test_windows_in_words() -> None:
    assert window_text(0, 0) == "on the day"
    assert window_text(2, 2) == "± 2 days"
    assert window_text(2, 1) == "2 days before to 1 day after"
    assert window_text(3, 0) == "3 days before to the day"


def test_prose_as_json_is_plain(study: Protocol) -> None:
    import json

    told = json.loads(json.dumps(describe_version(study, study.version()).as_dict()))
    kinds = {block["kind"] for section in told["sections"] for block in section["blocks"]}
    assert kinds == {"statement", "grid", "paragraph"}


def test_when_the_marrow_is_due_is_told_in_words(study: Protocol) -> None:
    prose = describe_version(study, study.version("original"))
    (grid,) = (block for section in prose.sections for block in section.blocks
               if isinstance(block, Grid) and block.caption == "What is measured")  # fmt: skip
    (row,) = (row for row in grid.rows if row[0] == "Bone marrow")
    assert row[1].endswith(
        "(only where all else of a complete response has held for 56 days, and not again for 168 days)"
    )

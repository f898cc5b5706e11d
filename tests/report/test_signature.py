"""The molecular signature's section of the report, from what the signature command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.analysis.expression import ComparisonRequest, SignatureOptions, estimate_signature, write_signature
from trialrun.report.signature import make_signature
from trialrun.vocab.problems import TrialrunError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "expression"


def test_the_section_says_what_was_found_and_shows_it(tmp_path: Path) -> None:
    request = ComparisonRequest("after-before", pairs="subject")
    signature = estimate_signature(EXAMPLE / "expression.csv", EXAMPLE / "samples.csv", request, SignatureOptions())
    write_signature(signature, tmp_path)
    section = make_signature(tmp_path)
    up = signature.genes.filter((signature.genes["q_value"] <= 0.05) & (signature.genes["log2_fold_change"] > 0)).height
    assert f" {up} are up" in section.paragraphs[0]
    assert signature.provenance["inputs"]["expression"]["sha256"][:16] in section.paragraphs[1]
    first = signature.genes.sort("p_value").row(0, named=True)
    assert section.tables[0].rows[0][0] == first["symbol"]
    assert section.figures[0].title == "Change of each gene"
    assert all("data:image/svg+xml;base64," in figure.svg for figure in section.figures)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrialrunError, match="not the folder of a signature"):
        make_signature(tmp_path)

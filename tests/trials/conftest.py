from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.protocol import Protocol, read_protocol

STUDY = Path(__file__).resolve().parents[2] / "studies" / "lenalidomide-cll"


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    return read_protocol(STUDY)


@pytest.fixture(scope="session")
def stopping(tmp_path_factory: pytest.TempPathFactory) -> Protocol:
    """The same protocol with a rule that stops the study where it would pause."""
    folder = tmp_path_factory.mktemp("stopping")
    text = (STUDY / "protocol.yaml").read_text(encoding="utf-8")
    assert text.count("then: pause enrolment") == 1
    (folder / "protocol.yaml").write_text(
        text.replace("then: pause enrolment", "then: stop the study"), encoding="utf-8"
    )
    return read_protocol(folder / "protocol.yaml")

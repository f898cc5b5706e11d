from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.plan.calendar import Plan, plan_version
from trialrun.protocol import Protocol, read_protocol

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    return read_protocol(ROOT / "studies" / "lenalidomide-cll")


@pytest.fixture(scope="session")
def original(protocol: Protocol) -> Plan:
    return plan_version(protocol.version("original"))


@pytest.fixture(scope="session")
def amended(protocol: Protocol) -> Plan:
    return plan_version(protocol.version("amendment-1"))

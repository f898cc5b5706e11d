"""The protocol: its parts, read, check, amend, render as prose."""

from trialrun.protocol.read import read_protocol
from trialrun.protocol.version import Protocol, Version

__all__ = ["Protocol", "Version", "read_protocol"]

"""What happened: entries, ledger, as-known-on views. Knows no plan."""

from trialrun.record.read import read_record
from trialrun.record.record import HoldingVersion, Record
from trialrun.record.tables import TABLES, schema

__all__ = ["TABLES", "HoldingVersion", "Record", "read_record", "schema"]

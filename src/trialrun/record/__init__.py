"""What happened: entries, ledger, as-known-on views. Knows no plan."""

from trialrun.record.ledger import ledger_head, seal, verify_ledger
from trialrun.record.marks import Rejected
from trialrun.record.read import read_record
from trialrun.record.record import HoldingVersion, Record
from trialrun.record.tables import TABLES, schema
from trialrun.record.write import append_entries, write_record

__all__ = [
    "TABLES",
    "HoldingVersion",
    "Record",
    "Rejected",
    "append_entries",
    "ledger_head",
    "read_record",
    "schema",
    "seal",
    "verify_ledger",
    "write_record",
]

"""What happened: entries, ledger, as-known-on views. Knows no plan."""

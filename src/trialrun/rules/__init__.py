"""The rule language: parse, check, evaluate in three values, tables, explain."""

"""The protocol: its parts, read, check, amend, render as prose."""
